"""The difference map of a result: how it is shown, its peaks in the log, and the way to each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from chimerax.core.errors import UserError

from ..scene.frames import frame_of, map_label

if TYPE_CHECKING:
    from ..results.manager import ResultRecord
    from ..session_types import Json, Session, Volume

LEVEL = 4.0  # sd
_LACKING, _TOO_MUCH = (0, 178, 0, 255), (204, 0, 0, 255)  # as in other modelling programs
_AROUND = 10.0  # Å of a peak that are shown


def show_pair(volume: Volume) -> None:
    """Show a difference map as two meshes: green where the model lacks density, red the reverse."""
    volume.set_parameters(
        surface_levels=[-LEVEL, LEVEL],
        surface_colors=[tuple(c / 255 for c in color) for color in (_TOO_MUCH, _LACKING)],
        cap_faces=False,
    )
    volume.set_display_style("mesh")


def go_to_peak(session: Session, kept: ResultRecord, number: int) -> Json:
    """Move the view to a peak, which becomes the center of rotation.

    Parameters
    ----------
    session : Session
    kept : ResultRecord
    number : int
        From 1, as the log lists them.

    Returns
    -------
    dict
        The peak, as the record has it.

    Raises
    ------
    UserError
        If there is no such peak.
    """
    from chimerax.geometry import Bounds

    difference = kept.record.get("difference_map")
    label = map_label(kept.volume)
    if not difference:
        raise UserError(
            f"{label} has no difference map. Make one with locscale hybrid update "
            f"#{kept.volume.id_string} outputs difference"
        )
    peaks = difference["peaks"]
    if not 1 <= number <= len(peaks):
        raise UserError(f"{label} has {len(peaks)} peaks. Give a number from 1 to {len(peaks)}")
    peak = peaks[number - 1]
    place = frame_of(kept.volume).place * np.array(peak["position_angstrom"], dtype=float)
    view = session.main_view
    view.view_all(Bounds(place - _AROUND, place + _AROUND))
    view.center_of_rotation = place
    near = f", nearest residue {peak['nearest_residue']}" if peak["nearest_residue"] else ""
    session.logger.status(f"Peak {number} of {label}: {peak['height_sd']:+.1f} sd{near}", log=True)
    return peak
