"""How the amplitudes of maps fall off with resolution, before and after sharpening."""

from dataclasses import dataclass

import numpy as np

from ..fourier.fsc import masked_coefficients
from ..fourier.space import FourierSpace
from ..maps.grid import DoubleArray, FloatArray, Map

COARSEST = 10.0  # Å; coarser amplitudes follow the shape of the particle, not its order
_FEWEST = 3  # shells that a slope needs


@dataclass(frozen=True, eq=False)
class AmplitudeCurves:
    """Root mean square amplitude per shell inside one soft mask.

    Parameters
    ----------
    frequency : array, shape (n_shells,)
        1/Å.
    observed, reference, output : arrays, shape (n_shells,)
        In units of density times voxels.
    d_min : float
        Å.
    """

    frequency: DoubleArray
    observed: DoubleArray
    reference: DoubleArray
    output: DoubleArray
    d_min: float

    @property
    def by_name(self) -> dict[str, DoubleArray]:
        """The curves as the record calls them."""
        return {"input": self.observed, "reference": self.reference, "output": self.output}

    @property
    def falloff_b(self) -> dict[str, float | None]:
        """Slope of ln amplitude, 10 Å to d_min, as B in Å^2; None where there are few shells.

        References
        ----------
        .. [1] Rosenthal, Henderson (2003) J. Mol. Biol. 333:721-745,
           :doi:`10.1016/j.jmb.2003.07.013`.
        """
        return {
            name: slope_as_b(self.frequency, curve, self.d_min)
            for name, curve in self.by_name.items()
        }


def amplitude_curves(
    observed: Map, reference: Map, output: Map, mask: FloatArray, *, d_min: float
) -> AmplitudeCurves:
    """Amplitudes of the input, the reference and the output of a run.

    Parameters
    ----------
    observed, reference, output : Map
        On one grid.
    mask : array, shape grid.shape
        Soft, 0 to 1; solvent would add its noise.
    d_min : float
        Å.
    """
    space = FourierSpace(observed.grid)
    curves = [
        np.sqrt(
            space.power(masked_coefficients(space, volume.values, mask))
            / np.maximum(space.count, 1)
        )
        for volume in (observed, reference, output)
    ]
    return AmplitudeCurves(space.frequency, curves[0], curves[1], curves[2], d_min)


def slope_as_b(frequency: DoubleArray, amplitude: DoubleArray, d_min: float) -> float | None:
    """B in Å^2 of amplitudes that fall as exp(-B s^2 / 4) between 10 Å and `d_min`."""
    inside = (frequency >= 1 / COARSEST) & (frequency <= 1 / d_min) & (amplitude > 0)
    if inside.sum() < _FEWEST:
        return None
    slope = np.polyfit(frequency[inside] ** 2, np.log(amplitude[inside]), 1)[0]
    return float(-4 * slope)
