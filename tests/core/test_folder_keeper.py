"""The folder of a killed process goes; nothing else ever does."""

import fcntl
import os
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from locscale_hybrid import folder_keeper
from locscale_hybrid.folder_keeper import TOKEN_FILE, FolderKeeper
from tests.toy_tasks import wait_until

SCRIPT = Path(folder_keeper.__file__)


@pytest.fixture
def folder(tmp_path):
    """A folder with something in it."""
    path = tmp_path / "locscale-é 1"
    (path / "inner").mkdir(parents=True)
    (path / "inner/powers.npy").write_bytes(b"1")
    return path


def test_folder_goes_with_its_keeper(folder):
    keeper = FolderKeeper(folder)
    assert (folder / TOKEN_FILE).is_file()
    keeper.close()
    assert not folder.exists()
    keeper.close()


def test_folder_of_a_killed_process_goes(folder):
    code = ("import sys, time; from pathlib import Path\n"
            "from locscale_hybrid.folder_keeper import FolderKeeper\n"
            "keeper = FolderKeeper(Path(sys.argv[1])); print(flush=True); time.sleep(600)")
    core = str(SCRIPT.parents[1])
    with subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE,
                          env={**os.environ, "PYTHONPATH": core}) as process:
        process.stdout.readline()
        process.kill()
    wait_until(lambda: not folder.exists())


def test_keeper_of_a_folder_that_is_gone_ends(folder):
    keeper = FolderKeeper(folder)
    folder.rename(folder.with_name("elsewhere"))
    keeper.close()
    assert (folder.with_name("elsewhere") / "inner/powers.npy").exists()


def test_python_that_cannot_be_started_is_no_obstacle(folder):
    FolderKeeper(folder, "/nowhere/python").close()
    assert (folder / "inner/powers.npy").exists()


def after(folder, token, change=lambda: None):
    """Run a keeper, change something while it waits, and let it act."""
    with subprocess.Popen([sys.executable, "-I", "-S", str(SCRIPT), str(folder), token],
                          stdin=subprocess.PIPE, bufsize=0) as process:
        process.stdin.write(b"x")       # it has looked at the folder once it has read this
        wait_until(lambda: not unread(process.stdin))
        change()
        process.stdin.close()
        assert process.wait(60) == 0


def unread(pipe):
    """Bytes that nobody has taken out of a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_folder_with_another_token_or_none_stays(folder):
    after(folder, "secret")
    (folder / TOKEN_FILE).write_text("other")
    after(folder, "secret")
    assert (folder / "inner/powers.npy").exists()


def test_link_to_a_folder_is_not_followed(folder, tmp_path):
    (folder / TOKEN_FILE).write_text("secret")
    (tmp_path / "link").symlink_to(folder)
    after(tmp_path / "link", "secret")
    assert (folder / "inner/powers.npy").exists()


def test_link_inside_the_folder_is_removed_and_its_target_stays(folder, tmp_path):
    (folder / TOKEN_FILE).write_text("secret")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/data").write_text("data")
    (folder / "link").symlink_to(tmp_path / "precious")
    after(folder, "secret")
    assert not folder.exists()
    assert (tmp_path / "precious/data").read_text() == "data"


def test_another_folder_of_the_same_name_stays(folder, tmp_path):
    (folder / TOKEN_FILE).write_text("secret")

    def put_another():
        folder.rename(tmp_path / "first")
        folder.mkdir()
        (folder / TOKEN_FILE).write_text("secret")
        (folder / "data").write_text("data")

    after(folder, "secret", put_another)
    assert (folder / "data").read_text() == "data"
