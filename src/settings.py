"""What is remembered between sessions: how to compute, and the last choices of the panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chimerax.core.settings import Settings

if TYPE_CHECKING:
    from .session_types import Session


class LocScaleSettings(Settings):
    """Saved at once when changed.

    Attributes
    ----------
    processes : int
        Number of processes; 0 for all cores.
    mpiexec : str
        Path of the MPI starter; empty to search for it.
    live_check : bool
        Look at the maps as they are chosen in the panel.
    weight, scaling, window, fdr, refiner : value
        Last choices in the panel.
    """

    AUTO_SAVE = {  # noqa: RUF012 - ChimeraX reads it from the class
        "processes": 0,
        "mpiexec": "",
        "live_check": True,
        "weight": "adaptive",
        "scaling": "bands",
        "window": 25.0,
        "fdr": 0.01,
        "refiner": "own",
    }


def settings(session: Session) -> LocScaleSettings:
    """Return the settings of a session, read once."""
    found = getattr(session, "_locscale_settings", None)
    if found is None:
        found = session._locscale_settings = LocScaleSettings(session, "LocScale Hybrid")
    return found
