"""The background job: write inputs, run the child, pass on progress, hand over the outcome."""

import json
import queue
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from chimerax.core.errors import UserError
from chimerax.core.tasks import Task

from ..keywords import in_command_words
from .child import Child, describe_end
from .run_folder import RunFolder

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


class RunStopped(Exception):
    """The user stopped the run."""


@dataclass(frozen=True)
class Request:
    """What the child is asked to do.

    Parameters
    ----------
    handover : session_maps.Handover
    parameters : dict
        `HybridParameters.as_dict()`.
    outputs : dict
        Arguments of `locscale_hybrid.outputs.output_paths`; the path is called "map".
    folder : RunFolder
    processes : int or None
    mpiexec : str or None
    action : {"run", "check"}
    title : str
        What the job works on, for the status line and the Task Manager.
    keep_folder : bool
        The folder belongs to a result: a failure leaves it.
    quiet : bool
        Say nothing: who started the job asks for `findings` and `error`.
    packed : dict of str to bytes
        What an update starts from, of a session file; see `RunFolder.unpack`.
    name : str
        Of the result.
    remarks : tuple of dict
        Findings that are known before the core looks.
    unless_unchanged : bool
        Do nothing where the earlier run had the same maps, model and parameters.
    """

    handover: object
    parameters: dict
    outputs: dict
    folder: RunFolder
    processes: int | None = None
    mpiexec: str | None = None
    action: str = "run"
    title: str = "map"
    keep_folder: bool = False
    quiet: bool = False
    packed: dict = field(default_factory=dict)
    name: str = ""
    remarks: tuple = ()
    unless_unchanged: bool = False


@dataclass
class Outcome:
    """What the child reported, and what was read from its files in the job's thread."""

    inputs: dict = field(default_factory=dict)
    findings: list = field(default_factory=list)
    result: dict | None = None
    enclosed: int | None = None
    payload: object = None
    unchanged: bool = False


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
    """

    def __init__(self, session, request, load, deliver):
        super().__init__(session)
        self.request = request
        self.result = self.error = None
        self.stage, self.fraction, self.started = "starting", 0.0, time.monotonic()
        self.begun, self.ended = None, False
        self.findings = []
        self._load, self._deliver = load, deliver
        self._waiting = False
        self._calls = queue.SimpleQueue()
        self._set_up = threading.Event()
        self._stop = threading.Event()
        self._over = threading.Event()
        self._child = None
        self._last_status = 0.0

    def __str__(self):
        """Return one line of the Task Manager and of ``taskman list``."""
        return (
            f"LocScale job {self.id} on {self.request.title}: {self.stage}, "
            f"{100 * self.fraction:.0f} %"
        )

    def start(self, *args, **keywords):
        """Run in the background; a failure appears as an error message."""
        self.started = time.monotonic()
        super().start(*args, **keywords)
        # ChimeraX sets the state and the stop flag after the thread has started.
        self._set_up.set()

    def run_and_wait(self):
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

    def run(self):
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

    def terminate(self):
        """End the run and all its processes; returns at once."""
        if self._stop.is_set() or self.ended:
            return
        self._stop.set()
        if self.id in self.session.tasks:
            super().terminate()

    @property
    def stopped(self):
        """Whether the user has stopped the run."""
        return self._stop.is_set()

    def wait_until_over(self, timeout):
        """Wait until no process of the run is left; return whether that is so."""
        return self._over.wait(timeout)

    @property
    def _keeps_folder(self):
        """Whether the folder belongs to a result that is open, so that a failure leaves it."""
        return self.request.keep_folder and not self.request.folder.is_orphan

    def _for_the_user(self, error):
        """Turn an error of the core into a UserError; leave others as they are."""
        from locscale_hybrid.errors import LocScaleError

        if isinstance(error, LocScaleError):
            return UserError(self._reworded(str(error)))
        return error

    def _work(self):
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

    def _is_unchanged(self, inputs):
        """Test whether the result to update was made from the same, by the same program."""
        from locscale_hybrid.parameters import HybridInputs, HybridParameters
        from locscale_hybrid.resume.changes import is_unchanged

        start = self.request.folder.previous_record
        files = {name: Path(path) for name, path in inputs.items()}
        return start is not None and is_unchanged(
            HybridInputs(**files, previous_record=start),
            HybridParameters.from_dict(self.request.parameters),
        )

    def _write_job(self, path, inputs):
        """Write what the child is asked to do."""
        from locscale_hybrid.cli.job_file import Job, write_job
        from locscale_hybrid.outputs import output_paths
        from locscale_hybrid.parameters import HybridInputs, HybridParameters

        request, outputs = self.request, dict(self.request.outputs)
        mpiexec = None if request.mpiexec is None else Path(request.mpiexec)
        given = HybridInputs(**inputs, previous_record=request.folder.previous_record)
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

    def _take(self, event, outcome):
        """Act on one event of the child; unknown events are ignored."""
        kind = event.get("event")
        if kind == "stage":
            self._show(STAGES.get(event.get("name"), str(event.get("name"))), self.fraction)
        elif kind == "progress":
            self._show(self.stage, float(event.get("fraction", self.fraction)))
        elif kind == "finding":
            event["message"] = self._reworded(event.get("message", ""))
            outcome.findings.append(event)
            self._post(self._log_finding, event)
        elif kind == "result":
            outcome.result = event
        elif kind == "error":
            raise UserError(self._reworded(event.get("message", "the calculation failed")))

    def _reworded(self, message):
        """Word a message of the core in terms of the command."""
        return in_command_words(
            message,
            str(self.request.folder.inputs),
            [source.frame.spec for source in self.request.handover.maps],
        )

    def _refuse_stopped(self):
        """Leave the run where the user has stopped it."""
        if self._stop.is_set():
            raise RunStopped

    def _unexpected_end(self, code):
        """Make the error for a child that ended without a word of its own."""
        last = self._child.last_words()
        said = f" Its last words: {last}" if last else ""
        return UserError(
            f"the LocScale calculation on {self.request.title} failed: {describe_end(code)}.{said}"
        )

    def _show(self, stage, fraction):
        """Keep where the run stands, and show it a few times a second."""
        changed = stage != self.stage
        self.stage, self.fraction = stage, max(self.fraction, min(fraction, 1.0))
        now = time.monotonic()
        if self.request.quiet:
            return
        if changed or now - self._last_status > _STATUS_EVERY:
            self._last_status = now
            self._post(self._status)

    def _status(self):
        """Show the status line; on the main thread."""
        if not self.ended and self.session is not None:
            self.session.logger.status(
                f"LocScale of {self.request.title}: {self.stage}, {100 * self.fraction:.0f} %"
            )

    def _log_finding(self, finding):
        """Log what the core found in the input; on the main thread."""
        logger = self.session.logger
        log = logger.warning if finding.get("level") == "warning" else logger.info
        self.findings.append(finding)
        if not self.request.quiet:
            log(f"LocScale, {self.request.title}: {finding['message']}")

    def _post(self, function, *arguments):
        """Have a function called on the main thread."""
        if self._waiting:
            self._calls.put((function, arguments))
        elif self.session is not None:
            self.session.ui.thread_safe(function, *arguments)

    def _finish(self, outcome, failure):
        """Deliver the result or take note of the failure; on the main thread."""
        session = self.session
        try:
            if failure is None and not self.stopped:
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

    def _tell(self, failure):
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
        else:
            logger.report_exception(exc_info=(type(failure), failure, failure.__traceback__))


def running_jobs(session):
    """List the jobs of a session that have not ended, the oldest first."""
    return [job for job in session.tasks.find_by_class(LocScaleJob) if not job.ended]


def stop_jobs(session, *, timeout=None):
    """Stop all jobs of a session; with `timeout` (s) wait until their processes are gone."""
    jobs = running_jobs(session)
    for job in jobs:
        job.terminate()
    if timeout is not None:
        deadline = time.monotonic() + timeout
        for job in jobs:
            job.wait_until_over(max(0.0, deadline - time.monotonic()))
    return jobs


def record_of(outcome):
    """Read the JSON record of a run, {} where there is none."""
    path = (outcome.result or {}).get("record")
    if not path or not Path(path).is_file():
        return {}
    return json.loads(Path(path).read_text(encoding="utf-8"))
