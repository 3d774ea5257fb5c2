"""Shells, sums and resampling of Fourier coefficients."""

import numpy as np
import pytest

from locscale_hybrid.fourier.space import FourierSpace, real_product, resize, squared_modulus
from locscale_hybrid.maps.grid import Grid

SHAPES = [(16, 16, 16), (15, 18, 20), (13, 17, 11), (12, 10, 15)]


def noise(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def complete_shells(grid):
    """|s| of every coefficient of the complex transform, and its shell, one by one."""
    axes = [np.fft.fftfreq(n, d) for n, d in zip(grid.shape, grid.voxel_size[::-1], strict=True)]
    s = np.sqrt(sum(a**2 for a in np.meshgrid(*axes, indexing="ij")))
    return s, np.rint(s * min(grid.cell)).astype(int)


@pytest.mark.parametrize("shape", SHAPES)
def test_shell_power_equals_that_of_the_complex_transform(shape):
    grid = Grid(shape, (1.0, 1.003, 0.998))  # unequal, so that no coefficient lies on an edge
    space, values = FourierSpace(grid), noise(shape)
    _, shell = complete_shells(grid)
    expected = np.bincount(shell.ravel(), (np.abs(np.fft.fftn(values)) ** 2).ravel())
    assert space.power(space.forward(values)) == pytest.approx(expected[: space.n_shells], rel=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_frequency_is_the_mean_of_the_shell_with_unequal_voxels(shape):
    grid = Grid(shape, (1.0, 1.003, 0.998))
    space = FourierSpace(grid)
    s, shell = complete_shells(grid)
    inside = shell < space.n_shells
    expected = np.bincount(shell[inside], s[inside]) / np.bincount(shell[inside])
    assert space.frequency == pytest.approx(expected, rel=1e-5)


def test_slabs_do_not_change_a_shell_sum(monkeypatch):
    space = FourierSpace(Grid((15, 18, 20), (1.0, 1.0, 1.0)))
    power = squared_modulus(space.forward(noise((15, 18, 20))))
    whole = space.shell_sum(power)
    monkeypatch.setattr("locscale_hybrid.fourier.space._SLAB_COEFFICIENTS", 1)
    assert space.shell_sum(power) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_backward_inverts_forward(shape):
    space, values = FourierSpace(Grid(shape, (1.0, 1.0, 1.0))), noise(shape)
    assert space.backward(space.forward(values)) == pytest.approx(values, abs=3e-6)


def test_spread_curve_is_zero_beyond_nyquist():
    space = FourierSpace(Grid((16, 16, 16), (1.0, 1.0, 1.0)))
    volume = space.spread(np.ones(space.n_shells))
    assert volume[8, 8, 8] == 0
    assert volume[0, 0, 8] == 1


def test_gaussian_low_pass_is_the_transform_of_a_gaussian():
    # a unit-mass Gaussian of sigma 2 Å on a 1 Å grid, in a box where it has died out
    space = FourierSpace(Grid((32, 32, 32), (1.0, 1.0, 1.0)))
    axis = np.fft.fftfreq(32) * 32
    r_squared = sum(a**2 for a in np.meshgrid(axis, axis, axis, indexing="ij"))
    gaussian = np.exp(-r_squared / 8) / (2 * np.pi * 4) ** 1.5
    expected = np.fft.rfftn(gaussian).real
    assert space.low_pass_gaussian(2.0) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("shape", "new_shape"),
    [((12, 12, 12), (18, 20, 17)), ((13, 11, 12), (26, 22, 24)), ((20, 18, 21), (13, 12, 14))],
)
def test_resized_wave_has_the_same_values_at_the_same_places(shape, new_shape):
    # a single low-frequency wave over the box is known at any point
    def wave(sampling):
        z, y, x = np.meshgrid(*[np.arange(n) / n for n in sampling], indexing="ij")
        return (0.7 + np.cos(2 * np.pi * (2 * z - y + 3 * x) + 0.3)).astype(np.float32)

    space, new_space = (FourierSpace(Grid(s, (1.0, 1.0, 1.0))) for s in (shape, new_shape))
    resized = new_space.backward(resize(space.forward(wave(shape)), shape, new_shape))
    assert resized == pytest.approx(wave(new_shape), abs=2e-6)


def test_real_product_is_the_real_part_of_a_conj_b():
    a, b = (noise(9, i) + 1j * noise(9, i + 5) for i in (0, 1))
    assert real_product(a, b) == pytest.approx((a * b.conj()).real, rel=1e-6)
