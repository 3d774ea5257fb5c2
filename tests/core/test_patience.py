"""Silence of other processes: counted while the watcher is awake, said, and ended."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from locscale_hybrid.errors import StageError
from locscale_hybrid.parallel import patience
from locscale_hybrid.parallel.patience import Awake, Heart, Watch, life_file, stamp_in
from locscale_hybrid.remedies import do
from tests import toy_tasks
from tests.program import children

ROOT = Path(__file__).parents[2]


@pytest.fixture
def at(monkeypatch):
    """Set the time of the machine, in s."""
    return lambda seconds: monkeypatch.setattr(time, "monotonic", lambda: seconds)


def test_time_in_which_the_process_did_not_run_does_not_count(at):
    at(100.0)
    awake = Awake()
    for moment in (100.4, 100.9, 1000.0, 1000.5):  # suspended for 899 s
        at(moment)
        awake()
    assert awake() == pytest.approx(0.9 + 1.0 + 0.5)


def test_heart_renews_its_file_and_does_not_make_it_again(tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "_BEAT_SECONDS", 0.02)
    path = life_file(tmp_path, 0)
    heart = Heart(1)
    heart.beat_in(path)
    first = path.stat().st_mtime_ns
    toy_tasks.wait_until(lambda: path.stat().st_mtime_ns != first)
    path.unlink()
    time.sleep(0.2)
    assert not path.exists()
    heart.beat_in(None)


class Watched:
    """A watch over workers whose signs of life, and whose time, a test sets."""

    def __init__(self, patience, for_task=None):
        self.now, self.beats, self.found, self.said = 0.0, {}, [], None
        self.watch = Watch(
            self.beats.get,
            4,
            called=lambda worker: f"rank {worker} of 4",
            found=self.found.append,
            patience=patience,
            for_task=for_task,
            remedy=do("rerun"),
            now=lambda: self.now,
        )

    def until(self, second, *alive):
        """Look every second; True once the watch has given a worker up."""
        while self.now < second and self.said is None:
            self.now += 1.0
            self.beats.update(dict.fromkeys(alive, self.now))
            try:
                self.watch.look()
            except StageError as error:
                self.said = str(error)
        return self.said is not None


def test_worker_without_a_sign_of_life_is_said_once_and_given_up_at_the_limit():
    watched = Watched(300.0, for_task=5000.0)
    for worker in (1, 2):
        watched.watch.began(worker, worker)
    watched.until(1.0, 1, 2)
    assert not watched.until(31.0, 2) and watched.found == []
    assert not watched.until(301.0, 2)
    (finding,) = watched.found
    assert finding.code == "worker-silent"
    assert finding.message == (
        "rank 1 of 4 has not responded for 31 s. The run ends if this lasts 300 s. Check whether "
        "that process is suspended, and whether its disk responds."
    )
    assert watched.until(302.0, 2)
    assert watched.said == (
        "rank 1 of 4 has been silent for 302 s in task 1; the longest other task took 0.0 s. Rerun."
    )


def test_worker_that_falls_silent_again_is_said_again():
    watched = Watched(300.0)
    watched.watch.began(0, 0)
    watched.until(1.0, 0)
    watched.until(40.0)
    watched.until(60.0, 0)
    watched.until(120.0)
    assert len(watched.found) == 2


def test_worker_that_has_never_shown_a_sign_is_not_taken_for_silent():
    watched = Watched(60.0, for_task=900.0)
    watched.watch.began(3, 7)
    assert not watched.until(900.0) and watched.found == []
    assert watched.until(902.0)


@pytest.mark.parametrize(
    ("patience", "for_task", "longest", "limit"),
    [
        (50.0, None, 0.0, 50.0),
        (50.0, 900.0, 0.0, 900.0),  # a plan of long tasks gets more
        (50.0, 1.0, 0.0, 50.0),  # and never less
        (100.0, None, 60.0, 600.0),  # ten times what another took
    ],
)
def test_task_that_takes_too_long_is_given_up_although_its_worker_lives(
    patience, for_task, longest, limit
):
    watched = Watched(patience, for_task)
    watched.watch.began(1, 1)
    watched.until(longest, 1)
    assert watched.watch.ended(1) and not watched.watch.ended(1)
    watched.watch.began(0, 7)
    assert not watched.until(longest + limit, 0)
    assert watched.until(longest + limit + 2, 0)
    assert "in task 7" in watched.said


def test_watch_of_a_suspended_process_finds_nobody_late(at):
    at(0.0)
    watch = Watch(lambda worker: 1, 2, called=str, found=pytest.fail, patience=60.0)
    watch.began(0, 7)
    for second in range(2):
        at(float(second))
        watch.look()
    at(100000.0)
    watch.look()


def test_stamp_is_that_of_the_file(tmp_path):
    stamp = stamp_in(tmp_path)
    assert stamp(3) is None
    life_file(tmp_path, 3).touch()
    os.utime(life_file(tmp_path, 3), (5, 5))
    assert stamp(3) == 5_000_000_000


@pytest.mark.parametrize(("workers", "seconds"), [(1, 1.0), (100, 1.0), (500, 5.0), (5000, 10.0)])
def test_many_workers_show_their_signs_of_life_less_often(workers, seconds):
    assert patience.beat_seconds(workers) == seconds
    assert 2 * seconds < patience.NOTICE_SECONDS  # the longest time between two that are seen


# ---- processes ----------------------------------------------------------------------------------

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def start_pool(folder, seconds):
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/toy_map.py"), "pool", "2", str(folder), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )
    toy_tasks.wait_until(lambda: len(toy_tasks.workers(folder)) == 2)
    return process


def send_all(process, number):
    for pid in (process.pid, *children(process.pid)):
        os.kill(pid, number)


def test_pool_that_was_suspended_as_a_whole_goes_on_where_it_was(tmp_path):
    toy_tasks.make_plan(tmp_path, 12, seconds=0.3)
    with start_pool(tmp_path, 3.0) as process:
        send_all(process, signal.SIGSTOP)
        time.sleep(7.0)
        send_all(process, signal.SIGCONT)
        output, _ = process.communicate(timeout=120)
    assert (process.returncode, output) == (0, "2 processes\n")
    (tmp_path / "serial").mkdir()
    toy_tasks.make_plan(tmp_path / "serial", 12)
    for index in range(12):
        toy_tasks.write_slot(tmp_path / "serial", index)
    assert toy_tasks.slots(tmp_path) == toy_tasks.slots(tmp_path / "serial")


def test_stopped_process_of_a_pool_is_said_and_ends_the_run_whatever_a_task_may_take(tmp_path):
    toy_tasks.make_plan(tmp_path, 200, seconds=0.05, patience=3600.0)
    with start_pool(tmp_path, 6.0) as process:
        pid = next(iter(toy_tasks.workers(tmp_path)))
        os.kill(int(pid), signal.SIGSTOP)
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 3
    said, error = output.splitlines()
    assert re.fullmatch(
        r"worker-silent: process \d of 2 has not responded for \d s. The run ends "
        r"if this lasts 6 s. Check whether .*",
        said,
    )
    assert re.match(r"error: process \d of 2 has been silent for \d+ s in task \d+", error)
    assert not any(map(toy_tasks.is_alive, toy_tasks.workers(tmp_path)))


def test_stopped_process_that_goes_on_in_time_ends_nothing(tmp_path):
    toy_tasks.make_plan(tmp_path, 40, seconds=0.05, patience=3600.0)
    with start_pool(tmp_path, 60.0) as process:
        pid = int(next(iter(toy_tasks.workers(tmp_path))))
        os.kill(pid, signal.SIGSTOP)
        time.sleep(3.0)
        os.kill(pid, signal.SIGCONT)
        output, _ = process.communicate(timeout=120)
    assert (process.returncode, output) == (0, "2 processes\n")
