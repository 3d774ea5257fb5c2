"""The command line: what it answers, how it ends."""

import json
import os
import re
import signal
import subprocess
import sys
import types
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from locscale_hybrid import __version__
from locscale_hybrid.cli import main as cli_main
from locscale_hybrid.errors import InputError, StageError
from tests import toy_program, toy_tasks

ROOT = Path(__file__).parents[2]
HALVES = ["-hm", "half1.mrc", "half2.mrc"]


# ---- what is answered ---------------------------------------------------------------------------


def test_version_is_parsed_by_other_programs(capsys):
    assert cli_main.main(["--version"]) == 0
    assert capsys.readouterr().out == f"locscale-hybrid {__version__}\n"
    assert cli_main.main(["version"]) == 0


def test_help_fits_eighty_columns_and_is_grouped(capsys):
    assert cli_main.main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    groups = [line.rstrip(":") for line in lines if re.fullmatch(r"[a-zA-Z -]+:", line)]
    assert groups == [
        "maps and model",
        "output",
        "symmetry",
        "resolution and mask",
        "local scaling",
        "pseudo-atoms and B factors",
        "processes",
        "repeating and resuming",
        "messages",
    ]


def test_command_line_loads_no_numerics():
    code = (
        "import sys; from locscale_hybrid.cli.main import main; main(['--version']); "
        "assert not {'numpy', 'scipy', 'gemmi', 'mpi4py', 'chimerax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.fixture
def pipeline(monkeypatch):
    """A stand-in for the pipeline; holds what it was called with."""
    calls = []

    def run_hybrid(inputs, parameters, outputs, *, executor, progress):
        calls.append((inputs, parameters, outputs, executor))
        return toy_program.run_hybrid(
            inputs, parameters, outputs, executor=executor, progress=progress
        )

    module = types.ModuleType("locscale_hybrid.pipeline")
    module.run_hybrid = run_hybrid
    module.check_only = lambda inputs, parameters, progress, **_: progress.start("checks")
    monkeypatch.setitem(sys.modules, "locscale_hybrid.pipeline", module)
    module.calls = calls
    return module


@pytest.fixture
def words(tmp_path):
    return [*HALVES, "-np", "1", "-o", str(tmp_path / "out.mrc")]


def test_run_ends_with_zero_and_says_where_its_files_are(pipeline, words, tmp_path, capsys):
    assert cli_main.main(words) == 0
    text = capsys.readouterr().out
    assert f"map       {tmp_path / 'out.mrc'}" in text
    assert f"record    {tmp_path / 'out.json'}" in text
    assert "8/8 output" in text
    _, _, outputs, executor = pipeline.calls[0]
    assert executor.name == "serial"
    assert not outputs.scratch.exists()


def test_existing_output_is_said_to_be_replaced(pipeline, words, tmp_path, capsys):
    (tmp_path / "out.mrc").write_text("old")
    assert cli_main.main(words) == 0
    assert "out.mrc exists and will be replaced at the end" in capsys.readouterr().out


def test_check_writes_nothing(pipeline, words, tmp_path, capsys):
    assert cli_main.main([*words, "--check"]) == 0
    assert list(tmp_path.iterdir()) == []
    assert not pipeline.calls


def test_job_file_is_run(pipeline, tmp_path, capfd):
    job = {
        "inputs": {"full_map": "full.mrc"},
        "outputs": {"map": "out.mrc"},
        "processes": 1,
        "parameters": {"point_group": "O"},
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    assert cli_main.main(["--job", str(tmp_path / "job.json"), "--progress", "json"]) == 0
    inputs, parameters, outputs, _ = pipeline.calls[0]
    assert inputs.full_map == tmp_path / "full.mrc"
    assert parameters.point_group == "O"
    assert outputs.map == tmp_path / "out.mrc"


def test_json_lines_tell_the_whole_run(pipeline, words, tmp_path, capfd):
    assert cli_main.main([*words, "--progress", "json"]) == 0
    written = capfd.readouterr()
    events = [json.loads(line) for line in written.out.splitlines()]
    assert written.err == ""
    kinds = [event["event"] for event in events]
    assert kinds[0] == "stage"
    assert kinds[-1] == "result"
    fractions = [event["fraction"] for event in events if event["event"] == "progress"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert events[-1]["map"] == str(tmp_path / "out.mrc")


def test_json_lines_carry_the_refusal_of_words(pipeline, capfd):
    assert cli_main.main(["-em", "a.mrc", "--zzz", "--progress", "json"]) == 2
    event = json.loads(capfd.readouterr().out)
    assert (event["event"], event["code"]) == ("error", "input")
    assert "--zzz is unknown" in event["message"]


def failing(pipeline, error):
    def run_hybrid(*arguments, **keywords):
        raise error

    pipeline.run_hybrid = run_hybrid


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (InputError("half maps differ in box"), 2, "locscale: half maps differ in box\n"),
        (StageError("rank 1 of 2 failed"), 3, "locscale: rank 1 of 2 failed\n"),
        (KeyboardInterrupt(), 130, "locscale: interrupted; no file is left half written\n"),
        (MemoryError(), 3, "locscale: there is not enough memory. Give fewer processes (-np)"),
        (
            OSError(12, "Cannot allocate memory"),
            3,
            "locscale: there is not enough memory. Give fewer",
        ),
        (
            ImportError("/x/gemmi_ext.so: failed to map segment from shared object"),
            3,
            "locscale: there is not enough memory. Give fewer processes (-np)",
        ),
        (
            RuntimeError("can't start new thread"),
            3,
            "locscale: no further thread can be started. Give "
            "fewer processes (-np), or raise the limits of memory and processes.",
        ),
        (
            OSError(28, "No space left on device", "/x"),
            3,
            "locscale: the disk is full at /x (No space "
            "left on device). Make room, set TMPDIR to a folder with room, or give a folder with "
            "room (-op).\n",
        ),
        (
            PermissionError(13, "Permission denied", "/x"),
            3,
            "locscale: the operating system reported an error at /x (Permission denied); no file is "
            "left half written. Check the files and folders of the run, and rerun.",
        ),
        (
            SystemExit(5),
            3,
            "locscale: the run failed because of a fault of the program: SystemExit: 5. Rerun",
        ),
        (
            ZeroDivisionError("division by zero"),
            3,
            "locscale: the run failed because of a fault of the program: ZeroDivisionError: division "
            "by zero. Rerun with --debug and report what it shows.",
        ),
    ],
)
def test_errors_are_one_sentence_and_a_code(
    pipeline, words, tmp_path, capsys, error, code, sentence
):
    failing(pipeline, error)
    assert cli_main.main(words) == code
    written = capsys.readouterr()
    assert written.err.startswith(sentence)
    assert "Traceback" not in written.err + written.out
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(pipeline, words, capsys):
    failing(pipeline, ZeroDivisionError("division by zero"))
    assert cli_main.main([*words, "--debug"]) == 3
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("output", ["none/out.mrc", "half1.mrc"])
def test_bad_output_is_refused_before_anything_is_done(
    pipeline, tmp_path, monkeypatch, capsys, output
):
    monkeypatch.chdir(tmp_path)
    for name in ("half1.mrc", "half2.mrc"):
        Path(name).write_text(name)
    assert cli_main.main([*HALVES, "-np", "1", "-o", output]) == 2
    assert not pipeline.calls
    assert sorted(os.listdir()) == ["half1.mrc", "half2.mrc"]
    assert Path("half1.mrc").read_text() == "half1.mrc"


def test_mpiexec_that_is_no_program_is_refused(pipeline, words, capsys):
    assert cli_main.main([*words, "-np", "2", "--mpiexec", "/none/mpiexec"]) == 2
    assert "mpiexec /none/mpiexec is not a program" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("feature_enhance -em a.mrc", "feature_enhance is a network prediction"),
        ("-em a.mrc -gpus 0 1", "-gpus asks for a network prediction"),
        ("-em a.mrc --gpu_ids 0", "--gpu_ids asks for a network prediction"),
        ("-em a.mrc -model_path x", "--model_path names a trained network"),
        ("-em a.mrc -mm ref.mrc", "-mm gives a reference map"),
        ("-em a.mrc --no_reference", "--no_reference scales without a reference"),
        ("", r"no map given\. Give two half maps \(-hm\), or give one full map \(-em\)\."),
        ("-hm a.mrc", "-hm/--halfmap_paths: expected 2 arguments; see locscale --help"),
        ("-hm a.mrc b.mrc c.mrc", '"c.mrc" belongs to no option'),
        ("-hm a.mrc b.mrc -em c.mrc", "both half maps and a full map given"),
        ("-em a.mrc --wieght soft", "--wieght is unknown: did you mean --weight"),
        ("-em a.mrc --zzz", "--zzz is unknown; see locscale --help"),
        ("-em a.mrc -res high", '-res/--ref_resolution: "high" is not a number'),
        ("-em a.mrc -res nan", '"nan" is not a number'),
        ("-em a.mrc -res -3", "-3 is not above 0"),
        ("-em a.mrc -res 0.5", "resolution 0.5 Å is out of range. Give 1 to 30 Å \\(-res\\)"),
        (
            "-em a.mrc -wn 0",
            "-wn/--window_size: 0 is not above 0; leave it out for the default; see",
        ),
        ("-em a.mrc -wn -3", "-3 is not a whole number of 0 or more"),
        ("-em a.mrc --stride 0 --scaling windows", "stride 0 voxels is out of range"),
        ("-em a.mrc -ref_it 0", "B steps 0 is out of range. Give 1 to 100 \\(--refmac"),
        ("-em a.mrc --seed 1.5", "1.5 is not a whole number"),
        ("-em a.mrc -np 0", "-np 0: give 1 or more processes"),
        (
            "-em a.mrc -np 1000000",
            r"1000000 processes are too many for \d+ cores?: at most \d+ are "
            "started. Give fewer processes \\(-np\\), or leave out -np to use all cores",
        ),
        ("-em a.mrc -wn 25 --window 30", "-wn 25 and --window 30 both set the window"),
        (f"-em a.mrc --weight {'9' * 400}", '9" is neither a policy nor a file: give one of'),
        (
            "-em a.mrc --weight strong",
            'weight "strong" is neither a policy nor a file: give one of',
        ),
        ("-em a.mrc --skip_refine --refiner own", "--skip_refine and --refiner own contradict"),
        ("-em a.mrc --outputs everything", 'output "everything" is unknown. Give one of'),
        ("-em a.mrc --scaling both", "--scaling: invalid choice: 'both'"),
        ("--job j.json -em a.mrc", "--job says everything: leave --emmap_path out"),
        ("--from none.json", "none.json cannot be read"),
        (
            "-em a.mrc -o results/",
            "output results/ is the name of a folder. Give the name of a map in "
            "it, e.g. results/locscale_output.mrc",
        ),
    ],
)
def test_words_that_mean_no_run_are_one_sentence(words, sentence, capsys, pipeline):
    assert cli_main.main(words.split()) == 2
    written = capsys.readouterr()
    assert re.search(sentence, written.err)
    assert written.err.startswith("locscale: ")
    assert written.err.count("\n") == 1
    assert "Traceback" not in written.err


def test_expected_time_and_memory_are_one_line(tmp_path, pipeline, capsys):
    with mrcfile.new(tmp_path / "full.mrc") as stream:
        stream.set_data(np.zeros((20, 30, 40), np.float32))
    (tmp_path / "model.pdb").write_text("ATOM\n" * 701)
    assert (
        cli_main.main(
            [
                "-em",
                str(tmp_path / "full.mrc"),
                "-mc",
                str(tmp_path / "model.pdb"),
                "-np",
                "1",
                "-o",
                str(tmp_path / "out.mrc"),
            ]
        )
        == 0
    )
    assert re.search(
        r"expected: about \d+ s and \d\.\d GB \(40 x 30 x 20 voxels, 701 atoms, "
        r"serial\)\n",
        capsys.readouterr().out,
    )


# ---- launchers ----------------------------------------------------------------------------------

LAUNCHED = pytest.mark.parametrize(
    ("variables", "who"),
    [
        ({"PMI_SIZE": "3", "PMI_RANK": "0"}, r"mpiexec \(MPICH or Intel MPI\) started 3 processes"),
        ({"PMI_SIZE": "3", "PMI_RANK": "2"}, r"mpiexec \(MPICH or Intel MPI\) started 3 processes"),
        (
            {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"},
            r"mpirun \(Open MPI\) started 2 processes",
        ),
        ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "4"}, "srun started 4 processes"),
        ({"PMIX_RANK": "1"}, "a PMIx launcher started several processes"),
    ],
)


def launch(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@LAUNCHED
def test_under_a_launcher_without_mpi_every_rank_refuses(
    pipeline, words, monkeypatch, capsys, variables, who
):
    launch(monkeypatch, variables)
    assert cli_main.main(words[:3] + words[5:]) == 2
    assert re.fullmatch(
        f"locscale: {who}, and this one does not know whether they share one run. Add -mpi to "
        r"share one run among them, or give 1 process \(-np\) to start a separate run in each.\n",
        capsys.readouterr().err,
    )
    assert not pipeline.calls


@LAUNCHED
def test_under_a_launcher_number_of_processes_means_a_run_of_its_own(
    pipeline, words, monkeypatch, capsys, variables, who
):
    launch(monkeypatch, variables)
    assert cli_main.main(words) == 0
    assert re.search(
        f"warning: {who}, and this one is a run of its own. Add -mpi to share one run among them.\n",
        capsys.readouterr().out,
    )
    assert len(pipeline.calls) == 1


@pytest.mark.parametrize(
    "variables",
    [
        {"SLURM_PROCID": "1"},
        {"SLURM_PROCID": "1", "SLURM_NTASKS": "4"},
        {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"},
        {"PMI_RANK": "0", "PMI_SIZE": "1"},
        {"PMIX_RANK": "0", "SLURM_STEP_NUM_TASKS": "1"},
        {"PMIX_RANK": "0"},
    ],
)
def test_variables_that_prove_no_other_process_change_nothing(
    pipeline, words, monkeypatch, capsys, variables
):
    launch(monkeypatch, variables)
    assert cli_main.main(words[:3] + words[5:]) == 0
    assert "-mpi" not in capsys.readouterr().out
    assert len(pipeline.calls) == 1


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_every_rank_answers_what_is_no_run(monkeypatch, capsys, word):
    launch(monkeypatch, {"PMI_SIZE": "3", "PMI_RANK": "2"})
    assert cli_main.main([word]) == 0
    assert "locscale" in capsys.readouterr().out


# ---- stopping -----------------------------------------------------------------------------------


def start_toy(tmp_path, *words, **plan):
    for name in ("out", "tmp"):
        (tmp_path / name).mkdir()
    return subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "tests/toy_program.py"),
            *HALVES,
            "-o",
            str(tmp_path / "out/out.mrc"),
            *words,
        ],
        env={**os.environ, "TOY_PLAN": json.dumps(plan), "TMPDIR": str(tmp_path / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def until_scaling(process):
    line = b""
    while b"scaling" not in line:
        line = process.stdout.readline()
        assert line, process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("processes", ["1", "2"])
def test_signal_ends_with_130_and_leaves_nothing(tmp_path, number, processes):
    with start_toy(tmp_path, "-np", processes, faulty=[0], fault="hang") as process:
        until_scaling(process)
        process.send_signal(number)
        assert process.wait(120) == 130
        assert process.stderr.read() == b"locscale: interrupted; no file is left half written\n"
    assert list((tmp_path / "out").iterdir()) == []
    assert list((tmp_path / "tmp").iterdir()) == []


def test_signal_during_a_deaf_stage_ends_all_the_same(tmp_path):
    with start_toy(tmp_path, "-np", "1", faulty=[0], fault="deaf") as process:
        until_scaling(process)
        toy_tasks.wait_until(lambda: any((tmp_path / "tmp").glob("*/*/who.txt")))
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 130
    assert list((tmp_path / "tmp").iterdir()) == []


def test_reader_that_stops_reading_does_not_stop_the_run(tmp_path):
    process = start_toy(tmp_path, "-np", "1", seconds=0.02)
    process.stdout.close()
    assert process.wait(120) == 0
    assert process.stderr.read() == b""
    process.stderr.close()
    assert (tmp_path / "out/out.mrc").exists()


def test_python_dash_m_is_the_same_program():
    done = subprocess.run(
        [sys.executable, "-m", "locscale_hybrid", "--version"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout == f"locscale-hybrid {__version__}\n"
