"""What a reconstruction does to the density: directions, fall-off, coloured noise, a window.

The noise of a half map is Gaussian with a power of (s + 0.02) / <CTF²> · (1 + 4 exp(-(s/0.03)²)),
over the share of images that show a direction: fewer images reach a fine coefficient, the CTF of
0.8 to 2.2 µm defocus lets part of them through, and structural noise adds to the coarsest.
It is scaled so that the FSC of the halves inside a soft mask is 0.143 at the resolution.
"""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage
from simulated import basic
from simulated import noise as white_noise

from .cases import HardCase

Array = np.ndarray
WAVELENGTH, ABERRATION, CONTRAST = 0.0197, 2.7e7, 0.1  # Å and Å at 300 kV; amplitude contrast
LEAST = 1e-3  # share of the noise power that is left in directions without data


def soft_sphere(case: basic.Simulation) -> Array:
    """1 in the box's inscribed sphere less 6 voxels, a cosine edge of 5 voxels, 0 beyond."""
    place = np.arange(case.box) - case.box // 2
    radius = np.sqrt(place[:, None, None] ** 2 + place[:, None] ** 2 + place**2)
    return 0.5 + 0.5 * np.cos(np.pi * np.clip((radius - case.box / 2 + 6) / 5, 0, 1))


def reconstruction_spectrum(case: basic.Simulation) -> Array:
    """Amplitude of a reconstruction's noise over that of white noise, 1 at the resolution."""
    s = np.sqrt(case.s_squared)
    place = np.linspace(0, float(s.max()), 2000)
    defocus = np.linspace(0.8e4, 2.2e4, 400)
    spherical = 0.5 * ABERRATION * (WAVELENGTH * place[:, None]) ** 2
    phase = np.pi * WAVELENGTH * place[:, None] ** 2 * (defocus - spherical)
    passed = (np.sin(phase + np.arcsin(CONTRAST)) ** 2).mean(axis=1)
    power = (place + 0.02) / passed * (1 + 4 * np.exp(-((place / 0.03) ** 2)))
    power /= np.interp(1 / case.resolution, place, power)
    return np.asarray(np.sqrt(np.interp(s, place, power)))


def angle_to_z(case: basic.Simulation) -> Array:
    """Angle of every coefficient to the z axis, degrees, 0 to 90."""
    s = np.sqrt(case.s_squared)
    along = np.abs(np.fft.fftfreq(case.box, case.voxel_size))[:, None, None]
    return np.degrees(np.arccos(np.clip(along / np.maximum(s, 1e-9), 0, 1)))


def coverage(case: HardCase) -> Array:
    """Share of the images that show each direction, 1 for all."""
    if case.rare_cone is None:
        return np.ones(case.s_squared.shape)
    angle, share = case.rare_cone
    found = share + (1 - share) / (1 + np.exp(-(angle_to_z(case) - angle) / 2))
    return _with_coarsest(case, found)


def shown(case: HardCase) -> Array:
    """Factor of the signal, 0 where no image shows the direction."""
    if case.missing_cone is None:
        return np.ones(case.s_squared.shape)
    found = 1 / (1 + np.exp(-(angle_to_z(case) - case.missing_cone) / 1.5))
    return _with_coarsest(case, found)


def _with_coarsest(case: HardCase, factor: Array) -> Array:
    """Set the coarsest coefficients, which have no direction, to 1."""
    return np.where(np.sqrt(case.s_squared) < 1.5 / (case.box * case.voxel_size), 1, factor)


def in_halves(case: HardCase, density: Array) -> Array:
    """Return what both halves show of a density: its fall-off, and the directions with data."""
    return case.filtered(density, case.falloff(case.blur) * shown(case))


def noise_amplitude(case: HardCase) -> Array:
    """Amplitude of the noise in every coefficient, up to a factor."""
    colour = reconstruction_spectrum(case) if case.coloured else 1.0
    return colour * np.sqrt(np.maximum(shown(case), LEAST) / coverage(case))


def noise(case: HardCase, rng: np.random.Generator) -> Array:
    """Draw the noise of a half map, up to a factor; it has the point group."""
    return case.filtered(white_noise(case, 1.0, rng), noise_amplitude(case))


def noise_level(case: HardCase, signal: Array, distance: Array) -> float:
    """Factor of the noise at which the FSC of the halves is 0.143 at the resolution."""
    mask = ndimage.gaussian_filter((distance < 8).astype(float), 2 / case.voxel_size)
    shell = np.abs(np.sqrt(case.s_squared) - 1 / case.resolution) < 0.012
    drawn = noise(case, np.random.default_rng([case.seed, 9]))
    given, spread = (
        np.mean(np.abs(np.fft.rfftn(values * mask)[shell]) ** 2)
        for values in (signal - signal[distance > 8].mean(), drawn)
    )
    return float(np.sqrt(given * (1 - 0.143) / 0.143 / spread))


def halves(case: HardCase, signal: Array, level: float, draw: int = 0) -> Iterator[Array]:
    """Two half maps of a signal; another draw has other noise."""
    rng = np.random.default_rng([case.seed, draw, 1])
    window = soft_sphere(case) if case.windowed else 1.0
    for _ in range(2):
        yield (signal + level * noise(case, rng)) * window


def without_detail(case: HardCase, signal: Array, coarser: float) -> Array:
    """Return the signal without anything finer than `coarser` times the resolution."""
    return case.filtered(signal, case.s_squared <= 1 / (coarser * case.resolution) ** 2)
