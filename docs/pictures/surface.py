"""Draw a contour surface with a model inside, as a picture of red, green and blue.

The surface is found along lines of sight, one for each pixel.  It is transparent, so that the
sticks of the model show through it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import gemmi
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

STEP = 0.08  # Å, a pixel and a step along a line of sight
ZONE = 2.6  # Å from the atoms of the residues, the part of the surface that is shown
BOND = 1.95  # Å, atoms that are closer are joined by a stick
STICK = 0.16  # Å, radius of a stick
OPACITY = 0.45  # of the surface in front of a stick
LIGHT = np.array([-0.35, 0.45, 0.82])
SURFACE = np.array([0.60, 0.72, 0.88])
ELEMENTS = {"N": (0.16, 0.30, 0.85), "O": (0.85, 0.15, 0.12), "S": (0.80, 0.68, 0.10)}


@dataclass(frozen=True)
class View:
    """What a picture shows.

    Parameters
    ----------
    centre : array, shape (3,)
        Å, x y z.
    axes : array, shape (3, 3)
        Unit vectors: to the right, up, and toward the eye.
    size : tuple of float
        Å: width, height and depth of the box that is shown.
    """

    centre: np.ndarray
    axes: np.ndarray
    size: tuple[float, float, float]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return the number of steps: depth, rows, columns."""
        columns, rows, depth = (round(length / STEP) for length in self.size)
        return depth, rows, columns

    def sampled(self, values: np.ndarray, voxel: float) -> np.ndarray:
        """Sample a map at every step, [depth from the eye, row from below, column]."""
        depth, rows, columns = ((np.arange(n) - (n - 1) / 2) * STEP for n in self.shape)
        right, up, front = self.axes
        places = (
            self.centre
            - depth[:, None, None, None] * front
            + rows[:, None, None] * up
            + columns[:, None] * right
        )
        zyx = np.moveaxis(places[..., ::-1], -1, 0) / voxel
        return ndimage.map_coordinates(values.astype(np.float32), zyx, order=3, mode="grid-wrap")

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Return depth, row and column of points in Å, in steps."""
        along = (points - self.centre) @ self.axes.T
        middle = (np.array(self.shape) - 1) / 2
        return np.stack([-along[:, 2], along[:, 1], along[:, 0]], axis=1) / STEP + middle


def level_that_encloses(values: np.ndarray, volume: float, voxel: float) -> float:
    """Return the contour level at which a map encloses so many Å³."""
    return float(np.quantile(values, 1 - volume / (values.size * voxel**3)))


def view_along(points: np.ndarray, size: tuple[float, float, float]) -> View:
    """Return the view with the long axis of a group of points from left to right."""
    centre = points.mean(axis=0)
    _, _, axes = np.linalg.svd(points - centre)
    return View(centre, axes * np.sign(np.linalg.det(axes)), size)


def picture(
    values: np.ndarray,
    voxel: float,
    level: float,
    view: View,
    residues: Sequence[gemmi.Residue],
    carbon: tuple[float, float, float],
) -> np.ndarray:
    """Draw the surface of a map with the sticks of some residues in it, [row, column, colour]."""
    density = view.sampled(values, voxel)
    above = _largest((density > level) & _near(view, residues))
    hit = above.any(axis=0)
    front = np.where(hit, above.argmax(axis=0), density.shape[0])
    shown = np.ones((*hit.shape, 3))
    sticks, depth = _sticks(view, residues, carbon)
    visible = np.isfinite(depth)
    shown[visible] = sticks[visible]
    covered = hit & ~(visible & (depth < front))
    surface = _shaded(density, front, covered)
    share = np.where(visible[covered], OPACITY, 0.92)[:, None]
    shown[covered] = share * surface + (1 - share) * shown[covered]
    return np.clip(shown, 0, 1)


def _largest(above: np.ndarray) -> np.ndarray:
    """Keep the pieces that are not specks."""
    pieces, _ = ndimage.label(above)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray((sizes > 0.05 * sizes.max())[pieces])


def _near(view: View, residues: Sequence[gemmi.Residue]) -> np.ndarray:
    """Find the steps near the atoms of the residues."""
    free = np.ones(view.shape, bool)
    points = np.array([atom.pos.tolist() for residue in residues for atom in residue])
    index = np.rint(view.pixels(points)).astype(int)
    inside = ((index >= 0) & (index < np.array(view.shape))).all(axis=1)
    free[tuple(index[inside].T)] = False
    return np.asarray(ndimage.distance_transform_edt(free) * STEP < ZONE)


def _shaded(density: np.ndarray, front: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Shade the surface where it is in front."""
    rows, columns = np.nonzero(covered)
    index = np.array([front[rows, columns], rows, columns])
    slope = np.array([np.gradient(density, axis=axis)[tuple(index)] for axis in range(3)])
    normal = np.stack([-slope[2], -slope[1], slope[0]], axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    light = LIGHT / np.linalg.norm(LIGHT)
    facing = np.clip(normal @ light, 0, 1)
    shine = np.clip(normal @ ((light + [0, 0, 1]) / np.linalg.norm(light + [0, 0, 1])), 0, 1) ** 40
    far = 1 - 0.45 * index[0] / density.shape[0]
    return (far * (0.38 + 0.62 * facing))[:, None] * SURFACE + 0.25 * shine[:, None]


def _sticks(
    view: View, residues: Sequence[gemmi.Residue], carbon: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the sticks: colours, and their depth in steps; infinite where there is none."""
    atoms = [atom for residue in residues for atom in residue if not atom.is_hydrogen()]
    points = np.array([atom.pos.tolist() for atom in atoms])
    colours = np.array([ELEMENTS.get(atom.element.name, carbon) for atom in atoms])
    first, second = cKDTree(points).query_pairs(BOND, output_type="ndarray").T
    along = np.linspace(0, 1, 40)[:, None, None]
    middle = (points[first] + points[second]) / 2
    halves = [
        (points[end] + along * (middle - points[end]), colours[end]) for end in (first, second)
    ]
    shown, depth = np.ones((*view.shape[1:], 3)), np.full(view.shape[1:], np.inf)
    radius = round(STICK / STEP * 1.0) + 1
    offsets = [
        (i, j, np.sqrt(1 - (i * i + j * j) / (radius * radius)))
        for i in range(-radius, radius + 1)
        for j in range(-radius, radius + 1)
        if i * i + j * j < radius * radius
    ]
    for places, paint in halves:
        pixels = view.pixels(places.reshape(-1, 3))
        tint = np.broadcast_to(paint, (len(along), *paint.shape)).reshape(-1, 3)
        for i, j, height in offsets:
            _paint(shown, depth, pixels, (i, j, height, radius), tint)
    return shown, depth


def _paint(
    shown: np.ndarray,
    depth: np.ndarray,
    pixels: np.ndarray,
    spot: tuple[int, int, float, int],
    tint: np.ndarray,
) -> None:
    """Draw one pixel of every ball of which the sticks are made, where it is in front."""
    i, j, height, radius = spot
    rows, columns = np.rint(pixels[:, 1]).astype(int) + i, np.rint(pixels[:, 2]).astype(int) + j
    away = pixels[:, 0] - height * radius
    inside = (
        (rows >= 0)
        & (rows < shown.shape[0])
        & (columns >= 0)
        & (columns < shown.shape[1])
        & (pixels[:, 0] > 0)
        & (pixels[:, 0] < 1e4)
    )
    order = np.argsort(-away[inside])  # the nearest is drawn last
    rows, columns, away = rows[inside][order], columns[inside][order], away[inside][order]
    nearer = away < depth[rows, columns]
    rows, columns, away = rows[nearer], columns[nearer], away[nearer]
    depth[rows, columns] = away
    light = LIGHT / np.linalg.norm(LIGHT)
    shade = 0.45 + 0.55 * max(0.0, float(np.array([j, i, height * radius]) @ light) / radius)
    shown[rows, columns] = shade * tint[inside][order][nearer]
