"""Child processes: which programs, which environment, how they start and end."""

import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from locscale_hybrid.errors import InputError
from locscale_hybrid.parallel import launchers, processes
from tests import toy_tasks

ROOT = Path(__file__).parents[2]


def make_program(path, text="#!/bin/sh\nexec sleep 60\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


# ---- the environment of a child -----------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "PMI_RANK",
        "PMIX_NAMESPACE",
        "OMPI_COMM_WORLD_SIZE",
        "PRTE_LAUNCHED",
        "ORTE_X",
        "HYDI_CONTROL_FD",
        "HYDRA_X",
        "MPI_LOCALRANKID",
        "I_MPI_HYDRA_X",
        "SLURM_JOB_ID",
        "QT_PLUGIN_PATH",
        "CHIMERAX_X",
        "ChimeraX_Y",
        "PYTHONHOME",
        "PYTHONEXECUTABLE",
    ],
)
def test_variables_of_launchers_and_of_the_application_are_dropped(name):
    assert name not in processes.child_environment({name: "1"})


@pytest.mark.parametrize(
    "name",
    [
        "HOME",
        "PATH",
        "TMPDIR",
        "OMPI_ALLOW_RUN_AS_ROOT",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM",
        "I_MPI_FABRICS",
        "LANG",
    ],
)
def test_settings_of_the_user_stay(name):
    assert processes.child_environment({name: "1"})[name] == "1"


def test_settings_of_open_mpi_stay_unless_a_launcher_set_them():
    name = "PRTE_MCA_rmaps_default_mapping_policy"
    assert processes.child_environment({name: ":oversubscribe"})[name] == ":oversubscribe"
    assert name not in processes.child_environment({name: "x", "PMIX_RANK": "0"})


def test_pythonpath_is_replaced_by_the_folders_of_the_packages():
    environment = processes.child_environment({"PYTHONPATH": "/elsewhere"})
    folders = environment["PYTHONPATH"].split(os.pathsep)
    assert "/elsewhere" not in folders
    assert str(ROOT / "src/core") in folders
    for folder in folders:
        assert any(os.path.exists(os.path.join(folder, name)) for name in processes.PACKAGES)


def test_folders_are_found_without_importing(tmp_path, monkeypatch):
    (tmp_path / "oddly_placed").mkdir()
    (tmp_path / "oddly_placed" / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "one_file.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert processes.package_folders(["oddly_placed"]) == [str(tmp_path)]
    assert processes.package_folders(["one_file", "not_there_at_all"]) == [str(tmp_path)]


def test_folders_keep_the_order_of_the_search_path(tmp_path, monkeypatch):
    for name in ("first", "second"):
        (tmp_path / name / f"package_{name}").mkdir(parents=True)
        (tmp_path / name / f"package_{name}" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "second"))
    monkeypatch.syspath_prepend(str(tmp_path / "first"))
    assert processes.package_folders(["package_second", "package_first"]) == [
        str(tmp_path / "first"),
        str(tmp_path / "second"),
    ]


def test_library_paths_inside_the_application_are_dropped(tmp_path):
    inside, outside = tmp_path / "app/lib", tmp_path / "mpi/lib"
    environment = processes.child_environment(
        {"LD_LIBRARY_PATH": f"{inside}:{outside}", "DYLD_LIBRARY_PATH": str(inside)},
        application=tmp_path / "app",
    )
    assert environment["LD_LIBRARY_PATH"] == str(outside)
    assert "DYLD_LIBRARY_PATH" not in environment


def test_child_has_one_blas_thread():
    environment = processes.child_environment({"OMP_NUM_THREADS": "8"})
    assert environment["OMP_NUM_THREADS"] == environment["OPENBLAS_NUM_THREADS"] == "1"


# ---- which programs -----------------------------------------------------------------------------


def test_python_of_an_ordinary_start_is_this_one():
    assert processes.python_executable() == Path(os.path.abspath(sys.executable))


def test_python_inside_an_application_is_not_the_application(tmp_path, monkeypatch):
    application = make_program(tmp_path / "bin" / "ChimeraX")
    python = make_program(tmp_path / "bin" / f"python3.{sys.version_info.minor}")
    monkeypatch.setattr(sys, "executable", str(application))
    monkeypatch.setattr(sys, "_base_executable", str(application), raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert processes.python_executable() == python


def test_python_named_by_the_application_is_taken(tmp_path):
    python = make_program(tmp_path / "Python Interpreter é")
    assert processes.python_executable(python) == python


def test_missing_python_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="is not a program: it was given as the Python"):
        processes.python_executable(tmp_path / "none")
    monkeypatch.setattr(sys, "executable", "/opt/ChimeraX")
    monkeypatch.setattr(sys, "_base_executable", "/opt/ChimeraX", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="no Python interpreter was found"):
        processes.python_executable()


@pytest.fixture
def no_wheels(monkeypatch):
    def files(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", files)


def test_mpiexec_of_the_setting_is_the_only_candidate(tmp_path):
    program = make_program(tmp_path / "my mpiexec")
    assert [found.path for found in launchers.mpiexec_candidates(program)] == [program]


def test_setting_that_is_no_program_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"mpiexec .*/none is not a program that can be run"):
        launchers.mpiexec_candidates(tmp_path / "none")


def test_mpiexec_beside_python_comes_before_that_on_the_path(tmp_path, monkeypatch, no_wheels):
    beside = make_program(tmp_path / "venv/bin/mpiexec")
    on_path = make_program(tmp_path / "usr/bin/mpiexec")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv/bin/python"))
    monkeypatch.setenv("PATH", str(on_path.parent))
    found = launchers.mpiexec_candidates()
    assert [program.path for program in found] == [beside, on_path]
    assert [program.origin for program in found] == ["beside this Python", "PATH"]


def test_one_mpiexec_found_twice_is_one_candidate(tmp_path, monkeypatch, no_wheels):
    beside = make_program(tmp_path / "bin/mpiexec")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin/python"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert [program.path for program in launchers.mpiexec_candidates()] == [beside]


def test_no_mpiexec_is_an_empty_list(tmp_path, monkeypatch, no_wheels):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin/python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert launchers.mpiexec_candidates() == []


def test_mpiexec_of_a_wheel_is_found_through_its_files(tmp_path, monkeypatch):
    class File:
        def __init__(self, path):
            self.path, self.name, self.stem = path, path.name, path.stem

        def locate(self):
            return self.path

    program = make_program(tmp_path / "bin/mpiexec")
    library = make_program(tmp_path / "lib/libmpi.so.12")
    files = [File(program), File(tmp_path / "bin/mpicc"), File(library)]
    monkeypatch.setattr(
        importlib.metadata, "files", lambda name: files if name == "mpich" else None
    )
    first = launchers.mpiexec_candidates()[0]
    assert (first.path, first.origin, first.library) == (program, "the mpich package", library)


# ---- which launcher started this process --------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        (
            {"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4", "PMIX_RANK": "2"},
            ("mpirun (Open MPI)", 2, 4),
        ),
        ({"PMI_RANK": "1", "PMI_SIZE": "3"}, ("mpiexec (MPICH or Intel MPI)", 1, 3)),
        ({"PMIX_RANK": "5"}, ("a PMIx launcher", 5, 0)),
        ({"PMIX_RANK": "0", "SLURM_STEP_NUM_TASKS": "1"}, ("a PMIx launcher", 0, 1)),
        ({"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "8"}, ("srun", 3, 8)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, None),
        ({"PMI_RANK": "x", "PMI_SIZE": "3"}, None),
    ],
)
def test_launcher_is_told_from_the_environment(variables, expected):
    found = launchers.launcher_of(variables)
    assert (found and (found.name, found.rank, found.size)) == expected


# ---- starting and stopping ----------------------------------------------------------------------


def test_words_arrive_as_they_are(tmp_path):
    words = ["a b", "é", "$HOME", ";", "*", '"', "'"]
    process = processes.start(
        [sys.executable, "-c", "import sys; print(ascii(sys.argv[1:]))", *words],
        os.environ,
        output=tmp_path / "out é",
    )
    assert process.wait() == 0
    assert (tmp_path / "out é").read_text().strip() == ascii(words)


def test_program_that_ignores_sigterm_is_killed(tmp_path):
    code = (
        "import signal, time, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"pathlib.Path({str(tmp_path / 'up')!r}).touch(); time.sleep(60)"
    )
    process = processes.start([sys.executable, "-c", code], os.environ)
    toy_tasks.wait_until((tmp_path / "up").exists)
    assert processes.stop(process, grace=0.3) == -9


def test_program_that_ends_at_sigterm_is_not_killed():
    process = processes.start(["sleep", "60"], os.environ)
    assert processes.stop(process) == -15


USER = "import time; time.sleep(600)"


def test_users_of_a_folder_are_ended_and_nothing_else(tmp_path):
    folder, other = tmp_path / "run é", tmp_path / "run é 2"
    words = [
        ["locscale_hybrid.parallel.worker", folder / "ranks"],  # the argument is what counts
        ["locscale_hybrid.parallel.worker", other],
        ["an editor", folder / "log"],
    ]
    started = [processes.start([sys.executable, "-c", USER, *line], os.environ) for line in words]
    toy_tasks.wait_until(lambda: len(toy_tasks.processes_with(USER, str(folder))) == 3)
    processes.end_users(folder)
    assert [toy_tasks.is_alive(process.pid) for process in started] == [False, True, True]
    for process in started:
        process.kill()
        process.wait()


def test_user_of_a_folder_that_ignores_sigterm_is_killed(tmp_path):
    code = (
        "import signal, time, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"pathlib.Path({str(tmp_path / 'up')!r}).touch(); time.sleep(600)"
    )
    words = [sys.executable, "-c", code, "locscale_hybrid", tmp_path]
    process = processes.start(words, os.environ)
    toy_tasks.wait_until((tmp_path / "up").exists)
    processes.end_users(tmp_path, grace=0.3)
    assert not toy_tasks.is_alive(process.pid)
    process.wait()


# ---- what an MPI leaves -------------------------------------------------------------------------


def test_only_files_of_an_mpi_that_a_process_holds_are_known_and_removed(tmp_path):
    held = [
        tempfile.mkstemp(prefix=prefix, dir=place)
        for prefix, place in (("hydra_hwloc_xmlfile_", "/tmp"), ("precious", tmp_path))
    ]
    descriptor, other = tempfile.mkstemp(prefix="hydra_hwloc_xmlfile_", dir="/tmp")
    os.close(descriptor)  # of another job: nobody here has it open
    shared = Path(f"/dev/shm/locscale-test-{os.getpid()}")
    shared.write_bytes(b"1")
    code = (
        f"import mmap; f = open({str(shared)!r}, 'r+b'); m = mmap.mmap(f.fileno(), 0); f.close();"
        "print(flush=True); import time; time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        found = processes.litter_of([child.pid])  # this process is its parent
        child.kill()
    processes.remove_litter([*found, held[1][1]])
    for stream, _ in held:
        os.close(stream)
    assert found == sorted([str(shared), held[0][1]])
    assert [Path(name).exists() for _, name in held] == [False, True]
    assert not shared.exists() and Path(other).exists()
    Path(other).unlink()
    assert processes.litter_of([child.pid]) == []


# ---- the core as the child of an application ----------------------------------------------------


@pytest.fixture
def application(tmp_path, monkeypatch):
    """Packages in an odd folder, `sys.executable` a wrapper, Python beside it."""
    shutil.copytree(
        ROOT / "src/core/locscale_hybrid",
        tmp_path / "user é" / "locscale_hybrid",
        ignore=shutil.ignore_patterns("__pycache__", ".mypy_cache"),
    )
    wrapper = make_program(tmp_path / "bin" / "ChimeraX")
    monkeypatch.setattr(sys, "executable", str(wrapper))
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setattr(processes, "package_folders", lambda names: [str(tmp_path / "user é")])
    return tmp_path


def start_core(application, words=None):
    job = application / "job é.json"
    job.write_text('{"action": "check"}' if words is None else words)
    return processes.start_core(
        job,
        python=Path(os.path.realpath("/proc/self/exe")),
        application=application,
        errors=application / "stderr",
    )


def test_core_runs_where_the_application_has_its_packages(application):
    with start_core(application) as process:
        output = process.stdout.read()
    assert b'"event": "error"' in output
    assert b"no map given" in output
    assert process.returncode == 2


def started_core(folder, processes, **streams):
    """Start a core whose scaling hangs, and wait until it does."""
    words = ["-hm", "a", "b", "-o", folder / "out.mrc", "-np", processes, "--end_with_stdin"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/toy_program.py"), *map(str, words)],
        env={**os.environ, "TOY_PLAN": '{"faulty": [0], "fault": "hang"}', "TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        **streams,
    )
    line = b""
    while b"scaling" not in line:
        line = process.stdout.readline()
    return process


def test_core_ends_when_the_application_lets_go(tmp_path):
    process = started_core(tmp_path, 1, stderr=subprocess.PIPE)
    process.stdin.close()
    assert process.wait(120) == 130
    assert list(tmp_path.iterdir()) == []
    process.stdout.close()
    assert b"interrupted" in process.stderr.read()
    process.stderr.close()


def test_stopping_the_core_ends_it(tmp_path):
    process = started_core(tmp_path, 2)
    assert processes.stop_core(process) == 130
    process.stdout.close()
    assert list(tmp_path.iterdir()) == []


def test_held_core_begins_when_it_is_told_to(tmp_path):
    """What it is to do is written after it has started."""
    job = tmp_path / "job.json"
    with processes.start_core(job, python=Path(sys.executable), hold=True) as process:
        job.write_text('{"action": "check"}')
        processes.release_core(process)
        output = process.stdout.read()
    assert b"no map given" in output and process.returncode == 2


def test_held_core_that_is_let_go_leaves_nothing(tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = processes.start_core(
        tmp_path / "job.json",
        python=Path(sys.executable),
        errors=tmp_path / "stderr",
        scratch=scratch,
        hold=True,
    )
    assert processes.stop_core(process) in (130, -signal.SIGTERM)  # before it can know better
    process.stdout.close()
    processes.release_core(process)  # too late, and harmless
    assert [path.name for path in tmp_path.iterdir() if path != scratch] == ["stderr"]
    assert list(scratch.iterdir()) == []


HELD = """
import sys, time
from pathlib import Path
from locscale_hybrid.parallel import processes
process = processes.start_core(Path(sys.argv[1]), python=Path(sys.executable), hold=True)
print(process.pid, flush=True)
time.sleep(600)
"""


def test_held_core_ends_when_its_parent_was_killed(tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", HELD, str(tmp_path / "job.json")], stdout=subprocess.PIPE
    )
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    toy_tasks.wait_until(lambda: not toy_tasks.is_alive(pid))
    assert list(tmp_path.iterdir()) == []
