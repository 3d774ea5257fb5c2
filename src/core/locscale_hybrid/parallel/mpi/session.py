"""One running mpiexec and the ranks that it started.

This process loads no MPI.  It starts
``mpiexec -n N python -m locscale_hybrid.parallel.mpi.worker FOLDER``; the ranks and it talk
through small files in FOLDER, and every rank watches the lifeline there.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import StageError
from ...findings import Finding
from ..launchers import Mpiexec
from ..patience import NOTICE_SECONDS, Awake, no_sign_of_life
from ..processes import (
    PACKAGES,
    child_environment,
    kill_if_same,
    process_start,
    python_executable,
    start,
    stop,
)
from ..tasks import GRACE, Failure, Pause, Report, Task, death, task_name
from .leftovers import litter_of_launcher, remove_litter
from .parent_watch import Lifeline

START = "start.json"
STATUS = "status.json"
_ADVICE = ("This typically refers to", "Please see the FAQ page")  # MPICH's, about any end
_LOOK_EVERY = 0.1  # s; rank 0 tells how far it is four times a second
_FOR_RANK_0 = 5.0  # s, longer than rank 0 waits for others
_ORPHAN_SECONDS = 2.5  # s that a rank takes to end itself once the lifeline is gone


class StartError(StageError):
    """The ranks did not come up; `kind` says why.

    Parameters
    ----------
    message : str
    kind : {"slots", "root", "mismatch", "other"}
    """

    def __init__(self, message: str, kind: str = "other") -> None:
        super().__init__(message)
        self.kind = kind


@dataclass
class _State:
    """What has been seen of rank 0 during a plan."""

    now: Awake = field(default_factory=Awake)
    beat: int = -1  # a number that changes while it lives
    done: int = 0  # tasks
    seen: float = 0.0  # s, when the number last changed
    said: bool = False  # that it does not respond


class RankSession:
    """One running mpiexec and its ranks.

    Parameters
    ----------
    program : Mpiexec
    ranks : int
    function : callable
        A task; the ranks must find its package too.
    scratch : Path, optional
        Where the folder of the ranks is made.
    patience, ready : float
        See `MpiexecExecutor`.
    found : callable
        Told of a rank that does not respond.
    """

    def __init__(
        self,
        program: Mpiexec,
        ranks: int,
        function: Task,
        *,
        scratch: Path | None,
        patience: float,
        ready: float,
        found: Callable[[Finding], None],
    ) -> None:
        self._program, self._ranks, self._function = program, ranks, function
        self._scratch, self._patience, self._ready = scratch, patience, ready
        self._found, self._told = found, 0
        self._plans = 0
        self._stack = contextlib.ExitStack()

    def start(self) -> None:
        """Start the ranks and wait until all are there; nothing is left when it fails.

        Raises
        ------
        StartError
            With the reason.
        """
        folder = tempfile.mkdtemp(prefix="locscale-ranks-", dir=self._scratch)
        self._folder = Path(folder)
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            self._stack.callback(self._clear_up)
            self._stack.enter_context(Lifeline(self._folder))
            write_values(self._folder / START, {"ranks": self._ranks, "patience": self._patience})
            self._process = start(
                self._command(),
                self._environment(),
                output=self._folder / "stdout",
                errors=self._folder / "stderr",
            )
            self._stack.callback(self._stop_launcher)
            self._wait_until_ready()
        except BaseException:
            self._stack.close()
            raise

    def map(
        self,
        function: Task,
        folder: Path,
        count: int,
        progress: Report | None,
        patience: float | None = None,
    ) -> None:
        """Have the ranks work on a plan; any failure ends them all."""
        failure = None
        try:
            command = {
                "function": task_name(function),
                "folder": str(folder),
                "count": count,
                "patience": patience,
            }
            failure = self._map(command, progress)
        except BaseException:
            self._stack.close()
            raise
        if failure is not None:
            self.close()
            raise failure.error()

    def close(self) -> None:
        """Tell the ranks that they are finished, and end what does not end."""
        with contextlib.suppress(OSError):
            write_values(self._command_file(), {"finish": True})
            deadline, pause = time.monotonic() + GRACE, Pause()
            while self._process.poll() is None and time.monotonic() < deadline:
                pause()
        self._stack.close()

    def _map(self, command: dict[str, Any], progress: Report | None) -> Failure | None:
        """Write the command, then read how far the ranks are; what a task failed of, if one did."""
        result = self._folder / f"result-{self._plans}.json"
        write_values(self._command_file(), command)
        self._plans += 1
        pause, state, looked = Pause(), _State(), 0.0
        while True:
            ended = self._process.poll() is not None
            values = read_values(result)
            if values is not None:
                if not values["ok"]:
                    return Failure.from_dict(values["failure"])
                break
            if ended:
                raise self._death()
            if time.monotonic() - looked > _LOOK_EVERY:
                looked = time.monotonic()
                self._look(state)
            if progress is not None:
                progress(state.done / max(command["count"], 1))
            pause()
        if progress is not None:
            progress(1.0)
        return None

    def _look(self, state: "_State") -> None:
        """Read how far rank 0 is; StageError when it, or another rank, is silent for too long."""
        now, limit = state.now(), self._patience + _FOR_RANK_0
        status = read_values(self._folder / STATUS) or {}
        if status.get("plan") == self._plans - 1 and status["beat"] != state.beat:
            state.beat, state.done, state.seen = status["beat"], status["done"], now
            state.said = False
            for values in status["found"][self._told :]:
                self._told += 1
                self._found(Finding(**values))
            if status["late"]:
                raise StageError(status["late"])
        silent, name = now - state.seen, f"rank 0 of {self._ranks}"
        if silent > limit:
            raise StageError(
                f"{name} has been silent for {silent:.0f} s; see whether it is "
                "suspended, and whether its disk answers, and run it again"
            )
        if silent > min(NOTICE_SECONDS, limit / 2) and not state.said:
            state.said = True
            self._found(no_sign_of_life(name, silent, limit))

    def _command_file(self) -> Path:
        """File of the next command to rank 0."""
        return self._folder / f"command-{self._plans}.json"

    def _command(self) -> list[str]:
        """The launcher with its arguments; what a rank needs stands in files."""
        return [
            str(self._program.path),
            *binding_options(self._program.path),
            "-n",
            str(self._ranks),
            str(python_executable()),
            "-P",
            "-m",
            "locscale_hybrid.parallel.mpi.worker",
            str(self._folder),
        ]

    def _environment(self) -> dict[str, str]:
        """The environment of mpiexec and of its ranks."""
        packages = (*PACKAGES, self._function.__module__)
        environment = child_environment(os.environ, packages=packages)
        environment.setdefault("I_MPI_PIN", "off")
        if self._program.library is not None:
            environment.setdefault("MPI4PY_LIBMPI", str(self._program.library))
        return environment

    def _wait_until_ready(self) -> None:
        """Wait for a file of every rank; StartError when they do not come up."""
        now, pause = Awake(), Pause()
        while True:
            ended = self._process.poll() is not None
            missing = [
                rank
                for rank in range(self._ranks)
                if not (self._folder / f"rank-{rank}.ready").exists()
            ]
            if list(self._folder.glob("rank-*.error")) or ended:
                raise self._start_error()
            if not missing:
                return
            if now() > self._ready:
                raise StartError(
                    f"{self._program.path} ({self._program.origin}) did not bring up "
                    f"{_ranks_text(missing)} of {self._ranks} in {self._ready:.0f} s"
                )
            pause()

    def _start_error(self) -> StartError:
        """Why the ranks did not come up."""
        program = f"{self._program.path} ({self._program.origin})"
        failure = self._reported()
        if failure is not None:
            kind = "mismatch" if "must be the same MPI" in failure.message else "other"
            return StartError(f"{program}: {failure.message}", kind)
        said = self._said()
        text = " ".join(said).lower()
        if "slots" in text and "not enough" in text:
            return StartError(f"{program} has no slots for {self._ranks} ranks", "slots")
        if "as root" in text or "allow-run-as-root" in text:
            return StartError(
                f"{program} does not run as root unless OMPI_ALLOW_RUN_AS_ROOT=1 and "
                "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 are set: set both, or use another account",
                "root",
            )
        telling = [line for line in said if not line.startswith(_ADVICE)]
        last = telling[-1] if telling else "it said nothing"
        return StartError(
            f"{program} {death(self._process.poll())} before the ranks were up: {last}"
        )

    def _death(self) -> StageError:
        """What ended the ranks in the middle of a plan."""
        failure = self._reported()
        if failure is not None:
            return failure.error()
        pids = re.findall(r"\bPID (\d+)", " ".join(self._said()))
        names = re.findall(r"Process name: \[.*,(\d+)\]", " ".join(self._said()))
        ranks = [rank for rank, values in self._members().items() if str(values["pid"]) in pids]
        ranks += [int(name) for name in names]
        who = f"rank {ranks[0]}" if ranks else "one MPI rank"
        return StageError(
            f"{who} of {self._ranks} {death(self._process.poll())}; use fewer "
            "processes with -np if memory is short"
        )

    def _reported(self) -> Failure | None:
        """What the first rank with an error wrote about it."""
        time.sleep(0.05)
        for path in sorted(self._folder.glob("rank-*.error")):
            values = read_values(path)
            if values is not None:
                return Failure.from_dict(values)
        return None

    def _said(self) -> list[str]:
        """What the launcher and the ranks wrote, without empty lines."""
        lines: list[str] = []
        for name in ("stdout", "stderr"):
            with contextlib.suppress(OSError):
                lines += (self._folder / name).read_text(errors="replace").splitlines()
        return [line.strip() for line in lines if line.strip(" -=|")]

    def _members(self) -> dict[int, dict[str, Any]]:
        """What every rank that came up said of itself."""
        members = {}
        for rank in range(self._ranks):
            values = read_values(self._folder / f"rank-{rank}.ready")
            if values is not None:
                members[rank] = values
        return members

    def _stop_launcher(self) -> None:
        """End the launcher; one that had to be killed leaves files of its own."""
        litter = litter_of_launcher(self._process.pid)
        stop(self._process)
        remove_litter(litter)

    def _clear_up(self) -> None:
        """Wait until the ranks have ended themselves, kill what has not, remove their litter."""
        members = list(self._members().values())
        deadline, pause = time.monotonic() + _ORPHAN_SECONDS, Pause()
        while time.monotonic() < deadline and any(
            values["begun"] is not None and process_start(values["pid"]) == values["begun"]
            for values in members
        ):
            pause()
        for values in members:
            kill_if_same(values["pid"], values["begun"])
            remove_litter(values["litter"])


def binding_options(program: Path) -> list[str]:
    """Options with which a launcher leaves its ranks all cores; none where that is its way."""
    with tempfile.TemporaryFile() as said:  # the end of a pipe might be held open by a child
        try:
            subprocess.run(
                [str(program), "--version"],
                stdout=said,
                stderr=subprocess.DEVNULL,
                timeout=10,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return []
        said.seek(0)
        version = said.read().decode(errors="replace")
    if "open mpi" in version.lower() or "openrte" in version.lower() or "prrte" in version.lower():
        return ["--bind-to", "none"]
    return []


def _ranks_text(ranks: Sequence[int]) -> str:
    """Ranks in words."""
    numbers = ", ".join(str(rank) for rank in ranks[:5])
    more = f" and {len(ranks) - 5} more" if len(ranks) > 5 else ""
    return f"rank{'s' if len(ranks) > 1 else ''} {numbers}{more}"


def write_values(path: Path, values: dict[str, Any]) -> None:
    """Write a small JSON file that is complete once it is there."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(json.dumps(values))
    temporary.replace(path)


def read_values(path: Path) -> dict[str, Any] | None:
    """Read a small JSON file, None while it is not there."""
    try:
        values: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return values
