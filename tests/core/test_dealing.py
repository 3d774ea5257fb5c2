"""How tasks are dealt to workers: between threads, through stand-ins for pipes and for MPI."""

import queue
import threading
from pathlib import Path

import pytest
import scipy.fft  # noqa: F401  threads do not import it at the same time

from locscale_hybrid.errors import StageError
from locscale_hybrid.parallel.dealing import deal, serve
from locscale_hybrid.parallel.mpi.comm_world import CommWorldExecutor, serve_ranks
from locscale_hybrid.parallel.tasks import Failure
from locscale_hybrid.parallel.threads import find_blas
from tests import toy_tasks

RANKS, COUNT = 3, 12


class Crew:
    """Workers of which a test decides what they say."""

    def __init__(self, *answers):
        self.workers, self.free, self.patience = 2, set(), 300.0
        self.found, self.sent, self._answers = pytest.fail, [], list(answers)

    def called(self, worker):
        return f"worker {worker}"

    def send(self, worker, message):
        self.sent.append((worker, message.get("task", "over")))

    def answers(self):
        return self._answers.pop(0)


def write(crew, folder, count=3, **keywords):
    deal(crew, toy_tasks.write_slot, folder, count, progress=None, patience=None, **keywords)


def test_a_task_goes_to_whoever_is_free_first_and_nothing_is_handed_out_ahead(tmp_path):
    crew = Crew([(1, {})], [(1, {})], [(0, {})], [(1, {})], [(0, {})])
    write(crew, tmp_path)
    assert crew.sent == [(1, 0), (1, 1), (0, 2), (0, "over"), (1, "over")]
    assert crew.free == {0, 1}


def test_after_a_failure_no_task_is_begun_and_the_worker_is_named(tmp_path):
    failure = Failure("", "ValueError: boom", task=1).as_dict()
    crew = Crew([(0, {}), (1, {})], [(1, failure)])
    with pytest.raises(StageError, match="worker 1 failed in task 1: ValueError: boom"):
        write(crew, tmp_path)
    assert crew.sent == [(0, 0), (1, 1), (0, "over"), (1, "over")]


def test_a_worker_that_answers_together_with_a_failure_is_free_for_the_next_plan(tmp_path):
    failure = Failure("", "ValueError: boom", task=0).as_dict()
    crew = Crew([(0, {}), (1, {})], [(0, failure), (1, {})])
    with pytest.raises(StageError, match="worker 0 failed"):
        write(crew, tmp_path)
    assert crew.free == {0, 1}


class Link:
    """The worker's side, for a test that gives it messages."""

    def __init__(self, *messages):
        self.messages, self.sent = list(messages), []

    def receive(self):
        return self.messages.pop(0) if self.messages else None

    def send(self, message):
        self.sent.append(message)


@pytest.mark.parametrize("fault", ["raise", "exit"])
def test_a_worker_says_what_went_wrong_and_goes_on(tmp_path, fault):
    toy_tasks.make_plan(tmp_path, 2, faulty=[0], fault=fault)
    plan = {"function": "tests.toy_tasks:write_slot", "folder": str(tmp_path)}
    link = Link(plan | {"task": 0}, plan | {"task": 1}, {"over": True})
    serve(link, 0, 1)
    ready, failed, done = link.sent
    assert (ready, done, failed["task"]) == ({}, {}, 0)


def test_a_worker_that_does_not_see_the_folder_says_so(tmp_path):
    link = Link({"function": "tests.toy_tasks:write_slot", "folder": "/nowhere", "task": 0})
    serve(link, 0, 1)
    failure = Failure.from_dict(link.sent[1])
    assert failure.fact == "it does not see the folder /nowhere"
    assert {remedy.text for remedy in failure.remedies} == {"a folder that all hosts share"}


class Comm:
    """One rank's view of messages between threads; mpi4py's names."""

    def __init__(self, rank, boxes):
        self._rank, self._boxes, self.aborted = rank, boxes, None

    def Get_rank(self):  # noqa: N802
        return self._rank

    def Get_size(self):  # noqa: N802
        return RANKS

    def Send(self, data, dest, tag):  # noqa: N802
        self._boxes[self._rank, dest, tag].put(bytes(data))

    def Iprobe(self, source, tag):  # noqa: N802
        return not self._boxes[source, self._rank, tag].empty()

    def Recv(self, buffer, source, tag):  # noqa: N802
        buffer[:] = self._boxes[source, self._rank, tag].get()

    def Abort(self, code):  # noqa: N802
        self.aborted = code


@pytest.fixture
def ranks():
    """The executor of rank 0, the other ranks in threads, and where messages are."""
    find_blas()  # each rank does so in a process of its own
    boxes = {
        (source, dest, tag): queue.SimpleQueue()
        for source in range(RANKS)
        for dest in range(RANKS)
        for tag in (1, 2)
    }
    comms = [Comm(rank, boxes) for rank in range(RANKS)]
    threads = [
        threading.Thread(target=serve_ranks, args=(comm,), daemon=True) for comm in comms[1:]
    ]
    for thread in threads:
        thread.start()
    executor = CommWorldExecutor(comms[0])
    yield executor, boxes
    assert executor.finish(60.0)
    for thread in threads:
        thread.join(60.0)
        assert not thread.is_alive()
    assert all(box.empty() for box in boxes.values())  # what nobody takes spoils the end of MPI
    assert all(comm.aborted is None for comm in comms)


def expected(folder):
    folder.mkdir()
    toy_tasks.make_plan(folder, COUNT)
    for index in range(COUNT):
        toy_tasks.write_slot(folder, index)
    return toy_tasks.slots(folder)


def test_ranks_do_one_plan_after_another(ranks, tmp_path):
    executor, _ = ranks
    toy_tasks.make_plan(tmp_path, COUNT)
    seen = []
    for _ in range(2):
        executor.map(toy_tasks.write_slot, tmp_path, COUNT, progress=seen.append)
    assert toy_tasks.slots(tmp_path) == expected(tmp_path / "serial")
    assert seen[-1] == 1.0 and seen[: len(seen) // 2] == sorted(seen[: len(seen) // 2])


def test_ranks_that_never_get_a_plan_are_sent_home(ranks):
    executor, _ = ranks
    assert executor.name == "3 MPI ranks"


def test_failure_of_a_rank_leaves_all_ready_for_the_next_plan(ranks, tmp_path):
    executor, _ = ranks
    toy_tasks.make_plan(tmp_path, COUNT, faulty=[5], fault="raise")
    with pytest.raises(StageError, match=r"rank \d of 3 failed in task 5: ValueError: boom"):
        executor.map(toy_tasks.write_slot, tmp_path, COUNT)
    after = tmp_path / "after"  # a rank may still write into the first folder
    after.mkdir()
    toy_tasks.make_plan(after, COUNT)
    executor.map(toy_tasks.write_slot, after, COUNT)
    assert toy_tasks.slots(after) == expected(tmp_path / "serial")


def test_plan_waits_for_no_rank_that_is_at_work_on_another(ranks, tmp_path):
    executor, _ = ranks
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    toy_tasks.make_plan(tmp_path / "first", 3, slow={"0": 1.5}, faulty=[1], fault="raise")
    toy_tasks.make_plan(tmp_path / "second", 1)
    with pytest.raises(StageError, match="task 1"):
        executor.map(toy_tasks.write_slot, tmp_path / "first", 2)
    with pytest.raises(StageError, match="1 of 3 ranks are still at work on an earlier plan"):
        executor.map(toy_tasks.write_slot, tmp_path / "second", 1)
    assert not Path(tmp_path / "second/who.txt").exists()
