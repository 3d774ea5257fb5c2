"""Values of a map: its means in blocks, voxels beyond all others, and the ends of float32."""

import itertools

import numpy as np

from ..findings import Finding
from .grid import FloatArray, IntArray, Map

_LEAST_SPAN, _MOST_SPAN = 1e-4, 1e6  # of values whose powers float32 holds in every stage
_OUTSTANDING = 0.3  # of the largest deviation: few voxels have that where some are damaged
_MOST_HOT = 64  # voxels; a peak of density or of noise has more beyond that
_AROUND = 0.05  # of the largest deviation: density next to a peak has more
_ROUNDS = 8  # damaged voxels may differ by orders of magnitude


def block_means(values: FloatArray, size: list[int]) -> FloatArray:
    """Means of blocks of voxels (z, y, x); what is left over at the far faces is not used."""
    nz, ny, nx = (max(1, length // edge) for length, edge in zip(values.shape, size, strict=True))
    sz, sy, sx = (min(edge, length) for edge, length in zip(size, values.shape, strict=True))
    means = np.empty((nz, ny, nx), dtype=np.float32)
    for z in range(nz):
        slab = values[z * sz : (z + 1) * sz, : ny * sy, : nx * sx]
        means[z] = slab.mean(axis=0).reshape(ny, sy, nx, sx).mean(axis=(1, 3))
    return means


def without_hot_voxels(volume: Map) -> list[Finding]:
    """Replace, in place, voxels far beyond all others by the mean of those around them.

    Density and noise of a map are never confined to single voxels with nothing around them.

    Parameters
    ----------
    volume : Map
        Its values are changed.

    Returns
    -------
    list of Finding
        One where there are any.
    """
    values, count, worst = volume.values, 0, (0.0, (0, 0, 0))
    for _ in range(_ROUNDS):
        hot, around = _hot(values)
        if not len(hot):
            break
        if not count:
            z, y, x = np.unravel_index(int(hot[0]), values.shape)
            worst = float(values[z, y, x]), (int(x), int(y), int(z))
        values.ravel()[hot] = around
        count += len(hot)
    if not count:
        return []
    fact, pronoun = ("1 voxel", "It was") if count == 1 else (f"{count} voxels", "They were")
    return [
        Finding(
            "hot-voxels",
            "warning",
            f"{volume.name} has {fact} far beyond all others, such as {worst[0]:.3g} at voxel "
            f"{worst[1]}. {pronoun} replaced by the mean of the voxels around. Check how the file was "
            "made",
            {"voxels": count, "value": worst[0]},
        )
    ]


def _hot(values: FloatArray) -> tuple[IntArray, FloatArray]:
    """Flat indices of damaged voxels, the worst first, and the mean around each."""
    none = np.empty(0, dtype=np.intp), np.empty(0, dtype=np.float32)
    level = float(values.mean(dtype=np.float64))
    peak = max(float(np.max(values)) - level, level - float(np.min(values)))
    beyond = _OUTSTANDING * peak
    few = np.flatnonzero((values > level + beyond) | (values < level - beyond))
    if not 0 < len(few) <= _MOST_HOT:
        return none
    near = _neighbours(few, values.shape)
    sane = ~np.isin(near, few)
    deviation = np.abs(values.ravel()[near].astype(np.float64) - level)
    if not sane.any(axis=1).all() or (deviation[sane] > _AROUND * peak).any():
        return none
    sums = np.where(sane, values.ravel()[near], 0).sum(axis=1, dtype=np.float64)
    order = np.argsort(-np.abs(values.ravel()[few].astype(np.float64) - level), kind="stable")
    return few[order], (sums / sane.sum(axis=1)).astype(np.float32)[order]


def _neighbours(places: IntArray, shape: tuple[int, ...]) -> IntArray:
    """Flat indices of the 26 voxels around each, wrapped."""
    z, y, x = np.unravel_index(places, shape)
    steps = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]
    near = [
        np.ravel_multi_index((z + dz, y + dy, x + dx), shape, mode="wrap") for dz, dy, dx in steps
    ]
    return np.asarray(np.stack(near, axis=1), dtype=np.intp)


def bring_to_range(values: FloatArray) -> int:
    """Multiply values, in place, by a power of two where their powers are beyond float32.

    Returns
    -------
    int
        The power; 0 for all usual maps, which stay as they are.
    """
    span = float(np.max(values)) - float(np.min(values))
    if _LEAST_SPAN <= span <= _MOST_SPAN or span == 0:
        return 0
    power = -round(float(np.log2(span)))
    np.ldexp(values, power, out=values)
    return power


def range_finding(name: str, power: int) -> list[Finding]:
    """Say that the values of a map were multiplied."""
    if not power:
        return []
    return [
        Finding(
            "value-range",
            "note",
            f"{name} has values of the order of {2.0**-power:.0e}. They were multiplied by "
            f"{2.0**power:.3g} for the run; gain maps belong to the multiplied map",
            {"factor": 2.0**power},
        )
    ]
