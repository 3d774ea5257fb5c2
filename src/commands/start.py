"""From a command to a job."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from chimerax.core.errors import UserError

from ..job.job import LocScaleJob, running_jobs, stop_jobs
from ..job.request import Request
from ..job.run_folder import LARGEST_PACKED, RunFolder
from ..results import log_text
from ..results.manager import ResultRecord, results
from ..results.saved_files import output_path, saved_path
from ..scene.frames import map_label
from ..settings import settings
from .delivery import Delivery, load
from .selection import Chosen, choose, parameters_of, record_to_update

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ..job.request import Outcome
    from ..scene.frames import MapFrame
    from ..session_types import Finding, Json, Keywords, Session, Volume


def start_hybrid(
    session: Session,
    maps: list[Volume] | None,
    keywords: Keywords,
    *,
    update: Volume | None = None,
    wait: bool | None = None,
) -> Volume | LocScaleJob:
    """Start ``locscale hybrid``; see `cmd.locscale_hybrid`."""
    earlier = record_to_update(session, update)
    chosen = choose(maps, keywords, earlier)
    handover = chosen.hand_over()
    parameters = parameters_of(keywords, earlier, chosen)
    handover = replace(handover, region=parameters["region"])
    if update is not None and earlier is not None:
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
        _say_full_run(session)
    read = functools.partial(
        load,
        wanted=parameters["outputs"],
        folder=folder,
        saved_from=deliver.source_files if saved else None,
        source_model=deliver.source_files.get("model"),
        first=handover.maps[0],
    )
    return _go(session, LocScaleJob(session, request, read, deliver), wait)


def _say_full_run(session: Session) -> None:
    """Log why an update cannot start from the earlier run."""
    session.logger.info(
        "This update is a full run: the session file does not hold the hybrid "
        "model of the earlier one, to start from, because it is larger than "
        f"{LARGEST_PACKED >> 20} MB, or was saved by an older version"
    )


def start_check(
    session: Session,
    maps: list[Volume],
    keywords: Keywords,
    *,
    wait: bool | None = None,
    quiet: bool = False,
) -> list[Finding] | LocScaleJob:
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

    def deliver(outcome: Outcome) -> list[Finding]:
        """Close the list of findings in the log."""
        folder.remove_in_background()
        if not quiet:
            log_text.log_check(session.logger, request.title, outcome.findings)
        return outcome.findings

    return _go(session, LocScaleJob(session, request, lambda outcome: None, deliver), wait)


def log_info(session: Session, volume: Volume) -> Json:
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


def stop_all(session: Session) -> int:
    """End the runs of a session; see `cmd.locscale_stop`."""
    jobs = [job for job in stop_jobs(session) if not job.request.quiet]
    if not jobs:
        session.logger.info("No LocScale run is going on")
    return len(jobs)


def _go(session: Session, job: LocScaleJob, wait: bool | None) -> Any:
    """Run a job; wait in scripts and without a window, unless told otherwise."""
    results(session)  # ends the job with the session
    if _waits(session) if wait is None else wait:
        return job.run_and_wait()
    job.start()
    return job


def _waits(session: Session) -> bool:
    """Test whether a command waits for its result by default: in scripts, and without a window."""
    return session.in_script or not session.ui.is_gui


def _require_fitting(
    session: Session, update: Volume, earlier: ResultRecord, frame: MapFrame
) -> None:
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


def _default_name(session: Session, chosen: Chosen, update: Volume | None) -> str:
    """Name a result that was given no name: an update keeps it, a further one has a number."""
    if update is not None:
        return update.name
    name = f"{chosen.maps[0].name} LocScale"
    taken = {model.name for model in session.models.list()}
    taken |= {job.request.name for job in running_jobs(session)}
    numbered = (f"{name} {number}" for number in itertools.count(2))
    return name if name not in taken else next(other for other in numbered if other not in taken)


def _asks_nothing_else(keywords: Keywords, earlier: ResultRecord | None) -> bool:
    """Test whether an update is for its values alone, so that it may be skipped."""
    if earlier is None or any(model.deleted for model in earlier.companions):
        return False
    report = keywords.get("report")
    return not (keywords.get("save_to") or keywords.get("name")) and (
        report is None or report == earlier.asked.get("report", True)
    )


def _asked(keywords: Keywords, earlier: ResultRecord | None) -> Json:
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


def _size(size: Iterable[int]) -> str:
    """Put a number of voxels in words."""
    return " x ".join(map(str, size))
