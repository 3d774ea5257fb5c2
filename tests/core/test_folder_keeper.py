"""The folder of a killed process goes; nothing else ever does."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from locscale_hybrid.parallel import temporary_folder
from locscale_hybrid.parallel.processes import package_folders
from locscale_hybrid.parallel.temporary_folder import FolderKeeper
from tests.toy_tasks import is_alive, wait_until

SCRIPT = Path(temporary_folder.__file__)
PACKAGES = os.pathsep.join(package_folders(["locscale_hybrid", "psutil"]))
CODE = """
import sys, time
from locscale_hybrid.parallel.temporary_folder import FolderKeeper
keeper = FolderKeeper("locscale-", sys.argv[1])
print(keeper.folder, flush=True)
time.sleep(600)
"""


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "tmp é 1"
    path.mkdir()
    return path


def test_folder_is_for_its_user_alone_and_goes_with_its_keeper(place):
    keeper = FolderKeeper("locscale-", place)
    assert keeper.folder.parent == place
    assert keeper.folder.name.startswith("locscale-")
    assert keeper.folder.stat().st_mode & 0o777 == 0o700
    (keeper.folder / "powers.npy").write_bytes(b"1")
    keeper.close()
    assert list(place.iterdir()) == []
    keeper.close()


@contextlib.contextmanager
def user_of_a_folder(place):
    """A process that has made itself a folder; both."""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", CODE, str(place)],
        stdout=subprocess.PIPE,
        env=environment,
        encoding="utf-8",
    ) as process:
        folder = Path(process.stdout.readline().rstrip("\n"))
        try:
            yield process, folder
        finally:
            process.kill()


def test_folder_of_a_killed_process_goes(place):
    with user_of_a_folder(place) as (process, folder):
        (folder / "inner").mkdir()
        (folder / "inner/powers.npy").write_bytes(b"1")
        process.kill()
        wait_until(lambda: not folder.exists())


def test_folder_that_was_half_removed_when_its_process_was_killed_goes(place):
    with user_of_a_folder(place) as (process, folder):
        (folder / "inner").mkdir()
        for path in folder.iterdir():  # all that there is, whatever it is
            path.rmdir() if path.is_dir() else path.unlink()
        process.kill()
        wait_until(lambda: not folder.exists())


def test_process_that_is_killed_as_it_begins_leaves_no_folder(place):
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", CODE, str(place)], stdout=subprocess.DEVNULL, env=environment
    ) as process:
        wait_until(lambda: list(place.iterdir()) != [])  # its user has not heard of it yet
        process.kill()
    wait_until(lambda: list(place.iterdir()) == [])


def test_keeper_of_a_folder_that_is_gone_ends(place, tmp_path):
    keeper = FolderKeeper("locscale-", place)
    keeper.folder.rename(tmp_path / "elsewhere")
    keeper.close()
    assert (tmp_path / "elsewhere").is_dir()


def test_python_that_cannot_be_started_is_no_obstacle(place):
    with FolderKeeper("locscale-", place, "/nowhere/python") as keeper:
        assert keeper.folder.parent == place
        (keeper.folder / "powers.npy").write_bytes(b"1")
    assert list(place.iterdir()) == []


def test_place_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        FolderKeeper("locscale-", tmp_path / "nowhere")


def after(place, change):
    """Run a keeper, change something while it waits, and let it act."""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", str(SCRIPT), PACKAGES, str(place), "locscale-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        folder = Path(os.fsdecode(process.stdout.read().removesuffix(b"\0")))
        change(folder)
        process.stdin.close()
        assert process.wait(60) == 0
    return folder


def test_link_in_place_of_the_folder_is_not_followed(place, tmp_path):
    def put_a_link(folder):
        folder.rename(tmp_path / "first")
        (tmp_path / "precious").mkdir()
        (tmp_path / "precious/data").write_text("data")
        folder.symlink_to(tmp_path / "precious")

    after(place, put_a_link)
    assert (tmp_path / "precious/data").read_text() == "data"
    assert (tmp_path / "first").is_dir()


def test_link_inside_the_folder_is_removed_and_its_target_stays(place, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/data").write_text("data")
    folder = after(place, lambda folder: (folder / "link").symlink_to(tmp_path / "precious"))
    assert not folder.exists()
    assert (tmp_path / "precious/data").read_text() == "data"


def test_another_folder_of_the_same_name_stays(place, tmp_path):
    def put_another(folder):
        folder.rename(tmp_path / "first")
        folder.mkdir()
        (folder / "data").write_text("data")

    assert (after(place, put_another) / "data").read_text() == "data"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_to_the_keeper_does_not_end_it(place, number):
    with FolderKeeper("locscale-", place) as keeper:
        keeper._process.send_signal(number)
        (keeper.folder / "powers.npy").write_bytes(b"1")
    assert list(place.iterdir()) == []


HANDED_OVER = """
import sys, tempfile, time
from pathlib import Path
from locscale_hybrid.parallel.temporary_folder import FolderKeeper
keeper = FolderKeeper.of(Path(tempfile.mkdtemp(dir=sys.argv[1])))
print(keeper.folder, flush=True)
time.sleep(600)
"""


def test_folder_that_was_handed_over_goes_with_its_user_and_with_its_keeper(place, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "CODE", HANDED_OVER)
    with user_of_a_folder(place) as (process, folder):
        assert folder.is_dir()
        process.kill()
        process.wait()
        wait_until(lambda: not folder.exists())
    kept = place / "kept"
    kept.mkdir()
    keeper = FolderKeeper.of(kept)
    keeper.close()
    assert list(place.iterdir()) == []


def test_another_folder_than_the_one_handed_over_stays(place):
    there = place / "there"
    there.mkdir()
    device, number = temporary_folder.identity(there)
    subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            str(SCRIPT),
            PACKAGES,
            "--keep",
            str(there),
            str(device),
            str(number + 1),
        ],
        stdin=subprocess.DEVNULL,
        check=True,
        timeout=60,
    )
    assert there.is_dir()
    FolderKeeper.of(place / "nowhere").close()


@contextlib.contextmanager
def program_with_a_child(folder, command):
    """A program that leaves a child with its output open; the child must then still be there."""
    path = folder / "program"
    path.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > '{folder}/child'\n{command}\n")
    path.chmod(0o755)
    try:
        yield path
        assert is_alive(int((folder / "child").read_text()))
    finally:
        os.kill(int((folder / "child").read_text()), signal.SIGKILL)


def test_folder_is_there_though_something_else_holds_the_output_open(place, tmp_path):
    with program_with_a_child(tmp_path, f"exec '{sys.executable}' \"$@\"") as python:
        with FolderKeeper("locscale-", place, python) as keeper:
            assert keeper.folder.is_dir()
        assert list(place.iterdir()) == []


def test_name_of_a_folder_may_hold_a_new_line(tmp_path):
    place = tmp_path / "a\nb\n"
    place.mkdir()
    with FolderKeeper("locscale-", place) as keeper:
        assert keeper.folder.parent == place


WORKING = """
import subprocess, sys, time
from locscale_hybrid.parallel.temporary_folder import FolderKeeper
keeper = FolderKeeper("locscale-", sys.argv[1])
words = ["-c", "import time; time.sleep(600)", "locscale_hybrid.parallel.worker"]
child = subprocess.Popen([sys.executable, *words, str(keeper.folder / "ranks")])
(keeper.folder / "child").write_text(str(child.pid))
print(keeper.folder, flush=True)
time.sleep(600)
"""


def test_what_a_killed_process_started_for_its_folder_is_ended_before_the_folder_goes(
    place, monkeypatch
):
    monkeypatch.setattr(sys.modules[__name__], "CODE", WORKING)
    with user_of_a_folder(place) as (process, folder):
        child = int((folder / "child").read_text())
        assert is_alive(child)
        process.kill()
        process.wait()
        wait_until(lambda: not folder.exists())
        assert not is_alive(child)


def test_what_an_mpi_left_elsewhere_goes_with_the_folder_of_a_killed_process(place, tmp_path):
    descriptor, name = tempfile.mkstemp(prefix="hydra_hwloc_xmlfile_", dir="/tmp")
    os.close(descriptor)
    precious = tmp_path / "precious"
    precious.touch()

    def note(folder):
        (folder / "scratch/ranks").mkdir(parents=True)
        names = [name, str(precious)]
        (folder / "scratch/ranks" / temporary_folder.LITTER).write_text(json.dumps(names))

    after(place, note)
    assert not Path(name).exists() and precious.exists()
