"""Maps that another tool takes over: whoever keeps a map gets the Volume that has its data now.

Clipper, which ISOLDE uses, closes a map and opens a Volume of its own on the same grid data.  So a
map is known by its data here.  Nothing of Clipper is imported.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from chimerax.geometry import Place
from chimerax.map import Volume

from .frames import map_label

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..session_types import GridData, Holder, Model, Session

_MOVED = 0.01  # Å, of a corner


@dataclass
class _Noted:
    """Data and place of a map while it lived; a deleted Volume has lost both."""

    data: GridData
    place: Place


class MapFollowing:
    """Puts a Volume in the place of a closed one with the same grid data.

    "remove models" does not say that a map was closed for good: another tool may open its data
    in the same command, before or after that trigger.  So what is gone is decided afterwards.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        self._session = weakref.ref(session)
        self._holders: weakref.WeakSet[Holder] = weakref.WeakSet()
        self._noted: dict[Volume, _Noted] = {}
        self._when_settled: list[Callable[[], None]] = []
        self._commands = 0
        self._unsettled = self._moved = False
        for name, call in (
            ("remove models", self._models_removed),
            ("add models", self._models_added),
            ("model position changed", self._model_moved),
            ("command started", self._command_started),
            ("command finished", self._command_ended),
            ("command failed", self._command_ended),
            ("new frame", self._new_frame),
        ):
            session.triggers.add_handler(name, call)

    def watch(self, holder: Holder) -> None:
        """Follow the maps of a holder for as long as it lives.

        Parameters
        ----------
        holder : object
            Has ``volumes``, a list of Volume that may hold None, and ``replace_volume(old, new)``.
        """
        self._holders.add(holder)
        self._note(places=True)

    def when_settled(self, call: Callable[[], None]) -> None:
        """Have a function called once it is certain which maps were closed for good."""
        self._when_settled.append(call)

    @property
    def _live_session(self) -> Session:
        """The session; it outlives what it calls."""
        return self._session()

    def _volumes(self) -> list[Volume]:
        """List every map that is kept anywhere, once."""
        kept = (volume for holder in list(self._holders) for volume in holder.volumes)
        return list(dict.fromkeys(volume for volume in kept if volume is not None))

    def _note(self, *, places: bool) -> None:
        """Note the data of the maps kept, and where they are."""
        for volume in self._volumes():
            if volume.deleted or volume.data is None:
                continue
            noted = self._noted.get(volume)
            if noted is None or (places and volume.id is not None):
                self._noted[volume] = _Noted(volume.data, volume.scene_position)
            else:
                noted.data = volume.data

    def _models_removed(self, _name: str, models: list[Model]) -> None:
        """Note that maps may be gone; their data are still there, unless triggers were held up."""
        if any(isinstance(model, Volume) for model in models):
            self._note(places=False)
            self._unsettled = True

    def _models_added(self, _name: str, models: list[Model]) -> None:
        """Take what has the data of a map that is gone."""
        self._replace([model for model in models if isinstance(model, Volume)])

    def _model_moved(self, _name: str, _model: Model) -> None:
        self._moved = True

    def _command_started(self, *_: object) -> None:
        self._commands += 1
        self._note(places=True)

    def _command_ended(self, *_: object) -> None:
        self._commands = max(self._commands - 1, 0)
        self._settle()
        self._note(places=True)

    def _new_frame(self, *_: object) -> None:
        self._settle()
        if not self._commands:
            self._note(places=self._moved)
            self._moved = False

    def _settle(self) -> None:
        """Look again for what has taken over a map, then let go of those that are gone."""
        if self._commands or not (self._unsettled or any(map(_is_gone, self._noted))):
            return
        self._replace(self._live_session.models.list(type=Volume))
        self._unsettled = False
        kept = set(self._volumes())
        for volume in list(self._noted):
            if volume.deleted or volume not in kept:
                del self._noted[volume]
        for call in self._when_settled:
            call()

    def _replace(self, candidates: list[Volume]) -> None:
        """Put each candidate in the place of a closed map with the same data."""
        moved = []
        for old in [volume for volume in self._noted if _is_gone(volume)]:
            noted = self._noted[old]
            new = next(
                (one for one in candidates if one is not old and one.data is noted.data), None
            )
            if new is None:
                continue
            for holder in list(self._holders):
                if any(volume is old for volume in holder.volumes):
                    holder.replace_volume(old, new)
            del self._noted[old]
            shift = _farthest(noted, new.scene_position)
            if shift > _MOVED:
                moved.append((new, shift))
            self._noted[new] = _Noted(new.data, new.scene_position)
        if moved:
            self._warn(moved)

    def _warn(self, moved: list[tuple[Volume, float]]) -> None:
        """Say that a map is elsewhere now; a model that was moved with it is not."""
        names = ", ".join(map_label(volume) for volume, _ in moved)
        farthest = max(shift for _, shift in moved)
        self._live_session.logger.warning(
            f"{names} moved by {farthest:.3g} Å when another tool took "
            f"{'it' if len(moved) == 1 else 'them'} over. Check that maps and model still "
            "overlap, and fit the model again if they do not (fitmap)."
        )


def following(session: Session) -> MapFollowing:
    """Return what follows the maps of a session; made at first use."""
    found = getattr(session, "_locscale_following", None)
    if found is None:
        found = session._locscale_following = MapFollowing(session)
    return found


def swap(value: Any, old: object, new: object) -> Any:
    """Return `new` for `old`, and lists with it in its place; anything else as it is."""
    if isinstance(value, list):
        return [swap(one, old, new) for one in value]
    return new if value is old else value


def _is_gone(volume: Volume) -> bool:
    """Test whether a map is not among the open models."""
    return volume.deleted or volume.id is None


def _farthest(noted: _Noted, place: Place) -> float:
    """Return how far a corner of a map has moved in the scene, Å."""
    corners = np.array(
        [
            noted.data.ijk_to_xyz([end * n for end, n in zip(ends, noted.data.size, strict=True)])
            for ends in np.ndindex(2, 2, 2)
        ]
    )
    return float(np.linalg.norm(noted.place * corners - place * corners, axis=1).max())
