"""A map lies for the core where it lies in ChimeraX, and so does what the core writes."""

import itertools
import struct

import mrcfile
import numpy as np
import pytest

from locscale_hybrid.mrc import read_map_and_frame, write_map

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
        shown, = run(f'open "{tmp_path / name}"')
        assert np.array_equal(shown.full_matrix(), volume.values)
        assert np.abs(np.subtract(shown.data.origin, volume.grid.origin)).max() < 1.5e-3
        assert shown.data.step == pytest.approx(volume.grid.voxel_size, rel=1e-6)
