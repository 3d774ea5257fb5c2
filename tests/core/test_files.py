"""Files that are read are files; those written together are all there, or the new ones are gone."""

import os
import socket
from pathlib import Path

import pytest

from locscale_hybrid.errors import InputError
from locscale_hybrid.files.atomic import all_or_none, replacing, require_regular, sha256
from locscale_hybrid.files.json_objects import read_object
from locscale_hybrid.maps.mrc import read_frame, read_map
from locscale_hybrid.model.structure import read_model


def test_files_of_a_finished_step_stay(tmp_path):
    with all_or_none([tmp_path / "a"]):
        (tmp_path / "a").write_text("new")
    assert (tmp_path / "a").read_text() == "new"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_new_files_of_a_step_that_was_ended_go_and_older_ones_stay(tmp_path, error):
    (tmp_path / "old").write_text("old")
    with pytest.raises(error), all_or_none([tmp_path / name for name in ("old", "a", "b")]):
        (tmp_path / "a").write_text("new")
        raise error
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_name_that_is_too_long_is_told_from_a_full_disk(tmp_path):
    with (
        pytest.raises(
            InputError, match="cannot be written: File name too long; give a shorter name"
        ),
        replacing(tmp_path / ("a" * 300)),
    ):
        pass


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@pytest.mark.parametrize("read", [read_map, read_frame, read_model, read_object, sha256])
def test_pipe_in_place_of_a_file_is_refused_and_not_waited_for(pipe, read):
    with pytest.raises(InputError, match="pipe is a pipe, not a file; save its content to a file"):
        read(pipe)


def test_link_to_a_pipe_is_a_pipe(pipe, tmp_path):
    (tmp_path / "model.pdb").symlink_to(pipe)
    with pytest.raises(InputError, match=r"model\.pdb is a pipe, not a file"):
        require_regular(tmp_path / "model.pdb")


def test_device_and_socket_are_no_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket may be short only
    with pytest.raises(InputError, match="/dev/zero is a device, not a file"):
        require_regular(Path("/dev/zero"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(InputError, match="socket is a socket, not a file"):
            require_regular(Path("socket"))


def test_file_folder_and_missing_file_pass(tmp_path):
    (tmp_path / "file").write_text("text")
    for path in (tmp_path / "file", tmp_path, tmp_path / "none", Path("9" * 400)):
        require_regular(path)
