"""Noise weights, adaptive weights, and what the display map is multiplied by."""

from dataclasses import replace

import numpy as np
import pytest

from locscale_hybrid.errors import InputError
from locscale_hybrid.fourier.space import FourierSpace
from locscale_hybrid.inputs.reading import require_weights
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.scaling.adaptive_weight import (
    BandEvidence,
    RunningScale,
    adaptive_weight,
    signal_power,
)
from locscale_hybrid.scaling.band_filter import BandFilter
from locscale_hybrid.scaling.gains import (
    BandGain,
    BandPower,
    GainRules,
    Modes,
    common_share,
    doubt_of,
    local_gain,
    low_gain,
    noise_weight,
    number_of_low_bands,
)
from locscale_hybrid.scaling.local_power import LocalAverage
from locscale_hybrid.scaling.viewing_weight import (
    STATEMENTS,
    WeightInput,
    adaptive_sigma,
    looking_weight,
    restore_amplitudes,
)

SHAPE = (48, 44, 40)
GRID = Grid(SHAPE, (1.0, 1.0, 1.0))


def full(value: float, shape=(6, 6, 6)) -> np.ndarray:
    return np.full(shape, value, dtype=np.float32)


def weighed(noise: np.ndarray, modes: Modes) -> tuple[np.ndarray, float]:
    """C^2 of a band of power 1, local and global."""
    power = BandPower(full(1.0), full(1.0), noise)
    common = common_share(power, full(1.0))
    return noise_weight(power, common, modes, doubt_of(common, modes)), common


def test_the_noise_weight_is_2_fsc_over_1_plus_fsc():
    fsc = 0.6  # of the halves: noise of a half (1 - fsc) / fsc of the signal, of the average half
    noise = (1 - fsc) / fsc / 2
    weight, _ = weighed(full(noise / (1 + noise)), Modes(500, 50000))
    np.testing.assert_allclose(weight, 2 * fsc / (1 + fsc), rtol=1e-6)


def test_a_noise_weight_is_shrunk_towards_the_global_one_by_20_modes():
    noise = full(0.5)
    noise[0, 0, 0] = 0.1
    weight, common = weighed(noise, Modes(60, 6000))
    assert common == pytest.approx(0.5 + 0.4 / 216, rel=1e-5)
    assert weight[0, 0, 0] == pytest.approx((60 * 0.9 + 20 * common) / 80, rel=1e-5)


def test_a_noise_weight_below_2_over_the_root_of_its_modes_is_0():
    noise = full(0.6)
    noise[0, 0, 0] = 0.95  # C^2 = 0.05, and 2 / sqrt(1000 + 20) = 0.063
    weight, _ = weighed(noise, Modes(1000, 1e5))
    assert weight[0, 0, 0] == 0
    noise[0, 0, 0] = 0.90
    weight, _ = weighed(noise, Modes(1000, 1e5))
    assert weight[0, 0, 0] > 0.09


def test_in_a_band_without_signal_a_place_needs_three_deviations():
    noise = full(1.0)
    noise[0, 0, 0] = 0.86  # 2.2 deviations of 0.063
    weight, common = weighed(noise, Modes(1000, 1e5))
    assert common < 0.001 and weight[0, 0, 0] == 0
    noise[0, 0, 0] = 0.75
    weight, _ = weighed(noise, Modes(1000, 1e5))
    assert weight[0, 0, 0] == pytest.approx(0.245, abs=0.01)


def test_the_gain_is_the_root_of_the_power_ratio():
    gain = local_gain(BandPower(full(4.0), full(9.0)), full(1.0), Modes(100, 1000), GainRules())
    np.testing.assert_allclose(gain.gain, 1.5, rtol=1e-6)
    assert gain.global_ratio == pytest.approx(1.5) and not gain.silent.any()


def test_the_gain_is_0_where_the_observed_map_has_nothing():
    observed = full(1.0)
    observed[0] = 0
    gain = local_gain(BandPower(observed, full(1.0)), full(1.0), Modes(100, 1000), GainRules())
    assert (gain.gain[0] == 0).all() and (gain.gain[1:] > 0).all()


def test_a_reference_that_is_nowhere_gives_no_gain_and_no_error():
    gain = local_gain(BandPower(full(1.0), full(0.0)), full(1.0), Modes(100, 1000), GainRules())
    assert (gain.gain == 0).all()


def test_the_gain_at_coarse_resolution_continues_the_line_of_the_next_bands():
    gains = [
        BandGain(
            full(float(np.exp(1 + 0.03 * k**2))),
            full(1.0),
            full(0.0).astype(bool),
            float(np.exp(1 + 0.03 * k**2)),
            1.0,
        )
        for k in (3, 4, 5)
    ]
    low = low_gain([3, 4, 5], gains)
    np.testing.assert_allclose(
        low.curve(np.arange(3, dtype=np.float32)), np.exp(1 + 0.03 * np.arange(3) ** 2), rtol=1e-5
    )
    np.testing.assert_allclose(low.factor, 1, rtol=1e-6)


def test_bands_without_signal_have_no_say_at_coarse_resolution():
    def gain(ratio: float, weight: float) -> BandGain:
        return BandGain(full(ratio), full(weight), full(0.0).astype(bool), ratio, weight)

    low = low_gain([3, 4, 5], [gain(2.0, 1.0), gain(90.0, 0.1), gain(90.0, 0.0)])
    np.testing.assert_allclose(low.curve(np.zeros(1, dtype=np.float32)), 2.0, rtol=1e-6)


@pytest.mark.parametrize(("window", "expected"), [(25.0, 3), (24.0, 2), (10.0, 1), (36.1, 4)])
def test_bands_coarser_than_12_angstrom_are_counted(window, expected):
    assert number_of_low_bands(window, 20) == expected


def band_of_halves(strength: np.ndarray, seed: int) -> tuple[BandFilter, list[np.ndarray]]:
    """A band of two halves whose signal amplitude is `strength`, noise of sd 1 each."""
    bands = BandFilter.of_grid(GRID, 16.0)
    rng = np.random.default_rng(seed)
    signal, *noise = (
        bands.component(bands.gather(rng.standard_normal(SHAPE).astype(np.float32)), 4)
        for _ in range(3)
    )
    scale = 1 / noise[0].std()
    return bands, [(strength * signal + part) * scale for part in noise]


def evidence_of(score, halves, bands) -> tuple[BandEvidence, np.ndarray, np.ndarray]:
    mean, difference = (halves[0] + halves[1]) / 2, (halves[0] - halves[1]) / 2
    local = LocalAverage(SHAPE, GRID.voxel_size, 16 / np.sqrt(12))
    noise = local.power(difference)
    signal = signal_power(local.power(mean), noise)
    evidence = BandEvidence(
        score, local.planes(signal, 0.0), local.planes(noise, 0.0), bands.modes_per_volume(4)
    )
    return evidence, mean, difference


def test_the_adaptive_weight_is_high_where_the_score_goes_with_the_signal():
    z, y, _ = np.indices(SHAPE)
    strength = np.where((z // 6 + y // 6) % 2, np.float32(1.5), np.float32(0.1))
    bands, halves = band_of_halves(strength, 1)
    score = np.where(strength > 1, np.float32(20), np.float32(0)) + np.random.default_rng(
        3
    ).standard_normal(SHAPE).astype(np.float32)
    weight = adaptive_weight(*evidence_of(score.copy(), halves, bands))
    assert weight[strength > 1].mean() > 0.7 and weight[strength < 1].mean() < 0.3
    assert weight.min() >= 0 and weight.max() <= 1


def test_the_adaptive_weight_does_not_follow_a_score_that_says_nothing():
    bands, halves = band_of_halves(full(1.0, SHAPE), 2)
    score = 5 * np.random.default_rng(4).standard_normal(SHAPE).astype(np.float32)
    weight = adaptive_weight(*evidence_of(score.copy(), halves, bands))
    strong, weak = weight[score > 5], weight[np.abs(score) < 2]
    assert strong.mean() == pytest.approx(weak.mean(), rel=0.15)


def test_the_adaptive_weight_of_pure_noise_is_next_to_nothing():
    bands, halves = band_of_halves(full(0.0, SHAPE), 5)
    score = 5 * np.random.default_rng(4).standard_normal(SHAPE).astype(np.float32)
    weight = adaptive_weight(*evidence_of(score.copy(), halves, bands))
    assert weight.mean() < 0.1


def test_the_sign_of_a_sum_that_is_zero_but_for_noise_decides_nothing():
    bands, (first, second) = band_of_halves(full(0.0, SHAPE), 5)
    score = 5 * np.random.default_rng(4).standard_normal(SHAPE).astype(np.float32)
    signs = np.array([1, -1]) * np.sign((first * second).sum())
    positive, negative = (
        adaptive_weight(*evidence_of(score.copy(), (first, sign * second), bands)).mean()
        for sign in signs
    )
    assert positive / 3 < negative < 3 * positive


def test_the_noise_of_a_running_scale_is_that_of_its_bands_added_up():
    bands = BandFilter.of_grid(GRID, 16.0)
    sorted_ = bands.gather(np.random.default_rng(6).standard_normal(SHAPE).astype(np.float32))
    parts = [bands.component(sorted_, band) for band in (2, 3, 4)]
    sds = [np.full((1, 1, 1), part.std(), dtype=np.float32) for part in parts]
    running = RunningScale(parts[0].copy(), sds[0])
    for part, sd in zip(parts[1:], sds[1:], strict=True):
        running.add(part, sd)
    assert running.deviation[0, 0, 0] == pytest.approx(running.values.std(), rel=0.06)


def given(**changes) -> WeightInput:
    """A blob of sd 3 Å in noise of sd 1, and a truth without noise."""
    z, y, x = np.ogrid[tuple(slice(-(n // 2), n - n // 2) for n in SHAPE)]
    blob = 30 * np.exp(-(z**2 + y**2 + x**2) / 18).astype(np.float32)
    rng = np.random.default_rng(8)
    noise = [rng.standard_normal(SHAPE).astype(np.float32) for _ in range(2)]
    values = {
        "grid": GRID,
        "resolution": 4.0,
        "average": blob + noise[0],
        "difference": noise[1],
        "linear": blob + noise[0],
        "linear_difference": noise[1],
        "mask": (blob > 1).astype(np.float32),
    }
    return WeightInput(**{**values, **changes})


LOCAL = LocalAverage(SHAPE, GRID.voxel_size, 7.2)
CENTRE = tuple(n // 2 for n in SHAPE)


@pytest.mark.parametrize("policy", ["adaptive", "smooth", "soft"])
def test_weights_are_near_1_in_strong_density_and_near_0_in_solvent(policy):
    weight = looking_weight(policy, given(), LOCAL)
    assert weight[CENTRE] > 0.95
    assert weight[:8].mean() < 0.15 and weight.min() >= 0 and weight.max() <= 1


@pytest.mark.parametrize("policy", ["adaptive", "smooth", "soft"])
def test_weights_do_not_change_with_the_scale_of_the_map(policy):
    plain = given()
    scaled = given(
        **{
            name: getattr(plain, name) * np.float32(1000)
            for name in ("average", "difference", "linear", "linear_difference")
        }
    )
    np.testing.assert_allclose(
        looking_weight(policy, scaled, LOCAL), looking_weight(policy, plain, LOCAL), atol=1e-4
    )


def test_the_adaptive_policy_is_half_at_a_score_of_4():
    sigma = 0.36 * 4.0
    difference = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
    space = FourierSpace(GRID)
    smooth = space.backward(space.forward(difference) * space.low_pass_gaussian(sigma))
    flat = full(4 * float(smooth.std()), SHAPE)
    weight = looking_weight("adaptive", given(average=flat, difference=difference), LOCAL)
    np.testing.assert_allclose(weight, 0.5, atol=0.01)


def structure(d_min, seed):
    """A random density without anything finer than d_min, strong in a ball and nothing outside."""
    space = FourierSpace(GRID)
    s = np.sqrt(space.s_squared)
    values = np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)
    smooth = space.backward(space.forward(values) * ((s > 0.05) & (s < 1 / d_min)))
    return np.asarray(smooth / smooth.std() * ball(), dtype=np.float32)


def ball():
    z, y, x = np.ogrid[tuple(slice(-(n // 2), n - n // 2) for n in SHAPE)]
    return np.sqrt(z**2 + y**2 + x**2) < 12


def inventing(share):
    """Coarse density, and a reference at d_min that looks the more like what is invented."""
    density = structure(1.25 * 4.0, 3)
    plain = given(
        average=density,
        linear=density,
        mask=ball().astype(np.float32),
        difference=0.2 * given().difference,
    )
    invented = looking_weight("adaptive", plain, LOCAL) * density
    other = structure(2.2, 4)
    return replace(plain, reference=np.float32(share) * invented + np.float32(1 - share) * other)


def test_the_adaptive_weight_is_smoothed_until_it_invents_little():
    least, most = 0.36 * 4.0, 0.6 * 4.0
    alike, apart = adaptive_sigma(inventing(1.0)), adaptive_sigma(inventing(0.0))
    assert apart == pytest.approx(least) and alike == pytest.approx(most)
    between = [adaptive_sigma(inventing(share)) for share in (0.05, 0.1, 0.2, 0.4)]
    assert between == sorted(between)


def test_the_smoothing_does_not_depend_on_the_scale_of_the_maps():
    plain = inventing(0.2)
    scaled = replace(
        plain,
        **{
            name: getattr(plain, name) * np.float32(1000)
            for name in ("average", "difference", "linear", "linear_difference", "reference")
        },
    )
    assert adaptive_sigma(scaled) == pytest.approx(adaptive_sigma(plain), rel=1e-3)


def test_the_other_policies_are_ones_the_mask_and_the_file():
    user = np.linspace(-0.5, 1.5, int(np.prod(SHAPE)), dtype=np.float32).reshape(SHAPE)
    inputs = given(file=user)
    assert (looking_weight("none", inputs, LOCAL) == 1).all()
    assert np.array_equal(looking_weight("fdr", inputs, LOCAL), inputs.mask)
    assert np.array_equal(looking_weight("file", inputs, LOCAL), np.clip(user, 0, 1))


def test_every_policy_says_what_it_may_invent():
    assert set(STATEMENTS) == {"adaptive", "smooth", "soft", "fdr", "file", "none"}
    assert "invents" in STATEMENTS["soft"]


def test_restored_amplitudes_are_those_of_the_reference_inside():
    reference = np.random.default_rng(2).standard_normal(SHAPE).astype(np.float32)
    space = FourierSpace(GRID)
    sharp = space.backward(space.forward(reference) * np.exp(-20 * space.s_squared))
    blunt = space.backward(space.forward(sharp) * np.exp(-15 * space.s_squared))
    restored = restore_amplitudes(blunt, full(1.0, SHAPE), sharp, GRID, 2.5)
    powers = [space.power(space.forward(values)) for values in (restored, sharp)]
    used = (space.frequency > 0.13) & (space.frequency < 1 / 2.6)
    np.testing.assert_allclose(powers[0][used], powers[1][used], rtol=0.02)


def test_nothing_finer_than_0_85_of_the_resolution_is_in_the_restored_map():
    values = np.random.default_rng(2).standard_normal(SHAPE).astype(np.float32)
    restored = restore_amplitudes(values, full(1.0, SHAPE), values, GRID, 4.0)
    space = FourierSpace(GRID)
    power = space.power(space.forward(restored))
    assert power[space.frequency > 1.02 / (0.85 * 4.0)].max() < 1e-8 * power.max()


@pytest.mark.parametrize(
    ("low", "high", "sentence"),
    [
        (
            -0.16,
            0.41,
            "weight w.mrc runs from -0.16 to 0.41; a weight runs from 0 to 1: give such a "
            "map, or one of adaptive, fdr, none, smooth, soft",
        ),
        (0.0, 2.0, "weight w.mrc runs from 0 to 2; a weight runs from 0 to 1"),
        (0.0, 0.0, "weight w.mrc is empty: no voxel reaches 0.01, so that nothing would be left"),
    ],
)
def test_map_whose_values_are_no_weights_is_refused(low, high, sentence):
    values = np.linspace(low, high, GRID.size, dtype=np.float32).reshape(SHAPE)
    with pytest.raises(InputError, match=sentence):
        require_weights(Map(values, GRID, "w.mrc"))


def test_weights_may_be_rounded():
    values = np.linspace(-0.005, 1.005, GRID.size, dtype=np.float32).reshape(SHAPE)
    assert require_weights(Map(values, GRID, "w.mrc")) == []


def test_weights_that_interpolation_has_made_overshoot_are_cut_off_and_said():
    values = np.linspace(-0.02, 1.03, GRID.size, dtype=np.float32).reshape(SHAPE)
    (note,) = require_weights(Map(values, GRID, "w.mrc"))
    assert (note.code, note.level) == ("weight-clipped", "note")
    assert "weight w.mrc runs from -0.02 to 1.03, as interpolation leaves it" in note.message
    assert require_weights(Map(np.ones(SHAPE, np.float32), GRID, "w.mrc")) == []
