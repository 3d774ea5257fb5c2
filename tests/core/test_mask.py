"""The confidence mask: what it finds, what it leaves, what it says."""

import numpy as np
import pytest
from numpy.random import default_rng
from scipy import special
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from locscale_hybrid.errors import InputError
from locscale_hybrid.inputs.half_maps import ObservedMaps
from locscale_hybrid.inputs.outer_mask import OuterMask
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.masking.mask import Mask, confidence_mask, discovery_threshold, significance
from tests.synthetic import box_centre, half_maps, small_model

SHAPE, VOXEL, RESOLUTION = (56, 60, 64), 1.2, 3.5


def observe(half_1, half_2, kind="halves"):
    average = half_1.with_values((half_1.values + half_2.values) / 2, "average")
    return ObservedMaps(average, half_1, half_2, kind)


def single(volume):
    return ObservedMaps(volume, None, None, "single")


@pytest.fixture(scope="module")
def particle():
    structure = small_model(90, centre=box_centre(SHAPE, VOXEL))
    half_1, half_2, _ = half_maps(structure, SHAPE, VOXEL, RESOLUTION, seed=3, blur=80)
    return observe(half_1, half_2), np.array([s.atom.pos.tolist() for s in structure[0].all()])


@pytest.fixture(scope="module")
def mask(particle):
    return confidence_mask(particle[0], fdr=0.01, resolution=RESOLUTION)


def near_atoms(grid, positions, radius):
    voxels = grid.position_of(np.argwhere(np.ones(grid.shape, bool)))
    return (cKDTree(positions).query(voxels)[0] <= radius).reshape(grid.shape)


def noise(seed, shape=(40, 40, 40), voxel=1.5):
    rng, grid = default_rng(seed), Grid(shape, (voxel,) * 3)
    return observe(
        *(Map(rng.standard_normal(shape).astype(np.float32), grid, f"half {i}") for i in (1, 2))
    )


def test_at_most_2_percent_within_3_angstrom_of_atoms_are_outside(particle, mask):
    near = near_atoms(mask.grid, particle[1], 3.0)
    assert (~mask.solid[near]).mean() < 0.02
    assert mask.coverage(particle[1]) == 1.0


def test_the_mask_stays_within_12_angstrom_of_the_particle(particle, mask):
    assert not mask.solid[~near_atoms(mask.grid, particle[1], 12.0)].any()


def test_pure_noise_has_no_mask_in_95_percent_of_seeds():
    empty = 0
    for seed in range(40):
        try:
            confidence_mask(noise(seed), fdr=0.01, resolution=4.0)
        except InputError:
            empty += 1
    assert empty >= 38


def test_pure_noise_is_refused_with_what_to_do():
    with pytest.raises(
        InputError, match=r"no density rises above the noise of average.*`fdr`.*`mask`"
    ):
        confidence_mask(noise(1), fdr=0.01, resolution=4.0)


def test_a_half_map_of_noise_leaves_a_mask_against_the_solvent_and_a_warning(particle, mask):
    drawn = default_rng(2).normal(0, particle[0].half_1.values.std(), SHAPE).astype(np.float32)
    pair = observe(particle[0].half_1, particle[0].half_2.with_values(drawn))
    result = confidence_mask(pair, fdr=0.01, resolution=RESOLUTION)
    assert result.origin == "false discovery rate 0.01 against the solvent"
    assert result.coverage(particle[1]) > 0.95
    (finding,) = result.findings
    assert (finding.code, finding.level) == ("halves-differ", "warning")
    assert "half maps differ as much as they agree" in finding.message
    assert "Check the pair." in finding.message


def test_scaling_the_map_by_1000_changes_nothing(particle, mask):
    halves = [
        half.with_values(half.values * np.float32(1000))
        for half in (particle[0].half_1, particle[0].half_2)
    ]
    scaled = confidence_mask(observe(*halves), fdr=0.01, resolution=RESOLUTION)
    assert np.array_equal(scaled.solid, mask.solid)


def test_a_stricter_rate_gives_a_mask_strictly_inside(particle):
    strict, loose = (
        confidence_mask(particle[0], fdr=fdr, resolution=RESOLUTION).solid for fdr in (0.001, 0.05)
    )
    assert not (strict & ~loose).any()
    assert strict.sum() < loose.sum()


def test_volume_and_mass_are_those_of_the_solid_part(mask):
    assert mask.volume == pytest.approx(mask.solid.sum() * VOXEL**3)
    assert mask.mass == pytest.approx(mask.volume * 0.81e-3)


def test_soft_edge_is_a_cosine_of_6_voxels():
    values = np.zeros((40, 40, 40), np.float32)
    values[:, :, 10:20] = 1
    grid = Grid(values.shape, (1.0, 1.0, 1.0))
    result = confidence_mask(
        single(Map(values, grid)),
        fdr=0.01,
        resolution=4.0,
        user_mask=Map(values, grid, "given.mrc"),
    )
    expected = 0.5 + 0.5 * np.cos(np.pi * np.arange(7) / 6)
    assert result.soft[20, 20, 19:26] == pytest.approx(expected, abs=1e-6)
    assert (result.soft[:, :, 10:20] == 1).all()
    assert result.origin == "given: given.mrc"


def test_threshold_is_that_of_sorted_p_values():
    rng = default_rng(5)
    scores = np.concatenate([rng.normal(0, 1, 9000), rng.normal(4, 1, 1000)]).astype(np.float32)
    p = np.sort(special.ndtr(-scores.astype(np.float64)))
    accepted = np.flatnonzero(p <= 0.01 * np.arange(1, 10001) / 10000)[-1] + 1
    threshold = discovery_threshold(scores.reshape(10, 10, 100), 0.01)
    found = np.count_nonzero(scores >= threshold)
    exact = np.sort(scores)[::-1][accepted - 1]
    assert 0 <= threshold - exact <= 1 / 200 + 1e-6
    assert 0 <= accepted - found < 10


def test_nothing_significant_has_an_infinite_threshold():
    assert discovery_threshold(np.full((4, 4, 4), -1.0, np.float32), 0.01) == float("inf")


def test_scores_of_noise_have_unit_variance():
    scores = significance(noise(2, (48, 48, 48), 1.3), resolution=3.0)
    assert scores.std() == pytest.approx(1.0, abs=0.06)


def test_noise_is_local():
    observed = noise(3, (64, 64, 64), 1.3)
    gain = np.ones((64, 64, 64), np.float32)
    gain[:32] = 4
    louder = observe(
        *(half.with_values(half.values * gain) for half in (observed.half_1, observed.half_2))
    )
    scores = significance(louder, resolution=3.0)
    assert scores[10:22].std() / scores[42:54].std() == pytest.approx(1.0, abs=0.15)


def test_a_hole_inside_the_particle_is_filled_and_a_speck_is_dropped():
    grid = Grid((64, 64, 64), (1.2, 1.2, 1.2))
    z, y, x = np.indices(grid.shape) - 32
    radius = np.sqrt(z**2 + y**2 + x**2)
    signal = ((radius < 20) & (radius > 9)).astype(np.float32)
    signal[2:6, 2:6, 2:6] = 1  # 110 Å^3
    rng = default_rng(6)
    halves = [
        Map(signal + rng.normal(0, 0.1, grid.shape).astype(np.float32), grid) for _ in range(2)
    ]
    solid = confidence_mask(observe(*halves), fdr=0.01, resolution=3.0).solid
    assert solid[radius < 20].all()
    assert not solid[:8, :8, :8].any()


def masked_single(radius_voxels=22, n=64):
    grid = Grid((n, n, n), (1.0, 1.0, 1.0))
    z, y, x = np.indices(grid.shape) - n // 2
    inside = z**2 + y**2 + x**2 < radius_voxels**2
    blobs = gaussian_filter(default_rng(7).standard_normal(grid.shape), 1.5)
    return Map(np.where(inside, blobs, 0).astype(np.float32), grid, "masked.mrc"), inside


def test_a_masked_map_gives_its_nonzero_part_and_a_finding():
    volume, inside = masked_single()
    result = confidence_mask(single(volume), fdr=0.01, resolution=3.0)
    assert (result.solid & ~inside).sum() < 0.02 * inside.sum()
    assert (inside & ~result.solid).sum() < 0.02 * inside.sum()
    (finding,) = result.findings
    assert finding.code == "masked-input"
    assert "your maps look masked" in finding.message
    assert "Give unmasked half maps" in finding.message


def test_halves_masked_tightly_give_their_nonzero_part(particle):
    near = near_atoms(particle[0].average.grid, particle[1], 3.0)
    halves = [
        half.with_values(half.values * near) for half in (particle[0].half_1, particle[0].half_2)
    ]
    result = confidence_mask(observe(*halves), fdr=0.01, resolution=RESOLUTION)
    assert result.origin == "the part of the map that is not zero"
    assert (~result.solid[near]).mean() < 0.02


def test_halves_masked_by_a_wide_sphere_are_judged_by_their_noise(particle, mask):
    z, y, x = np.indices(SHAPE) - np.array(SHAPE)[:, None, None, None] // 2
    sphere = z**2 + y**2 + x**2 < 27**2
    halves = [
        half.with_values(half.values * sphere) for half in (particle[0].half_1, particle[0].half_2)
    ]
    result = confidence_mask(observe(*halves), fdr=0.01, resolution=RESOLUTION)
    assert result.origin.startswith("false discovery rate")
    assert (result.solid != mask.solid).mean() < 0.02


def test_one_map_is_judged_by_its_quiet_boxes(particle):
    shape = (96, 96, 96)
    structure = small_model(90, centre=box_centre(shape, VOXEL))
    half_1, half_2, _ = half_maps(structure, shape, VOXEL, RESOLUTION, seed=3, blur=80)
    average = half_1.with_values((half_1.values + half_2.values) / 2)
    result = confidence_mask(single(average), fdr=0.01, resolution=RESOLUTION)
    expected = confidence_mask(observe(half_1, half_2), fdr=0.01, resolution=RESOLUTION)
    assert result.origin == "false discovery rate 0.01 against the solvent"
    assert result.volume == pytest.approx(expected.volume, rel=0.1)


def test_one_map_without_solvent_gives_the_whole_box_and_says_so():
    values = gaussian_filter(default_rng(8).standard_normal((40, 40, 40)), 1.5)
    volume = Map(values.astype(np.float32), Grid(values.shape, (1.0, 1.0, 1.0)))
    result = confidence_mask(single(volume), fdr=0.01, resolution=3.0)
    assert result.solid.all()
    assert [finding.code for finding in result.findings] == ["no-noise"]
    assert "Give two half maps" in result.findings[0].message


def user_mask(values, voxel=1.0):
    grid = Grid(values.shape, (voxel,) * 3)
    return Map(values.astype(np.float32), grid, "mine.mrc")


def blank(n=24):
    return single(user_mask(default_rng(9).standard_normal((n, n, n))))


def test_a_soft_user_mask_is_taken_as_it_is():
    values = np.linspace(0, 1, 24)[:, None, None] * np.ones((24, 24, 24))
    result = confidence_mask(blank(), fdr=0.01, resolution=3.0, user_mask=user_mask(values))
    assert result.soft == pytest.approx(values, abs=1e-6)
    assert np.array_equal(result.solid, values >= 0.5)


def test_a_user_mask_of_another_box_is_refused():
    with pytest.raises(InputError, match=r"mine.mrc has box 30 x 30 x 30.*resample the mask"):
        confidence_mask(blank(), fdr=0.01, resolution=3.0, user_mask=user_mask(np.ones((30,) * 3)))


def test_a_map_in_place_of_a_user_mask_is_refused():
    with pytest.raises(InputError, match=r"runs from .* to .*; a mask runs from 0 to 1"):
        confidence_mask(
            blank(),
            fdr=0.01,
            resolution=3.0,
            user_mask=user_mask(default_rng(0).normal(0, 3, (24,) * 3)),
        )


def test_an_empty_user_mask_is_refused():
    with pytest.raises(InputError, match=r"mine.mrc is empty: no voxel reaches 0.5"):
        confidence_mask(blank(), fdr=0.01, resolution=3.0, user_mask=user_mask(np.zeros((24,) * 3)))


def test_coverage_of_no_positions_is_none():
    whole = np.ones((4, 4, 4), bool)
    empty = Mask(Grid((4, 4, 4), (1.0, 1.0, 1.0)), whole, whole.astype(np.float32), "all")
    assert empty.coverage(np.empty((0, 3))) == 0.0


@pytest.mark.parametrize("wide", [True, False])
def test_a_map_without_noise_to_measure_is_all_mask_and_masked_only_if_it_was_tightly(wide):
    grid = Grid((40, 40, 40), (1.2,) * 3)
    z, y, x = np.indices(grid.shape) - 20
    ball = z**2 + y**2 + x**2 < 17**2
    loud = (default_rng(1).standard_normal(grid.shape) * ball).astype(np.float32)
    outer = OuterMask(0.6, 0.5, ball, ball & wide, 0.5 * wide)
    observed = ObservedMaps(Map(loud, grid, "loud"), None, None, "single", outer)
    mask = confidence_mask(observed, fdr=0.01, resolution=4.0)
    (finding,) = mask.findings
    assert np.mean(mask.solid != ball) < 0.01
    assert finding.code == ("no-noise" if wide else "masked-input")
    if wide:
        assert "cannot be separated from its density, so all of it is the mask" in finding.message
