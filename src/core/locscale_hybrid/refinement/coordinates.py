"""Refining the coordinates of the model before it is completed, judged by half map 2.

servalcat moves the atoms under the restraints of the user's monomer library, against half map 1
alone at first; the coordinates are taken, refined against both halves, only if that made the
model explain half map 2 no worse.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..findings import Finding
from ..inputs.half_maps import Kind
from ..inputs.reading import RunInput
from ..maps.grid import Map
from ..model.hybrid_model import HybridModel, complete_assembly
from ..model.structure import AtomicModel, moved_model
from ..remedies import do, give, leave_out
from ..symmetry.operators import Symmetry
from .likelihood import RefinementData, Target
from .model_fsc import model_fsc
from .servalcat.program import refine_coordinates
from .setup import fitted_b, refinement_data, scatterers_of

_log = logging.getLogger(__name__)

Report = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class _Engine:
    """What servalcat refines, and how."""

    model: AtomicModel
    symmetry: Symmetry | None
    d_min: float
    library: Path
    folder: Path

    def refined(self, maps: list[Map], level: float, told: Report) -> AtomicModel:
        """Refine the model against some of the maps."""
        moved = refine_coordinates(
            maps,
            self.model.structure,
            self.library,
            d_min=self.d_min,
            b_start=level,
            folder=self.folder,
            symmetry=self.symmetry,
            progress=told,
        )
        return moved_model(self.model, moved)


def refined_model(
    model: AtomicModel,
    data: RefinementData,
    *,
    kind: Kind,
    symmetry: Symmetry | None,
    library: Path,
    folder: Path,
    progress: Report = lambda done: None,
) -> tuple[AtomicModel, Finding]:
    """Refine the coordinates of the model; keep them if half map 2 does not confirm it.

    Parameters
    ----------
    model : AtomicModel
    data : RefinementData
    kind : {"halves", "pseudo-halves", "single"}
        What the half maps of `data` are; only real ones validate.
    symmetry : Symmetry, optional
    library : Path
        Monomer library with the restraints.
    folder : Path
    progress : callable
        Told the share that is done; may raise to stop it.

    Returns
    -------
    model : AtomicModel
    finding : Finding
        What was done and why, with the numbers.

    Raises
    ------
    InputError
        If servalcat is not installed, or the library is none or lacks residues of the model.
    StageError
        If servalcat fails.
    """
    observed = data.observed
    assembly = complete_assembly(model, symmetry, grid=data.grid)
    engine = _Engine(model, _unit_of(assembly), data.d_min, library, folder)
    if kind != "halves" or observed.half_1 is None or observed.half_2 is None:
        level = float(np.median(fitted_b(data.average, assembly)))
        moved = engine.refined([observed.average], level, progress)
        return moved, _not_validated(_shift(model, moved))
    before, level = _free_fsc(assembly, data)
    trial = engine.refined([observed.half_1], level, lambda done: progress(done / 2))
    after, _ = _free_fsc(complete_assembly(trial, symmetry, grid=data.grid), data)
    _log.info(
        "coordinates refined on half map 1: shift %.3f Å, free FSC %.4f to %.4f",
        _shift(model, trial),
        before,
        after,
    )
    if after < before:
        return model, _kept(_shift(model, trial), before, after)
    moved = engine.refined(
        [observed.half_1, observed.half_2], level, lambda done: progress((1 + done) / 2)
    )
    return moved, _taken(_shift(model, moved), before, after)


def with_refined_coordinates(
    given: RunInput, library: Path | None, d_min: float, folder: Path, progress: Report
) -> tuple[RunInput, list[Finding]]:
    """Refine the coordinates of the model of an input, if there are one and a monomer library."""
    if library is None or given.model is None:
        return given, []
    model, finding = refined_model(
        given.model,
        refinement_data(given.observed, d_min),
        kind=given.observed.kind,
        symmetry=given.group,
        library=library,
        folder=folder,
        progress=progress,
    )
    return replace(given, model=model), [finding]


def _free_fsc(assembly: HybridModel, data: RefinementData) -> tuple[float, float]:
    """Mean FSC with half map 2 when B are refined on half map 1, and their median."""
    target: Target = data.with_half(1)
    b_iso = fitted_b(target, assembly)
    free = model_fsc(data, scatterers_of(assembly, data), b_iso).free
    assert free is not None
    return free, float(np.median(b_iso))


def _unit_of(assembly: HybridModel) -> Symmetry | None:
    """Return the point group if the model is one unit of it, so that servalcat sees its images."""
    whole = assembly.n_atoms == assembly.order * assembly.n_model
    return assembly.symmetry if whole else None


def _shift(before: AtomicModel, after: AtomicModel) -> float:
    """Rms shift of the scatterers, Å."""
    moves = after.positions - before.positions
    return float(np.sqrt(np.square(moves).sum(axis=1).mean()))


def _taken(shift: float, before: float, after: float) -> Finding:
    """Say that the coordinates are new, and why."""
    return Finding(
        "coordinates-refined",
        "note",
        f"the coordinates of the model were refined by servalcat, rms shift {shift:.2f} Å; refined "
        f"against half map 1 alone they brought the mean FSC with half map 2 from {before:.4f} to "
        f"{after:.4f}",
        {"rms_shift_angstrom": shift, "fsc_free_before": before, "fsc_free_after": after},
    )


def _kept(shift: float, before: float, after: float) -> Finding:
    """Say that the coordinates are the given ones, and why."""
    return Finding(
        "coordinates-kept",
        "warning",
        f"the coordinates of the model were kept: refined by servalcat against half map 1 alone "
        f"(rms shift {shift:.2f} Å) they brought the mean FSC with half map 2 from {before:.4f} "
        f"down to {after:.4f}",
        {"rms_shift_angstrom": shift, "fsc_free_before": before, "fsc_free_after": after},
        (do("refine the model with another program"), leave_out("monomer_library")),
    )


def _not_validated(shift: float) -> Finding:
    """Say that nothing judged the new coordinates."""
    return Finding(
        "coordinates-not-validated",
        "warning",
        f"the coordinates of the model were refined by servalcat against the one map, rms shift "
        f"{shift:.2f} Å, and nothing validates them",
        {"rms_shift_angstrom": shift},
        (give("half_maps"), leave_out("monomer_library")),
    )
