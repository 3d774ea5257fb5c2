"""What a check found: a value, never a print and never a silent repair."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

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
    message : str
        One sentence: fact, numbers, remedy.
    values : mapping of str to number
        The numbers of the message, units in the names.
    """

    code: str
    level: Level
    message: str
    values: Mapping[str, Number] = field(default_factory=lambda: MappingProxyType({}))

    def as_dict(self) -> dict[str, object]:
        """Return the finding as plain JSON values."""
        return {
            "code": self.code,
            "level": self.level,
            "message": self.message,
            "values": dict(self.values),
        }
