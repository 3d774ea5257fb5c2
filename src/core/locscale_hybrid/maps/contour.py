"""Contour levels that make two maps comparable: the level that encloses a given volume."""

import numpy as np

from .grid import FloatArray


def voxels_enclosed(values: FloatArray, level: float) -> int:
    """Count the voxels at or above a contour level.

    Parameters
    ----------
    values : array
        Density, any shape.
    level : float
        Contour level in units of `values`.

    Returns
    -------
    int
        Number of voxels; times the voxel volume it is the volume that the contour encloses.
    """
    return int(np.count_nonzero(values >= level))


def level_enclosing(values: FloatArray, count: int) -> float | None:
    """Contour level that encloses `count` voxels.

    Parameters
    ----------
    values : array
        Density, any shape.
    count : int
        Number of voxels, as `voxels_enclosed` gives it for another map of the same grid.

    Returns
    -------
    float or None
        Midway between the `count`-th and the next largest value, so that exactly `count` voxels
        lie above it where no two values are equal.  A level at or below zero would show the
        solvent: then it is the smallest positive value.  None where no contour shows anything:
        `count` is not between 1 and the number of voxels, or no value is positive.
    """
    flat = np.ravel(values)
    if not 0 < count < flat.size:
        return None
    place = flat.size - count
    ordered = np.partition(flat, (place - 1, place))
    level = (float(ordered[place - 1]) + float(ordered[place])) / 2
    if level > 0:
        return level
    positive = flat[flat > 0]
    return float(positive.min()) if positive.size else None
