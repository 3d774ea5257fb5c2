"""The global fall-off of the amplitudes, taken out before a map is cut into bands.

Within a band of a map with a steep spectrum the coarse side outweighs the fine side, and a gain
from the band's power comes out too low: by 8 % at 2.5 Å for B = 90 Å^2 and a window of 25 Å.  Of
a flattened map it does not.
"""

import numpy as np

from .band_filter import BandFilter
from .maps import ComplexArray, DoubleArray

_RELIABLE = 0.3            # global C^2 from which a band counts for the line
_LARGEST_B = 400.0         # Å^2
_FEWEST_BANDS = 2


def relative_slope(bands: BandFilter, coefficients: dict[str, ComplexArray],
                   n_low: int) -> float:
    """Slope over t^2 of ln(reference amplitude / observed amplitude), noise apart.

    Parameters
    ----------
    bands : BandFilter
    coefficients : dict of str to array
        Sorted, of "average", "reference" and, with halves, "difference".
    n_low : int
        Bands that are coarser than 12 Å: they do not count.

    Returns
    -------
    float
        0 where too few bands hold signal; D^2 / 4 times it is a difference in B.
    """
    observed, reference = (_power(bands, coefficients[name]) for name in ("average", "reference"))
    signal = observed.copy()
    if "difference" in coefficients:
        signal -= _power(bands, coefficients["difference"])
    band = np.arange(bands.n_bands)
    used = (band >= n_low) & (band < bands.n_bands - 1) & (reference > 0)
    used &= (observed > 0) & (signal > _RELIABLE * observed)
    if np.count_nonzero(used) < _FEWEST_BANDS:
        return 0.0
    ratio = 0.5 * np.log(reference[used] / signal[used])
    slope = float(np.polyfit((band[used] + 0.5) ** 2, ratio, 1)[0])
    limit = _LARGEST_B / 4 / bands.window**2
    return float(np.clip(slope, -limit, limit))


def flatten(bands: BandFilter, coefficients: dict[str, ComplexArray], slope: float) -> None:
    """Give the observed maps the reference's fall-off, in place."""
    if slope == 0:
        return
    reach = np.minimum(bands.position, bands.n_bands)
    curve = np.exp(np.float32(slope) * reach * reach)
    for name in ("average", "difference"):
        if name in coefficients:
            coefficients[name] *= curve


def _power(bands: BandFilter, coefficients: ComplexArray) -> DoubleArray:
    """Sum of |F|^2 over the coefficients of each integer part of t."""
    squares = np.square(coefficients.real)
    squares += np.square(coefficients.imag)
    starts = bands.starts
    return np.array([squares[low:high].sum(dtype=np.float64)
                     for low, high in zip(starts[:-1], starts[1:], strict=True)])
