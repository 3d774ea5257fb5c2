"""Commands on a result: `locscale scores`, `locscale adjust`, `locscale peak`; JSON of all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from chimerax.atomic import AtomsArg
from chimerax.core.commands import BoolArg, Bounded, CmdDesc, FloatArg, JSONResult, PositiveIntArg
from chimerax.core.errors import UserError

from ..comparison.adjust import MOST_B, adjust
from ..comparison.difference import go_to_peak
from ..comparison.scores import start_scores
from ..results.manager import results
from ..scene.frames import map_label
from .specifiers import ResultArg

if TYPE_CHECKING:
    from typing import Any

    from chimerax.map import Volume

    from ..results.manager import ResultRecord
    from ..session_types import Atoms, Json, Session

_MADE = "give a map that locscale hybrid made"


def locscale_scores(
    session: Session,
    volume: Volume,
    *,
    model: Atoms | None = None,
    wait: bool | None = None,
    return_json: bool = False,
) -> Any:
    """Score every residue of a model on the maps of a result.

    Parameters
    ----------
    session : Session
    volume : Volume
        The result.
    model : Atoms, optional
        The model that the result was made from, as it is now, where none is given.
    wait : bool, optional
        Wait for the scores; None: in scripts and without a window.
    return_json : bool

    Returns
    -------
    dict of str to list
        One value a residue in each list; None where it did not wait.
    """
    kept = record_of(session, volume)
    atoms = model
    if atoms is None:
        atoms = _atoms_of(kept)
    if wait is None:
        wait = return_json or session.in_script or not session.ui.is_gui
    columns = start_scores(session, kept, atoms, wait)
    return as_asked(columns, columns, return_json=return_json)


def locscale_adjust(
    session: Session,
    volume: Volume,
    *,
    bfactor: float | None = None,
    lowpass: float | None = None,
    return_json: bool = False,
) -> Any:
    """Blur, sharpen or filter the shown map of a result; 0 brings back what the run made.

    Parameters
    ----------
    session : Session
    volume : Volume
    bfactor : float, optional
        Å^2, positive blurs; as it was where not given.
    lowpass : float, optional
        Å; as it was where not given.
    return_json : bool

    Returns
    -------
    dict or None
        What the record says.
    """
    said = adjust(session, record_of(session, volume), bfactor, lowpass)
    return as_asked(said, said, return_json=return_json)


def locscale_peak(
    session: Session, volume: Volume, number: int = 1, *, return_json: bool = False
) -> Any:
    """Move the view to a peak of the difference map of a result.

    Parameters
    ----------
    session : Session
    volume : Volume
    number : int
        From 1, the strongest.
    return_json : bool

    Returns
    -------
    dict
        The peak.
    """
    peak = go_to_peak(session, record_of(session, volume), number)
    return as_asked(peak, peak, return_json=return_json)


def record_of(session: Session, volume: Volume) -> ResultRecord:
    """Return the record of a result.

    Raises
    ------
    UserError
        If the map is not one.
    """
    kept = results(session).of(volume)
    if kept is None:
        raise UserError(
            f"{map_label(volume)} was not made by locscale hybrid. {_MADE.capitalize()}"
        )
    return kept


def as_asked(value: Any, plain: Any, *, return_json: bool) -> Any:
    """Return a value, with its JSON where ChimeraX asks for that."""
    if not return_json:
        return value
    return JSONResult(json.dumps(plain), value)


def of_result(session: Session, volume: Any) -> Json:
    """Describe what `locscale hybrid` returns, a map or a job, as plain JSON values."""
    if volume is None:
        return {}
    if hasattr(volume, "started"):
        return {"job": volume.id, "stage": volume.stage, "fraction": volume.fraction}
    kept = results(session).of(volume)
    return {
        "model spec": f"#{volume.id_string}",
        "companions": [
            {"model spec": f"#{model.id_string}", "name": model.name}
            for model in (kept.companions if kept else [])
            if not model.deleted
        ],
        "record": kept.record if kept else {},
    }


def _atoms_of(kept: ResultRecord) -> Atoms:
    """Return the atoms of the model of a result, as they are now."""
    from chimerax.atomic import concatenate

    models = kept.open_models
    if not models:
        number = kept.volume.id_string
        raise UserError(
            f"No model of {map_label(kept.volume)} is open. Name one, for example locscale scores "
            f"#{number} model #3"
        )
    return concatenate([choice.current_atoms for choice in models])


def scores_description() -> CmdDesc:
    """Describe the arguments of ``locscale scores``."""
    return CmdDesc(
        required=[("volume", ResultArg("locscale scores", _MADE))],
        keyword=[("model", AtomsArg), ("wait", BoolArg)],
        synopsis="Score the residues of a model on a sharpened map",
    )


def adjust_description() -> CmdDesc:
    """Describe the arguments of ``locscale adjust``."""
    return CmdDesc(
        required=[("volume", ResultArg("locscale adjust", _MADE))],
        keyword=[
            ("bfactor", _between(-MOST_B, MOST_B, "Å², 0 for none")),
            ("lowpass", _between(0, 50, "Å, 0 for none")),
        ],
        synopsis="Blur, sharpen or filter the shown map of a result",
    )


def peak_description() -> CmdDesc:
    """Describe the arguments of ``locscale peak``."""
    return CmdDesc(
        required=[("volume", ResultArg("locscale peak", _MADE))],
        optional=[("number", PositiveIntArg)],
        synopsis="Go to a peak of the difference map of a result",
    )


def _between(low: float, high: float, unit: str) -> Bounded:
    """Bound a number."""
    text = f"{low:g} to {high:g} {unit}"
    return Bounded(FloatArg, min=low, max=high, name=text, html_name=f"<i>{text}</i>")
