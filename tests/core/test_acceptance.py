"""What the method is held to, on whole runs of a small simulated case.

The true density is that of 120 residues; models have all of them, or the first 60 %.
"""

import dataclasses
import json

import numpy as np
import pytest
from scipy.spatial import cKDTree

from locscale_hybrid import (
    HybridInputs,
    HybridParameters,
    InputError,
    Progress,
    StageError,
    output_paths,
    run_hybrid,
)
from locscale_hybrid.maps.grid import Map
from locscale_hybrid.maps.mrc import read_map, write_map
from locscale_hybrid.model.structure import read_model
from locscale_hybrid.refinement.restraint_weight import TAUS
from tests.synthetic import box_centre, half_maps, small_model

SHAPE, VOXEL, RESOLUTION = (60, 64, 62), 1.2, 3.0
N_RESIDUES, N_GIVEN = 120, 72
NEAR = 3.0  # Å, from an atom
PARAMETERS = HybridParameters(resolution=RESOLUTION, outputs=frozenset({"model", "mask"}))


@dataclasses.dataclass(frozen=True)
class Case:
    halves: tuple[Map, Map]
    half_paths: tuple
    full: object
    partial: object

    def inputs(self, model):
        return HybridInputs(*self.half_paths, model=model)


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("case")
    structure = small_model(N_RESIDUES, centre=box_centre(SHAPE, VOXEL))
    halves = half_maps(structure, SHAPE, VOXEL, RESOLUTION, 11)[:2]
    paths = folder / "half1.mrc", folder / "half2.mrc"
    for path, volume in zip(paths, halves, strict=True):
        write_map(path, volume)
    structure.make_mmcif_document().write_file(str(folder / "full.cif"))
    chain = structure[0][0]
    while len(chain) > N_GIVEN:
        del chain[len(chain) - 1]
    structure.make_mmcif_document().write_file(str(folder / "partial.cif"))
    return Case(halves, paths, folder / "full.cif", folder / "partial.cif")


@pytest.fixture(scope="module")
def whole(case, tmp_path_factory):
    return run_hybrid(
        case.inputs(case.full),
        PARAMETERS,
        output_paths(tmp_path_factory.mktemp("whole") / "out.mrc"),
    )


@pytest.fixture(scope="module")
def completed(case, tmp_path_factory):
    parameters = dataclasses.replace(PARAMETERS, reseed_check=True)
    return run_hybrid(
        case.inputs(case.partial),
        parameters,
        output_paths(tmp_path_factory.mktemp("completed") / "out.mrc"),
    )


def left_out(case):
    """Voxels near the atoms that the partial model lacks, and not near those that it has."""
    grid = case.halves[0].grid
    voxels = grid.position_of(np.argwhere(np.ones(SHAPE, dtype=bool)))
    full, n = read_model(case.full).positions, len(read_model(case.partial))
    near = [_near(voxels, positions).reshape(SHAPE) for positions in (full[n:], full[:n])]
    return near[0] & ~near[1]


def _near(voxels, positions):
    """Whether voxels lie near any of the positions."""
    return np.isfinite(cKDTree(positions).query(voxels, distance_upper_bound=NEAR)[0])


@pytest.mark.parametrize("kind", ["output", "linear"])
def test_where_40_percent_were_deleted_the_result_is_that_of_the_full_model(
    case, whole, completed, kind
):
    there = left_out(case)
    expected, found = (
        read_map(getattr(result, kind)).values[there] for result in (whole, completed)
    )
    ratio = np.sqrt(np.mean(found**2) / np.mean(expected**2))
    assert 0.85 < ratio < 1.15
    assert np.corrcoef(expected, found)[0, 1] > 0.95


def test_pseudo_atoms_are_within_15_percent_of_the_deleted_atoms(completed):
    hybrid = read_model(completed.files["model"], keep_pseudo_atoms=True)
    assert hybrid.is_pseudo.sum() == pytest.approx(8 * (N_RESIDUES - N_GIVEN), rel=0.15)


def test_another_seed_changes_the_result_by_less_than_2_percent_of_its_sd(completed):
    change = json.loads(completed.record.read_text())["reseed_check"]
    assert 0 < change["rms_change_over_sd"] < 0.02


def test_a_half_map_2_of_noise_is_flagged_and_its_empty_map_is_not_written(case, tmp_path):
    first = case.halves[0]
    drawn = np.random.default_rng(5).normal(0, first.values.std(), SHAPE).astype(np.float32)
    write_map(tmp_path / "noise.mrc", first.with_values(drawn, "noise"))
    inputs = HybridInputs(case.half_paths[0], tmp_path / "noise.mrc", model=case.partial)
    progress = Progress()
    with pytest.raises(StageError, match="the display map is 0 everywhere"):
        run_hybrid(inputs, PARAMETERS, output_paths(tmp_path / "out.mrc"), progress=progress)
    (flagged,) = (finding for finding in progress.findings if finding.code == "half-2-noise")
    assert flagged.level == "warning"
    assert flagged.values["tau"] == TAUS[0]
    assert [path.name for path in tmp_path.iterdir()] == ["noise.mrc"]


def test_identical_half_maps_end_the_run_before_anything_is_written(case, tmp_path):
    write_map(tmp_path / "copy.mrc", case.halves[0])
    inputs = HybridInputs(case.half_paths[0], tmp_path / "copy.mrc", model=case.partial)
    with pytest.raises(InputError, match=r"half1.mrc and copy.mrc are the same map"):
        run_hybrid(inputs, PARAMETERS, output_paths(tmp_path / "out.mrc"))
    assert [path.name for path in tmp_path.iterdir()] == ["copy.mrc"]


def test_false_discovery_rate_is_recorded_and_bounds_the_work(case, completed, tmp_path):
    parameters = dataclasses.replace(PARAMETERS, fdr=1e-5, refiner="none")
    strict = run_hybrid(case.inputs(case.partial), parameters, output_paths(tmp_path / "out.mrc"))
    records = [json.loads(result.record.read_text()) for result in (strict, completed)]
    assert [record["parameters"]["fdr"] for record in records] == [1e-5, 0.01]
    assert records[0]["mask"]["origin"] == "false discovery rate 1e-05 against the half maps"
    tight, wide = (read_map(result.files["mask"]).values == 1 for result in (strict, completed))
    assert not (tight & ~wide).any()
    assert records[0]["mask"]["volume_cubic_angstrom"] < records[1]["mask"]["volume_cubic_angstrom"]
    assert records[0]["adp"] is None
