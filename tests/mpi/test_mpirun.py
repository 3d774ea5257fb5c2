"""The whole program under mpirun: with -mpi all ranks share the work, without it one does."""

import os
import re
import shlex
import signal

import pytest

from tests import toy_tasks


def gone(folder):
    return not any(map(toy_tasks.is_alive, toy_tasks.workers(folder)))


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_any_number_of_ranks_gives_the_bytes_of_serial(
    mpi, tmp_path, serial_bytes, toy_plan, ranks
):
    output = tmp_path / "out é.mrc"
    code, text, errors = mpi.run(
        mpi.mpirun,
        "-np",
        ranks,
        *mpi.toy_program("-o", output, "-mpi", "-v"),
        environment=mpi.environment(**toy_plan(plans=2)),
    )
    assert (code, errors) == (0, "")
    assert output.read_bytes() == serial_bytes
    assert f"executor  {ranks} MPI rank" in text
    assert text.count("8/8 output") == 1


def test_published_line_with_its_stray_space(mpi, tmp_path, serial_bytes, toy_plan):
    output = tmp_path / "out.mrc"
    code, text, _ = mpi.run(
        mpi.mpirun,
        "-np",
        2,
        *mpi.toy_program("-mc", "m.pdb", "-v", "-o", output, "--", "complete_model", "-mpi"),
        environment=mpi.environment(**toy_plan()),
    )
    assert code == 0
    assert "there is a stray space" in text
    assert output.read_bytes() == serial_bytes


def test_number_of_processes_is_ignored_and_said(mpi, tmp_path, toy_plan):
    _, text, _ = mpi.run(
        mpi.mpirun,
        "-np",
        2,
        *mpi.toy_program("-np", 7, "-o", tmp_path / "out.mrc", "-mpi"),
        environment=mpi.environment(**toy_plan()),
    )
    assert (
        "note: the request for 7 processes is ignored, because the launcher started 2 ranks" in text
    )


def test_without_the_flag_nothing_is_done_and_every_rank_says_so(mpi, tmp_path, toy_plan):
    code, _, errors = mpi.run(
        mpi.mpirun,
        "-np",
        3,
        *mpi.toy_program("-o", tmp_path / "out.mrc"),
        environment=mpi.environment(**toy_plan()),
    )
    assert code == 2
    assert (
        errors.count(
            "started 3 processes, and this one does not know whether they share one run. Add -mpi"
        )
        >= 1
    )
    assert list(tmp_path.glob("out*")) == []


RANK = "${PMI_RANK:-$OMPI_COMM_WORLD_RANK}"


def shell(*words):
    """Words of a shell in which the last one may name the rank."""
    quoted = " ".join(shlex.quote(str(word)) for word in words)
    return ["sh", "-c", f"{quoted} -o out.{RANK}.mrc"]


def test_runs_of_their_own_in_every_rank_are_all_done(mpi, tmp_path, serial_bytes, toy_plan):
    folder = tmp_path / "runs"
    folder.mkdir()
    with mpi.start(
        mpi.mpirun,
        "-np",
        3,
        *shell(*mpi.toy_program("-np", 1)),
        environment=mpi.environment(**toy_plan()),
        cwd=folder,
    ) as process:
        text, errors = process.communicate(timeout=200)
    assert (process.returncode, errors) == (0, "")
    assert text.count("and this one is a run of its own. Add -mpi") == 3
    for rank in range(3):
        assert (folder / f"out.{rank}.mrc").read_bytes() == serial_bytes
    assert len(list(folder.iterdir())) == 9


def test_ranks_that_were_asked_for_different_runs_do_none(mpi, tmp_path, toy_plan):
    folder = tmp_path / "runs"
    folder.mkdir()
    with mpi.start(
        mpi.mpirun,
        "-np",
        3,
        *shell(*mpi.toy_program("-mpi")),
        environment=mpi.environment(**toy_plan()),
        cwd=folder,
    ) as process:
        _, errors = process.communicate(timeout=200)
    assert process.returncode == 2
    assert (
        errors.count("rank 0 and rank 1 have different options, so they cannot share one run") == 1
    )
    assert list(folder.iterdir()) == []


def test_flag_without_a_launcher_is_explained(mpi, tmp_path):
    code, _, errors = mpi.run(*mpi.toy_program("-o", tmp_path / "out.mrc", "-mpi"))
    assert code == 2
    assert "no mpirun or srun started this process" in errors


def test_launcher_of_another_mpi_is_explained(mpi, tmp_path):
    environment = mpi.environment(SLURM_PROCID="0", SLURM_STEP_NUM_TASKS="4")
    code, _, errors = mpi.run(
        *mpi.toy_program("-o", tmp_path / "out.mrc", "-mpi"), environment=environment
    )
    assert code == 2
    assert re.search(
        r"srun started 4 processes but mpi4py, with .+, sees one: both must be the "
        "same MPI",
        errors,
    )
    environment["SLURM_PROCID"] = "1"
    code, _, errors = mpi.run(
        *mpi.toy_program("-o", tmp_path / "out.mrc", "-mpi"), environment=environment
    )
    assert (code, errors) == (2, "")


def test_bad_words_are_one_sentence_of_one_rank(mpi, tmp_path):
    code, _, errors = mpi.run(mpi.mpirun, "-np", 3, *mpi.toy_program("-mpi", "--zzz"))
    assert code == 2
    assert errors.count("locscale: --zzz is unknown; see locscale --help") == 1


def test_bad_input_is_one_sentence_of_one_rank(mpi, tmp_path, toy_plan):
    code, _, errors = mpi.run(
        mpi.mpirun,
        "-np",
        3,
        *mpi.toy_program("-mpi", "-o", tmp_path / "out.mrc"),
        environment=mpi.environment(**toy_plan(error="half maps differ in box")),
    )
    assert code == 2
    assert errors.count("locscale: half maps differ in box") == 1


@pytest.mark.parametrize("index", [0, 5])
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("raise", r"rank \d of 3 failed in task {}: ValueError: boom"),
        ("exit", r"rank \d of 3 failed in task {}: SystemExit: 5"),
    ],
)
def test_fault_of_a_rank_ends_all_with_one_message(mpi, plan, fault, sentence, index):
    folder = plan(faulty=[index], fault=fault, seconds=0.02)
    code, output, _ = mpi.run(*mpi.toy_map("world", 3, folder))
    assert code == 3
    assert len(re.findall("error: " + sentence.format(index), output)) == 1
    assert gone(folder)


@pytest.mark.parametrize(
    ("rank", "fault"),
    [
        (2, "hang"),
        (0, "deaf"),
        pytest.param(2, "deaf", marks=pytest.mark.long),
        pytest.param(0, "hang", marks=pytest.mark.long),
    ],
)
def test_silent_rank_ends_all_after_the_patience(mpi, plan, rank, fault):
    folder = plan(40, faulty_ranks=[rank], fault=fault, seconds=0.05)
    code, output, _ = mpi.run(*mpi.toy_map("world", 3, folder, patience=4.0))
    assert code == 3
    assert (
        len(re.findall(rf"error: rank {rank} of 3 has been silent for \d+ s in task \d+", output))
        == 1
    )
    toy_tasks.wait_until(lambda: gone(folder), seconds=toy_tasks.ORPHAN_SECONDS)


@pytest.mark.parametrize("fault", ["kill", pytest.param("crash", marks=pytest.mark.long)])
def test_rank_that_dies_ends_all(mpi, plan, fault):
    folder = plan(faulty=[5], fault=fault, seconds=0.02)
    code, _, _ = mpi.run(*mpi.toy_map("world", 3, folder))
    assert code != 0
    toy_tasks.wait_until(lambda: gone(folder), seconds=toy_tasks.ORPHAN_SECONDS)


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGTERM]
)
def test_stopped_launcher_leaves_no_rank_and_no_output(mpi, tmp_path, temporary, toy_plan, number):
    environment = mpi.environment(
        TMPDIR=str(temporary), **toy_plan(faulty=list(range(4, 12)), fault="hang", seconds=0.02)
    )
    with mpi.start(
        mpi.mpirun,
        "-np",
        3,
        *mpi.toy_program("-mpi", "-o", tmp_path / "out.mrc"),
        environment=environment,
    ) as process:
        found = []

        def all_at_work():
            found[:] = [path.parent for path in temporary.glob("*/*/who.txt")]
            return found and len(toy_tasks.workers(found[0])) == 3

        toy_tasks.wait_until(all_at_work)
        pids = list(toy_tasks.workers(found[0]))
        process.send_signal(number)
        assert process.wait(120) != 0
    toy_tasks.wait_until(
        lambda: not any(map(toy_tasks.is_alive, pids)), seconds=toy_tasks.ORPHAN_SECONDS
    )
    assert not (tmp_path / "out.mrc").exists()


@pytest.mark.openmpi
@pytest.mark.parametrize("mpi", ["openmpi"], indirect=True)
def test_refusals_of_open_mpi_come_before_the_program(mpi, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("not root")
    environment = {name: value for name, value in mpi.environment().items() if "ROOT" not in name}
    code, _, errors = mpi.run(
        mpi.mpirun,
        "-np",
        2,
        *mpi.toy_program("-mpi", "-o", tmp_path / "out.mrc"),
        environment=environment,
    )
    assert code == 1
    assert "locscale" not in errors
