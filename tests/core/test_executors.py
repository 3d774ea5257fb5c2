"""Executors: same bytes for any, every failure one sentence that names the process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from locscale_hybrid.errors import Cancelled, InputError, StageError
from locscale_hybrid.parallel.executors import ProcessExecutor, SerialExecutor, local_executor
from locscale_hybrid.parallel.mpi.comm_world import comm_world
from locscale_hybrid.parallel.tasks import Failure, death, load_task, task_name
from tests import toy_tasks

ROOT = Path(__file__).parents[2]
COUNT = 10


@pytest.fixture
def serial_bytes(tmp_path):
    folder = tmp_path / "serial"
    folder.mkdir()
    toy_tasks.make_plan(folder, COUNT)
    SerialExecutor().map(toy_tasks.write_slot, folder, COUNT)
    return toy_tasks.slots(folder)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_pool_gives_the_bytes_of_serial(tmp_path, serial_bytes, workers):
    toy_tasks.make_plan(tmp_path, COUNT)
    with ProcessExecutor(workers) as pool:
        for _ in range(2):
            pool.map(toy_tasks.write_slot, tmp_path, COUNT)
    assert toy_tasks.slots(tmp_path) == serial_bytes
    assert len(toy_tasks.workers(tmp_path)) <= workers


def test_pool_deals_as_processes_become_free(tmp_path):
    toy_tasks.make_plan(tmp_path, COUNT, last=0)
    with ProcessExecutor(2) as pool:
        pool.map(toy_tasks.write_slot, tmp_path, COUNT)
    shares = sorted(toy_tasks.workers(tmp_path).values())
    assert shares == [1, COUNT - 1]


def test_progress_of_the_pool_ends_at_one_and_never_falls(tmp_path):
    toy_tasks.make_plan(tmp_path, COUNT)
    seen = []
    with ProcessExecutor(2) as pool:
        pool.map(toy_tasks.write_slot, tmp_path, COUNT, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_progress_of_serial_counts_tasks(tmp_path):
    toy_tasks.make_plan(tmp_path, 4)
    seen = []
    SerialExecutor().map(toy_tasks.write_slot, tmp_path, 4, progress=seen.append)
    assert seen == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("raise", r"process [12] of 2 failed in task 5: ValueError: boom"),
        ("exit", r"process [12] of 2 failed in task 5: SystemExit: 5"),
        (
            "memory",
            r"process [12] of 2 failed in task 5: MemoryError: Unable to allocate 1.00 "
            r"GiB .*; there is not enough memory. Give fewer processes",
        ),
        (
            "kill",
            r"process [12] of 2 was killed \(signal 9: out of memory\?\)\. Give fewer processes if memory",
        ),
        ("leave", r"process [12] of 2 ended with code 3"),
    ],
)
def test_failing_process_is_named_and_all_end(tmp_path, fault, sentence):
    toy_tasks.make_plan(tmp_path, COUNT, fault=fault, faulty=[5], seconds=0.02)
    pool = ProcessExecutor(2)
    with pool, pytest.raises(StageError, match=sentence):
        pool.map(toy_tasks.write_slot, tmp_path, COUNT)
    assert not any(map(toy_tasks.is_alive, toy_tasks.workers(tmp_path)))


@pytest.mark.parametrize("fault", ["hang", "hang deaf"])
def test_hanging_process_is_named_after_the_patience(tmp_path, fault):
    toy_tasks.make_plan(tmp_path, COUNT, fault=fault, faulty=[5])
    pool = ProcessExecutor(2, patience=1.0)
    with pool, pytest.raises(StageError, match=r"of 2 has been silent for \d+ s in task 5"):
        pool.map(toy_tasks.write_slot, tmp_path, COUNT)
    assert not any(map(toy_tasks.is_alive, toy_tasks.workers(tmp_path)))


def test_stop_request_ends_the_pool(tmp_path):
    def stop(fraction):
        if fraction > 0:
            raise Cancelled("the run was stopped")

    toy_tasks.make_plan(tmp_path, COUNT, seconds=0.1)
    pool = ProcessExecutor(2)
    with pool, pytest.raises(Cancelled):
        pool.map(toy_tasks.write_slot, tmp_path, COUNT, progress=stop)
    assert not any(map(toy_tasks.is_alive, toy_tasks.workers(tmp_path)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")
def test_pool_ends_when_its_parent_is_killed(tmp_path):
    toy_tasks.make_plan(tmp_path, COUNT, seconds=0.05, faulty=[8, 9], fault="hang")
    parent = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/toy_map.py"), "pool", "2", str(tmp_path), "300"]
    )
    toy_tasks.wait_until(lambda: len(toy_tasks.workers(tmp_path)) == 2)
    parent.kill()
    parent.wait()
    toy_tasks.wait_until(
        lambda: not any(map(toy_tasks.is_alive, toy_tasks.workers(tmp_path))),
        seconds=toy_tasks.ORPHAN_SECONDS,
    )


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts in /proc")
def test_pools_in_a_row_leave_no_file_open(tmp_path):
    toy_tasks.make_plan(tmp_path, 2)
    counts = []
    for _ in range(3):
        with ProcessExecutor(2) as pool:
            pool.map(toy_tasks.write_slot, tmp_path, 2)
        counts.append(len(os.listdir("/proc/self/fd")))
    assert counts[1] == counts[2]


def test_processes_of_the_pool_have_one_blas_thread(tmp_path):
    toy_tasks.make_plan(tmp_path, 2)
    with ProcessExecutor(1) as pool:
        pool.map(toy_tasks.write_environment, tmp_path, 1)
    found = (tmp_path / "environment.txt").read_text()
    assert "OPENBLAS_NUM_THREADS=1" in found
    assert "OMP_NUM_THREADS=1" in found


def test_lambda_cannot_be_a_task():
    with pytest.raises(StageError, match="must stand at the top level of a module"):
        task_name(lambda folder, index: None)


def test_name_of_a_task_leads_back_to_it():
    assert load_task(task_name(toy_tasks.write_slot)) is toy_tasks.write_slot


def test_one_process_is_serial():
    assert isinstance(local_executor(1, found=pytest.fail), SerialExecutor)


def test_without_mpi_a_pool_is_used_without_a_complaint(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    executor = local_executor(2, found=pytest.fail)
    assert isinstance(executor, ProcessExecutor)
    assert executor.name == "2 processes"


def test_mpiexec_that_was_named_and_is_not_used_is_said(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    findings = []
    program = Path(sys.executable)
    executor = local_executor(2, mpiexec=program, found=findings.append)
    assert isinstance(executor, ProcessExecutor)
    assert findings[0].message.startswith(
        f"{program} is not used, because mpi4py is not installed. A pool of 2 processes gives the "
        "same result"
    )


def test_mpi_flag_without_mpi4py_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(InputError, match=r"mpi4py and an MPI library are needed"):
        comm_world({"PMI_RANK": "0", "PMI_SIZE": "2"})


def test_failure_travels_as_json_values():
    failure = Failure.of(ValueError("boom"), "rank 2 of 4", 3)
    again = Failure.from_dict(failure.as_dict())
    assert str(again.error()) == (
        "rank 2 of 4 failed in task 3: ValueError: boom (a fault of the program). Report this "
        "fault of the program with its traceback."
    )
    assert "ValueError: boom" in again.error().__notes__[0]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (-9, "was killed"),
        (137, "was killed"),
        (-11, "crashed"),
        (139, "crashed"),
        (-15, "was ended by signal 15"),
        (3, "ended with code 3"),
        (None, "ended"),
    ],
)
def test_exit_codes_in_words(code, words):
    assert death(code).startswith(words)


@pytest.mark.parametrize(
    ("error", "fact"),
    [
        (MemoryError(), "MemoryError; there is not enough memory"),
        (
            OSError(12, "Cannot allocate memory"),
            "OSError: [Errno 12] Cannot allocate memory; there is not enough memory",
        ),
        (
            ImportError("x.so: failed to map segment from shared object"),
            "ImportError: x.so: failed to map segment from shared object; there is not enough memory",
        ),
        (
            RuntimeError("can't start new thread"),
            "RuntimeError: can't start new thread; no further thread",
        ),
        (OSError(5, "Input/output error"), "OSError: [Errno 5] Input/output error"),
        (ImportError("no module named x"), "ImportError: no module named x (a fault of the pro"),
    ],
)
def test_lack_of_memory_in_another_process_is_named(error, fact):
    assert Failure.of(error, "rank 1 of 4").fact.startswith(fact)
