"""How each result map was made: kept with the session, so that it can be told and repeated."""

from __future__ import annotations

import gc
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chimerax.core.state import StateManager
from chimerax.map import Volume

from ..job.job import running_jobs, stop_jobs
from ..scene.following import following, swap
from ..scene.frames import map_label
from .views import Views

if TYPE_CHECKING:
    from ..comparison.adjust import Adjustment
    from ..job.run_folder import RunFolder
    from ..panel.choices import Choices
    from ..session_types import Atoms, FloatArray, Json, Model, Session, Structure

STATE_VERSION = 1
_TAG = "locscale results"
_NUMBER = re.compile(r"(^|(?<=, ))#[\d.]+ ")


@dataclass
class ModelChoice:
    """Atoms of one structure: all of them, whatever they are by then, or chosen ones."""

    structure: Structure
    atoms: Atoms | None = None

    @property
    def current_atoms(self) -> Atoms:
        """The atoms as the structure is now."""
        return self.structure.atoms if self.atoms is None else self.atoms

    @property
    def label(self) -> str:
        """What to call it: "#3 model.cif"."""
        return map_label(self.structure) + ("" if self.atoms is None else " (chosen atoms)")


@dataclass(eq=False)  # one is itself alone, also where maps are followed
class ResultRecord:
    """One result.

    Parameters
    ----------
    volume : Volume
        The display map.
    maps : list of Volume or None
        Input maps; None in place of one that is closed.
    models : list of ModelChoice
    mask, weight : Volume or None
    parameters : dict
        `HybridParameters.as_dict()` of the run.
    record : dict
        The core's JSON record.
    inputs : dict of str to str
        What to call each input: "#1 half1.mrc".
    shell_line : str
        The command line that repeats the run.
    companions : list of Model
        What else was opened: other maps, the hybrid model.
    files : dict of str to str
        Paths to link to: the record, the report, the folder.
    library : str or None
        Folder of the restraints that coordinates were refined with.
    folder : RunFolder or None
        Its files; None after the session was restored.
    shell_needs : str
        What has to be saved before `shell_line` can be used; empty where nothing has.
    packed : dict of str to bytes
        What an update starts from, by file name, compressed, after the session was restored.
    asked : dict
        Name, number of processes, path of mpiexec and whether to write a report, as typed.
    saved_map : str
        File of the map in a folder of the user; empty where there is none.
    seconds : float or None
        How long the run took.
    views : Views
        What it can be compared with.
    adjustment : Adjustment or None
        What was done to the shown map after the run.
    """

    volume: Volume
    maps: list[Volume | None]
    models: list[ModelChoice] = field(default_factory=list)
    mask: Volume | None = None
    weight: Volume | None = None
    parameters: Json = field(default_factory=dict)
    record: Json = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    shell_line: str = ""
    companions: list[Model] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    library: str | None = None
    folder: RunFolder | None = None
    shell_needs: str = ""
    packed: dict[str, bytes] = field(default_factory=dict)
    asked: Json = field(default_factory=dict)
    saved_map: str = ""
    seconds: float | None = None
    views: Views = field(default_factory=Views)
    adjustment: Adjustment | None = None

    @property
    def volumes(self) -> list[Volume | None]:
        """Every map that belongs to it."""
        more = [model for model in self.companions if isinstance(model, Volume)]
        return [self.volume, *self.maps, self.mask, self.weight, *more, *self.views.volumes]

    def replace_volume(self, old: Volume, new: Volume) -> None:
        """Take a map that has the data of one that was closed."""
        for name in ("volume", "maps", "mask", "weight", "companions"):
            setattr(self, name, swap(getattr(self, name), old, new))
        for name in ("average", "earlier"):
            setattr(self.views, name, swap(getattr(self.views, name), old, new))

    @property
    def is_open(self) -> bool:
        """Whether its map is among the open models."""
        return self.volume.id is not None and not self.volume.deleted

    @property
    def open_maps(self) -> list[Volume]:
        """Input maps that are still open."""
        return [volume for volume in self.maps if _is_open(volume)]

    @property
    def open_models(self) -> list[ModelChoice]:
        """Choices of atoms whose structure is still open."""
        return [choice for choice in self.models if _is_open(choice.structure)]

    @property
    def made_from(self) -> dict[str, str]:
        """What to call each input now; one that is closed by its name alone.

        Its number may be another model's by then.
        """
        roles = ("half map 1", "half map 2") if len(self.maps) == 2 else ("map",)
        inputs = [
            *zip(roles, self.maps, strict=False),
            ("mask", self.mask),
            ("weight", self.weight),
        ]
        open_now = {role: map_label(volume) for role, volume in inputs if _is_open(volume)}
        if self.models and len(self.open_models) == len(self.models):
            open_now["model"] = ", ".join(choice.label for choice in self.models)
        return {
            role: open_now.get(role) or f"{_NUMBER.sub('', recorded)} (closed)"
            for role, recorded in self.inputs.items()
        }

    def as_state(self) -> Json:
        """Return plain data and models, as a session file keeps them."""
        return {
            "volume": self.volume,
            "maps": [volume if _is_open(volume) else None for volume in self.maps],
            "models": [(choice.structure, choice.atoms) for choice in self.open_models],
            "mask": self.mask if _is_open(self.mask) else None,
            "weight": self.weight if _is_open(self.weight) else None,
            "companions": [model for model in self.companions if _is_open(model)],
            "packed": self.packed if self.folder is None else self.folder.packed,
            "own_values": self.own_values,
            "plain": json.dumps(
                {
                    "parameters": self.parameters,
                    "record": self.record,
                    "inputs": self.inputs,
                    "shell_line": self.shell_line,
                    "shell_needs": self.shell_needs,
                    "files": self.files,
                    "library": self.library,
                    "asked": self.asked,
                    "saved_map": self.saved_map,
                    "seconds": self.seconds,
                }
            ),
        }

    @property
    def own_values(self) -> FloatArray | None:
        """The values that the run made, while others are shown; else None."""
        done = self.adjustment
        return None if done is None or done.said is None else done.own

    @classmethod
    def from_state(cls, state: Json) -> ResultRecord:
        """Return the record of `as_state`."""
        from ..comparison.adjust import restored

        plain = json.loads(state["plain"])
        return cls(
            state["volume"],
            list(state["maps"]),
            [ModelChoice(*pair) for pair in state["models"]],
            state["mask"],
            state["weight"],
            plain["parameters"],
            plain["record"],
            plain["inputs"],
            plain["shell_line"],
            [model for model in state["companions"] if model],
            plain["files"] if plain.get("saved_map") else {},  # others went with that session
            plain.get("library"),
            shell_needs=plain.get("shell_needs", ""),
            packed=state.get("packed") or {},
            asked=plain.get("asked", {}),
            saved_map=plain.get("saved_map", ""),
            seconds=plain.get("seconds"),
            adjustment=restored(state["volume"], plain["record"], state.get("own_values")),
        )


class LocScaleResults(StateManager):
    """The results of a session; closing the session ends its jobs."""

    def __init__(self, session: Session) -> None:
        self._kept: list[ResultRecord] = []
        self.panel_choices: Choices | None = None  # of the panel that was closed last
        self._session = session
        self._handlers = [
            session.triggers.add_handler("remove models", self._models_removed),
            session.triggers.add_handler("app quit", self._quit),
        ]
        following(session).when_settled(self._forget_closed)

    @property
    def records(self) -> list[ResultRecord]:
        """The records of the results that are open, the oldest first."""
        return [kept for kept in self._kept if kept.is_open]

    def add(self, record: ResultRecord) -> None:
        """Keep the record of a new result, or of an updated one."""
        self._kept = [kept for kept in self._kept if kept.volume is not record.volume]
        self._kept.append(record)
        following(self._session).watch(record)

    def of(self, volume: Volume) -> ResultRecord | None:
        """Return the record of a map, None where it is no result."""
        return next((kept for kept in self.records if kept.volume is volume), None)

    @property
    def newest(self) -> ResultRecord | None:
        """The record of the last result that is open, or None."""
        return next(reversed(self.records), None)

    def take_snapshot(self, session: Session, flags: int) -> Json:
        """Save what `ResultRecord.as_state` keeps."""
        return {"version": STATE_VERSION, "records": [kept.as_state() for kept in self.records]}

    @classmethod
    def restore_snapshot(cls, session: Session, data: Json) -> LocScaleResults:
        """Restore the records whose map was restored."""
        manager = cls(session)
        for state in data["records"]:
            if state["volume"] is not None:
                manager.add(ResultRecord.from_state(state))
        return manager

    def reset_state(self, session: Session) -> None:
        """Close the session: end its jobs, forget its results."""
        stop_jobs(session)
        if any(kept.models for kept in self._kept):
            _free_cycles()
        for kept in self._kept:
            if kept.folder is not None:
                kept.folder.remove_in_background()
        self._kept, self.panel_choices = [], None

    def _models_removed(self, _trigger: str, models: list[Model]) -> None:
        """Free what would crash ChimeraX later; what is closed for good is known afterwards."""
        if any(choice.structure in models for kept in self._kept for choice in kept.models):
            _free_cycles()

    def _forget_closed(self) -> None:
        """Forget results that were closed, and delete their files."""
        gone = [kept for kept in self._kept if kept.volume.deleted]
        self._kept = [kept for kept in self._kept if kept not in gone]
        in_use = [kept.folder for kept in self._kept]
        for folder in [kept.folder for kept in gone if kept.folder not in in_use]:
            if folder is None:
                continue
            if any(job.request.folder is folder for job in running_jobs(self._session)):
                folder.is_orphan = True  # the run deletes it, unless it opens a new map
            else:
                folder.remove_in_background()

    def _quit(self, _trigger: str, _data: object) -> None:
        """Leave no process behind."""
        stop_jobs(self._session, timeout=6.0)


def results(session: Session) -> LocScaleResults:
    """Return the results of a session; made at first use."""
    try:
        return session.get_state_manager(_TAG)
    except KeyError:
        manager = LocScaleResults(session)
        session.add_state_manager(_TAG, manager)
        return manager


def _is_open(model: Model | None) -> bool:
    """Test whether a model exists and has not been closed."""
    return model is not None and not model.deleted


def _free_cycles() -> None:
    """Free what ChimeraX has left of a model that was saved, while that model is still open.

    Saving a structure as mmCIF, which our log advises where a result is to be repeated in a shell,
    leaves a reference cycle that holds its chains.  ChimeraX 1.7.1 crashes when the collector
    meets them after the structure was closed, in whatever is running by then: a chain of a closed
    structure is freed once too often.
    """
    gc.collect()
