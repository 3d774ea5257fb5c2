"""The same seed gives the same bytes, whatever a run is spread over."""

import pytest

from tests.program import Program, make_case

NAMES = ["out.mrc", "out_linear.mrc"]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return make_case(tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="module")
def no_mpi(tmp_path_factory):
    """A launcher that fails, so that a pool of processes is used."""
    path = tmp_path_factory.mktemp("bin") / "mpiexec"
    path.write_text("#!/bin/sh\nexit 7\n")
    path.chmod(0o755)
    return path


def written(case, folder, *words, threads=1):
    variables = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    with Program(
        *case.words,
        "-o",
        folder / "out.mrc",
        *words,
        environment={"TMPDIR": str(folder), **variables},
    ) as program:
        assert program.end() == 0
    return [(folder / name).read_bytes() for name in NAMES]


@pytest.fixture(scope="module")
def serial(case, tmp_path_factory):
    return written(case, tmp_path_factory.mktemp("serial"), "-np", 1)


@pytest.mark.parametrize("processes", [2, 3, 4])
def test_whole_run_has_the_bytes_of_serial_with_any_number_of_processes(
    case, no_mpi, serial, tmp_path, processes
):
    words = ["-np", processes, "--mpiexec", no_mpi]
    assert written(case, tmp_path, *words) == serial


@pytest.mark.parametrize("threads", [1, 2])
def test_repeated_run_has_the_same_bytes_with_any_number_of_threads(
    case, serial, tmp_path, threads
):
    assert written(case, tmp_path, "-np", 1, threads=threads) == serial
