"""Deprecated calls fail in the programs that these tests start, too."""

import os

# numpy and scipy warn for a release or two before they take a function away
os.environ["PYTHONWARNINGS"] = "error::DeprecationWarning,error::FutureWarning"
