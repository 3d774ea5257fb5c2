"""Ranks, queues, aborts, and the Pipeliner's own LocScale job with this program."""

import time
from pathlib import Path

import numpy as np
import pytest

from locscale_hybrid.maps.grid import Map
from locscale_hybrid.maps.mrc import write_map
from tests.pipeliner.project import BUILT_IN, SECONDS
from tests.program import RESOLUTION, VOXEL
from tests.synthetic import box_centre, half_maps, small_model

MAPS = ("locscale_hybrid.mrc", "locscale_hybrid_linear.mrc", "locscale_hybrid_localB.mrc")


def same_maps(done, finished_in):
    """Whether the maps have the bytes of the run in one process."""
    _, alone = finished_in
    return all(
        (done.folder / name).read_bytes() == (alone.folder / name).read_bytes() for name in MAPS
    )


def test_two_ranks_give_the_same_bytes(finished_in, project, given):
    done = project.run(**given, nr_mpi="2")
    assert done.status == "Succeeded", done.errors
    assert "2 MPI rank" in done.output
    assert same_maps(done, finished_in)


def test_queue_runs_the_job_and_clean_up_takes_what_ranks_shared(
    finished_in, project, given, tmp_path
):
    template = tmp_path / "template.sh"
    template.write_text("#!/bin/bash\n# XXXqueueXXX XXXcoresXXX\nXXXcommandXXX\n")
    done = project.start(
        **given,
        nr_mpi="2",
        do_queue="Yes",
        queuename="short",
        qsub="bash",
        qsubscript=str(template),
    )
    assert project.wait(done) == "Succeeded", done.errors
    assert "# short 2\n" in (done.folder / "run_submit.script").read_text()
    assert same_maps(done, finished_in)
    assert (done.folder / "stages").is_dir()
    project.api.run_cleanup([done.job.output_dir])
    assert not (done.folder / "stages").exists()
    assert (done.folder / "locscale_hybrid.mrc").is_file()


@pytest.fixture(scope="module")
def long_case(tmp_path_factory):
    """Options of a run whose scaling takes long: windows at every voxel of a box."""
    folder, shape = tmp_path_factory.mktemp("long"), (72, 72, 72)
    structure = small_model(12, centre=box_centre(shape, VOXEL))
    first, second, _ = half_maps(structure, shape, VOXEL, RESOLUTION, 7)
    everywhere = np.ones(shape, np.float32)
    everywhere[0] = 0
    for name, volume in (
        ("half1", first),
        ("half2", second),
        ("mask", Map(everywhere, first.grid, "mask")),
    ):
        write_map(folder / f"{name}.mrc", volume)
    structure.make_mmcif_document().write_file(str(folder / "model.cif"))
    return {
        "input_halfmap1": str(folder / "half1.mrc"),
        "complete_model": "No",
        "input_halfmap2": str(folder / "half2.mrc"),
        "input_mask": str(folder / "mask.mrc"),
        "input_model": str(folder / "model.cif"),
        "resolution": "3.4",
        "refiner": "none",
        "scaling": "windows",
        "output_local_b": "No",
    }


def wait_until(condition, what):
    """Wait for something that must happen."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def those_with(mark):
    """Processes that were started with a text in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append((path.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # ended, or another user's
            continue
    return [words for words in found if words]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize("shared", [{"processes": "2"}, {"nr_mpi": "2"}], ids=["own", "mpirun"])
def test_abort_leaves_no_process_and_no_file_elsewhere(
    project, long_case, tmp_path, monkeypatch, shared
):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    done = project.start(**long_case, **shared)
    wait_until(lambda: "7/8 scaling" in done.output or done.errors, "the scaling did not begin")
    assert those_with(str(temporary))
    project.api.abort_job(done.job.output_dir)
    assert project.wait(done) == "Aborted", done.output
    assert "Killing command" not in done.output  # it ended within the 5 s that it is given
    wait_until(lambda: not those_with(str(temporary)), f"left: {those_with(str(temporary))}")
    assert [path for path in temporary.rglob("*") if path.is_file()] == []
    assert not (done.folder / "locscale_hybrid.mrc").exists()
    assert list(done.display()) in (["textfile"], [])


def test_built_in_hybrid_job_runs_with_our_program(project, given):
    options = {name: value for name, value in given.items() if name.startswith("input")}
    done = project.run(
        BUILT_IN,
        **options,
        method="Hybrid",
        use_gpu="No",
        use_advanced="Yes",
        resolution="3.4",
        pseudomodel_cycles="50",
        brefinement_cycles="2",
    )
    assert done.status == "Succeeded", done.errors
    assert done.nodes["locscale_output.mrc"] == "DensityMap.mrc.locscale.localsharpen"
    assert "--total_iterations has no effect here, because" in done.output
    assert "--refmac_iterations 2 sets the number of B steps" in done.output
    assert list(done.display()) == ["montage", "mapmodel"]


def test_built_in_network_job_is_refused_in_one_sentence(project, given):
    options = {name: value for name, value in given.items() if "halfmap" in name}
    done = project.run(BUILT_IN, **options, method="Feature enhance", use_gpu="No")
    assert done.status == "Failed"
    assert done.errors.startswith(
        "locscale: feature_enhance is a network prediction and this program has no networks"
    )
