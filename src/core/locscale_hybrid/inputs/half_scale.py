"""Whether two half maps have one scale, and whether one of them alone was masked.

Both are seen before any FSC: a scale leaves every FSC as it is, and yet the average is then mostly
the stronger half, and half the difference is no noise.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..findings import Finding
from ..fourier.space import FourierSpace
from ..maps.grid import BoolArray, DoubleArray, FloatArray, Grid, Map
from ..maps.map_values import block_means
from ..remedies import do, give

_VOXEL = 3.0  # Å, of the binned maps that are compared
_FINEST = 8.0  # Å
_SHARED = 0.5  # FSC of the shells that are looked at
_CERTAIN = 0.9999  # no shell counts for more than with this FSC
_ERRORS = 3.0  # standard deviations by which signal and noise may differ in scale
_EMPTY = 1e-6  # of the power of the strongest shell: rounding
_NOTICED = 0.03  # of the scale, beyond what noise may make
_EVEN = 0.3  # of the logarithm of the scale that shells may differ by
_LARGEST_FACTOR = 3.0  # beyond that something is wrong with one of them

_BLOCK = 4  # voxels along the edge of the cubes whose variances are compared
_SILENT = 0.02  # variance of a cube over that of the other half's, never by chance
_BLANK = 1e-6  # the same where the cube has been set to a constant
_MASKED_SHARE = 0.05  # of the cubes
_OTHER_WAY = 5.0  # times the share of the cubes that are quieter in the other half


@dataclass(frozen=True)
class HalfScale:
    """Scale of half map 2 in units of half map 1.

    Parameters
    ----------
    factor : float
    spread : float
        Half the range of its logarithm that unequal noise can make.
    unevenness : float
        Weighted rms deviation of its logarithm between shells.
    """

    factor: float
    spread: float
    unevenness: float

    def differs(self, times: float = 1.0) -> bool:
        """Test whether the halves differ in scale, the factor taken so many times."""
        change = abs(float(np.log(self.factor * times)))
        return change > _NOTICED + self.spread and self.unevenness < _EVEN * change


def half_scale(first: FloatArray, second: FloatArray, grid: Grid) -> HalfScale | None:
    """Fit the scale of half map 2 to half map 1 in the shells where they agree.

    The power of a half is that of signal and noise; where the FSC is C, the scale of the signal
    is the ratio of their amplitudes within a factor of C, whatever the noise of either is.

    Returns
    -------
    HalfScale or None
        None where they do not agree anywhere coarser than 8 Å.
    """
    step = [max(1, int(_VOXEL / edge)) for edge in grid.voxel_size[::-1]]
    small = [block_means(values, step) for values in (first, second)]
    nz, ny, nx = small[0].shape
    a, b, c = (edge * count for edge, count in zip(grid.voxel_size, step[::-1], strict=True))
    space = FourierSpace(Grid((nz, ny, nx), (a, b, c)))
    shells = _Shells.of(space, small[0], small[1])
    used = shells.shared(_SHARED) & (space.frequency < 1 / _FINEST)
    if not used.any():
        return None
    weight = shells.signal_weight * used
    mean, _ = shells.mean(weight)
    uneven = float(np.sqrt(np.average((shells.logarithm - mean) ** 2, weights=weight)))
    return HalfScale(
        float(np.exp(mean)),
        float(np.average(-np.log(np.where(used, shells.fsc, 1.0)), weights=weight)),
        uneven,
    )


def exact_factor(first: FloatArray, second: FloatArray, grid: Grid) -> float:
    """Fit the scale to all shells, if it is known to differ.

    If one half was multiplied, its noise was too, and all shells say the same; else those count
    in which the halves agree.
    """
    space = FourierSpace(grid)
    shells = _Shells.of(space, first, second)
    signal, error = shells.mean(shells.signal_weight * shells.shared(_SHARED))
    whole, error_of_whole = shells.mean(shells.weight)
    agree = abs(signal - whole) < _ERRORS * float(np.hypot(error, error_of_whole))
    return float(np.exp(whole if agree else signal))


@dataclass(frozen=True, eq=False)
class _Shells:
    """What shells say of the scale.

    Parameters
    ----------
    count, fsc : array, shape (n_shells,)
        Coefficients with their mates, and correlation.
    logarithm : array
        Of the scale: half that of the ratio of the powers.
    known : array of bool
        Whether there is any power.
    """

    count: DoubleArray
    fsc: DoubleArray
    logarithm: DoubleArray
    known: BoolArray

    @classmethod
    def of(cls, space: FourierSpace, first: FloatArray, second: FloatArray) -> "_Shells":
        """Sum the shells of two maps, the mean left out."""
        one, two = (
            space.forward(values - values.mean(dtype=np.float64).astype(np.float32))
            for values in (first, second)
        )
        powers, shared = (space.power(one), space.power(two)), space.cross_power(one, two)
        known = np.minimum(*powers) > _EMPTY * np.max(np.minimum(*powers))
        known[0] = False
        norm = np.sqrt(powers[0] * powers[1])
        fsc = np.divide(shared, norm, out=np.zeros_like(shared), where=known)
        ratio = np.divide(powers[1], powers[0], out=np.ones_like(shared), where=known)
        return cls(np.asarray(space.count, dtype=np.float64), fsc, 0.5 * np.log(ratio), known)

    @property
    def weight(self) -> DoubleArray:
        """One over the variance of the logarithm in each shell."""
        certain = np.minimum(np.abs(self.fsc), _CERTAIN) ** 2
        return np.asarray(self.known * self.count / (1 - certain))

    @property
    def signal_weight(self) -> DoubleArray:
        """The same, less where there is noise that may have a scale of its own."""
        return np.asarray(self.weight * self.fsc**2)

    def shared(self, least: float) -> BoolArray:
        """Mark where the halves agree."""
        return np.asarray(self.known & (self.fsc > least))

    def mean(self, weight: DoubleArray) -> tuple[float, float]:
        """Mean of the logarithm, and its standard deviation."""
        own = np.maximum(self.weight, 1e-30)
        error = float(np.sqrt((weight**2 / own).sum()) / weight.sum())
        return float(np.average(self.logarithm, weights=weight)), error


def bring_to_one_scale(half_1: Map, half_2: Map, power: int) -> list[Finding]:
    """Divide half map 2, in place, by its scale in units of half map 1, where that is not 1.

    Parameters
    ----------
    half_1, half_2 : Map
    power : int
        Of two, by which half map 2 must be multiplied for the scale of their files.

    Raises
    ------
    InputError
        If they differ by more than a factor of 3.
    """
    found = half_scale(half_1.values, half_2.values, half_1.grid)
    times = 2.0**power
    if found is None or not found.differs(times):
        if power:
            np.ldexp(half_2.values, power, out=half_2.values)
        return []
    factor = exact_factor(half_1.values, half_2.values, half_1.grid) * times
    larger, smaller = (half_2, half_1) if factor > 1 else (half_1, half_2)
    ratio = max(factor, 1 / factor)
    fact = f"{larger.name} has {ratio:.4g} times the scale of {smaller.name}"
    if ratio > _LARGEST_FACTOR:
        raise InputError(
            f"{fact}, and half maps of one reconstruction have the same scale",
            give("half_maps", "both as the reconstruction wrote them"),
            do(f"divide the first by {ratio:.4g}"),
        )
    half_2.values[...] /= np.float32(factor / times)
    return [
        Finding(
            "half-scale",
            "warning",
            f"{fact}. Both were brought to one scale for the run",
            {"factor": factor},
            (give("half_maps", "both as the reconstruction wrote them"),),
        )
    ]


def one_half_masked(half_1: Map, half_2: Map) -> list[Finding]:
    """Say that one half map is masked where the other is not.

    Parameters
    ----------
    half_1, half_2 : Map
        On one scale.
    """
    first, second = (_variances(half.values) for half in (half_1, half_2))
    for limit, other_way in ((_SILENT, _OTHER_WAY), (_BLANK, 0.0)):
        shares = (float((first < limit * second).mean()), float((second < limit * first).mean()))
        if max(shares) > _MASKED_SHARE + other_way * min(shares):
            masked, other = (half_1, half_2) if shares[0] > shares[1] else (half_2, half_1)
            return [
                Finding(
                    "one-half-masked",
                    "warning",
                    f"{masked.name} is masked and {other.name} is not, or not alike: "
                    f"{max(shares):.0%} of the box has noise in {other.name} only. The resolution, "
                    "the noise and the scale are wrong then",
                    {"share": max(shares)},
                    (give("half_maps", "both half maps without a mask"),),
                )
            ]
    return []


def _variances(values: FloatArray) -> FloatArray:
    """Variance in every second layer of cubes; exactly 0 where the map is as in its corner."""
    ny, nx = (length // _BLOCK for length in values.shape[1:])
    found = []
    for begin in range(0, values.shape[0] - _BLOCK + 1, 2 * _BLOCK):
        slab = values[begin : begin + _BLOCK, : ny * _BLOCK, : nx * _BLOCK] - values[0, 0, 0]
        mean, square = (
            layers.sum(axis=0).reshape(ny, _BLOCK, nx, _BLOCK).sum(axis=(1, 3))
            / np.float32(_BLOCK**3)
            for layers in (slab, np.square(slab))
        )
        found.append(np.maximum(square - np.square(mean), 0))
    return np.stack(found)
