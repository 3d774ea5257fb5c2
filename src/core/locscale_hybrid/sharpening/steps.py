"""From an input with its mask to the sharpened map: place, refine, reference, scale.

Each step takes what it needs and returns what it made, so that one of them can be called alone.
What an earlier run has kept of a step is taken over; the bytes are the same either way.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..completion.both_halves import PlacedPair, place_both
from ..completion.completion import (
    Completion,
    b_problem,
    free_fsc,
    keep_given_b,
    place_pseudo_atoms,
    refined_by_servalcat,
)
from ..completion.update import Update, WarmAtoms, warm_pseudo_atoms, warm_refine
from ..inputs.reading import RunInput
from ..maps.grid import FloatArray, Map
from ..maps.subvolume import Box, box_of, soft_box
from ..masking.mask import Mask
from ..model.hybrid_model import HybridModel
from ..parallel.threads import beside
from ..parameters import HybridParameters
from ..refinement.adp import BRefinement, RefinedAdps
from ..refinement.model_fsc import ModelFsc, overfitting
from ..resume.previous_run import PreviousRun
from ..scaling.scale import scale_map
from ..scaling.scaled_maps import ScaledMaps
from ..scaling.scaling_input import ScalingInput
from ..scattering.reference_map import reference_map
from .context import RunContext


@dataclass(frozen=True, eq=False)
class SharpeningInput:
    """What a map is sharpened from.

    Parameters
    ----------
    given : RunInput
    mask : Mask
    d_min : float
        Å.
    completion : Completion
        The assembly, the data, and the region for pseudo-atoms; its parameters are used.
    previous : PreviousRun, optional
        The run that an update starts from.
    validated : bool
        Whether half map 2 tests the hybrid model, where there is one.
    """

    given: RunInput
    mask: Mask
    d_min: float
    completion: Completion
    previous: PreviousRun | None = None
    validated: bool = True

    @property
    def parameters(self) -> HybridParameters:
        """What the run is asked to do."""
        return self.completion.parameters

    @property
    def half_1(self) -> Map | None:
        """Half map 1, if a hybrid model of it alone is to be tested on half map 2."""
        observed = self.given.observed
        wanted = self.validated and self.parameters.refiner != "none"
        return observed.half_1 if wanted and observed.kind == "halves" else None

    @property
    def region(self) -> Box | None:
        """The voxels that alone are scaled; None for all."""
        return region_of(self.given, self.parameters)

    @property
    def looked_at(self) -> FloatArray:
        """The mask of what is scaled, with soft edges."""
        region, soft = self.region, self.mask.soft
        return soft if region is None else soft * soft_box(region, self.mask.grid)


@dataclass(frozen=True, eq=False)
class Placed:
    """The hybrid model with its pseudo-atoms settled; that of half map 1, where it was made.

    In an update also what it started from.
    """

    hybrid: HybridModel
    half_1: HybridModel | None = None
    update: Update | None = None


@dataclass(frozen=True, eq=False)
class Refined:
    """The hybrid model with its B refined, and its agreement with half map 2."""

    hybrid: HybridModel
    adps: RefinedAdps | None = None
    free: ModelFsc | None = None


@dataclass(frozen=True, eq=False)
class Sharpened:
    """What the four steps made."""

    placed: Placed
    refined: Refined
    reference: Map
    scaled: ScaledMaps


def sharpened(start: SharpeningInput, context: RunContext) -> Sharpened:
    """Place pseudo-atoms, refine B factors, compute the reference, scale to it.

    Parameters
    ----------
    start : SharpeningInput
    context : RunContext
    """
    with context.stage("pseudo-atoms"):
        placed = place(start, context)
    with context.stage("adp"):
        refined = refine(start, placed, context)
        context.files.keep_model("hybrid_model", refined.hybrid, start.given.observed.average)
    with context.stage("reference"):
        reference = reference_of(start, refined.hybrid)
        context.files.keep_map("reference", reference)
    with context.stage("scaling"):
        scaled = scale(start, reference, context)
    return Sharpened(placed, refined, reference, scaled)


def region_of(given: RunInput, parameters: HybridParameters) -> Box | None:
    """Find the voxels that alone are scaled; None for all."""
    corners = parameters.region
    return None if corners is None else box_of(corners, given.observed.average.grid)


def place(start: SharpeningInput, context: RunContext) -> Placed:
    """Fill the unmodelled region with pseudo-atoms, or update those of an earlier run."""
    completion, observed = start.completion, start.given.observed
    assembly = completion.assembly
    if start.previous is not None:
        return _updated(start, start.previous, context)
    half_1 = start.half_1
    pair = context.stages.kept(
        PlacedPair,
        "pseudo-atoms",
        lambda: place_both(
            completion,
            observed.average,
            half_1,
            context.executor,
            context.folder,
            context.progress.update,
        ),
        lambda kept: kept.fits(assembly, half_1 is not None),
    )
    return Placed(
        pair.average.in_assembly(assembly),
        None if pair.half_1 is None else pair.half_1.in_assembly(assembly),
    )


def _updated(start: SharpeningInput, previous: PreviousRun, context: RunContext) -> Placed:
    """Let the pseudo-atoms of an earlier run settle around the edited model."""
    completion, observed = start.completion, start.given.observed
    warm = context.stages.kept(
        WarmAtoms,
        "pseudo-atoms",
        lambda: warm_pseudo_atoms(completion, previous, observed.average, context.progress.update),
        lambda kept: kept.atoms.fits(completion.assembly),
    )
    update = Update(previous, warm, validated=start.parameters.validate)
    context.progress.note([update.finding(observed.kind)])
    return Placed(warm.atoms.in_assembly(completion.assembly), update=update)


def refine(start: SharpeningInput, placed: Placed, context: RunContext) -> Refined:
    """Refine the B of the hybrid model, and test it on half map 2 if that is wanted."""
    completion, hybrid = start.completion, placed.hybrid
    if start.parameters.refiner == "none":
        return Refined(keep_given_b(completion, hybrid))
    rerun: Callable[[], ModelFsc] | None = None
    adps = context.stages.earlier(RefinedAdps, "adp", lambda kept: len(kept.b_iso) == len(hybrid))
    if adps is None:
        adps, rerun = _refined_b(start, placed, context)
        context.stages.keep("adp", adps)
    hybrid = hybrid.with_values(b_iso=adps.b_iso, occupancies=adps.occupancies)
    context.progress.note(adps.findings)
    if start.half_1 is None:
        return Refined(hybrid, adps)
    tau = adps.tau
    free = context.stages.kept(
        ModelFsc, "validation", rerun or (lambda: _free_fsc(start, placed, tau, context))
    )
    gap = overfitting(free)
    context.progress.note([] if gap is None else [gap])
    return Refined(hybrid, adps, free)


def _refined_b(
    start: SharpeningInput, placed: Placed, context: RunContext
) -> tuple[RefinedAdps, Callable[[], ModelFsc] | None]:
    """Refine B; the second value waits for the test on half map 2 if that has begun in a thread."""
    completion, hybrid, half_1 = start.completion, placed.hybrid, placed.half_1
    progress = context.progress.part(0.0, 0.6)
    if start.parameters.refiner == "servalcat":
        return refined_by_servalcat(completion, hybrid, context.folder, progress), None
    if start.previous is not None and not start.parameters.validate:
        return warm_refine(completion, hybrid, start.previous, progress), None
    refinement = BRefinement(
        b_problem(completion, hybrid),
        start.parameters.b_steps,
        together=context.together,
        progress=progress,
    )
    choice = refinement.choose_tau(hybrid.b_iso, start.parameters.neighbour_tau)
    if half_1 is None or not context.together:
        return refinement.fit(choice), None
    rerun = beside(lambda: free_fsc(completion, half_1, choice.tau), together=True)
    return refinement.fit(choice), rerun


def _free_fsc(start: SharpeningInput, placed: Placed, tau: float, context: RunContext) -> ModelFsc:
    """Test a hybrid model of half map 1 alone on half map 2; in an update it is placed first."""
    completion, hybrid = start.completion, placed.half_1
    if hybrid is None:
        assert start.half_1 is not None
        target, told = completion.data.with_half(1), context.progress.part(0.6, 1.0)
        hybrid = place_pseudo_atoms(completion, target, start.half_1, told)
    return free_fsc(completion, hybrid, tau)


def reference_of(start: SharpeningInput, hybrid: HybridModel) -> Map:
    """Compute the density that the map is scaled to."""
    return reference_map(
        start.given.observed.average.grid,
        hybrid,
        start.completion.fringe,
        b_floor=start.parameters.b_floor,
        cut=start.parameters.model_resolution,
    )


def scale(start: SharpeningInput, reference: Map, context: RunContext) -> ScaledMaps:
    """Scale the observed map to the reference."""
    given = start.given
    asked = ScalingInput(
        given.observed,
        reference,
        start.mask.soft,
        start.d_min,
        start.parameters,
        given.group,
        given.weight,
        start.region,
    )
    return context.stages.kept(
        ScaledMaps,
        "scaling",
        lambda: scale_map(asked, context.executor, context.folder, context.progress),
        lambda kept: kept.output.grid == given.observed.average.grid,
    )
