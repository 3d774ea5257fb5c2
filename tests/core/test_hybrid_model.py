"""Completing assemblies, and pseudo-atoms beside them."""

from pathlib import Path

import gemmi
import numpy as np
import pytest
from scipy.spatial import cKDTree

from locscale_hybrid.maps.grid import Grid
from locscale_hybrid.model.hybrid_model import average_over_copies, complete_assembly
from locscale_hybrid.model.structure import model_of, read_model
from locscale_hybrid.scattering.scatterers import PSEUDO
from locscale_hybrid.symmetry.operators import Symmetry, symmetry_of
from locscale_hybrid.symmetry.point_groups import parse_point_group
from tests.models import CENTRE, helix, model, moved, new_structure, symmetry, without_chains

DATA = Path(__file__).parents[1] / "data"
EXAMPLES = Path(__file__).parents[2] / "examples" / "data"


def assert_same_atoms(a, b, tolerance=0.05):
    assert len(a) == len(b)
    assert cKDTree(a).query(b)[0].max() < tolerance
    assert cKDTree(b).query(a)[0].max() < tolerance


def assert_mates_are_images(hybrid, tolerance=1e-6):
    images = hybrid.symmetry.copies(hybrid.positions)
    distance = np.linalg.norm(images - hybrid.positions[hybrid.mates], axis=-1)
    assert distance.max() < tolerance


# ---- which copies are added -------------------------------------------------------------------


@pytest.mark.parametrize("symbol", ["C2", "C3", "D2", "T222", "O", "I2"])
def test_one_unit_becomes_as_many_as_the_group_has_operators(symbol):
    group = symmetry(symbol)
    unit = model({"A": helix(start=(120.0, 50.0, 72.0))})
    hybrid = complete_assembly(unit, group)
    expected = group.copies(unit.positions).reshape(-1, 3)
    assert hybrid.n_model == 160
    assert_same_atoms(hybrid.positions, expected, 1e-9)
    assert np.array_equal(hybrid.positions[:160], unit.positions)
    assert_mates_are_images(hybrid)


@pytest.mark.parametrize("given", [(0,), (2,), (0, 1), (1, 3), (0, 2, 3), (0, 1, 2, 3)])
def test_any_part_of_a_d2_assembly_gives_the_whole(given):
    group, unit = symmetry("D2"), helix()
    whole = group.copies(model({"A": unit}).positions).reshape(-1, 3)
    part = model({"ABCD"[i]: moved(unit, i, group) for i in given})
    hybrid = complete_assembly(part, group)
    assert_same_atoms(hybrid.positions, whole, 1e-6)
    assert_mates_are_images(hybrid)


@pytest.mark.parametrize("given", ["A", "AB", "BD", "ACD", "ABCD"])
def test_any_part_of_real_beta_galactosidase_gives_the_whole(given):
    source = read_model(DATA / "5a1a_in_betaGal.cif.gz")
    group = symmetry_of(Grid((100, 100, 100), (3.54, 3.54, 3.54)), "D2")
    hybrid = complete_assembly(without_chains(source, given), group)
    assert_same_atoms(hybrid.positions, source.positions)
    assert len(hybrid.copies) == 4 - len(given)
    assert_mates_are_images(hybrid, 0.05)


@pytest.mark.parametrize("given", ["AB", "CB", "ABC"])
def test_half_of_real_haemoglobin_gives_the_whole_with_ligands(given):
    source = read_model(EXAMPLES / "5ni1.cif.gz")
    group = symmetry_of(Grid((100, 100, 100), (1.05, 1.05, 1.05)), "C2")
    hybrid = complete_assembly(without_chains(source, given), group)
    assert abs(len(hybrid) - len(source)) <= 1  # a water near the axis
    assert np.percentile(cKDTree(hybrid.positions).query(source.positions)[0], 99.9) < 0.05
    assert (hybrid.species == "Fe").sum() == 4


def test_one_apoferritin_chain_gives_24():
    group = symmetry_of(Grid((112, 112, 112), (1.3, 1.3, 1.3)), "O")
    hybrid = complete_assembly(read_model(DATA / "3ajo_chainA.pdb.gz"), group)
    assert (hybrid.n_model, len(hybrid), len(hybrid.copies)) == (1413, 24 * 1413, 23)
    assert_mates_are_images(hybrid)


def test_60_copies_of_a_virus_coat_protein_are_those_of_the_file():
    path = DATA / "2buk_I_5foldsYZ_centre112.pdb.gz"
    source = read_model(path)
    hybrid = complete_assembly(source, Symmetry(parse_point_group("I1"), (112.0,) * 3))
    whole = gemmi.read_structure(str(path))
    whole.transform_to_assembly("1", gemmi.HowToNameCopiedChain.AddNumber)
    expected = np.array([s.atom.pos.tolist() for s in whole[0].all() if s.atom.element.name != "H"])
    assert_same_atoms(hybrid.positions, expected, 1e-2)


def test_built_chains_that_differ_by_half_an_angstrom_are_not_doubled():
    group, unit = symmetry("C2"), helix()
    pair = model({"A": unit, "B": moved(unit, 1, group, noise=0.5)})
    hybrid = complete_assembly(pair, group)
    assert len(hybrid) == len(pair)
    mated = hybrid.mates[1] != np.arange(len(hybrid))
    assert mated.mean() > 0.7


def test_a_copy_is_not_put_on_another_chain():
    # chain B is another helix that leans through the place of the copy of A
    group, unit = symmetry("C2"), helix()
    other = [
        (n, name, [(a, np.array(xyz) + (0.8, 0.9, 0.7)) for a, xyz in atoms])
        for n, name, atoms in moved(unit, 1, group)
    ]
    hybrid = complete_assembly(model({"A": unit, "B": other}), group)
    assert hybrid.copies == ()


def test_neighbours_that_only_touch_do_not_stop_a_copy():
    group = symmetry("C2")
    unit = helix(start=(4.9, 0.0, 3.0))  # 9.8 Å between the axes of the helices
    hybrid = complete_assembly(model({"A": unit}), group)
    assert len(hybrid) == 320


def test_where_a_fragment_of_a_copy_stands_only_the_rest_is_added():
    group, unit = symmetry("C2"), helix()
    hybrid = complete_assembly(model({"B": moved(unit, 1, group)[:8], "A": unit}), group)
    assert len(hybrid) == 320
    assert cKDTree(hybrid.positions).query(hybrid.positions, k=2)[0][:, 1].min() > 1.0
    assert_mates_are_images(hybrid)


def test_an_atom_on_an_axis_stands_once():
    group = symmetry("C4")
    ion = [(101, "ZN", [("ZN", np.array(CENTRE) + (0, 0, 5.0))])]
    hybrid = complete_assembly(model({"A": helix() + ion}), group)
    assert (hybrid.species == "Zn").sum() == 1
    zinc = int(np.flatnonzero(hybrid.species == "Zn")[0])
    assert (hybrid.mates[:, zinc] == zinc).all()
    assert hybrid.occupancies[zinc] == 1.0
    assert_mates_are_images(hybrid)


def test_an_atom_on_an_axis_with_a_share_of_occupancy_stands_once_for_each_operator():
    structure = new_structure({"A": [*helix(), (101, "ZN", [("ZN", CENTRE)])]})
    structure[0]["A"][-1][0].occ = 0.25
    hybrid = complete_assembly(model_of(structure, "special position"), symmetry("C4"))
    assert hybrid.occupancies[hybrid.species == "Zn"].tolist() == [0.25] * 4


def test_ligand_and_water_chains_are_copied_too():
    group = symmetry("C2")
    water = [
        (201, "HOH", [("O", np.array(CENTRE) + (20, 3, 2))]),
        (202, "HOH", [("O", np.array(CENTRE) + (17, 8, 2))]),
    ]
    hybrid = complete_assembly(model({"A": helix(), "W": water}), group)
    assert [(copy.operator, copy.chain) for copy in hybrid.copies] == [(1, 0), (1, 1)]
    assert len(hybrid) == 324


def test_a_water_near_an_ion_does_not_stop_its_copy():
    group = symmetry("C2")
    ion = [(1, "ZN", [("ZN", np.array(CENTRE) + (20, 0, 0))])]
    water = [(1, "HOH", [("O", np.array(CENTRE) - (20, 2.0, 0))])]
    hybrid = complete_assembly(model({"A": ion, "W": water}), group)
    assert len(hybrid) == 4


def test_copies_have_the_values_of_their_source():
    group = symmetry("D2")
    hybrid = complete_assembly(model({"A": helix(10)}), group)
    assert hybrid.operator.tolist() == np.repeat(range(4), 40).tolist()
    assert np.array_equal(hybrid.source_atom, np.tile(np.arange(40), 4))
    assert np.array_equal(hybrid.b_iso, np.tile(hybrid.b_iso[:40], 4))
    assert np.array_equal(hybrid.species, np.tile(hybrid.species[:40], 4))


@pytest.mark.parametrize("group", [None, symmetry("C1")], ids=["none", "C1"])
def test_without_symmetry_the_model_stays_as_it_is(group):
    hybrid = complete_assembly(model({"A": helix(10)}), group)
    assert len(hybrid) == 40
    assert hybrid.mates is None
    assert hybrid.symmetry is None
    assert hybrid.order == 1
    assert hybrid.findings() == []


def test_copies_can_be_declined():
    hybrid = complete_assembly(model({"A": helix(10)}), symmetry("C2"), add_copies=False)
    assert len(hybrid) == 40
    assert hybrid.mates.tolist() == [list(range(40))] * 2


def test_what_was_added_is_said():
    found = complete_assembly(model({"A": helix(10)}), symmetry("D2")).findings()[0]
    assert found.message == (
        "test model: 3 copies of its chain were added to complete D2 (40 + 120 atoms)"
    )
    full = {"AB"[i]: moved(helix(10), i, symmetry("C2")) for i in (0, 1)}
    found = complete_assembly(model(full), symmetry("C2")).findings()[0]
    assert "all 2 chains of C2 stand already, no copy was added" in found.message


# ---- pseudo-atoms and averages ----------------------------------------------------------------


def test_pseudo_atoms_of_a_unit_are_expanded_by_exact_operators():
    group = symmetry("D2")
    hybrid = complete_assembly(model({"A": helix(10)}), group)
    unit = np.array(CENTRE) + np.random.default_rng(0).uniform(5, 20, (7, 3))
    full = hybrid.with_pseudo_atoms(unit, np.arange(7.0), 0.8)
    assert (len(full), full.n_pseudo, full.n_atoms, full.n_model) == (188, 28, 160, 40)
    assert full.positions[160:] == pytest.approx(group.copies(unit).reshape(-1, 3))
    assert np.array_equal(full.positions[full.unit], unit)
    assert set(full.species[160:]) == {PSEUDO}
    assert full.b_iso[160:].tolist() == list(range(7)) * 4
    assert full.occupancies[160:].tolist() == [0.8] * 28
    assert full.is_pseudo.tolist() == [False] * 160 + [True] * 28
    assert_mates_are_images(full)


def test_new_pseudo_atoms_replace_the_old():
    hybrid = complete_assembly(model({"A": helix(10)}), symmetry("C2"))
    first = hybrid.with_pseudo_atoms(np.ones((5, 3)), 30.0)
    second = first.with_pseudo_atoms(np.zeros((3, 3)), 40.0)
    assert (len(first), len(second)) == (90, 86)
    assert second.mates.shape == (2, 86)
    assert len(second.with_pseudo_atoms(np.empty((0, 3)), 0.0)) == 80


def test_pseudo_atoms_on_an_axis_share_their_occupancy():
    hybrid = complete_assembly(None, symmetry("C4"))
    at = np.array(CENTRE) + [[0.0, 0.5, 9.0], [0.0, 5.0, 9.0]]
    full = hybrid.with_pseudo_atoms(at, 50.0)
    assert full.occupancies.tolist() == [0.25, 1.0] * 4


def test_a_run_without_a_model_has_pseudo_atoms_alone():
    full = complete_assembly(None).with_pseudo_atoms(np.zeros((3, 3)), [10.0, 20, 30], 1.0)
    assert (full.n_model, full.n_atoms, full.n_pseudo, len(full)) == (0, 0, 3, 3)
    assert full.mates is None
    assert full.b_iso.tolist() == [10, 20, 30]


def test_values_are_averaged_over_mates():
    group, unit = symmetry("C2"), helix(10)
    pair = complete_assembly(model({"A": unit, "B": moved(unit, 1, group)}), group)
    full = pair.with_pseudo_atoms(np.array(CENTRE) + [[9.0, 9, 9]], 50.0)
    values = np.arange(82.0)
    averaged = full.averaged(values)
    assert averaged[:40] == pytest.approx(averaged[40:80])
    assert averaged[0] == (0 + 40) / 2
    assert averaged[80:].tolist() == [80.5, 80.5]
    assert average_over_copies(values, None) is values


def test_other_values_leave_the_atoms_alone():
    hybrid = complete_assembly(model({"A": helix(10)}))
    other = hybrid.with_values(b_iso=np.full(40, 7.0))
    assert other.b_iso.tolist() == [7.0] * 40
    assert other.occupancies is hybrid.occupancies
