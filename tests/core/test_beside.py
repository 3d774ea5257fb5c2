"""Work in a thread beside the caller's."""

import subprocess
import sys
import threading

import pytest

from locscale_hybrid.errors import InputError
from locscale_hybrid.parallel.threads import beside, may_go_beside


@pytest.mark.parametrize("together", [True, False])
def test_a_result_is_the_same_beside_and_when_asked_for(together):
    assert beside(lambda: 6 * 7, together=together)() == 42


def test_a_function_begins_before_its_result_is_asked_for():
    begun = threading.Event()
    result = beside(begun.set, together=True)
    assert begun.wait(60)
    assert result() is None


@pytest.mark.parametrize("together", [True, False])
def test_what_a_function_raises_is_raised_where_its_result_is_asked_for(together):
    def refuse() -> None:
        raise InputError("the mask is empty")

    result = beside(refuse, together=together)
    with pytest.raises(InputError, match="the mask is empty"):
        result()


def test_steps_go_side_by_side_with_two_workers_and_room():
    assert may_go_beside(2, 300**3) and not may_go_beside(1, 300**3)
    assert not may_go_beside(2, 512**3)


def test_a_run_that_is_refused_meanwhile_ends_with_its_own_code():
    program = (
        "import sys, numpy, scipy.fft\n"
        "from locscale_hybrid.parallel.threads import beside\n"
        "values = numpy.zeros((64, 64, 64), 'f')\n"
        "def work():\n"
        "    for _ in range(100):\n"
        "        scipy.fft.rfftn(values)\n"
        "beside(work, together=True)\n"
        "sys.exit(2)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stderr) == (2, "")
