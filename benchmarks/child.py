"""Runs a job in a child process and measures it; also what the child runs.

A job is ``module:function`` with keyword arguments that JSON can hold; it returns what JSON can
hold.  The parent imports no numpy: the peak memory of a child would begin with it.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}


@dataclass(frozen=True)
class Cost:
    """What a process and its children cost.

    Parameters
    ----------
    wall_seconds, cpu_seconds : float
    peak_gib : float
        Largest resident memory of one process.
    answer : object
        What the job returned.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_gib: float
    answer: object = None


def run_job(job: str, **arguments: object) -> Cost:
    """Run a job of a module of this folder in a process of its own.

    Raises
    ------
    subprocess.CalledProcessError
        If it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        cost = run_command([sys.executable, __file__, job, json.dumps(arguments), str(answer)])
        return Cost(
            cost.wall_seconds, cost.cpu_seconds, cost.peak_gib, json.loads(answer.read_text())
        )


def run_command(command: list[str]) -> Cost:
    """Run a program to its end."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env=os.environ | ONE_THREAD, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - began
        if process.returncode:
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace")[-4000:])
            raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(
        wall,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20),
    )


def main() -> None:
    """Do the job that the command line names."""
    job, arguments, answer = sys.argv[1:]
    module, _, function = job.partition(":")
    result = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    Path(answer).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
