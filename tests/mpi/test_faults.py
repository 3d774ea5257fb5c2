"""The real program on ranks that it starts itself, and what goes wrong with them."""

import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.program import Program, children, make_case
from tests.toy_tasks import ORPHAN_SECONDS, is_alive, rank_of, wait_until

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

LONGER = ["--scaling", "windows"]  # seconds of work, so that a fault falls into it


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    pytest.importorskip("mpi4py")
    return make_case(tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="module")
def serial(case, tmp_path_factory):
    """Bytes of the map of a serial run."""
    path = tmp_path_factory.mktemp("serial") / "out.mrc"
    with Program(*case.words, "-o", path, "-np", 1) as program:
        assert program.end() == 0
    return path.read_bytes()


@pytest.fixture
def temporary(tmp_path):
    folder = tmp_path / "tmp é"
    folder.mkdir()
    return folder


def ranks_of(program):
    """Process numbers of the ranks that a program has started, by rank."""
    found = {}
    for pid in children(program.process.pid):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"python" in words[0] and b"locscale_hybrid.parallel.worker" in words:
                found[rank_of(pid)] = pid
    return found


def started(case, folder, temporary, *words):
    return Program(
        *case.words, "-o", folder / "out.mrc", *words, environment={"TMPDIR": str(temporary)}
    )


def at_work(program, ranks):
    """Wait for the scaling and for its ranks to be up; their process numbers by rank."""
    program.until("scaling")
    wait_until(lambda: len(ranks_of(program)) == ranks)
    return ranks_of(program)


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_give_the_bytes_of_serial_and_leave_nothing(case, serial, tmp_path, temporary, ranks):
    with started(case, tmp_path, temporary, "-np", ranks) as program:
        assert program.end() == 0, program.events[-1]
    assert (tmp_path / "out.mrc").read_bytes() == serial
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_ranks_work_ends_all(case, tmp_path, temporary, number):
    before = case.hashes()
    with started(case, tmp_path, temporary, "-np", 2, *LONGER) as program:
        ranks = at_work(program, 2).values()
        program.process.send_signal(number)
        assert program.end() in (130, 0)
        assert program.said("result") or "interrupted" in program.error
    wait_until(lambda: not any(map(is_alive, ranks)), seconds=ORPHAN_SECONDS)
    assert list(temporary.iterdir()) == []
    assert case.hashes() == before


def test_killed_rank_ends_the_run_with_one_sentence(case, tmp_path, temporary):
    with started(case, tmp_path, temporary, "-np", 3, *LONGER) as program:
        ranks = at_work(program, 3)
        os.kill(ranks[1], signal.SIGKILL)
        code = program.end()
    wait_until(lambda: not any(map(is_alive, ranks.values())), seconds=ORPHAN_SECONDS)
    assert list(temporary.iterdir()) == []
    if program.said("result"):  # the work was over
        assert code == 0
        return
    assert code == 3
    # 255: MPICH's own code, where its launcher has lost the rank before it saw the signal
    assert "of 3 was killed" in program.error or "of 3 ended with code 255" in program.error
    assert not (tmp_path / "out.mrc").exists()


def test_killed_program_leaves_no_rank(case, tmp_path, temporary):
    with started(case, tmp_path, temporary, "-np", 3, *LONGER) as program:
        ranks = at_work(program, 3).values()
        program.process.kill()
        wait_until(lambda: not any(map(is_alive, ranks)), seconds=ORPHAN_SECONDS)
    wait_until(lambda: list(temporary.iterdir()) == [])
    assert not (tmp_path / "out.mrc").exists()


def test_killed_run_on_ranks_is_resumed_with_the_bytes_of_serial(case, serial, tmp_path, temporary):
    with started(case, tmp_path, temporary, "-np", 2, "--resume") as program:
        program.until("scaling")
        program.process.kill()
        program.end()
    with started(case, tmp_path, temporary, "-np", 1, "--resume") as program:
        assert program.end() == 0
        codes = [event["code"] for event in program.said("finding")]
        assert "stage-resumed-adp" in codes
    assert (tmp_path / "out.mrc").read_bytes() == serial


def test_mpiexec_that_fails_means_a_pool_with_the_same_bytes(case, serial, tmp_path, temporary):
    mpiexec = tmp_path / "mpiexec"
    mpiexec.write_text("#!/bin/sh\necho 'no licence' >&2\nexit 7\n")
    mpiexec.chmod(0o755)
    with started(case, tmp_path, temporary, "-np", 2, "--mpiexec", mpiexec) as program:
        assert program.end() == 0
        (told,) = [event for event in program.said("finding") if event["code"] == "mpi-not-used"]
    assert "no licence; a pool of 2 processes is used, with the same result" in told["message"]
    assert (tmp_path / "out.mrc").read_bytes() == serial
    assert list(temporary.iterdir()) == []


def test_mpiexec_that_is_missing_is_refused_before_the_work(case, tmp_path, temporary):
    with started(case, tmp_path, temporary, "-np", 2, "--mpiexec", "/nowhere/mpiexec") as program:
        assert program.end() == 2
    assert "/nowhere/mpiexec" in program.error
    assert list(temporary.iterdir()) == []
