"""Transforms of boxes of which only low frequencies matter."""

import numpy as np
import pytest
import scipy.fft

from locscale_hybrid.fourier.pruned_transforms import partial_backward, partial_forward

SHAPES = [(24, 27, 30), (32, 40, 48), (23, 29, 31), (16, 20, 7)]


def inside(shape, reach) -> np.ndarray:
    """Coefficients whose indices do not go beyond `reach`."""
    z, y = (np.abs(np.fft.fftfreq(n) * n).round() for n in shape[:2])
    x = np.arange(shape[2] // 2 + 1)
    return (
        (z <= reach[0])[:, None, None]
        & (y <= reach[1])[None, :, None]
        & (x <= reach[2])[None, None, :]
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reach", [(0, 0, 0), (3, 5, 2), (7, 2, 3), (99, 99, 99)])
def test_low_frequencies_are_those_of_the_whole_transform(shape, reach):
    reach = tuple(min(r, n // 2) for r, n in zip(reach, shape, strict=True))
    values = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    low, whole = inside(shape, reach), scipy.fft.rfftn(values)
    found = partial_forward(values, reach)
    assert found.dtype == np.complex64
    np.testing.assert_allclose(found[low], whole[low], atol=2e-6 * np.abs(whole).max())
    wanted = scipy.fft.irfftn(whole * low, shape)
    back = partial_backward(whole * low, shape, reach)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, wanted, atol=2e-6 * np.abs(values).max())
