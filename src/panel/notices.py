"""What the panel says about the choices, and the buttons that mend what is wrong."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from chimerax.core.errors import UserError

from ..scene.frames import frame_of, map_label, require_same_grid
from ..words import message_of
from .options import OPTION_OF_PARAMETER

if TYPE_CHECKING:
    from typing import Any

    from ..scene.frames import MapFrame
    from ..session_types import Finding, Json, Structure
    from .choices import Choices

PROBLEM, WARNING, NOTE = "problem", "warning", "note"


@dataclass(frozen=True)
class Action:
    """A button of a notice.

    Parameters
    ----------
    label : str
    command : str
        Run first; empty: nothing is run.
    choose : tuple of (str, value)
        What the panel then chooses: fields of `Choices`, or keywords of options.  A value of
        `NEW` is the map that the command has opened.
    """

    label: str
    command: str = ""
    choose: tuple[tuple[str, Any], ...] = ()


NEW = "the new map"


@dataclass(frozen=True)
class Notice:
    """One line under the choices; a problem keeps Start from being pressed."""

    level: str
    text: str
    actions: tuple[Action, ...] = ()


def problems(choices: Choices) -> list[Notice]:
    """List why a run cannot start.

    Parameters
    ----------
    choices : Choices

    Returns
    -------
    list of Notice
    """
    vanished = choices.vanished()
    if vanished:
        return [_closed(role, label) for role, label in vanished.items()]
    found = _map_problems(choices)
    return found if found and not choices.maps else [*found, *_symmetry_problem(choices.symmetry)]


def _map_problems(choices: Choices) -> list[Notice]:
    """List what is wrong with the maps."""
    needed = 2 if choices.half_maps else 1
    if len(choices.maps) < needed:
        return [_problem(_missing(choices))]
    if choices.half_maps and choices.map_1 is choices.map_2:
        return [
            Notice(
                PROBLEM,
                f"{map_label(choices.map_1)} is chosen twice. Choose the other half map, or use it "
                "alone as a full map.",
                (Action("Use it as a full map", choose=(("half_maps", False),)),),
            )
        ]
    try:
        frame = frame_of(choices.map_1)
    except UserError as error:
        return [_problem(str(error))]
    others = {"map_2": "second half map", "mask": "mask"}
    return [
        found
        for role, words in others.items()
        if choices.used.get(role) is not None
        for found in _grid_problem(choices, frame, role, words)
    ]


def _missing(choices: Choices) -> str:
    """Say which map must still be chosen."""
    if not choices.half_maps:
        return "Choose a full map"
    if not choices.maps:
        return "Choose two half maps"
    return f"Choose half map {2 if choices.map_2 is None else 1}, or sharpen one full map"


def _grid_problem(choices: Choices, frame: MapFrame, role: str, words: str) -> list[Notice]:
    """Say what is wrong with the grid of a map, with the command that mends it."""
    volume = getattr(choices, role)
    try:
        other = frame_of(volume)
    except UserError as error:
        return [_problem(str(error))]
    try:
        require_same_grid(frame, other, role=words)
    except UserError as error:
        resample = Action(
            "Resample it",
            f"volume resample #{volume.id_string} onGrid {frame.spec}",
            ((role, NEW),),
        )
        return [Notice(PROBLEM, sentence(str(error)), (resample,))]
    return []


def _closed(role: str, label: str) -> Notice:
    """Say what to do about a chosen model that was closed."""
    without = {
        "model": (Action("Continue without a model", choose=(("model", None),)),),
        "mask": (Action("Use the automatic mask", choose=(("mask", None),)),),
    }
    kind = "model" if role == "model" else "map"
    return Notice(
        PROBLEM, f"{sentence(label)} was closed. Choose another {kind}.", without.get(role, ())
    )


@functools.cache
def _symmetry_problem(symbol: str) -> tuple[Notice, ...]:
    """Say what is wrong with a symmetry symbol; called several times a second."""
    from locscale_hybrid.errors import InputError
    from locscale_hybrid.symmetry.point_groups import parse_point_group

    try:
        parse_point_group(symbol.strip() or "C1")
    except InputError as error:
        use_c1 = Action("Use C1", choose=(("symmetry", "C1"),))
        return (Notice(PROBLEM, sentence(message_of(error)), (use_c1,)),)
    return ()


def remarks(choices: Choices, inside: float) -> list[Notice]:
    """List what is worth a word before anything is computed.

    Parameters
    ----------
    choices : Choices
    inside : float
        Share of the model's atoms that are in the box of the map.

    Returns
    -------
    list of Notice
    """
    model = choices.model
    if model is None:
        return [Notice(NOTE, "No model: pseudo-atoms will fill the whole mask.")]
    if inside < 0.5:
        return [
            Notice(
                WARNING,
                f"Only {inside:.0%} of the atoms of {map_label(model)} are in the box of the map. "
                "Fit the model into the map, unless the map was cut out of a larger one.",
                (
                    Action(
                        "Fit in map",
                        f"fitmap #{model.id_string} inMap #{choices.maps[0].id_string} search 50",
                    ),
                ),
            )
        ]
    return []


def of_finding(found: Finding, choices: Choices) -> Notice:
    """Turn a finding of the core into a notice.

    Parameters
    ----------
    found : dict
        With level, message, and remedies if the core has some.
    choices : Choices

    Returns
    -------
    Notice
    """
    actions = [
        action
        for remedy in found.get("remedies") or ()
        for action in _action_of(remedy, found, choices)
    ]
    if found.get("code") == "partner-half-map":
        actions.append(Action("Use both half maps", choose=(("pair", None),)))
    group = (found.get("values") or {}).get("point_group")
    named = any(action.label == f"Use {group}" for action in actions)
    if group and not named and group.upper() != (choices.symmetry.strip() or "C1").upper():
        actions.append(Action(f"Use {group}", choose=(("symmetry", group),)))
    return Notice(found["level"], sentence(found["message"]), tuple(actions))


def _action_of(remedy: Json, found: Finding, choices: Choices) -> list[Action]:
    """Make a button for a remedy; none for what only a person can do."""
    kind, name, value = (remedy.get(word, "") for word in ("action", "name", "value"))
    maps = " ".join(f"#{volume.id_string}" for volume in choices.maps)
    if kind == "use" and name == "point_group" and value:
        return [Action(f"Use {value}", choose=(("symmetry", value),))]
    if kind == "use" and name in OPTION_OF_PARAMETER and value:
        option = OPTION_OF_PARAMETER[name]
        typed = option.typed_value(value)
        if typed is not None:
            return [
                Action(f"Set {option.label.lower()} to {value}", choose=((option.keyword, typed),))
            ]
    if kind == "leave_out" and name in ("mask", "model"):
        return [Action(f"Leave out the {name}", choose=((name, None),))]
    if kind == "move" and choices.model is not None and choices.maps and value:
        model, frame = choices.model.id_string, choices.maps[0].id_string
        command = f"move {value} coordinateSystem #{frame} models #{model}"
        return [Action("Move it there", command)]
    if kind in ("invert", "flip") and len(choices.maps) == 1:
        command = (
            f"volume scale {maps} factor -1"
            if kind == "invert"
            else f"volume flip {maps} axis {value}"
        )
        label = "Invert the map" if kind == "invert" else f"Flip along {value}"
        return [Action(label, command, (("map_1", NEW),))]
    return []


def share_inside(structure: Structure, frame: MapFrame) -> float:
    """Share of the atoms that are in the box of a map."""
    if structure.num_atoms == 0:
        return 0.0
    places = frame.from_scene(structure.atoms.scene_coords)
    low = np.array(frame.origin)
    high = low + np.array(frame.size) * frame.step
    return float(((places >= low) & (places <= high)).all(axis=1).mean())


def sentence(text: str) -> str:
    """Begin a message with a capital."""
    return text[:1].upper() + text[1:]


def _problem(text: str) -> Notice:
    """Make a problem without a button."""
    return Notice(PROBLEM, sentence(text))
