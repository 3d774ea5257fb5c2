"""Fourier shell correlation and signal power by direction, in cones.

Coefficients are first summed over small cells of direction and over shells; a cone is a sum of
cells, so the cost does not grow with the number of cones.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..maps.grid import ComplexArray, DoubleArray
from .space import FourierSpace, real_product, squared_modulus

CONE = 20.0  # degrees, half angle: narrower ones hold too few coefficients

# Along each edge of three faces of a cube.  Odd, so that the axes of the map are in the middle of
# a cell and of a cone, and a turned or mirrored map has the same cones.
_AXES = 7  # about 13° apart
_CELLS = 17  # about 5°
_SUMS = 4  # cross power, powers of both, number of coefficients


@dataclass(frozen=True)
class DirectionalSums:
    """Sums over cones and shells, of two sets of coefficients.

    Parameters
    ----------
    directions : array, shape (n, 3)
        Unit vectors (x, y, z) of a half-sphere, the axes of the cones.
    frequency : array, shape (n_shells,)
        1/Å.
    cross, power_1, power_2, count : arrays, shape (n, n_shells)
        Re(a conj(b)), |a|², |b|², and the number of complete coefficients.
    """

    directions: DoubleArray
    frequency: DoubleArray
    cross: DoubleArray
    power_1: DoubleArray
    power_2: DoubleArray
    count: DoubleArray

    @property
    def correlation(self) -> DoubleArray:
        """FSC in every cone, shape (n, n_shells); 0 in empty shells."""
        norm = np.sqrt(self.power_1 * self.power_2)
        return np.divide(self.cross, norm, out=np.zeros_like(norm), where=norm > 0)


def half_sphere() -> DoubleArray:
    """Return directions (n, 3) over a half-sphere, x, y and z among them."""
    return _centres(_AXES)


def directional_sums(
    space: FourierSpace, a: ComplexArray, b: ComplexArray, *, finest: float
) -> DirectionalSums:
    """Sum cross power and powers over cones.

    Parameters
    ----------
    space : FourierSpace
    a, b : arrays, shape (nz, ny, nx//2+1)
    finest : float
        1/Å; shells beyond it are left out.
    """
    n_shells = int(np.searchsorted(space.frequency, finest, side="right"))
    cells, centres = _cell_sums(space, a, b, n_shells)
    axes = half_sphere()
    inside = np.abs(axes @ centres.T) > np.cos(np.radians(CONE))
    sums = inside.astype(np.float64) @ cells.reshape(_SUMS, len(centres), n_shells)
    return DirectionalSums(axes, space.frequency[:n_shells], *sums)


def _cell_sums(
    space: FourierSpace, a: ComplexArray, b: ComplexArray, n_shells: int
) -> tuple[DoubleArray, DoubleArray]:
    """Sum over cells of direction and shells; return the directions of the cells, too."""
    n_cells = 3 * _CELLS * _CELLS
    total = np.zeros((_SUMS, n_cells * n_shells))
    sz, sy, sx = space.axes
    for plane, z in enumerate(sz[:, 0, 0]):
        shell = space.shell_index[plane]
        used = (shell > 0) & (shell < n_shells)
        if not used.any():
            continue
        x, y = (np.broadcast_to(s[0], shell.shape)[used] for s in (sx, sy))
        place = _cell(x, y, np.full_like(x, z)) * n_shells + shell[used]
        weight = np.broadcast_to(space.multiplicity, shell.shape)[used]
        first, second = a[plane][used], b[plane][used]
        for row, values in zip(
            total,
            (real_product(first, second), squared_modulus(first), squared_modulus(second), 1),
            strict=True,
        ):
            row += np.bincount(place, values * weight, row.size)
    return total, _centres(_CELLS)


def _cell(
    x: NDArray[np.float32], y: NDArray[np.float32], z: NDArray[np.float32]
) -> NDArray[np.intp]:
    """Cell of each direction: a face of a cube, and a place on it."""
    vector = np.stack([x, y, z])
    face = np.abs(vector).argmax(axis=0)
    along = np.take_along_axis(vector, face[None], axis=0)[0]
    place = face
    for step in (1, 2):
        across = np.take_along_axis(vector, ((face + step) % 3)[None], axis=0)[0] / along
        angle = np.arctan(across) * (2 / np.pi) + 0.5  # 0 to 1, cells of equal angle
        place = place * _CELLS + np.minimum((angle * _CELLS).astype(np.intp), _CELLS - 1)
    return np.asarray(place, dtype=np.intp)


def _centres(n: int) -> DoubleArray:
    """Directions of the middles of n x n cells on three faces, unit vectors (x, y, z)."""
    across = np.tan(((np.arange(n) + 0.5) / n - 0.5) * np.pi / 2)
    found = np.empty((3, n, n, 3))
    for face in range(3):
        found[face, ..., face] = 1
        found[face, ..., (face + 1) % 3] = across[:, None]
        found[face, ..., (face + 2) % 3] = across[None, :]
    found /= np.linalg.norm(found, axis=-1, keepdims=True)
    return np.asarray(found.reshape(-1, 3))
