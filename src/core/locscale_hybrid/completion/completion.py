"""Completing the model: pseudo-atoms where density is left over, B of all atoms, validation.

This is the part of the run that is gone through twice: once against the average of the halves,
once against half map 1 alone, so that half map 2 can judge.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..findings import Finding
from ..inputs.half_maps import Kind
from ..inputs.reading import RunInput
from ..maps.grid import Grid, Map
from ..masking.coverage import coverage
from ..masking.mask import Mask
from ..model.box_atoms import fringe_around
from ..model.hybrid_model import HybridModel, complete_assembly
from ..model.structure import AtomicModel
from ..parameters import HybridParameters
from ..refinement.adp import RefinedAdps, adopt_b
from ..refinement.b_steps import b_steps
from ..refinement.likelihood import RefinementData, Target
from ..refinement.model_fsc import ModelFsc, model_fsc, with_model_alone
from ..refinement.neighbours import neighbours_of
from ..refinement.restraint_weight import BProblem
from ..refinement.servalcat.program import refine_b
from ..refinement.setup import COARSE, START_B, fitted_b, refinement_data, scatterers_of
from ..scattering.fringe import Fringe, in_box
from ..symmetry.operators import Symmetry
from .placement import starting_places
from .region import Region, unmodelled_region
from .settling import N_ROUNDS, settle_pseudo_atoms

_log = logging.getLogger(__name__)
_PSEUDO_ABOVE = 10.0  # Å^2, start of pseudo-atoms above the model's median
_HALF_1_TAU = 8.0  # Å^2, where no tau was chosen
Report = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Completion:
    """What completing a model starts from.

    Parameters
    ----------
    assembly : HybridModel
        Atoms of the model and their copies, without pseudo-atoms.
    data : RefinementData
    kind : {"halves", "pseudo-halves", "single"}
    region : Region, optional
        Where pseudo-atoms go; None: nowhere.
    parameters : HybridParameters
    fringe : Fringe, optional
        Atoms outside the box whose density reaches into it; only the reference looks at them.
    coverage : float
        Share of the mask that the model and its copies explain; 0 without a model.
    """

    assembly: HybridModel
    data: RefinementData
    kind: Kind
    region: Region | None
    parameters: HybridParameters
    fringe: Fringe | None = None
    coverage: float = 0.0


def completion_of(
    given: RunInput, mask: Mask, d_min: float, parameters: HybridParameters
) -> tuple[Completion, list[Finding]]:
    """Find the assembly of a model, the data, and the region that the assembly leaves out.

    Parameters
    ----------
    given : RunInput
    mask : Mask
    d_min : float
        Å.
    parameters : HybridParameters

    Returns
    -------
    completion : Completion
    findings : list of Finding
    """
    observed, model = given.observed, given.model
    assembly, fringe = assembled(model, given.whole_model, given.group, observed.average.grid)
    findings = list(assembly.findings())
    data = refinement_data(observed, d_min)
    region: Region | None = None
    explained = 0.0
    if parameters.complete_model or model is None:
        region = unmodelled_region(
            observed, mask.solid, assembly.positions, beyond=fringe.positions
        )
        findings += region.findings
    if model is not None:
        near, told = coverage(model.name, mask, assembly.positions, completed=region is not None)
        findings += told
        explained = near if region is None else region.coverage
    return (
        Completion(assembly, data, observed.kind, region, parameters, fringe, explained),
        findings,
    )


def assembled(
    model: AtomicModel | None, whole: AtomicModel | None, symmetry: Symmetry | None, grid: Grid
) -> tuple[HybridModel, Fringe]:
    """Make the assembly of what of a model is in the box, and what of the whole is just outside.

    Parameters
    ----------
    model, whole : AtomicModel, optional
        Without and with the atoms outside the box.
    symmetry : Symmetry, optional
    grid : Grid
        Of the map.
    """
    every = complete_assembly(whole, symmetry)
    fringe = fringe_around(grid, every.positions, every.species, every.occupancies)
    if whole is model and in_box(grid, every.positions).all():
        return every, fringe
    return complete_assembly(model, symmetry, grid=grid), fringe


def place_pseudo_atoms(
    completion: Completion, target: Target, density: Map, progress: Report = lambda done: None
) -> HybridModel:
    """Fill the region with pseudo-atoms and move them to where a target wants them.

    Parameters
    ----------
    completion : Completion
    target : Target
        The average, or half map 1.
    density : Map
        The map of the target.

    Returns
    -------
    HybridModel
        With B on the level of the target; the assembly alone where there is nothing to fill.
    """
    assembly, region = completion.assembly, completion.region
    level = fitted_b(target, assembly)
    if region is None or region.n_atoms == 0:
        return assembly.with_values(b_iso=level)
    progress(0.05)
    median = float(np.median(level)) if len(level) else START_B
    rng = np.random.default_rng([completion.parameters.seed, 1])
    unit = starting_places(
        region, density, d_min=completion.data.d_min, rng=rng, symmetry=assembly.symmetry
    )
    hybrid = assembly.with_values(b_iso=level).with_pseudo_atoms(unit, median + _PSEUDO_ABOVE)
    progress(0.15)
    return settled(completion, hybrid, target, region, lambda done: progress(0.15 + 0.85 * done))


def settled(
    completion: Completion,
    hybrid: HybridModel,
    target: Target,
    region: Region,
    progress: Report,
    n_rounds: int = N_ROUNDS,
) -> HybridModel:
    """Move the pseudo-atoms of a hybrid model in a region to where a target wants them."""
    found = settle_pseudo_atoms(
        target,
        scatterers_of(hybrid, completion.data),
        hybrid.b_iso,
        hybrid.is_pseudo,
        region,
        symmetry=hybrid.symmetry,
        mates=hybrid.mates,
        n_rounds=n_rounds,
        progress=progress,
    )
    b_unit = found.b_iso[hybrid.unit]
    return hybrid.with_values(b_iso=found.b_iso).with_pseudo_atoms(found.positions, b_unit)


def b_problem(completion: Completion, hybrid: HybridModel) -> BProblem:
    """Say which B are to be refined, and against what."""
    scatterers = scatterers_of(hybrid, completion.data)
    return BProblem(completion.data, scatterers, hybrid.is_pseudo, completion.kind, hybrid.mates)


def refined_by_servalcat(
    completion: Completion, hybrid: HybridModel, folder: Path, progress: Report
) -> RefinedAdps:
    """Refine the B of a hybrid model by servalcat, which writes its files into a folder."""
    problem = b_problem(completion, hybrid)
    b = refine_b(
        problem.data.observed,
        problem.scatterers,
        hybrid.b_iso,
        d_min=problem.data.d_min,
        folder=folder,
        progress=progress,
    )
    return adopt_b(problem, b)


def keep_given_b(completion: Completion, hybrid: HybridModel) -> HybridModel:
    """Keep the model's own B from its file; bring pseudo-atoms to their level."""
    given = completion.assembly.b_iso
    n = len(given)
    shift = float(np.median(given - hybrid.b_iso[:n])) if n else 0.0
    pseudo = np.maximum(hybrid.b_iso[n:] + shift, 2.0)
    return hybrid.with_values(b_iso=np.concatenate([given, pseudo]))


def free_fsc(completion: Completion, hybrid: HybridModel, tau: float) -> ModelFsc:
    """Work and free FSC of a model that half map 1 alone has completed and refined.

    Parameters
    ----------
    completion : Completion
    hybrid : HybridModel
        Placed on half map 1; its B are refined here.
    tau : float
        Å^2; that of the run.
    """
    target = completion.data.with_half(1)
    scatterers, b = scatterers_of(hybrid, completion.data), hybrid.b_iso
    if completion.data.d_min <= COARSE and len(hybrid):
        b = b_steps(
            target,
            scatterers,
            b,
            neighbours_of(hybrid.positions),
            tau=tau or _HALF_1_TAU,
            n_steps=completion.parameters.b_steps,
            mates=hybrid.mates,
        ).b_iso
    return with_model_alone(
        model_fsc(completion.data, scatterers, b), completion.data, scatterers, b, hybrid.is_pseudo
    )
