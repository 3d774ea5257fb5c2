"""What of a soft mask counts as inside, and whether a map that was given as mask is one."""

import numpy as np

from ..errors import InputError
from ..findings import Finding
from ..remedies import do, give, leave_out
from .grid import BoolArray, FloatArray, Map
from .map_values import block_means

_INSIDE = 0.5  # of a soft mask, from which a voxel counts as inside
_ROUNDED = 0.01  # beyond 0 to 1 by rounding
_RINGING = 0.25  # beyond 0 to 1 by interpolation
_PLATEAU = 0.75  # median of what is inside; density that is no mask has less
_BLOCK = 5.0  # Å, in which density is compared with its surroundings
_DENSEST = 0.99  # quantile of the blocks that hold the particle for certain
_MISSED = 0.1  # share of these that a mask of the particle cannot leave out


def inside(soft: FloatArray) -> BoolArray:
    """Voxels inside a soft mask: those that it takes to a half or more."""
    return np.asarray(soft >= _INSIDE, dtype=np.bool_)


def checked_mask(given: Map, observed: Map, corners: BoolArray) -> tuple[FloatArray, list[Finding]]:
    """Check a user's mask; return its values, 0 to 1, and what the user must know about it.

    Parameters
    ----------
    given : Map
        On the grid of the observed map.
    observed : Map
        Solvent mean subtracted.
    corners : bool array, shape grid.shape
        The part of the box without particle.

    Raises
    ------
    InputError
        If it is no mask, empty, or inverted.
    """
    values, findings = _from_0_to_1(given)
    low, high = float(values.min()), float(values.max())
    if low >= _INSIDE:
        everywhere = f"{low:.3g}" if low == high else f"{low:.3g} or more"
        findings.append(
            Finding(
                "mask-whole-box",
                "note",
                f"mask {given.name} is {everywhere} everywhere, so the whole box is used",
                remedies=(give("mask", "a mask of the particle"), leave_out("mask")),
            )
        )
        return values, findings
    return values, findings + _misplaced(given.name, inside(values), observed, corners)


def _from_0_to_1(given: Map) -> tuple[FloatArray, list[Finding]]:
    """Clip the values to 0 to 1: without the overshoot of an interpolation, the largest at 1."""
    values, name = given.values, given.name
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all() or low < -_RINGING or high > 1 + _RINGING:
        remedy = (
            do(f"divide it by {high:g}")
            if low > -_ROUNDED and high > 1
            else give("mask", "another mask")
        )
        raise InputError(
            f"mask {name} runs from {low:g} to {high:g}; a mask runs from 0 to 1", remedy
        )
    solid = inside(values)
    if not solid.any():
        raise InputError(
            f"mask {name} is empty: no voxel reaches {_INSIDE:g}",
            give("mask", "another mask"),
            leave_out("mask"),
        )
    findings = []
    if low < -_ROUNDED or high > 1 + _ROUNDED:
        if float(np.median(values[solid])) < _PLATEAU:
            raise InputError(
                f"mask {name} runs from {low:g} to {high:g} without a plateau at 1, "
                "so it looks like a density map",
                give("mask", "a mask, which runs from 0 to 1"),
            )
        findings.append(
            Finding(
                "mask-clipped",
                "note",
                f"mask {name} runs from {low:.3g} to {high:.3g}, as interpolation leaves it. It was "
                "cut off at 0 and 1",
                {"lowest": low, "highest": high},
            )
        )
    elif high < 1 - _ROUNDED:
        findings.append(
            Finding(
                "mask-raised",
                "note",
                f"mask {name} reaches {high:.3g} and not 1. It was divided by that",
                {"highest": high},
            )
        )
        values = values / np.float32(high)
    return np.clip(values, 0, 1).astype(np.float32), findings


def _misplaced(name: str, solid: BoolArray, observed: Map, corners: BoolArray) -> list[Finding]:
    """Refuse an inverted mask; say where one leaves the density out."""
    size = [max(1, round(_BLOCK / edge)) for edge in observed.grid.voxel_size[::-1]]
    density = block_means(observed.values, size)
    share = block_means(solid.astype(np.float32), size)
    densest = density >= np.quantile(density, _DENSEST)
    found = float(share[densest].mean())
    mean_in, mean_out = (
        float(np.average(density, weights=weight)) for weight in (share, 1 - share)
    )
    if found >= _MISSED or mean_in >= mean_out:
        return []
    at_corners, elsewhere = float(solid[corners].mean()), float(solid[~corners].mean())
    if at_corners > max(0.5, elsewhere):
        raise InputError(
            f"mask {name} looks inverted: it takes {at_corners:.0%} of the corners "
            f"of the box and {found:.0%} of the strongest density",
            give("mask", "1 minus the mask"),
        )
    return [
        Finding(
            "mask-misses-density",
            "warning",
            f"mask {name} leaves out the density: {found:.0%} of the strongest density of "
            f"{observed.name} is inside, and the mean is {mean_in:.2g} inside and {mean_out:.2g} "
            "outside",
            {"share": found},
            (give("mask", "the mask of this map"),),
        )
    ]
