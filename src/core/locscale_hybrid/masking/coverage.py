"""Make the first mask, and measure how much of it the model explains."""

from dataclasses import dataclass

from ..findings import Finding
from ..inputs.checks import check_coverage, model_coverage
from ..inputs.reading import RunInput
from ..maps.grid import DoubleArray
from ..model.hybrid_model import complete_assembly
from ..parameters import HybridParameters
from .mask import Mask, confidence_mask
from .resolution import Resolution, find_resolution


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
