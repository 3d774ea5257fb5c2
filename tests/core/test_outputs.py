"""Names of what a run writes, and outputs that are refused before anything is written."""

import dataclasses
import os
import subprocess
from pathlib import Path

import pytest

from locscale_hybrid.errors import InputError
from locscale_hybrid.files.atomic import replacing
from locscale_hybrid.outputs import check_outputs, output_paths, require_file_name
from locscale_hybrid.parameters import OUTPUTS, HybridInputs


@pytest.fixture
def inputs(tmp_path):
    (tmp_path / "full.mrc").write_bytes(b"map")
    (tmp_path / "model.pdb").write_bytes(b"model")
    return HybridInputs(full_map=tmp_path / "full.mrc", model=tmp_path / "model.pdb")


@pytest.mark.parametrize(
    ("given", "map_name", "linear", "record"),
    [
        ("a.mrc", "a.mrc", "a_linear.mrc", "a.json"),
        ("a.mrc.gz", "a.mrc.gz", "a_linear.mrc.gz", "a.json"),
        ("a.b.map", "a.b.map", "a.b_linear.map", "a.b.json"),
        ("a", "a.mrc", "a_linear.mrc", "a.json"),
        ("a.v2", "a.v2.mrc", "a.v2_linear.mrc", "a.v2.json"),
        ("É å.MRC", "É å.MRC", "É å_linear.mrc", "É å.json"),
    ],
)
def test_names_follow_from_the_map(tmp_path, given, map_name, linear, record):
    paths = output_paths(tmp_path / given)
    assert (paths.map.name, paths.linear.name, paths.record.name) == (map_name, linear, record)
    assert paths.map.parent == paths.linear.parent == paths.record.parent == tmp_path


@pytest.mark.parametrize("given", ["/", ".", "..", "a/..", ".mrc", "a/.map.gz"])
def test_output_without_a_name_is_refused(given):
    with pytest.raises(InputError, match=r"has no name of its own\. Give the name of a map"):
        output_paths(Path(given), resume=True)


def test_default_lies_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert output_paths(None).map == tmp_path / "locscale_output.mrc"


def test_resume_names_a_folder_that_stays(tmp_path):
    assert output_paths(tmp_path / "a.mrc").processing_folder is None
    assert output_paths(tmp_path / "a.mrc", resume=True).processing_folder == (
        tmp_path / "a_locscale"
    )
    assert (
        output_paths(
            tmp_path / "a.mrc", resume=True, processing_folder=tmp_path / "b"
        ).processing_folder
        == tmp_path / "b"
    )


def test_good_outputs_pass_and_nothing_is_written(tmp_path, inputs):
    before = sorted(tmp_path.iterdir())
    check_outputs(output_paths(tmp_path / "out.mrc", resume=True), inputs)
    assert sorted(tmp_path.iterdir()) == before


def test_output_that_is_an_input_is_refused(tmp_path, inputs):
    with pytest.raises(
        InputError,
        match=r"output .*full.mrc is also the input full map\. Give "
        "another name",
    ):
        check_outputs(output_paths(tmp_path / "full.mrc"), inputs)


def test_output_that_is_an_input_by_another_name_is_refused(tmp_path, inputs):
    (tmp_path / "link.mrc").symlink_to(tmp_path / "full.mrc")
    with pytest.raises(InputError, match=r"link.mrc is also the input full map"):
        check_outputs(output_paths(tmp_path / "link.mrc"), inputs)


@pytest.mark.parametrize("name", ["full_linear.mrc", "full.json"])
def test_derived_output_that_is_an_input_is_refused(tmp_path, inputs, name):
    os.link(tmp_path / "model.pdb", tmp_path / name)
    with pytest.raises(InputError, match=rf"{name} is also the input model"):
        check_outputs(
            output_paths(tmp_path / "full.map" if name == "full.json" else tmp_path / "full.mrc"),
            HybridInputs(full_map=tmp_path / "other.mrc", model=tmp_path / "model.pdb"),
        )


def test_missing_folder_is_refused(tmp_path, inputs):
    with pytest.raises(InputError, match=r"there is no folder .*/none\. Make it first"):
        check_outputs(output_paths(tmp_path / "none" / "a.mrc"), inputs)


def test_name_that_is_too_long_is_refused(tmp_path, inputs):
    with pytest.raises(
        InputError,
        match=r"cannot be written: File name too long \(30\d bytes\)\. "
        "Give another name",
    ):
        check_outputs(output_paths(tmp_path / ("a" * 300 + ".mrc")), inputs)


def test_folder_that_was_made_in_place_of_a_map_is_refused(tmp_path, inputs):
    paths = output_paths(tmp_path / "a.mrc")
    paths.map.mkdir()
    with pytest.raises(InputError, match=r"a.mrc is a folder\. Give the name of a map"):
        check_outputs(paths, inputs)


def test_file_in_place_of_the_processing_folder_is_refused(tmp_path, inputs):
    with pytest.raises(InputError, match=r"processing folder .*model.pdb is a file"):
        check_outputs(
            output_paths(tmp_path / "a.mrc", processing_folder=tmp_path / "model.pdb"), inputs
        )


def test_read_only_folder_is_refused(inputs):
    folder = next((Path(place) for place in ("/proc/self", "/sys") if Path(place).is_dir()), None)
    if folder is None:
        pytest.skip("no read-only file system here")
    with pytest.raises(
        InputError, match=r"cannot be written: .* in /\w+.*\. Choose another folder"
    ):
        check_outputs(output_paths(folder / "a.mrc"), inputs)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX")
def test_full_disk_is_no_reason_to_leave_files(tmp_path, inputs):
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=2", "tmpfs", tmp_path / ""],
            check=False,
            capture_output=True,
        ).returncode
    ):
        pytest.skip("needs the right to mount")
    try:
        (tmp_path / "filler").write_bytes(b"")
        with pytest.raises(InputError, match="No space left on device"):
            check_outputs(output_paths(tmp_path / "a.mrc"), inputs)
        assert [path.name for path in tmp_path.iterdir()] == ["filler"]
    finally:
        subprocess.run(["umount", tmp_path], check=True)


# ---- every name that a run will write -----------------------------------------------------------


@pytest.mark.parametrize("asked", sorted(OUTPUTS))
def test_name_that_only_a_further_output_makes_too_long_is_refused_before_the_work(
    tmp_path, inputs, asked
):
    short = output_paths(tmp_path / "a.mrc")
    longest = max(len(path.name) for path in short.written())
    asked_for = max(len(path.name) for path in short.written({asked}))
    paths = output_paths(tmp_path / ("a" * (256 - longest) + ".mrc"))
    check_outputs(paths, inputs)
    if asked_for > longest:
        with pytest.raises(InputError, match=r"cannot be written: File name too long \(2\d\d"):
            check_outputs(paths, inputs, {asked})


def test_longest_name_that_a_file_system_takes_can_be_written(tmp_path):
    path = tmp_path / ("é" * 125 + "b.mrc")
    assert len(os.fsencode(path.name)) == 255
    with replacing(path) as stream:
        stream.write(b"map")
    assert path.read_bytes() == b"map"


def test_names_are_those_of_a_run(tmp_path):
    paths = output_paths(tmp_path / "a.mrc", report=True).written({"halves", "model", "localB"})
    assert [path.name for path in paths] == [
        "a.mrc",
        "a_linear.mrc",
        "a.json",
        "a_sharpened_half1.mrc",
        "a_sharpened_half2.mrc",
        "a_localB.mrc",
        "a_model.cif",
        "a_report.html",
    ]


def test_further_output_that_is_an_input_is_refused(tmp_path, inputs):
    (tmp_path / "a_mask.mrc").write_bytes(b"mask")
    given = dataclasses.replace(inputs, mask=tmp_path / "a_mask.mrc")
    check_outputs(output_paths(tmp_path / "a.mrc"), given)
    with pytest.raises(InputError, match=r"output .*a_mask.mrc is also the input mask\. Give an"):
        check_outputs(output_paths(tmp_path / "a.mrc"), given, {"mask"})


def test_file_of_the_processing_folder_that_is_an_input_is_refused(tmp_path, inputs):
    (tmp_path / "job").mkdir()
    (tmp_path / "job/hybrid_model.cif").write_bytes(b"model")
    given = dataclasses.replace(inputs, model=tmp_path / "job/hybrid_model.cif")
    with pytest.raises(
        InputError,
        match=r"hybrid_model.cif is also the input model\. Give another "
        "folder",
    ):
        check_outputs(output_paths(tmp_path / "a.mrc", processing_folder=tmp_path / "job"), given)


def test_folder_in_place_of_a_file_of_the_processing_folder_is_refused(tmp_path, inputs):
    (tmp_path / "job/mask.mrc").mkdir(parents=True)
    with pytest.raises(
        InputError,
        match=r"job/mask.mrc is a folder, and a file of this run "
        r"needs that name\. Give another folder",
    ):
        check_outputs(output_paths(tmp_path / "a.mrc", processing_folder=tmp_path / "job"), inputs)


def test_folder_in_place_of_a_further_output_is_refused(tmp_path, inputs):
    (tmp_path / "a_report.html").mkdir()
    with pytest.raises(InputError, match=r"output .*a_report.html is a folder"):
        check_outputs(output_paths(tmp_path / "a.mrc", report=True), inputs)


@pytest.mark.parametrize("name", ["results", "results.mrc"])
def test_folder_as_output_is_refused_with_a_name_in_it(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(
        InputError,
        match=rf"output .*/{name} is a folder\. Give the name of a map "
        rf"in it, e.g. .*/{name}/locscale_output.mrc",
    ):
        output_paths(tmp_path / name)


@pytest.mark.parametrize("name", ["results/", "../results//", "out.mrc/"])
def test_name_that_ends_like_a_folder_is_refused(name):
    with pytest.raises(
        InputError,
        match=r"output .*/ is the name of a folder\. Give the name of a "
        r"map in it, e.g. .*/locscale_output.mrc",
    ):
        require_file_name(name)
