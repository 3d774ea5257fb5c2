"""Whether two half maps stand in one place and have one hand: a search over all shifts.

References
----------
.. [1] Knapp, Carter (1976) IEEE Trans. Acoust. Speech Signal Process. 24:320-327,
   :doi:`10.1109/TASSP.1976.1162830`: the best weight of a shell for finding a delay.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..findings import Finding
from ..fourier.space import FourierSpace, real_product, resize
from ..maps.grid import ComplexArray, DoubleArray, FloatArray, Grid, Vector
from ..remedies import do, give
from .half_turns import HalfTurn, find_turn
from .model_fit import MIRRORS, coarse_shape, highest_point

APART = ("halves-mirrored", "halves-unrelated")  # findings of halves whose average is no map
AGREE_BAND = (25.0, 10.0)  # Å, where halves of one data set agree and others do not
RELATED = 0.3  # mean FSC there that halves of one data set surpass
_ALIGNED = 0.6  # and that two maps have which only a shift or a mirror parts
_FINEST = 6.0  # Å, of what is compared; coarser where voxels or the box are large
_MOST_PERIODS = 48  # of the finest wave along the box, so that large boxes take seconds
_STARTS = (6.0, 9.0, 14.0)  # Å, fine ends of the first searches
_NOTICED = 0.3  # voxels; at 3 voxels such a shift costs 6 % of the FSC
_CERTAIN = 5.0  # standard deviations of a shift
_ROUNDS = 2


@dataclass(frozen=True)
class Alignment:
    """How two half maps lie to each other.

    Parameters
    ----------
    fsc : float
        Mean FSC between 25 and 10 Å with both as they are.
    best : float
        With half map 2 moved by `shift`.
    shift : (x, y, z)
        Å.
    deviation : float
        Å, standard deviation of the shift along an axis that noise makes.
    mirror : str, optional
        Axes along which half map 2 must be reversed to fit, where only that makes it fit; `best`
        is that of the mirror image then.
    turn : HalfTurn, optional
        By right angles, of half map 2, where only that makes it fit.
    """

    fsc: float
    best: float
    shift: Vector
    deviation: float
    mirror: str | None = None
    turn: HalfTurn | None = None


@contextmanager
def explained(findings: Sequence[Finding]) -> Iterator[None]:
    """Within it a map that is refused is refused because its halves do not agree, if so."""
    try:
        yield
    except InputError:
        for finding in findings:
            if finding.code in APART:
                raise InputError(finding.fact, *finding.remedies) from None
        raise


def agreement(frequency: DoubleArray, fsc: DoubleArray) -> float:
    """Mean FSC between 25 and 10 Å, finer than envelopes and coarser than most noise."""
    inside = (frequency > 1 / AGREE_BAND[0]) & (frequency < 1 / AGREE_BAND[1])
    inside[2:5] |= np.count_nonzero(inside) < 3
    return float(fsc[inside].mean())


def align_halves(space: FourierSpace, first: ComplexArray, second: ComplexArray) -> Alignment:
    """Find the shift of half map 2 at which it fits half map 1 best; its mirror images too.

    Parameters
    ----------
    space : FourierSpace
        Of both maps.
    first, second : array
        Coefficients of the half maps.
    """
    fine = max(_FINEST, 3 * space.grid.step, max(space.grid.cell) / _MOST_PERIODS)
    coarse = FourierSpace(space.grid.resampled(coarse_shape(space.grid, fine / 4)))
    one, two = (resize(half, space.shape, coarse.shape) for half in (first, second))
    pair = _Pair(coarse, one, two, fine)
    here = agreement(coarse.frequency, pair.curve((0.0, 0.0, 0.0)))
    best = pair.aligned()
    turn = find_turn(space, first, second) if best.agreement < _ALIGNED else None
    mirror = None
    if best.agreement < _ALIGNED and (turn is None or turn.is_mirror):
        turn = None
        values = coarse.backward(two)
        for name, axes in MIRRORS.items():
            image = coarse.forward(np.ascontiguousarray(np.flip(values, axes)))
            other = _Pair(coarse, one, image, fine).aligned()
            if other.agreement > _ALIGNED and other.information > 1.5 * best.information:
                best, mirror = other, name
    return Alignment(here, best.agreement, best.shift, best.information**-0.5, mirror, turn)


def alignment_findings(names: tuple[str, str], grid: Grid, found: Alignment) -> list[Finding]:
    """Report halves shifted against each other, or of different hand.

    Parameters
    ----------
    names : (str, str)
        Of the half maps.
    grid : Grid
    found : Alignment

    Raises
    ------
    InputError
        If they are turned against each other.
    """
    first, second = names
    band = f"between {AGREE_BAND[0]:g} and {AGREE_BAND[1]:g} Å"
    length = float(np.linalg.norm(found.shift))
    values = {"fsc": found.fsc, "best": found.best}
    if found.turn is not None:
        raise InputError(
            f"{second} is turned against {first}: {found.turn.name} it fits (correlation {band} "
            f"{found.turn.correlation:.2f}, and {found.turn.unturned:.2f} as it is)",
            give("half_maps", "both half maps as the reconstruction wrote them"),
        )
    if found.mirror is not None:
        return [
            Finding(
                "halves-mirrored",
                "warning",
                f"{second} is the mirror image of {first}: reversed along {found.mirror} their FSC "
                f"{band} is {found.best:.2f}, and {found.fsc:.2f} as they are",
                values,
                (
                    do("reverse it"),
                    give("half_maps", "both half maps as the reconstruction wrote them"),
                ),
            )
        ]
    is_shifted = length > max(_NOTICED * grid.step, _CERTAIN * found.deviation)
    if not is_shifted or max(found.fsc / RELATED, found.best / _ALIGNED) < 1:
        return []
    shift = ", ".join(f"{value + 0.0:.2f}" for value in found.shift)
    return [
        Finding(
            "halves-shifted",
            "warning",
            f"{second} is shifted against {first}: moved by ({shift}) Å, {length / grid.step:.1f} "
            f"voxels, their FSC {band} is {found.best:.3f} in place of {found.fsc:.3f}",
            {**values, "shift_angstrom": length},
            (
                give("half_maps", "both half maps as the reconstruction wrote them"),
                do("fit the second to the first and resample it onto its grid"),
            ),
        )
    ]


@dataclass(frozen=True)
class _Fit:
    """A shift, the agreement there, and the information about it along an axis, 1/Å^2."""

    shift: Vector
    agreement: float
    information: float


class _Pair:
    """Two half maps on one grid, of equal power in every shell."""

    def __init__(
        self, space: FourierSpace, first: ComplexArray, second: ComplexArray, fine: float
    ) -> None:
        self.space = space
        self.band = (space.frequency > 1 / AGREE_BAND[0]) & (space.frequency < 1 / fine)
        self.product = _whitened(space, first) * np.conj(_whitened(space, second))

    def curve(self, shift: Vector) -> DoubleArray:
        """FSC with half map 2 moved by a shift in Å."""
        x, y, z = (np.float32(2 * np.pi * part) for part in shift)
        sz, sy, sx = self.space.axes
        turned = np.exp(1j * (sz * z)) * np.exp(1j * (sy * y)) * np.exp(1j * (sx * x))
        return self.space.shell_mean(real_product(self.product, np.conj(turned)))

    def aligned(self) -> _Fit:
        """Find the shift at which the pair agrees best."""
        near = self._refined(_information(self.space, self.curve((0.0, 0.0, 0.0))) * self.band)
        if near.agreement > _ALIGNED:
            return near
        starts = [(self.space.frequency < 1 / fine) * self.band for fine in _STARTS]
        fits = [near, *(self._refined(weight.astype(np.float64)) for weight in starts)]
        return max(fits, key=lambda fit: fit.information)

    def _refined(self, weight: DoubleArray) -> _Fit:
        """Search with a weight per shell, then with the best weights for what was found."""
        for _ in range(_ROUNDS):
            shift = self._highest(weight)
            curve = self.curve(shift)
            weight = _information(self.space, curve) * self.band
        part = self.space.count * (2 * np.pi * self.space.frequency) ** 2 / 3
        # a coefficient and its Friedel mate tell the same
        return _Fit(
            shift,
            agreement(self.space.frequency, curve),
            max(float((weight * part).sum()) / 2, 1e-9),
        )

    def _highest(self, weight: DoubleArray) -> Vector:
        """Shift of half map 2 in Å with the highest weighted correlation."""
        place, _ = highest_point(self.space.backward(self.product * self.space.spread(weight)))
        x, y, z = (place[::-1] * self.space.grid.voxel_size).tolist()
        return x, y, z


def _information(space: FourierSpace, fsc: DoubleArray) -> DoubleArray:
    """C^2 / (1 - C^2) per shell, C the FSC less what chance may have added."""
    certain = np.clip(fsc - 2 / np.sqrt(np.maximum(space.count, 1)), 0, 0.98)
    return certain**2 / (1 - certain**2)


def _whitened(space: FourierSpace, coefficients: ComplexArray) -> ComplexArray:
    """Coefficients with a mean power of 1 in every shell."""
    power = space.power(coefficients) / np.maximum(space.count, 1)
    scale = np.divide(1.0, np.sqrt(power), out=np.zeros_like(power), where=power > 0)
    spread: FloatArray = space.spread(scale)
    return np.asarray(coefficients * spread, dtype=np.complex64)
