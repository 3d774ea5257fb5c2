"""How much a result depends on where the pseudo-atoms happened to start."""

from dataclasses import dataclass, replace

import numpy as np

from ..findings import Finding
from ..maps.grid import BoolArray, FloatArray
from ..maps.subvolume import within
from ..remedies import do, leave_out
from ..scaling.scaled_maps import ScaledMaps
from ..sharpening.context import RunContext
from ..sharpening.steps import SharpeningInput, sharpened

LARGEST_CHANGE = 0.02  # of the sd, from which the user is told


@dataclass(frozen=True)
class SeedChange:
    """Change of the output between two seeds.

    Parameters
    ----------
    seed : int
        Of the second run.
    rms_over_sd : float
        Root mean square of the change inside the mask over the sd of the output there.
    """

    seed: int
    rms_over_sd: float

    @property
    def findings(self) -> list[Finding]:
        """What to say about it: nothing while it is below 2 %."""
        if self.rms_over_sd < LARGEST_CHANGE:
            return []
        return [
            Finding(
                "seed-dependent",
                "warning",
                f"with seed {self.seed} the output changes by {self.rms_over_sd:.1%} of its sd inside "
                f"the mask, {LARGEST_CHANGE:.0%} or more",
                {"rms_over_sd": self.rms_over_sd, "seed": self.seed},
                (do("distrust what only one seed shows"), do("complete the model")),
            )
        ]


def seed_check(start: SharpeningInput, first: ScaledMaps, context: RunContext) -> SeedChange | None:
    """Sharpen again with the next seed, where that is asked for, and compare the outputs.

    Parameters
    ----------
    start : SharpeningInput
        What the first run was made from.
    first : ScaledMaps
        Its maps.
    context : RunContext
        What is found is noted in it.
    """
    if not start.parameters.reseed_check:
        return None
    if start.completion.region is None or start.completion.region.n_atoms == 0:
        context.progress.note([nothing_to_reseed()])
        return None
    change = context.stages.kept(SeedChange, "reseed", lambda: _reseeded(start, first, context))
    context.progress.note(change.findings)
    return change


def _reseeded(start: SharpeningInput, first: ScaledMaps, context: RunContext) -> SeedChange:
    """Compare the outputs of two seeds, the second without the halves and from no earlier run."""
    other = replace(start.parameters, seed=start.parameters.seed + 1)
    again = replace(
        start,
        completion=replace(start.completion, parameters=other),
        previous=None,
        validated=False,
    )
    second = sharpened(again, context.repeated()).scaled
    region, inside = start.region, start.mask.solid
    if region is not None:
        inside = within(inside, region)
    return seed_change(first.output.values, second.output.values, inside, other.seed)


def seed_change(first: FloatArray, second: FloatArray, inside: BoolArray, seed: int) -> SeedChange:
    """Compare the outputs of two seeds.

    Parameters
    ----------
    first, second, inside : arrays of one shape
    seed : int
        Of the second.
    """
    before = first[inside].astype(np.float64)
    change = second[inside] - before
    spread = float(before.std())
    return SeedChange(seed, float(np.sqrt(np.mean(change**2)) / spread) if spread else 0.0)


def nothing_to_reseed() -> Finding:
    """Say why there is no second run."""
    return Finding(
        "reseed-nothing",
        "note",
        "the result does not depend on the seed, because there are no pseudo-atoms",
        {},
        (leave_out("reseed_check"),),
    )
