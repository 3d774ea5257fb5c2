"""A half map turned by right angles; simulated from a real protein."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from locscale_hybrid.errors import InputError
from locscale_hybrid.fourier.space import FourierSpace
from locscale_hybrid.inputs.checks import check_inputs
from locscale_hybrid.inputs.half_maps import observe_halves
from locscale_hybrid.inputs.half_turns import find_turn, turn_name, turned
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.model.structure import atom_positions, model_of, moved_structure, read_model
from tests.synthetic import box_centre, half_maps, small_model

DATA = Path(__file__).parents[1] / "data"
SHAPE, VOXEL = (56, 56, 56), 1.2


def protein(shape):
    model = read_model(DATA / "3J6B_9.pdb.gz")
    shift = np.array(box_centre(shape, VOXEL)) - model.positions.mean(axis=0)
    return moved_structure(model.structure, atom_positions(model.structure) + shift)


@pytest.fixture(scope="module")
def halves():
    return half_maps(protein(SHAPE), SHAPE, VOXEL, 3.5, 1, solvent=0.35)[:2]


def found(one, two):
    space = FourierSpace(Grid(one.shape, (VOXEL,) * 3))
    return find_turn(space, space.forward(one), space.forward(np.ascontiguousarray(two)))


def matrices():
    for order, sign in itertools.product(
        itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)
    ):
        matrix = np.zeros((3, 3))
        matrix[range(3), order] = sign
        yield matrix


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda v: np.rot90(v, 1, (1, 2)), "turned by 90° about z"),
        (lambda v: np.rot90(v, 2, (0, 2)), "turned by 180° about y"),
        (lambda v: np.rot90(v, -1, (0, 1)), "turned by -90° about x"),
        (lambda v: v.transpose(2, 1, 0), "with the axes x and z exchanged"),
        (lambda v: v.transpose(1, 2, 0), r"turned by -120° about \(1, 1, 1\)"),
        (lambda v: np.rot90(v[::-1], 1, (1, 2)), "reversed along z and then turned by 90° about z"),
        (lambda v: np.roll(np.rot90(v, 1, (1, 2)), 9, 0), "turned by 90° about z"),
    ],
)
def test_turn_of_half_map_2_is_named_and_refused(halves, change, name):
    one, two = halves
    other = Map(np.ascontiguousarray(change(two.values)), two.grid, "half 2")
    with pytest.raises(
        InputError,
        match=(
            f"half 2 is turned against half 1: {name} it fits .*as it is.*Give both half maps as "
            "the reconstruction wrote them"
        ),
    ):
        check_inputs(observe_halves(one, other), suggest=True)


def test_what_is_found_brings_half_map_2_back(halves):
    one, two = (half.values for half in halves)
    for number, matrix in enumerate(matrices()):
        if number % 11 == 5:
            turn = found(one, turned(two, matrix))
            assert turn.name == turn_name(matrix.T)
            assert turn.correlation > 0.85
            assert turn.unturned < 0.5


def test_turning_is_that_of_numpy():
    values = np.random.default_rng(1).normal(size=(9, 9, 9))
    quarter = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]])  # y to x: array axis 1 to 2
    assert np.array_equal(turned(values, quarter.astype(float)), np.rot90(values, 1, (1, 2)))
    assert turn_name(quarter.astype(float)) == "turned by -90° about z"


def test_names_of_the_47_differ():
    names = [turn_name(matrix) for matrix in matrices() if np.trace(matrix) < 3]
    assert len(set(names)) == 47


def test_halves_in_place_and_unrelated_halves_have_no_turn(halves):
    one, two = (half.values for half in halves)
    assert found(one, two) is None
    assert found(one, np.random.default_rng(2).normal(size=SHAPE).astype(np.float32)) is None
    other = half_maps(small_model(54, centre=box_centre(SHAPE, VOXEL)), SHAPE, VOXEL, 3.5, 4)[0]
    assert found(one, other.values) is None


def test_box_that_is_not_cubic_allows_fewer_turns():
    shape = (50, 56, 60)
    one, two = (
        half.values for half in half_maps(protein(shape), shape, VOXEL, 3.5, 1, solvent=0.35)[:2]
    )
    assert found(one, np.rot90(two, 2, (1, 2))).name == "turned by 180° about z"
    assert found(one, two[::-1, :, ::-1]).name == "turned by 180° about y"


def test_unrelated_halves_suggest_no_symmetry_and_explain_a_model_that_does_not_fit(halves):
    noise = np.random.default_rng(3).normal(size=(2, *SHAPE)).astype(np.float32)
    pair = [half.with_values(values, half.name) for half, values in zip(halves, noise, strict=True)]
    codes = [finding.code for finding in check_inputs(observe_halves(*pair), suggest=True)]
    assert "halves-unrelated" in codes
    assert "symmetry-suggested" not in codes
    model = model_of(moved_structure(protein(SHAPE), atom_positions(protein(SHAPE)) + 400), "a")
    with pytest.raises(InputError, match="half 1 and half 2 share little"):
        check_inputs(observe_halves(*pair), model)
