"""Which symmetry a map has when it has not the one that was asked for.

Tried are the other settings of the group, its subgroups, axes along x and y, and another centre.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft

from ..fourier.space import FourierSpace, resize
from ..maps.grid import BoolArray, ComplexArray, DoubleArray, FloatArray, Grid, Map, Shape, Vector
from ..remedies import Remedy, use
from .operators import Symmetry, correlations_under, voxel_turns
from .point_groups import PointGroup, parse_point_group, rotation
from .rotation import Turn, spline_coefficients

LEAST_CORRELATION = 0.9  # under every operator, for a setting that fits
_VOXEL = 3.0  # Å, of the map that is searched: twice this is its resolution
_FEWEST_VOXELS = 32  # along the shortest edge
_MOST_VOXELS = 64  # along the longest edge
_HOPELESS = 0.5  # correlation of shifted images at best: no centre will do
_SAMPLES = 10_000  # voxels that a correlation is taken over
_WITHOUT_AXIS = ("O", "T222", "T", "TXZ", "I1", "I2", "I3", "I4")
_SMALLER = ("D5", "D4", "D3", "D2", "C5", "C4", "C3", "C2")


@dataclass(frozen=True)
class FittingSetting:
    """A symmetry that a map has.

    Parameters
    ----------
    name : str
        For a sentence, e.g. ``"C4 about x"``.
    order : int
        Number of operators.
    correlation : float
        Of the map with its images, the least of all operators.
    remedy : Remedy
        How to use it.
    symbol : str
        What to give as the point group then.
    centre_voxels : (x, y, z), optional
        Where the axes meet, where that is not the centre that was asked for.
    """

    name: str
    order: int
    correlation: float
    remedy: Remedy
    symbol: str
    centre_voxels: Vector | None = None

    @property
    def fact(self) -> str:
        """What fits, and how well."""
        return f"{self.name} fits (correlation {self.correlation:.2f})"


@dataclass(frozen=True)
class _Candidate:
    """A group in some setting, and how to come to a setting with a symbol."""

    group: PointGroup
    symbol: str
    name: str
    turn: str = ""  # what to do with the map first

    def remedy(self, where: str = "") -> Remedy:
        """Say how to use it, about the given centre or about another."""
        whens = [f"after you {self.turn}"] if self.turn else []
        whens += [where] if where else []
        return use("point_group", self.symbol, when=" ".join(whens))


def fitting_settings(
    density: Map,
    symmetry: Symmetry,
    mask: BoolArray | None = None,
    *,
    least: float = LEAST_CORRELATION,
) -> list[FittingSetting]:
    """Find settings of as many operators as possible that fit a map.

    Parameters
    ----------
    density : Map
        Searched at 6 Å, or what its voxels allow.
    symmetry : Symmetry
        What was asked for, about which centre.
    mask : boolean array, shape of the map, optional
        Where the map is compared.
    least : float
        Correlation that a setting needs under every operator.

    Returns
    -------
    list of FittingSetting
        All with as many operators as the largest that fits, the best-correlated first; empty
        where none fits.
    """
    if symmetry.is_trivial:
        return []
    search = _Search.of(density, mask, least)
    found: list[FittingSetting] = []
    for candidate in sorted(_candidates(symmetry.group), key=lambda c: -c.group.order):
        if found and candidate.group.order < found[0].order:
            break
        fit = search.fit(candidate, symmetry)
        if fit is not None:
            found.append(fit)
    return sorted(found, key=lambda fit: -fit.correlation)


@dataclass(frozen=True, eq=False)
class _Search:
    """A map on coarse voxels, prepared for turning and shifting."""

    values: FloatArray
    grid: Grid
    mask: BoolArray | None
    fine_grid: Grid
    least: float

    @classmethod
    def of(cls, density: Map, mask: BoolArray | None, least: float) -> "_Search":
        """Prepare a map and its mask."""
        grid = density.grid
        shape = _coarse_shape(grid)
        coarse = grid.resampled(shape)
        space = FourierSpace(grid)
        cropped = resize(space.forward(density.values), grid.shape, shape)
        values = FourierSpace(coarse).backward(cropped)
        if mask is not None:
            axes = [
                np.rint(np.arange(m) * (n / m)).astype(int) % n
                for n, m in zip(grid.shape, shape, strict=True)
            ]
            mask = mask[np.ix_(*axes)]
        return cls(
            values - values.mean(dtype=np.float64).astype(np.float32), coarse, mask, grid, least
        )

    @cached_property
    def coefficients(self) -> FloatArray:
        """Spline coefficients of the map."""
        return spline_coefficients(self.values)

    @cached_property
    def transform(self) -> ComplexArray:
        """Fourier coefficients of the map."""
        return np.asarray(scipy.fft.rfftn(self.values))

    @cached_property
    def power(self) -> float:
        """Sum of squares of the map."""
        return float(np.square(self.values, dtype=np.float64).sum())

    def fit(self, candidate: _Candidate, asked: Symmetry) -> FittingSetting | None:
        """Fit the candidate about the given centre, or about another; None if it does not fit."""
        order, symbol = candidate.group.order, candidate.symbol
        here = Symmetry(candidate.group, asked.centre)
        correlation = self.least_correlation(here)
        if correlation >= self.least:
            return FittingSetting(candidate.name, order, correlation, candidate.remedy(), symbol)
        moved = self.centred(here)
        correlation = 0.0 if moved is None else self.least_correlation(moved)
        if moved is None or correlation < self.least:
            return None
        x, y, z = np.round(self.fine_grid.index_of(np.array(moved.centre)), 2)[::-1].tolist()
        centre = (
            f"with the symmetry center {x:g} {y:g} {z:g} in voxels"
            if candidate.name == symbol
            else "about its center"
        )
        return FittingSetting(
            f"{candidate.name} through voxel ({x:g}, {y:g}, {z:g})",
            order,
            correlation,
            candidate.remedy(centre),
            symbol,
            (x, y, z),
        )

    def least_correlation(self, symmetry: Symmetry) -> float:
        """Return the least correlation of the operators, or the first that is too low."""
        turns = voxel_turns(symmetry, self.grid)[1:]
        found = correlations_under(
            self.values,
            turns,
            self.mask,
            stop_below=self.least,
            samples=_SAMPLES,
            coefficients=self.coefficients,
        )
        return float(found.min())

    def centred(self, symmetry: Symmetry) -> Symmetry | None:
        """Find the same group about the centre that brings images onto the map, if there is one.

        An image about a wrong centre is the map shifted by (R^-1 - 1)(wrong - right).
        """
        operators = _two_operators(symmetry.group)
        for _ in range(2):  # the peak of the second round is at the origin, where it is sharp
            turns = voxel_turns(symmetry, self.grid)
            shifts: list[DoubleArray] = []
            for i in operators:
                shift = self._shift(turns[i])
                if shift is None:
                    return None
                shifts.append(shift)
            rows = [np.linalg.inv(turns[i].matrix) - np.eye(3) for i in operators]
            error = np.linalg.lstsq(np.concatenate(rows), np.concatenate(shifts), rcond=1e-6)[0]
            position = self.grid.position_of(turns[0].centre - error)
            index = self.fine_grid.index_of(position)
            half = np.rint(2 * index) / 2
            index = np.where(np.abs(index - half) < 0.2, half, np.round(index, 1))
            if (index < 0).any() or (index > np.array(self.fine_grid.shape) - 1).any():
                return None
            x, y, z = self.fine_grid.position_of(index).tolist()
            symmetry = Symmetry(symmetry.group, (x, y, z))
        return symmetry

    def _shift(self, turn: Turn) -> DoubleArray | None:
        """Shift of the image against the map in voxels; None if they do not look alike."""
        image = turn.interpolated(self.values, slice(None), order=1)  # good enough to compare
        product = self.transform * np.conj(scipy.fft.rfftn(image))
        correlation = scipy.fft.irfftn(product, self.values.shape)
        return _peak(correlation) if correlation.max() > _HOPELESS * self.power else None


def _coarse_shape(grid: Grid) -> Shape:
    """Shape of about 3 Å voxels over the same box, within reason."""
    shrink = min(_VOXEL / grid.step, min(grid.shape) / _FEWEST_VOXELS)
    shrink = max(1.0, shrink, max(grid.shape) / _MOST_VOXELS)
    nz, ny, nx = (
        min(n, scipy.fft.next_fast_len(int(np.ceil(n / shrink)), real=True)) for n in grid.shape
    )
    return nz, ny, nx


def _two_operators(group: PointGroup) -> list[int]:
    """Choose an operator, and one about the axis most across the first's, if there is one."""
    across = np.abs(group.axes @ group.axes[0])
    other = int(np.argmin(across))
    return [1] if across[other] > 0.999 else [1, 1 + other]


def _peak(values: FloatArray) -> DoubleArray:
    """Index of the maximum, to a fraction of a voxel, wrapped to both sides of 0."""
    top = np.unravel_index(int(np.argmax(values)), values.shape)
    result = np.empty(3)
    for axis, (at, n) in enumerate(zip(top, values.shape, strict=True)):
        line = np.moveaxis(values, axis, 0)[(slice(None), *np.delete(top, axis))]
        low, mid, high = (float(line[(at + step) % n]) for step in (-1, 0, 1))
        bend = low - 2 * mid + high
        offset = 0.5 * (low - high) / bend if bend < 0 else 0.0
        result[axis] = (at + n // 2) % n - n // 2 + offset
    return result


def _candidates(asked: PointGroup) -> Iterator[_Candidate]:
    """List groups that may be meant by one asked for, that one first."""
    kind, number = asked.symbol[0], asked.symbol[1:]
    if kind in "CD" and number.isdigit():
        fold = int(number)
        smaller = [n for n in range(fold, 1, -1) if fold % n == 0]
        names = [f"C{n}" for n in smaller]
        if kind == "D":
            names = [f"D{n}" for n in smaller] + (names or ["C2"])
    else:
        names = [*_WITHOUT_AXIS, *_SMALLER]
    for name in dict.fromkeys([asked.symbol, *names]):
        yield from _in_settings(parse_point_group(name))


def _in_settings(group: PointGroup) -> Iterator[_Candidate]:
    """List a group as its symbol has it, and in its other settings."""
    symbol = group.symbol
    yield _Candidate(group, symbol, symbol)
    if symbol[0] in "CD":
        for axis, turn in (("x", rotation((0, 1, 0), 90)), ("y", rotation((1, 0, 0), -90))):
            name = f"{symbol} about {axis}"
            if symbol != "D2":  # the same about every axis
                yield _Candidate(
                    group.turned(turn, name),
                    symbol,
                    name,
                    "turn the map so that this axis is along z",
                )
    if symbol[0] == "D" and int(symbol[1:]) % 2:
        name = f"{symbol} with a 2-fold along y"
        yield _Candidate(
            group.turned(rotation((0, 0, 1), 90), name), symbol, name, "turn the map by 90° about z"
        )
    if symbol in ("T", "TXZ"):
        name = f"{symbol} turned by 180° about z"
        yield _Candidate(
            group.turned(rotation((0, 0, 1), 180), name),
            symbol,
            name,
            "turn the map by 180° about z",
        )
