"""Turning density arrays about a point: exactly where the grid allows it, else by cubic spline.

Everything here is in voxels and in array order: a `Turn` says at which index (z, y, x) of an
array the value for another index is read.  Boxes are periodic where a turn is exact; a spline
image leaves out what it would have to read from outside the box.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..maps.grid import BoolArray, DoubleArray, FloatArray, IntArray, Shape

Number = TypeVar("Number", bound=np.generic)

_SLAB_VOXELS = 1 << 22  # per step: 32 MB of float64
_EXACT_BITS = 53  # integers of this length are exact in float64
_MISFIT_VOXELS = 0.02  # by which an exact turn may miss a voxel at the edge of the box


@dataclass(frozen=True, eq=False)
class Turn:
    """A map of indices (z, y, x) to the indices that are read: matrix @ (index - centre) + centre.

    Parameters
    ----------
    matrix : array, shape (3, 3)
        A rotation where voxels are cubic.
    centre : array, shape (3,)
        The fixed point, in voxels.
    shape : (nz, ny, nx)
        Box of the arrays that are turned.
    """

    matrix: DoubleArray
    centre: DoubleArray
    shape: Shape

    @property
    def offset(self) -> DoubleArray:
        """The index that is read for index (0, 0, 0)."""
        return np.asarray(self.centre - self.matrix @ self.centre, dtype=np.float64)

    @cached_property
    def lines(self) -> tuple[tuple[int, IntArray], ...] | None:
        """For every source axis the target axis it follows and its indices; None if inexact."""
        signed = np.rint(self.matrix)
        if not _is_signed_permutation(signed):
            return None
        start_at = self.centre - signed @ self.centre
        misfit = np.abs(self.matrix - signed) @ (np.array(self.shape) / 2)
        if max(misfit.max(), np.abs(start_at - np.rint(start_at)).max()) > _MISFIT_VOXELS:
            return None
        found = []
        for source, start in enumerate(start_at):
            target = int(np.argmax(np.abs(signed[source])))
            sign = signed[source, target]
            if self.shape[source] != self.shape[target]:
                return None
            steps = np.arange(self.shape[target]) * int(sign) + int(np.rint(start))
            found.append((target, steps % self.shape[source]))
        return tuple(found)

    @property
    def is_exact(self) -> bool:
        """Whether every voxel is read from the centre of a voxel."""
        return self.lines is not None

    def permuted(self, values: NDArray[Number], slab: slice) -> NDArray[Number]:
        """Planes `slab` (along z) of an array read by an exact turn."""
        if self.lines is None:
            raise ValueError("the turn does not map the grid onto itself")
        indices = [line[slab] if target == 0 else line for target, line in self.lines]
        taken = values[np.ix_(*indices)]
        order = [target for target, _ in self.lines]
        return taken.transpose(np.argsort(order))

    def read(self, coefficients: FloatArray, index: NDArray[np.generic]) -> FloatArray:
        """Values at target indices (n, 3) of an array whose spline coefficients are given."""
        at = np.asarray(index, dtype=np.float64) @ self.matrix.T + self.offset
        values = ndimage.map_coordinates(
            coefficients, at.T, order=3, mode="grid-wrap", prefilter=False, output=np.float32
        )
        return np.asarray(values)

    @property
    def keeps_planes(self) -> bool:
        """Whether every plane along z is turned within itself."""
        return bool((self.matrix[0] == (1, 0, 0)).all() and (self.matrix[:, 0] == (1, 0, 0)).all())

    def interpolated(
        self, coefficients: FloatArray, slab: slice, *, order: Literal[1, 3] = 3
    ) -> FloatArray:
        """Planes `slab` of an array whose spline coefficients are given; 0 outside the box.

        Coefficients of order 1 are the values themselves.
        """
        begin, end, _ = slab.indices(self.shape[0])
        offset = self.offset + self.matrix[:, 0] * begin
        values = ndimage.affine_transform(
            coefficients,
            self.matrix,
            offset,
            (end - begin, *self.shape[1:]),
            order=order,
            mode="grid-wrap",
            prefilter=False,
            output=np.float32,
        )
        return np.where(self.inside(slab), values, np.float32(0))

    def interpolated_planes(self, coefficients: FloatArray, slab: slice) -> FloatArray:
        """Turn with planes kept, from coefficients within planes; 3 times faster."""
        values = np.empty_like(coefficients[slab])
        for result, plane in zip(values, coefficients[slab], strict=True):
            ndimage.affine_transform(
                plane,
                self.matrix[1:, 1:],
                self.offset[1:],
                order=3,
                mode="grid-wrap",
                prefilter=False,
                output=result,
            )
        return np.where(self.inside(slab), values, np.float32(0))

    def inside(self, slab: slice) -> BoolArray:
        """Mark which voxels of the planes `slab` are read from inside the box."""
        z, y, x = (np.arange(n, dtype=np.float64) for n in self.shape)
        result = np.ones((1, 1, 1), dtype=np.bool_)
        for row, offset, n in zip(self.matrix, self.offset, self.shape, strict=True):
            at = (row[0] * z[slab, None, None] + row[1] * y[:, None] + row[2] * x) + offset
            result = result & (at >= -0.5) & (at <= n - 0.5)
        return np.broadcast_to(result, (len(z[slab]), *self.shape[1:]))

    def inside_at(self, index: NDArray[np.generic]) -> BoolArray:
        """Mark which of the indices (n, 3) are read from inside the box."""
        at = np.asarray(index, dtype=np.float64) @ self.matrix.T + self.offset
        return np.asarray(((at >= -0.5) & (at <= np.array(self.shape) - 0.5)).all(axis=1))


def spline_coefficients(values: FloatArray, *, within_planes: bool = False) -> FloatArray:
    """Cubic spline coefficients of a periodic array, or of each plane along z."""
    result = np.asarray(values, dtype=np.float32)
    for axis in (1, 2) if within_planes else (0, 1, 2):
        result = ndimage.spline_filter1d(result, 3, axis, output=np.float32, mode="grid-wrap")
    return np.asarray(result)


def average_exact(
    values: FloatArray, turns: Sequence[Turn], weights: NDArray[np.uint16] | None = None
) -> FloatArray:
    """Mean of an array over exact turns that form a group, symmetric to the last bit.

    Values are rounded to a common unit, 1e-14 of the largest or less, before they are added, so
    that a sum does not depend on its order.

    Parameters
    ----------
    values : array, shape (nz, ny, nx)
    turns : sequence of Turn
        Every one exact; the identity among them.
    weights : array of counts, shape of values, optional
        `values` are sums of so many values each: the mean is over all of these.
    """
    result = np.empty_like(values)
    unit = _common_unit(values, len(turns))
    for slab in _slabs(values.shape):
        total = np.zeros(result[slab].shape)
        count = np.zeros(total.shape if weights is not None else (1, 1, 1), dtype=np.int64)
        for turn in turns:
            total += np.rint(turn.permuted(values, slab).astype(np.float64) / unit)
            count += 1 if weights is None else turn.permuted(weights, slab)
        result[slab] = total * unit / count
    return result


def sum_of_images(
    values: FloatArray, turns: Sequence[Turn]
) -> tuple[FloatArray, NDArray[np.uint16]]:
    """Sum of the spline images of an array and the number of images that reach each voxel.

    Parameters
    ----------
    values : array, shape (nz, ny, nx)
    turns : sequence of Turn
        An exact one is read without interpolation.
    """
    in_planes = all(turn.is_exact or turn.keeps_planes for turn in turns)
    coefficients = spline_coefficients(values, within_planes=in_planes)
    total = np.zeros_like(values)
    count = np.zeros(values.shape, dtype=np.uint16)
    for slab in _slabs(values.shape):
        for turn in turns:
            if turn.is_exact:
                total[slab] += turn.permuted(values, slab)
                count[slab] += 1
                continue
            image = turn.interpolated_planes if in_planes else turn.interpolated
            total[slab] += image(coefficients, slab)
            count[slab] += turn.inside(slab)
    return total, count


def _common_unit(values: FloatArray, n_terms: int) -> float:
    """Return a power of two of which sums of `n_terms` rounded values are exact in float64."""
    largest = max(abs(float(values.max())), abs(float(values.min())))
    bits = _EXACT_BITS - n_terms.bit_length()
    return float(2.0 ** (np.frexp(largest)[1] - bits)) if largest > 0 else 1.0


def _is_signed_permutation(matrix: DoubleArray) -> bool:
    """Test whether every row and column has one entry of 1 or -1, and 0 elsewhere."""
    size = np.abs(matrix)
    return bool((size.sum(0) == 1).all() and (size.sum(1) == 1).all())


def _slabs(shape: Shape) -> list[slice]:
    """Planes along z, so many at a time as memory should hold."""
    planes = max(1, _SLAB_VOXELS // (shape[1] * shape[2]))
    return [slice(z, min(z + planes, shape[0])) for z in range(0, shape[0], planes)]
