"""The strongest places of a difference map, each with the residue next to it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..maps.grid import BoolArray, DoubleArray, FloatArray, IntArray, Map
from ..model.hybrid_model import HybridModel
from ..model.structure import AtomicModel

LEVEL = 4.0  # sd, from which a place counts, and at which the map is shown
SHOWN = 20  # peaks that are listed
_SHARE = 0.5  # of its height, down to which a region belongs to a peak
_APART = 3.0  # Å from the region of a stronger peak, within which there is no other
_LARGEST = 15.0  # Å from its peak, as far as a region is followed


@dataclass(frozen=True)
class Peak:
    """One place of a difference map.

    Parameters
    ----------
    height : float
        sd; positive where the model lacks density, negative where it has too much.
    position : (x, y, z)
        Å, in the frame of the map.
    volume : float
        Å^3, of the region around it above half its height and above `LEVEL`.
    residue : str
        Nearest residue of the model, "A HIS 87"; empty without a model.
    distance : float
        Å, to the nearest atom of that residue; 0 without a model.
    """

    height: float
    position: tuple[float, float, float]
    volume: float
    residue: str = ""
    distance: float = 0.0

    def as_dict(self) -> dict[str, object]:
        """Return the peak as plain JSON values."""
        return {
            "height_sd": round(self.height, 2),
            "position_angstrom": [round(value, 2) for value in self.position],
            "volume_cubic_angstrom": round(self.volume, 1),
            "nearest_residue": self.residue,
            "distance_angstrom": round(self.distance, 2),
        }


def strongest_peaks(
    difference: Map, hybrid: HybridModel | None = None, *, count: int = SHOWN
) -> list[Peak]:
    """Return the strongest peaks of a difference map, positive and negative ones together.

    A group of atoms makes one peak: the region around a peak above half its height belongs to
    it.

    Parameters
    ----------
    difference : Map
        In sd.
    hybrid : HybridModel, optional
        Names the nearest residue of the model or of one of its copies.
    count : int
        How many at most.
    """
    found: list[Peak] = []
    for sign in (1.0, -1.0):
        values = difference.values if sign > 0 else -difference.values
        for index, voxels in _regions(values, difference, count):
            x, y, z = difference.grid.position_of(_top(values, index))
            volume = voxels * difference.grid.voxel_volume
            place = float(x), float(y), float(z)
            found.append(Peak(sign * float(values[index]), place, volume))
    found = sorted(found, key=lambda peak: -abs(peak.height))[:count]
    if hybrid is None or hybrid.source is None or not found:
        return found
    return _named(found, hybrid, hybrid.source)


def _regions(
    values: FloatArray, grid_of: Map, count: int
) -> Iterator[tuple[tuple[int, int, int], int]]:
    """Return the voxel at the top of each region, strongest first, and how many voxels it has."""
    grid = grid_of.grid
    tops = np.argwhere((values >= LEVEL) & (values == ndimage.maximum_filter(values, 3)))
    heights = values[tuple(tops.T)]
    tops = tops[np.argsort(-heights, kind="stable")]
    taken = np.zeros(values.shape, dtype=np.bool_)
    reach = np.ceil(_LARGEST / np.array(grid.voxel_size[::-1])).astype(int)
    around = _ball(_APART, grid.voxel_size[::-1])
    for top in tops:
        z, y, x = (int(i) for i in top)
        if taken[z, y, x]:
            continue
        low = np.maximum(top - reach, 0)
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, top + reach + 1, strict=True))
        labels, _ = ndimage.label(values[box] >= max(LEVEL, _SHARE * float(values[z, y, x])))
        region = labels == labels[tuple(top - low)]
        taken[box] |= ndimage.binary_dilation(region, around)
        yield (z, y, x), int(np.count_nonzero(region))
        count -= 1
        if not count:
            return


def _ball(radius: float, edges: tuple[float, ...]) -> BoolArray:
    """Return the voxels within a radius."""
    steps = [int(radius / edge) for edge in edges]
    axes = np.ogrid[tuple(slice(-n, n + 1) for n in steps)]
    squared = sum((axis * edge) ** 2 for axis, edge in zip(axes, edges, strict=True))
    return np.asarray(squared <= radius**2)


def _top(values: FloatArray, index: tuple[int, int, int]) -> DoubleArray:
    """Return the place of a maximum between voxels: the top of the parabola along each axis."""
    place = np.array(index, dtype=np.float64)
    for axis, at in enumerate(index):
        if not 0 < at < values.shape[axis] - 1:
            continue
        before, here, after = (
            float(values[tuple(at + step if a == axis else i for a, i in enumerate(index))])
            for step in (-1, 0, 1)
        )
        curvature = 2 * here - before - after
        if curvature > 0:
            place[axis] += 0.5 * (after - before) / curvature
    return place


def _named(peaks: list[Peak], hybrid: HybridModel, source: AtomicModel) -> list[Peak]:
    """Return the peaks with the nearest residue of the model, copies included."""
    atoms = np.flatnonzero(~hybrid.is_pseudo)
    distances, nearest = cKDTree(hybrid.positions[atoms]).query([peak.position for peak in peaks])
    names = residue_names(source, hybrid.source_atom[atoms[nearest]])
    copied = hybrid.operator[atoms[nearest]] > 0
    return [
        Peak(
            peak.height,
            peak.position,
            peak.volume,
            f"{name} (copy)" if copy else name,
            float(distance),
        )
        for peak, name, copy, distance in zip(peaks, names, copied, distances, strict=True)
    ]


def residue_names(model: AtomicModel, atoms: IntArray) -> list[str]:
    """Return what to call the residues of some atoms of a model: "A HIS 87"."""
    wanted = model.atom_index[atoms]
    sites = list(model.structure[0].all())
    return [
        f"{sites[i].chain.name} {sites[i].residue.name} {sites[i].residue.seqid}" for i in wanted
    ]
