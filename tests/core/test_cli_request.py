"""The words of the command line: what run they ask for."""

import json
import re
from pathlib import Path

import pytest

from locscale_hybrid.cli import job_file
from locscale_hybrid.cli.options import build_parser, in_long_spelling, spellings
from locscale_hybrid.cli.request import given_options, request_of
from locscale_hybrid.errors import InputError
from locscale_hybrid.parameters import OUTPUTS, HybridInputs, HybridParameters

HALVES = ["-hm", "half1.mrc", "half2.mrc"]


def request(*words):
    return request_of(*given_options(words))


def remarks(*words):
    return [finding.message for finding in request(*words).remarks]


# ---- the words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "-hm half1.mrc half2.mrc -mc model.pdb -v -o out.mrc --complete_model",
        "--halfmap_paths half1.mrc half2.mrc --model_coordinates model.pdb --verbose --outfile out.mrc "
        "-complete_model",
        "--hm half1.mrc half2.mrc --mc model.pdb --v --o out.mrc --complete_model",
        "-v -o=out.mrc --complete_model -mc=model.pdb -halfmap_paths half1.mrc half2.mrc",
    ],
)
def test_published_line_in_any_spelling_is_one_job(line):
    job = request(*line.split()).job
    here = Path.cwd()
    assert job.inputs == HybridInputs(
        half_map_1=here / "half1.mrc", half_map_2=here / "half2.mrc", model=here / "model.pdb"
    )
    assert job.parameters == HybridParameters(complete_model=True)
    assert job.outputs.map == here / "out.mrc"


def test_published_line_with_one_map():
    line = "-em full.mrc -mc model.pdb -v -o out.mrc --complete_model"
    job = request(*line.split()).job
    assert job.inputs.files == {
        "full_map": Path.cwd() / "full.mrc",
        "model": Path.cwd() / "model.pdb",
    }


def test_published_stray_space_is_overlooked_with_a_warning():
    wanted = request(*HALVES, "-mc", "m.pdb", "-mpi", "--", "complete_model")
    assert wanted.job.parameters.complete_model
    assert wanted.mpi
    assert wanted.remarks[0].level == "warning"
    assert '"-- complete_model" was read as --complete_model: there is a stray' in (
        wanted.remarks[0].message
    )


def test_dash_of_a_word_processor_is_overlooked():
    assert "its dash is not a hyphen" in remarks(*HALVES, "-mc", "m.pdb", "–complete_model")[0]


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        ("-sym D2", "point_group", "D2"),
        ("-res 3.2", "resolution", 3.2),
        ("-p 1.06", "voxel_size", 1.06),
        ("-mres 3", "model_resolution", 3.0),
        ("-fdr 0.05", "fdr", 0.05),
        ("--scaling windows", "scaling", "windows"),
        ("--window 30", "window", 30.0),
        ("-wn 31", "window_voxels", 31),
        ("-wn 30", "window_voxels", 31),
        ("--window_size 25", "window_voxels", 25),
        ("--stride 3", "stride", 3),
        ("--taper hann", "taper", "hann"),
        ("--weight soft", "weight", "soft"),
        ("--no_noise_weight", "noise_weight", False),
        ("--refiner servalcat", "refiner", "servalcat"),
        ("--skip_refine", "refiner", "none"),
        ("-ref_it 5", "b_steps", 5),
        ("--b_floor 30", "b_floor", 30.0),
        ("--neighbour_tau 8", "neighbour_tau", 8.0),
        ("--seed 7", "seed", 7),
        ("--reseed_check", "reseed_check", True),
        ("--validate", "validate", True),
        ("--symmetry_centre -1.5 20 30", "symmetry_centre", (-1.5, 20.0, 30.0)),
        ("--region -17.3 20 30 5 48.5 60", "region", (-17.3, 20.0, 30.0, 5.0, 48.5, 60.0)),
        ("--outputs mask,gain localB", "outputs", frozenset({"mask", "gain", "localB"})),
        ("--outputs all", "outputs", frozenset(OUTPUTS)),
    ],
)
def test_option_sets_its_parameter_and_no_other(words, field, value):
    parameters = request(*HALVES, "-mc", "m.pdb", *words.split()).job.parameters
    default = HybridParameters(complete_model=False)
    assert getattr(parameters, field) == value
    assert {
        name for name, found in vars(parameters).items() if found != getattr(default, name)
    } <= {field}


def test_every_parameter_can_be_set():
    parser_names = set(spellings(build_parser()))
    settable = {
        "complete_model",
        "symmetry",
        "symmetry_centre",
        "ref_resolution",
        "apix",
        "model_resolution",
        "fdr_threshold",
        "scaling",
        "window",
        "window_size",
        "stride",
        "taper",
        "weight",
        "no_noise_weight",
        "refiner",
        "refmac_iterations",
        "b_floor",
        "neighbour_tau",
        "seed",
        "outputs",
        "reseed_check",
        "region",
        "validate",
    }
    assert settable <= parser_names
    assert len(settable) == len(vars(HybridParameters()))


def test_model_alone_is_not_completed():
    assert not request(*HALVES, "-mc", "m.pdb").job.parameters.complete_model


def test_no_model_means_the_whole_mask():
    job = request(*HALVES).job
    assert job.parameters.complete_model
    assert job.inputs.model is None


def test_weight_may_be_a_file(tmp_path):
    path = tmp_path / "w.mrc"
    path.touch()
    job = request(*HALVES, "--weight", str(path)).job
    assert (job.parameters.weight, job.inputs.weight_map) == ("file", path)


@pytest.mark.parametrize(
    ("count", "most", "said"),
    [
        (1, 8, "9 processes are too many for 1 core: at most 8 are started. Give fewer"),
        (2, 8, "9 processes are too many for 2 cores: at most 8 are"),
        (16, 64, "65 processes are too many for 16 cores: at most 64 are"),
    ],
)
def test_no_more_processes_are_started_than_the_cores_can_bear(
    monkeypatch, tmp_path, count, most, said
):
    monkeypatch.setattr(job_file, "cores", lambda: count)
    assert request(*HALVES, "-np", str(most)).job.processes == most
    with pytest.raises(InputError, match=said):
        request(*HALVES, "-np", str(most + 1))
    job = request(*HALVES, "-np", str(most + 1), "-mpi").job  # the launcher says how many
    job_file.write_job(tmp_path / "job.json", job)
    with pytest.raises(InputError, match=said):
        request("--job", str(tmp_path / "job.json"))


def test_even_window_is_made_odd_and_said():
    assert "-wn 30: a window of 31 voxels is used" in remarks(*HALVES, "-wn", "30")[0]


def test_iterations_are_explained():
    for word in ("-ref_it", "--refmac_iterations"):
        assert (
            f"{word} 10 sets the number of B steps of the final fit"
            in remarks(*HALVES, word, "10")[0]
        )


@pytest.mark.parametrize(
    "words",
    [
        "-cif_info x.cif",
        "--cif_info x.cif",
        "-fdr_w 10",
        "--fdr_window_size 10",
        "-pm_it 50",
        "--total_iterations 50",
        "-chunk 3",
        "-dst 1.2",
        "-smooth 0.3",
        "--refmac5_path /x",
        "-fdr_f 3.0",
        "-avg_w 3",
        "-th 0.9",
        "-mw 100",
        "-pm gradient",
        "--add_blur 20",
        "--cref_pickle x",
        "--report_filename x",
        "-bs 8",
        "-cube_size 32",
        "-s 16",
        "--dev_mode",
        "--boost_secondary_structure 1.5",
        "-filter_input",
        "--apply_fsc_filter",
        "-no_mc",
        "-mc_it 15",
        "--measure_bfactors",
        "--build_using_pseudomodel",
        "-avg_filter 3",
        "--set_local_bfactor 20",
        "--activate_pseudomodel",
    ],
)
def test_other_options_of_locscale_2_are_said_to_have_no_effect(words):
    wanted = request(*HALVES, *words.split())
    assert wanted.job == request(*HALVES).job
    typed = words.split()[0]
    assert re.fullmatch(f"{typed} has no effect here, because .+", wanted.remarks[0].message)


def test_restraints_of_a_ligand_are_said_to_come_from_the_library_where_that_is_read():
    words = [*HALVES, "-mc", "m.pdb", "-cif_info", "lig.cif"]
    assert remarks(*words)[0] == (
        "-cif_info has no effect here, because model coordinates are "
        "not refined, so no restraints are read"
    )
    assert remarks(*words, "--refine_coordinates", "/lib")[0] == (
        "-cif_info has no effect here, because --refine_coordinates takes restraints from its "
        "monomer library alone; add the file to that library, in the folder of its first letter"
    )


@pytest.mark.parametrize("word", ["--stride", "-stride"])
def test_stride_of_the_network_of_locscale_2_has_no_effect(word):
    wanted = request(*HALVES, word, "16")
    assert wanted.job == request(*HALVES).job
    assert wanted.remarks[0].message == (
        f"{word} 16 has no effect here, because this program has no networks; it would be the "
        "step between scaling windows, with --scaling windows"
    )


def test_stride_of_windows_keeps_its_range():
    assert request(*HALVES, "--scaling", "windows", "--stride", "3").job.parameters.stride == 3
    with pytest.raises(InputError, match=r"stride 16 voxels is out of range\. Give 1 to 8 voxels"):
        request(*HALVES, "--scaling", "windows", "--stride", "16")


@pytest.mark.parametrize(
    ("typed", "meant"), [("--halfmap", "--halfmap_paths"), ("--halfmap_p", "--halfmap_paths")]
)
def test_beginning_of_a_name_will_do_and_is_said(typed, meant):
    wanted = request(typed, *HALVES[1:])
    assert wanted.job == request(*HALVES).job
    assert [(finding.code, finding.message) for finding in wanted.remarks] == [
        ("abbreviation", f"{typed} was read as {meant}")
    ]


def test_beginning_with_a_value_is_read_too():
    wanted = request(*HALVES, "--number_proc=2", "--complete")
    assert wanted.job.processes == 2
    assert len(wanted.remarks) == 2


def test_beginning_of_an_option_without_effect_is_named_as_typed():
    assert remarks(*HALVES, "--averaging_w", "3")[1].startswith("--averaging_w has no effect here")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            "--model",
            "--model may mean --model_coordinates, --model_map, --model_path, "
            "--model_resolution; give the whole name",
        ),
        ("--output", "--output may mean --output_processing_files, --outputs; give the whole name"),
        ("-x", "-x is unknown"),
        ("--of", "--of is unknown"),
    ],
)
def test_beginning_of_several_names_or_none_is_refused(word, said):
    with pytest.raises(InputError, match=re.escape(said)):
        request(*HALVES, word, "x")


@pytest.mark.parametrize("word", ["-twist", "--twist", "-rise", "--rise", "-n_steps", "--n_steps"])
def test_helical_symmetry_of_locscale_is_refused_with_what_to_give(word):
    name = word.lstrip("-")
    with pytest.raises(
        InputError,
        match=f"-{name} asks for helical symmetry, which is not "
        r"supported yet; give the point group about the helix axis with -sym \(Cn",
    ):
        request(*HALVES, word, "-1.4")


def test_line_of_the_pipeliner_job_is_a_run():
    line = (
        "--halfmap_paths a.mrc b.mrc -sym C1 -mc m.pdb --cif_info c.cif --complete_model "
        "-res 3.4 --window_size 26 -ma mask.mrc --fdr_window_size 30 --total_iterations 50 "
        "--refmac_iterations 10 -o locscale_output.mrc -mpi"
    )
    wanted = request(*line.split())
    assert wanted.mpi
    assert wanted.job.parameters == HybridParameters(resolution=3.4, window_voxels=27, b_steps=10)
    assert wanted.job.inputs.mask == Path.cwd() / "mask.mrc"


def test_words_of_options_are_left_alone():
    words = ["-mc", "complete_model", "x", "--", "y"]
    assert in_long_spelling(words, {"mc": "--model_coordinates", "complete_model": "--c"})[0] == [
        "--model_coordinates",
        "complete_model",
        "x",
        "--",
        "y",
    ]


# ---- repeating a run ----------------------------------------------------------------------------


@pytest.fixture
def record(tmp_path):
    files = {}
    for name in ("half_map_1", "half_map_2", "model"):
        path = tmp_path / name
        path.write_text(name)
        files[name] = {"path": str(path)}
    values = {
        "schema": "locscale-hybrid-record/1",
        "inputs": files,
        "parameters": HybridParameters(
            point_group="D3", complete_model=False, window_voxels=41
        ).as_dict(),
    }
    path = tmp_path / "record.json"
    path.write_text(json.dumps(values))
    return path


def test_record_repeats_its_run(record, tmp_path):
    job = request("--from", str(record)).job
    assert job.inputs.files == {
        name: tmp_path / name for name in ("half_map_1", "half_map_2", "model")
    }
    assert job.parameters == HybridParameters(
        point_group="D3", complete_model=False, window_voxels=41
    )


def test_further_options_change_a_recorded_run(record, tmp_path):
    job = request(
        "--from",
        str(record),
        "-mc",
        str(tmp_path / "new.pdb"),
        "--window",
        "30",
        "--complete_model",
    ).job
    assert job.inputs.model == tmp_path / "new.pdb"
    assert job.parameters == HybridParameters(point_group="D3", window=30.0)


def test_one_map_replaces_both_recorded_halves(record, tmp_path):
    job = request("--from", str(record), "-em", str(tmp_path / "full.mrc")).job
    assert set(job.inputs.files) == {"full_map", "model"}


def test_resume_without_anything_to_resume_is_said(tmp_path):
    words = [*HALVES, "-o", str(tmp_path / "out.mrc"), "--resume"]
    folder = tmp_path / "out_locscale"
    for _ in range(2):
        assert remarks(*words)[0] == (
            f"{folder} has no results of an earlier run, so this run begins at the start. If there "
            "was one, give its folder with -op"
        )
        (folder / "stages").mkdir(parents=True, exist_ok=True)  # the second time
    (folder / "stages/mask-0123.json").write_text("")
    assert remarks(*words) == []
