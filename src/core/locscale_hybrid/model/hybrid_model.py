"""The hybrid model: atoms of the user's model, their missing symmetry copies, pseudo-atoms.

Atoms stand in this order: the scatterers of the model as its file lists them, the copies by
operator and chain, the pseudo-atoms by operator.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..findings import Finding, Number
from ..maps.grid import BoolArray, DoubleArray, Grid, IntArray
from ..scattering.fringe import in_box
from ..scattering.scatterers import PSEUDO
from ..symmetry.operators import Symmetry
from .assembly import ChainCopy, mates_in_assembly, missing_copies, neighbours
from .mmcif import HybridAtoms, write_hybrid_file
from .structure import AtomicModel

_REACH = 1.0  # Å, within which the atom nearest to an image is looked for
_START_OCCUPANCY = 1.0


@dataclass(frozen=True, eq=False)
class HybridModel:
    """Atoms of a model, copies of them, and pseudo-atoms.

    Parameters
    ----------
    positions : array, shape (n, 3)
        Å, (x, y, z), in the frame of the map.
    species : array of str, shape (n,)
        Element symbols, or `scatterers.PSEUDO`.
    b_iso : array, shape (n,)
        Å^2.
    occupancies : array, shape (n,)
        A pseudo-atom on an axis has the share of one image in all that coincide.
    operator : array of int, shape (n,)
        Operator of the point group of which the atom is an image; 0 for the model's own.
    source_atom : array of int, shape (n,)
        The atom it is an image of: index in `source`, or among the pseudo-atoms of one unit.
    is_pseudo : array of bool, shape (n,)
    symmetry : Symmetry, optional
        None: no point group, no copies.
    mates : array of int, shape (k, n), optional
        Index of the atom that stands where each operator brings each atom, its own where none
        does; None without symmetry.
    source : AtomicModel, optional
        The user's model; None: pseudo-atoms alone.
    copies : tuple of ChainCopy
        What was added to the model, in the order of the atoms.
    """

    positions: DoubleArray
    species: NDArray[np.str_]
    b_iso: DoubleArray
    occupancies: DoubleArray
    operator: IntArray
    source_atom: IntArray
    is_pseudo: BoolArray
    symmetry: Symmetry | None = None
    mates: IntArray | None = None
    source: AtomicModel | None = None
    copies: tuple[ChainCopy, ...] = ()

    def __len__(self) -> int:
        """Return the number of atoms."""
        return len(self.positions)

    @property
    def n_model(self) -> int:
        """Atoms of the user's model; they come first."""
        return 0 if self.source is None else len(self.source)

    @property
    def n_atoms(self) -> int:
        """Atoms of the model and their copies: all that are no pseudo-atoms."""
        return len(self) - self.n_pseudo

    @cached_property
    def n_pseudo(self) -> int:
        """Number of pseudo-atoms; they come last."""
        return int(self.is_pseudo.sum())

    @property
    def order(self) -> int:
        """Number of operators; 1 without symmetry."""
        return 1 if self.symmetry is None else self.symmetry.order

    @property
    def unit(self) -> slice:
        """The pseudo-atoms of the first unit, of which the others are images."""
        return slice(self.n_atoms, self.n_atoms + self.n_pseudo // self.order)

    def with_pseudo_atoms(
        self, positions: ArrayLike, b_iso: ArrayLike, occupancies: ArrayLike = _START_OCCUPANCY
    ) -> "HybridModel":
        """Replace the pseudo-atoms by those of one unit and their images.

        Parameters
        ----------
        positions : array, shape (m, 3)
            Of one asymmetric unit where there is symmetry.
        b_iso, occupancies : array, shape (m,), or number
            The occupancy of an atom on an axis is divided by the number of operators that leave
            it there.
        """
        unit = np.asarray(positions, dtype=np.float64).reshape(-1, 3)
        m, order, kept = len(unit), self.order, self.n_atoms
        copies, shares, mates = unit, np.ones(m), self.mates
        if self.symmetry is not None:
            copies = self.symmetry.copies(unit).reshape(-1, 3)
            shares = 1 / self.symmetry.multiplicity(unit)
        if self.symmetry is not None and mates is not None:
            mates = _with_unit_mates(mates[:, :kept], self.symmetry, m)
        b_values = np.tile(np.broadcast_to(np.asarray(b_iso, dtype=np.float64), m), order)
        return replace(
            self,
            positions=np.concatenate([self.positions[:kept], copies]),
            species=np.concatenate([self.species[:kept], np.full(order * m, PSEUDO)]),
            b_iso=np.concatenate([self.b_iso[:kept], b_values]),
            occupancies=np.concatenate(
                [self.occupancies[:kept], np.tile(np.asarray(occupancies) * shares, order)]
            ),
            operator=np.concatenate([self.operator[:kept], np.repeat(np.arange(order), m)]),
            source_atom=np.concatenate([self.source_atom[:kept], np.tile(np.arange(m), order)]),
            is_pseudo=np.arange(kept + order * m) >= kept,
            mates=mates,
        )

    def with_values(
        self, *, b_iso: DoubleArray | None = None, occupancies: DoubleArray | None = None
    ) -> "HybridModel":
        """Other B or occupancies for the same atoms, shape (n,)."""
        return replace(
            self,
            b_iso=self.b_iso if b_iso is None else b_iso,
            occupancies=self.occupancies if occupancies is None else occupancies,
        )

    def averaged(self, values: DoubleArray) -> DoubleArray:
        """Values (n,) or (n, m) averaged over symmetry copies; see `average_over_copies`."""
        return average_over_copies(values, self.mates)

    def findings(self) -> list[Finding]:
        """Report what was done to the model, for the user."""
        if self.symmetry is None or self.source is None:
            return []
        return [_assembly_finding(self, self.symmetry, self.source)]


def complete_assembly(
    model: AtomicModel | None,
    symmetry: Symmetry | None = None,
    *,
    add_copies: bool = True,
    grid: Grid | None = None,
) -> HybridModel:
    """Add the copies of the model's chains that its point group asks for.

    One unit, two of four chains and the whole assembly give the same atoms: the image of a chain
    is added where no chain stands already.

    Parameters
    ----------
    model : AtomicModel, optional
        None: nothing to complete, a hybrid model without atoms.
    symmetry : Symmetry, optional
        None or C1: the model as it is.
    add_copies : bool
        False: the model as it is; mates are looked up nevertheless.
    grid : Grid, optional
        Atoms of copies that are outside its box are left out.
    """
    group = None if symmetry is None or symmetry.is_trivial else symmetry
    if model is None:
        return _without_model(group)
    own = np.arange(len(model))
    copies: list[ChainCopy] = []
    mates = None
    operator, source_atom = np.zeros_like(own), own
    if group is not None:
        near = neighbours(group, model.positions, _REACH)
        copies = missing_copies(model, group, near) if add_copies else []
        if grid is not None:
            copies = _inside(grid, group, copies, model.positions)
        operator = np.concatenate([operator, *(np.full(len(c.atoms), c.operator) for c in copies)])
        source_atom = np.concatenate([own, *(c.atoms for c in copies)])
        mates = mates_in_assembly(group, near, operator, source_atom)
    images = [_image(group, c, model.positions) for c in copies if group is not None]
    return HybridModel(
        positions=np.concatenate([model.positions, *images]),
        species=model.elements[source_atom],
        b_iso=model.b_iso[source_atom],
        occupancies=model.occupancies[source_atom],
        operator=operator,
        source_atom=source_atom,
        is_pseudo=np.zeros(len(operator), dtype=np.bool_),
        symmetry=group,
        mates=mates,
        source=model,
        copies=tuple(copies),
    )


def average_over_copies(values: DoubleArray, mates: IntArray | None) -> DoubleArray:
    """Mean of each atom's value over its symmetry mates.

    Parameters
    ----------
    values : array, shape (n,) or (n, m)
    mates : array of int, shape (k, n), optional
        None: the values as they are.
    """
    if mates is None:
        return values
    total = np.zeros_like(values, dtype=np.float64)
    for row in mates:
        total += values[row]
    return np.asarray(total / len(mates))


def write_hybrid(
    path: str | Path,
    hybrid: HybridModel,
    *,
    grid: Grid | None = None,
    provenance: Mapping[str, Number] | None = None,
) -> None:
    """Write a hybrid model as mmCIF.

    The user's model is written as it was read, with the B and occupancies of `hybrid`; copies
    follow as chains named after their source and operator (A2 is A under the second operator);
    pseudo-atoms stand in an entity of their own.  `structure.read_model` reads the file back
    without them.

    Parameters
    ----------
    path : path
        Compressed where it ends in .gz; replaced as a whole once it is complete.
    hybrid : HybridModel
    grid : Grid, optional
        Its box is written as the unit cell, in P 1.
    provenance : mapping of str to number or str, optional
        Further items for the file's ``_locscale_pseudo_atoms`` category, e.g. ``version`` of the
        program and ``resolution``.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    atoms = HybridAtoms(
        structure=None if hybrid.source is None else hybrid.source.structure,
        atom_index=np.empty(0, dtype=np.intp)
        if hybrid.source is None
        else hybrid.source.atom_index,
        copies=hybrid.copies,
        positions=hybrid.positions,
        b_iso=hybrid.b_iso,
        occupancies=hybrid.occupancies,
        n_atoms=hybrid.n_atoms,
        n_units=hybrid.order,
    )
    write_hybrid_file(
        Path(path),
        atoms,
        symmetry=hybrid.symmetry,
        cell=None if grid is None else grid.cell,
        provenance=provenance or {},
    )


def _without_model(symmetry: Symmetry | None) -> HybridModel:
    """Make a hybrid model without an atom."""
    none, index = np.empty(0), np.empty(0, dtype=np.intp)
    mates = None if symmetry is None else np.empty((symmetry.order, 0), dtype=np.intp)
    return HybridModel(
        np.empty((0, 3)),
        np.empty(0, dtype="<U6"),
        none,
        none,
        index,
        index,
        np.empty(0, dtype=np.bool_),
        symmetry,
        mates,
    )


def _image(symmetry: Symmetry, copy: ChainCopy, positions: DoubleArray) -> DoubleArray:
    """Positions of the atoms of a copy."""
    arm = positions[copy.atoms] - symmetry.centre
    return np.asarray(arm @ symmetry.group.matrices[copy.operator].T + symmetry.centre)


def _inside(
    grid: Grid, symmetry: Symmetry, copies: list[ChainCopy], positions: DoubleArray
) -> list[ChainCopy]:
    """Cut copies to a box; those with no atom inside are left out."""
    cut = [
        replace(copy, atoms=copy.atoms[in_box(grid, _image(symmetry, copy, positions))])
        for copy in copies
    ]
    return [copy for copy in cut if len(copy.atoms)]


def _with_unit_mates(mates: IntArray, symmetry: Symmetry, m: int) -> IntArray:
    """Mates of the atoms, then those of m pseudo-atoms of a unit and their images."""
    products = symmetry.group.products
    first = mates.shape[1]
    added = first + products[:, :, None] * m + np.arange(m)
    return np.concatenate([mates, added.reshape(len(products), -1)], axis=1)


def _assembly_finding(hybrid: HybridModel, symmetry: Symmetry, source: AtomicModel) -> Finding:
    """Report what completing the assembly did."""
    names = [chain.name for chain in source.structure[0]]
    n_chains = len({names[i] for i in np.unique(source.chain_index)})
    added = len({(copy.operator, names[copy.chain]) for copy in hybrid.copies})
    symbol = symmetry.group.symbol
    chains = "its chain" if n_chains == 1 else f"its {n_chains} chains"
    text = (
        f"{source.name}: {added} {'copy' if added == 1 else 'copies'} of {chains} "
        f"{'was' if added == 1 else 'were'} added to complete {symbol}"
        if added
        else f"{source.name}: all {n_chains} chains of {symbol} stand already, no copy was added"
    )
    n_added = hybrid.n_atoms - hybrid.n_model
    return Finding(
        "assembly",
        "note",
        f"{text} ({hybrid.n_model} + {n_added} atoms)",
        {"chains": n_chains, "copies": added, "atoms_added": n_added},
    )
