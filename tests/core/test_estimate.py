"""What is said before the work: time and memory, and another program of the same name."""

import struct

import mrcfile
import numpy as np
import pytest

from locscale_hybrid.cli import installation
from locscale_hybrid.cli.estimate import estimate, estimate_files
from locscale_hybrid.parameters import HybridInputs, HybridParameters


@pytest.fixture
def files(tmp_path):
    with mrcfile.new(tmp_path / "full.mrc") as stream:
        stream.set_data(np.zeros((20, 30, 40), np.float32))
        stream.voxel_size = 1.5
    with mrcfile.new(tmp_path / "full.map.gz", compression="gzip") as stream:
        stream.set_data(np.zeros((20, 30, 40), np.float32))
    lines = ["CRYST1", *(f"ATOM  {n:5}  CA  ALA A{n:4}" for n in range(700)), "HETATM", "END"]
    (tmp_path / "model.pdb").write_text("\n".join(lines))
    return tmp_path


@pytest.mark.parametrize("name", ["full.mrc", "full.map.gz"])
def test_estimate_reads_the_box_and_counts_atoms(files, name):
    inputs = HybridInputs(full_map=files / name, model=files / "model.pdb")
    found = estimate_files(inputs, HybridParameters(), 2)
    assert (found.shape, found.atoms, found.processes) == ((20, 30, 40), 701, 2)


def test_estimate_without_model_expects_pseudo_atoms(files):
    found = estimate_files(HybridInputs(full_map=files / "full.mrc"), HybridParameters(), 1)
    assert found.atoms == pytest.approx(20 * 30 * 40 * 1.5**3 * 0.06 * 0.0585, abs=1)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 1024, b"\x1f\x8bbroken" * 200])
def test_no_estimate_where_there_is_no_map(tmp_path, content):
    (tmp_path / "a.mrc").write_bytes(content)
    inputs = HybridInputs(full_map=tmp_path / "a.mrc", model=tmp_path / "a.mrc")
    assert estimate_files(inputs, HybridParameters(), 1) is None


def test_estimate_grows_with_the_work_and_falls_with_processes():
    one = estimate((100, 100, 100), 3000, 1, HybridParameters())
    assert estimate((100, 100, 100), 3000, 4, HybridParameters()).seconds < one.seconds
    assert estimate((200, 200, 200), 3000, 1, HybridParameters()).seconds > one.seconds
    assert estimate((100, 100, 100), 9000, 1, HybridParameters()).gigabytes > one.gigabytes
    assert (
        estimate((100, 100, 100), 3000, 1, HybridParameters(scaling="windows")).seconds
        > one.seconds
    )


# whole runs on simulated half maps by one process: edge of the box in voxels, voxel in Å, point
# group, atoms in the model file; CPU seconds, and GiB at the peak where that was noted
MEASURED = {
    "enolase 3.0 Å": (112, 1.0, "C1", 2303, 12.8, 0.29),
    "plasmepsin 3.2 Å": (96, 1.2, "D2", 7256, 21.0, 0.22),
    "one chain of it": (96, 1.2, "D2", 1814, 19.5, None),
    "haemoglobin 3.4 Å": (112, 1.0, "C1", 3389, 14.6, 0.29),
    "apoferritin 3.2 Å": (120, 1.3, "O", 989, 62.1, None),
    "packed, 300 voxels": (300, 1.0, "C1", 20727, 193.0, 1.28),
}


@pytest.mark.parametrize("case", MEASURED)
def test_estimate_is_within_a_factor_of_two_of_what_was_measured(tmp_path, case):
    edge, voxel, group, atoms, seconds, gibibytes = MEASURED[case]
    header = bytearray(1024)
    struct.pack_into("<10i", header, 0, edge, edge, edge, 2, 0, 0, 0, edge, edge, edge)
    struct.pack_into("<3f", header, 40, *[edge * voxel] * 3)
    (tmp_path / "map.mrc").write_bytes(header)
    (tmp_path / "model.pdb").write_text("ATOM\n" * atoms)
    inputs = HybridInputs(full_map=tmp_path / "map.mrc", model=tmp_path / "model.pdb")
    found = estimate_files(inputs, HybridParameters(point_group=group), 1)
    assert 0.5 < found.seconds / seconds < 2
    assert gibibytes is None or 0.5 < found.gigabytes / (gibibytes * 1.0737) < 2


def test_the_memory_announced_for_512_voxels_is_what_was_measured():
    found = estimate((512, 512, 512), 30_000, 1, HybridParameters())
    assert found.gigabytes == pytest.approx(6.9, rel=0.1)  # a mask of an eighth of the box


def test_another_locscale_in_the_environment_is_named(monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.4.1")
    found = installation.other_locscale()
    assert "LocScale 2.4.1 is installed in this environment" in found.message
    assert "Use the name locscale-hybrid for this program" in found.message


@pytest.mark.parametrize(
    ("text", "is_other"),
    [
        ("#!/usr/bin/python\nfrom locscale_hybrid.cli.main import main", False),
        ("#!/usr/bin/python\nfrom locscale.main import main", True),
    ],
)
def test_another_locscale_on_the_path_is_named(tmp_path, monkeypatch, text, is_other):
    script = tmp_path / "locscale"
    script.write_text(text)
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = installation.other_locscale()
    assert (found is not None) == is_other
    if found is not None:
        assert str(script) in found.message


def test_region_takes_its_share_of_the_scaling():
    whole, region, none = (
        estimate((100, 100, 100), 0, 1, HybridParameters(region=corners), volume=1e6).seconds
        for corners in (None, (0, 0, 0, 10, 10, 10), (0, 0, 0, 100, 100, 100))
    )
    assert whole - region == pytest.approx(3.0 * (1 - 60**3 / 1e6))
    assert none == whole
