"""Scores of every residue: Q and correlation before and after sharpening, and refined B."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..fourier.resolution_range import Band
from ..maps.grid import BoolArray, DoubleArray, FloatArray, Grid, IntArray, Map
from ..model.structure import AtomicModel
from ..scattering.scatterers import Scatterers
from .difference import band_map
from .q_scores import q_scores

COLUMNS = (
    "chain",
    "residue",
    "number",
    "atoms",
    "q_before",
    "q",
    "q_error",
    "correlation_before",
    "correlation",
    "b_iso",
)
_ONE_B = 40.0  # Å^2, of the model that the map is correlated with
_RADIUS = 2.0  # Å from the atoms of a residue, within which its correlation is taken
_FEWEST_VOXELS = 4  # that a correlation is made of
_NEIGHBOURS = 2  # residues on either side whose errors are averaged
_DIGITS = 4
_COARSEST = 12.0  # Å


@dataclass(frozen=True, eq=False)
class Atoms:
    """The atoms that are scored.

    Parameters
    ----------
    positions : array, shape (n, 3)
        Å, in the frame of the maps; no hydrogens.
    elements : array of str, shape (n,)
    residue : array of int, shape (n,)
        Place of each atom's residue in `residues`.
    residues : sequence of (str, str, str)
        Chain, name and number.
    """

    positions: DoubleArray
    elements: NDArray[np.str_]
    residue: IntArray
    residues: Sequence[tuple[str, str, str]]

    def mean(self, values: DoubleArray) -> DoubleArray:
        """Mean over the atoms of each residue; NaN where an atom has none."""
        count = np.bincount(self.residue, minlength=len(self.residues))
        total = np.bincount(self.residue, values, len(self.residues))
        return np.asarray(total / np.maximum(count, 1))


@dataclass(frozen=True, eq=False)
class ResidueScores:
    """Scores of residues; every array has one value for each, NaN where there is none.

    Parameters
    ----------
    residues : sequence of (str, str, str)
        Chain, name and number.
    atoms : array of int
        Atoms behind the scores.
    q_before, q : arrays
        Q in the unsharpened map and in the linear map.
    q_error : array
        Of `q`, from the two sharpened half maps.
    correlation_before, correlation : arrays
        Of the density within 2 Å with that of the model at one B.
    b_iso : array
        Å^2, mean of the refined B.
    """

    residues: Sequence[tuple[str, str, str]]
    atoms: IntArray
    q_before: DoubleArray
    q: DoubleArray
    q_error: DoubleArray
    correlation_before: DoubleArray
    correlation: DoubleArray
    b_iso: DoubleArray

    def rows(self) -> Iterable[tuple[str, ...]]:
        """Yield one row of texts for each residue, in the order of `COLUMNS`."""
        values = [getattr(self, name) for name in COLUMNS[4:]]
        for i, names in enumerate(self.residues):
            yield (*names, str(int(self.atoms[i])), *(_text(column[i]) for column in values))

    def as_csv(self) -> str:
        """Return the table as comma-separated values, with a heading."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(self.rows())
        return stream.getvalue()

    def as_columns(self) -> dict[str, list[str] | list[int] | list[float | None]]:
        """Return the table as plain JSON values, one list for each of `COLUMNS`."""
        names = {name: [row[i] for row in self.residues] for i, name in enumerate(COLUMNS[:3])}
        numbers = {name: [_number(v) for v in getattr(self, name)] for name in COLUMNS[4:]}
        return {**names, "atoms": [int(n) for n in self.atoms], **numbers}

    @property
    def means(self) -> dict[str, float | None]:
        """Mean Q before and after sharpening and mean correlation, for a summary."""
        return {
            name: _number(_mean(getattr(self, name)))
            for name in ("q_before", "q", "correlation_before", "correlation")
        }


def atoms_of(model: AtomicModel) -> tuple[Atoms, IntArray]:
    """Return the atoms of a model that are scored, and their places among its scatterers.

    Of alternative conformations the first of each residue counts.
    """
    sites = list(model.structure[0].all())
    residues: dict[tuple[str, str, str], int] = {}
    first: dict[int, str] = {}
    kept, owner = [], []
    for place, index in enumerate(model.atom_index):
        site = sites[index]
        names = (site.chain.name, site.residue.name, str(site.residue.seqid))
        residue = residues.setdefault(names, len(residues))
        letter = site.atom.altloc
        if letter != "\0" and first.setdefault(residue, letter) != letter:
            continue
        kept.append(place)
        owner.append(residue)
    which = np.array(kept, dtype=np.intp)
    atoms = Atoms(
        model.positions[which],
        model.elements[which],
        np.array(owner, dtype=np.intp),
        tuple(residues),
    )
    return atoms, which


def score_residues(
    atoms: Atoms,
    linear: Map,
    *,
    d_min: float,
    before: Map | None = None,
    halves: tuple[Map, Map] | None = None,
    b_iso: DoubleArray | None = None,
    others: DoubleArray | None = None,
) -> ResidueScores:
    """Score every residue of a model.

    Parameters
    ----------
    atoms : Atoms
    linear : Map
        The sharpened map without a weight.
    d_min : float
        Å.
    before : Map, optional
        The unsharpened map, on the same grid.
    halves : two maps, optional
        The sharpened half maps.
    b_iso : array, shape (n,), optional
        Å^2, refined B of the atoms.
    others : array, shape (m, 3), optional
        Å, other atoms near them, such as symmetry copies.
    """
    positions = atoms.positions if others is None else np.concatenate([atoms.positions, others])
    maps = [volume for volume in (linear, before, *(halves or ())) if volume is not None]
    q = [atoms.mean(row) for row in q_scores(positions, maps, count=len(atoms.positions))]
    nothing = np.full(len(atoms.residues), np.nan)
    error = nothing if halves is None else _error(atoms, q[-2], q[-1])
    model = _model_map(atoms, linear.grid, d_min)
    places = _voxels_around(atoms, linear.grid)
    return ResidueScores(
        atoms.residues,
        np.bincount(atoms.residue, minlength=len(atoms.residues)),
        nothing if before is None else q[1],
        q[0],
        error,
        nothing if before is None else _correlations(places, before.values, model, atoms),
        _correlations(places, linear.values, model, atoms),
        nothing if b_iso is None else atoms.mean(b_iso),
    )


def _error(atoms: Atoms, first: DoubleArray, second: DoubleArray) -> DoubleArray:
    """Return standard error of a residue's Q, from the halves and its neighbours in the chain.

    The mean of the halves has half the difference of the two for an error; one difference alone
    may happen to be small.
    """
    squared = ((first - second) / 2) ** 2
    chains = np.array([names[0] for names in atoms.residues])
    total, count = np.zeros_like(squared), np.zeros_like(squared)
    for step in range(-_NEIGHBOURS, _NEIGHBOURS + 1):
        here = np.arange(max(0, -step), len(squared) - max(0, step))
        usable = (chains[here] == chains[here + step]) & np.isfinite(squared[here + step])
        total[here[usable]] += squared[here + step][usable]
        count[here[usable]] += 1
    with np.errstate(invalid="ignore"):
        return np.sqrt(np.where(count > 0, total / count, np.nan))


def _model_map(atoms: Atoms, grid: Grid, d_min: float) -> FloatArray:
    """Density of the atoms with one B, 12 Å to d_min."""
    band = Band(grid, d_min, _COARSEST)
    scatterers = Scatterers(band.grid, atoms.positions, atoms.elements)
    packed = scatterers.coefficients(np.full(len(atoms.positions), _ONE_B), band)
    return band_map(band, packed, grid).values


def _voxels_around(atoms: Atoms, grid: Grid) -> tuple[IntArray, IntArray]:
    """Residue and flat index of every voxel within the radius of an atom, each pair once."""
    edges = np.array(grid.voxel_size[::-1])
    reach = np.ceil(_RADIUS / edges).astype(int)
    axes = [np.arange(-n, n + 1) for n in reach]
    steps = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    index = grid.index_of(atoms.positions)
    middle = np.rint(index).astype(np.intp)
    pairs = []
    for step in steps:
        voxel = middle + step
        near = (((voxel - index) * edges) ** 2).sum(axis=1) <= _RADIUS**2
        near &= _inside(voxel, grid)
        z, y, x = voxel[near].T
        flat = np.ravel_multi_index((z, y, x), grid.shape)
        pairs.append(atoms.residue[near].astype(np.int64) * grid.size + flat)
    once = np.unique(np.concatenate(pairs))
    return once // grid.size, once % grid.size


def _inside(voxel: IntArray, grid: Grid) -> BoolArray:
    """Mark which voxels are in the box."""
    return np.asarray(((voxel >= 0) & (voxel < grid.shape)).all(axis=1))


def _correlations(
    places: tuple[IntArray, IntArray], values: FloatArray, model: FloatArray, atoms: Atoms
) -> DoubleArray:
    """Correlation of a map with the model around every residue."""
    owner, flat = places
    a, b = (v.reshape(-1)[flat].astype(np.float64) for v in (values, model))
    n = len(atoms.residues)
    count = np.bincount(owner, minlength=n)
    many = np.maximum(count, 1)
    a -= (np.bincount(owner, a, n) / many)[owner]
    b -= (np.bincount(owner, b, n) / many)[owner]
    power = np.bincount(owner, a * a, n) * np.bincount(owner, b * b, n)
    cross = np.bincount(owner, a * b, n)
    usable = (count >= _FEWEST_VOXELS) & (power > 0)
    return np.where(usable, cross / np.sqrt(np.where(usable, power, 1)), np.nan)


def _mean(values: DoubleArray) -> float:
    """Mean of what is known; NaN for nothing."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _number(value: float) -> float | None:
    """Return a number for JSON; None for NaN."""
    return round(float(value), _DIGITS) if np.isfinite(value) else None


def _text(value: float) -> str:
    """Return a number for a table; empty for NaN."""
    return f"{value:.{_DIGITS}f}" if np.isfinite(value) else ""
