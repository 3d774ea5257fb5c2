"""Parameters refuse what no run can do, and survive JSON."""

import json
from pathlib import Path

import pytest

from locscale_hybrid.errors import InputError
from locscale_hybrid.parameters import HybridInputs, HybridParameters, without_effect


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"resolution": 0.2}, r"resolution 0.2 Å is out of range. Give 1 to 30 Å"),
        ({"voxel_size": 50.0}, r"voxel size 50 Å is out of range"),
        ({"model_resolution": 99.0}, r"model resolution 99 Å is out of range"),
        ({"fdr": 0.9}, r"false discovery rate 0.9 is out of range. Give 1e-06 to 0.5"),
        ({"window": 2.0}, r"window 2 Å is out of range. Give 5 to 100 Å"),
        ({"window_voxels": 1}, r"window 1 voxels is out of range"),
        ({"stride": 0}, r"stride 0 voxels is out of range"),
        ({"b_steps": 0}, r"B steps 0 is out of range"),
        ({"b_steps": 10**400}, r"B steps beyond 1e\+100 is out of range. Give 1 to 100"),
        ({"b_floor": -1.0}, r"B floor -1 Å² is out of range"),
        ({"neighbour_tau": 0.0}, r"neighbour tau 0 Å² is out of range"),
        ({"scaling": "fast"}, r'scaling "fast" is unknown. Give one of bands, windows'),
        ({"weight": "sharp"}, r'weight "sharp" is unknown'),
        ({"refiner": "refmac"}, r'refiner "refmac" is unknown'),
        ({"taper": "box"}, r'taper "box" is unknown'),
        ({"region": (0, 0, 0, 9, 9)}, r"region needs six numbers. Give x y z of the low corner"),
        ({"region": (0, 0, 0, 9, float("nan"), 9)}, r"region needs six numbers"),
        (
            {"region": (0, 30, 0, 9, 20, 9)},
            r"region ends at y 20 Å and begins at 30 Å. Give x y z of",
        ),
        ({"outputs": frozenset({"movie"})}, r'output "movie" is unknown'),
    ],
)
def test_value_out_of_range_is_refused_with_the_range(values, message):
    with pytest.raises(InputError, match=message):
        HybridParameters(**values)


def test_parameters_survive_json():
    parameters = HybridParameters(
        point_group="D2",
        symmetry_centre=(50, 50.5, 49),
        fdr=0.05,
        region=(1.5, 2.0, 3.0, 10.0, 11.0, 12.25),
        outputs=frozenset({"mask", "linear"}),
    )
    assert HybridParameters.from_dict(json.loads(parameters.to_json())) == parameters


def test_unknown_parameter_in_json_is_named():
    with pytest.raises(InputError, match="unknown parameter windwo; the parameters are"):
        HybridParameters.from_dict({"windwo": 25})


def test_parameter_of_the_wrong_kind_is_refused():
    with pytest.raises(InputError, match="a parameter has a value of the wrong kind"):
        HybridParameters.from_dict({"window": "wide"})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "no map given"),
        ({"half_map_1": Path("a")}, "one half map given. Give both half maps"),
        (
            {"half_map_1": Path("a"), "half_map_2": Path("b"), "full_map": Path("c")},
            "both half maps and a full map given",
        ),
    ],
)
def test_inputs_are_two_halves_or_one_map(values, message):
    with pytest.raises(InputError, match=message):
        HybridInputs(**values)


def test_files_are_those_given():
    inputs = HybridInputs(full_map=Path("map.mrc"), model=Path("model.pdb"))
    assert inputs.files == {"full_map": Path("map.mrc"), "model": Path("model.pdb")}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"stride": 3},
            "stride 3 has no effect, because the map is scaled by bands and not by windows. Set "
            "`scaling` to windows, or leave out `stride`.",
        ),
        ({"stride": 2, "taper": "hann"}, "stride 2 and taper hann have no effect"),
        ({"validate": True}, "validation was asked for, which has an effect on updates only"),
    ],
)
def test_what_changes_nothing_is_said(values, said):
    (found,) = without_effect(HybridInputs(full_map=Path("a.mrc")), HybridParameters(**values))
    assert found.level == "note" and found.message.startswith(said)


def test_what_has_an_effect_is_no_finding():
    update = HybridInputs(full_map=Path("a.mrc"), previous_record=Path("a.json"))
    assert (
        without_effect(
            update, HybridParameters(validate=True, scaling="windows", stride=3, taper="hann")
        )
        == []
    )
