"""The command with the real core behind it, on a small simulated particle."""

import contextlib
import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import psutil
import pytest
from real_case import make_case

from locscale_hybrid.progress import STAGES

HARNESS = Path(__file__).parent / "harness"


@pytest.fixture(scope="session")
def case(tmp_path_factory):
    return make_case(tmp_path_factory.mktemp("case"))


@pytest.fixture(autouse=True)
def own_temporary_folder(monkeypatch, tmp_path):
    """Where the runs of a test put their files, so that what they leave can be seen."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def opened(run, case):
    for path in case.values():
        run(f'open "{path}"')
    run("volume #1 level 0.05")


@pytest.fixture(scope="session")
def by_command_line(case, tmp_path_factory):
    """Values of the map that the command line makes of the same files."""
    from locscale_hybrid.maps.mrc import read_map

    out = tmp_path_factory.mktemp("out") / "cli.mrc"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "locscale_hybrid",
            "-hm",
            str(case["half1.mrc"]),
            str(case["half2.mrc"]),
            "-mc",
            str(case["model.cif"]),
            "--complete_model",
            "-sym",
            "D2",
            "-np",
            "1",
            "-o",
            str(out),
        ],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return np.array(read_map(out).values)


def same(volume, expected):
    """Whether the values agree to 1e-5 of their standard deviation."""
    return np.abs(volume.full_matrix() - expected).max() < 1e-5 * expected.std()


def family():
    """Processes that this one has started, and theirs."""
    return {process.pid for process in psutil.Process().children(recursive=True)}


def test_open_maps_and_model_give_what_the_command_line_gives(
    session, run, opened, by_command_line
):
    result = run("locscale hybrid #1 #2 model #3 sym D2 outputs model,linear processes 1")
    assert same(result, by_command_line)
    names = [model.name for model in session.models.list()]
    assert "half1.mrc LocScale, pseudo-atoms" in names
    assert "half1.mrc LocScale, linear" in names
    pseudo = next(model for model in session.models.list() if "pseudo-atoms" in model.name)
    assert pseudo.num_atoms == run("locscale info #4")["hybrid_model"]["pseudo_atoms"]
    assert not pseudo.display and not len(pseudo.bonds)
    assert not session.log.text("error", "bug")
    record = run("locscale info #4")
    assert record["hybrid_model"]["copied_atoms"] == 3 * record["hybrid_model"]["model_atoms"]


def test_unsaved_and_moved_maps_give_the_same(session, run, opened, by_command_line):
    run("volume copy #1; volume copy #2; close #1,2")
    run("turn 1,2,3 50 models #3-5; move 30,-20,9 models #3-5")  # as one
    result = run("locscale hybrid #4 #5 model #3 sym D2 processes 1")
    assert same(result, by_command_line)
    first = next(model for model in session.models.list() if model.id_string == "4")
    assert result.scene_position.same(first.scene_position)


def test_maps_and_model_moved_apart_count_where_they_stand_in_the_scene(
    session, run, opened, by_command_line
):
    """The maps are turned, and the atoms follow, in a model that has another place of its own."""
    from chimerax.geometry import rotation, translation

    model = next(model for model in session.models.list() if model.id_string == "3")
    before = np.array(model.atoms.coords)
    run("turn 1,2,3 50 models #1,2; move 30,-20,9 models #1,2")
    maps = next(model for model in session.models.list() if model.id_string == "1").scene_position
    model.position = translation((-40, 5, 11)) * rotation((2, -1, 1), 70)
    model.atoms.coords = model.position.inverse() * (maps * before)
    assert same(run("locscale hybrid #1 #2 model #3 sym D2 processes 1"), by_command_line)


def test_shell_line_of_the_log_is_read_by_the_core_as_it_is_meant(
    session, run, opened, case, tmp_path
):
    """Not run again: the core's own parser must read the same job from it."""
    import shlex

    from locscale_hybrid.cli.request import given_options, request_of

    result = run(
        "locscale hybrid #1 #2 model #3 sym D2 processes 1 window 22 noiseWeight false "
        f"symmetryCenter 24,24,24 outputs localB,linear saveTo {tmp_path / 'out'}"
    )
    from chimerax.locscale.results.manager import results

    kept = results(session).of(result)
    job = request_of(*given_options(shlex.split(kept.shell_line)[1:])).job
    assert json.loads(job.parameters.to_json()) == kept.record["parameters"]
    assert job.inputs.files == {
        "half_map_1": case["half1.mrc"],
        "half_map_2": case["half2.mrc"],
        "model": case["model.cif"],
    }
    assert job.outputs.map == tmp_path / "out" / "half1_LocScale.mrc" and job.processes == 1


def test_check_finds_nothing_wrong_in_seconds(session, run, opened):
    findings = run("locscale check #1 #2 model #3 sym D2")
    assert not [finding for finding in findings if finding["level"] == "warning"]


def test_model_that_does_not_lie_in_the_map_is_an_error(refused, run, opened):
    run("move x 500 models #3")
    assert "model" in refused("locscale hybrid #1 #2 model #3")


def test_symmetry_that_is_not_there_is_an_error_that_names_one(refused, run, opened):
    text = refused("locscale check #1 #2 model #3 sym C3")
    assert "C3" in text and "D2" in text


def test_same_half_map_twice_is_an_error(refused, run, opened):
    run("volume copy #1")
    assert "#1 half1.mrc" in refused("locscale hybrid #1 #4 model #3")


def test_update_after_an_edit_of_the_model(session, run, opened):
    result = run("locscale hybrid #1 #2 model #3 sym D2 processes 1")
    before = np.array(result.full_matrix())
    run("delete #3/A:10-16")
    again = run("locscale hybrid update #4 processes 1")
    assert again is result and not np.array_equal(result.full_matrix(), before)
    assert run("locscale info #4")["hybrid_model"]["model_atoms"] == 9 * 8


def until_stage(session, run, stage, command):
    """Start a run and wait until it is in a stage."""
    from chimerax_core import process_events

    job = run(command + " wait false")
    assert process_events(session, lambda: job.ended or job.stage == stage)
    assert not job.ended, job.error
    return job


def held_in(stage, folder, monkeypatch):
    """From now on the core waits for ever in a stage."""
    from chimerax.locscale.job import child

    program = folder / "python-held"
    script = Path(__file__).parent / "held_core.py"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P "{script}" {stage!r} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(child, "python_of_application", lambda: program)


@pytest.mark.parametrize("stage", list(STAGES))
def test_stop_in_each_stage_leaves_nothing_and_a_second_run_is_fine(
    session, run, opened, own_temporary_folder, tmp_path, monkeypatch, stage
):
    """In the last stage one of the files is already under its name."""
    from chimerax.locscale.job.job import STAGES as WORDS
    from chimerax_core import process_events

    before, kept = family(), tmp_path / "kept"
    command = f'locscale hybrid #1 #2 model #3 sym D2 processes 1 refiner none saveTo "{kept}"'
    with monkeypatch.context() as patch:
        held_in(stage, tmp_path, patch)
        job = until_stage(session, run, WORDS[stage], command)
        if stage == "output":
            assert process_events(session, lambda: os.listdir(kept))
        run("locscale stop")
        assert process_events(session, lambda: job.ended and not family() - before)
    assert not os.listdir(own_temporary_folder) and not os.listdir(kept)
    assert not session.log.text("error", "bug") and not session.tasks.list()
    assert [model.id_string for model in session.models.list() if "." not in model.id_string] == [
        "1",
        "2",
        "3",
    ]
    if stage in ("scaling", "output"):
        assert run(command).id_string == "4"
    else:  # as good, and quicker
        assert run("locscale check #1 #2 model #3 sym D2") is not None


@pytest.mark.parametrize("stage", ["placing pseudo-atoms", "scaling"])
def test_stop_amid_the_work_leaves_nothing(session, run, opened, own_temporary_folder, stage):
    from chimerax_core import process_events

    before = family()
    job = until_stage(
        session, run, stage, "locscale hybrid #1 #2 model #3 sym D2 processes 2 scaling windows"
    )
    assert family() - before
    run("locscale stop")
    assert process_events(session, lambda: job.ended and not family() - before)
    assert not os.listdir(own_temporary_folder)
    assert not session.log.text("error", "bug")


def test_killed_core_is_one_error_and_leaves_no_process(session, run, opened, own_temporary_folder):
    from chimerax_core import process_events

    before = family()
    job = until_stage(
        session, run, "scaling", "locscale hybrid #1 #2 model #3 processes 2 scaling windows"
    )
    others = family() - before
    os.kill(job._child.process.pid, signal.SIGKILL)
    assert process_events(session, lambda: job.ended)
    assert "it was killed by signal 9 (out of memory?)" in session.log.text("error")
    assert process_events(session, lambda: not any(map(psutil.pid_exists, others)))
    assert not os.listdir(own_temporary_folder)


def is_worker(process):
    """Whether a process runs the core's worker: a rank, or mpiexec with its words."""
    return "locscale_hybrid.parallel.worker" in process.cmdline()


def ranks(pids):
    """Those of the processes that are MPI ranks of a run."""
    found = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            if is_worker(process) and not is_worker(process.parent()):
                found.append(process.pid)
        except psutil.NoSuchProcess:
            continue
    return found


def test_killed_rank_is_one_error_and_leaves_no_process(session, run, opened, own_temporary_folder):
    pytest.importorskip("mpi4py")
    from chimerax_core import process_events

    before = family()
    job = until_stage(
        session, run, "scaling", "locscale hybrid #1 #2 model #3 processes 2 scaling windows"
    )
    begun = job.fraction
    assert process_events(session, lambda: job.fraction > begun or job.ended)
    for pid in ranks(family() - before)[-1:]:  # none where all is done meanwhile
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert process_events(session, lambda: job.ended)
    errors = session.log.text("error")
    if job.error:
        assert "rank" in errors and errors.strip() == job.error.strip()
    else:  # its last task was done when it was killed: a result, which keeps its folder
        assert job.result is not None and not errors
        job.result.delete()
    assert process_events(
        session, lambda: not family() - before and not os.listdir(own_temporary_folder)
    )


CRASH = """
import sys
sys.path.insert(0, {harness!r})
from chimerax_core import process_events, run, start_session
out = sys.stdout
session = start_session({home!r})
for path in {paths!r}:
    run(session, "open " + path)
job = run(session, "locscale hybrid #1 #2 model #3 processes 2 scaling windows wait false")
process_events(session, lambda: job.stage == {stage!r} and job._child is not None)
print(job._child.process.pid, file=out, flush=True)
process_events(session, lambda: False, timeout=600)
"""


@pytest.mark.parametrize("stage", ["starting", "scaling"])
def test_killed_chimerax_leaves_no_process_and_no_file(case, tmp_path, own_temporary_folder, stage):
    """In the first stage the inputs are being written, and the core waits for them."""
    script = CRASH.format(
        harness=str(HARNESS),
        home=str(tmp_path / "home"),
        stage=stage,
        paths=[str(path) for path in case.values()],
    )
    application = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, encoding="utf-8"
    )
    with application:
        child = int(application.stdout.readline())
        others = [
            process.pid for process in psutil.Process(application.pid).children(recursive=True)
        ]
        assert child in others and os.listdir(own_temporary_folder)
        application.kill()
    _gone, alive = psutil.wait_procs(
        [psutil.Process(pid) for pid in others if psutil.pid_exists(pid)], timeout=300
    )
    assert not alive
    assert not os.listdir(own_temporary_folder)


def test_stop_while_the_inputs_are_written_leaves_nothing(
    session, run, opened, monkeypatch, own_temporary_folder
):
    """The core has been started and waits for them."""
    import threading

    from chimerax.locscale.scene import handover
    from chimerax_core import process_events

    before, written, write = family(), [], handover._write_map
    stopped = threading.Event()

    def slow(*arguments):
        written.append(write(*arguments))
        stopped.wait(60)
        return written[-1]

    monkeypatch.setattr(handover, "_write_map", slow)
    job = run("locscale hybrid #1 #2 model #3 sym D2 wait false")
    assert process_events(session, lambda: written)
    assert job._child.process.poll() is None
    run("locscale stop")
    stopped.set()
    assert process_events(session, lambda: job.ended and not family() - before)
    assert len(written) == 1, "the second map is not written any more"
    assert not os.listdir(own_temporary_folder)
    assert not session.log.text("error", "bug")


def test_result_is_updated_after_restoring_the_session(
    session, run, opened, by_command_line, tmp_path
):
    """An update of the hybrid model that the session file holds, not a run anew."""
    run("locscale hybrid #1 #2 model #3 sym D2 processes 1 bFloor 30")
    run(f"save {tmp_path / 'state.cxs'}")
    run(f"open {tmp_path / 'state.cxs'}")
    result = run("locscale hybrid update #4 bFloor 10")
    assert result.name == "half1.mrc LocScale"
    likeness = np.corrcoef(result.full_matrix().ravel(), by_command_line.ravel())[0, 1]
    assert likeness > 0.99


def test_child_needs_the_declared_packages_alone(case, tmp_path):
    """The declared packages in a folder, a Python without site-packages."""
    import importlib.util

    from locscale_hybrid.cli.job_file import Job, write_job
    from locscale_hybrid.outputs import output_paths
    from locscale_hybrid.parameters import HybridInputs, HybridParameters

    folder = tmp_path / "odd folder ü"
    folder.mkdir()
    for name in (
        "locscale_hybrid",
        "numpy",
        "scipy",
        "mrcfile",
        "gemmi",
        "cattrs",
        "attr",
        "attrs",
        "psutil",
        "filelock",
        "threadpoolctl",
        "typing_extensions",
        "packaging",
    ):
        origin = importlib.util.find_spec(name).origin
        source = os.path.dirname(origin) if origin.endswith("__init__.py") else origin
        os.symlink(source, folder / os.path.basename(source))
        if os.path.isdir(source + ".libs"):
            os.symlink(source + ".libs", folder / f"{name}.libs")
    out = tmp_path / "out.mrc"
    write_job(
        tmp_path / "job.json",
        Job(
            HybridInputs(case["half1.mrc"], case["half2.mrc"], model=case["model.cif"]),
            HybridParameters(point_group="D2"),
            output_paths(out),
            1,
        ),
    )
    done = subprocess.run(
        [
            sys.executable,
            "-S",
            "-m",
            "locscale_hybrid",
            "--job",
            str(tmp_path / "job.json"),
            "--progress",
            "json",
        ],
        env={"PYTHONPATH": str(folder), "PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert out.is_file() and "result" in [event["event"] for event in events]
    assert not glob.glob(str(tmp_path / "*_locscale"))
