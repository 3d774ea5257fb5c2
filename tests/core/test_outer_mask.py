"""The mask that a map came with; particles, noise and windows are simulated."""

import numpy as np
import pytest
from scipy import ndimage

from locscale_hybrid.fourier.space import FourierSpace
from locscale_hybrid.inputs.checks import check_inputs
from locscale_hybrid.inputs.half_maps import (
    ObservedMaps,
    coloured_noise,
    observe_halves,
    observe_one,
)
from locscale_hybrid.inputs.outer_mask import outer_mask
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.masking.mask import confidence_mask
from tests.synthetic import box_centre, density, half_maps, small_model

SHAPE, VOXEL = (72, 72, 72), 1.0
GRID = Grid(SHAPE, (VOXEL,) * 3)


@pytest.fixture(scope="module")
def particle():
    return small_model(54, centre=box_centre(SHAPE, VOXEL))


@pytest.fixture(scope="module")
def halves(particle):
    return half_maps(particle, SHAPE, VOXEL, 3.5, 1, blur=60.0)[:2]


@pytest.fixture(scope="module")
def streaked(particle):
    """Halves whose noise is that of a reconstruction: strong in the coarsest shells, no solvent."""
    space = FourierSpace(GRID)
    signal = density(particle, GRID, blur=100.0)
    s = space.frequency
    power = (s + 0.02) * (1 + 4 * np.exp(-((s / 0.03) ** 2))) / (0.5 - 0.4 * np.exp(-(s / 0.1)))
    power *= GRID.size * (0.15 * signal.std()) ** 2 / power.mean()
    rng = np.random.default_rng(7)
    return [
        Map((signal + coloured_noise(space, power, rng)).astype(np.float32), GRID, f"half {i}")
        for i in (1, 2)
    ]


def radius_in(axes):
    z, y, x = np.indices(SHAPE) - np.array(SHAPE)[:, None, None, None] // 2
    return np.sqrt(sum(part**2 for part, use in zip((z, y, x), axes, strict=True) if use))


def cosine(radius, edge, axes=(1, 1, 1)):
    """1 within radius - edge of the centre, 0 beyond the radius, in voxels."""
    part = np.clip((radius_in(axes) - (radius - edge)) / edge, 0, 1)
    return (0.5 + 0.5 * np.cos(np.pi * part)).astype(np.float32)


def under(halves, mask, level=0.0):
    return [
        half.with_values(half.values * mask + np.float32(level) * (1 - mask), half.name)
        for half in halves
    ]


def codes(halves):
    return {finding.code for finding in check_inputs(observe_halves(*halves))}


@pytest.mark.parametrize("edge", [3, 6, 9])
def test_noise_is_whole_inside_the_soft_edge_of_a_sphere(halves, edge):
    windowed = under(halves, cosine(35, edge))
    for observed in (observe_halves(*windowed), observe_one(windowed[0], np.random.default_rng(1))):
        outer = observed.outer
        inside = cosine(35, edge)[outer.inside]
        assert inside.min() > 0.8
        # 90 % of a cosine edge is where a fifth of it is left
        assert outer.edge == pytest.approx(0.8 * edge, abs=2)
        assert outer.blank == pytest.approx((radius_in((1, 1, 1)) > 35).mean(), abs=0.02)


def test_a_box_of_noise_has_no_mask(halves):
    assert outer_mask(halves[0].values, GRID) is None


@pytest.mark.parametrize("radius", [35, 30])
@pytest.mark.parametrize("level", [0.0, 0.3])
def test_a_sphere_round_the_box_is_a_note_whatever_fills_the_corners(
    halves, streaked, radius, level
):
    for pair in (halves, streaked):
        windowed = under(pair, cosine(radius, 5), level * pair[0].values.std())
        assert codes(windowed) == {"spherical-mask"}


def test_a_cylinder_is_a_note(halves):
    assert codes(under(halves, cosine(32, 5, (0, 1, 1)))) == {"spherical-mask"}


def test_a_sphere_inside_a_cylinder_is_a_note(halves):
    both = cosine(33, 5, (0, 1, 1)) * cosine(35, 5)
    assert codes(under(halves, both)) == {"spherical-mask"}


def test_a_sphere_tight_round_the_particle_is_a_warning(particle, halves):
    positions = np.array([site.atom.pos.tolist() for site in particle[0].all()])
    farthest = np.linalg.norm(positions - box_centre(SHAPE, VOXEL), axis=1).max()
    assert "masked-input" in codes(under(halves, cosine(farthest + 4, 4)))


def test_a_mask_of_the_shape_of_the_particle_is_a_warning(particle, halves):
    truth = density(particle, GRID)
    shape = ndimage.gaussian_filter(
        ndimage.binary_dilation(truth > 0.2 * truth.max(), iterations=3).astype(float), 1.0
    )
    tight = np.where(shape > 0.02, shape, 0).astype(np.float32)
    assert "masked-input" in codes(under(halves, tight))


def test_the_noise_of_pseudo_halves_does_not_see_the_edge_of_the_sphere(halves):
    full = Map((halves[0].values + halves[1].values) / 2, GRID, "full")
    sphere = full.with_values(full.values * cosine(35, 8))
    plain, windowed = (observe_one(volume, np.random.default_rng(3)) for volume in (full, sphere))
    assert windowed.kind == "pseudo-halves"
    ratio = windowed.half_difference.std() / plain.half_difference.std()
    assert ratio == pytest.approx(1.0, abs=0.03)


def test_the_solvent_mean_is_that_inside_the_sphere(halves):
    shifted = [
        half.with_values(half.values + np.float32(half.values.std()), half.name) for half in halves
    ]
    plain = observe_halves(*shifted).average.values
    windowed = observe_halves(*under(shifted, cosine(35, 5))).average.values
    whole = cosine(35, 5) == 1
    assert windowed[whole] == pytest.approx(plain[whole], abs=0.01 * float(plain.std()))


def test_the_mask_of_windowed_halves_is_that_of_the_whole_box(halves):
    masks = [
        confidence_mask(observe_halves(*pair), fdr=0.01, resolution=3.5).solid
        for pair in (halves, under(halves, cosine(35, 8)))
    ]
    shared = (masks[0] & masks[1]).sum()
    # fewer voxels are tested inside the sphere, so a few more are accepted
    assert shared > 0.95 * max(mask.sum() for mask in masks)


def test_a_mask_without_solvent_leaves_the_maps_as_before(halves):
    tight = under(halves, cosine(16, 4))
    observed = observe_halves(*tight)
    assert not observed.outer.has_solvent
    before = ObservedMaps(observed.average, observed.half_1, observed.half_2, "halves")
    masks = [confidence_mask(maps, fdr=0.01, resolution=3.5).solid for maps in (observed, before)]
    assert np.array_equal(*masks)
