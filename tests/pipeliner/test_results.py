"""The job in a project: files, nodes, display and metadata of a run, and how it fails."""

import json
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from locscale_hybrid.maps.mrc import read_map

EXAMPLE = Path(__file__).parents[2] / "examples/data"
MAP = "DensityMap.mrc.locscale.localsharpen.hybrid"
NODES = {
    "locscale_hybrid.mrc": MAP,
    "locscale_hybrid_linear.mrc": f"{MAP}.linear",
    "locscale_hybrid.json": "ProcessData.json.locscale.record",
    "locscale_hybrid_report.html": "LogFile.html.locscale.report",
    "locscale_hybrid_model.cif": "AtomCoords.cif.locscale.hybrid.pseudoatoms",
    "locscale_hybrid_localB.mrc": "EvaluationMetric.mrc.locscale.local_bfactor",
    "locscale_hybrid_sharpened_half1.mrc": "DensityMap.mrc.locscale.sharpened_half",
    "locscale_hybrid_sharpened_half2.mrc": "DensityMap.mrc.locscale.sharpened_half",
    "locscale_hybrid_resolution.mrc": "EvaluationMetric.mrc.locscale.local_resolution",
    "locscale_hybrid_provenance.mrc": "EvaluationMetric.mrc.locscale.provenance",
    "locscale_hybrid_mask.mrc": "Mask3D.mrc.locscale",
    "locscale_hybrid_reference.mrc": "DensityMap.mrc.locscale.reference",
    "locscale_hybrid_view.json": "VisualisationScript.json.locscale.local_bfactor.chimerax",
}


@pytest.fixture
def record(finished):
    return json.loads((finished.folder / "locscale_hybrid.json").read_text(encoding="utf-8"))


def test_run_succeeds_and_every_file_is_a_node_of_its_kind(finished):
    assert finished.status == "Succeeded"
    assert finished.errors == ""
    nodes = finished.nodes
    gains = {name for name in nodes if name.startswith("locscale_hybrid_gain_")}
    assert len(gains) == 3
    assert {nodes.pop(name) for name in gains} == {"EvaluationMetric.mrc.locscale.gain"}
    assert nodes == NODES


def test_sharpened_halves_are_not_offered_as_half_maps(finished):
    assert not [kind for kind in finished.nodes.values() if "halfmap" in kind]


def test_result_is_that_of_the_command_line_on_the_same_input(finished, case, record):
    recorded = record["inputs"]["half_map_1"]["path"]
    assert recorded.endswith("LocScaleHybrid/job001/InputFiles/half1.mrc")  # its copy
    assert case.hashes()["half1.mrc"] == record["inputs"]["half_map_1"]["sha256"]
    assert record["parameters"]["resolution"] == 3.4
    assert read_map(finished.folder / "locscale_hybrid.mrc").grid.same_as(
        read_map(case.inputs.half_map_1).grid
    )


def test_log_begins_with_the_version_that_ran(finished):
    program = finished.project.api.get_job(finished.job.output_dir).jobinfo.programs[0]
    version = program.get_version_from_logs(finished.job.output_dir)
    assert f"locscale-hybrid {version}\n" in finished.output


def test_display_shows_map_slices_fsc_and_report(finished):
    shown = finished.display()
    assert list(shown) == ["mapmodel", "montage", "graph", "html"]
    written = sorted(finished.folder.glob(".results_display*.json"))
    assert [json.loads(path.read_text())["dobj_type"] for path in written] == list(shown)
    assert shown["mapmodel"].maps == ["LocScaleHybrid/job001/locscale_hybrid.mrc"]
    assert shown["mapmodel"].models == ["LocScaleHybrid/job001/locscale_hybrid_model.cif"]
    assert not shown["mapmodel"].start_collapsed
    assert {label[:-4] for label in shown["montage"].labels} == {"half map 1", "sharpened"}
    assert (finished.folder / "Thumbnails/slices_montage_000.png").stat().st_size > 1000
    assert shown["html"].html_file == "LocScaleHybrid/job001/locscale_hybrid_report.html"


def test_graph_shows_the_curves_of_the_record(finished, record):
    graph = finished.display()["graph"]
    assert graph.data_series_labels == [
        "half maps, corrected",
        "half maps, masked",
        "model, work (half map 1)",
        "model, free (half map 2)",
        "0.143",
        "3.40 Å",
    ]
    free = record["adp"]["refined_on_half_map_1"]["half_map_2"]
    assert graph.xvalues[3] == free["frequency_per_angstrom"][1:]
    assert graph.yvalues[3] == free["fsc"][1:]
    assert graph.xvalues[5] == [1 / 3.4, 1 / 3.4]


def test_script_for_chimerax_names_files_of_the_project(finished):
    listed = json.loads((finished.folder / "locscale_hybrid_view.json").read_text())
    assert set(listed) == {"script", "data"}
    assert listed["data"] == [
        f"LocScaleHybrid/job001/locscale_hybrid{tail}"
        for tail in (".mrc", "_localB.mrc", "_model.cif")
    ]
    with open(listed["script"], encoding="utf-8") as stream:
        assert "color sample #1 map #2 palette cyanmaroon\n" in stream.read()


def test_metadata_come_from_the_record(finished, record):
    metadata = finished.metadata
    assert metadata["resolution_angstrom"] == 3.4
    assert metadata["model_atoms"] == record["hybrid_model"]["model_atoms"] == 24 * 8
    assert metadata["pseudo_atoms"] == record["hybrid_model"]["pseudo_atoms"]
    assert metadata["fsc_free"] == record["adp"]["refined_on_half_map_1"]["fsc_free"]
    assert len(metadata["gain_by_resolution"]) == len(record["scaling"]["bands"])
    assert metadata["findings"] == []
    assert json.loads(json.dumps(metadata)) == metadata


def test_shipped_example_shows_its_warnings_and_a_curve_without_validation(project):
    """EMD-3488, real density which its authors sharpened and masked; there are no half maps."""
    done = project.run(
        input_map=str(EXAMPLE / "emd_3488.mrc.gz"),
        sym_group="C2",
        processes="1",
        input_model=str(EXAMPLE / "modelangelo_in_emd3488.cif.gz"),
        output_local_b="No",
    )
    assert done.status == "Succeeded", done.errors
    assert not [name for name in done.nodes if "localB" in name or "view" in name]
    shown = done.display()
    assert list(shown) == ["table", "mapmodel", "montage", "graph", "html"]
    levels = [level for level, _ in shown["table"].table_data]
    assert levels == sorted(levels, reverse=True)  # "warning" before "note"
    assert any("looks masked" in text for _, text in shown["table"].table_data)
    assert shown["mapmodel"].flag == (
        f"Read the warnings among the findings first: {levels.count('warning')}."
    )
    # a compressed input is not drawn beside the result
    assert shown["montage"].associated_data == ["LocScaleHybrid/job001/locscale_hybrid.mrc"]
    assert shown["graph"].data_series_labels[0] == "model and map, not validated"
    assert len(done.metadata["findings"]) == len(levels)
    assert done.metadata["fsc_free"] is None


def test_halves_on_different_grids_fail_with_one_sentence(project, given, tmp_path):
    small = tmp_path / "small.mrc"
    with mrcfile.new(small) as stream:
        stream.set_data(np.random.default_rng(1).normal(size=(20, 20, 20)).astype(np.float32))
        stream.voxel_size = 1.3
    done = project.run(**{**given, "input_halfmap2": str(small)})
    assert done.status == "Failed"
    assert done.errors.startswith("locscale: half maps differ in box")
    assert len(done.errors.splitlines()) == 1
    assert done.nodes == {}
    shown = done.display()
    assert list(shown) == ["textfile"]
    assert shown["textfile"].title == "What went wrong"
    assert shown["textfile"].file_path == "LocScaleHybrid/job001/run.err"
    assert done.job.gather_metadata() == {}
