"""The MPI families: MPICH of this environment, Open MPI of the one in LOCSCALE_OPENMPI_PYTHON."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import toy_tasks
from tests.message_table import tell_table

ROOT = Path(__file__).parents[2]
SECONDS = 300  # after which a test gives up
# Open MPI does not run as root or with more ranks than cores unless it is told that it may.
PERMISSIONS = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
}


class Program(subprocess.Popen):
    """A program that does not outlive a test that fails."""

    def __exit__(self, kind, *details):
        if kind is not None:
            self.kill()
        super().__exit__(kind, *details)


@dataclass(frozen=True)
class Family:
    """One MPI: its Python, its launcher, and what its variables must be here."""

    name: str
    python: str
    permissions: dict

    @property
    def mpirun(self):
        return str(Path(self.python).parent / "mpirun")

    def environment(self, **variables):
        core = os.pathsep.join([str(ROOT / "src/core"), str(ROOT)])
        return {**os.environ, "PYTHONPATH": core, **self.permissions, **variables}

    def start(self, *words, environment=None, **streams):
        return Program(
            [str(word) for word in words],
            env=environment or self.environment(),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **streams,
        )

    def run(self, *words, environment=None):
        """Exit code and both streams of a program that ends by itself."""
        with self.start(*words, environment=environment) as process:
            output, errors = process.communicate(timeout=SECONDS)
        said = re.findall(
            "^(?:error|locscale|warning|note|mpi-[a-z-]+): (.*)$", output + errors, re.MULTILINE
        )
        if said:
            tell_table("fault", process.returncode, *said)
        return process.returncode, output, errors

    def toy_map(self, kind, ranks, folder, patience=300.0):
        """Words that run the plan in a folder on an executor."""
        script = [self.python, ROOT / "tests/toy_map.py", kind, ranks, folder, patience]
        return [self.mpirun, "-n", ranks, *script] if kind == "world" else script

    def toy_program(self, *words):
        """Words of the command line with a stand-in for the pipeline."""
        return [self.python, ROOT / "tests/toy_program.py", "-hm", "a.mrc", "b.mrc", *words]


@pytest.fixture(
    params=[
        pytest.param("mpich", marks=pytest.mark.mpi),
        pytest.param("openmpi", marks=pytest.mark.openmpi),
    ]
)
def mpi(request):
    if request.param == "mpich":
        if importlib.util.find_spec("mpi4py") is None:
            pytest.skip("mpi4py is not installed")
        return Family("mpich", os.path.abspath(sys.executable), {})
    python = os.environ.get("LOCSCALE_OPENMPI_PYTHON")
    if not python:
        pytest.skip("LOCSCALE_OPENMPI_PYTHON names no Python with Open MPI")
    return Family("openmpi", python, PERMISSIONS)


@pytest.fixture
def temporary(tmp_path):
    """A place for temporary folders that must be empty at the end."""
    folder = tmp_path / "tmp é"
    folder.mkdir()
    return folder


@pytest.fixture
def plan(tmp_path):
    """Make a plan; the folder it lies in."""

    def make(count=12, **values):
        folder = tmp_path / "plan with é"
        folder.mkdir(exist_ok=True)
        toy_tasks.make_plan(folder, count, **values)
        return folder

    return make


@pytest.fixture
def serial_bytes(tmp_path):
    """What the tasks write when they run one after the other."""
    folder = tmp_path / "serial"
    folder.mkdir()
    toy_tasks.make_plan(folder, 12)
    for index in range(12):
        toy_tasks.write_slot(folder, index)
    return toy_tasks.slots(folder)


@pytest.fixture
def toy_plan():
    """The environment variable that tells the toy program its plan."""
    return lambda **values: {"TOY_PLAN": json.dumps(values)}
