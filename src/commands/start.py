"""From a command to a job, and from its outcome to models and the log."""

import functools
import itertools
from dataclasses import dataclass, replace
from pathlib import Path

from chimerax.core.errors import UserError

from ..job.job import LocScaleJob, Request, record_of, running_jobs, stop_jobs
from ..job.run_folder import LARGEST_PACKED, RunFolder
from ..results import log_text
from ..results.companions import open_companions
from ..results.manager import ResultRecord, results
from ..results.opening import load_maps, result_files
from ..results.saved_files import output_path, saved_path
from ..results.shell_line import name_sources, shell_line
from ..scene.following import following, swap
from ..scene.frames import map_label
from ..scene.handover import new_values, new_volume
from ..settings import settings
from .selection import Chosen, choose, parameters_of, record_to_update


def start_hybrid(session, maps, keywords, *, update=None, wait=None):
    """Start ``locscale hybrid``; see `cmd.locscale_hybrid`."""
    earlier = record_to_update(session, update)
    chosen = choose(maps, keywords, earlier)
    handover = chosen.hand_over()
    parameters = parameters_of(keywords, earlier, chosen)
    handover = replace(handover, region=parameters["region"])
    if update is not None:
        _require_fitting(session, update, earlier, handover.frame)
    name = keywords.get("name") or _default_name(session, chosen, update)
    own_folder = earlier.folder if earlier is not None else None
    saved = None
    if keywords.get("save_to"):
        saved = saved_path(session, keywords["save_to"], name, update=update)
    folder = own_folder or RunFolder()
    packed = earlier.packed if earlier is not None and own_folder is None else {}
    asked = _asked(keywords, earlier)
    request = Request(
        handover,
        parameters,
        {
            "map": saved or output_path(folder.outputs, name),
            "processing_folder": folder.stages,
            "resume": True,
            "report": asked["report"],
        },
        folder,
        processes=asked["processes"] or settings(session).processes or None,
        mpiexec=asked["mpiexec"] or settings(session).mpiexec or None,
        title=map_label(chosen.maps[0]),
        keep_folder=own_folder is not None,
        packed=packed,
        name=name,
        remarks=tuple(chosen.remarks(session)),
        unless_unchanged=_asks_nothing_else(keywords, earlier),
    )
    deliver = Delivery(
        session, chosen, request, update, asked, saved, chosen.labels(), chosen.source_files()
    )
    if update is not None and folder.previous_record is None and not packed:
        session.logger.info(
            "This update is a full run: the session file does not hold the hybrid "
            "model of the earlier one, to start from, because it is larger than "
            f"{LARGEST_PACKED >> 20} MB, or was saved by an older version"
        )
    load = functools.partial(
        _load,
        wanted=parameters["outputs"],
        folder=folder,
        saved_from=deliver.source_files if saved else None,
    )
    return _go(session, LocScaleJob(session, request, load, deliver), wait)


def start_check(session, maps, keywords, *, wait=None, quiet=False):
    """Start ``locscale check``; see `cmd.locscale_check`.  Quiet: the log gets nothing."""
    chosen = choose(maps, keywords, None)
    handover = chosen.hand_over()
    parameters = parameters_of(keywords, None, chosen)
    folder = RunFolder()
    request = Request(
        handover,
        parameters,
        {"map": folder.outputs / "check.mrc"},
        folder,
        action="check",
        title=map_label(chosen.maps[0]),
        quiet=quiet,
        remarks=tuple(chosen.remarks(session)),
    )

    def deliver(outcome):
        """Close the list of findings in the log."""
        folder.remove_in_background()
        if not quiet:
            log_text.log_check(session.logger, request.title, outcome.findings)
        return outcome.findings

    return _go(session, LocScaleJob(session, request, lambda outcome: None, deliver), wait)


def log_info(session, volume):
    """Log how a result was made; see `cmd.locscale_info`."""
    kept = results(session).of(volume)
    if kept is None:
        known = ", ".join(map_label(other.volume) for other in results(session).records)
        raise UserError(
            f"{map_label(volume)} was not made by locscale hybrid in this session; "
            + (f"these were: {known}" if known else "nothing was yet")
        )
    log_text.log_record(session.logger, kept)
    return kept.record


def stop_all(session):
    """End the runs of a session; see `cmd.locscale_stop`."""
    jobs = [job for job in stop_jobs(session) if not job.request.quiet]
    if not jobs:
        session.logger.info("No LocScale run is going on")
    return len(jobs)


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

    session: object
    chosen: Chosen
    request: Request
    update: object
    asked: dict
    saved: object
    labels: dict
    source_files: dict

    def __post_init__(self):
        """Follow the maps during the run."""
        following(self.session).watch(self)

    @property
    def volumes(self):
        """The maps that the result will refer to."""
        return [self.update, *self.chosen.volumes]

    def replace_volume(self, old, new):
        """Take a map that has the data of one that was closed."""
        self.update = swap(self.update, old, new)
        self.chosen.replace_volume(old, new)

    def __call__(self, outcome):
        """Open the result, keep its record, write the log; return the Volume."""
        session, loaded = self.session, outcome.payload
        if outcome.unchanged:
            return self._left()
        like = self.request.handover.maps[0]
        volume = self._updated(loaded.values) or self._opened(like, loaded)
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
        line, needs = shell_line(self.request, outcome.inputs, self.source_files, record, previous)
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
            _links(outcome.result),
            self.chosen.library,
            self.request.folder,
            shell_needs=needs,
            asked=self.asked,
            saved_map=str(self.saved or (previous.saved_map if previous else "")),
        )
        if previous and previous.folder not in (None, kept.folder):
            previous.folder.remove_in_background()
        self.request.folder.is_orphan = False
        results(session).add(kept)
        log_text.log_record(session.logger, kept, findings=False)  # they are in the log already
        return volume

    def _left(self):
        """Leave the result as it is, since nothing has changed."""
        if not self.request.keep_folder:
            self.request.folder.remove_in_background()
        if self.update.deleted:
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

    def _updated(self, values):
        """Put new values into the map to update; None if there is none, or it was closed."""
        if self.update is None:
            return None
        if self.update.deleted:
            self.session.logger.warning(
                "The map to update was closed meanwhile; the result is opened as a new map"
            )
            return None
        new_values(self.update, values)
        if self.asked["name"]:
            self.update.name = self.asked["name"]
        return self.update

    def _opened(self, like, loaded):
        """Open a new map; the inputs are hidden."""
        first = self.chosen.maps[0]
        volume = new_volume(
            self.session,
            like,
            loaded.values,
            self.request.name,
            level=loaded.level,
            look_of=None if first.deleted else first,
        )
        for given in self.chosen.maps:
            if not given.deleted:
                given.display = False
        return volume


def _load(outcome, *, wanted, folder, saved_from):
    """Read the maps of a finished run, and keep what an update starts from; in the job's thread."""
    loaded = load_maps(outcome, wanted, folder.scratch)
    model = (record_of(outcome).get("hybrid_model", {}).get("file") or {}).get("path")
    if model and Path(model).is_file():
        given = outcome.inputs.get("model")
        folder.keep_for_update(
            Path(outcome.result["record"]), Path(model), Path(given) if given else None
        )
    if saved_from is not None:
        name_sources(Path(outcome.result["record"]), outcome.inputs, saved_from)
    return loaded


def _go(session, job, wait):
    """Run a job; wait in scripts and without a window, unless told otherwise."""
    results(session)  # ends the job with the session
    if wait is None:
        wait = session.in_script or not session.ui.is_gui
    if wait:
        return job.run_and_wait()
    job.start()
    return job


def _links(result):
    """Files of a run that a person opens, by what to call them."""
    files = {
        kind: str(path)
        for kind, path in result_files(result).items()
        if kind in ("record", "report")
    }
    return {**files, "folder": str(Path(result["map"]).parent)}


def _require_fitting(session, update, earlier, frame):
    """Refuse an update of another grid, and a second one at the same time."""
    if tuple(update.data.size) != frame.size:
        raise UserError(
            f"{map_label(update)} has {_size(update.data.size)} voxels and cannot "
            f"take a map of {_size(frame.size)}: run locscale hybrid without update"
        )
    busy = [job for job in running_jobs(session) if job.request.folder is earlier.folder]
    if earlier.folder is not None and busy:
        raise UserError(
            f"{map_label(update)} is being updated already ({busy[0].stage}, "
            f"{100 * busy[0].fraction:.0f} %): wait for it, or end it with "
            "locscale stop"
        )


def _default_name(session, chosen, update):
    """Name a result that was given no name: an update keeps it, a further one has a number."""
    if update is not None:
        return update.name
    name = f"{chosen.maps[0].name} LocScale"
    taken = {model.name for model in session.models.list()}
    taken |= {job.request.name for job in running_jobs(session)}
    numbered = (f"{name} {number}" for number in itertools.count(2))
    return name if name not in taken else next(other for other in numbered if other not in taken)


def _asks_nothing_else(keywords, earlier):
    """Test whether an update is for its values alone, so that it may be skipped."""
    if earlier is None or any(model.deleted for model in earlier.companions):
        return False
    report = keywords.get("report")
    return not (keywords.get("save_to") or keywords.get("name")) and (
        report is None or report == earlier.asked.get("report", True)
    )


def _asked(keywords, earlier):
    """Collect how to compute and what to write, as typed now or for the result to update."""
    before = {} if earlier is None else earlier.asked
    asked = {name: keywords.get(name) or before.get(name) for name in ("processes", "mpiexec")}
    if asked["processes"] and not keywords.get("processes"):
        from locscale_hybrid.cli.job_file import most_processes

        # the session may come from a larger machine
        asked["processes"] = min(asked["processes"], most_processes())
    report = keywords.get("report")
    return {
        **asked,
        "name": keywords.get("name"),
        "report": before.get("report", True) if report is None else report,
    }


def _size(size):
    """Put a number of voxels in words."""
    return " x ".join(map(str, size))
