"""Point groups: the symbols that are understood and the operators each stands for.

Settings are those of RELION and pyem.  Operators act on (x, y, z).

======  =====  ============================================================================
symbol  order  axes
======  =====  ============================================================================
Cn      n      n-fold on z
Dn      2 n    n-fold on z, a 2-fold on x
T       12     3-fold on z, a 2-fold along (0, √2, 1)
TXZ     12     3-fold on z, a 2-fold along (-√2, 0, 1): T turned by 90° about z
T222    12     2-folds on x, y, z, 3-folds along (±1, ±1, ±1)
O       24     4-folds on x, y, z, 3-folds along (±1, ±1, ±1)
I       60     the same as I2
I1      60     2-folds on x, y, z; of the 5-folds (0, ±1, φ) in the yz plane are nearest to z
I2      60     2-folds on x, y, z; of the 5-folds (±1, 0, φ) in the xz plane are nearest to z
I3      60     5-fold on z, 2-folds on y and along (-1, 0, φ)
I4      60     5-fold on z, 2-folds on y and along (1, 0, φ): I3 turned by 180° about z
======  =====  ============================================================================

φ is the golden ratio.  I1 is I2 turned by 90° about z; I3 and I4 are I2 turned about y by the
31.7° that lie between its 2-fold on z and its nearest 5-folds.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from ..errors import InputError
from ..maps.grid import DoubleArray, IntArray, Vector

MOST_FOLD = 1000
UNDERSTOOD = "Cn and Dn (C1, C4, D2, ...), T, T222, TXZ, O, I, I1, I2, I3 and I4"

_GOLDEN = (1 + math.sqrt(5)) / 2
_X, _Y, _Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
_TILT = math.degrees(math.atan(1 / _GOLDEN))  # between the 2-fold on z and a 5-fold of I2
# what an entry of an operator with axes along x, y, z can be
_EXACT_ENTRIES = np.array([0.0, 0.5, 1.0, _GOLDEN / 2, (_GOLDEN - 1) / 2])


@dataclass(frozen=True, eq=False)
class PointGroup:
    """A group of rotations in one setting.

    Parameters
    ----------
    symbol : str
        As a user types it, e.g. ``"D2"``.
    matrices : array, shape (k, 3, 3)
        Rotations acting on (x, y, z), the identity first.
    """

    symbol: str
    matrices: DoubleArray

    @property
    def order(self) -> int:
        """Number of operators."""
        return len(self.matrices)

    @property
    def is_trivial(self) -> bool:
        """Whether there is nothing but the identity."""
        return self.order == 1

    @cached_property
    def products(self) -> IntArray:
        """Index of the operator "first h, then g" at [g, h], shape (k, k)."""
        composed = np.einsum("gij,hjk->ghik", self.matrices, self.matrices)
        return self.index_of(composed)

    @cached_property
    def inverses(self) -> IntArray:
        """Index of the inverse of every operator, shape (k,)."""
        return self.index_of(self.matrices.transpose(0, 2, 1))

    def index_of(self, matrices: DoubleArray) -> IntArray:
        """Find which operators these matrices (..., 3, 3) are.

        Raises
        ------
        ValueError
            If one of them is not in the group.
        """
        tree = cKDTree(self.matrices.reshape(-1, 9))
        flat = np.asarray(matrices).reshape(*np.shape(matrices)[:-2], 9)
        distance, index = tree.query(flat)
        if np.max(distance, initial=0.0) > 1e-6:
            raise ValueError(f"a matrix is not an operator of {self.symbol}")
        return np.asarray(index, dtype=np.intp)

    @cached_property
    def axes(self) -> DoubleArray:
        """Unit vectors along the axes of the operators but the identity, shape (k - 1, 3)."""
        # the part I + R + R^-1 - (trace - 1) I of a rotation projects on its axis
        turns = self.matrices[1:]
        trace = np.trace(turns, axis1=1, axis2=2)[:, None, None]
        projector = turns + turns.transpose(0, 2, 1) + (1 - trace) * np.eye(3)
        longest = np.argmax(np.einsum("kii->ki", projector), axis=1)
        axes = projector[np.arange(len(turns)), :, longest]
        return np.asarray(axes / np.linalg.norm(axes, axis=1, keepdims=True), dtype=np.float64)

    def turned(self, rotation: DoubleArray, symbol: str) -> "PointGroup":
        """Return the same group in the setting that `rotation` turns this one into."""
        return PointGroup(symbol, _tidy(rotation @ self.matrices @ rotation.T))


def rotation(axis: Vector, degrees: float) -> DoubleArray:
    """Matrix of the right-handed turn about `axis`, acting on (x, y, z).

    Multiples of 30° about x, y or z are exact.
    """
    x, y, z = np.asarray(axis, dtype=np.float64) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    return _tidy(np.eye(3) + sine * cross + (1 - cosine) * cross @ cross)


def parse_point_group(symbol: str) -> PointGroup:
    """Parse the symbol of a point group.

    Parameters
    ----------
    symbol : str
        Capitals or not, blanks anywhere: ``"d2"``, ``"C 4"``, ``"I1"``.

    Raises
    ------
    InputError
        If the symbol is helical, unknown, or of more than 1000-fold symmetry.

    References
    ----------
    .. [1] Heymann, Chagoyen, Belnap (2005) J. Struct. Biol. 151:196,
       :doi:`10.1016/j.jsb.2005.06.001`.
    """
    name = "".join(symbol.split()).upper()
    if name.startswith("H"):
        raise InputError(
            f'symmetry "{symbol.strip()}" is helical, which is not supported: give '
            "the point group about the helix axis (Cn or Dn), or C1"
        )
    if name in _SETTINGS:
        return _SETTINGS[name]()
    match = re.fullmatch(r"([CD])(\d+)", name, re.ASCII)
    fold = int(match[2]) if match else 0
    if match is None or fold < 1:
        raise InputError(f'symmetry "{symbol.strip()}" is unknown: give one of {UNDERSTOOD}')
    if fold > MOST_FOLD:
        raise InputError(
            f'symmetry "{symbol.strip()}" is {fold}-fold: give {MOST_FOLD}-fold symmetry at most'
        )
    return cyclic(fold) if match[1] == "C" else dihedral(fold)


def cyclic(fold: int) -> PointGroup:
    """Cn, the n-fold axis on z."""
    turns = [rotation(_Z, 360 * i / fold) for i in range(fold)]
    return PointGroup(f"C{fold}", np.array(turns))


def dihedral(fold: int) -> PointGroup:
    """Dn, the n-fold axis on z and a 2-fold axis on x."""
    turns = cyclic(fold).matrices
    flip = np.diag([1.0, -1.0, -1.0])
    return PointGroup(f"D{fold}", _tidy(np.concatenate([turns, turns @ flip])))


def tetrahedral_222() -> PointGroup:
    """T with its 2-folds on x, y, z."""
    return PointGroup("T222", _closure([rotation(_Z, 180), _cyclic_permutation()]))


def tetrahedral() -> PointGroup:
    """T with a 3-fold on z and a 2-fold along (0, √2, 1) (RELION)."""
    return _tetrahedral_xz().turned(rotation(_Z, -90), "T")


def octahedral() -> PointGroup:
    """O with its 4-folds on x, y, z."""
    return PointGroup("O", _closure([rotation(_Z, 90), _cyclic_permutation()]))


def icosahedral(setting: int) -> PointGroup:
    """I1, I2, I3 or I4."""
    five_fold = rotation((1.0, 0.0, _GOLDEN), 72)
    generators = [rotation(_Z, 180), _cyclic_permutation(), five_fold]
    group = PointGroup("I2", _tidy(_closure(generators), _EXACT_ENTRIES))
    if setting == 2:
        return group
    turn = {1: rotation(_Z, 90), 3: rotation(_Y, -_TILT), 4: rotation(_Y, _TILT)}[setting]
    return group.turned(turn, f"I{setting}")


def _tetrahedral_xz() -> PointGroup:
    """T with a 3-fold on z and a 2-fold along (-√2, 0, 1)."""
    # (1, 1, 1) to the xz plane, then to z
    turn = rotation(_Y, -math.degrees(math.acos(1 / math.sqrt(3)))) @ rotation(_Z, -45)
    return tetrahedral_222().turned(turn, "TXZ")


def _cyclic_permutation() -> DoubleArray:
    """Return the turn by 120° about (1, 1, 1): x to y, y to z, z to x."""
    return np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])


def _closure(generators: list[DoubleArray]) -> DoubleArray:
    """Return all products of the generators, the identity first, in a fixed order."""
    found = [np.eye(3)]
    seen = {_key(found[0])}
    for matrix in found:  # grows while it is walked
        for generator in generators:
            product = _tidy(matrix @ generator)
            if _key(product) not in seen:
                seen.add(_key(product))
                found.append(product)
    return np.array(found)


def _key(matrix: DoubleArray) -> tuple[int, ...]:
    """Return a name for a matrix that does not depend on rounding."""
    return tuple(np.rint(matrix.ravel() * 1e5).astype(int).tolist())


def _tidy(matrices: DoubleArray, entries: DoubleArray = _EXACT_ENTRIES[:3]) -> DoubleArray:
    """Entries that are one of `entries` but for rounding, made exactly that."""
    nearest = np.argmin(np.abs(np.abs(matrices)[..., None] - entries), axis=-1)
    exact = np.copysign(entries[nearest], matrices)
    tidied = np.where(np.abs(matrices - exact) < 1e-13, exact, matrices)
    return np.asarray(tidied + 0.0, dtype=np.float64)  # no negative zeros


_SETTINGS: dict[str, Callable[[], PointGroup]] = {
    "T": tetrahedral,
    "TXZ": _tetrahedral_xz,
    "T222": tetrahedral_222,
    "O": octahedral,
    "I": lambda: PointGroup("I", icosahedral(2).matrices),
    "I1": lambda: icosahedral(1),
    "I2": lambda: icosahedral(2),
    "I3": lambda: icosahedral(3),
    "I4": lambda: icosahedral(4),
}
