"""Filtered, sharpened, masked, unrelated: each made on purpose from simulated halves, or real."""

from pathlib import Path

import numpy as np
import pytest

from locscale_hybrid.errors import InputError
from locscale_hybrid.fourier.space import FourierSpace
from locscale_hybrid.inputs.half_maps import ObservedMaps, observe_halves, observe_one
from locscale_hybrid.inputs.quality import (
    check_quality,
    filter_edge,
    fsc_return,
    spectra_of,
    wilson_b,
)
from locscale_hybrid.maps.grid import Map
from locscale_hybrid.maps.mrc import read_map
from tests.synthetic import box_centre, half_maps, small_model

DATA = Path(__file__).parents[1] / "data"
EXAMPLES = Path(__file__).parents[2] / "examples" / "data"
SHAPE, VOXEL = (60, 60, 60), 1.1


def simulated(seed=1, resolution=3.5, blur=60.0, **options):
    structure = small_model(72, centre=box_centre(SHAPE, VOXEL))
    return half_maps(structure, SHAPE, VOXEL, resolution, seed, blur=blur, **options)[:2]


@pytest.fixture(scope="module")
def halves():
    return simulated()


def filtered(volume, transfer):
    space = FourierSpace(volume.grid)
    coefficients = space.forward(volume.values) * transfer(space.s_squared).astype(np.float32)
    return volume.with_values(space.backward(coefficients))


def quality(observed, resolution=None):
    space = FourierSpace(observed.average.grid)
    spectra = spectra_of(observed, space, space.forward(observed.average.values))
    return {
        finding.code: finding for finding in check_quality(observed, spectra, resolution=resolution)
    }


def soft_sphere(radius, edge=4.0):
    z, y, x = np.ogrid[:60, :60, :60]
    distance = np.sqrt((z - 30.0) ** 2 + (y - 30) ** 2 + (x - 30) ** 2)
    return np.clip((radius + edge - distance) / edge, 0, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("resolution", "blur", "solvent"),
    [(3.0, 60.0, 0.0), (3.5, 100.0, 0.35), (4.0, 60.0, 0.35), (4.4, 30.0, 0.0), (6.0, 120.0, 0.35)],
)
@pytest.mark.parametrize("known", [True, False])
def test_clean_simulated_halves_raise_no_alarm(resolution, blur, solvent, known):
    pair = simulated(resolution=resolution, blur=blur, solvent=solvent)
    assert quality(observe_halves(*pair), resolution if known else None) == {}


def test_clean_simulated_single_map_raises_no_alarm(halves):
    observed = observe_one(halves[0], np.random.default_rng(1))
    assert observed.kind == "pseudo-halves"
    assert quality(observed, 3.5) == {}


def test_emd_3488_is_found_sharpened_masked_and_filtered():
    observed = observe_one(read_map(EXAMPLES / "emd_3488.mrc.gz"), np.random.default_rng(1))
    for resolution in (3.2, None):
        found = quality(observed, resolution)
        assert set(found) == {"sharpened-input", "masked-input", "filtered-input"}
        assert found["masked-input"].values["box_percent"] == pytest.approx(72, abs=1)
        assert found["sharpened-input"].values["wilson_b"] < 25
        assert found["filtered-input"].values["edge_angstrom"] == pytest.approx(3.3, abs=0.2)
        assert all(finding.level == "warning" for finding in found.values())
    assert "72 % of its voxels have one value" in found["masked-input"].message
    assert "Give unsharpened half maps" in found["sharpened-input"].message


def test_sharpened_apoferritin_is_found_sharpened_and_not_masked():
    observed = observe_one(read_map(DATA / "emd20026_O_1.3A.mrc.gz"), np.random.default_rng(1))
    assert set(quality(observed, 2.6)) == {"sharpened-input"}


@pytest.mark.parametrize("resolution", [8.8, None])
def test_unsharpened_beta_galactosidase_in_a_sphere_raises_no_alarm(resolution):
    observed = observe_one(read_map(DATA / "betaGal.mrc.gz"), np.random.default_rng(1))
    assert set(quality(observed, resolution)) == {"spherical-mask"}


def test_sharpened_halves_are_found(halves):
    sharp = [filtered(half, lambda s2: np.exp(120 * s2 / 4)) for half in halves]
    found = quality(observe_halves(*sharp))
    assert set(found) == {"sharpened-input"}
    before = quality_b(observe_halves(*halves))
    assert found["sharpened-input"].values["wilson_b"] == pytest.approx(before - 120, abs=1)


def quality_b(observed):
    space = FourierSpace(observed.average.grid)
    spectra = spectra_of(observed, space, space.forward(observed.average.values))
    return wilson_b(spectra.frequency, spectra.signal, spectra.resolution)


@pytest.mark.parametrize("edge", [3.0, 4.0])
def test_low_pass_filtered_halves_are_found_at_the_edge(halves, edge):
    smooth = [
        filtered(half, lambda s2: 0.5 - 0.49999 * np.tanh(450 * (np.sqrt(s2) - 1 / edge)))
        for half in halves
    ]
    found = quality(observe_halves(*smooth))
    assert found["filtered-input"].values["edge_angstrom"] == pytest.approx(edge, rel=0.1)


def test_masked_halves_are_found_also_when_one_of_them_is_masked(halves):
    mask = soft_sphere(15)
    masked = [half.with_values(half.values * mask, half.name) for half in halves]
    found = quality(observe_halves(*masked))
    assert set(found) == {"masked-input"}
    assert "Give the unmasked half maps" in found["masked-input"].message
    found = quality(observe_halves(halves[0], masked[1]))
    assert found["masked-input"].message.startswith("half 2 looks masked")


def test_blank_corners_are_a_note(halves):
    inside = soft_sphere(30.5, 0.1) > 0.5
    blank = [half.with_values(half.values * inside, half.name) for half in halves]
    found = quality(observe_halves(*blank))
    assert set(found) == {"spherical-mask"}
    assert found["spherical-mask"].level == "note"


def test_halves_that_share_a_filter_beyond_their_noise_are_found(halves):
    common = Map(np.random.default_rng(9).normal(size=SHAPE).astype(np.float32), halves[0].grid)
    fine = filtered(common, lambda s2: s2 > (1 / 2.7) ** 2)
    joined = [half.with_values(half.values + fine.values, half.name) for half in halves]
    found = quality(observe_halves(*joined))
    assert set(found) == {"fsc-returns", "halves-dependent"}
    assert found["fsc-returns"].values["return_angstrom"] == pytest.approx(2.7, abs=0.2)


def test_opposed_halves_are_refused_and_unrelated_ones_found(halves):
    turned = halves[1].with_values(-halves[1].values, "half 2")
    with pytest.raises(
        InputError, match=r"half 1 and half 2 are opposed: .* -0\.9\d.*Multiply that one"
    ):
        quality(observe_halves(halves[0], turned))
    other = halves[1].with_values(
        np.ascontiguousarray(halves[1].values.transpose(2, 0, 1)), "other"
    )
    with pytest.raises(InputError, match="other is turned against half 1: turned by 120° about"):
        quality(observe_halves(halves[0], other))
    noise = np.random.default_rng(4).normal(0, 0.1, SHAPE).astype(np.float32)
    found = quality(observe_halves(halves[0], halves[1].with_values(noise, "noise")))
    assert "share little" in found["halves-unrelated"].message


def test_wilson_b_of_a_gaussian_fall_is_its_b():
    frequency = np.linspace(0, 0.5, 100)
    power = 7.0 * np.exp(-2 * 80.0 * frequency**2 / 4)  # amplitudes, hence B/4, squared
    assert wilson_b(frequency, power, 3.0) == pytest.approx(80.0, rel=1e-6)
    assert wilson_b(frequency, power, 9.9) is None


def test_edge_is_where_power_falls_a_thousandfold_and_not_by_a_gaussian():
    frequency = np.linspace(0, 0.5, 100)
    smooth = np.exp(-2 * 150.0 * frequency**2 / 4) + 1e-4
    assert filter_edge(frequency, smooth) is None
    cliff = np.where(frequency > 0.3, smooth * 1e-9, smooth)
    assert filter_edge(frequency, cliff) == pytest.approx(0.3, abs=0.02)


def test_fsc_returns_only_after_it_has_fallen():
    frequency = np.linspace(0, 0.5, 50)
    falling = np.clip(1.5 - 5 * frequency, 0, 1)
    assert fsc_return(frequency, falling) is None
    assert fsc_return(frequency, np.ones(50)) is None
    back = np.where(frequency > 0.4, 0.99, falling)
    assert fsc_return(frequency, back) == pytest.approx(0.4, abs=0.011)


def test_opposed_check_is_for_real_halves_alone(halves):
    turned = halves[1].with_values(-halves[1].values, "half 2")
    observed = ObservedMaps(halves[0], halves[0], turned, "pseudo-halves")
    assert "halves-unrelated" not in quality(observed, 3.5)
