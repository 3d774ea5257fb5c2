"""Change the fall-off of a finished map at once: its transform is kept, one way back is left."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ..maps.grid import ComplexArray, DoubleArray, FloatArray, Shape, Vector
from ..maps.morphology import Box, bounding_box

_STEPS = 4096  # of the table of the factor over |s|^2
_ROOM = 8.0  # Å around the density, which blur reaches
_EDGE = 0.05  # of the frequency of the low-pass, half the width of its edge


@dataclass(frozen=True, eq=False)
class KeptTransform:
    """The Fourier transform of the part of a map that is not 0.

    Parameters
    ----------
    whole : (nz, ny, nx)
        Shape of the map.
    voxel_size : (x, y, z)
        Å.
    box : three slices
        The part.
    shape : (nz, ny, nx)
        Of the transform; at least that of the part.
    coefficients : array, shape (nz, ny, nx//2+1)
    shells : array of int16, shape of the coefficients
        Place of each in a table over |s|^2.
    """

    whole: Shape
    voxel_size: Vector
    box: Box
    shape: Shape
    coefficients: ComplexArray
    shells: NDArray[np.int16]

    @classmethod
    def of(cls, values: FloatArray, voxel_size: Vector, *, workers: int = 1) -> "KeptTransform":
        """Transform a map.

        Parameters
        ----------
        values : array, shape (nz, ny, nx)
        voxel_size : (x, y, z)
            Å.
        workers : int
            Threads of the transform.
        """
        z, y, x = (int(np.ceil(_ROOM / edge)) for edge in voxel_size[::-1])
        inner = bounding_box(values != 0, (z, y, x))
        axes = [_axis(part, n) for part, n in zip(inner, values.shape, strict=True)]
        (box_z, nz), (box_y, ny), (box_x, nx) = axes
        box, shape = (box_z, box_y, box_x), (nz, ny, nx)
        part = np.asarray(values[box], dtype=np.float32)
        coefficients = scipy.fft.rfftn(part, shape, workers=workers)
        whole = values.shape
        return cls(
            (whole[0], whole[1], whole[2]),
            voxel_size,
            box,
            shape,
            coefficients,
            _shells(shape, voxel_size),
        )

    def filtered(
        self, b_factor: float, low_pass: float, d_min: float, *, workers: int = 1
    ) -> FloatArray:
        """Return the map with other amplitudes; see `amplitude_factor`."""
        squared = np.linspace(0.0, _highest(self.voxel_size), _STEPS)
        factor = amplitude_factor(squared, b_factor, low_pass, d_min).astype(np.float32)
        part = scipy.fft.irfftn(
            self.coefficients * factor[self.shells], self.shape, workers=workers, overwrite_x=True
        )
        values = np.zeros(self.whole, dtype=np.float32)
        z, y, x = (slice(0, axis.stop - axis.start) for axis in self.box)
        values[self.box] = part[z, y, x]
        return values


def amplitude_factor(
    squared: DoubleArray, b_factor: float, low_pass: float, d_min: float
) -> DoubleArray:
    """Compute the factor of amplitudes.

    Parameters
    ----------
    squared : array
        |s|^2, 1/Å^2.
    b_factor : float
        Å^2; positive blurs, negative sharpens.
    low_pass : float
        Å, at which half is left; 0 for none.
    d_min : float
        Å, beyond which the B factor acts as there: finer shells hold noise.
    """
    factor: DoubleArray = np.exp(-b_factor / 4 * np.minimum(squared, 1 / d_min**2))
    if low_pass:
        beyond = np.clip((np.sqrt(squared) * low_pass - 1) / _EDGE, -1, 1)
        factor *= 0.5 * (1 - np.sin(np.pi / 2 * beyond))
    return factor


def _axis(part: slice, whole: int) -> tuple[slice, int]:
    """Return the part of an axis that is transformed, and a length that is good for FFTs."""
    length = int(scipy.fft.next_fast_len(int(part.stop - part.start), real=True))
    # a whole axis repeats itself behind the faces of the box, as in every filter
    return (slice(0, whole), whole) if length >= whole else (part, length)


def _highest(voxel_size: Vector) -> float:
    """Return |s|^2 at the corner of Fourier space."""
    return float(sum((0.5 / edge) ** 2 for edge in voxel_size))


def _shells(shape: Shape, voxel_size: Vector) -> NDArray[np.int16]:
    """Return the place of every coefficient in the table over |s|^2."""
    nz, ny, nx = shape
    dx, dy, dz = voxel_size
    scale = np.float32((_STEPS - 1) / _highest(voxel_size))
    z, y, x = (
        np.square(frequency).astype(np.float32) * scale
        for frequency in (np.fft.fftfreq(nz, dz), np.fft.fftfreq(ny, dy), np.fft.rfftfreq(nx, dx))
    )
    shells = np.empty((nz, ny, len(x)), dtype=np.int16)
    plane = y[:, None] + x
    for k in range(nz):
        shells[k] = np.rint(z[k] + plane)
    return shells
