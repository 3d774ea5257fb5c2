"""A map lies for the core where it lies in ChimeraX, and so does what the core writes."""

import itertools
import struct

import mrcfile
import numpy as np
import pytest
from scipy import ndimage

from locscale_hybrid.maps.mrc import read_map_and_frame, write_map

VALUES = np.random.default_rng(1).normal(size=(10, 11, 12)).astype(np.float32)


def write(path, axes, origin, start):
    """A map whose file axes hold the spatial axes `axes`, header words set by hand."""
    stored = np.ascontiguousarray(VALUES.transpose([3 - axis for axis in axes[::-1]]))
    with mrcfile.new(path, stored, overwrite=True) as file:
        file.voxel_size = 1.5
    raw = bytearray(path.read_bytes())
    raw[16:28] = struct.pack("<3i", *(start[axis - 1] for axis in axes))
    raw[28:52] = struct.pack("<3i3f", 12, 11, 10, 18.0, 16.5, 15.0)
    raw[64:76] = struct.pack("<3i", *axes)
    raw[196:208] = struct.pack("<3f", *origin)
    path.write_bytes(raw)


@pytest.mark.parametrize("axes", list(itertools.permutations((1, 2, 3))))
@pytest.mark.parametrize("origin", [(0, 0, 0), (-17.3, 40, 5), (0, 0, 3)])
@pytest.mark.parametrize("start", [(0, 0, 0), (5, -7, 11), (1 << 30, 0, 0)])
def test_core_reads_and_writes_where_chimerax_does(run, tmp_path, axes, origin, start):
    write(tmp_path / "in.mrc", axes, origin, start)
    volume, frame = read_map_and_frame(tmp_path / "in.mrc")
    write_map(tmp_path / "out.mrc", volume, frame=frame)
    for name in ("in.mrc", "out.mrc"):
        (shown,) = run(f'open "{tmp_path / name}"')
        assert np.array_equal(shown.full_matrix(), volume.values)
        assert np.abs(np.subtract(shown.data.origin, volume.grid.origin)).max() < 1.5e-3
        assert shown.data.step == pytest.approx(volume.grid.voxel_size, rel=1e-6)


def blobs(shape=(22, 24, 26)):
    """A smooth density without symmetry, 0 to 100."""
    values = np.zeros(shape)
    for place in np.random.default_rng(2).uniform(6, np.array(shape) - 7, (12, 3)).astype(int):
        values[tuple(place)] += 1
    values = ndimage.gaussian_filter(values, 1.6)
    return 100 / values.max() * values


@pytest.mark.parametrize(
    ("axes", "origin", "start", "kind"),
    [
        ((1, 2, 3), (0, 0, 0), (0, 0, 0), np.float32),
        ((3, 1, 2), (-17.3, 40, 5), (0, 0, 0), np.float32),
        ((2, 1, 3), (0, 0, 0), (5, -7, 11), np.float32),
        ((1, 2, 3), (3, 4, 5), (5, -7, 11), np.int16),
        ((3, 2, 1), (0, 0, 3), (0, 0, 0), np.uint16),
        ((1, 2, 3), (0, 0, 0), (-40, 2, 9), np.float16),
        ((1, 3, 2), (0, 0, 0), (0, 0, 0), np.int8),
    ],
)
def test_fitmap_brings_an_output_back_to_its_place(run, tmp_path, axes, origin, start, kind):
    given = blobs()
    stored = np.ascontiguousarray(given.astype(kind).transpose([3 - axis for axis in axes[::-1]]))
    with mrcfile.new(tmp_path / "in.mrc", stored) as file:
        file.voxel_size = 1.5
    raw = bytearray((tmp_path / "in.mrc").read_bytes())
    raw[16:28] = struct.pack("<3i", *(start[axis - 1] for axis in axes))
    raw[28:52] = struct.pack("<3i3f", *given.shape[::-1], *(1.5 * n for n in given.shape[::-1]))
    raw[64:76] = struct.pack("<3i", *axes)
    raw[196:208] = struct.pack("<3f", *origin)
    (tmp_path / "in.mrc").write_bytes(raw)
    volume, frame = read_map_and_frame(tmp_path / "in.mrc")
    write_map(tmp_path / "out.mrc", volume, frame=frame)
    run(f'open "{tmp_path / "in.mrc"}"')
    (made,) = run(f'open "{tmp_path / "out.mrc"}"')
    middle = np.array([volume.grid.position_of(np.array(given.shape) / 2)])
    run("volume #2 level 25")
    # a start a third of a voxel away, so that staying where it was is no success
    run("move x 0.5 models #2; move y -0.4 models #2")
    run("fitmap #2 inMap #1 metric correlation gridStepMin 0.00001 maxSteps 5000")
    moved = made.scene_position.transform_points(middle) - middle
    assert np.linalg.norm(moved) < 1e-3 * 1.5
