"""Suspended runs on ranks go on afterwards; a rank that is stopped is said, and then ended."""

import os
import re
import signal
import sys
import time

import pytest

from tests import toy_tasks
from tests.program import children

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
KINDS = pytest.mark.parametrize("kind", ["mpi", "world"])


def ranks(folder):
    return list(toy_tasks.workers(folder))


def start(mpi, kind, folder, patience):
    process = mpi.start(*mpi.toy_map(kind, 3, folder, patience=patience))
    toy_tasks.wait_until(lambda: len(ranks(folder)) == 3)
    return process


@KINDS
def test_run_that_was_suspended_as_a_whole_goes_on_where_it_was(mpi, plan, serial_bytes, kind):
    folder = plan(12, seconds=0.4)
    with start(mpi, kind, folder, 3.0) as process:
        everybody = [process.pid, *children(process.pid)]
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for pid in everybody:
                os.kill(pid, number)
            if number == signal.SIGSTOP:
                time.sleep(8.0)
        output, _ = process.communicate(timeout=120)
    assert (process.returncode, output) == (0, "3 MPI ranks\n")
    assert toy_tasks.slots(folder) == serial_bytes


def test_ranks_whose_program_alone_was_suspended_finish_their_plan(mpi, plan, serial_bytes):
    # Ctrl-Z: the ranks have sessions of their own and do not hear of it.
    folder = plan(12, seconds=0.4)
    with start(mpi, "mpi", folder, 3.0) as process:
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(10.0)
        os.kill(process.pid, signal.SIGCONT)
        output, _ = process.communicate(timeout=120)
    assert (process.returncode, output) == (0, "3 MPI ranks\n")
    assert toy_tasks.slots(folder) == serial_bytes


@pytest.mark.parametrize(
    ("kind", "number"),
    [("mpi", 1), ("world", 1), ("mpi", 0), pytest.param("world", 0, marks=pytest.mark.long)],
)
def test_stopped_rank_is_said_and_ends_the_run_whatever_a_task_may_take(mpi, plan, kind, number):
    folder = plan(400, seconds=0.05, patience=3600.0)
    with start(mpi, kind, folder, 6.0) as process:
        (pid,) = (pid for pid in ranks(folder) if toy_tasks.rank_of(pid) == number)
        os.kill(pid, signal.SIGSTOP)
        output, errors = process.communicate(timeout=200)
    assert process.returncode != 0
    said = f"rank {number} of 3 has been silent for "
    assert len(re.findall(re.escape(said), output + errors)) >= 1
    if (kind, number) != ("world", 0):  # whose program it is
        assert re.search(rf"worker-silent: rank {number} of 3 has not responded for \d s", output)
    toy_tasks.wait_until(
        lambda: not any(map(toy_tasks.is_alive, ranks(folder))), seconds=toy_tasks.ORPHAN_SECONDS
    )
