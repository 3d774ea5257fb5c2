"""Map and Grid: density on a regular grid, and where that grid stands.

Arrays are ``[z, y, x]`` float32; every 3-vector in Å is ``(x, y, z)``.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.intp]

Shape = tuple[int, int, int]
Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Grid:
    """A regular orthogonal grid in the frame of the map.

    Parameters
    ----------
    shape : (nz, ny, nx)
        Number of voxels; may be non-cubic and odd.
    voxel_size : (x, y, z)
        Å; the three may differ a little.
    origin : (x, y, z)
        Å, position of the centre of voxel [0, 0, 0].
    """

    shape: Shape
    voxel_size: Vector
    origin: Vector = (0.0, 0.0, 0.0)

    @property
    def step(self) -> float:
        """Geometric mean of the voxel edges, Å."""
        return float(np.prod(self.voxel_size) ** (1 / 3))

    @property
    def voxel_volume(self) -> float:
        """Volume of a voxel, Å^3."""
        return float(np.prod(self.voxel_size))

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape))

    @property
    def cell(self) -> Vector:
        """Edges of the box, Å, as (x, y, z)."""
        nz, ny, nx = self.shape
        a, b, c = self.voxel_size
        return nx * a, ny * b, nz * c

    def same_as(self, other: "Grid", *, tolerance: float = 1e-3) -> bool:
        """Test whether both grids have the same voxels to `tolerance` of a voxel."""
        if self.shape != other.shape:
            return False
        edge = np.array(self.voxel_size)
        longest = max(self.shape)
        size_shift = np.abs(edge - other.voxel_size) * longest
        origin_shift = np.abs(np.subtract(self.origin, other.origin))
        return bool((np.maximum(size_shift, origin_shift) < tolerance * edge).all())

    def position_of(self, index: NDArray[np.generic]) -> DoubleArray:
        """Positions (..., 3) in Å, (x, y, z), of indices (..., 3) given as (z, y, x)."""
        indices = np.asarray(index, dtype=np.float64)[..., ::-1]
        return indices * self.voxel_size + self.origin

    def index_of(self, position: NDArray[np.generic]) -> DoubleArray:
        """Fractional indices (..., 3), (z, y, x), of positions (..., 3) in Å, (x, y, z)."""
        shift = np.asarray(position, dtype=np.float64) - self.origin
        return np.asarray((shift / self.voxel_size)[..., ::-1], dtype=np.float64)

    def nearest_voxels(self, position: NDArray[np.generic]) -> tuple[IntArray, IntArray, IntArray]:
        """Return indices (z, y, x) of the voxels of the positions, wrapped into the box."""
        index = np.rint(self.index_of(position)).astype(np.intp) % np.array(self.shape)
        return index[..., 0], index[..., 1], index[..., 2]

    def resampled(self, shape: Shape) -> "Grid":
        """Make the grid of another shape over the same box, voxel [0, 0, 0] in place."""
        nz, ny, nx = shape
        a, b, c = self.cell
        return replace(self, shape=shape, voxel_size=(a / nx, b / ny, c / nz))


@dataclass(frozen=True)
class Map:
    """Density values on a grid.

    Parameters
    ----------
    values : array, shape grid.shape
        float32, [z, y, x].
    grid : Grid
    name : str
        What to call the map in a message: a file name, or "#1 half1.mrc".
    path : Path, optional
        The file it was read from.
    """

    values: FloatArray
    grid: Grid
    name: str = "map"
    path: Path | None = None

    def __post_init__(self) -> None:
        """Hold the array to the grid."""
        if self.values.shape != self.grid.shape:
            raise ValueError(f"values {self.values.shape} do not fit grid {self.grid.shape}")

    def with_values(self, values: FloatArray, name: str | None = None) -> "Map":
        """Other values on the same grid."""
        return Map(values, self.grid, name or self.name)
