"""Which copies of a model's chains are missing from its assembly, and which atoms are mates.

All is decided from one table: the model atom nearest to the image of every atom under every
operator.  Whether image g(a) meets image h(b) needs no further search, since that is whether
h^-1 g (a) meets b.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..maps.grid import BoolArray, DoubleArray, IntArray
from ..symmetry.operators import MATE_TOLERANCE, Symmetry
from .structure import AtomicModel

STANDING_FRACTION = 0.3  # of a chain's anchors near standing ones: its place is taken
_CHAIN_DISTANCE = 3.0  # Å, between CA, P or C4' of a chain and of the one in its place
_ATOM_DISTANCE = 1.0  # Å, nearer than any bond: two atoms are one
_LIGAND_DISTANCE = 1.5  # Å, for chains without such atoms: nearer than a metal to its ligand
_NOTHING = -1


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest atom to the image of each atom under each operator.

    Parameters
    ----------
    index : array of int32, shape (k, n)
        -1 where none is near.
    distance : array of float32, shape (k, n)
        Å; infinite where none is near.
    """

    index: NDArray[np.int32]
    distance: NDArray[np.float32]


@dataclass(frozen=True)
class ChainCopy:
    """The image of a chain under an operator, without the atoms that stand already.

    Parameters
    ----------
    operator : int
        Index in the point group.
    chain : int
        Index in the source structure.
    atoms : array of int, shape (m,)
        Scatterers of the model that are copied, in their order.
    """

    operator: int
    chain: int
    atoms: IntArray


def neighbours(symmetry: Symmetry, positions: DoubleArray, reach: float) -> Neighbours:
    """Look up the nearest of the positions (n, 3) to their own images, within `reach` Å."""
    tree = cKDTree(positions)
    shape = (symmetry.order, len(positions))
    index = np.empty(shape, dtype=np.int32)
    distance = np.empty(shape, dtype=np.float32)
    for i, image in enumerate(symmetry.images(positions)):
        distance[i], found = tree.query(image, distance_upper_bound=reach)
        index[i] = np.where(found < len(positions), found, _NOTHING)
    return Neighbours(index, distance)


def missing_copies(model: AtomicModel, symmetry: Symmetry, near: Neighbours) -> list[ChainCopy]:
    """Find the chain images that complete the assembly, ordered by operator and chain.

    Long chains go first.  An image is left out where `STANDING_FRACTION` of its anchors are
    within 3 Å of anchors that stand, of the model or of an image taken before; of the images
    that are taken, atoms within 1 Å of a standing atom are left out.

    Parameters
    ----------
    model : AtomicModel
    symmetry : Symmetry
    near : Neighbours
        Of the model's atoms, with a reach of 1 Å or more.
    """
    anchors = np.flatnonzero(model.is_anchor)
    anchor_tolerance = _anchor_tolerance(model)[anchors]
    near_anchor = neighbours(symmetry, model.positions[anchors], _CHAIN_DISTANCE)
    anchor_chain = np.where(
        near_anchor.distance <= anchor_tolerance,
        model.chain_index[anchors][near_anchor.index],
        _NOTHING,
    )
    atom_chain = np.where(_is_taken(model, symmetry, near), model.chain_index[near.index], _NOTHING)
    standing = np.zeros((symmetry.order, int(model.chain_index.max()) + 2), dtype=np.bool_)
    standing[0, :-1] = True  # the last column is for _NOTHING
    taken = []
    for chain, operator in _candidates(model, symmetry):
        mine = np.flatnonzero(model.chain_index[anchors] == chain)
        if _covered(anchor_chain, mine, operator, standing, symmetry).mean() >= STANDING_FRACTION:
            continue
        atoms = np.flatnonzero(model.chain_index == chain)
        atoms = atoms[~_covered(atom_chain, atoms, operator, standing, symmetry)]
        taken.append(ChainCopy(operator, chain, atoms))
        standing[operator, chain] = True
    return sorted(taken, key=lambda copy: (copy.operator, copy.chain))


def mates_in_assembly(
    symmetry: Symmetry, near: Neighbours, operator: IntArray, source: IntArray
) -> IntArray:
    """Index of the atom that stands where each operator brings each atom, shape (k, n).

    Parameters
    ----------
    symmetry : Symmetry
    near : Neighbours
        Of the model's atoms.
    operator, source : arrays of int, shape (n,)
        The assembly: atom i is the image of the model atom source[i] under operator[i].  The
        first atoms are the model's own.

    Returns
    -------
    array of int, shape (k, n)
        The atom's own index where no mate stands.
    """
    place = np.full(near.index.shape, _NOTHING, dtype=np.int32)  # of the image (operator, atom)
    near_mate = np.where(near.distance <= MATE_TOLERANCE, near.index, _NOTHING)
    place[:] = near_mate
    place[operator, source] = np.arange(len(source))
    _place_beside_copies(place, near_mate, symmetry)
    own = np.arange(len(source))
    result = np.empty((symmetry.order, len(source)), dtype=np.intp)
    for i, products in enumerate(symmetry.group.products):
        found = place[products[operator], source]
        result[i] = np.where(found >= 0, found, own)
    return result


def _place_beside_copies(
    place: NDArray[np.int32], near_mate: NDArray[np.int32], symmetry: Symmetry
) -> None:
    """Fill places of images that were left out because a copy of another atom stands there."""
    group = symmetry.group
    stands = place >= 0
    for image in range(symmetry.order):
        for h in range(1, symmetry.order):
            open_places = np.flatnonzero(place[image] < 0)
            if not len(open_places):
                break
            other = near_mate[group.products[group.inverses[h], image], open_places]
            known = (other >= 0) & stands[h, other]
            place[image, open_places[known]] = place[h, other[known]]


def _candidates(model: AtomicModel, symmetry: Symmetry) -> Iterator[tuple[int, int]]:
    """Pairs of chain and operator in the order in which they are tried."""
    n_anchors = np.bincount(model.chain_index, model.is_anchor)
    for chain in np.argsort(-n_anchors, kind="stable"):
        if n_anchors[chain] > 0:
            for operator in range(1, symmetry.order):
                yield int(chain), operator


def _covered(
    near_chain: IntArray, atoms: IntArray, operator: int, standing: BoolArray, symmetry: Symmetry
) -> BoolArray:
    """Mark which of the atoms' images under an operator are near an atom in place.

    `near_chain` (k, n) is the chain of the model atom near each image; `standing` (k, chains)
    says which image of which chain stands.
    """
    group = symmetry.group
    images = np.flatnonzero(standing.any(axis=1))
    relative = group.products[group.inverses[images], operator]
    chains = near_chain[np.ix_(relative, atoms)]
    return np.asarray(np.take_along_axis(standing[images], chains, axis=1).any(axis=0))


def _anchor_tolerance(model: AtomicModel) -> DoubleArray:
    """Distance within which an anchor is in another's place; less for chains all of anchors."""
    others = np.bincount(model.chain_index, ~model.is_anchor)
    return np.where(others[model.chain_index] > 0, _CHAIN_DISTANCE, _LIGAND_DISTANCE)


def _is_taken(model: AtomicModel, symmetry: Symmetry, near: Neighbours) -> BoolArray:
    """Mark whether the model occupies the place of each atom's image, shape (k, n).

    An atom on an axis stands in the place of its own image, unless its occupancy says that it is
    meant to stand there once for each operator.
    """
    taken = near.distance <= _ATOM_DISTANCE
    own = near.index == np.arange(len(model))
    shares = model.occupancies * (own & taken).sum(axis=0) <= 1.05
    return np.asarray(taken & ~(own & shares))
