"""The command line: words in, a run, an exit code; the only module that prints."""

import contextlib
import errno
import functools
import itertools
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from .._version import __version__
from ..errors import Cancelled, InputError, LocScaleError, StageError, shortage
from ..findings import Finding
from ..outputs import check_outputs
from ..parallel.executors import Executor, SerialExecutor, local_executor
from ..parallel.launchers import Launcher, launcher_of
from ..parallel.mpi.comm_world import CommWorldExecutor, comm_world, require_same_words, serve_ranks
from ..parallel.temporary_folder import FolderKeeper
from ..parallel.threads import THREAD_VARIABLES, cores
from ..progress import Progress
from ..remedies import do, give, report_fault, use
from .estimate import estimate_files
from .installation import other_locscale, require_room
from .interrupt import Interruption
from .job_file import Job
from .options import build_parser, in_long_spelling, spellings
from .request import Request, given_options, request_of
from .screen import JsonLines, Lines, Screen, duration, open_streams, screen_for

_FAILED = StageError.exit_code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words after the program's name; None: those of this process.

    Returns
    -------
    int
        0 done, 2 bad input or arguments, 3 a stage failed, 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # before numpy is loaded
    open_streams()
    launcher = launcher_of(os.environ)
    if not _asks_for("mpi", words):
        return _lead(words, launcher, None)
    try:
        comm = comm_world(dict(os.environ))
        require_same_words(comm, words)
    except InputError as error:
        if launcher is None or launcher.rank == 0:
            _screen(words).error(error)
        return error.exit_code
    if comm.Get_rank() > 0:
        serve_ranks(comm)
        return 0
    world = CommWorldExecutor(comm)
    code = _FAILED
    try:
        code = _lead(words, launcher, world)
    finally:
        _send_home(world, code)
    return code


def _asks_for(name: str, words: Sequence[str]) -> bool:
    """Test whether the words include an option, whatever else is wrong with them."""
    names = spellings(build_parser())
    return f"--{name}" in in_long_spelling(words, names)[0]


def _send_home(world: CommWorldExecutor, code: int) -> None:
    """End the other ranks: by a word to each, else at once with the exit code."""
    if not world.finish():
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        world.abort(code)


def _screen(words: Sequence[str]) -> Screen:
    """Make the screen that the words ask for, whatever else is wrong with them."""
    spelled = in_long_spelling(words, spellings(build_parser()))[0]
    following = dict(itertools.pairwise(spelled))
    kind = following.get("--progress")
    if "--progress=json" in spelled:
        kind = "json"
    output: TextIO = sys.stdout
    return screen_for(kind, output, sys.stderr)


def _lead(words: Sequence[str], launcher: Launcher | None, world: CommWorldExecutor | None) -> int:
    """Do what the words ask for and translate every error into a sentence and an exit code."""
    screen = _screen(words)
    debug = _asks_for("debug", words)
    try:
        with Interruption() as interruption:
            return _obey(words, screen, launcher, world, interruption)
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        explained = explain(error)
        screen.close()
        if debug:
            traceback.print_exception(error)
        screen.error(explained)
        return explained.exit_code
    finally:
        screen.close()


class _SystemFault(StageError):
    """An error of the operating system that no stage has put into words."""

    code = "system"


def explain(error: BaseException) -> LocScaleError:
    """Put whatever ended a run into words."""
    if isinstance(error, KeyboardInterrupt | Cancelled):
        return Cancelled("interrupted; no file is left half written")
    if isinstance(error, LocScaleError):
        return error
    lack = shortage(error)
    if lack is not None:
        return lack
    if isinstance(error, OSError) and error.strerror:
        return _system_fault(error)
    return StageError(
        f"the run failed because of a fault of the program: {type(error).__name__}: {error}",
        report_fault(),
    )


def _system_fault(error: OSError) -> _SystemFault:
    """Say what to do about an error of the operating system."""
    where = f" at {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _SystemFault(
            f"the disk is full{where} ({error.strerror})",
            do("make room"),
            give("temporary_folder", "a folder with room"),
            give("processing_folder", "a folder with room"),
        )
    return _SystemFault(
        f"the operating system reported an error{where} ({error.strerror}); no file is left half "
        "written",
        do("check the files and folders of the run, and rerun"),
    )


def _obey(
    words: Sequence[str],
    screen: Screen,
    launcher: Launcher | None,
    world: CommWorldExecutor | None,
    interruption: Interruption,
) -> int:
    """Do what the words ask for."""
    options, remarks = given_options(words)
    if "help" in options:
        Lines(sys.stdout, sys.stderr).message(build_parser().format_help().rstrip("\n"))
        return 0
    if "version" in options:
        Lines(sys.stdout, sys.stderr).message(f"locscale-hybrid {__version__}")
        return 0
    if "end_with_stdin" in options or "hold" in options:
        interruption.end_with_stdin()
    if "hold" in options:
        from .. import pipeline  # noqa: F401  loaded while the parent still writes the inputs

        interruption.wait_for_word()
    with _logging_to(screen, verbose="verbose" in options, debug="debug" in options):
        require_room()
        request = request_of(options, remarks)
        if world is None and launcher is not None:
            _require_own_run(request, launcher)
        if "update" in options and request.job.action == "run":
            from ..resume.changes import require_change

            require_change(request.job.inputs, request.job.parameters)
        _start(request, screen, launcher, world, interruption)
    return 0


def _start(
    request: Request,
    screen: Screen,
    launcher: Launcher | None,
    world: CommWorldExecutor | None,
    interruption: Interruption,
) -> None:
    """Do what was asked for."""
    progress = Progress(screen, lambda: interruption.requested)
    for finding in (*request.remarks, *_about_start(request, launcher, world)):
        progress.found(finding)
    if request.job.action == "check":
        from ..pipeline import check_only

        check_only(request.job.inputs, request.job.parameters, progress, measured=_facts_to(screen))
    else:
        _run(
            request.job,
            screen,
            progress,
            interruption,
            functools.partial(_executor, request, world, progress.found),
        )


def _facts_to(screen: Screen) -> Callable[[Mapping[str, float]], None] | None:
    """Return what tells a program that reads along what was measured; None for a person."""
    if not isinstance(screen, JsonLines):
        return None
    return lambda facts: screen.event("facts", **facts)


def _run(
    job: Job,
    screen: Screen,
    progress: Progress,
    interruption: Interruption,
    executor_in: Callable[[Path], Executor],
) -> None:
    """Run the pipeline in a temporary folder of its own and show the result."""
    check_outputs(job.outputs, job.inputs, job.parameters.outputs)
    if job.outputs.map.exists():
        screen.message(f"{job.outputs.map} exists and will be replaced at the end")
    began = time.monotonic()
    with _scratch(interruption) as scratch, executor_in(scratch) as executor:
        _announce(job, executor, screen)
        from ..pipeline import run_hybrid
        from ..results.session_script import write_session_script

        result = run_hybrid(
            job.inputs,
            job.parameters,
            job.outputs.within(scratch),
            executor=executor,
            progress=progress,
        )
    paths = {"map": result.output, "linear": result.linear, **result.files, "record": result.record}
    script = write_session_script(job.outputs)
    if script is not None:
        paths["script"] = script
    screen.fraction(1.0)
    screen.close()
    screen.result(paths, result.summary, time.monotonic() - began)


@contextlib.contextmanager
def _scratch(interruption: Interruption) -> Iterator[Path]:
    """Make a private temporary folder that is removed even if the run is killed."""
    try:
        keeper = FolderKeeper("locscale-")
    except OSError as error:
        raise InputError(
            f"no temporary folder can be made: {error.strerror}",
            give("temporary_folder", "a folder with room"),
        ) from None
    with keeper:
        interruption.last_resort = keeper.remove
        yield keeper.folder


def _executor(
    request: Request,
    world: CommWorldExecutor | None,
    found: Callable[[Finding], None],
    scratch: Path,
) -> Executor:
    """Make the executor that the scaling runs on."""
    if world is not None:
        world.found = found
        return world
    processes = request.job.processes
    if processes is None:
        processes = cores()
    if processes == 1:
        return SerialExecutor()
    return local_executor(processes, mpiexec=request.job.mpiexec, scratch=scratch, found=found)


def _require_own_run(request: Request, launcher: Launcher) -> None:
    """Refuse to be one of several processes that might all do the same run.

    None of them can see what the others were asked for.  One that is told how many processes it
    has is a run of its own: without -mpi that is what -np means.
    """
    if launcher.has_others and request.job.processes is None:
        raise InputError(
            f"{_started(launcher)}, and this one does not know whether they share one run",
            use("launcher", True),
            give("processes", "1 process", when="to start a separate run in each"),
        )


def _started(launcher: Launcher) -> str:
    """Say what a launcher has done, as the beginning of a sentence."""
    return f"{launcher.name} started {launcher.size or 'several'} processes"


def _about_start(
    request: Request, launcher: Launcher | None, world: CommWorldExecutor | None
) -> list[Finding]:
    """Return what the user must know about how the program was started."""
    findings = []
    other = other_locscale()
    if other is not None:
        findings.append(other)
    if world is None and launcher is not None and launcher.has_others:
        findings.append(
            Finding(
                "mpi-not-asked",
                "warning",
                f"{_started(launcher)}, and this one is a run of its own",
                {"size": launcher.size},
                (use("launcher", True),),
            )
        )
    if world is not None and request.job.processes not in (None, world.workers):
        findings.append(
            Finding(
                "np-ignored",
                "note",
                f"the request for {request.job.processes} processes is ignored, because the "
                f"launcher started {world.workers} ranks",
                {"asked": request.job.processes or 0, "used": world.workers},
            )
        )
    return findings


def _announce(job: Job, executor: Executor, screen: Screen) -> None:
    """Print one line with the expected time and memory."""
    expected = estimate_files(job.inputs, job.parameters, executor.workers)
    if expected is None:
        return
    box = " x ".join(str(side) for side in reversed(expected.shape))
    screen.message(
        f"expected: about {duration(expected.seconds)} and "
        f"{expected.gigabytes:.1f} GB ({box} voxels, {expected.atoms} atoms, "
        f"{executor.name})"
    )
    screen.event(
        "estimate", seconds=round(expected.seconds, 1), gigabytes=round(expected.gigabytes, 2)
    )


class _ScreenHandler(logging.Handler):
    """Shows log lines where everything else is shown."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        self._screen.message(record.getMessage())


@contextlib.contextmanager
def _logging_to(screen: Screen, *, verbose: bool, debug: bool) -> Iterator[None]:
    """Show the package's log within it: warnings, or more when asked for."""
    logger, handler = logging.getLogger("locscale_hybrid"), _ScreenHandler(screen)
    level = logging.INFO if verbose else logging.WARNING
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if debug else level)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before
