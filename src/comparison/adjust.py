"""Blur, sharpen or filter the shown map of a result at once; 0 brings back its own values.

The linear map is never touched.  The Fourier transform of the map is kept, so that a change costs
one backward transform.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..scene.frames import map_label
from ..scene.handover import new_values
from .text import adjustment_in_words

if TYPE_CHECKING:
    from locscale_hybrid.fourier.adjusted import KeptTransform

    from ..results.manager import ResultRecord
    from ..session_types import FloatArray, Json, Session, Volume

MOST_B = 500.0  # Å^2


@dataclass(eq=False)
class Adjustment:
    """What was done to the shown map of a result.

    Parameters
    ----------
    own : array
        The values of the result itself.
    shown : array
        The values that are shown now.
    bfactor : float
        Å^2; positive blurs, negative sharpens.
    lowpass : float
        Å; 0 for none.
    transform : KeptTransform or None
        Of the own values, once they were adjusted.
    """

    own: FloatArray
    shown: FloatArray
    bfactor: float = 0.0
    lowpass: float = 0.0
    transform: KeptTransform | None = None

    @property
    def said(self) -> Json | None:
        """What a record says; None if nothing was done."""
        if not (self.bfactor or self.lowpass):
            return None
        return {"b_factor_square_angstrom": self.bfactor, "low_pass_angstrom": self.lowpass or None}


def adjust(
    session: Session, kept: ResultRecord, bfactor: float | None = None, lowpass: float | None = None
) -> Json | None:
    """Adjust the shown map of a result.

    Parameters
    ----------
    session : Session
    kept : ResultRecord
    bfactor : float, optional
        Å^2; multiplies amplitudes by exp(-B s^2 / 4), so a negative one sharpens.  Beyond the
        resolution of the run the factor stays as it is there.  None: as it was; 0: none.
    lowpass : float, optional
        Å.  None: as it was; 0: none.

    Returns
    -------
    dict or None
        What the record says.
    """
    state = _state_of(kept)
    state.bfactor = state.bfactor if bfactor is None else float(bfactor)
    state.lowpass = state.lowpass if lowpass is None else float(lowpass)
    said = state.said
    values = state.own if said is None else _filtered(state, kept)
    state.shown = values
    new_values(kept.volume, values)
    kept.record["adjusted"] = said
    session.logger.status(f"{map_label(kept.volume)}: {adjustment_in_words(said)}", log=True)
    return said


def restored(volume: Volume, record: Json, own: FloatArray | None) -> Adjustment | None:
    """Return the adjustment that a session file holds, with the values of the run itself."""
    said = record.get("adjusted")
    if not said or own is None:
        return None
    return Adjustment(
        own,
        _array_of(volume),
        said["b_factor_square_angstrom"] or 0.0,
        said["low_pass_angstrom"] or 0.0,
    )


def _state_of(kept: ResultRecord) -> Adjustment:
    """Return the adjustment of a result; a new one if its values have changed since."""
    state, array = kept.adjustment, _array_of(kept.volume)
    if state is None or array is not state.shown:
        state = kept.adjustment = Adjustment(array, array)
    return state


def _array_of(volume: Volume) -> FloatArray:
    """Return the values of an open map, the array itself if there is one."""
    data = volume.data
    array = getattr(data, "array", None)
    return data.matrix(ijk_size=data.size) if array is None else array


def _filtered(state: Adjustment, kept: ResultRecord) -> FloatArray:
    """Filter the own values."""
    from locscale_hybrid.fourier.adjusted import KeptTransform
    from locscale_hybrid.parallel.threads import cores

    step, workers = tuple(kept.volume.data.step), cores()
    if state.transform is None:
        state.transform = KeptTransform.of(state.own, step, workers=workers)
    d_min = (kept.record.get("resolution") or {}).get("d_min_angstrom") or 2 * min(step)
    return state.transform.filtered(state.bfactor, state.lowpass, d_min, workers=workers)
