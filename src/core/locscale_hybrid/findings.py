"""What a check found: a value, never a print and never a silent repair."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from .remedies import PYTHON, Remedy, Words

Level = Literal["note", "warning"]
Number = float | int | str


@dataclass(frozen=True)
class Finding:
    """One observation about the input or the result that the user must see.

    Parameters
    ----------
    code : str
        Stable short name, e.g. ``"sharpened-input"``; what a script may test.
    level : {"note", "warning"}
        A note explains, a warning asks the user to act.
    fact : str
        One sentence with its numbers; it names nothing of a front end.
    values : mapping of str to number
        The numbers of the fact, units in the names.
    remedies : tuple of Remedy
        What to do, the likeliest first.
    """

    code: str
    level: Level
    fact: str
    values: Mapping[str, Number] = field(default_factory=lambda: MappingProxyType({}))
    remedies: tuple[Remedy, ...] = ()

    @property
    def message(self) -> str:
        """The finding in the words of the Python interface."""
        return self.worded(PYTHON)

    def worded(self, words: Words) -> str:
        """Word the finding for a front end."""
        return words.sentence(self.fact, self.remedies)

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as plain JSON values, with its message for who has no words."""
        return {
            "code": self.code,
            "level": self.level,
            "message": self.message,
            "fact": self.fact,
            "remedies": [remedy.as_dict() for remedy in self.remedies],
            "values": dict(self.values),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Finding":
        """Return the finding that `as_dict` wrote."""
        return cls(
            values["code"],
            values["level"],
            values["fact"],
            values["values"],
            tuple(map(Remedy.from_dict, values["remedies"])),
        )
