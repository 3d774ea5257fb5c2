"""How rank 0 deals tasks to the other ranks, message by message, through a stand-in for MPI."""

from collections import defaultdict, deque

import pytest

from locscale_hybrid.dealing import (
    AHEAD,
    ASK,
    DONE,
    INDEX,
    LAST_TASKS,
    NO_MORE,
    Dealer,
    report_failure,
    send_command,
    serve,
)
from locscale_hybrid.errors import StageError
from locscale_hybrid.tasks import Clock
from tests import toy_tasks

RANKS = 3


class Comm:
    """One rank's view of messages kept in order until they are received; mpi4py's names."""

    def __init__(self, rank, boxes=None):
        self.rank, self.boxes = rank, boxes if boxes is not None else defaultdict(deque)
        self.when_idle = None

    def of(self, rank):
        return Comm(rank, self.boxes)

    def Get_rank(self):  # noqa: N802
        return self.rank

    def Get_size(self):  # noqa: N802
        return RANKS

    def Send(self, data, dest, tag):  # noqa: N802
        self.boxes[self.rank, dest, tag].append(bytes(data))

    def Iprobe(self, source, tag):  # noqa: N802
        if not self.boxes[source, self.rank, tag] and self.when_idle is not None:
            self.when_idle()
        return bool(self.boxes[source, self.rank, tag])

    def Recv(self, buffer, source, tag):  # noqa: N802
        buffer[:] = self.boxes[source, self.rank, tag].popleft()


def dealt(comm, rank, count):
    """A dealer after a rank has asked for AHEAD tasks; asks and answers by number."""
    busy = {rank: AHEAD}
    dealer = Dealer(comm, count, busy, Clock())
    for _ in range(AHEAD):
        comm.of(rank).Send(b"", 0, ASK)
    while dealer.step():
        pass
    return dealer, busy


def answers(comm, rank):
    """What rank 0 has sent a rank since."""
    box = comm.boxes[0, rank, INDEX]
    found = [int.from_bytes(data, "little", signed=True) for data in box]
    box.clear()
    return found


def done(comm, dealer, rank):
    """The rank has done its first task and asks for another."""
    comm.of(rank).Send(b"", 0, DONE)
    comm.of(rank).Send(b"", 0, ASK)
    while dealer.step():
        pass


def test_a_rank_has_the_next_task_while_it_works():
    comm = Comm(0)
    dealer, _ = dealt(comm, 1, 100)
    assert answers(comm, 1) == [0, 1]
    done(comm, dealer, 1)
    assert answers(comm, 1) == [2]
    assert dealer.fraction == 0.01


def test_of_the_last_tasks_none_waits_at_a_rank_that_has_one():
    comm = Comm(0)
    dealer, busy = dealt(comm, 1, LAST_TASKS * RANKS)
    assert answers(comm, 1) == [0]     # the second ask stands
    while dealer.take(0) is not None:  # rank 0 does the others meanwhile
        dealer.give_back(0)
    while dealer.step():
        pass
    assert answers(comm, 1) == [NO_MORE]    # nothing is left to wait for
    done(comm, dealer, 1)
    assert answers(comm, 1) == [NO_MORE]
    assert busy == {} and dealer.fraction == 1.0 and dealer.is_over()


def test_the_clock_runs_for_the_task_at_work_not_for_the_one_that_waits():
    comm, clock = Comm(0), Clock()
    dealer = Dealer(comm, 100, {1: AHEAD}, clock)
    assert [dealer.take(1), dealer.take(1)] == [0, 1]
    assert clock.busy[1][0] == 0
    dealer.give_back(1)
    assert clock.busy[1][0] == 1


def test_what_a_failed_rank_still_has_does_not_count_as_done():
    comm = Comm(0)
    dealer, busy = dealt(comm, 1, 100)
    report_failure(comm.of(1), ValueError("boom"), 0)
    for _ in range(AHEAD):
        done(comm, dealer, 1)
    assert answers(comm, 1) == [0, 1, NO_MORE, NO_MORE]
    assert busy == {} and dealer.fraction == 0.0
    with pytest.raises(StageError, match="rank 1 of 3 failed in task 0: ValueError: boom"):
        dealer.raise_failure()


@pytest.mark.parametrize("faulty", [[], [3]])
def test_a_rank_does_what_it_is_given_and_takes_the_rest_after_a_failure(tmp_path, faulty):
    count = 20
    toy_tasks.make_plan(tmp_path, count, faulty=faulty, fault="raise")
    comm = Comm(0)
    dealer = Dealer(comm, count, {1: AHEAD}, Clock())
    rank = comm.of(1)
    rank.when_idle = dealer.step     # the two take turns in one thread
    send_command(comm, {"function": "tests.toy_tasks:write_slot", "folder": str(tmp_path)}, 1)
    send_command(comm, {"finish": True}, 1)
    serve(rank)
    assert dealer.is_over()
    assert dealer.fraction == (1.0 if not faulty else 3 / count)
    assert not any(comm.boxes.values())
