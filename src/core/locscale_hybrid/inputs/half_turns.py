"""Which turn by right angles, with or without a mirror, brings one half map onto the other.

Programs that order the axes of an array otherwise, or turn a map for display, do such turns.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..fourier.space import FourierSpace, resize
from ..maps.grid import BoolArray, ComplexArray, DoubleArray, FloatArray, Grid
from .model_fit import coarse_shape

_FINEST = 10.0  # Å, of what is compared
_COARSEST = 25.0  # Å
_FITS = 0.5  # correlation in that band that no wrong turn has
_BETTER = 1.5  # times that of any shift alone
_AXES = "xyz"


@dataclass(frozen=True)
class HalfTurn:
    """A turn of half map 2 after which it fits half map 1.

    Parameters
    ----------
    name : str
        For a sentence, e.g. ``"turned by 90° about z"``.
    correlation : float
        Between 25 and 10 Å, at the best shift after the turn.
    unturned : float
        The same at the best shift without a turn.
    is_mirror : bool
        Whether it leaves all axes in place and changes the hand.
    """

    name: str
    correlation: float
    unturned: float
    is_mirror: bool


def find_turn(space: FourierSpace, first: ComplexArray, second: ComplexArray) -> HalfTurn | None:
    """Search the 47 turns and mirrors of a box; None where none fits far better than no turn.

    Parameters
    ----------
    space : FourierSpace
        Of both maps.
    first, second : array
        Coefficients of the half maps.
    """
    coarse = FourierSpace(space.grid.resampled(coarse_shape(space.grid, _FINEST / 2.5)))
    band = (coarse.frequency > 1 / _COARSEST) & (coarse.frequency < 1 / _FINEST)
    one, two = (
        _even(coarse, resize(half, space.shape, coarse.shape), band) for half in (first, second)
    )
    power = max(float((coarse.count * band).sum()), 1.0)
    values = coarse.backward(two)

    def correlation(image: FloatArray) -> float:
        """Return the highest correlation at any shift."""
        product = one * np.conj(coarse.forward(np.ascontiguousarray(image)))
        return float(coarse.backward(product).max()) * coarse.grid.size / power

    unturned = correlation(values)
    found = [(correlation(turned(values, matrix)), matrix) for matrix in _turns(coarse.grid)]
    best, matrix = max(found, key=lambda pair: pair[0])
    # of several that fit a symmetric particle, the first is the simplest
    matrix = next(other for value, other in found if value > 0.98 * best)
    if best < max(_FITS, _BETTER * unturned):
        return None
    in_place = (np.diag(matrix) != 0).all() and np.linalg.det(matrix) < 0
    return HalfTurn(turn_name(matrix), best, unturned, bool(in_place))


def turned(values: FloatArray, matrix: DoubleArray) -> FloatArray:
    """Turn a map by a signed permutation of (x, y, z), about the middle of its box."""
    of_array = matrix[::-1, ::-1]
    image = np.transpose(values, np.argmax(np.abs(of_array), axis=1))
    reversed_axes = tuple(axis for axis in range(3) if of_array[axis].sum() < 0)
    return np.asarray(np.flip(image, reversed_axes))


def turn_name(matrix: DoubleArray) -> str:
    """Name what a signed permutation of (x, y, z) does to a map."""
    moved = [_AXES[i] for i in range(3) if matrix[i, i] == 0]
    if (matrix >= 0).all() and len(moved) == 2:
        return f"with the axes {moved[0]} and {moved[1]} exchanged"
    if np.linalg.det(matrix) > 0:
        return f"turned by {_rotation_name(matrix)}"
    mirrors = [
        np.diag([-1.0 if i in axes else 1.0 for i in range(3)])
        for axes in ((0,), (1,), (2,), (0, 1, 2))
    ]
    rotations = [matrix @ mirror for mirror in mirrors]
    simplest = max(range(4), key=lambda i: float(np.trace(rotations[i])))
    along = ("x", "y", "z", "x, y and z")[simplest]
    if np.trace(rotations[simplest]) > 2.5:
        return f"reversed along {along}"
    return f"reversed along {along} and then turned by {_rotation_name(rotations[simplest])}"


def _rotation_name(matrix: DoubleArray) -> str:
    """Angle and axis of a rotation."""
    angle = round(float(np.degrees(np.arccos((np.trace(matrix) - 1) / 2))))
    axis = np.array(
        [matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]]
    )
    if angle == 180:  # (R + 1) / 2 is the product of the axis with itself
        symmetric = matrix + np.eye(3)
        axis = symmetric[int(np.argmax(np.diag(symmetric)))]
    axis = np.rint(axis / np.abs(axis).max())
    if axis[np.flatnonzero(axis)[0]] < 0:
        axis, angle = -axis, -angle if angle != 180 else 180
    along = [_AXES[i] for i in np.flatnonzero(axis)]
    name = (
        along[0]
        if len(along) == 1
        else "({})".format(", ".join(f"{value:.0f}" for value in axis + 0.0))
    )
    return f"{angle}° about {name}"


def _turns(grid: Grid) -> Iterator[DoubleArray]:
    """Signed permutations of (x, y, z), but for the identity, that the box allows."""
    box, edges = np.array(grid.shape[::-1]), np.array(grid.voxel_size)
    signs = sorted(itertools.product((1.0, -1.0), repeat=3), key=lambda s: s.count(-1.0))
    for order, sign in itertools.product(itertools.permutations(range(3)), signs):
        fits = (box[list(order)] == box).all() and np.allclose(edges[list(order)], edges, rtol=0.01)
        if fits and (order != (0, 1, 2) or -1.0 in sign):
            matrix = np.zeros((3, 3))
            matrix[range(3), order] = sign
            yield matrix


def _even(space: FourierSpace, coefficients: ComplexArray, band: BoolArray) -> ComplexArray:
    """Coefficients of the band with a mean power of 1 in every shell, the others 0."""
    power = space.power(coefficients) / np.maximum(space.count, 1)
    scale = np.divide(1.0, np.sqrt(power), out=np.zeros_like(power), where=(power > 0) & band)
    return np.asarray(coefficients * space.spread(scale), dtype=np.complex64)
