"""Fourier transforms between a part of a periodic box and the coefficients of a band.

Atoms fill a part of a map's box, and refinement uses the coefficients within a sphere.  A transform
of the whole box spends most of its time on rows of zeros and on coefficients that nobody reads;
here each axis is transformed only where something goes in and something is wanted.
"""

from collections.abc import Iterator

import numpy as np
import scipy.fft

from ..maps.grid import ComplexArray, FloatArray, IntArray, Shape

Part = tuple[slice, slice, slice]  # z, y, x
_SLAB_VALUES = 1 << 22  # per step along z


class BandTransform:
    """Transforms of a grid, of which some coefficients are used.

    Parameters
    ----------
    shape : (nz, ny, nx)
        Of the grid.
    index : array of int, shape (m,)
        Places of the coefficients in the flat array of `scipy.fft.rfftn`.
    """

    def __init__(self, shape: Shape, index: IntArray) -> None:
        self.shape = shape
        _, ny, nx = shape
        z, column = np.divmod(index, ny * (nx // 2 + 1))
        x = column % (nx // 2 + 1)
        self._width = int(x.max(initial=0)) + 1  # lowest frequencies along x
        column = column // (nx // 2 + 1) * self._width + x
        self._columns, place = np.unique(column, return_inverse=True)
        self._place: IntArray = z * len(self._columns) + place.reshape(-1)

    def forward(self, values: FloatArray, part: Part) -> ComplexArray:
        """Coefficients of a density that is zero outside a part of the box, shape (m,).

        Parameters
        ----------
        values : array, float32
            The density in the part.
        part : (z, y, x)
            Slices of the grid.
        """
        nz, ny, nx = self.shape
        _, at_y, at_x = part
        columns = np.zeros((nz, len(self._columns)), dtype=np.complex64)
        for slab, planes in self._slabs(part[0]):
            rows = np.zeros((*values[slab].shape[:2], nx), dtype=np.float32)
            rows[:, :, at_x] = values[slab]
            along_y = np.zeros((len(rows), ny, self._width), dtype=np.complex64)
            along_y[:, at_y] = scipy.fft.rfft(rows, axis=2)[:, :, : self._width]
            along_y = scipy.fft.fft(along_y, axis=1, overwrite_x=True)
            columns[planes] = along_y.reshape(len(rows), -1)[:, self._columns]
        columns = scipy.fft.fft(columns, axis=0, overwrite_x=True)
        return np.asarray(columns.reshape(-1)[self._place])

    def backward(self, packed: ComplexArray, part: Part) -> FloatArray:
        """Transform back a part of the map whose only coefficients are these; float32."""
        nz, ny, nx = self.shape
        at_z, at_y, at_x = part
        placed = np.zeros(nz * len(self._columns), dtype=np.complex64)
        placed[self._place] = packed
        columns = scipy.fft.ifft(placed.reshape(nz, -1), axis=0, overwrite_x=True)
        result = np.empty(tuple(s.stop - s.start for s in part), dtype=np.float32)
        for slab, planes in self._slabs(at_z):
            along_y = np.zeros((planes.stop - planes.start, ny * self._width), dtype=np.complex64)
            along_y[:, self._columns] = columns[planes]
            along_y = along_y.reshape(-1, ny, self._width)
            along_y = scipy.fft.ifft(along_y, axis=1, overwrite_x=True)[:, at_y]
            result[slab] = scipy.fft.irfft(along_y, nx, axis=2)[:, :, at_x]
        return result

    def _slabs(self, at_z: slice) -> Iterator[tuple[slice, slice]]:
        """Slices of the part along z and of the box, a few planes at a time."""
        size = max(1, _SLAB_VALUES // (self.shape[1] * self.shape[2]))
        for begin in range(at_z.start, at_z.stop, size):
            end = min(begin + size, at_z.stop)
            yield slice(begin - at_z.start, end - at_z.start), slice(begin, end)


def partial_forward(values: FloatArray, reach: Shape) -> ComplexArray:
    """Coefficients of a map, right where no index is beyond `reach`.

    Parameters
    ----------
    values : array, shape (nz, ny, nx)
    reach : (z, y, x)
        Highest index along each axis, either sign.

    Returns
    -------
    array, shape (nz, ny, nx // 2 + 1)
    """
    spectrum = scipy.fft.rfft(values, axis=2)
    wide = slice(0, reach[2] + 1)
    _in_place(spectrum[:, :, wide], 0, inverse=False)
    for planes in _low(values.shape[0], reach[0]):
        _in_place(spectrum[planes, :, wide], 1, inverse=False)
    return np.asarray(spectrum)


def partial_backward(spectrum: ComplexArray, shape: Shape, reach: Shape) -> FloatArray:
    """Transform back coefficients that are zero beyond `reach`; they are used up.

    Parameters
    ----------
    spectrum : array, shape (nz, ny, nx // 2 + 1)
    shape : (nz, ny, nx)
    reach : (z, y, x)
        Highest index along each axis, either sign.
    """
    wide = slice(0, reach[2] + 1)
    for rows in _low(shape[1], reach[1]):
        _in_place(spectrum[:, rows, wide], 0, inverse=True)
    _in_place(spectrum[:, :, wide], 1, inverse=True)
    values: FloatArray = scipy.fft.irfft(
        spectrum, shape[2], axis=2, norm="forward", overwrite_x=True
    )
    values *= np.float32(1 / (shape[0] * shape[1] * shape[2]))
    return values


def _in_place(part: ComplexArray, axis: int, *, inverse: bool) -> None:
    """Transform a part of an array along an axis, without a factor."""
    result = (
        scipy.fft.ifft(part, axis=axis, norm="forward", overwrite_x=True)
        if inverse
        else scipy.fft.fft(part, axis=axis, overwrite_x=True)
    )
    if not np.may_share_memory(result, part):
        part[...] = result


def _low(length: int, reach: int) -> list[slice]:
    """Select the indices -reach to reach of an axis."""
    if 2 * reach + 1 >= length:
        return [slice(0, length)]
    return [slice(0, reach + 1), slice(length - reach, length)]
