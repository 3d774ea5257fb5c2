"""Which atoms are near each other, and the prior that ties their B."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse
from scipy.spatial import cKDTree

from ..maps.grid import DoubleArray, IntArray

REACH = 6.0  # Å
_SLOPE_COST = 0.05  # weight of L beside L^2


@dataclass(frozen=True)
class Neighbours:
    """Atoms within 6 Å of each other, and the prior that ties their B.

    The prior is B' (L^2 + 0.05 L) B / (2 tau^2), L the graph Laplacian: what costs is the
    curvature of B and, much less, its slope, so that B may rise smoothly to the rim of a molecule
    while neighbours stay alike.

    Parameters
    ----------
    row, column : arrays, shape (p,)
        Both directions of every pair, sorted by row.
    distance : array, shape (p,)
        Å.
    link : array, shape (p,)
        Off-diagonal elements of L.
    own : array, shape (n,)
        Its diagonal.
    """

    row: IntArray
    column: IntArray
    distance: DoubleArray
    link: DoubleArray
    own: DoubleArray

    def matrix(self, off_diagonal: DoubleArray) -> scipy.sparse.csr_matrix:
        """Make a sparse matrix of this pattern."""
        n = len(self.own)
        start = np.searchsorted(self.row, np.arange(n + 1))
        return scipy.sparse.csr_matrix((off_diagonal, self.column, start), shape=(n, n))

    @cached_property
    def _links(self) -> scipy.sparse.csr_matrix:
        """Off-diagonal part of L."""
        return self.matrix(self.link)

    def strain(self, b_iso: DoubleArray) -> DoubleArray:
        """(L^2 + 0.05 L) B: the derivative of the prior, times tau^2."""
        bend = self.own * b_iso + self._links @ b_iso
        return np.asarray(self.own * bend + self._links @ bend + _SLOPE_COST * bend)

    @cached_property
    def stiffness(self) -> DoubleArray:
        """Diagonal of L^2 + 0.05 L."""
        squares = np.bincount(self.row, self.link**2, len(self.own))
        return np.asarray(self.own**2 + squares + _SLOPE_COST * self.own, dtype=np.float64)


def neighbours_of(positions: DoubleArray) -> Neighbours:
    """Pairs within 6 Å and their graph Laplacian.

    Gaussian weights of sigma 3 Å, normalised by the degrees so that the strength of the prior
    does not depend on how crowded the model is.

    Parameters
    ----------
    positions : array, shape (n, 3)
        Å.
    """
    n = len(positions)
    pairs = cKDTree(positions).query_pairs(REACH, output_type="ndarray")
    both = np.concatenate([pairs @ (n, 1), pairs @ (1, n)])  # row * n + column
    both.sort()
    row, column = np.divmod(both, max(n, 1))
    distance = np.linalg.norm(positions[row] - positions[column], axis=1)
    weight = np.exp(-(distance**2) / (2 * (REACH / 2) ** 2))
    degree = np.bincount(row, weight, n)
    degree = np.maximum(degree, 0.3 * np.median(degree) if n else 0)
    degree = np.where(degree > 0, degree, 1.0)
    weight = weight / np.sqrt(degree[row] * degree[column])
    own: DoubleArray = np.bincount(row, weight, n).astype(np.float64)
    return Neighbours(row, column, distance, -weight, own)
