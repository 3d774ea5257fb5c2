"""Whether a model lies in its map: a search over all shifts, hands and magnifications.

The model is points of equal weight on a coarse grid, the map the same grid's Fourier coefficients;
both are band-passed, so that neither the envelope nor the noise decides.  One transform gives the
correlation at every shift.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft

from ..fourier.space import FourierSpace, resize
from ..maps.grid import ComplexArray, DoubleArray, FloatArray, Grid, IntArray, Shape, Vector
from ..scattering.fringe import in_box

CHANCE = 1.5  # a fit this many times better than to any mirror image is none by chance
BAND_RATIO = 2.5  # coarse over fine end of the band
MIRRORS: dict[str, tuple[int, ...]] = {"x": (2,), "y": (1,), "z": (0,), "x, y and z": (0, 1, 2)}
_STEP = 0.01  # of magnification
_AROUND = 4.0  # times the fine end of the band, how far chance is looked at
_OUTERMOST = 1.0  # per cent of the atoms at either end, which may be far away by mistake
_ROOM = 10.0  # Å, and as much as the others extend: nearer atoms are no mistake
_MOST_STEPS = 12  # steps of magnification looked at on either side


@dataclass(frozen=True)
class ModelFit:
    """How a model fits its map.

    Parameters
    ----------
    correlation : float
        In the band, over the whole box, with the model where it is.
    best : float
        The largest at any shift.
    shift : (x, y, z)
        Å, the shift with the best correlation.
    mirror : str
        The mirror image of the map that fits best: which axes are reversed.
    mirrored : float
        Its best correlation; chance, where the hand is right.
    negative : float
        The lowest correlation at any shift, its sign changed: for maps of inverted contrast.
    inside : float
        Share of the atoms in the box.
    """

    correlation: float
    best: float
    shift: Vector
    mirror: str
    mirrored: float
    negative: float
    inside: float

    @property
    def is_found(self) -> bool:
        """Whether the model fits the map somewhere, by more than chance."""
        return self.best > CHANCE * self.mirrored


class CoarseMap:
    """A map in the band, ready to be searched.

    Parameters
    ----------
    grid : Grid
        Of the map.
    coefficients : array
        Of the map on that grid.
    finest : float
        Å, fine end of the band; the coarse end is 2.5 times that.
    """

    def __init__(self, grid: Grid, coefficients: ComplexArray, finest: float) -> None:
        self.finest = finest
        shape = coarse_shape(grid, finest / 3)
        self.grid = grid.resampled(shape)
        self.space = FourierSpace(self.grid)
        self.band = _band(self.space, finest)
        self.coefficients = resize(coefficients, grid.shape, shape) * self.band
        self.norm = float(np.sqrt(self.space.power(self.coefficients).sum()))

    def mirrored(self, axes: tuple[int, ...]) -> ComplexArray:
        """Coefficients of the map with some array axes reversed about its middle."""
        values = np.flip(self.space.backward(self.coefficients), axes)
        return self.space.forward(np.ascontiguousarray(values))

    def model(self, positions: DoubleArray) -> tuple[ComplexArray, float]:
        """Coefficients of points in the band, and their norm."""
        points = self.space.forward(splat(self.grid, positions)) * self.band
        return points, float(np.sqrt(self.space.power(points).sum()))

    def correlations(
        self, coefficients: ComplexArray, model: ComplexArray, norm: float
    ) -> FloatArray:
        """Correlation at every shift of the model, wrapped into the box."""
        scale = np.float32(self.grid.size / max(norm * self.norm, 1e-30))
        return self.space.backward(coefficients * np.conj(model)) * scale


def fit_model(coarse: CoarseMap, positions: DoubleArray) -> ModelFit:
    """Search the shift at which a model fits its map, and the mirror images of the map.

    Parameters
    ----------
    coarse : CoarseMap
    positions : array, shape (n, 3)
        Å, in the frame of the map.
    """
    inside = in_box(coarse.grid, positions)
    here, norm = coarse.model(positions[inside])
    at_place = 0.0
    if inside.any():
        shared = np.real(coarse.coefficients * np.conj(here))
        at_place = float(coarse.space.shell_sum(shared).sum()) / max(norm * coarse.norm, 1e-30)
    # the search starts with the model in the middle of the box, where it cannot wrap
    start = _middle(coarse.grid) - 0.5 * sum(span(positions))
    model, norm = coarse.model(positions + start)
    found = coarse.correlations(coarse.coefficients, model, norm)
    peak, value = highest_point(found)
    shift = peak[::-1] * np.array(coarse.grid.voxel_size) + start
    hands = {
        name: float(coarse.correlations(coarse.mirrored(axes), model, norm).max())
        for name, axes in MIRRORS.items()
    }
    mirror = max(hands, key=lambda name: hands[name])
    x, y, z = shift.tolist()
    return ModelFit(
        at_place,
        max(value, at_place),
        (x, y, z),
        mirror,
        hands[mirror],
        -float(found.min()),
        float(inside.mean()),
    )


@dataclass(frozen=True)
class Magnification:
    """How a model fits when it is made larger or smaller.

    Parameters
    ----------
    factor : float
        By which the model must grow to fit best, at the best shift.
    correlation : float
        With the model magnified by it.
    unchanged : float
        Correlation of the model as it is, at the best shift.
    error : float
        What the two may differ by because of density that is not the model's.
    """

    factor: float
    correlation: float
    unchanged: float
    error: float

    @property
    def gain(self) -> float:
        """By how many times its error the correlation grows."""
        return (self.correlation - self.unchanged) / max(self.error, 1e-9)


def best_magnification(
    coarse: CoarseMap, positions: DoubleArray, *, everywhere: bool = False
) -> Magnification:
    """Search the factor by which a model must grow to fit best.

    Parameters
    ----------
    coarse : CoarseMap
    positions : array, shape (n, 3)
    everywhere : bool
        Look at 0.88 to 1.12 first, rather than climb from 1.
    """
    middle = positions.mean(axis=0)
    values: dict[int, float] = {}

    def scaled(n: int) -> tuple[ComplexArray, float]:
        return coarse.model((positions - middle) * (1 + n * _STEP) + _middle(coarse.grid))

    def correlation(n: int) -> float:
        if n not in values:
            values[n] = highest_point(coarse.correlations(coarse.coefficients, *scaled(n)))[1]
        return values[n]

    tried = range(-_MOST_STEPS, _MOST_STEPS + 1, 2) if everywhere else range(1)
    place, vertex = max(tried, key=correlation), 0.0
    while abs(place) < _MOST_STEPS:
        best = max((place, place - 1, place + 1), key=correlation)
        if best == place:
            vertex = _vertex(values[place - 1], values[place], values[place + 1])
            break
        place = best
    error = _chance_difference(coarse, scaled(0), scaled(place)) if place else 0.0
    return Magnification(1 + _STEP * (place + vertex), values[place], correlation(0), error)


def _chance_difference(
    coarse: CoarseMap, one: tuple[ComplexArray, float], other: tuple[ComplexArray, float]
) -> float:
    """Return the sd of the difference between two correlations that are chance.

    It is taken around the place of the first model, from what that model leaves of the map: other
    parts of the particle, which a small part of it fits here and there, and noise.
    """
    found = coarse.correlations(coarse.coefficients, *one)
    peak, height = highest_point(found)
    phase = np.ones((1, 1, 1), dtype=np.complex64)
    distance = np.zeros((1, 1, 1))
    for axis, (at, edge) in enumerate(zip(peak, coarse.grid.voxel_size[::-1], strict=True)):
        size = found.shape[axis]
        along = tuple(-1 if i == axis else 1 for i in range(3))
        frequency = (np.fft.rfftfreq if axis == 2 else np.fft.fftfreq)(size)
        phase = phase * np.exp(-2j * np.pi * frequency * at).reshape(along).astype(np.complex64)
        steps = (np.arange(size) - at + size / 2) % size - size / 2
        distance = distance + ((steps * edge) ** 2).reshape(along)
    left = coarse.coefficients - one[0] * phase * np.float32(height * coarse.norm / one[1])
    step = other[0] / np.float32(other[1]) - one[0] / np.float32(one[1])
    difference = coarse.correlations(left, step, 1.0)
    near = (distance > coarse.finest**2) & (distance < (_AROUND * coarse.finest) ** 2)
    return float(difference[near].std()) if near.any() else float(difference.std())


def splat(grid: Grid, positions: DoubleArray) -> FloatArray:
    """Points of weight 1 shared among their eight nearest voxels, wrapped into the box."""
    index = grid.index_of(positions)
    low = np.floor(index).astype(np.intp)
    part = index - low
    total = np.zeros(grid.size)
    for corner in np.ndindex(2, 2, 2):
        weight = np.where(corner, part, 1 - part).prod(axis=1)
        voxel = (low + corner) % np.array(grid.shape)
        total += np.bincount(np.ravel_multi_index(tuple(voxel.T), grid.shape), weight, grid.size)
    return total.reshape(grid.shape).astype(np.float32)


def coarse_shape(grid: Grid, spacing: float) -> Shape:
    """Shape of the same box with voxels of about `spacing` Å, never finer than it is."""

    def side(count: int, edge: float) -> int:
        wanted = int(np.ceil(count * edge / spacing))
        return min(count, max(16, int(scipy.fft.next_fast_len(wanted, True))))

    x, y, z = grid.voxel_size
    nz, ny, nx = grid.shape
    return side(nz, z), side(ny, y), side(nx, x)


def _band(space: FourierSpace, finest: float) -> FloatArray:
    """Transfer function with half amplitude at `finest` Å and at the coarse end."""
    low = np.exp(space.s_squared * np.float32(-np.log(2) * finest**2))
    high = 1 - np.exp(space.s_squared * np.float32(-np.log(2) * (BAND_RATIO * finest) ** 2))
    return np.asarray(low * high, dtype=np.float32)


def span(positions: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """Low and high end of positions (n, 3) along each axis, without those that are far away."""
    low, high = np.percentile(positions, (_OUTERMOST, 100 - _OUTERMOST), axis=0)
    room = high - low + _ROOM
    near = ((positions >= low - room) & (positions <= high + room)).all(axis=1)
    return positions[near].min(axis=0), positions[near].max(axis=0)


def _middle(grid: Grid) -> DoubleArray:
    """Position of voxel n // 2."""
    return grid.position_of(np.array(grid.shape) // 2)


def highest_point(values: FloatArray) -> tuple[DoubleArray, float]:
    """Highest point of a periodic array: fractional index, negative past the middle; and height."""
    size = np.array(values.shape)
    place: IntArray = np.array(np.unravel_index(int(np.argmax(values)), values.shape))
    top = float(values[tuple(place)])
    exact, height = place.astype(np.float64), top
    for axis in range(3):
        step = np.eye(3, dtype=np.intp)[axis]
        before, after = (float(values[tuple((place + sign * step) % size)]) for sign in (-1, 1))
        part = _vertex(before, top, after)
        exact[axis] += part
        height -= 0.25 * (before - after) * part
    return np.where(exact > size / 2, exact - size, exact), height


def _vertex(before: float, here: float, after: float) -> float:
    """Place of the top of the parabola through three equidistant heights, in steps."""
    bend = before - 2 * here + after
    return 0.0 if bend >= 0 else float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5))
