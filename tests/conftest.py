"""Makes the tables of messages where they are asked for, and gives signals back their meaning."""

import os
import signal

from tests.message_table import VARIABLE, tell_of_messages

# A shell ignores these for what it runs in the background; programs that tests start inherit that.
for name, usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    number = getattr(signal, name, None)
    if number is not None and signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

if os.environ.get(VARIABLE):
    tell_of_messages()
