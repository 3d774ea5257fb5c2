"""``python -m locscale_hybrid`` is the program `locscale`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
