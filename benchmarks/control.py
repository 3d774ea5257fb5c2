"""The no-data control: what a weight shows at the resolution limit when there is nothing.

All coefficients of both half maps finer than 1.2 d_min are replaced by noise of the power that the
halves' difference has in each shell, and of its symmetry: a reconstruction imposes the point group
on its noise too, and averaging the result over the group must not thin it out.  Nothing of the
particle is left at d_min: any FSC with the truth there has been invented.
"""

import numpy as np

from locscale_hybrid.fourier.space import FourierSpace, squared_modulus
from locscale_hybrid.inputs.half_maps import ObservedMaps
from locscale_hybrid.maps.grid import Map
from locscale_hybrid.symmetry.operators import Symmetry, average_map

COARSER = 1.2  # d_min, where the data end
DRAWS = (3, 11, 12)  # seeds; figures are means of these


def without_data(
    observed: ObservedMaps, d_min: float, seed: int, symmetry: Symmetry | None
) -> ObservedMaps:
    """Put noise in place of data at and near the resolution limit."""
    assert observed.half_1 is not None and observed.half_2 is not None
    space = FourierSpace(observed.average.grid)
    halves = [space.forward(half.values) for half in (observed.half_1, observed.half_2)]
    variance = space.shell_mean(squared_modulus(halves[0] - halves[1])) / 2
    replaced = space.s_squared > 1 / (COARSER * d_min) ** 2
    # white noise of unit variance has the power `size` in every coefficient
    level = space.spread(np.sqrt(variance / observed.average.values.size))
    rng = np.random.default_rng(seed)
    maps = []
    for half, coefficients in zip((observed.half_1, observed.half_2), halves, strict=True):
        values = rng.standard_normal(half.values.shape, dtype=np.float32)
        if symmetry is not None:
            values = average_map(half.with_values(values), symmetry).values
            values = values / values.std()
        noise = space.forward(values)
        maps.append(
            half.with_values(space.backward(np.where(replaced, noise * level, coefficients)))
        )
    return _observation(observed.average, *maps)


def _observation(average: Map, half_1: Map, half_2: Map) -> ObservedMaps:
    """Two halves and their mean."""
    mean = (half_1.values + half_2.values) / 2
    return ObservedMaps(average.with_values(mean), half_1, half_2, "halves")
