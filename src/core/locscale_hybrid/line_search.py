"""How far to go along a step: the target between two models, in closed form.

The coefficients between two models are taken for a straight line.  The sums over shells that the
target is made of are then polynomials, so that the target at any length, with the scale and the
variance of each shell at their optimum, costs no further density.
"""

import numpy as np

from .fourier import real_product, squared_modulus
from .likelihood import Target, target_value
from .maps import ComplexArray, DoubleArray

SHORTENED = (0.1, 0.5)  # how much is left of a step that raised the target, least and most
_LENGTHS = np.linspace(0.0, 1.0, 65)


def best_length(target: Target, before: ComplexArray, after: ComplexArray, *,
                prior_slope: float = 0.0, prior_curvature: float = 0.0) -> float:
    """Share of a step, 0 to 1, at which the target is least.

    Parameters
    ----------
    target : Target
    before, after : arrays, shape (m,)
        Coefficients of the model at the beginning and at the end of the step.
    prior_slope, prior_curvature : float
        Of the prior along the step: p a + c a^2 / 2 at the share a.
    """
    prior = prior_slope * _LENGTHS + prior_curvature / 2 * _LENGTHS**2
    values = _between(target, before, after) + prior
    i = int(np.argmin(values))
    if not 0 < i < len(values) - 1:
        return float(_LENGTHS[i])
    left, middle, right = values[i - 1: i + 2]
    offset = 0.5 * (left - right) / max(left - 2 * middle + right, 1e-300)
    return float(_LENGTHS[i] + np.clip(offset, -0.5, 0.5) * _LENGTHS[1])


def _between(target: Target, before: ComplexArray, after: ComplexArray) -> DoubleArray:
    """The target at each of the lengths."""
    band, a = target.band, _LENGTHS[:, None]
    change = after - before
    cross = (band.shell_sum(real_product(target.observed, before))
             + a * band.shell_sum(real_product(target.observed, change)))
    power = (band.shell_sum(squared_modulus(before))
             + 2 * a * band.shell_sum(real_product(before, change))
             + a**2 * band.shell_sum(squared_modulus(change)))
    kept = np.maximum(cross, 0)
    left = np.maximum(target.power - kept**2 / np.maximum(power, 1e-30), 0)
    return target_value(target, left)
