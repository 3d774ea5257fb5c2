"""Local Wilson plots: a known difference in B and occupancy is found where it is."""

import numpy as np
import pytest

from locscale_hybrid.fourier.space import FourierSpace
from locscale_hybrid.inputs.half_maps import ObservedMaps
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.refinement.setup import refinement_data
from locscale_hybrid.refinement.wilson import OCCUPANCY_RANGE, WilsonBands, correct_pseudo_atoms
from locscale_hybrid.scattering.scatterers import PSEUDO, Scatterers

GRID = Grid((60, 66, 72), (1.1, 1.1, 1.1), (4.0, -3.0, 10.0))
TRUE_B = 90.0


def data_of(atoms, b, *, noise, d_min=3.3, seed=0):
    space = FourierSpace(atoms.grid)
    signal = space.backward(atoms.structure_factors(b, space))
    rng = np.random.default_rng(seed)
    halves = [
        Map(signal + rng.normal(0, noise, atoms.grid.shape).astype(np.float32), atoms.grid)
        for _ in range(2)
    ]
    average = Map((halves[0].values + halves[1].values) / 2, atoms.grid)
    return refinement_data(ObservedMaps(average, *halves, "halves"), d_min)


@pytest.fixture(scope="module")
def blob():
    """Random atoms 1.3 Å apart at least, 0.05 per Å^3, the last third of them at high x."""
    rng = np.random.default_rng(11)
    places = np.empty((0, 3))
    low, high = np.array([14.0, 14.0, 14.0]), np.array([66.0, 60.0, 54.0])
    for place in rng.uniform(low, high, (9000, 3)):
        if not len(places) or ((places - place) ** 2).sum(axis=1).min() > 1.3**2:
            places = np.vstack([places, place])
    places = places[np.argsort(places[:, 0])]
    return places + GRID.origin, np.arange(len(places)) >= 2 * len(places) // 3


def test_a_model_too_sharp_by_30_is_blurred_by_30(blob):
    places, _ = blob
    atoms = Scatterers(GRID, places, np.full(len(places), "C"))
    b = np.full(len(places), TRUE_B)
    data = data_of(atoms, b, noise=0.01)
    bands = WilsonBands(data, places[::40])
    local = bands.compare(atoms.coefficients(b - 30, data.band))
    np.testing.assert_allclose(local.b_shift, 30, atol=3.0)
    np.testing.assert_allclose(local.log_power, 0, atol=0.2)
    assert (local.error > 0).all() and np.median(local.error) < 15


def test_a_model_of_half_the_density_lacks_a_quarter_of_the_power(blob):
    places, _ = blob
    atoms = Scatterers(GRID, places, np.full(len(places), "C"))
    b = np.full(len(places), TRUE_B)
    data = data_of(atoms, b, noise=0.01)
    local = WilsonBands(data, places[::40]).compare(atoms.coefficients(b, data.band) / 2)
    np.testing.assert_allclose(local.log_power, np.log(4), atol=0.2)
    np.testing.assert_allclose(local.b_shift, 0, atol=3.0)


def test_power_in_a_band_is_the_mean_square_of_the_filtered_map_around_a_point(blob):
    places, _ = blob
    atoms = Scatterers(GRID, places, np.full(len(places), "C"))
    data = data_of(atoms, np.full(len(places), TRUE_B), noise=0.02)
    bands = WilsonBands(data, places[::100])
    made = bands.power(data.average.observed)
    band = data.band
    s = np.sqrt(band.s_squared)
    for number in (0, 4, 9):
        inside = (s >= bands.edges[number]) & (s < bands.edges[number + 1])
        filtered = band.space.backward(band.unpack(data.average.observed * inside))
        square = band.space.forward(filtered * filtered) * band.space.low_pass_gaussian(8.0)
        smooth = band.space.backward(square)
        nearest = band.grid.nearest_voxels(places[::100])
        np.testing.assert_allclose(made[number], smooth[nearest], rtol=0.1)


def test_pseudo_atoms_of_wrong_b_are_corrected_and_the_model_is_left_alone(blob):
    places, is_pseudo = blob
    species = np.where(is_pseudo, PSEUDO, "C")
    atoms = Scatterers(GRID, places, species)
    truth = np.full(len(places), TRUE_B)
    data = data_of(atoms, truth, noise=0.02)
    start = truth + 40.0 * is_pseudo
    b, occupancies = correct_pseudo_atoms(data, atoms, start, is_pseudo)
    deep = places[:, 0] > np.quantile(places[:, 0], 0.8)  # away from the border
    assert abs(np.mean(b[deep]) - TRUE_B) < 10
    assert np.abs(occupancies[deep] - 1).mean() < 0.15
    assert np.array_equal(b[~is_pseudo], start[~is_pseudo])
    assert (occupancies[~is_pseudo] == 1).all()


def test_pseudo_atoms_of_too_little_density_gain_occupancy(blob):
    places, is_pseudo = blob
    atoms = Scatterers(GRID, places, np.where(is_pseudo, PSEUDO, "C"))
    truth = np.full(len(places), TRUE_B)
    data = data_of(atoms, truth, noise=0.02)
    atoms.set_occupancies(np.where(is_pseudo, 0.7, 1.0))
    _, occupancies = correct_pseudo_atoms(data, atoms, truth, is_pseudo)
    deep = places[:, 0] > np.quantile(places[:, 0], 0.8)
    assert 0.88 < occupancies[deep].mean() < 1.12
    low, high = OCCUPANCY_RANGE
    assert (occupancies[is_pseudo] >= 0.7 * low).all()
    assert (occupancies[is_pseudo] <= 0.7 * high).all()


def test_noise_alone_corrects_next_to_nothing(blob):
    places, is_pseudo = blob
    atoms = Scatterers(GRID, places, np.where(is_pseudo, PSEUDO, "C"))
    b = np.full(len(places), TRUE_B)
    data = data_of(atoms, b, noise=30.0)
    made, occupancies = correct_pseudo_atoms(data, atoms, b, is_pseudo)
    assert np.abs(made - b).mean() < 8
    assert np.abs(occupancies - 1).mean() < 0.25


def test_copies_get_the_same_correction(blob):
    places, _ = blob
    pair = np.concatenate([places[:200], places[:200]])
    is_pseudo = np.tile(np.arange(200) >= 100, 2)
    atoms = Scatterers(GRID, pair, np.where(is_pseudo, PSEUDO, "C"), np.full(400, 0.5))
    whole = Scatterers(GRID, places, np.full(len(places), "C"))
    data = data_of(whole, np.full(len(places), TRUE_B), noise=0.02)
    mates = np.stack([np.arange(400), np.roll(np.arange(400), 200)])
    start = np.random.default_rng(0).uniform(60, 120, 400)
    b, occupancies = correct_pseudo_atoms(data, atoms, start, is_pseudo, mates=mates)
    np.testing.assert_allclose(b[:200], b[200:])
    np.testing.assert_allclose(occupancies[:200], occupancies[200:])


def test_a_model_without_pseudo_atoms_is_returned_as_it_is(blob):
    places, is_pseudo = blob
    atoms = Scatterers(GRID, places, np.full(len(places), "C"))
    b = np.full(len(places), TRUE_B)
    data = data_of(atoms, b, noise=0.02)
    made, occupancies = correct_pseudo_atoms(data, atoms, b, np.zeros_like(is_pseudo))
    assert np.array_equal(made, b) and (occupancies == 1).all()
