"""The difference map: what is left out, too much or right, on SIMULATED half maps."""

import dataclasses

import gemmi
import mrcfile
import numpy as np
import pytest

from locscale_hybrid import HybridInputs, HybridParameters, output_paths, run_hybrid
from locscale_hybrid.comparison.peaks import strongest_peaks
from locscale_hybrid.files.json_objects import read_run_record
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.maps.mrc import write_map
from tests.synthetic import box_centre, half_maps, small_model

SHAPE, VOXEL, ORIGIN, RESOLUTION = (56, 60, 58), 1.2, (-17.3, 40.0, 5.0), 3.2
PARAMETERS = HybridParameters(
    resolution=RESOLUTION, outputs=frozenset({"difference"}), complete_model=False
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Half maps of 90 residues."""
    folder = tmp_path_factory.mktemp("difference")
    first, second, _ = half_maps(whole(), SHAPE, VOXEL, RESOLUTION, 7, origin=ORIGIN)
    write_map(folder / "half1.mrc", first)
    write_map(folder / "half2.mrc", second)
    return folder


def whole():
    return small_model(90, centre=box_centre(SHAPE, VOXEL, ORIGIN))


def run(folder, structure, name, parameters=PARAMETERS, maps=("half_map_1", "half_map_2")):
    """The record of a run with a model, None for no model."""
    given = {"half_map_1": folder / "half1.mrc", "half_map_2": folder / "half2.mrc"}
    if maps == ("full_map",):
        given = {"full_map": folder / "half1.mrc"}
    if structure is not None:
        structure.make_mmcif_document().write_file(str(folder / f"{name}.cif"))
        given["model"] = folder / f"{name}.cif"
    result = run_hybrid(HybridInputs(**given), parameters, output_paths(folder / f"{name}_out.mrc"))
    return result, read_run_record(result.record)


def positions(residue):
    return np.array([atom.pos.tolist() for atom in residue])


def distance(peak, places):
    return float(np.linalg.norm(places - peak["position_angstrom"], axis=1).min())


def test_complete_model_leaves_noise_of_unit_sd_and_no_peak_above_5(folder):
    result, record = run(folder, whole(), "complete")
    difference = record["difference_map"]
    assert difference["sd_of"] == "noise"
    assert all(abs(peak["height_sd"]) < 5 for peak in difference["peaks"])
    with mrcfile.open(result.files["difference"]) as file:
        values = file.data[file.data != 0]
        assert "map minus model, in standard deviations" in "\n".join(file.get_labels())
    assert values.std() == pytest.approx(1, abs=0.12)


def test_residue_that_the_model_lacks_is_the_strongest_peak(folder):
    structure = whole()
    missing = positions(structure[0][0][40])
    del structure[0][0][40]
    result, record = run(folder, structure, "missing")
    strongest, *others = record["difference_map"]["peaks"]
    assert strongest["height_sd"] > 8
    assert distance(strongest, missing) < 1.5
    assert all(distance(peak, missing) < 6 for peak in others if abs(peak["height_sd"]) > 5.5)
    assert strongest["nearest_residue"].startswith("A ")
    assert dict(result.summary)["difference map"].startswith(f"{len(others) + 1} peaks of 4 sd")


def test_side_chain_at_a_wrong_place_makes_a_pair_of_peaks(folder):
    structure = whole()
    residue = structure[0][0][42]
    right = {atom.name: np.array(atom.pos.tolist()) for atom in residue}
    axis = right["CB"] - right["CA"]
    axis /= np.linalg.norm(axis)
    for atom in residue:
        if atom.name not in ("N", "CA", "C", "O", "CB"):  # half a turn about CA-CB
            arm = right[atom.name] - right["CB"]
            turned = 2 * axis * (arm @ axis) - arm
            atom.pos = gemmi.Position(*(right["CB"] + turned))
    wrong = np.array([a.pos.tolist() for a in residue if a.name in ("CG", "CD1", "CD2")])
    there = np.array([right[name] for name in ("CG", "CD1", "CD2")])
    _, record = run(folder, structure, "wrong")
    peaks = record["difference_map"]["peaks"]
    lacking = next(peak for peak in peaks if peak["height_sd"] > 0)
    too_much = next(peak for peak in peaks if peak["height_sd"] < 0)
    assert lacking["height_sd"] > 6
    assert too_much["height_sd"] < -5
    assert distance(lacking, there) < 1.5
    assert distance(too_much, wrong) < 2.0


def test_pseudo_atoms_do_not_hide_what_the_model_lacks(folder):
    structure = whole()
    missing = np.concatenate([positions(residue) for residue in structure[0][0][72:]])
    del structure[0][0][72:]
    parameters = dataclasses.replace(PARAMETERS, complete_model=True)
    _, record = run(folder, structure, "completed", parameters)
    assert record["hybrid_model"]["pseudo_atoms"] > 50
    strongest = record["difference_map"]["peaks"][0]
    assert strongest["height_sd"] > 8
    assert distance(strongest, missing) < 1.5


def test_one_map_has_no_noise_and_says_so(folder):
    _, record = run(folder, whole(), "single", maps=("full_map",))
    assert record["difference_map"]["sd_of"] == "map"
    (found,) = [f for f in record["findings"] if f["code"] == "difference-unit"]
    assert "in units of its own standard deviation inside the mask" in found["message"]


def test_without_a_model_there_is_nothing_to_compare(folder):
    parameters = dataclasses.replace(
        PARAMETERS, outputs=frozenset({"difference", "scores"}), complete_model=True
    )
    result, record = run(folder, None, "none", parameters)
    assert record["difference_map"] is None
    assert record["scores"] is None
    assert set(result.files) == set()
    (found,) = [f for f in record["findings"] if f["code"] == "no-model-to-compare"]
    assert "because they compare a model with the map. Give " in found["message"]


def test_peaks_are_places_between_voxels_with_the_region_that_belongs_to_them():
    grid = Grid((40, 44, 48), (1.0, 1.0, 1.0), (3.0, -2.0, 7.0))
    places = grid.position_of(np.stack(np.indices(grid.shape), axis=-1))
    values = np.zeros(grid.shape)
    given = {(20.3, 15.0, 25.0): 12.0, (35.0, 20.6, 30.0): -9.0, (20.0, 25.0, 38.2): 6.0}
    for centre, height in given.items():
        squared = ((places - centre) ** 2).sum(axis=-1)
        values += height * np.exp(-0.5 * squared / 2.0**2)
    found = strongest_peaks(Map(values.astype(np.float32), grid))
    assert [peak.height for peak in found] == pytest.approx([12, -9, 6], rel=0.03)
    for peak, centre in zip(found, given, strict=True):
        assert peak.position == pytest.approx(centre, abs=0.1)
    # the ball in which a Gaussian of 2 Å is above half its height
    half = 4 / 3 * np.pi * (2.0 * np.sqrt(2 * np.log(2))) ** 3
    assert found[0].volume == pytest.approx(half, rel=0.15)


def test_two_peaks_of_one_group_count_once_and_far_ones_apart():
    grid = Grid((40, 40, 40), (1.0, 1.0, 1.0))
    values = np.zeros(grid.shape, dtype=np.float32)
    values[20, 20, 18:23] = 8, 10, 8, 9, 7  # one ridge with two tops
    values[20, 20, 30] = 6
    assert [peak.height for peak in strongest_peaks(Map(values, grid))] == [10, 6]
    assert len(strongest_peaks(Map(values, grid), count=1)) == 1
