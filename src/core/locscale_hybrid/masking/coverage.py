"""Make the first mask, and measure how much of it the model explains."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ..findings import Finding
from ..inputs.reading import RunInput
from ..maps.grid import BoolArray, DoubleArray, Grid
from ..model.hybrid_model import complete_assembly
from ..parameters import HybridParameters
from ..remedies import do, give, use
from .mask import Mask, confidence_mask
from .resolution import Resolution, find_resolution

_COVERED = 6.0  # Å from a model atom; masks reach 3 Å beyond the density
_WELL_COVERED = 0.7  # of the mask; less is said where nothing completes the model
_HARDLY_COVERED = 0.1  # less is said always
_PROTEIN_DENSITY = 0.0585  # atoms that scatter per Å^3
_COVER_SAMPLES = 20_000  # voxels


def first_mask(given: RunInput, parameters: HybridParameters) -> Mask:
    """Make the mask, at the resolution as it is known without one.

    Raises
    ------
    InputError
        If nothing is significant, or the user's mask does not fit or is empty.
    """
    first = find_resolution(given.observed, asked=parameters.resolution)
    return confidence_mask(
        given.observed, fdr=parameters.fdr, resolution=first.d_min, user_mask=given.mask
    )


def coverage(
    name: str, mask: Mask, positions: DoubleArray, *, completed: bool
) -> tuple[float, list[Finding]]:
    """Share of the mask, 0 to 1, that a model reaches, and whether that is little.

    Parameters
    ----------
    name : str
        Of the model.
    mask : Mask
    positions : array, shape (n, 3)
        Å, atoms of the model and its symmetry copies.
    completed : bool
        Whether pseudo-atoms will fill the rest.
    """
    near = model_coverage(mask.grid, mask.solid, positions)
    return near, check_coverage(name, len(positions), mask.volume, near, completed=completed)


@dataclass(frozen=True)
class Outlook:
    """What the checks know of a run before it starts.

    Parameters
    ----------
    findings : tuple of Finding
    resolution : float or None
        Å; None if it was not measured.
    coverage : float or None
        Share of the mask that the model and its symmetry copies reach; None without a model.
    """

    findings: tuple[Finding, ...]
    resolution: float | None = None
    coverage: float | None = None

    def facts(self) -> dict[str, float]:
        """Return what was measured, by name."""
        known = {"resolution": self.resolution, "coverage": self.coverage}
        return {name: round(value, 4) for name, value in known.items() if value is not None}


def outlook(given: RunInput, parameters: HybridParameters, *, measure: bool = False) -> Outlook:
    """Report what a run would say of its mask, of the resolution and of the coverage.

    Parameters
    ----------
    given : RunInput
    parameters : HybridParameters
    measure : bool
        Measure the resolution of half maps inside the mask, too.

    Raises
    ------
    InputError
        As of `first_mask`.
    """
    mask = first_mask(given, parameters)
    findings, d_min = list(mask.findings), parameters.resolution
    is_single = given.observed.kind != "halves"
    if is_single or (measure and d_min is None):
        found = find_resolution(
            given.observed, asked=parameters.resolution, mask=mask.soft, model=given.model
        )
        d_min = found.d_min
        findings += found.findings if is_single else ()
    if given.model is None:
        return Outlook(tuple(findings), d_min)
    atoms = complete_assembly(given.model, given.group, grid=given.observed.average.grid).positions
    near, told = coverage(given.model.name, mask, atoms, completed=parameters.complete_model)
    return Outlook((*findings, *told), d_min, near)


@dataclass(frozen=True, eq=False)
class MaskResult:
    """The mask, and the resolution inside it."""

    mask: Mask
    resolution: Resolution


def mask_and_resolution(given: RunInput, parameters: HybridParameters) -> MaskResult:
    """Make the mask at a first resolution, and find the resolution inside it.

    Raises
    ------
    InputError
        As of `first_mask`.
    """
    mask = first_mask(given, parameters)
    resolution = find_resolution(
        given.observed, asked=parameters.resolution, mask=mask.soft, model=given.model
    )
    return MaskResult(mask, resolution)


def model_coverage(grid: Grid, solid: BoolArray, positions: DoubleArray) -> float:
    """Share of a mask, 0 to 1, that lies within 6 Å of an atom.

    Parameters
    ----------
    grid : Grid
    solid : bool array, shape grid.shape
        The mask.
    positions : array, shape (n, 3)
        Å, atoms of the model and its symmetry copies.
    """
    chosen = np.flatnonzero(solid)
    if not len(positions) or not chosen.size:
        return 0.0
    chosen = chosen[:: max(1, chosen.size // _COVER_SAMPLES)]
    voxels = np.stack(np.unravel_index(chosen, solid.shape), axis=1)
    distance, _ = cKDTree(positions).query(grid.position_of(voxels), distance_upper_bound=_COVERED)
    return float(np.isfinite(distance).mean())


def check_coverage(
    name: str, n_atoms: int, volume: float, coverage: float, *, completed: bool
) -> list[Finding]:
    """Check whether a model has enough atoms for the density of which it is the reference.

    Parameters
    ----------
    name : str
        Of the model.
    n_atoms : int
        Of the model and its symmetry copies.
    volume : float
        Å^3, of the mask.
    coverage : float
        See `model_coverage`.
    completed : bool
        Whether pseudo-atoms will fill the rest.
    """
    if coverage >= (_HARDLY_COVERED if completed else _WELL_COVERED):
        return []
    effect, remedies = (
        (
            "the reference will consist of pseudo-atoms almost alone",
            (
                do("check that this is the right model"),
                give("point_group", when="if the model is one of many copies"),
            ),
        )
        if completed
        else (
            "the rest is scaled by the global curve alone",
            (use("complete_model", True), give("mask", "a mask of the modelled part")),
        )
    )
    return [
        Finding(
            "low-coverage",
            "warning",
            f"{name} has too few atoms for the density: its {n_atoms} atoms and what is near them are "
            f"{100 * coverage:.0f} % of the mask of {volume:.0f} Å³, which holds up to "
            f"{_PROTEIN_DENSITY * volume:.0f}; {effect}",
            {"coverage_percent": 100 * coverage, "atoms": n_atoms, "mask_cubic_angstrom": volume},
            remedies,
        )
    ]
