"""Silence of other processes: counted while the watcher is awake, said, and ended."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from locscale_hybrid.parallel import patience
from locscale_hybrid.parallel.mpi import parent_watch
from locscale_hybrid.parallel.patience import Awake, Clock, Heart, Pulse, Watch, life_file
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


def test_clock_of_a_suspended_process_finds_nobody_late(at):
    at(0.0)
    clock = Clock(patience=60.0)
    clock.started(0, 7)
    at(100000.0)
    assert clock.overdue() is None
    for second in range(100001, 100062):
        at(float(second))
        late = clock.overdue()
    assert late == (0, 7, 62.0)


def test_pulse_counts_from_the_last_change_of_the_file(tmp_path):
    seconds = [0.0]
    pulse = Pulse(tmp_path, lambda: seconds[0])
    life_file(tmp_path, 3).touch()
    for now, beats, silence in (
        (1.0, True, 0.0),
        (4.0, False, 3.0),
        (9.0, True, 0.0),
        (12.0, False, 3.0),
    ):
        seconds[0] = now
        if beats:
            os.utime(life_file(tmp_path, 3), (now, now))
        pulse.look([3, 4])
        assert (pulse.silence(3), pulse.silence(4)) == (silence, 0.0)  # 4 has shown no file


def test_heart_renews_its_file_and_does_not_make_it_again(tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "BEAT_SECONDS", 0.02)
    path = life_file(tmp_path, 0)
    heart = Heart(1)
    heart.beat_in(path)
    first = path.stat().st_mtime_ns
    toy_tasks.wait_until(lambda: path.stat().st_mtime_ns != first)
    path.unlink()
    time.sleep(0.2)
    assert not path.exists()
    heart.beat_in(None)


def test_worker_without_a_sign_of_life_is_said_once_and_given_up_at_the_limit(tmp_path):
    seconds, found = [0.0], []
    clock = Clock(patience=5000.0, now=lambda: seconds[0])
    watch = Watch(
        clock,
        tmp_path,
        limit=300.0,
        workers=4,
        found=found.append,
        called=lambda worker: f"rank {worker} of 4",
        remedy="run it again",
    )
    for worker in (1, 2):
        life_file(tmp_path, worker).touch()
        clock.started(worker, worker)
    late = None
    while late is None:
        seconds[0] += 1.0
        os.utime(life_file(tmp_path, 2), (seconds[0], seconds[0]))
        late = watch.late()
        if seconds[0] == 35.0:
            assert [finding.code for finding in found] == ["worker-silent"]
    assert late == (
        1,
        "rank 1 of 4 has been silent for 301 s in task 1; the longest other task "
        "took 0.0 s; run it again",
    )
    (finding,) = found
    assert finding.message == (
        "rank 1 of 4 has not responded for 31 s. The run ends if this lasts 300 s. Check whether "
        "that process is suspended, and whether its disk responds"
    )


def test_worker_that_falls_silent_again_is_said_again(tmp_path):
    seconds, found = [0.0], []
    clock = Clock(now=lambda: seconds[0])
    watch = Watch(
        clock, tmp_path, limit=300.0, workers=4, called=str, found=found.append, remedy=""
    )
    life_file(tmp_path, 0).touch()
    clock.started(0, 0)
    for second in range(120):
        seconds[0] = float(second)
        if 40 < second < 60:
            os.utime(life_file(tmp_path, 0), (second, second))
        watch.late()
    assert len(found) == 2


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


def test_parent_that_is_suspended_is_not_lost_where_there_is_no_fifo(tmp_path):
    code = (
        "from locscale_hybrid.parallel.mpi.parent_watch import Lifeline;"
        "from pathlib import Path; import time;"
        f"held = Lifeline(Path({str(tmp_path)!r}), fifo=False); print('up', flush=True); "
        "time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    lost = []
    try:
        assert parent.stdout.readline() == b"up\n"
        os.kill(parent.pid, signal.SIGSTOP)
        parent_watch.watch(tmp_path, lambda: lost.append(True), lost_after=1.0)
        time.sleep(3.0)
        assert not lost
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    toy_tasks.wait_until(lambda: lost)
