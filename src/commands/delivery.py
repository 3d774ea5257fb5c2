"""From the outcome of a job to models and the log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..job.request import Request, record_of
from ..job.run_folder import RunFolder
from ..results import log_text
from ..results.companions import open_companions
from ..results.manager import ResultRecord, results
from ..results.opening import load_maps, result_files
from ..results.shell_line import is_edited, name_sources, shell_line
from ..results.views import Views
from ..scene.following import following, swap
from ..scene.frames import map_label
from ..scene.handover import new_values, new_volume
from .selection import Chosen

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..job.request import Outcome
    from ..results.opening import LoadedMaps
    from ..scene.handover import InputMap
    from ..session_types import FloatArray, Json, Session, Volume


@dataclass(eq=False)
class Delivery:
    """Turns the outcome of a run into models; called on the main thread.

    Parameters
    ----------
    session : Session
    chosen : Chosen
    request : Request
    update : Volume or None
        Map that takes the values instead of a new one.
    asked : dict
        See `ResultRecord`.
    saved : Path or None
        The file of the map, where it is to be kept.
    labels, source_files : dict
        See `Chosen`, at the start of the run: the inputs may be closed by now.
    """

    session: Session
    chosen: Chosen
    request: Request
    update: Volume | None
    asked: Json
    saved: Path | None
    labels: dict[str, str]
    source_files: dict[str, str]

    def __post_init__(self) -> None:
        """Follow the maps during the run."""
        following(self.session).watch(self)

    @property
    def volumes(self) -> list[Volume | None]:
        """The maps that the result will refer to."""
        return [self.update, *self.chosen.volumes]

    def replace_volume(self, old: Volume, new: Volume) -> None:
        """Take a map that has the data of one that was closed."""
        self.update = swap(self.update, old, new)
        self.chosen.replace_volume(old, new)

    def __call__(self, outcome: Outcome) -> Volume | None:
        """Open the result, keep its record, write the log; return the Volume."""
        session, loaded, event = self.session, outcome.payload, outcome.result or {}
        if outcome.unchanged:
            return self._left()
        like = self.request.handover.maps[0]
        volume, before = self._updated(loaded.values)
        volume = volume or self._opened(like, loaded)
        previous = results(session).of(volume)
        record = {**record_of(outcome), "findings": outcome.findings}
        companions = open_companions(
            session,
            like,
            volume,
            loaded,
            previous.companions if previous else [],
            copied=(record.get("hybrid_model") or {}).get("copied_atoms", 0) > 0,
        )
        line, needs = shell_line(
            self.request,
            outcome.inputs,
            self.source_files,
            record,
            previous,
            is_model_edited=loaded.is_model_edited,
        )
        kept = ResultRecord(
            volume,
            self.chosen.maps,
            self.chosen.models,
            self.chosen.mask,
            self.chosen.weight,
            self.request.parameters,
            record,
            self.labels,
            line,
            companions,
            _links(event),
            self.chosen.library,
            self.request.folder,
            shell_needs=needs,
            asked=self.asked,
            saved_map=str(self.saved or (previous.saved_map if previous else "")),
            seconds=event.get("seconds"),
            views=Views(before),
        )
        if previous:
            kept.views.follow(previous.views, same_maps=previous.maps == kept.maps)
        if previous and previous.folder not in (None, kept.folder):
            previous.folder.remove_in_background()
        self.request.folder.is_orphan = False
        results(session).add(kept)
        log_text.log_record(session.logger, kept, findings=False)  # they are in the log already
        return volume

    def _left(self) -> Volume | None:
        """Leave the result as it is, since nothing has changed."""
        if not self.request.keep_folder:
            self.request.folder.remove_in_background()
        if self.update is None or self.update.deleted:
            return None
        kept = results(self.session).of(self.update)
        if kept is not None:  # other maps or models may have been named that hold the same
            kept.maps, kept.models, kept.inputs = self.chosen.maps, self.chosen.models, self.labels
            kept.mask, kept.weight, kept.asked = self.chosen.mask, self.chosen.weight, self.asked
        self.session.logger.info(
            f"Nothing has changed since {map_label(self.update)} was made: maps, model and options "
            "are the same, so it stays as it is. Edit the model or change an option; locscale "
            "hybrid without update makes a full run"
        )
        return self.update

    def _updated(self, values: FloatArray) -> tuple[Volume | None, FloatArray | None]:
        """Return the map to update with its new values, and those before; None if there is none."""
        if self.update is None:
            return None, None
        if self.update.deleted:
            self.session.logger.warning(
                "The map to update was closed meanwhile; the result is opened as a new map"
            )
            return None, None
        before = new_values(self.update, values)
        if self.asked["name"]:
            self.update.name = self.asked["name"]
        return self.update, before

    def _opened(self, like: InputMap, loaded: LoadedMaps) -> Volume:
        """Open a new map; hide the inputs and earlier results of the same inputs."""
        first = self.chosen.maps[0]
        volume = new_volume(
            self.session,
            like,
            loaded.values,
            self.request.name,
            level=loaded.level,
            look_of=None if first.deleted else first,
        )
        if loaded.input_level is not None and len(self.chosen.maps) == 1 and not first.deleted:
            first.set_parameters(surface_levels=[loaded.input_level])
        hidden = [*self.chosen.maps]
        for kept in results(self.session).records:
            if kept.maps == self.chosen.maps:
                hidden += [kept.volume, *kept.views.volumes]
        for other in hidden:
            if other is not None and not other.deleted:
                other.display = False
        return volume


def load(
    outcome: Outcome,
    *,
    wanted: Collection[str],
    folder: RunFolder,
    saved_from: dict[str, str] | None,
    source_model: str | None,
    first: InputMap,
) -> LoadedMaps:
    """Read the maps of a finished run, and keep what an update starts from; in the job's thread."""
    event = outcome.result or {}
    loaded = load_maps(outcome, wanted, folder.scratch, first)
    if source_model is not None and "model" in outcome.inputs:
        loaded.is_model_edited = is_edited(outcome.inputs["model"], source_model)
    model = (record_of(outcome).get("hybrid_model", {}).get("file") or {}).get("path")
    if model and Path(model).is_file():
        given = outcome.inputs.get("model")
        folder.keep_for_update(Path(event["record"]), Path(model), Path(given) if given else None)
    if saved_from is not None:
        name_sources(Path(event["record"]), outcome.inputs, saved_from)
    return loaded


def _links(result: Json) -> dict[str, str]:
    """Files of a run that a person opens, by what to call them."""
    files = {
        kind: str(path)
        for kind, path in result_files(result).items()
        if kind in ("record", "report")
    }
    return {**files, "folder": str(Path(result["map"]).parent)}
