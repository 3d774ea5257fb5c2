"""Choose how tightly neighbouring B are restrained: `tau`, by cross-validation against half map 2.

B are refined against half map 1 with weaker and weaker restraints, and the one that explains half
map 2 best is taken.  Where half map 2 gains from small shifts of the model's atoms, B are refined
with such shifts, which are then forgotten: the model stays where it is.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..findings import Finding
from ..inputs.half_maps import Kind
from ..maps.grid import BoolArray, ComplexArray, DoubleArray, IntArray
from ..scattering.scatterers import Scatterers
from .adp_findings import (
    free_gain,
    preferred_direction,
    shifts_one_way,
    shifts_taken,
    worse_than_one_b,
)
from .b_steps import ROUND_TAU, BFit, b_steps
from .coordinate_errors import displaced, rms_shift
from .likelihood import RefinementData, Target, evaluate, weighted_correlation
from .neighbours import Neighbours, neighbours_of

_log = logging.getLogger(__name__)

TAUS = (2.0, 3.0, 5.0, 8.0, 12.0, 18.0, 27.0)  # Å^2
UNVALIDATED_TAU = 10.0  # Å^2, one map
SCAN_STEPS = 2
_FIRST_STEPS = 5  # before the scan
_SETTLED = 1.0  # Å^2, rms of a last step after which further ones change nothing that counts
_ONE_WAY = 1.4  # errors of coordinates have no direction in common, missing views have one
_NOISE_ERRORS = 5.0  # standard errors of a mean FSC that noise may reach

Report = Callable[[float], None]


@dataclass(frozen=True)
class TauTrial:
    """One strength of the prior in the scan.

    Parameters
    ----------
    tau : float
        Å^2.
    work, free : float
        Mean FSC of the model with half maps 1 and 2, 12 Å to d_min.
    """

    tau: float
    work: float
    free: float


@dataclass(frozen=True, eq=False)
class BProblem:
    """Atoms whose B are refined, and the data.

    Parameters
    ----------
    data : RefinementData
    scatterers : Scatterers
        Model atoms and pseudo-atoms; left as they are.
    is_pseudo : bool array, shape (n,)
    kind : {"halves", "pseudo-halves", "single"}
        What the half maps of `data` are; only real ones validate.
    mates : array of int, shape (k, n), optional
        Symmetry copies of each atom.
    """

    data: RefinementData
    scatterers: Scatterers
    is_pseudo: BoolArray
    kind: Kind
    mates: IntArray | None = None

    @cached_property
    def neighbours(self) -> Neighbours:
        """Pairs of atoms whose B are restrained to each other."""
        return neighbours_of(self.scatterers.positions)

    @cached_property
    def model(self) -> IntArray:
        """Indices of the model's atoms."""
        return np.flatnonzero(~self.is_pseudo)

    def steps(
        self,
        target: Target,
        atoms: Scatterers,
        b_iso: DoubleArray,
        tau: float,
        n_steps: int,
        model: ComplexArray | None = None,
    ) -> BFit:
        """Refine B of the atoms, shifted ones perhaps, against a target; see `b_steps`."""
        return b_steps(
            target,
            atoms,
            b_iso,
            self.neighbours,
            tau=tau,
            n_steps=n_steps,
            mates=self.mates,
            model=model,
        )


@dataclass(frozen=True, eq=False)
class TauChoice:
    """The restraint weight, and what the final fit starts from.

    Parameters
    ----------
    tau : float
        Å^2; 0 beyond 6 Å, where all B are alike.
    b_iso : array, shape (n,)
        Å^2.
    atoms : Scatterers
        Those of the problem, or with shifts from which half map 2 gained.
    scan : tuple of TauTrial
        Empty if tau was given or could not be validated.
    shifted : bool
        Whether half map 2 gained from shifts in this choice.
    findings : tuple of Finding
    """

    tau: float
    b_iso: DoubleArray
    atoms: Scatterers
    scan: tuple[TauTrial, ...] = ()
    shifted: bool = False
    findings: tuple[Finding, ...] = ()


def validated_tau(problem: BProblem, b_iso: DoubleArray, progress: Report) -> TauChoice:
    """Choose the tau that half map 2 prefers after refinement against half map 1.

    Parameters
    ----------
    problem : BProblem
    b_iso : array, shape (n,)
        Å^2, start; any level will do.
    progress : callable
        Called with the share that is done.
    """
    atoms, fit, noted = _shifted(problem, b_iso)
    progress(0.4)
    scan, fit = _scan(problem, atoms, fit, lambda done: progress(0.4 + 0.6 * done))
    tau, findings = _chosen(scan, problem.data)
    findings.extend(worse_than_one_b(problem.data.with_half(2), atoms, fit))
    return TauChoice(tau, fit.b_iso, atoms, scan, bool(noted), (*findings, *noted))


def given_tau(
    problem: BProblem, b_iso: DoubleArray, tau: float | None, *, shifts: bool = False
) -> TauChoice:
    """Take a tau that no half map chooses.

    Parameters
    ----------
    problem : BProblem
    b_iso : array, shape (n,)
        Å^2, start.
    tau : float, optional
        Å^2; by default the one for a single map.
    shifts : bool
        Shift the model's atoms first, because half map 2 gained from that before.
    """
    reason = "tau was given" if problem.kind == "halves" else "there is one map"
    tau = UNVALIDATED_TAU if tau is None else tau
    finding = Finding(
        "adp-not-validated",
        "note",
        f"B factors are not validated by a half map: {reason}; tau {tau:g} Å² was used",
        {"tau": tau},
    )
    atoms, average = problem.scatterers, problem.data.average
    if shifts:
        b_iso = problem.steps(average, atoms, b_iso, tau, SCAN_STEPS).b_iso
        atoms = displaced(average, atoms, b_iso, problem.model).atoms
    return TauChoice(tau, b_iso, atoms, findings=(finding,))


def _shifted(problem: BProblem, b_iso: DoubleArray) -> tuple[Scatterers, BFit, list[Finding]]:
    """Choose atoms as given, or shifted if half map 2 gains; a fit to half map 1."""
    data, scatterers, model = problem.data, problem.scatterers, problem.model
    work = data.with_half(1)
    given = problem.steps(work, scatterers, b_iso, ROUND_TAU, _FIRST_STEPS)
    if not len(model):
        return scatterers, given, []
    moved = displaced(work, scatterers, given.b_iso, model)
    shifted = problem.steps(work, moved.atoms, given.b_iso, ROUND_TAU, SCAN_STEPS, moved.model)
    if given.last_step > _SETTLED:  # what more steps do is not the shifts' doing
        given = problem.steps(work, scatterers, given.b_iso, ROUND_TAU, SCAN_STEPS, given.model)
    gain = free_gain(data.with_half(2), given.model, shifted.model)
    shift = (moved.atoms.positions - scatterers.positions)[model]
    one_way = preferred_direction(scatterers.positions[model], shift)
    rms = rms_shift(scatterers, moved.atoms, model)
    _log.info(
        "shifts of %.3f Å, %.2f times as far in one direction: free FSC %.5f to %.5f, error %.5f",
        rms,
        one_way,
        gain.before,
        gain.after,
        gain.error,
    )
    if not gain.is_real:
        return scatterers, given, []
    said = shifts_one_way if one_way > _ONE_WAY else shifts_taken
    return moved.atoms, shifted, [said(rms, gain)]


def _scan(
    problem: BProblem, atoms: Scatterers, fit: BFit, progress: Report
) -> tuple[tuple[TauTrial, ...], BFit]:
    """Refine against half map 1 with weaker and weaker prior; compare with half map 2.

    `fit` is one to half map 1; every tau starts from the one before and takes two steps.

    Returns
    -------
    scan : tuple of TauTrial
        Up to the first tau past the best one.
    fit : BFit
        To half map 1, with the best tau.
    """
    work, free = problem.data.with_half(1), problem.data.with_half(2)
    trials: list[TauTrial] = []
    best: BFit | None = None
    for number, tau in enumerate(TAUS):
        fit = problem.steps(work, atoms, fit.b_iso, tau, SCAN_STEPS, fit.model)
        trial = TauTrial(
            tau,
            weighted_correlation(work.band, fit.fit.correlation),
            weighted_correlation(free.band, evaluate(free, fit.model).correlation),
        )
        _log.info("tau %g: FSC work %.5f free %.5f", tau, trial.work, trial.free)
        trials.append(trial)
        progress((number + 1) / len(TAUS))
        if best is not None and trial.free < max(t.free for t in trials[:-1]):
            break
        best = fit
    assert best is not None
    return tuple(trials), best


def _chosen(scan: tuple[TauTrial, ...], data: RefinementData) -> tuple[float, list[Finding]]:
    """Choose the tau that half map 2 prefers; the strongest prior if it contains only noise."""
    best = max(scan, key=lambda trial: trial.free)
    # the FSC of noise with anything has the variance 1 / n of its complete coefficients
    noise = _NOISE_ERRORS / float(np.sqrt(data.band.count.sum()))
    if best.free > noise:
        return _vertex(scan), []
    tau = TAUS[0]
    return tau, [
        Finding(
            "half-2-noise",
            "warning",
            f"half map 2 does not correlate with the model refined on half map 1 (mean FSC "
            f"{best.free:.4f}, noise reaches {noise:.4f}): it holds only noise or is not in the frame "
            f"of half map 1; check the pair.  The strongest prior (tau {tau:g} Å²) was used",
            {"fsc_free": best.free, "fsc_noise": noise, "tau": tau},
        )
    ]


def _vertex(scan: tuple[TauTrial, ...]) -> float:
    """Tau at the top of the parabola through the best trial and its neighbours, over ln tau.

    The best of a coarse list flips between two entries by noise; the vertex moves a little.
    """
    i = int(np.argmax([trial.free for trial in scan]))
    if not 0 < i < len(scan) - 1:
        return scan[i].tau
    near = scan[i - 1 : i + 2]
    x = np.log([trial.tau for trial in near])
    curvature, slope, _ = np.polyfit(x, [trial.free - near[1].free for trial in near], 2)
    if curvature >= 0:
        return near[1].tau
    return round(float(np.exp(np.clip(-slope / (2 * curvature), x[0], x[2]))), 2)
