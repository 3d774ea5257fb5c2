"""The background job: write inputs, run the child, pass on progress, hand over the outcome."""

from __future__ import annotations

import queue
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from chimerax.core.errors import UserError
from chimerax.core.tasks import Task

from ..words import message_of
from .child import Child, describe_end
from .request import Outcome, Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from locscale_hybrid.errors import LocScaleError

    from ..session_types import Finding, Json, Session

STAGES = {
    "checks": "checking the input",
    "mask": "finding the mask",
    "pseudo-atoms": "placing pseudo-atoms",
    "hybrid model": "joining the model",
    "adp": "refining B factors",
    "reference": "computing the reference map",
    "scaling": "scaling",
    "output": "writing maps",
}
_STATUS_EVERY = 0.2  # s
_NO_USE = ("mpi-absent",)  # findings with advice that has no use in ChimeraX


class RunStopped(Exception):
    """The user stopped the run."""


class LocScaleJob(Task):
    """One run of the core.

    Parameters
    ----------
    session : Session
    request : Request
    load : callable
        ``load(outcome)``, called in the job's thread, returns the payload: values of the maps.
    deliver : callable
        ``deliver(outcome)``, called on the main thread, returns the result.

    Attributes
    ----------
    result : object or None
        What `deliver` returned.
    error : str or None
        Why there is no result, as told to the user.
    stage, fraction, started : str, float, float
        Where it stands; `time.monotonic()` at the start.
    begun : float or None
        `time.monotonic()` when the child was given its inputs.
    ended : bool
    facts : dict
        What a check has measured: resolution in Å, share of the map that the model covers.
    failure : dict
        Code and remedies of the error that the core ended with.
    """

    def __init__(
        self,
        session: Session,
        request: Request,
        load: Callable[[Outcome], Any],
        deliver: Callable[[Outcome], Any],
    ) -> None:
        super().__init__(session)
        self.request = request
        self.result: Any = None
        self.error: str | None = None
        self.stage, self.fraction, self.started = "starting", 0.0, time.monotonic()
        self.begun: float | None = None
        self.ended = False
        self.findings: list[Finding] = []
        self.facts: Json = {}
        self.failure: Json = {}
        self._load, self._deliver = load, deliver
        self._waiting = False
        self._calls: queue.SimpleQueue[tuple[Callable[..., None], Any]] = queue.SimpleQueue()
        self._set_up = threading.Event()
        self._stop = threading.Event()
        self._over = threading.Event()
        self._child: Child | None = None
        self._last_status = 0.0

    def __str__(self) -> str:
        """Return one line of the Task Manager and of ``taskman list``."""
        return (
            f"LocScale job {self.id} on {self.request.title}: {self.stage}, "
            f"{100 * self.fraction:.0f} %"
        )

    def start(self, *args: Any, **keywords: Any) -> None:
        """Run in the background; a failure appears as an error message."""
        self.started = time.monotonic()
        super().start(*args, **keywords)
        # ChimeraX sets the state and the stop flag after the thread has started.
        self._set_up.set()

    def run_and_wait(self) -> Any:
        """Run, wait on this thread, and return the result.

        Raises
        ------
        UserError
            If the run failed or was stopped.
        """
        self._waiting = True
        self.start()
        try:
            while not self.ended:
                try:
                    function, arguments = self._calls.get(timeout=0.1)
                except queue.Empty:
                    continue
                function(*arguments)
        except BaseException:
            if not self.ended:
                self.terminate()
            raise
        if self.error is not None:
            raise UserError(self.error)
        return self.result

    def run(self) -> None:
        """Do everything that takes time; called in a thread of its own."""
        self._set_up.wait()
        outcome = failure = None
        try:
            outcome = self._work()
        except BaseException as error:  # ChimeraX would lose it
            failure = self._for_the_user(error)
        finally:
            if self._child is not None:
                self._child.stop()
            if outcome is None and not self._keeps_folder:
                self.request.folder.remove_soon()
            self._over.set()
        self._post(self._finish, outcome, failure)

    def terminate(self) -> None:
        """End the run and all its processes; returns at once."""
        if self._stop.is_set() or self.ended:
            return
        self._stop.set()
        if self.id in self.session.tasks:
            super().terminate()

    @property
    def stopped(self) -> bool:
        """Whether the user has stopped the run."""
        return self._stop.is_set()

    def wait_until_over(self, timeout: float) -> bool:
        """Wait until no process of the run is left; return whether that is so."""
        return self._over.wait(timeout)

    @property
    def _keeps_folder(self) -> bool:
        """Whether the folder belongs to a result that is open, so that a failure leaves it."""
        return self.request.keep_folder and not self.request.folder.is_orphan

    def _for_the_user(self, error: BaseException) -> BaseException:
        """Turn an error of the core into a UserError; leave others as they are."""
        from locscale_hybrid.errors import LocScaleError

        if isinstance(error, LocScaleError):
            return UserError(self._worded(error))
        return error

    def _work(self) -> Outcome:
        """Write the inputs, run the child, read the result."""
        request, outcome = self.request, Outcome()
        folder = request.folder
        folder.guard()
        folder.clear_inputs()
        for finding in request.remarks:
            self._take({**finding, "event": "finding"}, outcome)
        job_file = folder.path / "job.json"
        # It loads its libraries while the inputs are written.
        self._child = Child(job_file, folder.path / "stderr.txt", folder.scratch)
        outcome.inputs, outcome.enclosed = request.handover.write(
            folder.inputs, self._refuse_stopped
        )
        if request.packed:
            folder.unpack(request.packed)
        if "model" in outcome.inputs:
            folder.take_model_as_before(Path(outcome.inputs["model"]))
        self._write_job(job_file, outcome.inputs)
        self._refuse_stopped()
        if request.unless_unchanged and self._is_unchanged(outcome.inputs):
            outcome.unchanged = True
            return outcome
        self._child.begin()
        self.begun = time.monotonic()
        for event in self._child.events(self._stop.is_set):
            self._take(event, outcome)
        self._refuse_stopped()
        code = self._child.end()
        if outcome.result is None and not (request.action == "check" and code == 0):
            raise self._unexpected_end(code)
        self._show("reading the result", 1.0)
        outcome.payload = self._load(outcome)
        return outcome

    def _is_unchanged(self, inputs: dict[str, str]) -> bool:
        """Test whether the result to update was made from the same, by the same program."""
        from locscale_hybrid.parameters import HybridInputs, HybridParameters
        from locscale_hybrid.resume.changes import is_unchanged

        start = self.request.folder.previous_record
        files = {name: Path(path) for name, path in inputs.items()}
        return start is not None and is_unchanged(
            HybridInputs(**files, previous_record=start),
            HybridParameters.from_dict(self.request.parameters),
        )

    def _write_job(self, path: Path, inputs: dict[str, str]) -> None:
        """Write what the child is asked to do."""
        from locscale_hybrid.cli.job_file import Job, write_job
        from locscale_hybrid.outputs import output_paths
        from locscale_hybrid.parameters import HybridInputs, HybridParameters

        request, outputs = self.request, dict(self.request.outputs)
        mpiexec = None if request.mpiexec is None else Path(request.mpiexec)
        files = {name: Path(path) for name, path in inputs.items()}
        given = HybridInputs(**files, previous_record=request.folder.previous_record)
        write_job(
            path,
            Job(
                given,
                HybridParameters.from_dict(request.parameters),
                output_paths(outputs.pop("map"), **outputs),
                request.processes,
                mpiexec,
                request.action,
            ),
        )

    def _take(self, event: Json, outcome: Outcome) -> None:
        """Act on one event of the child; unknown events are ignored."""
        kind = event.get("event")
        if kind == "stage":
            name = str(event.get("name"))
            self._show(STAGES.get(name, name), self.fraction)
        elif kind == "progress":
            self._show(self.stage, float(event.get("fraction", self.fraction)))
        elif kind == "facts":
            self.facts.update(event)
        elif kind == "finding" and event.get("code") not in _NO_USE:
            event["message"] = self._worded(event)
            outcome.findings.append(event)
            self._post(self._log_finding, event)
        elif kind == "result":
            outcome.result = event
        elif kind == "error":
            self.failure = {name: event[name] for name in ("code", "remedies") if name in event}
            raise UserError(self._worded(event) or "the calculation failed")

    def _worded(self, found: LocScaleError | Json) -> str:
        """Word an error or a finding of the core in terms of the command."""
        return message_of(
            found,
            str(self.request.folder.inputs),
            [source.frame.spec for source in self.request.handover.maps],
        )

    def _refuse_stopped(self) -> None:
        """Leave the run where the user has stopped it."""
        if self._stop.is_set():
            raise RunStopped

    def _unexpected_end(self, code: int) -> UserError:
        """Make the error for a child that ended without a word of its own."""
        last = self._child.last_words() if self._child is not None else ""
        said = f" Its last words: {last}" if last else ""
        return UserError(
            f"the LocScale calculation on {self.request.title} failed: {describe_end(code)}.{said}"
        )

    def _show(self, stage: str, fraction: float) -> None:
        """Keep where the run stands, and show it a few times a second."""
        changed = stage != self.stage
        self.stage, self.fraction = stage, max(self.fraction, min(fraction, 1.0))
        now = time.monotonic()
        if self.request.quiet:
            return
        if changed or now - self._last_status > _STATUS_EVERY:
            self._last_status = now
            self._post(self._status)

    def _status(self) -> None:
        """Show the status line; on the main thread."""
        if not self.ended and self.session is not None:
            self.session.logger.status(
                f"LocScale of {self.request.title}: {self.stage}, {100 * self.fraction:.0f} %"
            )

    def _log_finding(self, finding: Finding) -> None:
        """Log what the core found in the input; on the main thread."""
        logger = self.session.logger
        log = logger.warning if finding.get("level") == "warning" else logger.info
        self.findings.append(finding)
        if not self.request.quiet:
            title, message = self.request.title, finding["message"]
            log(f"LocScale: {message}" if title in message else f"LocScale, {title}: {message}")

    def _post(self, function: Callable[..., None], *arguments: Any) -> None:
        """Have a function called on the main thread."""
        if self._waiting:
            self._calls.put((function, arguments))
        elif self.session is not None:
            self.session.ui.thread_safe(function, *arguments)

    def _finish(self, outcome: Outcome | None, failure: BaseException | None) -> None:
        """Deliver the result or take note of the failure; on the main thread."""
        session = self.session
        try:
            if outcome is not None and failure is None and not self.stopped:
                self.result = self._deliver(outcome)
        except Exception as error:
            failure = error
        self.ended = True
        if self.result is None and not self._keeps_folder:
            self.request.folder.remove_in_background()  # the result could not be shown
        if self.id in session.tasks:
            session.tasks.remove(self)
        if self.stopped:
            self.error = f"the LocScale run on {self.request.title} was stopped"
        elif isinstance(failure, UserError):
            self.error = str(failure)
        elif failure is not None:
            self.error = f"LocScale failed: {failure!r}"
        if not self.request.quiet:
            self._tell(failure)

    def _tell(self, failure: BaseException | None) -> None:
        """Tell the user how the run ended."""
        logger = self.session.logger
        if self.error is None:
            logger.status(f"LocScale of {self.request.title}: done", blank_after=10)
        elif self.stopped:
            logger.status(self.error, blank_after=10)
            if not self._waiting:
                logger.info(self.error)
        elif isinstance(failure, UserError):
            logger.status("")
            if not self._waiting:
                logger.error(self.error)
        elif failure is not None:
            logger.report_exception(exc_info=(type(failure), failure, failure.__traceback__))


def running_jobs(session: Session) -> list[LocScaleJob]:
    """List the jobs of a session that have not ended, the oldest first."""
    return [job for job in session.tasks.find_by_class(LocScaleJob) if not job.ended]


def stop_jobs(session: Session, *, timeout: float | None = None) -> list[LocScaleJob]:
    """Stop all jobs of a session; with `timeout` (s) wait until their processes are gone."""
    jobs = running_jobs(session)
    for job in jobs:
        job.terminate()
    if timeout is not None:
        deadline = time.monotonic() + timeout
        for job in jobs:
            job.wait_until_over(max(0.0, deadline - time.monotonic()))
    return jobs
