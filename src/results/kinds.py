"""What goes with a result, told from its name.  Plain Python without ChimeraX."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..session_types import Model

INPUT, BEFORE = "input", "before the update"
DIFFERENCE = "difference"
MODEL, COPIED, PSEUDO = "model", "model with symmetry copies", "pseudo-atoms"
# What the core calls them, and what a person does.
_WORDS = {
    "sharpened_half1": "sharpened half 1",
    "sharpened_half2": "sharpened half 2",
    COPIED: MODEL,
}
_KINDS = (
    "linear",
    "localB",
    "resolution",
    "provenance",
    "mask",
    "reference",
    DIFFERENCE,
    MODEL,
    PSEUDO,
    *_WORDS,
    *_WORDS.values(),
)


def in_words(kind: str) -> str:
    """Name a kind of output: "sharpened half 1"."""
    return _WORDS.get(kind, kind)


def kind_of(model: Model) -> str | None:
    """Say what a companion is: "localB", "gain_5.0A"; None if its name no longer says so.

    The result may have been renamed since, so only the end of the name counts; a companion
    that was renamed itself is the user's own from then on.
    """
    _, comma, kind = model.name.rpartition(", ")
    if comma and (kind in _KINDS or kind.startswith("gain_")):
        return in_words(kind)
    return None
