"""Refinement of B against the half maps, with validation.

The strength of the prior is the one that explains half map 2 best after refinement against half
map 1; the final B come from the average, pseudo-atoms then follow the local power of the data.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..findings import Finding
from ..maps.grid import DoubleArray
from ..parallel.threads import beside
from ..scattering.scatterers import Scatterers
from .adp_findings import coarse, not_converged
from .b_steps import B_BOUNDS, at_bounds, group_levels
from .coordinate_errors import displaced
from .model_fsc import ModelFsc, model_fsc
from .restraint_weight import SCAN_STEPS, BProblem, TauChoice, TauTrial, given_tau, validated_tau
from .wilson import WilsonBands, correct_pseudo_atoms

COARSE = 6.0  # Å; beyond it one B for the model and one for the pseudo-atoms
_LAST_SHIFTS = 4  # on the average, twice, after those on half map 1

Report = Callable[[float], None]


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


class BRefinement:
    """Refinement of the B of a hybrid model in two steps, so that other work can begin between.

    Coordinates stay.  Beyond 6 Å there is one B for the model and one for the pseudo-atoms.

    Parameters
    ----------
    problem : BProblem
    n_steps : int
        Of the final fit on the average.
    together : bool
        Prepare the local Wilson plots of pseudo-atoms in a thread meanwhile.
    progress : callable
        Called with the share that is done.
    """

    def __init__(
        self,
        problem: BProblem,
        n_steps: int = 3,
        *,
        together: bool = False,
        progress: Report = lambda done: None,
    ) -> None:
        data, positions = problem.data, problem.scatterers.positions
        self._problem, self._n_steps, self._progress = problem, n_steps, progress
        self._coarse = data.d_min > COARSE
        self._wilson = data.half_1 is not None and bool(problem.is_pseudo.any())
        self._bands = beside(
            lambda: WilsonBands(data, positions),
            together=together and self._wilson and not self._coarse,
        )

    def choose_tau(
        self, b_iso: DoubleArray, tau: float | None = None, *, shifts: bool = False
    ) -> TauChoice:
        """Choose the restraint weight on half map 2, where it is not given and there is one.

        Parameters
        ----------
        b_iso : array, shape (n,)
            Å^2, start; any level will do.
        tau : float, optional
            Å^2; by default chosen on half map 2.
        shifts : bool
            With a tau that is given: refine with small shifts of the model's atoms, from which
            half map 2 gained before.
        """
        problem = self._problem
        if self._coarse:
            finding = coarse(problem.data.d_min, COARSE)
            return TauChoice(0.0, b_iso, problem.scatterers, findings=(finding,))
        if tau is None and problem.kind == "halves":
            return validated_tau(problem, b_iso, lambda done: self._progress(0.6 * done))
        return given_tau(problem, b_iso, tau, shifts=shifts)

    def fit(self, choice: TauChoice) -> RefinedAdps:
        """Refine B against the average with a restraint weight, then correct pseudo-atoms."""
        problem, occupancies = self._problem, self._problem.scatterers.occupancies
        if self._coarse:
            return _result(problem, _one_b_each(problem, choice.b_iso), occupancies, choice, [])
        b, findings = self._fitted(choice)
        self._progress(0.75)
        occupancies = occupancies.copy()
        if self._wilson:
            b, occupancies = correct_pseudo_atoms(
                problem.data,
                problem.scatterers,
                b,
                problem.is_pseudo,
                mates=problem.mates,
                bands=self._bands,
            )
        self._progress(0.95)
        return _result(problem, b, occupancies, choice, findings)

    def _fitted(self, choice: TauChoice) -> tuple[DoubleArray, list[Finding]]:
        """Refine B against the average; where shifts help, both by turns."""
        average, model = self._problem.data.average, self._problem.model
        atoms, b = choice.atoms, choice.b_iso
        # without a scan, no steps have come close yet
        rounds = [self._n_steps if choice.scan else self._n_steps + SCAN_STEPS]
        if choice.shifted:  # each is found with the other as it was
            rounds = [SCAN_STEPS, *rounds]
        for n in rounds:
            if choice.shifted:
                atoms = displaced(
                    average,
                    self._problem.scatterers,
                    b,
                    model,
                    start=atoms.positions,
                    n_steps=_LAST_SHIFTS,
                ).atoms
            fit = self._problem.steps(average, atoms, b, choice.tau, n)
            b = fit.b_iso
        return b, not_converged(fit)


def _one_b_each(problem: BProblem, b_iso: DoubleArray) -> DoubleArray:
    """Fit one B for the model and one for the pseudo-atoms."""
    groups = (~problem.is_pseudo, problem.is_pseudo)
    b = group_levels(problem.data.average, problem.scatterers, b_iso, groups)
    return b if problem.mates is None else np.asarray(b[problem.mates].mean(axis=0))


def adopt_b(problem: BProblem, b_iso: DoubleArray) -> RefinedAdps:
    """Take over the B that another program refined; pseudo-atoms are still corrected locally.

    Parameters
    ----------
    problem : BProblem
    b_iso : array, shape (n,)
        Å^2, refined elsewhere.

    Returns
    -------
    RefinedAdps
        Not validated: the other program saw both half maps.
    """
    data, scatterers, mates = problem.data, problem.scatterers, problem.mates
    b = np.clip(b_iso if mates is None else b_iso[mates].mean(axis=0), *B_BOUNDS)
    occupancies = scatterers.occupancies.copy()
    if data.half_1 is not None and data.d_min <= COARSE:
        b, occupancies = correct_pseudo_atoms(data, scatterers, b, problem.is_pseudo, mates=mates)
    finding = Finding(
        "adp-by-servalcat",
        "note",
        "B factors were refined by servalcat against both half maps; "
        "no half map is left to validate them",
        {},
    )
    choice = TauChoice(0.0, b_iso, scatterers, findings=(finding,))
    return _result(problem, b, occupancies, choice, [])


def _result(
    problem: BProblem,
    b_iso: DoubleArray,
    occupancies: DoubleArray,
    choice: TauChoice,
    findings: list[Finding],
) -> RefinedAdps:
    """Count what is at a bound and correlate the model with the maps."""
    low, high = at_bounds(b_iso)
    given = problem.scatterers
    refined = Scatterers(given.grid, given.positions, given.species, occupancies)
    return RefinedAdps(
        b_iso,
        occupancies,
        choice.tau,
        choice.scan,
        bool(choice.scan),
        low,
        high,
        model_fsc(problem.data, refined, b_iso),
        (*choice.findings, *findings),
    )
