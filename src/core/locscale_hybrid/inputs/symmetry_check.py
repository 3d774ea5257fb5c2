"""Whether a map has the symmetry that is asked for, and which one it has if not."""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..findings import Finding
from ..fourier.space import FourierSpace, resize
from ..maps.grid import BoolArray, ComplexArray, Grid, Map, Vector
from ..remedies import Remedy, leave_out, use
from ..symmetry.detection import fitting_settings
from ..symmetry.operators import (
    Symmetry,
    correlations_under,
    map_correlations,
    parse_point_group,
    symmetry_of,
    voxel_turns,
)
from ..symmetry.rotation import spline_coefficients
from .half_maps import solvent_region
from .model_fit import coarse_shape

PRESENT = 0.9  # correlation of a map with its copies that shows the symmetry
ABSENT = 0.5
CANDIDATES = (
    *(f"C{n}" for n in range(2, 9)),
    *(f"D{n}" for n in range(2, 9)),
    "T",
    "T222",
    "TXZ",
    "O",
    "I1",
    "I2",
    "I3",
    "I4",
)
_SAMPLES = 20_000  # voxels compared per candidate


def check_symmetry(
    grid: Grid, coefficients: ComplexArray, symmetry: Symmetry, *, resolution: float | None = None
) -> list[Finding]:
    """Compare a map with its copies under a point group, after a low-pass.

    Parameters
    ----------
    grid : Grid
    coefficients : array
        Of the map on that grid.
    symmetry : Symmetry
    resolution : float, optional
        Å; the low-pass is at twice that, at least at 6 Å.

    Raises
    ------
    InputError
        If the map does not have the symmetry; the message names one that it has.
    """
    if symmetry.is_trivial:
        return []
    low = low_passed(grid, coefficients, max(6.0, 2 * (resolution or 0.0)))
    region = dense_region(low)
    worst = float(map_correlations(low, symmetry, thinned(region)).min())
    if worst >= PRESENT:
        return []
    symbol = symmetry.group.symbol
    at = _voxel_text(grid, symmetry.centre)
    fact = (
        f"the map does not look {symbol}-symmetric about voxel {at}: its copies correlate with "
        f"it to {worst:.2f} at worst, and {PRESENT:g} or more is expected"
    )
    fits, remedy = _what_fits(grid, coefficients, symmetry, low, region)
    fact = f"{fact}; {fits}"
    if worst < ABSENT:
        raise InputError(fact, remedy)
    return [Finding("symmetry-weak", "warning", fact, {"correlation": worst}, (remedy,))]


def suggested_symmetry(
    grid: Grid, coefficients: ComplexArray, *, resolution: float | None = None
) -> list[Finding]:
    """Find the largest point group that a map shows about the middle of its box.

    Parameters
    ----------
    grid : Grid
    coefficients : array
        Of the map on that grid.
    resolution : float, optional
        Å; the low-pass is that of `check_symmetry`.

    Returns
    -------
    list of Finding
        One note, whose values name the group; none where the map shows no symmetry.
    """
    low = low_passed(grid, coefficients, max(6.0, 2 * (resolution or 0.0)))
    nothing = symmetry_of(grid, "C1")
    groups = fitting_groups(low, nothing, dense_region(low))
    best = _largest(groups)
    if best is None:
        return []
    return [
        Finding(
            "symmetry-suggested",
            "note",
            f"the map looks {best}-symmetric about voxel {_voxel_text(grid, nothing.centre)} "
            f"(correlation with its copies {groups[best]:.2f} at worst)",
            {"point_group": best, "correlation": groups[best]},
            (use("point_group", best, when="if the map was reconstructed with it"),),
        )
    ]


def low_passed(grid: Grid, coefficients: ComplexArray, resolution: float) -> Map:
    """Filter the map to half amplitude at `resolution` Å, on a grid of a quarter of that."""
    shape = coarse_shape(grid, resolution / 4)
    space = FourierSpace(grid.resampled(shape))
    transfer = np.exp(space.s_squared * np.float32(-np.log(2) * resolution**2))
    return Map(space.backward(resize(coefficients, grid.shape, shape) * transfer), space.grid)


def dense_region(low: Map) -> BoolArray:
    """Mark where a low-passed map rises above its solvent, two voxels dilated."""
    values = low.values
    solvent = values[solvent_region(low.grid.shape)]
    level = float(np.median(solvent))
    top = float(np.percentile(values, 99.9))
    threshold = level + max(3 * float(solvent.std()), 0.1 * (top - level))
    threshold = min(threshold, level + 0.5 * (top - level))
    return np.asarray(ndimage.binary_dilation(values > threshold, iterations=2), dtype=np.bool_)


def thinned(region: BoolArray) -> BoolArray:
    """Choose voxels of a region evenly, enough for a correlation to 0.01."""
    chosen = np.flatnonzero(region)
    few = np.zeros(region.shape, dtype=np.bool_)
    few.ravel()[chosen[:: max(1, len(chosen) // _SAMPLES)]] = True
    return few


def fitting_groups(low: Map, symmetry: Symmetry, region: BoolArray) -> dict[str, float]:
    """Candidates that the map has about the same centre, with their worst correlation."""
    few, coefficients = thinned(region), spline_coefficients(low.values)
    found = {}
    for symbol in CANDIDATES:
        candidate = Symmetry(parse_point_group(symbol), symmetry.centre)
        turns = voxel_turns(candidate, low.grid)[1:]
        worst = float(
            correlations_under(
                low.values, turns, few, stop_below=PRESENT, coefficients=coefficients
            ).min()
        )
        if worst >= PRESENT:
            found[symbol] = worst
    return found


def _what_fits(
    grid: Grid, coefficients: ComplexArray, symmetry: Symmetry, low: Map, region: BoolArray
) -> tuple[str, Remedy]:
    """Say what would fit and what to do: another group, another axis or centre, or none."""
    groups = fitting_groups(low, symmetry, region)
    best = _largest(groups)
    order = 1 if best is None else parse_point_group(best).order
    if best is None or order < min(symmetry.order, 12):
        space = FourierSpace(grid)
        whole = Map(space.backward(coefficients), grid)
        index = np.ix_(
            *(np.arange(n) * m // n for n, m in zip(grid.shape, region.shape, strict=True))
        )
        settings = fitting_settings(whole, symmetry, region[index], least=PRESENT)
        if settings and settings[0].order > order:
            return settings[0].fact, settings[0].remedy
    if best is None:
        return "none of C2 to C8, D2 to D8, T, O and I fits", leave_out("point_group")
    fact = f"{best} fits (correlation {groups[best]:.2f})"
    return fact, use("point_group", best)


def _largest(groups: Mapping[str, float]) -> str | None:
    """Return the group with the most operators, the first of several."""
    return max(groups, key=lambda symbol: parse_point_group(symbol).order, default=None)


def _voxel_text(grid: Grid, position: Vector) -> str:
    """Format a position in voxels (x, y, z) of the map, for a message."""
    index = grid.index_of(np.array(position))[::-1]
    return "({})".format(", ".join(f"{value:.4g}" for value in np.round(index, 2) + 0.0))
