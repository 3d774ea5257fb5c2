"""What is said of refined B: gains on half map 2 beyond their error, losses, steps without end."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ..findings import Finding
from ..fourier.space import real_product, squared_modulus
from ..maps.grid import ComplexArray, DoubleArray
from ..remedies import do, give, use
from ..scattering.scatterers import Scatterers
from .b_steps import BFit
from .likelihood import Target, evaluate, weighted_correlation

_ERRORS = 5.0  # standard errors that noise may reach
_LAST_STEP = 10.0  # Å^2 rms: a smaller last step leaves no trace in the map


@dataclass(frozen=True)
class FreeGain:
    """Mean FSC of two models with half map 2, 12 Å to d_min.

    Parameters
    ----------
    before, after : float
    error : float
        Standard error of their difference: the noise of half map 2 is the same in both.
    """

    before: float
    after: float
    error: float

    @property
    def is_real(self) -> bool:
        """Whether the second is better by more than noise makes it."""
        return self.after - self.before > _ERRORS * self.error

    @property
    def is_loss(self) -> bool:
        """Whether the second is worse by more than noise makes it."""
        return self.before - self.after > _ERRORS * self.error


def free_gain(free: Target, before: ComplexArray, after: ComplexArray) -> FreeGain:
    """Compare two models by a half map that neither has seen.

    Parameters
    ----------
    free : Target
        Half map 2.
    before, after : arrays, shape (m,)
        Coefficients of the models.
    """
    band = free.band
    one, other = evaluate(free, before), evaluate(free, after)
    power = band.shell_sum(squared_modulus(before)) * band.shell_sum(squared_modulus(after))
    alike = band.shell_sum(real_product(before, after)) / np.sqrt(np.maximum(power, 1e-60))
    # noise projected on the difference of two unit vectors; half of it is in the real part
    variance = (1 - np.minimum(alike, 1)) / (2 * one.weight) / np.maximum(free.power, 1e-30)
    error = float(np.sqrt((band.count**2 * variance).sum()) / band.count.sum())
    return FreeGain(
        weighted_correlation(band, one.correlation),
        weighted_correlation(band, other.correlation),
        error,
    )


def preferred_direction(positions: DoubleArray, shift: DoubleArray) -> float:
    """Measure how much farther atoms shift along one direction than across it, against neighbours.

    What neighbours have in common, as a domain that stands beside its density, does not count.

    Parameters
    ----------
    positions, shift : arrays, shape (k, 3)
        Å.
    """
    if len(positions) < 2:
        return 1.0
    nearest = np.asarray(cKDTree(positions).query(positions, k=2)[1])[:, 1]
    apart = shift - shift[nearest]
    low, middle, high = np.sqrt(np.linalg.eigvalsh(apart.T @ apart / len(apart)))
    return float(2 * high / max(low + middle, 1e-12)) if high > 0 else 1.0


def shifts_taken(rms: float, gain: FreeGain) -> Finding:
    """Say that B were refined as if the model's atoms stood a little elsewhere."""
    return Finding(
        "coordinate-errors",
        "note",
        f"shifts of the model's atoms on half map 1, {rms:.2f} Å rms, brought the mean FSC with "
        f"half map 2 from {gain.before:.4f} to {gain.after:.4f}: B factors were refined with such "
        "shifts, so that errors of coordinates do not pass for disorder; the model itself was not "
        "moved",
        {"rms_shift_angstrom": rms, "fsc_free_before": gain.before, "fsc_free_after": gain.after},
    )


def shifts_one_way(rms: float, gain: FreeGain) -> Finding:
    """Say that the shifts have a direction in common, which errors of coordinates do not."""
    return Finding(
        "shifts-one-way",
        "note",
        f"B factors were refined with small shifts of the model's atoms ({rms:.2f} Å rms), because "
        f"these raised the mean FSC with half map 2 from {gain.before:.4f} to {gain.after:.4f}. "
        "The shifts go mainly along one axis, as where views of the particle are missing; they "
        "are not errors of the model, which was not moved",
        {"rms_shift_angstrom": rms, "fsc_free_before": gain.before, "fsc_free_after": gain.after},
    )


def coarse(d_min: float, limit: float) -> Finding:
    """Say that B of single atoms were not refined."""
    return Finding(
        "adp-coarse",
        "note",
        f"at {d_min:.3g} Å the map does not tell the B of single atoms: one B for the "
        f"model and one for the pseudo-atoms (limit {limit:g} Å)",
        {"d_min": d_min},
    )


def worse_than_one_b(free: Target, scatterers: Scatterers, fit: BFit) -> list[Finding]:
    """Say that B refined on half map 1 explain half map 2 worse than one B for all atoms.

    Parameters
    ----------
    free : Target
        Half map 2.
    scatterers : Scatterers
    fit : BFit
        The best one to half map 1.
    """
    if not len(scatterers):
        return []
    level = np.full(len(scatterers), float(np.median(fit.b_iso)))
    gain = free_gain(free, scatterers.coefficients(level, free.band), fit.model)
    if not gain.is_loss:
        return []
    return [
        Finding(
            "b-against-half-2",
            "warning",
            f"B factors refined on half map 1 fit half map 2 worse than one B for all atoms: mean FSC "
            f"{gain.after:.4f} for {gain.before:.4f}",
            {"fsc_free_one_b": gain.before, "fsc_free": gain.after, "fsc_error": gain.error},
            (
                do("check that the model fits the maps"),
                do("check that the half maps are of one reconstruction"),
                use("refiner", "none", when="to keep the B factors of the model"),
            ),
        )
    ]


def not_converged(fit: BFit) -> list[Finding]:
    """Say that the last step in B was a long one."""
    if fit.last_step <= _LAST_STEP:
        return []
    gain = fit.values[-2] - fit.values[-1]
    return [
        Finding(
            "b-not-converged",
            "warning",
            f"B factors have not converged: the last of {fit.n_steps} steps changed them by "
            f"{fit.last_step:.0f} Å² rms and lowered the target by {gain:.0f}",
            {"last_step_rms": fit.last_step, "target_change": -gain, "steps": fit.n_steps},
            (give("b_steps", "more steps"),),
        )
    ]
