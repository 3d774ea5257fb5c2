"""What is chosen in the panel: kept while other tools take models over, filled in where it is clear."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from chimerax.atomic import AtomicStructure
from chimerax.map import Volume

from ..results.manager import results
from ..scene.frames import map_label

if TYPE_CHECKING:
    from typing import Any, TypeGuard

    from ..session_types import Model, Session, Structure

MAPS = ("map_1", "map_2")
ROLES = (*MAPS, "model", "mask")
_NAMES = {"map_1": "half map 1", "map_2": "half map 2", "model": "model", "mask": "mask"}


@dataclass(eq=False)
class Choices:
    """What is chosen in the panel.

    Parameters
    ----------
    half_maps : bool
        Two half maps, else `map_1` is the full map.
    map_1, map_2, mask : Volume or None
    model : AtomicStructure or None
    symmetry : str
    options : dict of str to value
        By keyword; what is not there has its default.
    """

    half_maps: bool = True
    map_1: Volume | None = None
    map_2: Volume | None = None
    model: Structure | None = None
    mask: Volume | None = None
    symmetry: str = "C1"
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start with nothing vanished; what is not saved is no field."""
        self._labels: dict[str, str] = {}  # what a chosen model is called, by role
        self._vanished: set[str] = set()  # roles whose model was removed, so that its menu is empty
        self._touched: set[str] = set()  # roles that the user has chosen

    @property
    def maps(self) -> list[Volume]:
        """The maps chosen, in order."""
        chosen = (self.map_1, self.map_2) if self.half_maps else (self.map_1,)
        return [volume for volume in chosen if volume is not None]

    @property
    def used(self) -> dict[str, Model | None]:
        """Roles that a run would use, with their models."""
        roles = [role for role in ROLES if self.half_maps or role != "map_2"]
        return {role: getattr(self, role) for role in roles}

    @property
    def volumes(self) -> list[Volume | None]:
        """Every map of it."""
        return [self.map_1, self.map_2, self.mask]

    def replace_volume(self, old: Volume, new: Volume) -> None:
        """Take a map that has the data of one that was closed."""
        for role in (*MAPS, "mask"):
            if getattr(self, role) is old:
                self._vanished.add(role)  # its menu is empty by then
                setattr(self, role, new)

    @property
    def signature(self) -> tuple[Any, ...]:
        """What a check of the input depends on; edits of the model are counted elsewhere."""
        models = tuple(self.used.values())
        places = tuple(
            tuple(np.round(model.scene_position.matrix, 4).ravel())
            for model in models
            if is_open(model)
        )
        return tuple(map(id, models)), places, self.half_maps, self.symmetry.strip()

    def take(self, role: str, model: Model | None) -> None:
        """Take the value of a menu, which is empty too when its model has vanished for a while."""
        before = getattr(self, role)
        if model is None and before is not None and (role in self._vanished or not is_open(before)):
            self._vanished.add(role)
            return
        self._vanished.discard(role)
        if model is not before:
            self._touched.add(role)
            setattr(self, role, model)
        if is_open(model):
            self._labels[role] = map_label(model)

    def note_removed(self, models: list[Model]) -> None:
        """Note that models were removed: their menus are empty from now on."""
        self._vanished |= {role for role in ROLES if getattr(self, role) in models}

    def returned(self) -> dict[str, Model]:
        """Models that are open again after their menus lost them, by role; told once."""
        found = {
            role: getattr(self, role) for role in self._vanished if is_open(getattr(self, role))
        }
        self._vanished -= set(found)
        return found

    def forget(self, role: str) -> None:
        """Give up what was chosen for a role."""
        self._vanished.discard(role)
        setattr(self, role, None)

    def vanished(self) -> dict[str, str]:
        """Roles of a run whose model was closed, with its former label."""
        return {
            role: f"{self.name_of(role)}, {self._labels.get(role, 'which was chosen')},"
            for role, model in self.used.items()
            if model is not None and not is_open(model)
        }

    def name_of(self, role: str) -> str:
        """Return what the panel calls a role."""
        return "full map" if role == "map_1" and not self.half_maps else _NAMES[role]

    def fill(self, session: Session) -> bool:
        """Choose what is clear from the open models, but nothing that the user has chosen.

        Returns
        -------
        bool
            Whether something was filled in.
        """
        before = [getattr(self, role) for role in ROLES]
        chosen = [volume for volume in self.maps if is_open(volume)]
        if not self._touched & {*MAPS} and self.half_maps and len(chosen) < 2:
            pair = half_maps_among(input_maps(session))
            if None not in pair or not chosen:
                self.map_1, self.map_2 = pair
                self._vanished -= {*MAPS}
        if "model" not in self._touched and self.model is None:
            structures = _input_structures(session)
            self.model = structures[0] if len(structures) == 1 else None
        for role in ROLES:
            if is_open(getattr(self, role)):
                self._labels[role] = map_label(getattr(self, role))
        return before != [getattr(self, role) for role in ROLES]


def is_open(model: Model | None) -> TypeGuard[Model]:
    """Test whether a model is among the open ones."""
    return model is not None and not model.deleted and model.id is not None


def half_maps_among(volumes: list[Volume]) -> tuple[Volume | None, Volume | None]:
    """Return two maps of one grid whose names are those of a pair, else the two oldest of one grid.

    A map alone is the first of a pair.

    Parameters
    ----------
    volumes : list of Volume

    Returns
    -------
    Volume or None, Volume or None
    """
    from locscale_hybrid.inputs.half_names import partner_name

    for one in volumes:
        for other in volumes:
            is_pair = other is not one and other.name == partner_name(one.name)
            if is_pair and _grid(other) == _grid(one):
                return tuple(sorted((one, other), key=lambda volume: volume.name))
    for place, one in enumerate(volumes):
        for other in volumes[place + 1 :]:
            if _grid(other) == _grid(one):
                return one, other
    return (*volumes[:1], None, None)[:2]


def _grid(volume: Volume) -> tuple[Any, ...]:
    """Grid of a map, to compare."""
    data = volume.data
    return tuple(data.size), tuple(np.round([*data.step, *data.origin], 3).tolist())


def input_maps(session: Session) -> list[Volume]:
    """Open maps that may be inputs, the oldest first: no results, no masks."""
    made = [volume for kept in results(session).records for volume in kept.volumes[:1]]
    made += [model for kept in results(session).records for model in kept.companions]
    return [
        volume
        for volume in session.models.list(type=Volume)
        if volume not in made
        and not isinstance(volume.parent, Volume)
        and "mask" not in volume.name.lower()
    ]


def _input_structures(session: Session) -> list[Structure]:
    """Open atomic structures that were not made by a run."""
    made = [model for kept in results(session).records for model in kept.companions]
    return [model for model in session.models.list(type=AtomicStructure) if model not in made]
