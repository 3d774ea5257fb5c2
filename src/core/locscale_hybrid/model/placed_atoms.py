"""The atoms of a hybrid model as they are kept between runs, checked when they come back."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..maps.grid import BoolArray, DoubleArray, IntArray
from ..symmetry.operators import Symmetry
from .hybrid_model import HybridModel


@dataclass(frozen=True, eq=False)
class PlacedAtoms:
    """A hybrid model without what its assembly knows: model file, symmetry, copies.

    The parameters are those of `HybridModel`.
    """

    positions: DoubleArray
    species: NDArray[np.str_]
    b_iso: DoubleArray
    occupancies: DoubleArray
    operator: IntArray
    source_atom: IntArray
    is_pseudo: BoolArray
    mates: IntArray | None

    def check(self) -> None:
        """Hold the arrays to each other; ValueError where they are not those of the same atoms."""
        n = len(self.is_pseudo)
        shapes = {
            "positions": (n, 3),
            "species": (n,),
            "b_iso": (n,),
            "occupancies": (n,),
            "operator": (n,),
            "source_atom": (n,),
            "is_pseudo": (n,),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has the shape {getattr(self, name).shape} for {n} atoms")
        if self.mates is not None and (
            self.mates.ndim != 2 or self.mates.shape[1] != n or not _are_indices(self.mates, n)
        ):
            raise ValueError(f"the symmetry copies of {n} atoms do not fit them")
        if not (self.source_atom >= 0).all() or not (self.operator >= 0).all():
            raise ValueError("atoms are copies of none")

    def fits(self, assembly: HybridModel) -> bool:
        """Test whether these can be the atoms of an assembly, with pseudo-atoms after them."""
        n = len(assembly)
        return (
            len(self.is_pseudo) >= n
            and not self.is_pseudo[:n].any()
            and bool(self.is_pseudo[n:].all())
            and (self.mates is None) == (assembly.mates is None)
        )

    @classmethod
    def of(cls, hybrid: HybridModel) -> "PlacedAtoms":
        """Take the atoms of a hybrid model."""
        return cls(
            hybrid.positions,
            hybrid.species,
            hybrid.b_iso,
            hybrid.occupancies,
            hybrid.operator,
            hybrid.source_atom,
            hybrid.is_pseudo,
            hybrid.mates,
        )

    def copied(self) -> "PlacedAtoms":
        """Copy into memory what is in files."""
        return replace(
            self,
            positions=np.array(self.positions),
            species=np.array(self.species),
            b_iso=np.array(self.b_iso),
            occupancies=np.array(self.occupancies),
            operator=np.array(self.operator),
            source_atom=np.array(self.source_atom),
            is_pseudo=np.array(self.is_pseudo),
            mates=None if self.mates is None else np.array(self.mates),
        )

    def as_hybrid(self, symmetry: Symmetry | None) -> HybridModel:
        """Make a hybrid model that knows no model file."""
        return HybridModel(
            self.positions,
            self.species,
            self.b_iso,
            self.occupancies,
            self.operator,
            self.source_atom,
            self.is_pseudo,
            symmetry,
            self.mates,
        )

    def in_assembly(self, assembly: HybridModel) -> HybridModel:
        """Make the hybrid model with these atoms."""
        return replace(
            assembly,
            positions=self.positions,
            species=self.species,
            b_iso=self.b_iso,
            occupancies=self.occupancies,
            operator=self.operator,
            source_atom=self.source_atom,
            is_pseudo=self.is_pseudo,
            mates=self.mates,
        )


def _are_indices(values: IntArray, n: int) -> bool:
    """Test whether all values are indices of n things."""
    return not values.size or bool(values.min() >= 0 and values.max() < n)
