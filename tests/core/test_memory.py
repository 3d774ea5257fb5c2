"""Memory: where it runs out a run ends with one sentence, and runs in a row do not take more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.program import RESOLUTION, ROOT, Program, make_case

resource = pytest.importorskip("resource", reason="limits of Unix")

OLD = b"the old output"
OUTPUTS = ["out.cxc", "out.json", "out.mrc", "out_linear.mrc"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return make_case(tmp_path_factory.mktemp("case"))


@pytest.mark.parametrize(
    "stage",
    [
        "mask",
        "scaling",
        *(
            pytest.param(stage, marks=pytest.mark.long)
            for stage in ("pseudo-atoms", "adp", "reference", "output")
        ),
    ],
)
def test_memory_that_runs_out_in_any_stage_is_one_sentence(case, tmp_path, stage):
    before = case.hashes()
    out, temporary = tmp_path / "results", tmp_path / "tmp"
    out.mkdir()
    temporary.mkdir()
    (out / "out.mrc").write_bytes(OLD)
    with Program(
        *case.words, "-o", out / "out.mrc", "-np", 1, environment={"TMPDIR": str(temporary)}
    ) as program:
        program.until(stage)
        pid = program.process.pid
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + 100_000
        resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))
        code = program.end()
    assert list(temporary.iterdir()) == []
    assert case.hashes() == before
    if code == 0:  # what was there was enough
        assert sorted(path.name for path in out.iterdir()) == OUTPUTS
        return
    assert code == 3
    assert "there is not enough memory. Give fewer processes (-np)" in program.error
    assert (out / "out.mrc").read_bytes() == OLD


GROWTH = """
import gc, os, sys, threading
from pathlib import Path
from locscale_hybrid import HybridInputs, HybridParameters, output_paths, run_hybrid
folder, out = map(Path, sys.argv[1:3])
inputs = HybridInputs(folder / "half1.mrc", folder / "half2.mrc", model=folder / "model.cif")
parameters = HybridParameters(resolution=float(sys.argv[3]))
for number in range(20):
    run_hybrid(inputs, parameters, output_paths(out / "out.mrc"))
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    print(pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd")),
          threading.active_count(), flush=True)
"""


@pytest.mark.long
def test_twenty_runs_in_one_process_do_not_grow(case, tmp_path):
    path = os.pathsep.join(map(str, [ROOT / "src/core", ROOT]))
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, str(case.folder), str(tmp_path), str(RESOLUTION)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(tmp_path)},
    )
    rows = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(rows) == 20
    assert rows[-1][0] - rows[4][0] < 20e6  # bytes; a run takes 10 times that
    assert rows[-1][1:] == rows[4][1:]  # open files and threads
    assert sorted(path.name for path in tmp_path.iterdir()) == OUTPUTS[1:]
