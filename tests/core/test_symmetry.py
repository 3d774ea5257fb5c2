"""Point groups and what they do to positions."""

from pathlib import Path

import gemmi
import numpy as np
import pytest
from scipy.spatial import cKDTree

from locscale_hybrid.errors import InputError
from locscale_hybrid.maps.grid import Grid
from locscale_hybrid.symmetry.operators import Symmetry, symmetry_of
from locscale_hybrid.symmetry.point_groups import parse_point_group, rotation

DATA = Path(__file__).parents[1] / "data"
ORDERS = {
    "C1": 1,
    "C2": 2,
    "C3": 3,
    "C7": 7,
    "C17": 17,
    "D1": 2,
    "D2": 4,
    "D3": 6,
    "D7": 14,
    "T": 12,
    "TXZ": 12,
    "T222": 12,
    "O": 24,
    "I": 60,
    "I1": 60,
    "I2": 60,
    "I3": 60,
    "I4": 60,
}
# (fold, axis) of two or three generators as RELION writes them in symmetries.cpp
RELION = {
    "D5": [(5, (0, 0, 1)), (2, (1, 0, 0))],
    "T": [(3, (0, 0, 1)), (2, (0, 0.816496, 0.577350))],
    "O": [(3, (0.5773502, 0.5773502, 0.5773502)), (4, (0, 0, 1))],
    "I1": [
        (2, (1, 0, 0)),
        (5, (0.85065080702670, 0, -0.5257311142635)),
        (3, (0.9341723640, 0.3568220765, 0)),
    ],
    "I2": [(2, (0, 0, 1)), (5, (0.525731114, 0, 0.850650807)), (3, (0, 0.356822076, 0.934172364))],
    "I3": [
        (2, (-0.5257311143, 0, 0.8506508070)),
        (5, (0, 0, 1)),
        (3, (-0.4911234778630044, 0.3568220764705179, 0.7946544753759428)),
    ],
    "I4": [
        (2, (0.5257311143, 0, 0.8506508070)),
        (5, (0.8944271932547096, 0, 0.4472135909903704)),
        (3, (0.4911234778630044, 0.3568220764705179, 0.7946544753759428)),
    ],
}


def distance_to_group(matrix, group):
    return np.abs(group.matrices - matrix).max(axis=(1, 2)).min()


def positions(n, seed=0, spread=40.0):
    return np.random.default_rng(seed).uniform(-spread, spread, (n, 3))


@pytest.mark.parametrize("symbol", ORDERS)
def test_operators_are_rotations_to_1e_12_and_as_many_as_the_order(symbol):
    matrices = parse_point_group(symbol).matrices
    assert matrices.shape == (ORDERS[symbol], 3, 3)
    assert np.array_equal(matrices[0], np.eye(3))
    assert np.abs(matrices @ matrices.transpose(0, 2, 1) - np.eye(3)).max() < 1e-12
    assert np.abs(np.linalg.det(matrices) - 1).max() < 1e-12


@pytest.mark.parametrize("symbol", ORDERS)
def test_operators_are_distinct_and_closed(symbol):
    group = parse_point_group(symbol)
    flat = group.matrices.reshape(-1, 9)
    assert len(np.unique(np.round(flat, 6) + 0.0, axis=0)) == group.order
    products = np.einsum("gij,hjk->ghik", group.matrices, group.matrices)
    assert np.abs(products - group.matrices[group.products]).max() < 1e-12
    inverse = group.matrices[group.inverses]
    assert np.abs(inverse - group.matrices.transpose(0, 2, 1)).max() < 1e-12


@pytest.mark.parametrize("symbol", RELION)
def test_axes_stand_as_in_relion(symbol):
    group = parse_point_group(symbol)
    for fold, axis in RELION[symbol]:
        # the axes are printed to six or more digits
        assert distance_to_group(rotation(axis, 360 / fold), group) < 3e-6


def test_a_known_virus_has_the_setting_i1():
    structure = gemmi.read_structure(str(DATA / "2buk_I_5foldsYZ_centre112.pdb.gz"))
    operators = [
        operator.transform
        for generator in structure.assemblies[0].generators
        for operator in generator.operators
    ]
    group = parse_point_group("I1")
    assert len(operators) == 60
    assert max(distance_to_group(o.mat.tolist(), group) for o in operators) < 2e-6  # six digits
    for other in ("I2", "I3", "I4"):
        assert (
            max(distance_to_group(o.mat.tolist(), parse_point_group(other)) for o in operators)
            > 0.3
        )


@pytest.mark.parametrize(
    ("symbol", "fold", "axis"),
    [
        ("C4", 4, (0, 0, 1)),
        ("D3", 2, (1, 0, 0)),
        ("T222", 2, (0, 1, 0)),
        ("T222", 3, (1, 1, 1)),
        ("O", 4, (1, 0, 0)),
        ("O", 2, (1, 1, 0)),
        ("TXZ", 2, (-(2**0.5), 0, 1)),
        ("I3", 2, (0, 1, 0)),
        ("I1", 5, (0, 1, 1.618033988749895)),
        ("I2", 5, (1, 0, 1.618033988749895)),
    ],
)
def test_documented_axes_are_there(symbol, fold, axis):
    assert distance_to_group(rotation(axis, 360 / fold), parse_point_group(symbol)) < 1e-12


def test_i1_is_i2_turned_by_90_degrees_about_z():
    turn = rotation((0, 0, 1), 90)
    turned = turn @ parse_point_group("I2").matrices @ turn.T
    assert max(distance_to_group(m, parse_point_group("I1")) for m in turned) < 1e-12


def test_i4_is_i3_turned_by_180_degrees_about_z():
    turn = rotation((0, 0, 1), 180)
    turned = turn @ parse_point_group("I3").matrices @ turn.T
    assert max(distance_to_group(m, parse_point_group("I4")) for m in turned) < 1e-12


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("d2", "D2"), (" C 4 ", "C4"), ("i1", "I1"), ("t222", "T222"), ("C04", "C4"), ("o\n", "O")],
)
def test_capitals_and_blanks_do_not_matter(typed, meant):
    group = parse_point_group(typed)
    assert group.symbol == meant
    assert np.array_equal(group.matrices, parse_point_group(meant).matrices)


@pytest.mark.parametrize(
    "symbol", ["", "X", "C", "C0", "D-2", "I5", "C2.5", "T23", "4", "C2C2", "Cs", "C٣"]
)
def test_an_unknown_symbol_is_refused_with_what_is_understood(symbol):
    with pytest.raises(InputError, match=r"is unknown: give one of Cn and Dn .* T222, .* I3 and I"):
        parse_point_group(symbol)


@pytest.mark.parametrize("symbol", ["H", "helical", "Helix 22.0,1.4"])
def test_helical_symmetry_is_refused(symbol):
    with pytest.raises(InputError, match="helical, which is not supported: give the point group"):
        parse_point_group(symbol)


def test_more_than_1000_fold_symmetry_is_refused():
    with pytest.raises(InputError, match="is 4444-fold: give 1000-fold symmetry at most"):
        parse_point_group("C4444")


def test_the_centre_is_voxel_n_half_also_in_odd_and_shifted_boxes():
    grid = Grid((11, 20, 31), (1.5, 1.5, 1.5), (-17.3, 40.0, 5.0))
    assert symmetry_of(grid, "C2").centre == pytest.approx((15 * 1.5 - 17.3, 10 * 1.5 + 40, 12.5))


def test_a_centre_may_lie_between_voxels():
    grid = Grid((10, 10, 10), (2.0, 2.0, 2.0), (1.0, 0.0, 0.0))
    assert symmetry_of(grid, "C2", (4.5, 4.5, 0)).centre == pytest.approx((10.0, 9.0, 0.0))


@pytest.mark.parametrize("centre", [(10, 5, 5), (-1, 5, 5), (5, float("nan"), 5)])
def test_a_centre_outside_the_box_is_refused(centre):
    grid = Grid((10, 12, 10), (2.0, 2.0, 2.0))
    with pytest.raises(
        InputError,
        match=r"is outside the box: give x, y, z from \(0, 0, 0\) to "
        r"\(9, 11, 9\)",
    ):
        symmetry_of(grid, "C2", centre)


def test_copies_of_c4_stand_at_right_angles():
    symmetry = Symmetry(parse_point_group("C4"), (10.0, 20.0, 30.0))
    copies = symmetry.copies(np.array([[13.0, 21.0, 5.0]]))
    assert copies[:, 0] == pytest.approx(
        np.array([[13, 21, 5], [9, 23, 5], [7, 19, 5], [11, 17, 5]], dtype=float)
    )


@pytest.mark.parametrize("symbol", ["C3", "D2", "T", "O", "I4"])
def test_averaged_copies_are_what_was_copied(symbol):
    symmetry = Symmetry(parse_point_group(symbol), (5.0, -3.0, 8.0))
    given = positions(50)
    copies = symmetry.copies(given)
    assert symmetry.average_copies(copies) == pytest.approx(given, abs=1e-11)


def test_average_of_noisy_copies_has_the_mean_noise():
    symmetry = Symmetry(parse_point_group("D2"), (1.0, 2.0, 3.0))
    given, noise = positions(2000), np.random.default_rng(1).standard_normal((4, 2000, 3))
    mean = symmetry.average_copies(symmetry.copies(given) + noise)
    assert np.std(mean - given) == pytest.approx(0.5, rel=0.03)


def test_vectors_are_turned_but_not_shifted():
    symmetry = Symmetry(parse_point_group("C4"), (10.0, 20.0, 30.0))
    vectors = np.array([[[1.0, 0, 2]], [[0, 1, 2]], [[-1, 0, 2]], [[0, -1, 2]]])
    assert symmetry.average_vectors(vectors) == pytest.approx(np.array([[1.0, 0, 2]]))


@pytest.mark.parametrize("symbol", ["C1", "C5", "D2", "D3", "T", "T222", "O", "I1", "I3"])
def test_every_point_has_one_image_in_the_asymmetric_unit(symbol):
    symmetry = Symmetry(parse_point_group(symbol), (2.0, 0.0, -7.0))
    images = symmetry.copies(positions(200))
    inside = np.array([symmetry.asymmetric_unit(image) for image in images])
    assert (inside.sum(axis=0) == 1).all()


def test_a_point_on_an_axis_is_in_the_asymmetric_unit_of_all_its_images():
    symmetry = Symmetry(parse_point_group("C4"), (0.0, 0.0, 0.0))
    assert symmetry.asymmetric_unit(np.array([[0.0, 0.0, 3.0]])).all()


@pytest.mark.parametrize(
    ("symbol", "where", "count"),
    [
        ("C4", (0, 0, 9), 4),
        ("C4", (0.9, 0, 9), 4),
        ("C4", (1.1, 0, 9), 1),
        ("D2", (0, 0, 0), 4),
        ("D2", (30, 0, 0), 2),
        ("O", (0, 25, 0), 4),
        ("O", (10, 10, 10), 3),
        ("I2", (0, 0, 50), 2),
        ("I2", (10, 0, 16.18033988749895), 5),
        ("I2", (0, 0, 0.1), 60),
        ("C1", (0, 0, 0), 1),
    ],
)
def test_multiplicity_counts_operators_that_leave_an_atom_in_place(symbol, where, count):
    symmetry = Symmetry(parse_point_group(symbol), (4.0, 5.0, 6.0))
    assert symmetry.multiplicity(np.array([where]) + symmetry.centre).tolist() == [count]


@pytest.mark.parametrize("symbol", ["C3", "D2", "O"])
def test_mates_of_an_assembly_are_found(symbol):
    symmetry = Symmetry(parse_point_group(symbol), (5.0, -3.0, 8.0))
    atoms = symmetry.copies(positions(30, seed=2, spread=20.0)).reshape(-1, 3)
    mates = symmetry.mates(atoms)
    images = symmetry.copies(atoms)
    assert mates.shape == (symmetry.order, len(atoms))
    distance = np.linalg.norm(images - atoms[mates], axis=-1)
    assert distance.max() < 1e-9


def test_an_atom_without_a_mate_is_its_own():
    symmetry = Symmetry(parse_point_group("C2"))
    atoms = np.array([[5.0, 0, 0], [-5.0, 0.6, 0], [9.0, 9, 9]])
    assert symmetry.mates(atoms).tolist() == [[0, 1, 2], [1, 0, 2]]
    assert symmetry.mates(atoms, tolerance=0.5).tolist() == [[0, 1, 2], [0, 1, 2]]


def test_24_copies_of_the_apoferritin_chain_do_not_clash():
    structure = gemmi.read_structure(str(DATA / "3ajo_chainA.pdb.gz"))
    chain = np.array([site.atom.pos.tolist() for site in structure[0].all()])
    symmetry = symmetry_of(Grid((112, 112, 112), (1.3, 1.3, 1.3)), "O")
    atoms = symmetry.copies(chain).reshape(-1, 3)
    nearest = cKDTree(atoms).query(atoms, k=2)[0][:, 1]
    assert len(atoms) == 24 * 1413
    assert nearest.min() > 1.2
