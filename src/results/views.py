"""What a result is compared with: the average of its half maps, and the map before an update."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from ..scene.handover import InputMap, new_values, new_volume
from .kinds import BEFORE, INPUT

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeGuard

    from ..session_types import FloatArray, Session, Volume
    from .manager import ResultRecord


RESULT = "result"


class Views:
    """The maps that can be looked at in place of a result; of them one is in view.

    Neither is saved in a session, and nothing is computed before it is looked at.

    Parameters
    ----------
    before : array, optional
        Values before the last update.
    """

    def __init__(self, before: FloatArray | None = None) -> None:
        self._before = before
        self.average: Volume | None = None
        self.earlier: Volume | None = None
        self._is_averaging = False

    @property
    def volumes(self) -> list[Volume | None]:
        """Maps that were opened for it."""
        return [self.average, self.earlier]

    def follow(self, previous: Views, *, same_maps: bool) -> None:
        """Take over what was opened for the result before its update."""
        self.earlier = previous.earlier
        self.average = previous.average if same_maps else None

    def available(self, kept: ResultRecord) -> dict[str, bool]:
        """Tell which views there are, by name.

        Parameters
        ----------
        kept : ResultRecord
        """
        inputs = len(kept.open_maps) == len(kept.maps) or _is_open(self.average)
        return {
            RESULT: True,
            INPUT: bool(kept.maps) and inputs,
            BEFORE: self._before is not None or _is_open(self.earlier),
        }

    def in_view(self, kept: ResultRecord) -> str | None:
        """Name of the view that is displayed; None if several or none are."""
        shown = [
            name
            for name, volume in self._by_name(kept).items()
            if _is_open(volume) and volume.display
        ]
        return shown[0] if len(shown) == 1 else None

    def show(
        self, session: Session, kept: ResultRecord, name: str, act: Callable[[str], None]
    ) -> None:
        """Show one view, the average once a thread has made it.

        Parameters
        ----------
        session : Session
        kept : ResultRecord
        name : str
        act : callable
            Called with a command, on the main thread.
        """
        if name == INPUT and len(kept.maps) == 2 and not _is_open(self.average):
            self._average(session, kept, lambda: act(self.command(kept, INPUT)))
            return
        if name == BEFORE and self._before is not None:
            self._open_earlier(session, kept)
        act(self.command(kept, name))

    def command(self, kept: ResultRecord, name: str) -> str:
        """Return the command that shows one view and hides the others."""
        volumes = self._by_name(kept)
        shown = volumes.pop(name)
        hidden = [volume for volume in volumes.values() if _is_open(volume)]
        words = f"show #{shown.id_string} models"
        if hidden:
            words += f"; hide {''.join(f'#{volume.id_string}' for volume in hidden)} models"
        return words

    def _by_name(self, kept: ResultRecord) -> dict[str, Any]:
        """Return the map of each view; None if it is not open."""
        single = kept.maps[0] if len(kept.maps) == 1 else None
        return {RESULT: kept.volume, INPUT: single or self.average, BEFORE: self.earlier}

    def _average(self, session: Session, kept: ResultRecord, then: Callable[[], None]) -> None:
        """Average the half maps in a thread, open the average on the main thread."""
        if self._is_averaging:
            return
        self._is_averaging = True
        halves = [InputMap.of(volume) for volume in kept.maps]
        result, level = InputMap.of(kept.volume), kept.volume.minimum_surface_level

        def work() -> None:
            """Compute values and level; called in a thread."""
            try:
                values = (halves[0].read() + halves[1].read()) / np.float32(2)
                session.ui.thread_safe(deliver, values, level_like(values, result.read(), level))
            except Exception as error:  # a thread would lose it
                session.ui.thread_safe(fail, error)

        def fail(error: Exception) -> None:
            """Say what went wrong; on the main thread."""
            self._is_averaging = False
            session.logger.warning(f"The half maps could not be averaged: {error}")

        def deliver(values: FloatArray, found: float | None) -> None:
            """Open the map; on the main thread."""
            self._is_averaging = False
            if _is_open(kept.volume):
                name = f"{kept.volume.name}, {INPUT}"
                self.average = _open(session, kept, halves[0], values, name, found)
                then()

        threading.Thread(target=work, daemon=True).start()

    def _open_earlier(self, session: Session, kept: ResultRecord) -> None:
        """Open the values before the last update, or put them where those of another update are."""
        values, self._before = self._before, None
        level = kept.volume.minimum_surface_level
        if values is None:
            return
        if _is_open(self.earlier):
            new_values(self.earlier, values)
            return
        name = f"{kept.volume.name}, {BEFORE}"
        self.earlier = _open(session, kept, InputMap.of(kept.volume), values, name, level)


def level_like(values: FloatArray, others: FloatArray, level: float | None) -> float | None:
    """Level of a map that encloses as much as a level of another one does."""
    from locscale_hybrid.maps.contour import level_enclosing, voxels_enclosed

    return None if level is None else level_enclosing(values, voxels_enclosed(others, level))


def _open(
    session: Session,
    kept: ResultRecord,
    like: InputMap,
    values: FloatArray,
    name: str,
    level: float | None,
) -> Volume:
    """Open a hidden map that looks like the result and is not saved."""
    volume = new_volume(session, like, values, name, look_of=kept.volume, level=level, shown=False)
    volume.SESSION_SAVE = False
    return volume


def _is_open(volume: Volume | None) -> TypeGuard[Volume]:
    """Test whether a map is among the open models."""
    return volume is not None and not volume.deleted and volume.id is not None
