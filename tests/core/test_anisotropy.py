"""FSC and signal by direction, against noise of known direction; all maps are simulated."""

import re

import numpy as np
import pytest

from locscale_hybrid.fourier.directions import CONE, directional_sums, half_sphere
from locscale_hybrid.fourier.fsc import corrected_fsc, fourier_shell_correlation
from locscale_hybrid.fourier.space import FourierSpace
from locscale_hybrid.inputs.half_maps import ObservedMaps
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.masking.anisotropy import axis_name, find_anisotropy
from locscale_hybrid.masking.resolution import find_resolution

GRID = Grid((64, 64, 64), (1.5, 1.5, 1.5))
SPACE = FourierSpace(GRID)
AXES = {"x": (1.0, 0.0, 0.0), "z": (0.0, 0.0, 1.0), "tilted": (0.6, 0.48, 0.64)}


def angle_to(axis):
    """Angle of every coefficient to an axis (x, y, z), 0 to 90 degrees."""
    sz, sy, sx = SPACE.axes
    along = np.abs(sx * axis[0] + sy * axis[1] + sz * axis[2])
    s = np.maximum(np.sqrt(SPACE.s_squared), 1e-9)
    return np.degrees(np.arccos(np.clip(along / s, 0, 1)))


def particle(rng, stretch=1.0):
    """Make a blob of random density with a fall-off, longer along z by a factor."""
    z, y, x = ((np.indices(GRID.shape) - 32) * 1.5).astype(np.float32)
    radius = np.sqrt(z**2 + (y * stretch) ** 2 + (x * stretch) ** 2)
    inside = 0.5 - 0.5 * np.tanh((radius - 34) / 1.5)
    density = (rng.normal(size=GRID.shape) * inside).astype(np.float32)
    fall = np.exp(-60 * SPACE.s_squared / 4)
    return SPACE.backward(SPACE.forward(density) * fall), inside.astype(np.float32)


def noise(rng, level, amplitude=1.0):
    """Make white noise, with another amplitude in some directions."""
    white = SPACE.forward(rng.normal(0, level, GRID.shape).astype(np.float32))
    return SPACE.backward((white * amplitude).astype(np.complex64))


def found_in(signal, mask, rng, amplitude=1.0, level=0.5):
    """Look for directions in two half maps with noise of this amplitude."""
    halves = [Map(signal + noise(rng, level, amplitude), GRID) for _ in range(2)]
    curves = corrected_fsc(SPACE, halves[0].values, halves[1].values, mask)
    d_min = curves.corrected.resolution()
    assert 3 <= d_min < 6
    return find_anisotropy(*halves, mask, curves, d_min)


def test_cones_of_all_directions_have_the_fsc_of_signal_over_signal_and_noise():
    rng = np.random.default_rng(1)
    axis = AXES["tilted"]
    signal = SPACE.forward(rng.normal(size=GRID.shape).astype(np.float32))
    amplitude = np.where(angle_to(axis) < 45, 2.0, 0.5)
    halves = [signal + SPACE.forward(noise(rng, 1.0, amplitude)) for _ in range(2)]
    sums = directional_sums(SPACE, *halves, finest=0.33)
    away = np.degrees(np.arccos(np.abs(sums.directions @ axis)))
    fsc = sums.correlation[:, 15:].mean(axis=1)
    assert fsc[away < 45 - CONE - 5] == pytest.approx(1 / (1 + 4), abs=0.04)
    assert fsc[away > 45 + CONE + 5] == pytest.approx(1 / (1 + 0.25), abs=0.03)


def test_cones_sum_what_a_plain_loop_sums():
    rng = np.random.default_rng(2)
    a, b = (SPACE.forward(rng.normal(size=GRID.shape).astype(np.float32)) for _ in range(2))
    sums = directional_sums(SPACE, a, b, finest=0.3)
    weight = np.broadcast_to(SPACE.multiplicity, a.shape)
    for i in (0, 57, 119):
        inside = angle_to(sums.directions[i]) < CONE
        chosen = inside & (SPACE.shell_index == 18)
        count = weight[chosen].sum()
        # cells of 5 degrees at the rim of a cone are wholly in or out
        assert sums.count[i, 18] == pytest.approx(count, rel=0.25)
        power = (np.abs(a[chosen]) ** 2 * weight[chosen]).sum() / count
        assert sums.power_1[i, 18] / sums.count[i, 18] == pytest.approx(power, rel=0.15)


def test_directions_cover_the_half_sphere_evenly_and_have_unit_length():
    directions = half_sphere()
    assert np.linalg.norm(directions, axis=1) == pytest.approx(1)
    tensor = directions.T @ directions / len(directions)
    assert np.linalg.eigvalsh(tensor) == pytest.approx(1 / 3, abs=0.02)
    for axis in np.eye(3):
        assert (np.abs(directions @ axis) > 1 - 1e-12).sum() == 1


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("stretch", [1.0, 1.8])
def test_equal_noise_in_all_directions_is_no_anisotropy(seed, stretch):
    rng = np.random.default_rng(seed)
    found = found_in(*particle(rng, stretch), rng)
    assert found.findings() == ()
    assert found.ratio < 1.1 and not found.empty.any()


@pytest.mark.parametrize("name", AXES)
def test_a_cone_with_more_noise_is_found_with_its_axis_and_both_resolutions(name):
    rng = np.random.default_rng(5)
    axis = AXES[name]
    amplitude = np.where(angle_to(axis) < 35, 2.5, 1.0)
    found = found_in(*particle(rng), rng, amplitude, 0.4)
    (finding,) = found.findings()
    assert finding.code == "anisotropy" and finding.level == "warning"
    assert "Add particle images of other views, and do not" in finding.message
    assert abs(found.axis @ axis) > np.cos(np.radians(12))
    where = re.escape(name if name in "xz" else axis_name(found.axis))
    told = re.match(
        r"the resolution depends on the direction: ([\d.]+) Å at best, ([\d.]+) Å along "
        rf"{where}$",
        finding.fact,
    )
    # each direction has the resolution that its noise alone would give
    best, worst = (
        FSC_OF[level] if level in FSC_OF else FSC_OF.setdefault(level, alone(level))
        for level in (0.4, 1.0)
    )
    assert float(told[1]) == pytest.approx(best, abs=0.25)
    assert float(told[2]) == pytest.approx(worst, abs=0.6)


FSC_OF = {}


def alone(level):
    """Resolution of the particle with the same noise in all directions."""
    rng = np.random.default_rng(5)
    signal, mask = particle(rng)
    halves = [signal + noise(rng, level) for _ in range(2)]
    return corrected_fsc(SPACE, *halves, mask).corrected.resolution()


def test_a_cone_without_data_is_found_with_its_share_of_the_directions():
    rng = np.random.default_rng(6)
    signal, mask = particle(rng)
    shown = 1 / (1 + np.exp(-(angle_to(AXES["x"]) - 35) / 1.5))
    missing = SPACE.backward((SPACE.forward(signal) * shown).astype(np.complex64))
    found = found_in(missing, mask, rng, np.maximum(np.sqrt(shown), 0.03))
    (finding,) = found.findings()
    share = 1 - np.cos(np.radians(35))
    assert finding.values["empty_share"] == pytest.approx(share, abs=0.06)
    assert finding.values["worst_x"] > np.cos(np.radians(10))
    assert re.search(r"and \d+% of the directions, around x, have no data$", finding.fact)


def test_too_few_shells_say_nothing():
    rng = np.random.default_rng(7)
    signal, mask = particle(rng)
    halves = [Map(signal + noise(rng, 0.5), GRID) for _ in range(2)]
    curves = corrected_fsc(SPACE, halves[0].values, halves[1].values, mask)
    assert find_anisotropy(*halves, mask, curves, 9.0) is None


def test_fsc_of_one_cone_after_another_adds_up_to_that_of_the_shell():
    rng = np.random.default_rng(8)
    signal, _ = particle(rng)
    halves = [SPACE.forward(signal + noise(rng, 0.5)) for _ in range(2)]
    whole = fourier_shell_correlation(SPACE, *halves).correlation
    sums = directional_sums(SPACE, *halves, finest=0.3)
    mean = sums.correlation[:, 8:20].mean(axis=0)
    assert mean == pytest.approx(whole[8:20], abs=0.03)


def test_the_resolution_of_half_maps_brings_the_warning_with_it():
    rng = np.random.default_rng(5)
    signal, mask = particle(rng)
    amplitude = np.where(angle_to(AXES["z"]) < 35, 2.5, 1.0)
    for rare, codes in ((amplitude, ["anisotropy"]), (1.0, [])):
        halves = [Map(signal + noise(rng, 0.4, rare), GRID) for _ in range(2)]
        mean = Map((halves[0].values + halves[1].values) / 2, GRID)
        observed = ObservedMaps(mean, *halves, "halves")
        for asked in (None, 3.5):
            found = find_resolution(observed, asked=asked, mask=mask)
            assert [finding.code for finding in found.findings] == codes
