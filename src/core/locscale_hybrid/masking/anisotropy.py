"""Whether the half maps are worse in some directions, as preferred orientation makes them."""

from dataclasses import dataclass

import numpy as np

from ..findings import Finding, Number
from ..fourier.directions import DirectionalSums, directional_sums
from ..fourier.fsc import FscCurve, MaskedFsc, masked_coefficients
from ..fourier.space import FourierSpace
from ..maps.grid import BoolArray, DoubleArray, FloatArray, Map
from ..remedies import do

COARSEST = 10.0  # Å; coarser shells hold too few coefficients in a cone
EMPTY = 0.25  # of the mean signal power, in the emptiest cone; a particle's shape makes .57 to 1.4

_LEAST_SHELLS = 4
_SIGMA = 6.0  # Å, of the Gaussian that averages the product of the half maps
_COARSER = 1.15  # times the resolution: signal power is measured up to there
_FINER = 1.5  # times as fine as all directions together: no direction is looked at further
_HALF_FULL = 0.5  # of the mean power: the axis of such a cone is at the border of what is empty
_SURE = 2.5  # standard errors, of the best as of the worst of many directions
_LEAST_RATIO = 1.7  # signal over noise, best over worst: shapes and chance make 1.2 at most
_ALIKE = 1.25  # directions whose signals differ by less are as good, or as bad
_AXIS = 15.0  # degrees: nearer to an axis of the map than this is along it


@dataclass(frozen=True)
class Anisotropy:
    """Resolution and signal by direction.

    Parameters
    ----------
    directions : array, shape (n, 3)
        Unit vectors (x, y, z) of a half-sphere.
    resolution : array, shape (n,)
        Å, where the half-map FSC in a cone around each direction falls below 0.143, inside the
        mask and corrected for it.
    fsc, fsc_error : array, shape (n,)
        Mean FSC between 10 Å and the resolution, and its standard error.
    power : array, shape (n,)
        Cross power of the whole half maps, over its mean over all directions.
    power_error : array, shape (n,)
        Its standard error.
    """

    directions: DoubleArray
    resolution: DoubleArray
    fsc: DoubleArray
    fsc_error: DoubleArray
    power: DoubleArray
    power_error: DoubleArray

    @property
    def empty(self) -> BoolArray:
        """Which directions have no data."""
        sure = (self.power < EMPTY) & (self.power + _SURE * self.power_error < _HALF_FULL)
        return (self.power < _HALF_FULL) & bool(sure.any())

    @property
    def best(self) -> BoolArray:
        """Which directions have the most signal over noise."""
        seen = ~self.empty
        return seen & (self.signal >= self.signal[seen].max() / _ALIKE)

    @property
    def worst(self) -> BoolArray:
        """Which directions have no data; if there is none, those with the least signal over noise."""
        if self.empty.any():
            return self.empty
        between = np.sqrt(self.signal.min() * np.median(self.signal))
        return np.asarray(self.signal <= between)

    @property
    def signal(self) -> DoubleArray:
        """Signal over noise of each direction."""
        return signal_over_noise(self.fsc)

    @property
    def ratio(self) -> float:
        """Signal over noise, best over worst direction with data, both less their errors."""
        seen = ~self.empty
        fsc, error = self.fsc[seen], _SURE * self.fsc_error[seen]
        best, worst = fsc.argmax(), fsc.argmin()
        least, most = signal_over_noise(
            np.array([fsc[best] - error[best], fsc[worst] + error[worst]])
        )
        return float(least / most)

    @property
    def axis(self) -> DoubleArray:
        """Middle of the worst directions, a unit vector (x, y, z)."""
        worst = self.directions[self.worst]
        axis = np.linalg.eigh(worst.T @ worst)[1][:, -1]
        return np.asarray(axis * np.sign(axis[np.abs(axis).argmax()]))

    @property
    def is_found(self) -> bool:
        """Whether directions differ by more than chance and the particle's shape explain."""
        return bool(self.empty.any()) or self.ratio > _LEAST_RATIO

    def findings(self) -> tuple[Finding, ...]:
        """Warn if the directions differ."""
        if not self.is_found:
            return ()
        fine = float(np.median(self.resolution[self.best]))
        along = np.abs(self.directions @ self.axis) > np.cos(np.radians(_AXIS))
        coarse = float(np.median(self.resolution[along]))
        share, where = float(self.empty.mean()), axis_name(self.axis)
        values: dict[str, Number] = {"best_angstrom": round(fine, 3)}
        values |= {
            f"worst_{name}": round(float(v), 3) for name, v in zip("xyz", self.axis, strict=True)
        }
        if share:
            values["empty_share"] = round(share, 3)
            worst = f"and {share:.0%} of the directions, around {where}, have no data"
        else:
            values["worst_angstrom"] = round(coarse, 3)
            worst = f"{coarse:.2f} Å along {where}"
        fact = f"the resolution depends on the direction: {fine:.2f} Å at best, {worst}"
        remedy = do(
            f"add particle images of other views, and do not interpret fine detail along {where}"
        )
        return (Finding("anisotropy", "warning", fact, values, (remedy,)),)


def axis_name(axis: DoubleArray) -> str:
    """Name a direction: an axis of the map if it is near, else its components."""
    nearest = int(np.abs(axis).argmax())
    if abs(float(axis[nearest])) > np.cos(np.radians(_AXIS)):
        return "xyz"[nearest]
    return "({})".format(", ".join(f"{value:.2f}" for value in axis))


def find_anisotropy(
    half_1: Map, half_2: Map, mask: FloatArray, curves: MaskedFsc, d_min: float
) -> Anisotropy | None:
    """Compare directions of two half maps.

    Parameters
    ----------
    half_1, half_2 : Map
    mask : array
        Soft.
    curves : MaskedFsc
        FSC over all directions, whose correction for the mask is used in each.
    d_min : float
        Å, the resolution over all directions.

    Returns
    -------
    Anisotropy or None
        None if there are too few shells to say.

    Notes
    -----
    A reconstruction with a point group has it in both half maps, so the curves of directions that
    the group makes equal are equal.
    """
    space = FourierSpace(half_1.grid)
    used = (space.frequency > 1 / COARSEST) & (space.frequency <= 1 / d_min)
    if used.sum() < _LEAST_SHELLS:
        return None
    whole = directional_sums(
        space,
        space.forward(half_1.values),
        space.forward(half_2.values),
        finest=1 / (_COARSER * d_min),
    )
    inside = directional_sums(
        space,
        masked_coefficients(space, half_1.values, mask),
        masked_coefficients(space, half_2.values, mask),
        finest=min(_FINER / d_min, float(space.frequency[-1])),
    )
    fsc = _corrected(inside, curves)
    independent = _share_of_box(space, half_1, half_2, mask) / 2  # of a pair of mates, one
    shells = np.flatnonzero(used)
    mean, error = _mean(fsc[:, shells], inside.count[:, shells] * independent)
    return Anisotropy(
        inside.directions,
        _resolutions(inside.frequency, fsc),
        mean,
        error,
        *_power(whole, independent),
    )


def _share_of_box(space: FourierSpace, half_1: Map, half_2: Map, mask: FloatArray) -> float:
    """Share of the box that holds signal; so many of the coefficients are independent."""
    local = space.backward(
        space.forward(half_1.values * half_2.values * np.square(mask))
        * space.low_pass_gaussian(_SIGMA)
    )
    local = np.maximum(local, 0).astype(np.float64)
    total = float(np.square(local).sum()) * local.size
    particle = float(local.sum()) ** 2 / total if total else 1.0
    return min(particle, float(np.square(mask).mean(dtype=np.float64)))


def _corrected(sums: DirectionalSums, curves: MaskedFsc) -> DoubleArray:
    """FSC in every cone, smoothed over shells, less what the mask adds over all directions."""
    parts = (sums.cross, sums.power_1, sums.power_2)
    cross, first, second = (_smoothed(part) for part in parts)
    norm = np.sqrt(first * second)
    fsc = np.divide(cross, norm, out=np.zeros_like(norm), where=norm > 0)
    whole, corrected = curves.masked.correlation, curves.corrected.correlation
    by_mask = (whole - corrected) / np.maximum(1 - corrected, 1e-6)
    by_mask = np.clip(by_mask[: fsc.shape[1]], 0, 0.99)
    return np.asarray((fsc - by_mask) / (1 - by_mask))


def _smoothed(values: DoubleArray) -> DoubleArray:
    """Mean over each shell and its neighbours, weighted 1 2 1."""
    padded = np.pad(values, ((0, 0), (1, 1)), mode="edge")
    return np.asarray((padded[:, :-2] + 2 * values + padded[:, 2:]) / 4)


def signal_over_noise(fsc: DoubleArray) -> DoubleArray:
    """Signal over noise of a half map by the FSC of two."""
    inside = np.clip(fsc, 0.01, 0.99)
    return np.asarray(inside / (1 - inside))


def _mean(fsc: DoubleArray, independent: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """Mean FSC over shells, and its standard error."""
    variance = np.square(1 - np.clip(fsc, 0, 1) ** 2) / np.maximum(independent, 1)
    return fsc.mean(axis=1), np.sqrt(variance.sum(axis=1)) / fsc.shape[1]


def _resolutions(frequency: DoubleArray, fsc: DoubleArray) -> DoubleArray:
    """Where the FSC of each cone falls below 0.143."""
    rows = fsc.copy()
    rows[:, frequency < 1 / COARSEST] = 1  # a cone has few coefficients there
    return np.array([FscCurve(frequency, row).resolution() for row in rows])


def _power(sums: DirectionalSums, independent: float) -> tuple[DoubleArray, DoubleArray]:
    """Cross power of each direction over that of all, and its standard error.

    Shells count by their errors: noise of the halves, and the chance that few independent
    coefficients of a particle are weak.
    """
    used = sums.frequency > 1 / COARSEST
    count = np.maximum(sums.count[:, used], 1)
    level, power = (
        sums.cross[:, used] / count,
        np.sqrt(sums.power_1 * sums.power_2)[:, used] / count,
    )
    over = level.mean(axis=0)
    shown = over > 0
    relative = level[:, shown] / over[shown]
    by_noise = 2 * np.square(np.maximum(power - level, 0)[:, shown] / over[shown]) / count[:, shown]
    weight = 1 / (by_noise + 1 / np.maximum(count[:, shown] * independent, 1))
    total = weight.sum(axis=1)
    return (relative * weight).sum(axis=1) / total, 1 / np.sqrt(total)
