"""The reference map, against gemmi's structure factors, and its level of B."""

from dataclasses import dataclass

import gemmi
import numpy as np
import pytest
from numpy.random import default_rng

from locscale_hybrid.maps.grid import Grid
from locscale_hybrid.scattering.reference_map import reference_map, shifted_b
from locscale_hybrid.scattering.scatterers import PSEUDO

GRID = Grid((30, 33, 36), (1.0, 1.1, 0.95), (-17.3, 40.0, 5.0))


@dataclass
class Hybrid:
    positions: np.ndarray
    species: np.ndarray
    b_iso: np.ndarray
    occupancies: np.ndarray
    is_pseudo: np.ndarray


def hybrid(n=60, n_pseudo=0, seed=0):
    rng = default_rng(seed)
    positions = GRID.position_of(rng.uniform(8, 22, (n, 3)))
    pseudo = np.arange(n) >= n - n_pseudo
    species = np.where(pseudo, PSEUDO, rng.choice(["C", "N", "O", "S"], n))
    return Hybrid(positions, species, rng.uniform(20, 90, n), rng.uniform(0.4, 1, n), pseudo)


def gemmi_factor(atoms, b_iso, hkl):
    """Structure factor in the box, summed atom by atom."""
    cell = np.array(GRID.cell)
    s2 = float(((np.array(hkl) / cell) ** 2).sum())
    total = 0j
    for xyz, name, b, q in zip(
        atoms.positions - GRID.origin, atoms.species, b_iso, atoms.occupancies, strict=True
    ):
        f = gemmi.Element("C" if name == PSEUDO else name).c4322.calculate_sf(s2 / 4)
        if name == PSEUDO:  # the mean scatterer: carbon, a little weaker and sharper
            f *= 0.941 * np.exp(1.3 * s2 / 4)
        total += q * f * np.exp(-b * s2 / 4) * np.exp(-2j * np.pi * (np.array(hkl) / cell) @ xyz)
    return total


def level_of(positions, b_iso):
    """1 % quantile of the mean B of each atom and the 19 nearest, less 3, by all distances."""
    distance = np.linalg.norm(positions[:, None] - positions, axis=2)
    return np.quantile([b_iso[np.argsort(row)[:20]].mean() for row in distance], 0.01) - 5


@pytest.mark.parametrize("n_pseudo", [0, 20])
def test_coefficients_are_gemmis_structure_factors(n_pseudo):
    atoms = hybrid(n_pseudo=n_pseudo)
    values = reference_map(GRID, atoms, b_floor=10).values
    coefficients = np.fft.rfftn(values.astype(np.float64)) * GRID.voxel_volume
    own = ~atoms.is_pseudo
    b = atoms.b_iso - level_of(atoms.positions[own], atoms.b_iso[own]) + 10
    indices = [(1, 0, 0), (2, 3, 5), (0, 7, 4), (10, 1, 8), (4, 12, 3), (3, 2, 11)]
    ours = np.array([coefficients[l, k, h] for h, k, l in indices])  # noqa: E741
    expected = np.array([gemmi_factor(atoms, np.maximum(b, 0), hkl) for hkl in indices])
    assert np.abs(ours - expected).sum() / np.abs(expected).sum() < 1e-3


def test_nothing_lies_beyond_the_nyquist_sphere():
    values = reference_map(GRID, hybrid(), b_floor=10).values
    coefficients = np.abs(np.fft.rfftn(values.astype(np.float64)))
    sz, sy, sx = np.fft.fftfreq(30, 0.95), np.fft.fftfreq(33, 1.1), np.fft.rfftfreq(36, 1.0)
    s2 = sz[:, None, None] ** 2 + sy[None, :, None] ** 2 + sx**2
    assert coefficients[s2 > (0.5 / 1.1) ** 2 * 1.001].max() < 1e-5 * coefficients.max()


def test_a_cut_leaves_nothing_finer_and_all_that_is_coarser():
    atoms = hybrid()
    whole, cut = (
        np.fft.rfftn(reference_map(GRID, atoms, b_floor=10, cut=c).values) for c in (None, 4.0)
    )
    sz, sy, sx = np.fft.fftfreq(30, 0.95), np.fft.fftfreq(33, 1.1), np.fft.rfftfreq(36, 1.0)
    s2 = sz[:, None, None] ** 2 + sy[None, :, None] ** 2 + sx**2
    fine = s2 > 1 / 4.0**2 * 1.001
    coarse = s2 < 1 / 4.0**2 * 0.999
    assert np.abs(cut[fine]).max() < 1e-5 * np.abs(whole).max()
    assert cut[coarse] == pytest.approx(whole[coarse], abs=1e-4 * float(np.abs(whole).max()))


def along_a_line(n):
    return np.outer(np.arange(n), [1.5, 0.0, 0.0])


def test_the_quantile_is_that_of_the_model_and_not_of_pseudo_atoms():
    b = np.concatenate([np.linspace(60, 160, 101), [5.0, 8.0, 300.0]])
    pseudo = np.arange(104) >= 101
    shifted = shifted_b(along_a_line(104), b, pseudo, 10.0)
    level = level_of(along_a_line(101), b[:101])
    assert level == pytest.approx(np.mean(b[:20]) - 5, abs=1.0)
    assert shifted[0] == pytest.approx(max(60 - level + 10, 0))
    assert shifted[50] == pytest.approx(110 - level + 10)
    assert shifted[101] == 0.0
    assert shifted[103] == pytest.approx(300 - level + 10)


def test_without_a_model_pseudo_atoms_set_the_level():
    b = np.linspace(60, 160, 101)
    shifted = shifted_b(along_a_line(101), b, np.ones(101, bool), 25.0)
    assert shifted[0] == pytest.approx(60 - level_of(along_a_line(101), b) + 25)


def test_errors_of_single_b_hardly_move_the_level():
    rng = default_rng(3)
    places = rng.uniform(0, 40, (3000, 3))
    true = 40 + 2.0 * np.linalg.norm(places - 20, axis=1)
    error = rng.normal(0, 15, 3000)
    none = np.zeros(3000, bool)
    exact, noisy = (
        float(np.mean(shifted_b(places, b, none, 10.0) - true)) for b in (true, true + error)
    )
    assert noisy == pytest.approx(exact, abs=5)
    # the least of the single B would be off by more than 15
    assert np.quantile(true + error, 0.01) < np.quantile(true, 0.01) - 15


@pytest.mark.parametrize("n", [1, 2, 7])
def test_few_atoms_have_the_mean_of_all_as_level(n):
    b = np.linspace(50, 80, n)
    shifted = shifted_b(along_a_line(n), b, np.zeros(n, bool), 40.0)
    assert shifted.mean() == pytest.approx(45.0)


def test_a_common_shift_of_b_changes_nothing():
    atoms = hybrid()
    before = reference_map(GRID, atoms, b_floor=10).values
    atoms.b_iso = atoms.b_iso + 77
    assert reference_map(GRID, atoms, b_floor=10).values == pytest.approx(before, abs=1e-5)


def test_no_atoms_give_an_empty_map():
    nothing = Hybrid(
        np.empty((0, 3)), np.empty(0, "<U6"), np.empty(0), np.empty(0), np.empty(0, bool)
    )
    assert not reference_map(GRID, nothing, b_floor=10).values.any()
