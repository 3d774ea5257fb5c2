"""A box of the map that alone is scaled, for a quick look into a large map."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..findings import Finding
from .given_mask import inside
from .grid import FloatArray, Grid

Box = tuple[slice, slice, slice]
Corners = tuple[float, float, float, float, float, float]  # x y z of the low, then the high corner

_Kind = TypeVar("_Kind", bound=np.generic)

_ON_A_VOXEL = 1e-3  # voxels: corners that name a voxel hold it, whatever they round to
_EDGE = 6.0  # Å, soft edge of `soft_box`


def box_of(corners: Corners, grid: Grid) -> Box:
    """Voxels whose centres lie between two corners, Å in the frame of the map.

    Parameters
    ----------
    corners : (x, y, z, x, y, z)
        The low corner, then the high one.
    grid : Grid

    Returns
    -------
    three slices
        Along z, y, x.

    Raises
    ------
    InputError
        If there are none.
    """
    low = np.ceil(grid.index_of(np.array(corners[:3])) - _ON_A_VOXEL).astype(int)
    high = np.floor(grid.index_of(np.array(corners[3:])) + _ON_A_VOXEL).astype(int)
    first, last = np.maximum(low, 0), np.minimum(high, np.array(grid.shape) - 1)
    if (last < first).any():
        spans = [
            f"{name} {begin:.4g} to {begin + edge:.4g}"
            for name, begin, edge in zip("xyz", grid.origin, grid.cell, strict=True)
        ]
        raise InputError(
            f"the region {region_text(corners)} holds no voxel of the map, which has "
            f"{', '.join(spans)} Å: give a region inside it, or leave it out"
        )
    z, y, x = (slice(int(begin), int(end) + 1) for begin, end in zip(first, last, strict=True))
    return z, y, x


def beyond_the_map(corners: Corners, grid: Grid) -> list[Finding]:
    """Report that a region extends beyond the map, by more than a voxel."""
    low, high = np.array(grid.origin), np.add(grid.origin, grid.cell)
    kept = (*np.maximum(corners[:3], low), *np.minimum(corners[3:], high))
    if np.abs(np.subtract(kept, corners)).max() <= max(grid.voxel_size):
        return []
    return [
        Finding(
            "region-beyond",
            "note",
            f"the region {region_text(corners)} goes beyond the map: what lies in it, "
            f"{region_text(kept)}, is scaled",
        )
    ]


def region_text(corners: Corners) -> str:
    """Format a region in words, with its unit."""
    spans = [
        f"{name} {low:.4g} to {high:.4g}"
        for name, low, high in zip("xyz", corners[:3], corners[3:], strict=True)
    ]
    return f"{', '.join(spans)} Å"


def within(values: NDArray[_Kind], box: Box) -> NDArray[_Kind]:
    """Values of a map, or a region of it, in a box; 0 or False elsewhere."""
    result = np.zeros_like(values)
    result[box] = values[box]
    return result


def grown(box: Box, grid: Grid, width: float) -> Box:
    """Grow a box by `width` Å on every side, up to the borders of the map."""
    z, y, x = (
        slice(
            max(part.start - round(width / voxel), 0), min(part.stop + round(width / voxel), whole)
        )
        for part, voxel, whole in zip(box, grid.voxel_size[::-1], grid.shape, strict=True)
    )
    return z, y, x


def require_density(corners: Corners, box: Box, mask: FloatArray) -> None:
    """Refuse a box that holds nothing of the mask.

    Raises
    ------
    InputError
        If no voxel of the box is inside.
    """
    if not inside(mask[box]).any():
        raise InputError(
            f"the region {region_text(corners)} holds solvent alone: there is "
            "nothing to scale; give a region that holds part of the particle"
        )


def soft_box(box: Box, grid: Grid) -> FloatArray:
    """1 in a box, with an edge of 6 Å that falls to 0 at its faces; none at those of the map."""
    result = np.zeros(grid.shape, dtype=np.float32)
    result[box] = 1
    for axis, (part, whole, voxel) in enumerate(
        zip(box, grid.shape, grid.voxel_size[::-1], strict=True)
    ):
        length = part.stop - part.start
        ends = (part.start > 0, part.stop < whole)
        width = min(round(_EDGE / voxel), length // 3)
        factor = edge_factor(length, width, ends).reshape(
            [-1 if i == axis else 1 for i in range(3)]
        )
        result[box] *= factor
    return result


def edge_factor(length: int, width: int, ends: tuple[bool, bool]) -> FloatArray:
    """1 along an edge, falling to 0 by a cosine of `width` voxels at those ends asked for."""
    factor = np.ones(length, dtype=np.float32)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(min(width, length)) + 0.5) / max(width, 1))
    if ends[0]:
        factor[: len(rise)] *= rise.astype(np.float32)
    if ends[1]:
        factor[length - len(rise) :] *= rise[::-1].astype(np.float32)
    return factor
