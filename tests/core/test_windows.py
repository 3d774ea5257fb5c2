"""Windows in LocScale's definition, against a straightforward implementation in float64."""

import numpy as np
import pytest

from locscale_hybrid.maps.grid import Grid
from locscale_hybrid.scaling.gains import GainRules
from locscale_hybrid.scaling.window_tasks import (
    WindowOptions,
    apply_gains,
    measure_windows,
    window_gains,
)
from locscale_hybrid.scaling.windows import (
    LatticeField,
    lattice_points,
    padded,
    profiles_at,
    window_tables,
)

SHAPE = (24, 21, 26)


class One:
    workers = 1
    name = "one"


def window_at(values: np.ndarray, centre, edge: int) -> np.ndarray:
    """The cube around a voxel of a map that repeats itself, float64."""
    index = [
        np.arange(c - edge // 2, c + edge // 2 + 1) % n
        for c, n in zip(centre, values.shape, strict=True)
    ]
    return values[np.ix_(*index)].astype(np.float64)


def radius(edge: int) -> np.ndarray:
    k = np.fft.fftfreq(edge) * edge
    return np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + k**2)


def profile(spectrum: np.ndarray) -> np.ndarray:
    """Mean amplitude in the shells rint(|k|) of a complete spectrum, up to edge // 2."""
    edge = len(spectrum)
    shell = np.rint(radius(edge)).astype(int)
    return np.array([np.abs(spectrum[shell == i]).mean() for i in range(edge // 2 + 1)])


def straightforward(
    observed: np.ndarray, reference: np.ndarray, centre, edge: int, taper: np.ndarray
) -> float:
    """The scaled voxel: one complex transform there and back, gain linear in |k|."""
    spectrum = np.fft.fftn(window_at(observed, centre, edge) * taper)
    wanted = np.fft.fftn(window_at(reference, centre, edge) * taper)
    ratio = profile(wanted) / profile(spectrum)
    gain = np.interp(radius(edge), np.arange(len(ratio)), ratio)
    return np.fft.ifftn(spectrum * gain).real[(edge // 2,) * 3]


def test_maps():
    """Two random maps, one with a spectrum that falls."""
    rng = np.random.default_rng(5)
    observed = 1 + rng.standard_normal(SHAPE)
    wave = np.fft.rfftn(rng.standard_normal(SHAPE))
    s2 = sum(
        np.square(f)
        for f in np.meshgrid(
            np.fft.fftfreq(SHAPE[0]),
            np.fft.fftfreq(SHAPE[1]),
            np.fft.rfftfreq(SHAPE[2]),
            indexing="ij",
        )
    )
    reference = np.fft.irfftn(wave * np.exp(-8 * s2), SHAPE, axes=(0, 1, 2))
    return observed.astype(np.float32), reference.astype(np.float32)


test_maps.__test__ = False


def hann(edge: int) -> np.ndarray:
    x = np.cos(np.pi * (np.arange(edge) - edge // 2) / (edge + 1)) ** 2
    return x[:, None, None] * x[None, :, None] * x


@pytest.mark.parametrize("taper", ["none", "hann"])
def test_scaled_voxels_equal_a_straightforward_implementation_to_1e_6(taper):
    observed, reference = test_maps()
    edge = 9
    region = np.random.default_rng(1).random(SHAPE) < 0.02
    region[0, 0, 0] = region[-1, -1, -1] = True
    options = WindowOptions(edge, 1, taper, GainRules(cap=None))
    points, measured = measure_windows(
        observed, reference, region, options, One(), None, lambda fraction: None
    )
    ratio = measured[:, 1] / measured[:, 0]
    gains = window_gains(points, measured, float(edge), GainRules(cap=None))
    # shells coarser than 12 Å follow another rule: put the plain ratio there
    gains.values[:] = ratio.T
    result = apply_gains(
        observed[None], Grid(SHAPE, (1.0, 1.0, 1.0)), gains, options, None, lambda fraction: None
    )[0]
    window = hann(edge) if taper == "hann" else np.ones((edge,) * 3)
    expected = np.array(
        [straightforward(observed, reference, point, edge, window) for point in points]
    )
    assert np.abs(result[region] - expected).max() < 1e-6 * np.abs(expected).max()


def test_profiles_are_mean_amplitudes_of_complete_shells():
    observed, _ = test_maps()
    points = np.array([[3, 4, 5], [0, 20, 25], [23, 0, 0]])
    found = profiles_at(padded(observed, 11, 1), points, window_tables(11, "none"))
    expected = [profile(np.fft.fftn(window_at(observed, point, 11))) for point in points]
    np.testing.assert_allclose(found, expected, rtol=2e-6)


@pytest.mark.parametrize("taper", ["none", "hann"])
@pytest.mark.parametrize(
    "steps",
    [
        [1] * 20,
        [3] * 7,
        [1, 1, 5, 5, 1, 9, 2, 2],  # along x; a window of 11 voxels overlaps or not
    ],
    ids=["every voxel", "stride 3", "gaps"],
)
def test_neighbours_along_x_have_the_profiles_of_windows_on_their_own(steps, taper):
    _, falling = test_maps()
    x = np.concatenate([[0], np.cumsum(steps)]) % SHAPE[2]
    x.sort()
    points = np.array([(z, y, at) for z, y in ((0, 0), (0, 7), (5, 7)) for at in np.unique(x)])
    found = profiles_at(padded(falling, 11, 3), points, window_tables(11, taper))
    factor = hann(11) if taper == "hann" else 1.0
    expected = [profile(np.fft.fftn(window_at(falling, point, 11) * factor)) for point in points]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.max(expected))


def test_shells_finer_than_12_angstrom_have_the_ratio_of_the_profiles_as_gain():
    measured = np.random.default_rng(2).uniform(1, 2, (50, 2, 13)).astype(np.float32)
    gains = window_gains(np.zeros((50, 3), dtype=np.intp), measured, 25.0, GainRules(cap=None))
    assert gains.n_low == 3
    np.testing.assert_allclose(gains.values[3:], (measured[:, 1] / measured[:, 0]).T[3:], rtol=1e-6)


def test_shells_coarser_than_12_angstrom_follow_the_next_ones_not_the_reference():
    shell = np.arange(13)
    measured = np.ones((20, 2, 13), dtype=np.float32)
    measured[:, 1] = np.exp(0.02 * shell**2)  # B of the observed map
    measured[:, 1, :3] *= 50  # the reference has no solvent
    gains = window_gains(np.zeros((20, 3), dtype=np.intp), measured, 25.0, GainRules())
    np.testing.assert_allclose(gains.values[:3, 0], np.exp(0.02 * shell[:3] ** 2), rtol=1e-4)


def test_a_lattice_of_stride_3_encloses_every_voxel_of_the_region():
    region = np.zeros((10, 11, 12), dtype=bool)
    region[9, 10, 11] = region[4, 4, 4] = True
    points = {tuple(p) for p in lattice_points(region, 3)}
    assert (9, 9, 9) in points and (12, 12, 12) in points and (3, 3, 3) in points
    assert len(points) == 16


def test_a_lattice_field_is_linear_between_its_points():
    region = np.ones((8, 9, 10), dtype=bool)
    points = lattice_points(region, 3)
    field = LatticeField(region.shape, points, 3)
    z, y, x = np.indices(region.shape)
    values = (points @ [1.0, -2.0, 0.5]).astype(np.float32)
    np.testing.assert_allclose(field.spread(values), z - 2 * y + 0.5 * x, atol=1e-5)


def test_the_hann_taper_is_1_at_the_centre_and_above_0_at_the_faces():
    taper = window_tables(25, "hann").taper
    assert taper[12] == 1 and 0 < taper.min() ** 3 < 1e-5
