"""Transforms of a whole box of which only low frequencies are wanted, or only they are not zero.

Each axis is transformed only where that matters, in the order of `scipy.fft.rfftn` and `irfftn`:
what comes out has their bytes, in half the time for a band in the middle.
"""

import numpy as np
import scipy.fft

from .maps import ComplexArray, FloatArray, Shape


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
    """The map of coefficients that are zero where an index is beyond `reach`; they are used up.

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
    values: FloatArray = scipy.fft.irfft(spectrum, shape[2], axis=2, norm="forward",
                                         overwrite_x=True)
    values *= np.float32(1 / (shape[0] * shape[1] * shape[2]))
    return values


def _in_place(part: ComplexArray, axis: int, *, inverse: bool) -> None:
    """Transform a part of an array along an axis, without a factor."""
    result = (scipy.fft.ifft(part, axis=axis, norm="forward", overwrite_x=True) if inverse
              else scipy.fft.fft(part, axis=axis, overwrite_x=True))
    if not np.may_share_memory(result, part):
        part[...] = result


def _low(length: int, reach: int) -> list[slice]:
    """Where the indices -reach to reach of an axis lie."""
    if 2 * reach + 1 >= length:
        return [slice(0, length)]
    return [slice(0, reach + 1), slice(length - reach, length)]
