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


def mask_findings(given: RunInput, parameters: HybridParameters) -> list[Finding]:
    """Report what a run would say of its mask, of the resolution of one map and of the coverage.

    Raises
    ------
    InputError
        As of `first_mask`.
    """
    mask = first_mask(given, parameters)
    findings = list(mask.findings)
    if given.observed.kind != "halves":
        findings += find_resolution(
            given.observed, asked=parameters.resolution, mask=mask.soft, model=given.model
        ).findings
    if given.model is None:
        return findings
    atoms = complete_assembly(given.model, given.group, grid=given.observed.average.grid).positions
    _, told = coverage(given.model.name, mask, atoms, completed=parameters.complete_model)
    return [*findings, *told]


@dataclass(frozen=True, eq=False)
class MaskResult:
    """The mask, and the resolution inside it."""

    mask: Mask
    resolution: Resolution
