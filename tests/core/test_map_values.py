"""Damaged voxels and values at the ends of float32; simulated data."""

import numpy as np
import pytest

from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.maps.map_values import bring_to_range, range_finding, without_hot_voxels
from tests.synthetic import box_centre, half_maps, small_model

SHAPE, VOXEL = (40, 42, 44), 1.3


@pytest.fixture(scope="module")
def case():
    return half_maps(small_model(30, centre=box_centre(SHAPE, VOXEL)), SHAPE, VOXEL, 3.4, 3)


@pytest.fixture
def half(case):
    return case[0].with_values(case[0].values.copy(), "half1.mrc")


@pytest.mark.parametrize("value", [1e4, -1e4, 1e30, -3e38])
def test_hot_voxel_becomes_the_mean_of_those_around_it(half, value):
    before = half.values.copy()
    half.values[3, 4, 5] = value
    (finding,) = without_hot_voxels(half)
    around = before[2:5, 3:6, 4:7].sum(dtype=np.float64) - before[3, 4, 5]
    assert half.values[3, 4, 5] == pytest.approx(around / 26, rel=1e-4)
    assert np.count_nonzero(half.values != before) == 1
    assert (finding.code, finding.level) == ("hot-voxels", "warning")
    assert f"half1.mrc has 1 voxel far beyond all others, such as {value:.3g}" in finding.message
    assert "at voxel (5, 4, 3). It was replaced by the mean of the voxels around" in (
        finding.message
    )


def test_hot_voxels_of_all_strengths_and_in_rows_are_found(half):
    before = half.values.copy()
    half.values[0, 0, 0], half.values[5, 5, 5] = 1e6, -1e3
    half.values[8, 9, 10:20] = 50
    (finding,) = without_hot_voxels(half)
    assert finding.values["voxels"] == 12
    assert "12 voxels far beyond all others, such as 1e+06 at voxel (0, 0, 0). They were" in (
        finding.message
    )
    assert half.values.max() == before.max()


@pytest.mark.parametrize("which", [0, 1, 2])
def test_density_and_noise_have_no_hot_voxels(case, which):
    volume = case[which].with_values(case[which].values.copy())
    assert without_hot_voxels(volume) == []
    assert np.array_equal(volume.values, case[which].values)


def test_sharp_peaks_of_a_few_atoms_are_not_hot():
    """Gaussians of the least width that voxels can hold, in an empty box."""
    z, y, x = np.ogrid[:30, :30, :30]
    values = sum(
        np.exp(-((z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2) / (2 * 0.6**2))
        for a, b, c in ((9, 9, 9), (15.4, 15.2, 14.7), (20, 9.5, 21))
    )
    volume = Map(values.astype(np.float32), Grid((30, 30, 30), (1.0, 1.0, 1.0)))
    assert without_hot_voxels(volume) == []


@pytest.mark.parametrize("factor", [1e-40, 1e-18, 1e-9, 1e12, 1e18, 1e36])
def test_values_are_brought_to_range_by_a_power_of_two(half, factor):
    given = half.values * np.float64(factor)
    values = given.astype(np.float32)
    power = bring_to_range(values)
    assert 0.5 < np.ptp(values) < 2
    # the smallest values of all have few digits left in float32
    error = 1e-4 if factor < 1e-37 else 1e-6
    assert np.ldexp(given, power) == pytest.approx(values, abs=error)
    (note,) = range_finding("half1.mrc", power)
    assert (note.code, note.level) == ("value-range", "note")
    assert "half1.mrc has values of the order of" in note.message
    assert "gain maps belong to the multiplied map" in note.message


@pytest.mark.parametrize("factor", [1e-3, 1.0, 7.0, 1e5])
def test_usual_values_stay_as_they_are(half, factor):
    values = (half.values * factor).astype(np.float32)
    before = values.copy()
    assert bring_to_range(values) == 0
    assert np.array_equal(values, before)
    assert range_finding("half1.mrc", 0) == []
