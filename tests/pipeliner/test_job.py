"""The job before it runs: how it is found, what it offers, what it refuses, its command line."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from locscale_hybrid import HybridParameters, __version__
from locscale_hybrid.cli.request import given_options, request_of
from tests.pipeliner.project import BUILT_IN, NAME, complaints, new_job

HALVES = {"input_halfmap1": "a.mrc", "input_halfmap2": "b.mrc"}
OURS = ("Main", "Output", "Advanced options")


def words_of(job):
    """The command line of the run, after `python -P -m locscale_hybrid`."""
    job.output_dir = "LocScaleHybrid/job001/"
    (words,) = [
        list(map(str, command.cmd)) for command in job.get_commands() if "-o" in command.cmd
    ]
    return words[words.index("locscale_hybrid") + 1 :]


def test_job_is_found_by_its_name():
    (entry,) = entry_points(group="ccpem_pipeliner.jobs", name=NAME)
    assert entry.load().PROCESS_NAME == NAME
    assert type(new_job()) is entry.load()


def test_job_stands_beside_the_built_in_one_and_is_available():
    job = new_job()
    assert job.get_category_label() == new_job(BUILT_IN).get_category_label()
    assert job.OUT_DIR != new_job(BUILT_IN).OUT_DIR
    assert job.jobinfo.is_available
    assert job.jobinfo.programs[0].get_version(timeout=60) == __version__


def test_job_runs_the_program_of_its_own_environment_whatever_is_on_path(monkeypatch):
    monkeypatch.setenv("PATH", os.defpath)
    job = new_job(**HALVES, nr_mpi="2")
    assert job.jobinfo.is_available
    assert job.jobinfo.programs[0].exe_path == str(
        Path(sys.executable).with_name("locscale-hybrid")
    )
    assert complaints(job) == [
        f'warning: job option "Half map {number}": File "{name}" does not exist yet'
        for number, name in ((1, "a.mrc"), (2, "b.mrc"))
    ]


def test_listing_jobs_loads_nothing_of_ours_that_computes():
    code = (
        "import sys; from locscale_hybrid.pipeliner.job import HybridLocScaleJob as Job; "
        "Job(); print(*[n for n in sys.modules if n.startswith('locscale_hybrid.')])"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(said.stdout.split())
    assert not loaded & {f"locscale_hybrid.{name}" for name in ("maps", "pipeline", "executors")}


def test_options_are_explained_in_groups():
    job = new_job()
    groups = job.get_joboption_groups()
    assert tuple(groups)[:3] == OURS
    labels = [option.label for option in job.joboptions.values()]
    assert len(set(labels)) == len(labels)
    for name in [name for group in OURS for name in groups[group]] + ["processes", "other_args"]:
        option = job.joboptions[name]
        optional = name not in HALVES
        assert option.help_text.endswith("."), name
        assert "default" in option.help_text.lower() or not optional, name
        if "Å" in option.label:
            assert "Å" in option.help_text, name


def test_default_of_every_option_is_that_of_the_command_line():
    words = words_of(new_job(**HALVES, input_model="m.cif"))
    assert words == [
        "-hm",
        "a.mrc",
        "b.mrc",
        "-mc",
        "m.cif",
        "--complete_model",
        "--outputs",
        "model",
        "localB",
        "--print_report",
        "-o",
        "LocScaleHybrid/job001/locscale_hybrid.mrc",
    ]


def test_every_option_reaches_the_run():
    job = new_job(
        **HALVES,
        input_model="m.cif",
        complete_model="No",
        sym_group="D2",
        input_mask="k.mrc",
        resolution="3.1",
        fdr="0.02",
        scaling="windows",
        window="20",
        stride="2",
        weight="smooth",
        refiner="none",
        b_floor="25",
        seed="7",
        output_local_b="No",
        output_halves="Yes",
        output_diagnostics="Yes",
        output_reference="Yes",
        processes="3",
        other_args="-mres 3.5 -op 'my folder'",
    )
    run = request_of(*given_options(words_of(job))).job
    assert {name: path.name for name, path in run.inputs.files.items()} == {
        "half_map_1": "a.mrc",
        "half_map_2": "b.mrc",
        "model": "m.cif",
        "mask": "k.mrc",
    }
    assert run.parameters == HybridParameters(
        complete_model=False,
        point_group="D2",
        resolution=3.1,
        fdr=0.02,
        scaling="windows",
        window=20.0,
        stride=2,
        weight="smooth",
        refiner="none",
        b_floor=25.0,
        seed=7,
        model_resolution=3.5,
        outputs=frozenset(
            {"model", "halves", "gain", "resolution", "provenance", "mask", "reference"}
        ),
    )
    assert (run.processes, run.outputs.report) == (3, True)
    assert run.outputs.processing_folder.name == "my folder"


def test_full_map_takes_the_place_of_the_half_maps():
    run = request_of(*given_options(words_of(new_job(input_map="f.mrc")))).job
    assert [path.name for path in run.inputs.files.values()] == ["f.mrc"]


def test_output_cannot_be_turned_elsewhere():
    words = words_of(new_job(**HALVES, other_args="-o elsewhere.mrc"))
    assert request_of(*given_options(words)).job.outputs.map.name == "locscale_hybrid.mrc"


def test_ranks_share_a_folder_that_clean_up_takes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = new_job(**HALVES, nr_mpi="8", processes="3")
    words = words_of(job)
    assert words[-5:] == [
        "-mpi",
        "-op",
        "LocScaleHybrid/job001/stages",
        "-o",
        "LocScaleHybrid/job001/locscale_hybrid.mrc",
    ]
    own = str(Path(sys.executable).with_name("mpirun"))  # that of mpi4py
    assert job.get_commands()[1].cmd[:3] == [own, "-n", "8"]
    assert job.prepare_clean_up_lists() == ([], [])
    (tmp_path / "LocScaleHybrid/job001/stages").mkdir(parents=True)
    assert job.prepare_clean_up_lists() == ([], ["LocScaleHybrid/job001/stages"])


def test_launcher_of_the_user_is_kept(monkeypatch):
    from pipeliner import user_settings

    monkeypatch.setattr(user_settings, "get_mpirun_command", lambda: "srun -n XXXmpinodesXXX")
    assert new_job().joboptions["mpi_command"].value == "srun -n XXXmpinodesXXX"


@pytest.mark.parametrize(
    ("symbol", "deposited"),
    [("C1", "C1"), ("d 7", "D7"), ("T", "T"), ("O", "O"), ("I", "I"), ("I3", "I")],
)
def test_symmetry_is_spelled_as_depositions_want_it(symbol, deposited):
    job = new_job(sym_group=symbol)
    assert job.get_onedep_symmetry() == deposited
    job.output_dir = "LocScaleHybrid/job001/"
    assert job.get_onedep_symmetry_object().data["Schoenflies_symbol"] == deposited[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {**HALVES, "resolution": "0.5"},
            'job option "Resolution (Å)": resolution 0.5 Å is out of range. Give 1 to 30 Å',
        ),
        (
            {**HALVES, "fdr": "0.9"},
            'job option "False discovery rate of the mask": false discovery '
            "rate 0.9 is out of range",
        ),
        ({**HALVES, "window": "3"}, 'job option "Scaling window (Å)": window 3 Å is out of range'),
        ({**HALVES, "stride": "9"}, "stride 9 voxels is out of range"),
        ({**HALVES, "b_floor": "-1"}, "B floor -1 Å² is out of range"),
        ({**HALVES, "seed": "-1"}, "seed -1 is out of range"),
        ({**HALVES, "sym_group": "Q3"}, 'job option "Symmetry group": symmetry "Q3" is unknown'),
        ({**HALVES, "sym_group": "H1"}, 'symmetry "H1" is helical'),
        (
            {**HALVES, "processes": "0"},
            'job option "Processes without MPI": Value cannot be less than',
        ),
        (
            {**HALVES, "input_map": "f.mrc"},
            'job options "Half map 1", "Half map 2", "Full map in place of the half maps": both half '
            "maps and a full map given: give two half maps, or one full map",
        ),
        (
            {"input_halfmap1": "a.mrc", "input_halfmap2": "./a.mrc"},
            'job options "Half map 1", "Half map 2": a.mrc was given for both half maps: give the other '
            "one too",
        ),
        (
            {},
            'job option "Half map 1": This option is required because "Full map in place of the half '
            'maps" is blank',
        ),
        (
            {"input_halfmap1": "/x/run_half.mrc", "input_halfmap2": "/y/run_half.mrc"},
            "/x/run_half.mrc and /y/run_half.mrc have the same name and lie outside the project",
        ),
        ({**HALVES, "other_args": "--zzz"}, 'job option "Additional arguments:": --zzz is unknown'),
        ({**HALVES, "other_args": "-mres 'x"}, "a quotation mark is not closed: close it"),
        ({**HALVES, "other_args": "-gpus 0"}, "this program has no networks"),
    ],
)
def test_wrong_option_is_refused_before_the_job_is_made(options, said):
    errors = [text for text in complaints(new_job(**options)) if text.startswith("error")]
    assert any(said in text for text in errors), errors
    expected = 2 if not options else 1  # both half maps are missed
    assert len(errors) == expected, errors


def test_right_options_are_accepted(given):
    assert complaints(new_job(**given)) == []


def test_project_starts_no_job_with_a_wrong_option(project, given):
    with pytest.raises(ValueError, match=r"resolution 99 Å is out of range. Give 1 to 30 Å"):
        project.run(**{**given, "resolution": "99"})
