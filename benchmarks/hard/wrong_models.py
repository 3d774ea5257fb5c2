"""Errors of the given model: a bent domain, a helix out of register, a part climbed into noise."""

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from .cases import HardCase
from .particle import Particle

Array = np.ndarray
SMOOTH = 7.0  # Å, sd over which the displacements of a bent domain agree
REGISTER = 100.0  # degrees, one residue of a helix
RISE, OUTWARDS = 3.0, 4.0  # Å along the helix, and away from the middle
CLIMBS, STEP, SHARPENED = 12, 0.1, 150.0  # steps of so many Å in a map sharpened by so many Å²


def wrong_positions(
    case: HardCase, particle: Particle, average: Array, rng: np.random.Generator
) -> Array:
    """Positions of the given model; marks the atoms in the groups of the particle.

    Parameters
    ----------
    average : array
        Mean of the half maps, whose noise the overfitted part climbs.
    """
    moved, mistakes = particle.positions.copy(), case.mistakes
    if mistakes is None:
        return moved
    parts = (
        ("bent", mistakes.bent, _bend),
        ("helix", mistakes.helix, _shift_register),
        ("overfit", mistakes.overfitted, _climb),
    )
    for name, residues, change in parts:
        chosen = particle.in_range(residues)
        particle.group[chosen & ~particle.missing] = name
        moved[chosen] = change(case, moved[chosen], average, rng)
    return moved


def _bend(case: HardCase, x: Array, average: Array, rng: np.random.Generator) -> Array:
    """Displace by a smooth random field without a common shift."""
    sd = SMOOTH / case.voxel_size
    index = tuple((np.rint(x[:, ::-1] / case.voxel_size).astype(int) % case.box).T)
    field = [
        ndimage.gaussian_filter(rng.normal(size=case.shape), sd, mode="wrap")[index]
        for _ in range(3)
    ]
    shift = np.stack(field, axis=-1)
    shift -= shift.mean(axis=0)
    return x + shift * case.mistakes.bent_rms / np.sqrt((shift**2).sum(axis=1).mean())


def _shift_register(case: HardCase, x: Array, average: Array, rng: np.random.Generator) -> Array:
    """Turn a helix by a residue, along its axis and away from the middle of the box."""
    centre = x.mean(axis=0)
    axis = np.linalg.svd(x - centre, full_matrices=False)[2][0]
    outwards = centre - case.box // 2 * case.voxel_size
    outwards -= (outwards @ axis) * axis
    outwards /= np.linalg.norm(outwards)
    turn = Rotation.from_rotvec(REGISTER * axis, degrees=True)
    return turn.apply(x - centre) + centre + RISE * axis + OUTWARDS * outwards


def _climb(case: HardCase, x: Array, average: Array, rng: np.random.Generator) -> Array:
    """Move uphill in the sharpened, noisy average, each atom alone."""
    limit = case.s_squared < 1 / (0.9 * case.resolution) ** 2
    sharp = case.filtered(average, case.falloff(-SHARPENED) * limit)
    slopes = np.gradient(sharp)[::-1]
    for _ in range(CLIMBS):
        at = x[:, ::-1].T / case.voxel_size
        slope = np.stack(
            [ndimage.map_coordinates(part, at, order=1, mode="grid-wrap") for part in slopes], -1
        )
        x = x + STEP * slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-12)
    return x
