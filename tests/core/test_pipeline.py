"""The whole run on a small simulated case: what comes out, in which frame, and how often."""

import dataclasses
import json

import gemmi
import mrcfile
import numpy as np
import pytest

from locscale_hybrid import (
    Cancelled,
    HybridInputs,
    HybridParameters,
    InputError,
    Progress,
    StageError,
    check_only,
    output_paths,
    run_hybrid,
)
from locscale_hybrid.findings import Finding
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.maps.mrc import write_map
from locscale_hybrid.model.structure import read_model
from locscale_hybrid.parallel.pool import ProcessExecutor
from locscale_hybrid.progress import Silent
from tests.synthetic import box_centre, half_maps, small_model

SHAPE, VOXEL, ORIGIN, RESOLUTION = (60, 64, 62), 1.2, (-17.3, 40.0, 5.0), 3.2
N_RESIDUES, N_GIVEN = 120, 80


@dataclasses.dataclass(frozen=True)
class Case:
    inputs: HybridInputs
    truth: np.ndarray
    parameters: HybridParameters


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Simulated: 120 residues in the map, the first 80 of them in the model."""
    folder = tmp_path_factory.mktemp("case")
    structure = small_model(N_RESIDUES, centre=box_centre(SHAPE, VOXEL, ORIGIN))
    first, second, truth = half_maps(structure, SHAPE, VOXEL, RESOLUTION, 7, origin=ORIGIN)
    for name, volume in (("half1", first), ("half2", second)):
        write_map(folder / f"{name}.mrc", volume)
    chain = structure[0][0]
    while len(chain) > N_GIVEN:
        del chain[len(chain) - 1]
    structure.make_mmcif_document().write_file(str(folder / "model.cif"))
    inputs = HybridInputs(
        half_map_1=folder / "half1.mrc", half_map_2=folder / "half2.mrc", model=folder / "model.cif"
    )
    return Case(inputs, truth.values, HybridParameters(resolution=RESOLUTION))


@pytest.fixture(scope="module")
def result(case, tmp_path_factory):
    folder = tmp_path_factory.mktemp("result")
    parameters = dataclasses.replace(
        case.parameters,
        outputs=frozenset({"halves", "mask", "reference", "model", "gain", "resolution"}),
    )
    return run_hybrid(case.inputs, parameters, output_paths(folder / "out.mrc"))


def read(path):
    with mrcfile.open(path) as file:
        return np.array(file.data)


def test_output_stands_in_the_frame_of_the_input(case, result):
    with mrcfile.open(case.inputs.half_map_1) as given, mrcfile.open(result.output) as made:
        assert made.data.shape == SHAPE
        assert made.voxel_size.tolist() == pytest.approx(given.voxel_size.tolist())
        assert made.header.origin.tolist() == pytest.approx(ORIGIN, abs=1e-4)
        assert made.nstart.tolist() == given.nstart.tolist()


def test_sharpened_map_is_nearer_to_the_truth_than_the_average_of_the_halves(case, result):
    average = (read(case.inputs.half_map_1) + read(case.inputs.half_map_2)) / 2
    inside = read(result.files["mask"]) > 0.5
    before, after = (
        np.corrcoef(v[inside], case.truth[inside])[0, 1] for v in (average, read(result.output))
    )
    assert after > before + 0.03


def test_pseudo_atoms_are_as_many_as_the_atoms_left_out(result):
    hybrid = read_model(result.files["model"], keep_pseudo_atoms=True)
    left_out = 8 * (N_RESIDUES - N_GIVEN)
    assert int(hybrid.is_pseudo.sum()) == pytest.approx(left_out, rel=0.15)


def test_labels_say_program_method_reference_and_validation(result):
    with mrcfile.open(result.output) as file:
        labels = "\n".join(file.get_labels())
    assert "locscale-hybrid" in labels
    assert "weight adaptive" in labels
    assert f"{8 * N_GIVEN} atoms + " in labels
    assert "validated by half map 2" in labels
    assert "display map, to look at and to build in" in labels
    with mrcfile.open(result.linear) as file:
        assert file.get_labels()[-1] == "linear map: measure and deposit this"


def test_everything_asked_for_is_written_and_named_in_the_record(result):
    record = json.loads(result.record.read_text())
    for name in ("mask", "reference", "model", "sharpened_half1", "sharpened_half2", "resolution"):
        assert result.files[name].is_file()
        assert record["outputs"][name] == str(result.files[name])
    assert record["adp"]["validated"]
    assert record["adp"]["refined_on_half_map_1"]["fsc_free"] > 0.2
    assert record["resolution"]["d_min_angstrom"] == RESOLUTION


def test_output_is_the_mean_of_its_sharpened_halves_before_the_weight(result):
    halves = [read(result.files[f"sharpened_half{i}"]) for i in (1, 2)]
    linear = read(result.linear)
    assert np.abs((halves[0] + halves[1]) / 2 - linear).max() < 1e-5 * linear.max()


def test_process_pool_and_a_second_run_give_the_same_bytes(case, result, tmp_path):
    progress = Progress()
    progress.found(Finding("mpi-not-used", "warning", "of the executor"))
    with ProcessExecutor(2) as pool:
        again = run_hybrid(
            case.inputs,
            case.parameters,
            output_paths(tmp_path / "out.mrc"),
            executor=pool,
            progress=progress,
        )
    record = json.loads(again.record.read_text())
    assert record["findings"][0]["message"] == "of the executor"
    assert again.output.read_bytes() == result.output.read_bytes()
    assert again.linear.read_bytes() == result.linear.read_bytes()


def test_another_seed_moves_the_map_by_less_than_two_percent_of_its_sd(case, result, tmp_path):
    other = run_hybrid(
        case.inputs,
        dataclasses.replace(case.parameters, seed=5),
        output_paths(tmp_path / "out.mrc"),
    )
    inside = read(result.files["mask"]) > 0.5
    first, second = (read(path)[inside] for path in (result.output, other.output))
    assert 0 < np.sqrt(np.mean((first - second) ** 2)) / first.std() < 0.02


def test_one_map_runs_and_says_that_nothing_is_validated(case, tmp_path):
    inputs = HybridInputs(full_map=case.inputs.half_map_1, model=case.inputs.model)
    result = run_hybrid(inputs, case.parameters, output_paths(tmp_path / "out.mrc.gz"))
    assert {"adp-not-validated", "weight-policy"} <= {f.code for f in result.findings}
    with mrcfile.open(result.output) as file:
        assert any("NOT VALIDATED" in label for label in file.get_labels())


def test_what_changes_nothing_is_said_before_the_work(case):
    parameters = dataclasses.replace(case.parameters, stride=2, region=(-50, 0, 0, 20, 90, 60))
    codes = {finding.code for finding in check_only(case.inputs, parameters)}
    assert {"windows-only", "region-beyond"} <= codes


def test_check_measures_what_the_run_will_record(case, result):
    record = json.loads(result.record.read_text())
    told = []
    check_only(
        case.inputs, dataclasses.replace(case.parameters, resolution=None), measured=told.append
    )
    (facts,) = told
    assert facts["resolution"] == pytest.approx(RESOLUTION, rel=0.15)
    covered = record["hybrid_model"]["model_coverage_of_mask"]
    assert facts["coverage"] == pytest.approx(covered, abs=0.1), "a run looks at the density too"
    alone = dataclasses.replace(case.inputs, model=None)
    check_only(alone, case.parameters, measured=told.append)
    assert told[1] == {"resolution": RESOLUTION}


def test_density_as_weight_is_refused_before_the_work(case):
    inputs = dataclasses.replace(case.inputs, weight_map=case.inputs.half_map_1)
    with pytest.raises(InputError, match=r"weight half1.mrc runs from -.*; a weight runs from 0"):
        check_only(inputs, dataclasses.replace(case.parameters, weight="file"))


def test_without_a_model_the_whole_density_is_filled(case, tmp_path):
    inputs = dataclasses.replace(case.inputs, model=None)
    result = run_hybrid(inputs, case.parameters, output_paths(tmp_path / "out.mrc"))
    assert any("no model" in text for _, text in result.summary)
    with mrcfile.open(result.output) as file:
        assert any("no model" in label for label in file.get_labels())


def test_model_is_used_as_it_is_when_it_is_not_to_be_completed(case, tmp_path):
    parameters = dataclasses.replace(
        case.parameters, complete_model=False, outputs=frozenset({"model"})
    )
    result = run_hybrid(case.inputs, parameters, output_paths(tmp_path / "out.mrc"))
    model = read_model(result.files["model"], keep_pseudo_atoms=True)
    assert len(model) == 8 * N_GIVEN
    coverage = json.loads(result.record.read_text())["hybrid_model"]["model_coverage_of_mask"]
    assert 0.6 < coverage < 0.95


@pytest.fixture(scope="module")
def few_atoms(case, tmp_path_factory):
    """Inputs with the first 12 residues as the model."""
    structure = gemmi.read_structure(str(case.inputs.model))
    while len(structure[0][0]) > 12:
        del structure[0][0][-1]
    path = tmp_path_factory.mktemp("few") / "few.cif"
    structure.make_mmcif_document().write_file(str(path))
    return dataclasses.replace(case.inputs, model=path)


def test_too_few_atoms_for_the_density_are_told_in_the_record(case, few_atoms, tmp_path):
    parameters = dataclasses.replace(case.parameters, complete_model=False, refiner="none")
    result = run_hybrid(few_atoms, parameters, output_paths(tmp_path / "out.mrc"))
    (told,) = (
        finding
        for finding in json.loads(result.record.read_text())["findings"]
        if finding["code"] == "low-coverage"
    )
    assert told["message"].startswith("few.cif has too few atoms for the density: its 96 atoms ")
    assert told["values"]["coverage_percent"] < 50


def test_skipped_refinement_keeps_the_b_of_the_file(case, tmp_path):
    parameters = dataclasses.replace(case.parameters, refiner="none", outputs=frozenset({"model"}))
    result = run_hybrid(case.inputs, parameters, output_paths(tmp_path / "out.mrc"))
    given = read_model(case.inputs.model)
    written = read_model(result.files["model"])
    assert written.b_iso == pytest.approx(given.b_iso, abs=0.01)


def test_too_few_atoms_are_told_by_the_check_with_the_number_of_the_run(case, few_atoms):
    alone = dataclasses.replace(case.parameters, complete_model=False)
    (told,) = (
        finding for finding in check_only(few_atoms, alone) if finding.code == "low-coverage"
    )
    assert told.message.startswith("few.cif has too few atoms for the density: its 96 atoms ")
    codes = {finding.code for finding in check_only(few_atoms, case.parameters)}
    assert "low-coverage" not in codes


def test_check_of_maps_of_noise_is_the_refusal_of_a_run(case, tmp_path):
    rng = np.random.default_rng(3)
    for name in ("half1", "half2"):
        noise = rng.normal(size=SHAPE).astype(np.float32)
        write_map(tmp_path / f"{name}.mrc", Map(noise, Grid(SHAPE, (VOXEL,) * 3)))
    inputs = HybridInputs(half_map_1=tmp_path / "half1.mrc", half_map_2=tmp_path / "half2.mrc")
    with pytest.raises(InputError, match="no density rises above the noise"):
        check_only(inputs, case.parameters)


def test_checks_alone_write_nothing(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    findings = check_only(case.inputs, case.parameters)
    assert not [finding for finding in findings if finding.level == "warning"]
    assert not list(tmp_path.iterdir())


def test_window_larger_than_half_the_box_ends_before_the_work(case, tmp_path):
    parameters = dataclasses.replace(case.parameters, window=60.0)
    with pytest.raises(InputError, match="longer than half the box"):
        run_hybrid(case.inputs, parameters, output_paths(tmp_path / "out.mrc"))
    assert not list(tmp_path.iterdir())


class StageListener(Silent):
    """Notes the stages that were reached."""

    def __init__(self, reached):
        self.reached = reached

    def stage(self, name, index, of):
        self.reached.append(name)


@pytest.mark.parametrize("stage", ["mask", "pseudo-atoms", "adp", "scaling"])
def test_stopped_in_any_stage_nothing_is_left(case, tmp_path, stage):
    reached = []
    listener = StageListener(reached)
    outputs = dataclasses.replace(output_paths(tmp_path / "out.mrc"), scratch=tmp_path)
    progress = Progress(listener, stop_requested=lambda: stage in reached)
    with pytest.raises(Cancelled, match="nothing has been written"):
        run_hybrid(case.inputs, case.parameters, outputs, progress=progress)
    assert not list(tmp_path.iterdir())


def test_old_output_stays_when_a_run_fails(case, tmp_path):
    reached = []
    listener = StageListener(reached)

    def fail():
        if "output" in reached:
            raise StageError("no room")
        return False

    old = tmp_path / "out.mrc"
    old.write_bytes(b"precious")
    with pytest.raises(StageError, match="no room"):
        run_hybrid(
            case.inputs,
            case.parameters,
            output_paths(old),
            progress=Progress(listener, stop_requested=fail),
        )
    assert old.read_bytes() == b"precious"
    assert [path.name for path in tmp_path.iterdir()] == ["out.mrc"]
