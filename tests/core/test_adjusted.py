"""A finished map with another fall-off, against a plain transform of the whole box (noise)."""

import numpy as np
import pytest

from locscale_hybrid.fourier.adjusted import KeptTransform, amplitude_factor

VOXEL = (1.1, 1.2, 1.3)


def blob(shape):
    """A map that is 0 but for noise around its middle."""
    values = np.zeros(shape, dtype=np.float32)
    part = tuple(slice(n // 2 - 6, n // 2 + 6) for n in shape)
    values[part] = np.random.default_rng(1).normal(size=(12, 12, 12))
    return values


def plainly(values, factor):
    axes = [np.fft.fftfreq(n, d) for n, d in zip(values.shape, VOXEL[::-1], strict=True)]
    squared = sum(f**2 for f in np.meshgrid(*axes, indexing="ij"))
    return np.fft.ifftn(np.fft.fftn(values) * factor(squared)).real


@pytest.mark.parametrize("shape", [(60, 64, 70), (28, 27, 33)])  # with room around, and without
def test_b_factor_and_low_pass_are_those_of_a_plain_transform(shape):
    values = blob(shape)
    kept = KeptTransform.of(values, VOXEL)
    blurred = kept.filtered(80.0, 0.0, 2.6)
    expected = plainly(values, lambda s2: np.exp(-20 * np.minimum(s2, 1 / 2.6**2)))
    assert np.abs(blurred - expected).max() < 0.02 * expected.std() + 2e-3
    kept_twice = kept.filtered(80.0, 0.0, 2.6)
    assert np.array_equal(blurred, kept_twice), "the transform is left as it is"


def test_no_factor_gives_the_map_back():
    values = blob((40, 44, 48))
    again = KeptTransform.of(values, VOXEL).filtered(0.0, 0.0, 3.0)
    assert again == pytest.approx(values, abs=1e-5)


def test_factor_ends_at_the_resolution_and_low_pass_leaves_half_at_its_limit():
    s2 = np.array([0.0, 1 / 10**2, 1 / 3**2, 1 / 2**2])
    sharpened = amplitude_factor(s2, -36.0, 0.0, 3.0)
    assert sharpened == pytest.approx([1, np.exp(0.09), np.e, np.e])
    low = amplitude_factor(np.array([0.0, 1 / 6.5**2, 1 / 6**2, 1 / 5.5**2]), 0.0, 6.0, 3.0)
    assert low == pytest.approx([1, 1, 0.5, 0], abs=1e-9)
