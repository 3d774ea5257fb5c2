"""The same bytes for any number of threads, of BLAS and of the FFT, and any number of cores."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from locscale_hybrid.parallel.threads import one_blas_thread
from tests.program import RESOLUTION, ROOT, Program, make_case

RUN = """
import sys, os
if sys.argv[1] != "all": os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import numpy
from pathlib import Path
from locscale_hybrid import HybridInputs, HybridParameters, output_paths, run_hybrid
folder = Path(sys.argv[2])
inputs = HybridInputs(folder / "half1.mrc", folder / "half2.mrc", model=folder / "model.cif")
run_hybrid(inputs, HybridParameters(resolution=float(sys.argv[4])), output_paths(Path(sys.argv[3])))
"""


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return make_case(tmp_path_factory.mktemp("case"))


def environment(threads):
    return {
        name: str(threads)
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    }


@pytest.fixture(scope="module")
def expected(case, tmp_path_factory):
    """The map by the command line, one process, one thread."""
    path = tmp_path_factory.mktemp("expected") / "out.mrc"
    with Program(*case.words, "-o", path, "-np", 1, environment=environment(1)) as program:
        assert program.end() == 0
    return path.read_bytes()


@pytest.mark.parametrize(("threads", "cores"), [(2, "all"), (4, "all"), (2, "one")])
def test_python_gives_the_bytes_of_the_command_line_for_any_number_of_threads(
    case, expected, tmp_path, threads, cores
):
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("cores cannot be chosen here")
    core = os.pathsep.join([str(ROOT / "src/core"), str(ROOT)])
    subprocess.run(
        [
            sys.executable,
            "-c",
            RUN,
            cores,
            str(case.folder),
            str(tmp_path / "out.mrc"),
            str(RESOLUTION),
        ],
        check=True,
        env={**os.environ, "PYTHONPATH": core, **environment(threads)},
    )
    assert (tmp_path / "out.mrc").read_bytes() == expected


def test_command_line_gives_the_same_bytes_whatever_the_environment_says(case, expected, tmp_path):
    with Program(
        *case.words, "-o", tmp_path / "out.mrc", "-np", 2, environment=environment(2)
    ) as program:
        assert program.end() == 0
    assert (tmp_path / "out.mrc").read_bytes() == expected


def blas_threads():
    return [
        library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"
    ]


def test_blas_is_told_and_given_back():
    with threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        with one_blas_thread():
            assert set(blas_threads()) == {1}
            np.ones((50, 50)) @ np.ones((50, 50))
        assert blas_threads() == before


def test_wheels_of_this_environment_are_covered():
    """numpy and scipy bring an OpenBLAS each; both must answer."""
    folders = [Path(np.__file__).parents[1] / f"{name}.libs" for name in ("numpy", "scipy")]
    shipped = [file for folder in folders for file in folder.glob("*openblas*")]
    if sys.platform != "linux" or len(shipped) != 2:
        pytest.skip("no wheels with OpenBLAS")
    with one_blas_thread():
        assert blas_threads() == [1, 1]
