"""Density of atoms against a direct sum over atoms, against gemmi, and on single atoms."""

import gemmi
import numpy as np
import pytest

from locscale_hybrid.errors import InputError
from locscale_hybrid.fourier.resolution_range import Band
from locscale_hybrid.fourier.space import FourierSpace
from locscale_hybrid.maps.grid import Grid
from locscale_hybrid.scattering.scatterers import PSEUDO, Scatterers, form_factor
from tests.synthetic import box_centre, density, small_model

# Odd, non-cubic, three voxel sizes, off the origin.
ODD = Grid((30, 35, 41), (1.0, 1.003, 0.998), (-17.3, 40.0, 5.0))
COARSE = Grid((24, 25, 26), (2.0, 2.0, 2.0), (3.0, 0.0, -9.0))
WIDE = Grid((60, 66, 73), (1.0, 1.003, 0.998), (-17.3, 40.0, 5.0))  # room around the atoms
FINE = Grid((31, 32, 33), (0.65, 0.65, 0.65))
PLACES = [
    pytest.param(ODD, (0, 1), id="all over the box"),
    pytest.param(WIDE, (0.4, 0.6), id="in its middle"),
    pytest.param(WIDE, (-0.1, 0.05), id="over its corner"),
]


def frequencies(grid):
    """Signed frequencies (x, y, z) of every rfft coefficient, float64, shape (m, 3)."""
    (nz, ny, nx), (dx, dy, dz) = grid.shape, grid.voxel_size
    z, y, x = np.meshgrid(
        np.fft.fftfreq(nz, dz), np.fft.fftfreq(ny, dy), np.fft.rfftfreq(nx, dx), indexing="ij"
    )
    return np.stack([x, y, z], axis=-1).reshape(-1, 3)


def gemmi_factor(element, s_squared):
    """gemmi's own electron factor; it takes (sin theta / lambda)^2 = s^2 / 4."""
    table = gemmi.Element(element).c4322
    return np.array([table.calculate_sf(float(value) / 4) for value in s_squared])


def pseudo_factor(s_squared):
    """The factor of a pseudo-atom: carbon's, a little weaker, and sharper by 1.3 Å^2 in B."""
    return 0.941 * gemmi_factor("C", s_squared) * np.exp(1.3 / 4 * s_squared)


def direct(grid, positions, species, occupancies, b_iso, chosen):
    """Structure factors by definition, at some coefficients."""
    s = frequencies(grid)[chosen]
    s2 = (s**2).sum(axis=1)
    phases = np.exp(-2j * np.pi * s @ (positions - grid.origin).T)
    factors = np.empty(phases.shape)
    for element in set(species):
        value = pseudo_factor(s2) if element == PSEUDO else gemmi_factor(element, s2)
        factors[:, np.array(species) == element] = value[:, None]
    damping = np.exp(-s2[:, None] * b_iso / 4)
    return (phases * factors * damping * occupancies).sum(axis=1) / grid.voxel_volume


def inside_nyquist(grid, rng, count):
    """Indices of random coefficients inside the Nyquist sphere."""
    s2 = (frequencies(grid) ** 2).sum(axis=1)
    inside = np.flatnonzero(s2 <= (0.5 / max(grid.voxel_size)) ** 2)
    return rng.choice(inside, count, replace=False)


@pytest.mark.parametrize("grid", [ODD, COARSE, FINE], ids=["odd", "coarse", "fine"])
@pytest.mark.parametrize("b_range", [(2, 12), (2, 400), (100, 250)])
def test_structure_factors_agree_with_a_direct_sum_to_1e_3(grid, b_range):
    rng = np.random.default_rng(1)
    n = 50
    positions = np.array(grid.origin) + rng.uniform(-1, 2, (n, 3)) * grid.cell  # wrapped
    species = rng.choice(["C", "N", "O", "S", "P", "Zn", "Fe", PSEUDO], n)
    occupancies, b = rng.uniform(0.2, 1, n), rng.uniform(*b_range, n)
    atoms = Scatterers(grid, positions, species, occupancies)
    made = atoms.structure_factors(b, FourierSpace(grid)).ravel()
    chosen = inside_nyquist(grid, rng, 1500)
    expected = direct(grid, positions, species, occupancies, b, chosen)
    error = np.abs(made[chosen] - expected).sum() / np.abs(expected).sum()
    assert error < 1e-3


@pytest.mark.parametrize("grid", [ODD, COARSE, FINE], ids=["odd", "coarse", "fine"])
def test_one_carbon_anywhere_has_its_amplitude_and_its_place(grid):
    rng = np.random.default_rng(2)
    chosen = inside_nyquist(grid, rng, 3000)
    s = np.sqrt((frequencies(grid)[chosen] ** 2).sum(axis=1))
    for b in (5.0, 30.0, 120.0):
        place = np.array(grid.origin) + rng.uniform(0, 1, (1, 3)) * grid.cell
        made = Scatterers(grid, place, ["C"]).structure_factors([b], FourierSpace(grid))
        ratio = made.ravel()[chosen] / direct(grid, place, ["C"], np.ones(1), np.array([b]), chosen)
        seen = s > 0
        assert np.abs(np.abs(ratio) - 1).max() < 1e-3
        assert (np.abs(np.angle(ratio[seen])) / (2 * np.pi * s[seen])).max() < 0.01


def test_nothing_stands_beyond_the_nyquist_sphere():
    atoms = Scatterers(ODD, [ODD.origin], ["C"])
    made = atoms.structure_factors([10.0], FourierSpace(ODD)).ravel()
    s2 = (frequencies(ODD) ** 2).sum(axis=1)
    assert (made[s2 > (0.5 / 1.003) ** 2 * (1 + 1e-6)] == 0).all()
    assert (made[s2 < (0.49 / 1.003) ** 2] != 0).all()


def test_density_of_a_model_is_that_of_gemmi():
    shape = (40, 44, 42)
    structure = small_model(18, centre=box_centre(shape, 1.1))
    grid = Grid(shape, (1.1, 1.1, 1.1))
    sites = [site.atom for site in structure[0].all()]
    atoms = Scatterers(
        grid,
        [atom.pos.tolist() for atom in sites],
        [atom.element.name for atom in sites],
        [atom.occ for atom in sites],
    )
    space = FourierSpace(grid)
    made = atoms.structure_factors([atom.b_iso + 40 for atom in sites], space)
    expected = np.fft.rfftn(density(structure, grid, blur=40))
    coarser = space.s_squared < 1 / 3**2  # gemmi's density is folded over at Nyquist
    assert np.abs(made - expected)[coarser].sum() < 1e-3 * np.abs(expected[coarser]).sum()


def test_pseudo_atom_is_63_carbon_17_nitrogen_20_oxygen_to_half_a_percent_up_to_2_angstrom():
    s2 = np.linspace(0, 1 / 2, 40) ** 2
    mixed = sum(
        share * gemmi_factor(name, s2) for name, share in (("C", 0.63), ("N", 0.17), ("O", 0.20))
    )
    np.testing.assert_allclose(form_factor(PSEUDO, s2), pseudo_factor(s2), rtol=1e-5)
    np.testing.assert_allclose(form_factor(PSEUDO, s2), mixed, rtol=0.005)


def test_every_element_from_hydrogen_to_californium_scatters_as_tabulated():
    grid = Grid((16, 16, 16), (1.2, 1.2, 1.2))
    chosen = inside_nyquist(grid, np.random.default_rng(0), 300)
    for number in range(1, 99):
        element = gemmi.Element(number).name
        made = (
            Scatterers(grid, [(5.0, 5.5, 6.0)], [element])
            .structure_factors([30.0], FourierSpace(grid))
            .ravel()[chosen]
        )
        expected = direct(
            grid, np.array([(5.0, 5.5, 6.0)]), [element], np.ones(1), np.array([30.0]), chosen
        )
        error = np.abs(made - expected).sum() / np.abs(expected).sum()
        assert error < 2e-3, element


def test_an_unknown_element_is_refused_by_name():
    atoms = Scatterers(ODD, [ODD.origin], ["Xx"])
    with pytest.raises(InputError, match='"Xx" has no electron scattering factor; give an element'):
        atoms.structure_factors([20.0], FourierSpace(ODD))


def test_half_occupancy_at_one_place_twice_is_one_atom():
    place, space = (3.2, 44.1, 9.9), FourierSpace(ODD)
    one = Scatterers(ODD, [place], ["N"]).structure_factors([40.0], space)
    two = Scatterers(ODD, [place, place], ["N", "N"], [0.5, 0.5]).structure_factors(
        [40.0, 40.0], space
    )
    assert np.abs(two - one).max() < 1e-5 * np.abs(one).max()


def test_moved_atoms_scatter_from_where_they_stand_now():
    there = (1.0, 50.0, 11.0)
    atoms = Scatterers(ODD, [ODD.origin, there], ["C", "O"])
    atoms.set_positions(np.array([0]), [(4.0, 45.0, 8.0)])
    fresh = Scatterers(ODD, [(4.0, 45.0, 8.0), there], ["C", "O"])
    space, b = FourierSpace(ODD), [30.0, 60.0]
    assert np.array_equal(atoms.structure_factors(b, space), fresh.structure_factors(b, space))


def test_band_holds_the_shells_between_its_limits_and_a_map_keeps_its_coefficients():
    band = Band(ODD, 3.0, 12.0)
    s = np.sqrt(band.s_squared)
    width = band.space.shell_width
    assert 1 / 12 - width < s.min() and s.max() < 1 / 3 + width
    rng = np.random.default_rng(3)
    packed = band.pack(FourierSpace(ODD).forward(rng.normal(size=ODD.shape)), ODD.shape)
    again = band.space.forward(band.space.backward(band.unpack(packed))).reshape(-1)[band.index]
    assert np.abs(again - packed).max() < 1e-5 * np.abs(packed).max()
    assert np.allclose(band.shell_sum(np.ones(len(packed))), band.count)


@pytest.mark.parametrize(("grid", "share"), PLACES)
def test_coefficients_of_a_band_are_those_of_the_whole_grid(grid, share):
    rng = np.random.default_rng(4)
    positions = np.array(grid.origin) + rng.uniform(*share, (40, 3)) * grid.cell
    atoms = Scatterers(grid, positions, rng.choice(["C", "O", PSEUDO], 40))
    b, band = rng.uniform(40, 160, 40), Band(grid, 3.0)
    whole = band.pack(atoms.structure_factors(b, FourierSpace(grid)), grid.shape)
    part = atoms.coefficients(b, band)
    assert np.abs(part - whole).sum() < 1e-3 * np.abs(whole).sum()
    sides = atoms.coefficients(b, band, np.arange(15)) + atoms.coefficients(
        b, band, np.arange(15, 40)
    )
    assert np.abs(sides - part).sum() < 1e-3 * np.abs(part).sum()


@pytest.mark.parametrize(("grid", "share"), PLACES)
def test_contraction_is_the_sum_over_voxels_of_field_times_atom(grid, share):
    rng = np.random.default_rng(5)
    positions = np.array(grid.origin) + rng.uniform(*share, (6, 3)) * grid.cell
    species = np.array(["C", "O", "S", PSEUDO, "C", "N"])
    atoms, b, band = Scatterers(grid, positions, species), rng.uniform(50, 200, 6), Band(grid, 3.0)
    field = band.pack(FourierSpace(grid).forward(rng.normal(size=grid.shape)), grid.shape)
    values = band.space.backward(band.unpack(field)).astype(np.float64)
    made = atoms.contract(field, b, band)
    for number in range(6):
        alone = Scatterers(grid, positions, species, np.eye(6)[number]).coefficients(b, band)
        own = band.space.backward(band.unpack(alone)).astype(np.float64)
        assert made[number] == pytest.approx((values * own).sum(), rel=2e-3)


def test_derivative_of_the_contraction_is_the_contraction_of_the_derivative():
    rng = np.random.default_rng(6)
    positions = np.array(ODD.origin) + rng.uniform(0, 1, (5, 3)) * ODD.cell
    species, b = ["C", "O", "S", PSEUDO, "C"], rng.uniform(60, 200, 5)
    atoms, band = Scatterers(ODD, positions, species), Band(ODD, 3.0)
    field = band.pack(FourierSpace(ODD).forward(rng.normal(size=ODD.shape)), ODD.shape)
    made = atoms.contract_gradient(field, b, band, np.array([1, 3, 4]))
    s = frequencies(band.grid)[band.index]
    for axis in range(3):
        derivative = (field * 2j * np.pi * s[:, axis]).astype(np.complex64)
        expected = atoms.contract(derivative, b, band)[[1, 3, 4]]
        assert np.abs(made[:, axis] - expected).max() < 3e-3 * np.abs(made).max()


def test_no_atoms_make_no_density():
    made = Scatterers(ODD, np.empty((0, 3)), []).structure_factors([], FourierSpace(ODD))
    assert not made.any()
