"""Where the grid of an open map stands in the scene, and whether two stand alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from chimerax.core.errors import UserError
from chimerax.geometry import Place

if TYPE_CHECKING:
    from ..session_types import DoubleArray, Model, Volume

TOLERANCE = 1e-3  # voxels, as the core's Grid.same_as


@dataclass(frozen=True)
class MapFrame:
    """The grid of a Volume without rotation, and its place in the scene.

    Parameters
    ----------
    name : str
        What to call the map in a message: "#1 half1.mrc".
    spec : str
        How to name the map in a command: "#1".
    size, step, origin : (x, y, z)
        Number of voxels; Å; Å.
    place : Place
        Takes coordinates of this frame to the scene.
    """

    name: str
    spec: str
    size: tuple[int, int, int]
    step: tuple[float, float, float]
    origin: tuple[float, float, float]
    place: Place

    def from_scene(self, coordinates: DoubleArray) -> DoubleArray:
        """Scene coordinates (n, 3), Å, in this frame, at full precision."""
        return self.place.inverse() * coordinates

    def offset(self, other: MapFrame) -> float:
        """Farthest that a corner of `other`'s box lies from the same corner of this one, Å."""
        return float(np.abs(self._corners() - other._corners()).max())

    def same_as(self, other: MapFrame) -> bool:
        """Test whether both maps have the same voxels at the same places of the scene."""
        return self.size == other.size and self.offset(other) < TOLERANCE * min(self.step)

    def describe(self) -> str:
        """Describe the grid in words, for a message."""
        size = " x ".join(map(str, self.size))
        step = ", ".join(f"{edge:.5g}" for edge in self.step)
        origin = ", ".join(f"{x:.5g}" for x in self.origin)
        return f"{self.name} has {size} voxels of {step} Å with origin {origin} Å"

    def _corners(self) -> DoubleArray:
        """Scene coordinates of the eight corner voxels."""
        last = np.array(self.size) - 1
        corners = np.array(np.meshgrid(*([0, n] for n in last))).reshape(3, 8).T
        return self.place * (corners * self.step + self.origin)


def map_label(volume: Model) -> str:
    """Name a map in a message: "#1 half1.mrc"."""
    return f"#{volume.id_string} {volume.name}"


def frame_of(volume: Volume) -> MapFrame:
    """Return the frame of an open map, its rotation and position in the scene taken up in `place`.

    Parameters
    ----------
    volume : chimerax.map.Volume
        Any open map; what part and step of it is shown does not matter.

    Returns
    -------
    MapFrame

    Raises
    ------
    UserError
        If the axes of the map are not perpendicular.
    """
    data = volume.data
    matrix = data.ijk_to_xyz_transform.matrix
    axes = matrix[:, :3] / np.asarray(data.step)
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-5):
        angles = ", ".join(f"{angle:.4g}" for angle in data.cell_angles)
        raise UserError(
            f"{map_label(volume)} has cell angles {angles}: put it on a grid with "
            f"perpendicular axes first (volume resample)"
        )
    # A rotated grid stands at its own origin: turn about it, so that coordinates in the frame
    # are origin + step * index, as in the file that is written.
    turned = Place(axes=axes.T, origin=matrix[:, 3] - axes @ np.asarray(data.origin))
    if np.array_equal(axes, np.eye(3)):
        turned = Place()
    return MapFrame(
        map_label(volume),
        f"#{volume.id_string}",
        tuple(data.size),
        tuple(data.step),
        tuple(data.origin),
        volume.scene_position * turned,
    )


def require_same_grid(first: MapFrame, other: MapFrame, *, role: str) -> None:
    """Refuse a map that is not on the grid of the first map, where it stands in the scene.

    Parameters
    ----------
    first, other : MapFrame
    role : str
        What `other` is: "second half map", "mask".

    Raises
    ------
    UserError
        With both grids and the command that puts `other` on the grid of `first`.
    """
    if first.same_as(other):
        return
    apart = ""
    if first.size == other.size:
        apart = f", and their corners lie up to {first.offset(other):.3g} Å apart in the scene"
    raise UserError(
        f"the {role} is not on the grid of the first map: {first.describe()}; "
        f"{other.describe()}{apart}. Put it on that grid with the command "
        f"volume resample {other.spec} onGrid {first.spec}, and give the new map instead"
    )
