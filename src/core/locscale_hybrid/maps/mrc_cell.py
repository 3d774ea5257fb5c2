"""Voxel size and position in the header of an MRC/CCP4 file, or as they were given instead."""

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..findings import Finding
from ..remedies import do, give, leave_out
from .grid import DoubleArray, Shape, Vector
from .map_frame import MapFrame

Fields = Any  # one record of mrcfile's HEADER_DTYPE
AXIS_TOLERANCE = 0.005  # relative difference of voxel edges that is still one magnification


def frame_of_header(
    fields: Fields,
    shape: Shape,
    transpose: tuple[int, int, int],
    path: Path,
    voxel_size: float | None,
    notes: list[Finding],
) -> MapFrame:
    """Cell, ORIGIN and NSTART in XYZ order."""
    box = shape[::-1]
    sampling = _sampling(fields, box, path, notes)
    cell = _cell(fields, sampling, path, voxel_size, notes)
    starts = [int(fields[name]) for name in ("nxstart", "nystart", "nzstart")][::-1]
    z, y, x = (starts[axis] for axis in transpose)
    limit = 10 * max(*sampling, *box)
    if max(abs(x), abs(y), abs(z)) > limit:
        notes.append(
            Finding(
                "nstart-ignored",
                "warning",
                f"{path.name} starts at voxel ({x}, {y}, {z}), beyond ten boxes away; NSTART is not "
                "used, as in ChimeraX",
            )
        )
        x = y = z = 0
    frame = MapFrame(cell, sampling, (0.0, 0.0, 0.0), (x, y, z))
    origin = _origin(fields, frame.voxel_size, path, notes)
    if any(origin) and any((x, y, z)):
        by_start = frame.grid(shape).origin
        if np.abs(np.subtract(origin, by_start)).max() > 0.01 * min(frame.voxel_size):
            notes.append(
                Finding(
                    "origins-differ",
                    "note",
                    f"{path.name} has two positions: ORIGIN {_triple(origin)} Å, used here, and NSTART "
                    f"{_triple(by_start)} Å, which ChimeraX uses for files named .map or .ccp4",
                )
            )
    return MapFrame(cell, sampling, origin, (x, y, z)).holding(box)


def _sampling(fields: Fields, box: Shape, path: Path, notes: list[Finding]) -> tuple[int, int, int]:
    """MX, MY, MZ, or the box where they are missing or speak of an image stack."""
    x, y, z = (int(fields[name]) for name in ("mx", "my", "mz"))
    if min(x, y, z) <= 0:
        notes.append(
            Finding(
                "cell-sampling",
                "note",
                f"{path.name} gives no sampling of its cell (MX, MY, MZ = {x}, {y}, "
                f"{z}); the box of {box[0]} x {box[1]} x {box[2]} voxels is taken",
            )
        )
        return box
    edges = np.array([_decimal(fields["cella"][name]) for name in ("x", "y", "z")])
    if min(edges) > 0 and not _is_even(edges / (x, y, z)) and _is_even(edges / box):
        notes.append(
            Finding(
                "cell-sampling",
                "note",
                f"{path.name} samples its cell by {x} x {y} x {z} voxels, which then "
                f"differ along the axes; the box of {box[0]} x {box[1]} x {box[2]} "
                "voxels is taken",
            )
        )
        return box
    return x, y, z


def _is_even(voxels: DoubleArray) -> bool:
    """Test whether voxels have the same edge along all axes, as far as required."""
    return bool(voxels.max() / voxels.min() - 1 <= AXIS_TOLERANCE)


def _cell(
    fields: Fields,
    sampling: tuple[int, int, int],
    path: Path,
    voxel_size: float | None,
    notes: list[Finding],
) -> Vector:
    """Edges of the cell in Å, from the header or from the voxel size given."""
    edges = [_decimal(fields["cella"][name]) for name in ("x", "y", "z")]
    voxels = np.array(edges) / sampling
    known = bool(np.isfinite(voxels).all() and (voxels > 0).all())
    if voxel_size is not None:
        mean = float(voxels.mean()) if known else 0.0
        if known and np.abs(voxels / voxel_size - 1).max() > 1e-3:
            notes.append(
                Finding(
                    "voxel-size-override",
                    "warning" if abs(mean / voxel_size - 1) > 0.01 else "note",
                    f"{path.name}: voxel size {voxel_size:g} Å as given in place of {mean:.4g} Å in "
                    f"the header, {100 * (voxel_size / mean - 1):+.1f} %",
                    {"given_angstrom": voxel_size, "header_angstrom": mean},
                    (leave_out("voxel_size", when="to use the header"),),
                )
            )
        x, y, z = (voxel_size * count for count in sampling)
        return x, y, z
    if not known:
        raise InputError(
            f"{path} gives no voxel size (cell {_triple(edges)} Å)", give("voxel_size")
        )
    if voxels.min() < 0.05 or voxels.max() > 50:
        raise InputError(
            f"{path} has voxels of {_triple(voxels)} Å, outside 0.05 to 50 Å", give("voxel_size")
        )
    if not _is_even(voxels):
        raise InputError(
            f"{path} has voxels of {_triple(voxels)} Å, which differ by "
            f"{100 * (voxels.max() / voxels.min() - 1):.2f} % between axes (allowed "
            f"{100 * AXIS_TOLERANCE:g} %)",
            do("resample it"),
            give("voxel_size", "one voxel size", when="if the header is wrong"),
        )
    return edges[0], edges[1], edges[2]


def _origin(fields: Fields, voxels: Vector, path: Path, notes: list[Finding]) -> Vector:
    """ORIGIN in Å, zero where the file has none that can be meant."""
    if bytes(fields["map"])[:3] != b"MAP":
        return 0.0, 0.0, 0.0
    origin = [_decimal(fields["origin"][name]) for name in ("x", "y", "z")]
    # beyond 2^24 voxels float32 cannot tell neighbours apart: left over from an older program
    if not np.isfinite(origin).all() or (np.abs(origin) > 2**24 * np.array(voxels)).any():
        notes.append(
            Finding(
                "origin-ignored",
                "warning",
                f"{path.name} has the ORIGIN {_triple(origin)} Å, which no map can "
                "have; NSTART gives the position, as in ChimeraX",
            )
        )
        return 0.0, 0.0, 0.0
    return origin[0], origin[1], origin[2]


def _decimal(value: np.float32) -> float:
    """Return the shortest decimal of a float32: 145.6, not 145.60000610351562."""
    return float(str(value))


def _triple(values: object) -> str:
    """Three numbers for a message."""
    return "({})".format(", ".join(f"{float(v):.4g}" for v in np.ravel(np.asarray(values))))
