"""No chain of a closed model is left to the garbage collector: ChimeraX 1.7.1 would crash."""

import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from closed_chains import take_left

ALONE = """
import gc, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
sys.path[:0] = sys.argv[2:]
from chimerax_core import run, start_session
from helpers import write_model
folder = Path(sys.argv[1])
session = start_session(str(folder / "home"))
run(session, "open " + write_model(folder / "model.pdb"))
gc.collect()
gc.disable()
{leave_a_cycle}
run(session, "close session")
gc.collect()
"""
CYCLES = {
    "a cycle": "cycle = [session.models.list()[0].chains[0]]; cycle.append(cycle); del cycle",
    "mmCIF": "run(session, f\"save {folder / 'saved.cif'} models #1\")",
}


def end_of_chimerax_alone(folder, leave_a_cycle):
    """Exit code of ChimeraX without a line of ours; freed memory is filled, so no luck decides."""
    here = Path(__file__).parent
    command = [
        sys.executable,
        "-c",
        ALONE.format(leave_a_cycle=leave_a_cycle),
        str(folder),
        str(here / "harness"),
        str(here),
    ]
    environment = {**os.environ, "PYTHONMALLOC": "debug"}
    return subprocess.run(command, env=environment, capture_output=True).returncode


@pytest.mark.parametrize("cycle", CYCLES)
def test_chimerax_alone_crashes_over_a_chain_in_a_cycle_whose_model_was_closed(cycle, tmp_path):
    """Once it no longer does, `closed_chains` and `_free_cycles` may go."""
    assert end_of_chimerax_alone(tmp_path, CYCLES[cycle]) == -signal.SIGSEGV


@pytest.mark.parametrize("cycle", CYCLES)
def test_chimerax_lives_where_the_cycle_is_freed_before_the_model_is_closed(cycle, tmp_path):
    assert end_of_chimerax_alone(tmp_path, CYCLES[cycle] + "\ngc.collect()") == 0


def test_chain_that_outlives_its_model_is_noticed(session, run, opened):
    chain = next(model for model in session.models.list() if model.id_string == "3").chains[0]
    run("close #3")
    assert take_left() == [chain.name] and take_left() == []


@pytest.mark.parametrize("close", ["close #3", "close session"])
def test_model_of_a_result_may_be_saved_and_closed(session, run, opened, tmp_path, close):
    """As the log advises, for an update in a shell: "once the edited model is saved"."""
    run("locscale hybrid #1 #2 model #3")
    run(f'save "{tmp_path / "edited.cif"}" models #3')
    gc.disable()
    try:
        run(close)
        assert take_left() == []
    finally:
        gc.enable()
