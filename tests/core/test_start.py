"""Where and how the program is started: without streams, among files named like Python's own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.program import make_case

ROOT = Path(__file__).parents[2]
HALVES = ["-hm", "half1.mrc", "half2.mrc"]
TOY = [sys.executable, str(ROOT / "tests/toy_program.py")]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a shell of POSIX")


def run(*words, folder, **variables):
    """A program that ends by itself, in a folder."""
    core = os.pathsep.join([str(ROOT / "src/core"), str(ROOT)])
    return subprocess.run(
        list(map(str, words)),
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
        env={**os.environ, "PYTHONPATH": core, "TMPDIR": str(folder), **variables},
    )


def failing_mpiexec(folder):
    """A launcher that fails, so that a pool of processes is used."""
    path = folder / "mpiexec"
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    return path


# ---- streams ------------------------------------------------------------------------------------

CLOSED = pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])


@CLOSED
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--version"], 0),
        (["--help"], 0),
        ([*HALVES, "--check"], 0),
        ([*HALVES, "-np", "1", "-o", "out.mrc"], 0),
        ([*HALVES, "--progress", "bar", "-np", "1"], 0),
        ([*HALVES, "--progress", "json", "-np", "1"], 0),
        ([*HALVES, "--zzz"], 2),
    ],
)
def test_program_without_streams_works_and_ends_as_always(tmp_path, closed, words, code):
    done = run("sh", "-c", f'"$@" {closed}', "sh", *TOY, *words, folder=tmp_path)
    assert done.returncode == code
    assert "Traceback" not in done.stdout + done.stderr
    assert "Exception" not in done.stdout + done.stderr
    written = {path.name for path in tmp_path.iterdir()}
    is_run = code == 0 and "-np" in words
    assert (len(written) == 3) == is_run


def test_processes_of_a_program_without_streams_do_not_write_into_its_files(tmp_path):
    words = [*HALVES, "-np", "2", "--mpiexec", failing_mpiexec(tmp_path), "-o", "out.mrc"]
    with_streams = run(*TOY, *words, folder=tmp_path)
    expected = (tmp_path / "out.mrc").read_bytes()
    (tmp_path / "out.mrc").unlink()
    done = run("sh", "-c", '"$@" <&- >&- 2>&-', "sh", *TOY, *words, folder=tmp_path)
    assert with_streams.returncode == done.returncode == 0
    assert (tmp_path / "out.mrc").read_bytes() == expected


@pytest.mark.parametrize("word", ["--help", "--version"])
@pytest.mark.parametrize("target", ["> /dev/full", "| true"])
def test_answer_that_nobody_can_take_is_no_failure(tmp_path, word, target):
    done = run(
        "sh", "-c", f'{{ "$@"; echo $? > code; }} {target}', "sh", *TOY, word, folder=tmp_path
    )
    assert (tmp_path / "code").read_text() == "0\n"
    assert done.stderr == ""


# ---- files named like modules -------------------------------------------------------------------


@pytest.fixture
def traps(tmp_path):
    """A folder with a file for every module of Python, and for those that this program uses."""
    names = {*sys.stdlib_module_names, "numpy", "scipy", "gemmi", "mrcfile", "mpi4py"}
    for name in names - {"__main__"}:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('the {name}.py of the user ran')")
    return tmp_path


def test_processes_do_not_run_files_of_the_user_that_are_named_like_modules(traps, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    done = run(
        *TOY,
        *HALVES,
        "-np",
        "2",
        "--mpiexec",
        failing_mpiexec(folder),
        "-o",
        folder / "out.mrc",
        folder=traps,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 processes" in done.stdout


def test_program_as_a_module_does_not_run_them_either(tmp_path):
    # Python itself reads types, re and what else `-m` needs before this program begins.
    for name in (
        "signal",
        "select",
        "queue",
        "random",
        "json",
        "argparse",
        "logging",
        "numpy",
        "textwrap",
        "errno",
        "time",
    ):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of the user ran')")
    done = run(sys.executable, "-m", "locscale_hybrid", "-em", "none.mrc", folder=tmp_path)
    assert done.returncode == 2
    assert "none.mrc does not exist" in done.stderr


def test_program_as_a_module_is_found_in_the_current_folder_where_it_lies_there():
    words = [sys.executable, "-S", "-m", "locscale_hybrid", "--version"]  # -S: not installed
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        words, cwd=ROOT / "src/core", env=environment, text=True, capture_output=True, check=False
    )
    assert done.stdout.startswith("locscale-hybrid ")


# ---- width --------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", ["1", "0", "2", "21", "-5", "99999999999999999999", "x", ""])
def test_any_width_of_the_terminal_will_do(tmp_path, columns):
    done = run(
        *TOY,
        *HALVES,
        "-np",
        "1",
        "-o",
        tmp_path / "out.mrc",
        "--progress",
        "bar",
        folder=tmp_path,
        COLUMNS=columns,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert str(tmp_path / "out.mrc") in done.stdout
    assert done.stdout.count("done in") == 1


# ---- memory -------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
@pytest.mark.parametrize("kilobytes", [100000, 200000, 300000, 390000])
def test_limit_of_memory_below_what_libraries_need_is_refused(tmp_path, kilobytes):
    done = run(
        "sh",
        "-c",
        f'ulimit -v {kilobytes}; exec "$@"',
        "sh",
        *TOY,
        *HALVES,
        "-np",
        "1",
        folder=tmp_path,
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"locscale: the memory of a process is limited to {1.024e-3 * kilobytes:.0f} MB (ulimit "
        "-v), and this program needs 400 MB for its libraries alone. Raise the limit.\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
@pytest.mark.parametrize("kilobytes", [400000, 440000])
def test_limit_of_memory_that_is_met_later_is_said_in_words(tmp_path, kilobytes):
    case = make_case(tmp_path)
    done = run(
        "sh",
        "-c",
        f'ulimit -v {kilobytes}; exec "$@"',
        "sh",
        sys.executable,
        "-m",
        "locscale_hybrid",
        *case.words,
        "-np",
        "2",
        "--mpiexec",
        failing_mpiexec(tmp_path),
        "-o",
        "out.mrc",
        folder=tmp_path,
    )
    assert done.returncode in (0, 3)
    assert "fault of the program" not in done.stderr
    if done.returncode:
        assert re.search(
            "there is not enough memory|if memory is short|no further thread", done.stderr
        )
