"""The list of coefficients that refinement works on."""

import numpy as np

from locscale_hybrid.fourier.resolution_range import Band
from locscale_hybrid.maps.grid import Grid


def test_a_curve_is_computed_once():
    band = Band(Grid((24, 24, 24), (1.0, 1.0, 1.0)), 3.0)
    asked = []

    def curve(s_squared):
        asked.append(1)
        return np.exp(-s_squared)

    first, second = band.once("decay", curve), band.once("decay", curve)
    assert first is second and asked == [1]
    np.testing.assert_array_equal(first, np.exp(-band.s_squared))
