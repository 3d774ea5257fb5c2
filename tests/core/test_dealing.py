"""How rank 0 deals tasks to the other ranks, message by message, through a stand-in for MPI."""

import time
from collections import defaultdict, deque
from pathlib import Path

import pytest

from locscale_hybrid.errors import StageError
from locscale_hybrid.parallel.mpi.dispatch import (
    AHEAD,
    ASK,
    DONE,
    FAIL,
    HALT,
    INDEX,
    NO_MORE,
    Dealer,
    report_failure,
    send_command,
    serve,
    watch_over,
)
from locscale_hybrid.parallel.patience import Clock
from tests import toy_tasks

RANKS = 3


def watch_with(clock=None):
    """A watch that sees no files, and the time of the wall."""
    return watch_over(Comm(0), clock or Clock(now=lambda: time.monotonic()), Path("none"))


class Comm:
    """One rank's view of messages kept in order until they are received; mpi4py's names."""

    def __init__(self, rank, boxes=None):
        self.rank, self.boxes = rank, boxes if boxes is not None else defaultdict(deque)
        self.when_idle = None
        self.arrives = {}  # by tag: what happens right after rank 0 has looked for it

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
        found = bool(self.boxes[source, self.rank, tag])
        self.arrives.pop(tag, lambda: None)()
        return found

    def Recv(self, buffer, source, tag):  # noqa: N802
        buffer[:] = self.boxes[source, self.rank, tag].popleft()


def dealt(comm, rank, count):
    """A dealer after a rank has asked for AHEAD tasks; asks and answers by number."""
    busy = {rank: AHEAD}
    dealer = Dealer(comm, count, busy, watch_with())
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


@pytest.fixture
def now(monkeypatch):
    """A clock that a test sets; seconds."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_rank_has_the_next_task_while_it_works_once_it_is_known_how_fast_it_is(now):
    comm = Comm(0)
    dealer, _ = dealt(comm, 1, 100)
    assert answers(comm, 1) == [0]  # the second ask stands
    now[0] += 1
    done(comm, dealer, 1)
    assert answers(comm, 1) == [1, 2]
    done(comm, dealer, 1)
    assert answers(comm, 1) == [3]
    assert dealer.fraction == 0.02


def test_of_the_last_tasks_none_waits_at_a_rank_that_has_one(now):
    comm = Comm(0)
    dealer, busy = dealt(comm, 1, 7)
    now[0] += 1
    done(comm, dealer, 1)
    assert answers(comm, 1) == [0, 1]  # 5 are left, less than 2 for each of 3 ranks
    while dealer.take(0) is not None:  # rank 0 does them meanwhile
        dealer.give_back(0)
    while dealer.step():
        pass
    assert answers(comm, 1) == [NO_MORE]  # nothing is left to wait for
    done(comm, dealer, 1)
    assert answers(comm, 1) == [NO_MORE]
    assert busy == {} and dealer.fraction == 1.0 and dealer.is_over()


def test_a_slow_rank_gets_nothing_ahead_that_the_others_would_have_done_before(now):
    comm = Comm(0)
    dealer, _ = dealt(comm, 1, 61)
    for _ in range(3):
        assert dealer.take(0) is not None
        now[0] += 1  # of rank 0, 1 s each
        dealer.give_back(0)
    now[0] += 7
    done(comm, dealer, 1)  # 10 s: two are 20, and the others need 56 / 3
    assert answers(comm, 1) == [0, 4]


def test_the_clock_runs_for_the_task_at_work_not_for_the_one_that_waits():
    comm, clock = Comm(0), Clock()
    dealer = Dealer(comm, 100, {1: AHEAD}, watch_with(clock))
    assert [dealer.take(1), dealer.take(1)] == [0, 1]
    assert clock.busy[1][0] == 0
    dealer.give_back(1)
    assert clock.busy[1][0] == 1


def test_what_a_failed_rank_still_has_does_not_count_as_done(now):
    comm = Comm(0)
    dealer, busy = dealt(comm, 1, 100)
    now[0] += 1
    done(comm, dealer, 1)
    report_failure(comm.of(1), ValueError("boom"), 1)
    for _ in range(AHEAD):
        done(comm, dealer, 1)
    assert answers(comm, 1) == [0, 1, 2, NO_MORE, NO_MORE]
    assert busy == {} and dealer.fraction == 0.01
    with pytest.raises(StageError, match="rank 1 of 3 failed in task 1: ValueError: boom"):
        dealer.raise_failure()


@pytest.mark.parametrize("after", [ASK, DONE, FAIL])
@pytest.mark.parametrize("fails", [True, False])
def test_last_messages_of_a_rank_count_whenever_they_come(after, fails):
    comm = Comm(0)
    dealer, busy = dealt(comm, 1, 1)

    def ends():
        if fails:
            report_failure(comm.of(1), ValueError("boom"), 0)
        comm.of(1).Send(b"", 0, DONE)
        comm.of(1).Send(b"", 0, ASK)

    comm.arrives[after] = ends
    while dealer.step() or after in comm.arrives:
        pass
    dealer.step()
    assert busy == {} and dealer.is_over()
    assert not any(box for (_, to, _), box in comm.boxes.items() if to == 0)
    if fails:
        with pytest.raises(StageError, match="boom"):
            dealer.raise_failure()
    else:
        assert dealer.fraction == 1.0
        dealer.raise_failure()


def test_what_is_not_done_is_no_success():
    dealer, _ = dealt(Comm(0), 1, 3)
    with pytest.raises(StageError, match="3 of 3 tasks were not done: a rank was silent"):
        dealer.raise_failure()


def test_a_rank_does_not_begin_what_it_has_once_the_plan_is_broken_off(tmp_path):
    toy_tasks.make_plan(tmp_path, 100)
    comm = Comm(0)
    dealer = Dealer(comm, 100, {1: AHEAD}, watch_with(), plan=7)
    rank = comm.of(1)
    rank.when_idle = lambda: (dealer.step(), dealer.fraction > 0.05 and dealer.refuse())
    comm.Send((6).to_bytes(8, "little"), 1, HALT)  # an earlier plan's, which says nothing of this
    send_command(
        comm, {"function": "tests.toy_tasks:write_slot", "folder": str(tmp_path), "plan": 7}, 1
    )
    send_command(comm, {"finish": True}, 1)
    serve(rank)
    begun = (tmp_path / "who.txt").read_text().splitlines()
    assert 5 < len(begun) == round(100 * dealer.fraction) < 10
    assert dealer.is_over()


@pytest.mark.parametrize("faulty", [[], [3]])
def test_a_rank_does_what_it_is_given_and_takes_the_rest_after_a_failure(tmp_path, faulty):
    count = 20
    toy_tasks.make_plan(tmp_path, count, faulty=faulty, fault="raise")
    comm = Comm(0)
    dealer = Dealer(comm, count, {1: AHEAD}, watch_with())
    rank = comm.of(1)
    rank.when_idle = dealer.step  # the two take turns in one thread
    send_command(comm, {"function": "tests.toy_tasks:write_slot", "folder": str(tmp_path)}, 1)
    send_command(comm, {"finish": True}, 1)
    serve(rank)
    assert dealer.is_over()
    assert dealer.fraction == (1.0 if not faulty else 3 / count)
    assert not any(comm.boxes.values())
