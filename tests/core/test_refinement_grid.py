"""The grid rule: 2.8 to 4.5 voxels to d_min, the same box."""

import numpy as np
import pytest

from locscale_hybrid.fourier.space import FourierSpace
from locscale_hybrid.inputs.half_maps import ObservedMaps
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.refinement.setup import refinement_data, working_grid
from locscale_hybrid.scattering.scatterers import Scatterers


@pytest.mark.parametrize(
    ("voxel", "d_min", "kept"),
    [
        (1.0, 3.0, True),
        (1.0, 2.8, True),
        (1.0, 4.5, True),
        (1.0, 2.5, False),
        (1.0, 4.6, False),
        (3.54, 8.8, False),
        (0.5, 3.0, False),
    ],
)
def test_a_grid_is_kept_where_28_to_45_voxels_span_d_min(voxel, d_min, kept):
    grid = Grid((50, 61, 48), (voxel, voxel, voxel), (1.0, -2.0, 3.0))
    made = working_grid(grid, d_min)
    assert (made == grid) == kept
    assert made.origin == grid.origin
    np.testing.assert_allclose(made.cell, grid.cell)
    assert d_min / max(made.voxel_size) >= 2.8
    assert d_min / min(made.voxel_size) <= 4.5


def test_a_new_grid_has_even_sizes_with_small_factors():
    made = working_grid(Grid((101, 97, 131), (0.6, 0.6, 0.6)), 4.0)
    for size in made.shape:
        assert size % 2 == 0
        for factor in (2, 3, 5):
            while size % factor == 0:
                size //= factor
        assert size == 1


@pytest.mark.parametrize("voxel", [0.6, 1.0, 1.45])
def test_data_are_the_same_whatever_the_sampling_of_the_map(voxel):
    cell = 43.5
    n = round(cell / voxel)
    grid = Grid((n, n, n), (cell / n,) * 3)
    rng = np.random.default_rng(0)
    atoms = Scatterers(grid, rng.uniform(10, 30, (50, 3)), np.full(50, "C"))
    b = np.full(50, 60.0)
    space = FourierSpace(grid)
    volume = Map(space.backward(atoms.structure_factors(b, space)), grid)
    data = refinement_data(ObservedMaps(volume, None, None, "single"), 3.0)
    model = atoms.coefficients(b, data.band)
    assert np.abs(data.average.observed - model).sum() < 2e-3 * np.abs(model).sum()
