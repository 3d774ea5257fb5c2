"""Half maps and single maps as observation; maps are simulated or drawn, and say so by name."""

import gzip
from pathlib import Path

import gemmi
import numpy as np
import pytest
from scipy.spatial import cKDTree

from locscale_hybrid.errors import InputError
from locscale_hybrid.fourier.space import FourierSpace, real_product, squared_modulus
from locscale_hybrid.inputs.half_maps import (
    coloured_noise,
    correlate,
    observe_halves,
    observe_one,
    read_companion,
    read_observed,
    refuse_mask,
    solvent_noise,
    solvent_region,
    without_solvent_mean,
)
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.maps.mrc import read_map, write_map
from locscale_hybrid.parameters import HybridInputs, HybridParameters
from tests.synthetic import box_centre, density, half_maps, small_model

DATA = Path(__file__).parents[1] / "data"
EXAMPLES = Path(__file__).parents[2] / "examples" / "data"
SHAPE, VOXEL = (40, 42, 44), 1.2


@pytest.fixture(scope="module")
def halves():
    structure = small_model(36, centre=box_centre(SHAPE, VOXEL))
    return half_maps(structure, SHAPE, VOXEL, 4.0, seed=1)[:2]


def noise(shape=SHAPE, seed=1, sigma=1.0):
    return np.random.default_rng(seed).normal(0, sigma, shape).astype(np.float32)


def draw(name="a", seed=1, origin=(0.0, 0.0, 0.0), voxel=VOXEL, shape=SHAPE):
    return Map(noise(shape, seed), Grid(shape, (voxel,) * 3, origin), name)


def write(folder, *maps):
    paths = [folder / f"{volume.name}.mrc" for volume in maps]
    for path, volume in zip(paths, maps, strict=True):
        write_map(path, volume)
    return paths


def test_solvent_region_is_outside_the_inscribed_ellipsoid():
    region = solvent_region((40, 60, 80))
    z, y, x = np.ogrid[:40, :60, :80]
    expected = ((z - 20) / 20) ** 2 + ((y - 30) / 30) ** 2 + ((x - 40) / 40) ** 2 > 1
    assert np.array_equal(region, expected)
    assert region.mean() == pytest.approx(1 - np.pi / 6, abs=0.02)


def test_solvent_mean_is_zero_whatever_constant_was_added(halves):
    first = without_solvent_mean(halves[0])
    second = without_solvent_mean(halves[0].with_values(halves[0].values + np.float32(7)))
    region = solvent_region(SHAPE)
    assert abs(first.values[region].mean()) < 1e-6
    assert np.abs(first.values - second.values).max() < 1e-5 * first.values.max()


def test_average_and_difference_of_two_halves(halves):
    observed = observe_halves(*halves)
    assert observed.kind == "halves"
    a, b = (without_solvent_mean(half).values.astype(np.float64) for half in halves)
    assert np.abs(observed.average.values - (a + b) / 2).max() < 1e-6
    assert np.abs(observed.half_difference - (a - b) / 2).max() < 1e-6
    assert np.array_equal(observed.half_1.values, without_solvent_mean(halves[0]).values)


def test_inputs_are_not_changed(halves):
    before = halves[0].values.copy()
    observe_halves(*halves)
    observe_one(halves[0], np.random.default_rng(1))
    assert np.array_equal(halves[0].values, before)


def test_solvent_noise_of_white_noise_is_flat_and_right():
    volume = without_solvent_mean(draw())
    blob = np.zeros(SHAPE, np.float32)
    blob[12:28, 13:29, 14:30] = 5 * noise((16, 16, 16), 2)
    power = solvent_noise(volume.with_values(volume.values + blob))
    # mean |N|^2 of white noise of unit variance is the number of voxels
    assert power[2:].mean() / volume.values.size == pytest.approx(1.0, abs=0.05)
    assert power[2:].std() / power[2:].mean() < 0.3


def test_pseudo_halves_have_the_mean_and_the_noise_of_real_ones(halves):
    full = Map((halves[0].values + halves[1].values) / 2, halves[0].grid, "full")
    observed = observe_one(full, np.random.default_rng(3))
    assert observed.kind == "pseudo-halves"
    mean = (observed.half_1.values + observed.half_2.values) / 2
    assert np.abs(mean - observed.average.values).max() < 1e-6
    space = FourierSpace(full.grid)
    real = observe_halves(*halves).half_difference
    ratio = (
        space.power(space.forward(observed.half_difference))[3:].sum()
        / space.power(space.forward(real))[3:].sum()
    )
    assert ratio == pytest.approx(1.0, abs=0.1)


def test_pseudo_halves_share_the_signal_and_not_the_noise(halves):
    full = Map((halves[0].values + halves[1].values) / 2, halves[0].grid, "full")
    observed = observe_one(full, np.random.default_rng(3))
    space = FourierSpace(full.grid)
    first, second = (space.forward(half.values) for half in (observed.half_1, observed.half_2))
    fine = slice(int(0.8 * space.n_shells), None)  # noise alone there
    shared = space.shell_sum(real_product(first, second))[fine].sum()
    assert abs(shared) < 0.1 * space.shell_sum(squared_modulus(first))[fine].sum()


def test_pseudo_halves_depend_on_the_seed_alone(tmp_path, halves):
    (path,) = write(tmp_path, halves[0])
    runs = [
        read_observed(HybridInputs(full_map=path), HybridParameters(seed=seed))[0]
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(runs[0].half_1.values, runs[1].half_1.values)
    assert not np.array_equal(runs[0].half_1.values, runs[2].half_1.values)


@pytest.fixture(scope="module")
def coloured():
    """Simulated: one map of a particle in noise that falls tenfold towards Nyquist."""
    shape = (80, 84, 88)
    structure = small_model(90, centre=box_centre(shape, VOXEL))
    signal = density(structure, Grid(shape, (VOXEL,) * 3), blur=60.0)
    space = FourierSpace(Grid(shape, (VOXEL,) * 3))
    power = np.prod(shape) * (0.3 * signal.std()) ** 2 * 10 ** -np.linspace(0, 1, space.n_shells)
    drawn = coloured_noise(space, power, np.random.default_rng(4))
    return Map((signal + drawn).astype(np.float32), space.grid, "full"), power


def masked(volume, radius, edge=4.0):
    """A map under a sphere with a soft edge, radii in voxels."""
    z, y, x = np.ogrid[tuple(slice(0, n) for n in volume.grid.shape)]
    c, b, a = (n // 2 for n in volume.grid.shape)
    distance = np.sqrt((z - c) ** 2 + (y - b) ** 2 + (x - a) ** 2)
    return volume.with_values(
        volume.values * np.clip((radius - distance) / edge, 0, 1).astype(np.float32)
    )


@pytest.mark.parametrize("radius", [None, 38])
def test_solvent_noise_is_within_15_percent_in_every_shell_masked_by_a_sphere_or_not(
    coloured, radius
):
    volume, power = coloured
    given = volume if radius is None else masked(volume, radius)
    space = FourierSpace(volume.grid)
    found = solvent_noise(without_solvent_mean(given))
    sampled = space.count > 500  # of those below, noise itself differs by more
    assert sampled.sum() > 30
    assert found[sampled] == pytest.approx(power[sampled], rel=0.15)


def test_a_map_masked_to_its_particle_has_no_solvent(coloured):
    assert solvent_noise(without_solvent_mean(masked(coloured[0], 22))) is None


def test_noise_of_betagalactosidase_is_that_of_the_solvent_near_it():
    volume = read_map(DATA / "betaGal.mrc.gz")
    with gzip.open(DATA / "5a1a_in_betaGal.cif.gz", "rt") as file:
        atoms = gemmi.make_structure_from_block(gemmi.cif.read_string(file.read())[0])[0].all()
    voxels = np.argwhere(np.ones(volume.grid.shape, dtype=bool))[::7]
    tree = cKDTree([site.atom.pos.tolist() for site in atoms])
    away, _ = tree.query(volume.grid.position_of(voxels), distance_upper_bound=60.0)
    solvent = volume.values[tuple(voxels[(away > 25) & np.isfinite(away)].T)]
    noise = observe_one(volume, np.random.default_rng(1)).half_difference
    assert noise.std() == pytest.approx(solvent.std(), rel=0.15)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (EXAMPLES / "emd_3488.mrc.gz", "single"),
        (DATA / "6272_crop.mrc.gz", "single"),
        (DATA / "emd20026_O_1.3A.mrc.gz", "single"),
        (DATA / "2566_3J6B_9.mrc.gz", "single"),
        (DATA / "emd_6824.mrc.gz", "pseudo-halves"),
        (DATA / "betaGal.mrc.gz", "pseudo-halves"),
    ],
)
def test_real_maps_give_pseudo_halves_only_where_their_solvent_holds_noise(path, kind):
    assert observe_one(read_map(path), np.random.default_rng(1)).kind == kind


def test_a_box_full_of_density_has_no_solvent():
    assert solvent_noise(without_solvent_mean(draw())) is None
    observed = observe_one(draw(), np.random.default_rng(1))
    assert (observed.kind, observed.half_1, observed.half_difference) == ("single", None, None)


def test_halves_are_read_with_frame_and_findings(tmp_path):
    paths = write(tmp_path, draw("a", 1, (5.0, -6.0, 7.0)), draw("b", 2, (5.0, -6.0, 7.0)))
    inputs = HybridInputs(half_map_1=paths[0], half_map_2=paths[1])
    observed, frame, findings = read_observed(inputs, HybridParameters())
    assert observed.kind == "halves"
    assert frame.origin == (5.0, -6.0, 7.0)
    assert findings == []
    _, frame, findings = read_observed(inputs, HybridParameters(voxel_size=1.3))
    assert frame.voxel_size == pytest.approx((1.3, 1.3, 1.3))
    assert [finding.code for finding in findings] == ["voxel-size-override"] * 2


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            draw("b", 2, shape=(40, 42, 46)),
            r"half maps differ in box: 44 x 42 x 40 voxels in a\.mrc and 46 x 42 x 40 in b\.mrc",
        ),
        (
            draw("b", 2, voxel=1.25),
            r"differ in voxel size: 1\.2 Å in a\.mrc and 1\.25 Å in b\.mrc\. Give the voxel size",
        ),
        (
            draw("b", 2, origin=(0.0, 0.0, 3.0)),
            r"differ in origin: \(0, 0, 0\) Å in a\.mrc and \(0, 0, 3\) Å in b\.mrc\. Set ORIGIN",
        ),
        (draw("b", 1), r"a\.mrc and b\.mrc are the same map \(correlation 1\.000000\)"),
    ],
)
def test_halves_that_do_not_go_together_are_refused(tmp_path, other, words):
    paths = write(tmp_path, draw("a"), other)
    with pytest.raises(InputError, match=words):
        read_observed(HybridInputs(half_map_1=paths[0], half_map_2=paths[1]), HybridParameters())


def test_one_file_given_twice_is_refused_also_through_a_link(tmp_path):
    (path,) = write(tmp_path, draw("a"))
    (tmp_path / "link.mrc").symlink_to(path)
    for second in (path, tmp_path / "link.mrc"):
        with pytest.raises(InputError, match=r"was given for both half maps"):
            read_observed(HybridInputs(half_map_1=path, half_map_2=second), HybridParameters())


def test_copy_that_was_scaled_and_shifted_in_value_is_the_same_map(tmp_path):
    paths = write(tmp_path, draw("a"), draw("b").with_values(3 * noise() + 1))
    with pytest.raises(InputError, match="are the same map"):
        read_observed(HybridInputs(half_map_1=paths[0], half_map_2=paths[1]), HybridParameters())


def soft_mask():
    z, y, x = np.ogrid[:40, :42, :44]
    radius = np.sqrt((z - 20) ** 2 + (y - 21) ** 2 + (x - 22) ** 2)
    return np.clip((14 - radius) / 6, 0, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((soft_mask() > 0.5).astype(np.float32), "only 2 different values, 0 to 1: it is a mask"),
        (np.rint(3 + 20 * soft_mask()).astype(np.float32), "only 21 different values, 3 to 23"),
        (soft_mask(), r"looks like a mask: its values go from 0 to 1, 8\d % are 0"),
    ],
)
def test_mask_or_label_map_given_as_density_is_refused(tmp_path, values, words):
    paths = write(tmp_path, Map(values, Grid(SHAPE, (1.0, 1.0, 1.0)), "m"))
    with pytest.raises(InputError, match=words):
        read_observed(HybridInputs(full_map=paths[0]), HybridParameters())


@pytest.mark.parametrize(
    "path",
    [EXAMPLES / "emd_3488.mrc.gz", *sorted(DATA.glob("*.mrc.gz"))],
    ids=lambda path: path.name,
)
def test_no_real_density_map_is_taken_for_a_mask(path):
    refuse_mask(read_map(path))


def test_companion_takes_the_grid_of_the_map_and_must_stand_on_it(tmp_path):
    volume = draw("a")
    (path,) = write(tmp_path, Map(soft_mask(), volume.grid, "mask"))
    companion = read_companion(path, volume, "mask").map
    assert companion.grid == volume.grid
    assert np.array_equal(companion.values, soft_mask())
    with pytest.raises(InputError, match=r"map and mask differ in voxel size: 1\.3 Å in c"):
        read_companion(path, draw("c", voxel=1.3), "mask")


def test_companion_of_ones_is_one_of_the_whole_box(tmp_path):
    volume = draw("a")
    (path,) = write(tmp_path, Map(np.ones_like(volume.values), volume.grid, "mask"))
    assert (read_companion(path, volume, "mask").map.values == 1).all()


def test_voxel_size_that_was_given_counts_for_companions_too(tmp_path):
    volume = draw("a", voxel=1.3)
    wrong = draw("b", voxel=1.0)
    (path,) = write(tmp_path, Map(soft_mask(), wrong.grid, "mask"))
    with pytest.raises(InputError, match=r"Give the voxel size"):
        read_companion(path, volume, "mask")
    assert read_companion(path, volume, "mask", voxel_size=1.3).map.grid == volume.grid


def test_correlation_is_numpys():
    a, b = noise(seed=1), noise(seed=1) + noise(seed=2)
    assert correlate(a, b) == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1], abs=1e-6)
    assert correlate(a, np.ones_like(a)) == 0.0
