"""``python -m locscale_hybrid`` is the program `locscale`."""

import os
import sys

# ``python -m`` looks for modules in the current folder first: a file of the user named like one of
# Python's, a signal.py or a types.py, would be run in its place.
if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:
    here = sys.path.pop(0)
    if os.path.dirname(os.path.dirname(os.path.abspath(__file__))) == here:
        sys.path.append(here)  # that of this program, which its children must find

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
