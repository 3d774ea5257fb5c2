"""A rank whose MPI never comes up is ended by the system, not by a thread of its own."""

import subprocess
import sys

import pytest

PROGRAM = """
from locscale_hybrid.worker import _kill_within
assert _kill_within({seconds})
if {seconds} == 0.2 and {cancel}:
    _kill_within(0)
total = sum(range(10 ** {size}))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no timer that ends a process")
@pytest.mark.parametrize(("cancel", "code"), [(False, -14), (True, 0)])
def test_a_process_that_holds_pythons_lock_is_ended_in_time_unless_that_is_taken_back(cancel, code):
    program = PROGRAM.format(seconds=0.2, cancel=cancel, size=10 if not cancel else 6)
    done = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    assert done.returncode == code
