"""Hybrid LocScale: local sharpening of cryo-EM maps with a partial atomic model.

`run_hybrid` is the whole run; see `pipeline`.  Importing this package loads no numerics, so that
ChimeraX can ask it for parameters at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .errors import Cancelled, InputError, LocScaleError, StageError
    from .findings import Finding
    from .maps.grid import Grid, Map
    from .outputs import OutputPaths, output_paths
    from .parameters import HybridInputs, HybridParameters
    from .pipeline import check_only, run_hybrid
    from .progress import Progress
    from .results.writing import HybridResult

__all__ = [
    "Cancelled",
    "Finding",
    "Grid",
    "HybridInputs",
    "HybridParameters",
    "HybridResult",
    "InputError",
    "LocScaleError",
    "Map",
    "OutputPaths",
    "Progress",
    "StageError",
    "__version__",
    "check_only",
    "output_paths",
    "run_hybrid",
]

_HOMES = {
    "Cancelled": "errors",
    "InputError": "errors",
    "LocScaleError": "errors",
    "StageError": "errors",
    "Finding": "findings",
    "Grid": "maps.grid",
    "Map": "maps.grid",
    "OutputPaths": "outputs",
    "output_paths": "outputs",
    "HybridInputs": "parameters",
    "HybridParameters": "parameters",
    "HybridResult": "results.writing",
    "check_only": "pipeline",
    "run_hybrid": "pipeline",
    "Progress": "progress",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
