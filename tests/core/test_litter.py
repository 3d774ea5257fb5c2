"""Files of an MPI outside its folder: told by who has them open, and no other is removed."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from locscale_hybrid.parallel.mpi.leftovers import litter_of, litter_of_launcher, remove_litter

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

CHILD = """
import json, os
from locscale_hybrid.parallel.mpi.leftovers import litter_of, litter_of_launcher, remove_litter
print(json.dumps(litter_of()))
"""


def test_only_the_same_shared_memory_file_is_removed():
    path = Path(f"/dev/shm/locscale-test-{os.getpid()}")
    path.touch()
    remove_litter({str(path): path.stat().st_ino + 1})
    assert path.exists()
    remove_litter({str(path): path.stat().st_ino})
    assert not path.exists()


@pytest.fixture
def topology():
    """A file as MPICH's launcher makes it, open in this process."""
    descriptor, name = tempfile.mkstemp(prefix="hydra_hwloc_xmlfile_", dir="/tmp")
    yield Path(name)
    os.close(descriptor)
    Path(name).unlink(missing_ok=True)


def test_file_that_the_launcher_has_open_is_removed_and_another_stays(topology):
    descriptor, other = tempfile.mkstemp(prefix="hydra_hwloc_xmlfile_", dir="/tmp")
    os.close(descriptor)  # of another job: nobody here has it open
    core = str(Path(__file__).parents[2] / "src/core")
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": core},
    )
    found = json.loads(child.stdout)
    assert str(topology) in found
    assert other not in found
    remove_litter(found)
    assert not topology.exists()
    assert Path(other).exists()
    Path(other).unlink()


def test_file_that_a_child_of_the_launcher_has_open_is_found(topology):
    code = f"import time; held = open({str(topology)!r}); print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        found = litter_of_launcher(os.getpid())
        child.kill()
    assert str(topology) in found
    assert litter_of_launcher(child.pid) == {}


def test_file_that_an_mpi_does_not_make_stays(tmp_path):
    (tmp_path / "precious").touch()
    remove_litter({str(tmp_path / "precious"): (tmp_path / "precious").stat().st_ino})
    assert (tmp_path / "precious").exists()


def test_process_that_is_gone_leaves_nothing_that_is_known():
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert litter_of(process.pid) == {}
