"""Where a map lies, as the header of its file says it."""

from dataclasses import dataclass, replace

from .grid import Grid, Shape, Vector


@dataclass(frozen=True)
class MapFrame:
    """What of a header is needed to write another map that overlays this one.

    Parameters
    ----------
    cell : (x, y, z)
        Å, edges of the unit cell.
    sampling : (x, y, z)
        Voxels along each edge of the unit cell; the box itself for most maps.
    origin : (x, y, z)
        Å, ORIGIN of the header; all zero where NSTART holds the origin.
    nstart : (x, y, z)
        Voxels, NSTART of the header brought to XYZ order.
    """

    cell: Vector
    sampling: tuple[int, int, int]
    origin: Vector
    nstart: tuple[int, int, int]

    @property
    def voxel_size(self) -> Vector:
        """Voxel edges in Å, (x, y, z)."""
        x, y, z = (edge / count for edge, count in zip(self.cell, self.sampling, strict=True))
        return x, y, z

    def grid(self, shape: Shape) -> Grid:
        """Make the grid of a box (nz, ny, nx) in this frame.

        ORIGIN where any component is non-zero, else NSTART times the voxel, as ChimeraX reads
        an MRC file.
        """
        if any(self.origin):
            return Grid(shape, self.voxel_size, self.origin)
        x, y, z = (n * edge for n, edge in zip(self.nstart, self.voxel_size, strict=True))
        return Grid(shape, self.voxel_size, (x, y, z))

    def holding(self, box: tuple[int, int, int]) -> "MapFrame":
        """Make the frame with a cell no shorter than a box (x, y, z), in voxels.

        That of a single section, as stacks of images have, would be copied into every output.
        """
        x, y, z = (max(count, side) for count, side in zip(self.sampling, box, strict=True))
        a, b, c = (
            edge if count == before else voxel * count
            for edge, voxel, count, before in zip(
                self.cell, self.voxel_size, (x, y, z), self.sampling, strict=True
            )
        )
        return replace(self, cell=(a, b, c), sampling=(x, y, z))

    @classmethod
    def of(cls, grid: Grid) -> "MapFrame":
        """Make the frame of a grid without a file: its box as cell, its origin as ORIGIN."""
        nz, ny, nx = grid.shape
        return cls(grid.cell, (nx, ny, nz), grid.origin, (0, 0, 0))
