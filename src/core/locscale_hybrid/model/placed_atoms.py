"""The atoms of a hybrid model as they are kept between runs, checked when they come back."""

from dataclasses import dataclass, fields, replace
from typing import Any

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
        return cls(**{field.name: getattr(hybrid, field.name) for field in fields(cls)})

    def copied(self) -> "PlacedAtoms":
        """Copy into memory what is in files."""
        arrays = self._arrays()
        for name, values in arrays.items():
            arrays[name] = None if values is None else np.array(values)
        return PlacedAtoms(**arrays)

    def as_hybrid(self, symmetry: Symmetry | None) -> HybridModel:
        """Make a hybrid model that knows no model file."""
        return HybridModel(symmetry=symmetry, **self._arrays())

    def in_assembly(self, assembly: HybridModel) -> HybridModel:
        """Make the hybrid model with these atoms."""
        return replace(assembly, **self._arrays())

    def _arrays(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _are_indices(values: IntArray, n: int) -> bool:
    """Test whether all values are indices of n things."""
    return not values.size or bool(values.min() >= 0 and values.max() < n)
