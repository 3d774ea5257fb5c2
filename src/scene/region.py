"""Which box of the map alone is scaled: around chosen atoms, or by indices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from chimerax.core.errors import UserError

from ..words import message_of
from .frames import frame_of

if TYPE_CHECKING:
    from typing import Any

    from ..session_types import Atoms, Corners, DoubleArray, Keywords, Volume
    from .frames import MapFrame

RANGE = 6.0  # Å around the atoms of a zone
WHOLE = "all"
SHOWN = "shown"
_DIGITS = 4  # of the corners, Å: they stand in the log and in the record


def chosen_region(volume: Volume, keywords: Keywords) -> tuple[bool, Corners | None]:
    """Corners of the box to be scaled.

    Parameters
    ----------
    volume : Volume
        The first map.
    keywords : dict
        Of the command: ``zone`` (Atoms), ``range`` (Å) and ``subregion`` ("all", "shown", or two
        corners in voxels).

    Returns
    -------
    bool
        Whether the command says anything about it.
    tuple of float or None
        x y z of the low and of the high corner, Å in the frame of the map; None for all of it.

    Raises
    ------
    UserError
        If the keywords contradict each other, or the box lies outside the map.
    """
    zone: Atoms | None = keywords.get("zone")
    subregion: Any = keywords.get("subregion")
    around = keywords.get("range")
    if zone is not None and subregion is not None:
        raise UserError(
            "zone and subregion both say which part of the map is sharpened: give one of them"
        )
    if around is not None and zone is None:
        raise UserError(
            f"range {around:g} tells how far a zone reaches: give atoms too, for "
            "example zone #3:10-40 range 6"
        )
    if zone is None and subregion in (None, WHOLE):
        return subregion is not None, None
    frame = frame_of(volume)
    if zone is not None:
        places = frame.from_scene(zone.scene_coords)
        width = RANGE if around is None else around
        low, high = places.min(axis=0) - width, places.max(axis=0) + width
    else:
        first, last = volume.region[:2] if subregion == SHOWN else subregion
        low, high = (np.array(frame.origin) + np.array(ijk) * frame.step for ijk in (first, last))
    low, high = _in_the_map(low, high, frame)
    # a plane of voxels has two sides too
    thin = high - low < 1e-6
    low, high = (corner + side * 0.1 * thin * frame.step for corner, side in ((low, -1), (high, 1)))
    x, y, z, u, v, w = (round(float(value), _DIGITS) + 0.0 for value in (*low, *high))
    corners = (x, y, z, u, v, w)
    _require_voxels(corners, frame)
    return True, corners


def _in_the_map(
    low: DoubleArray, high: DoubleArray, frame: MapFrame
) -> tuple[DoubleArray, DoubleArray]:
    """Return the corners of the part in the map, for the log; of a box outside, those given."""
    first = np.array(frame.origin)
    last = first + (np.array(frame.size) - 1) * frame.step
    if (low > last).any() or (high < first).any():
        return low, high
    return np.maximum(low, first), np.minimum(high, last)


def _require_voxels(corners: Corners, frame: MapFrame) -> None:
    """Refuse a box outside the map while the user looks on."""
    from locscale_hybrid.errors import InputError
    from locscale_hybrid.maps.grid import Grid
    from locscale_hybrid.maps.subvolume import box_of

    try:
        box_of(corners, Grid(frame.size[::-1], frame.step, frame.origin))
    except InputError as error:
        raise UserError(f"{message_of(error)} (the map is {frame.name})") from None
