"""Makes the tables of messages where they are asked for."""

import os

from tests.message_table import VARIABLE, tell_of_refusals

if os.environ.get(VARIABLE):
    tell_of_refusals()
