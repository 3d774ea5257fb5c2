"""One thread for linear algebra, usual signals, words of messages, their tables on request."""

import os
import signal

import pytest

from tests.front_ends import PROBLEMS, look_at_every_message
from tests.message_table import VARIABLE, tell_of_messages

# as the command line does; a stage that a test calls by itself rounds by the number of threads
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# A shell ignores these for what it runs in the background; programs that tests start inherit that.
for name, usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    number = getattr(signal, name, None)
    if number is not None and signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

look_at_every_message()
if os.environ.get(VARIABLE):
    tell_of_messages()


@pytest.fixture(autouse=True)
def words_of_all_front_ends():
    """Fail a test that caused an error or a finding with a word foreign to a front end."""
    PROBLEMS.clear()
    yield
    assert PROBLEMS == []
