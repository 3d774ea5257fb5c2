"""Results of stages in the shape in which they are kept."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .hybrid_model import HybridModel
from .maps import BoolArray, DoubleArray, IntArray
from .mask import Mask
from .resolution import Resolution
from .symmetry import Symmetry


@dataclass(frozen=True, eq=False)
class MaskResult:
    """The mask, and the resolution inside it."""

    mask: Mask
    resolution: Resolution


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

    @classmethod
    def of(cls, hybrid: HybridModel) -> "PlacedAtoms":
        """The atoms of a hybrid model."""
        return cls(hybrid.positions, hybrid.species, hybrid.b_iso, hybrid.occupancies,
                   hybrid.operator, hybrid.source_atom, hybrid.is_pseudo, hybrid.mates)

    def copied(self) -> "PlacedAtoms":
        """The same in memory, where the arrays lie in files."""
        return replace(self, positions=np.array(self.positions), species=np.array(self.species),
                       b_iso=np.array(self.b_iso), occupancies=np.array(self.occupancies),
                       operator=np.array(self.operator), source_atom=np.array(self.source_atom),
                       is_pseudo=np.array(self.is_pseudo),
                       mates=None if self.mates is None else np.array(self.mates))

    def as_hybrid(self, symmetry: Symmetry | None) -> HybridModel:
        """A hybrid model that knows no model file."""
        return HybridModel(self.positions, self.species, self.b_iso, self.occupancies,
                           self.operator, self.source_atom, self.is_pseudo, symmetry, self.mates)

    def in_assembly(self, assembly: HybridModel) -> HybridModel:
        """The hybrid model with these atoms."""
        return replace(assembly, positions=self.positions, species=self.species,
                       b_iso=self.b_iso, occupancies=self.occupancies, operator=self.operator,
                       source_atom=self.source_atom, is_pseudo=self.is_pseudo, mates=self.mates)


@dataclass(frozen=True, eq=False)
class PlacedPair:
    """What was placed on the average, and on half map 1 alone.

    Parameters
    ----------
    average : PlacedAtoms
    half_1 : PlacedAtoms, optional
        None where nothing is to be validated.
    """

    average: PlacedAtoms
    half_1: PlacedAtoms | None
