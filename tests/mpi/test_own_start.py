"""Ranks that the program starts itself: same bytes, every fault one sentence, nothing left."""

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from locscale_hybrid.parallel.executors import MpiexecExecutor
from locscale_hybrid.parallel.launchers import mpiexec_candidates
from tests import toy_tasks


def gone(folder):
    return not any(map(toy_tasks.is_alive, toy_tasks.workers(folder)))


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_any_number_of_ranks_gives_the_bytes_of_serial(mpi, plan, serial_bytes, temporary, ranks):
    folder = plan(plans=2)
    code, output, errors = mpi.run(
        *mpi.toy_map("mpi", ranks, folder), environment=mpi.environment(TMPDIR=str(temporary))
    )
    assert (code, errors) == (0, "")
    assert output == f"{ranks} MPI rank{'s' if ranks > 1 else ''}\n"
    assert toy_tasks.slots(folder) == serial_bytes
    assert list(temporary.iterdir()) == []


def test_tasks_are_dealt_as_ranks_become_free(mpi, plan):
    folder = plan(last=0)  # ends when all others have begun
    assert mpi.run(*mpi.toy_map("mpi", 2, folder))[0] == 0
    assert sorted(toy_tasks.workers(folder).values()) == [1, 11]


FAULTS = [
    ("raise", r"rank \d of 3 failed in task {}: ValueError: boom \(a fault of the program\)"),
    ("exit", r"rank \d of 3 failed in task {}: SystemExit: 5"),
    ("kill", r"rank \d of 3 was killed \(signal 9: out of memory\?\)"),
    ("hang", r"rank \d of 3 has been silent for \d+ s in task {}"),
    (
        "memory",
        r"rank \d of 3 failed in task {}: MemoryError: Unable to allocate .*Give "
        "fewer processes",
    ),
    ("crash", r"rank \d of 3 crashed \(segmentation fault\)"),
    ("leave", r"(rank \d|one MPI rank) of 3 (ended with code 3|was killed)"),
    ("hang deaf", r"rank \d of 3 has been silent for \d+ s in task {}"),
]


@pytest.mark.parametrize(
    ("fault", "sentence", "index"),
    [
        pytest.param(*fault, index, marks=[pytest.mark.long] if number > 4 or index == 0 else [])
        for index in (5, 0)
        for number, fault in enumerate(FAULTS)
    ],
)
def test_fault_ends_all_with_one_sentence(mpi, plan, temporary, fault, sentence, index):
    folder = plan(faulty=[index], fault=fault, seconds=0.02)
    # where no rank hangs, none may be taken for one on a machine that is slow
    patience = 3.0 if "hang" in fault else 120.0
    code, output, errors = mpi.run(
        *mpi.toy_map("mpi", 3, folder, patience=patience),
        environment=mpi.environment(TMPDIR=str(temporary)),
    )
    assert (code, errors) == (3, "")
    assert re.fullmatch(f"error: {sentence.format(index)}.*\n", output)
    assert gone(folder)
    assert list(temporary.glob("locscale*")) == []
    assert toy_tasks.left_outside(folder) == []


@pytest.mark.parametrize("fault", ["hang", "hold the interpreter"])
def test_killed_parent_leaves_no_rank(mpi, plan, temporary, fault):
    folder = plan(200, faulty_ranks=[1, 2], fault=fault, seconds=0.02)
    process = mpi.start(
        *mpi.toy_map("mpi", 3, folder), environment=mpi.environment(TMPDIR=str(temporary))
    )
    with process:
        toy_tasks.wait_until(lambda: len(toy_tasks.workers(folder)) == 3)
        process.kill()
        toy_tasks.wait_until(lambda: gone(folder), seconds=toy_tasks.ORPHAN_SECONDS)


@pytest.mark.parametrize(
    "delay",
    [
        0.1,
        pytest.param(0.3, marks=pytest.mark.long),
        0.5,
        pytest.param(0.6, marks=pytest.mark.long),
        pytest.param(0.7, marks=pytest.mark.long),
    ],
)
def test_parent_killed_while_ranks_start_leaves_no_rank(mpi, plan, temporary, delay):
    folder = plan(100, seconds=0.1)

    def ranks():
        return toy_tasks.processes_with("locscale_hybrid.parallel.worker", str(temporary))

    process = mpi.start(
        *mpi.toy_map("mpi", 3, folder), environment=mpi.environment(TMPDIR=str(temporary))
    )
    with process:
        toy_tasks.wait_until(ranks)
        time.sleep(delay)
        process.kill()
        toy_tasks.wait_until(lambda: not ranks(), seconds=toy_tasks.ORPHAN_SECONDS)


def test_waiting_ranks_sleep(mpi, plan):
    folder = plan(slow={"0": 6.0})
    with mpi.start(*mpi.toy_map("mpi", 2, folder)) as process:
        toy_tasks.wait_until(lambda: sum(toy_tasks.workers(folder).values()) == 12)
        waiting = max(toy_tasks.workers(folder), key=toy_tasks.workers(folder).get)
        time.sleep(0.3)
        begin = toy_tasks.processor_seconds(waiting)
        time.sleep(1.0)
        used = toy_tasks.processor_seconds(waiting) - begin
        assert process.wait(120) == 0
    assert used < 0.25  # a blocking receive takes 0.94 to 1.00 of a core


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGTERM]
)
def test_signal_ends_ranks_and_program(mpi, tmp_path, temporary, toy_plan, number):
    environment = mpi.environment(
        TMPDIR=str(temporary),
        **toy_plan(faulty=list(range(4, 12)), fault="hang deaf", seconds=0.02),
    )
    with mpi.start(
        *mpi.toy_program("-np", "3", "-o", tmp_path / "out.mrc"), environment=environment
    ) as process:
        found = []

        def all_at_work():
            found[:] = [path.parent for path in temporary.glob("*/*/who.txt")]
            return found and len(toy_tasks.workers(found[0])) == 3

        toy_tasks.wait_until(all_at_work)
        pids = list(toy_tasks.workers(found[0]))
        process.send_signal(number)
        assert process.wait(120) == 130
        assert process.stderr.read() == "locscale: interrupted; no file is left half written\n"
    assert not any(map(toy_tasks.is_alive, pids))
    assert list(temporary.glob("locscale*")) == []
    assert not (tmp_path / "out.mrc").exists()


def test_command_line_says_what_it_ran_on(mpi, tmp_path, toy_plan):
    code, output, errors = mpi.run(
        *mpi.toy_program("-np", "2", "-o", tmp_path / "out.mrc"),
        environment=mpi.environment(**toy_plan()),
    )
    assert (code, errors) == (0, "")
    assert "executor  2 MPI ranks" in output


@pytest.mark.mpi
def test_starts_in_a_row_leave_no_file_open_and_no_folder(tmp_path, plan):
    pytest.importorskip("mpi4py")
    folder, counts = plan(4), []
    for _ in range(3):
        with MpiexecExecutor(2, mpiexec_candidates(), scratch=tmp_path) as executor:
            executor.map(toy_tasks.write_slot, folder, 4)
            assert executor.name == "2 MPI ranks"
        counts.append(len(os.listdir("/proc/self/fd")))
    assert counts[0] == counts[2]
    assert list(tmp_path.glob("locscale*")) == []


# ---- where ranks cannot be had ------------------------------------------------------------------


def fake_mpiexec(folder, text):
    path = folder / "mpiexec"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def run_with(mpi, mpiexec, tmp_path, toy_plan, ranks="4"):
    code, output, errors = mpi.run(
        *mpi.toy_program("-np", ranks, "--mpiexec", mpiexec, "-o", tmp_path / "out.mrc"),
        environment=mpi.environment(**toy_plan()),
    )
    assert (code, errors) == (0, "")
    return output


@pytest.mark.mpi
@pytest.mark.parametrize("mpi", ["mpich"], indirect=True)
class TestFallback:
    """Each launcher's words as it says them."""

    def test_not_enough_slots_means_fewer_ranks(self, mpi, tmp_path, toy_plan):
        program = fake_mpiexec(
            tmp_path,
            f"""
            if [ "$2" = 4 ]; then
                echo "There are not enough slots available in the system" >&2; exit 1
            fi
            exec {mpi.mpirun} "$@" """,
        )
        output = run_with(mpi, program, tmp_path, toy_plan)
        assert (
            "has no slots for 4 ranks: 2 are used, with the same result. Give 2 processes (-np)"
            in output
        )
        assert "executor  2 MPI ranks" in output

    def test_refusal_to_run_as_root_is_explained(self, mpi, tmp_path, toy_plan):
        program = fake_mpiexec(
            tmp_path, "echo 'mpiexec has detected an attempt to run as root.' >&2; exit 1"
        )
        output = run_with(mpi, program, tmp_path, toy_plan)
        assert (
            "does not run as root unless OMPI_ALLOW_RUN_AS_ROOT=1 and "
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 are set"
        ) in output
        assert "executor  4 processes" in output

    def test_ranks_that_do_not_see_each_other_are_explained(self, mpi, tmp_path, toy_plan):
        program = fake_mpiexec(
            tmp_path,
            """
            [ "$1" = --version ] && exit
            shift 2; for r in 0 1 2 3; do
                OMPI_COMM_WORLD_RANK=$r OMPI_COMM_WORLD_SIZE=4 "$@" & done; wait; exit 0""",
        )
        output = run_with(mpi, program, tmp_path, toy_plan)
        assert "must be the same MPI" in output
        assert "executor  4 processes" in output

    def test_launcher_that_fails_is_quoted(self, mpi, tmp_path, toy_plan):
        program = fake_mpiexec(tmp_path, "echo 'the network is down' >&2; exit 7")
        output = run_with(mpi, program, tmp_path, toy_plan)
        assert "ended with code 7 before the ranks were up: the network is down" in output
        assert "a pool of 4 processes is used, with the same result" in output


@pytest.mark.openmpi
@pytest.mark.parametrize("mpi", ["openmpi"], indirect=True)
class TestOpenMpi:
    """What Open MPI refuses where nothing was permitted."""

    def test_more_ranks_than_slots_means_fewer(self, mpi, tmp_path, toy_plan):
        ranks = 4 * (os.cpu_count() or 1)
        code, output, _ = mpi.run(
            *mpi.toy_program("-np", ranks, "-o", tmp_path / "out.mrc"),
            environment={
                name: value
                for name, value in mpi.environment(**toy_plan()).items()
                if "rmaps" not in name
            },
        )
        assert code == 0
        assert f"has no slots for {ranks} ranks" in output

    def test_launcher_of_another_family_is_explained_and_a_pool_is_used(
        self, mpi, tmp_path, toy_plan
    ):
        mpich = Path(sys.executable).with_name("mpiexec")
        if not mpich.exists():
            pytest.skip("MPICH is not installed")
        code, output, _ = mpi.run(
            *mpi.toy_program("-np", "2", "--mpiexec", mpich, "-o", tmp_path / "out.mrc"),
            environment=mpi.environment(**toy_plan()),
        )
        assert code == 0
        assert "must be the same MPI" in output
        assert "executor  2 processes" in output

    def test_root_is_explained_and_a_pool_is_used(self, mpi, tmp_path, toy_plan):
        if os.geteuid() != 0:
            pytest.skip("not root")
        code, output, _ = mpi.run(
            *mpi.toy_program("-np", "2", "-o", tmp_path / "out.mrc"),
            environment={
                name: value
                for name, value in mpi.environment(**toy_plan()).items()
                if "ROOT" not in name
            },
        )
        assert code == 0
        assert "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 are set" in output
        assert "executor  2 processes" in output
