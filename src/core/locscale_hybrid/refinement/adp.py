"""Refinement of B against the half maps, with validation.

The strength of the prior is the one that explains half map 2 best after refinement against half
map 1; the final B come from the average, pseudo-atoms then follow the local power of the data.
Where half map 2 gains from small shifts of the model's atoms, B are refined with such shifts, which
are then forgotten: the model stays where it is.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..findings import Finding
from ..inputs.half_maps import Kind
from ..maps.grid import BoolArray, DoubleArray, IntArray
from ..parallel.threads import beside
from ..scattering.scatterers import Scatterers
from .adp_findings import (
    coarse,
    free_gain,
    not_converged,
    preferred_direction,
    shifts_one_way,
    shifts_taken,
    worse_than_one_b,
)
from .b_steps import B_BOUNDS, ROUND_TAU, BFit, at_bounds, b_steps, group_levels
from .coordinate_errors import displaced, rms_shift
from .likelihood import RefinementData, evaluate, weighted_correlation
from .model_fsc import ModelFsc, model_fsc
from .neighbours import Neighbours, neighbours_of
from .wilson import WilsonBands, correct_pseudo_atoms

_log = logging.getLogger(__name__)

TAUS = (2.0, 3.0, 5.0, 8.0, 12.0, 18.0, 27.0)  # Å^2
UNVALIDATED_TAU = 10.0  # Å^2, one map
COARSE = 6.0  # Å; beyond it one B for the model and one for the pseudo-atoms
_FIRST_STEPS = 5  # before the scan
_SCAN_STEPS = 2
_SETTLED = 1.0  # Å^2, rms of a last step after which further ones change nothing that counts
_ONE_WAY = 1.4  # errors of coordinates have no direction in common, missing views have one
_LAST_SHIFTS = 4  # on the average, twice, after those on half map 1
_NOISE_ERRORS = 5.0  # standard errors of a mean FSC that noise may reach


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


@dataclass(frozen=True)
class RefinedAdps:
    """What the refinement found.

    Parameters
    ----------
    b_iso, occupancies : arrays, shape (n,)
        Å^2; occupancies differ from those given for pseudo-atoms only.
    tau : float
        Å^2, strength of the prior used; 0 beyond 6 Å, where all B are alike.
    scan : tuple of TauTrial
        Empty when tau was given or could not be validated.
    validated : bool
        Whether tau was chosen on half map 2.
    n_low, n_high : int
        Atoms at the lower and the upper bound of B.
    fsc : ModelFsc
        Of the refined model; its half maps are not independent of it.
    findings : tuple of Finding
    """

    b_iso: DoubleArray
    occupancies: DoubleArray
    tau: float
    scan: tuple[TauTrial, ...]
    validated: bool
    n_low: int
    n_high: int
    fsc: ModelFsc
    findings: tuple[Finding, ...]

    def check(self) -> None:
        """Hold the arrays to each other; ValueError where they are not those of the same atoms."""
        if self.b_iso.ndim != 1 or self.b_iso.shape != self.occupancies.shape:
            raise ValueError(
                f"{self.b_iso.shape} B factors and {self.occupancies.shape} "
                "occupancies are not of the same atoms"
            )


def refine_adps(
    data: RefinementData,
    scatterers: Scatterers,
    b_iso: DoubleArray,
    is_pseudo: BoolArray,
    *,
    kind: Kind,
    mates: IntArray | None = None,
    tau: float | None = None,
    n_steps: int = 3,
    shifts: bool = False,
    wilson: bool = True,
    together: bool = False,
    tau_known: Callable[[float], None] = lambda tau: None,
    progress: Callable[[float], None] = lambda done: None,
) -> RefinedAdps:
    """Refine the B of a hybrid model; coordinates stay.

    Parameters
    ----------
    data : RefinementData
    scatterers : Scatterers
        Model atoms and pseudo-atoms; left as they are.
    b_iso : array, shape (n,)
        Å^2, start; any level will do.
    is_pseudo : bool array, shape (n,)
    kind : {"halves", "pseudo-halves", "single"}
        What the half maps of `data` are; only real ones validate.
    mates : array of int, shape (k, n), optional
        Symmetry copies of each atom.
    tau : float, optional
        Å^2; chosen on half map 2 when not given.
    n_steps : int
        Of the final fit on the average.
    shifts : bool
        With a tau that is given: refine with small shifts of the model's atoms, from which half
        map 2 gained before.
    wilson : bool
        Correct pseudo-atoms by local Wilson plots, where there are half maps.
    together : bool
        Prepare these plots in a thread while B are refined.
    tau_known : callable
        Told tau as soon as it is chosen, before the last steps.
    progress : callable
        Told the share that is done.

    Returns
    -------
    RefinedAdps
    """
    if data.d_min > COARSE:
        b = _coarse_levels(data, scatterers, b_iso, is_pseudo, mates)
        findings = [coarse(data.d_min, COARSE)]
        return _result(data, scatterers, b, scatterers.occupancies, 0.0, (), findings)
    neighbours = neighbours_of(scatterers.positions)
    wilson = wilson and data.half_1 is not None and bool(is_pseudo.any())
    bands = beside(lambda: WilsonBands(data, scatterers.positions), together=together and wilson)
    scan: tuple[TauTrial, ...] = ()
    if tau is None and kind == "halves":
        b, tau, scan, findings = _validated(
            data,
            scatterers,
            b_iso,
            np.flatnonzero(~is_pseudo),
            neighbours,
            mates,
            n_steps,
            tau_known,
            lambda done: progress(0.75 * done),
        )
    else:
        tau, findings = _unvalidated_tau(kind, tau)
        tau_known(tau)
        work = scatterers
        if shifts:
            b_iso = b_steps(
                data.average,
                scatterers,
                b_iso,
                neighbours,
                tau=tau,
                n_steps=_SCAN_STEPS,
                mates=mates,
            ).b_iso
            work = displaced(data.average, scatterers, b_iso, np.flatnonzero(~is_pseudo)).atoms
        # no scan has come close yet
        fit = b_steps(
            data.average,
            work,
            b_iso,
            neighbours,
            tau=tau,
            n_steps=n_steps + _SCAN_STEPS,
            mates=mates,
        )
        b, findings = fit.b_iso, [*findings, *not_converged(fit)]
    occupancies = scatterers.occupancies.copy()
    if wilson:
        b, occupancies = correct_pseudo_atoms(
            data, scatterers, b, is_pseudo, mates=mates, bands=bands
        )
    progress(0.95)
    return _result(data, scatterers, b, occupancies, tau, scan, findings)


def _validated(
    data: RefinementData,
    scatterers: Scatterers,
    b_iso: DoubleArray,
    model: IntArray,
    neighbours: Neighbours,
    mates: IntArray | None,
    n_steps: int,
    tau_known: Callable[[float], None],
    progress: Callable[[float], None],
) -> tuple[DoubleArray, float, tuple[TauTrial, ...], list[Finding]]:
    """B from the average with the prior that half map 2 prefers, that prior, and the scan."""
    work, fit, noted = _shifted(data, scatterers, b_iso, model, neighbours, mates)
    progress(0.3)
    scan, fit = scan_tau(
        data, work, fit, neighbours, mates=mates, progress=lambda done: progress(0.3 + 0.5 * done)
    )
    tau, findings = _chosen(scan, data)
    b = fit.b_iso
    tau_known(tau)
    findings.extend(worse_than_one_b(data.with_half(2), work, fit))
    # shifts and B by turns: each is found with the other as it was
    for n in [_SCAN_STEPS, n_steps] if noted else [n_steps]:
        if noted:
            work = displaced(
                data.average, scatterers, b, model, start=work.positions, n_steps=_LAST_SHIFTS
            ).atoms
        fit = b_steps(data.average, work, b, neighbours, tau=tau, n_steps=n, mates=mates)
        b = fit.b_iso
    progress(1.0)
    return b, tau, scan, [*findings, *noted, *not_converged(fit)]


def _shifted(
    data: RefinementData,
    scatterers: Scatterers,
    b_iso: DoubleArray,
    model: IntArray,
    neighbours: Neighbours,
    mates: IntArray | None,
) -> tuple[Scatterers, BFit, list[Finding]]:
    """Atoms to refine B with, as given or shifted where half map 2 gains; a fit to half map 1."""
    work = data.with_half(1)
    given = b_steps(
        work, scatterers, b_iso, neighbours, tau=ROUND_TAU, n_steps=_FIRST_STEPS, mates=mates
    )
    if not len(model):
        return scatterers, given, []
    moved = displaced(work, scatterers, given.b_iso, model)
    shifted = b_steps(
        work,
        moved.atoms,
        given.b_iso,
        neighbours,
        tau=ROUND_TAU,
        n_steps=_SCAN_STEPS,
        mates=mates,
        model=moved.model,
    )
    if given.last_step > _SETTLED:  # what more steps do is not the shifts' doing
        given = b_steps(
            work,
            scatterers,
            given.b_iso,
            neighbours,
            tau=ROUND_TAU,
            n_steps=_SCAN_STEPS,
            mates=mates,
            model=given.model,
        )
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


def adopt_b(
    data: RefinementData,
    scatterers: Scatterers,
    b_iso: DoubleArray,
    is_pseudo: BoolArray,
    *,
    mates: IntArray | None = None,
) -> RefinedAdps:
    """Take over the B that another program refined; pseudo-atoms are still corrected locally.

    Parameters
    ----------
    data : RefinementData
    scatterers : Scatterers
    b_iso : array, shape (n,)
        Å^2, refined elsewhere.
    is_pseudo : bool array, shape (n,)
    mates : array of int, shape (k, n), optional
        Symmetry copies of each atom.

    Returns
    -------
    RefinedAdps
        Not validated: the other program saw both half maps.
    """
    b = np.clip(b_iso if mates is None else b_iso[mates].mean(axis=0), *B_BOUNDS)
    occupancies = scatterers.occupancies.copy()
    if data.half_1 is not None and data.d_min <= COARSE:
        b, occupancies = correct_pseudo_atoms(data, scatterers, b, is_pseudo, mates=mates)
    return _result(
        data,
        scatterers,
        b,
        occupancies,
        0.0,
        (),
        [
            Finding(
                "adp-by-servalcat",
                "note",
                "B factors were refined by servalcat against both half maps; "
                "no half map is left to validate them",
                {},
            )
        ],
    )


def scan_tau(
    data: RefinementData,
    scatterers: Scatterers,
    start: BFit,
    neighbours: Neighbours,
    *,
    mates: IntArray | None = None,
    progress: Callable[[float], None] = lambda done: None,
) -> tuple[tuple[TauTrial, ...], BFit]:
    """Refine against half map 1 with weaker and weaker prior and judge by half map 2.

    `start` is a fit to half map 1; every tau starts from the one before and takes two steps.

    Returns
    -------
    scan : tuple of TauTrial
        Up to the first tau past the best one.
    fit : BFit
        To half map 1, with the best tau.
    """
    work, free = data.with_half(1), data.with_half(2)
    trials: list[TauTrial] = []
    best: BFit | None = None
    fit = start
    for number, tau in enumerate(TAUS):
        fit = b_steps(
            work,
            scatterers,
            fit.b_iso,
            neighbours,
            tau=tau,
            n_steps=_SCAN_STEPS,
            mates=mates,
            model=fit.model,
        )
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


def _coarse_levels(
    data: RefinementData,
    scatterers: Scatterers,
    b_iso: DoubleArray,
    is_pseudo: BoolArray,
    mates: IntArray | None,
) -> DoubleArray:
    """Fit one B for the model and one for the pseudo-atoms."""
    b = group_levels(data.average, scatterers, b_iso, (~is_pseudo, is_pseudo))
    return b if mates is None else np.asarray(b[mates].mean(axis=0))


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


def _unvalidated_tau(kind: Kind, tau: float | None) -> tuple[float, list[Finding]]:
    """Choose the tau without a half map, and say why."""
    reason = "tau was given" if kind == "halves" else "there is one map"
    tau = UNVALIDATED_TAU if tau is None else tau
    return tau, [
        Finding(
            "adp-not-validated",
            "note",
            f"B factors are not validated by a half map: {reason}; tau {tau:g} Å² was used",
            {"tau": tau},
        )
    ]


def _result(
    data: RefinementData,
    scatterers: Scatterers,
    b_iso: DoubleArray,
    occupancies: DoubleArray,
    tau: float,
    scan: tuple[TauTrial, ...],
    findings: list[Finding],
) -> RefinedAdps:
    """Count what stands at a bound and correlate the model with the maps."""
    low, high = at_bounds(b_iso)
    refined = Scatterers(scatterers.grid, scatterers.positions, scatterers.species, occupancies)
    return RefinedAdps(
        b_iso,
        occupancies,
        tau,
        scan,
        bool(scan),
        low,
        high,
        model_fsc(data, refined, b_iso),
        tuple(findings),
    )
