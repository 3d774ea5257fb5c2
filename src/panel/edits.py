"""How often a model was edited: what was found before an edit need not be true after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from ..session_types import Session, Structure


class EditCount:
    """Counts changes of coordinates in a session, by any tool.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        from chimerax.atomic import get_triggers

        self._count = 0
        self._triggers = get_triggers()
        self._handler = self._triggers.add_handler("changes", self._changed)

    def of(self, structure: Structure | None) -> tuple[int, int]:
        """Return what differs after an edit of a structure: its number of atoms, and a count."""
        if structure is None or structure.deleted:
            return 0, 0
        return structure.num_atoms, self._count

    def close(self) -> None:
        """Count no longer."""
        if self._handler is not None:
            self._triggers.remove_handler(self._handler)
            self._handler = None

    def _changed(self, _name: str, changes: Any) -> None:
        """Count a change of coordinates or of elements."""
        if {"coord changed", "element changed"} & set(changes.atom_reasons()):
            self._count += 1
