"""The launcher on Windows and macOS, with fakes for what only they have: no such system is here."""

import subprocess
import sys
from pathlib import Path

import pytest

from locscale_hybrid.parallel import launchers, processes, temporary_folder
from tests import toy_tasks


class FakeProcess:
    """A process that ends at what it is told to end at; keeps what was done to it, in order."""

    pid = 4711

    def __init__(self, ends_at):
        self.done, self._ends_at, self.returncode = [], ends_at, None
        self.stdin = self

    def tell(self, what, code):
        self.done.append(what)
        if what == self._ends_at:
            self.returncode = code

    def close(self):
        self.tell("stdin closed", 130)

    def terminate(self):
        self.tell("terminate", -15)

    def kill(self):
        self.tell("kill", -9)

    def poll(self):
        return self.returncode

    def wait(self, timeout=None):
        if self.returncode is None:
            raise subprocess.TimeoutExpired("fake", timeout)
        return self.returncode


@pytest.fixture
def windows(monkeypatch):
    """Windows' rules."""
    for module in (launchers, processes):
        monkeypatch.setattr(module, "IS_WINDOWS", True)


def test_child_has_a_group_of_its_own_and_no_console_on_windows(windows, monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda words, **keywords: started.append(keywords))
    processes.start_core(tmp_path / "job.json", python=Path("python.exe"))
    processes.start(["mpiexec.exe"], {})
    for keywords in started:
        assert keywords["creationflags"] == 0x200 | 0x8000000  # of the Windows API
        assert "start_new_session" not in keywords


def test_keeper_of_a_folder_opens_no_console_on_windows(windows, monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda words, **keywords: started.append(keywords))
    temporary_folder.FolderKeeper.of(tmp_path)
    assert started[0]["creationflags"] == 0x200 | 0x8000000


def test_child_has_a_session_of_its_own_elsewhere(monkeypatch):
    for module in (launchers, processes):
        monkeypatch.setattr(module, "IS_WINDOWS", False)
    assert processes.own_group() == {"start_new_session": True}


def test_core_on_windows_ends_itself_and_its_children_when_stdin_closes(windows):
    process = FakeProcess(ends_at="stdin closed")
    assert processes.stop_core(process, grace=0) == 130
    assert process.done == ["stdin closed"]


def test_core_on_windows_that_does_not_is_killed(windows):
    """What it has started is ended by the process that keeps its folder."""
    process = FakeProcess(ends_at="kill")
    assert processes.stop_core(process, grace=0) == -9
    assert process.done == ["stdin closed", "terminate", "kill"]


def test_users_of_a_folder_are_killed_at_once_on_windows(windows, monkeypatch, tmp_path):
    """There is no way to ask: what is called SIGTERM there kills."""
    code = "import time; time.sleep(600)"
    words = [sys.executable, "-c", code, "locscale_hybrid", str(tmp_path)]
    with subprocess.Popen(words) as process:
        toy_tasks.wait_until(lambda: toy_tasks.processes_with(code, str(tmp_path)))
        processes.end_users(tmp_path)
        assert not toy_tasks.is_alive(process.pid)


def test_core_elsewhere_gets_sigterm_then_sigkill(monkeypatch):
    for module in (launchers, processes):
        monkeypatch.setattr(module, "IS_WINDOWS", False)
    process = FakeProcess(ends_at="kill")
    assert processes.stop_core(process, grace=0) == -9
    assert process.done == ["stdin closed", "terminate", "kill"]


@pytest.mark.parametrize(
    ("application", "python"),
    [
        ("ChimeraX 1.9/bin/ChimeraX.exe", "ChimeraX 1.9/bin/python.exe"),
        (
            "ChimeraX.app/Contents/MacOS/ChimeraX",
            "ChimeraX.app/Contents/bin/python{0.major}.{0.minor}",
        ),
    ],
)
def test_python_of_an_application_lies_below_its_prefix(tmp_path, monkeypatch, application, python):
    """Where ChimeraX does not say it itself: the executable of this process is the application."""
    python = python.format(sys.version_info)
    for name in (application, python):
        program = tmp_path / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    prefix = (tmp_path / python).parent
    monkeypatch.setattr(sys, "executable", str(tmp_path / application))
    monkeypatch.setattr(sys, "_base_executable", str(tmp_path / application))
    monkeypatch.setattr(sys, "prefix", str(prefix if python.endswith(".exe") else prefix.parent))
    assert processes.python_executable() == tmp_path / python


def test_mpiexec_of_windows_has_its_ending(windows, tmp_path, monkeypatch):
    monkeypatch.setattr(launchers, "MPI_WHEELS", ())
    for name in ("mpiexec", "mpiexec.exe"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python.exe"))
    monkeypatch.setenv("PATH", "")
    assert [program.path for program in launchers.mpiexec_candidates()] == [
        tmp_path / "mpiexec.exe"
    ]


def test_library_paths_of_the_macos_application_are_dropped(tmp_path):
    inside, outside = tmp_path / "ChimeraX.app/Contents/lib", tmp_path / "own"
    environment = processes.child_environment(
        {"DYLD_LIBRARY_PATH": f"{inside}:{outside}", "__PYVENV_LAUNCHER__": "x"},
        application=tmp_path / "ChimeraX.app/Contents",
    )
    assert environment["DYLD_LIBRARY_PATH"] == str(outside)
    assert "__PYVENV_LAUNCHER__" not in environment
