"""Runs as JSON: the job file that an application hands over, and the record to be repeated."""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import InputError
from ..files.atomic import sha256
from ..files.json_objects import (
    object_in,
    optional_in,
    path_in,
    read_object,
    read_run_record,
    refuse_unknown,
)
from ..outputs import OutputPaths, output_paths, require_file_name
from ..parallel.threads import cores
from ..parameters import HybridInputs, HybridParameters
from ..remedies import give, leave_out

Action = Literal["run", "check"]

ACTIONS = ("run", "check")
_ALWAYS = 8  # processes, on a machine with few cores
_PER_CORE = 4  # more only take memory


@dataclass(frozen=True)
class Job:
    """Everything that a run is asked to do.

    Parameters
    ----------
    inputs : HybridInputs
    parameters : HybridParameters
    outputs : OutputPaths
    processes : int, optional
        None: as many as there are cores.
    mpiexec : Path, optional
        The user's mpiexec.
    action : {"run", "check"}
    """

    inputs: HybridInputs
    parameters: HybridParameters
    outputs: OutputPaths
    processes: int | None = None
    mpiexec: Path | None = None
    action: Action = "run"


def write_job(path: Path, job: Job) -> None:
    """Write a job file."""
    outputs = {
        "map": str(job.outputs.map),
        "report": job.outputs.report,
        "resume": job.outputs.resume,
        "processing_folder": _text(job.outputs.processing_folder),
    }
    values = {
        "action": job.action,
        "inputs": {name: str(file) for name, file in job.inputs.files.items()},
        "parameters": job.parameters.as_dict(),
        "outputs": outputs,
        "processes": job.processes,
        "mpiexec": _text(job.mpiexec),
    }
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def read_job(path: Path) -> Job:
    """Read a job file.

    Raises
    ------
    InputError
        If it is missing, no JSON, or says something that no run can do.
    """
    values = read_object(path)
    refuse_unknown(
        values, ("action", "inputs", "parameters", "outputs", "processes", "mpiexec"), path
    )
    outputs = object_in(values, "outputs", path)
    refuse_unknown(outputs, ("map", "processing_folder", "report", "resume"), path)
    require_file_name(optional_in(outputs, "map", str, path) or "")
    action = values.get("action", "run")
    if action not in ACTIONS:
        raise InputError(f'{path}: action "{action}" is unknown: give one of {", ".join(ACTIONS)}')
    processes = optional_in(values, "processes", int, path)
    if processes is not None and processes < 1:
        raise InputError(f"{path}: {processes} processes: give 1 or more")
    return Job(
        inputs_of(object_in(values, "inputs", path), path),
        parameters_of(object_in(values, "parameters", path), path),
        output_paths(
            path_in(outputs, "map", path),
            processing_folder=path_in(outputs, "processing_folder", path),
            report=bool(optional_in(outputs, "report", bool, path)),
            resume=bool(optional_in(outputs, "resume", bool, path)),
        ),
        processes,
        path_in(values, "mpiexec", path),
        action,
    )


def most_processes() -> int:
    """Return the largest number of processes of a run on this machine."""
    return max(_ALWAYS, _PER_CORE * cores())


def require_processes(processes: int | None) -> None:
    """Refuse more processes than the machine can bear.

    Raises
    ------
    InputError
        With the number of cores.
    """
    if processes is not None and processes > most_processes():
        count, most = cores(), most_processes()
        of_cores = "1 core" if count == 1 else f"{count} cores"
        raise InputError(
            f"{processes} processes are too many for {of_cores}: at most {most} are started",
            give("processes", "fewer processes"),
            leave_out("processes", when="to use all cores"),
        )


@dataclass(frozen=True)
class Recorded:
    """What a record says about its run.

    Parameters
    ----------
    files : mapping of str to Path
        Inputs by field of `HybridInputs`.
    hashes : mapping of str to str
        SHA-256 of each.
    parameters : mapping of str to value
        Fields of `HybridParameters`.
    """

    files: Mapping[str, Path]
    hashes: Mapping[str, str]
    parameters: Mapping[str, Any]

    def check(self, name: str) -> None:
        """Refuse an input that is no longer what it was.

        Raises
        ------
        InputError
            If the file is missing or its hash differs.
        """
        path, words = self.files[name], name.replace("_", " ")
        try:
            found = sha256(path)
        except OSError as error:
            raise InputError(
                f"the record's {words} {path} cannot be read: {error.strerror}; put "
                "it back, or give the file anew"
            ) from None
        wanted = self.hashes.get(name)
        if wanted is not None and found != wanted:
            raise InputError(
                f"the record's {words} {path} has changed: SHA-256 {found[:12]}…, "
                f"recorded {wanted[:12]}…; restore it, or give the file anew"
            )


def read_record(path: Path) -> Recorded:
    """Read inputs and parameters of the record of a run.

    Raises
    ------
    InputError
        If it is missing or no record.
    """
    values = read_run_record(path)
    entries = object_in(values, "inputs", path)
    files, hashes = {}, {}
    for name in entries:
        entry = object_in(entries, name, path)
        file = path_in(entry, "path", path)
        if file is None:
            raise InputError(f"{path}: input {name} has no path: this is no record of a run")
        files[name] = file
        digest = optional_in(entry, "sha256", str, path)
        if digest is not None:
            hashes[name] = digest
    parameters = object_in(values, "parameters", path)
    parameters_of(parameters, path)
    refuse_unknown(files, tuple(field.name for field in dataclasses.fields(HybridInputs)), path)
    return Recorded(files, hashes, parameters)


def inputs_of(values: Mapping[str, Any], path: Path) -> HybridInputs:
    """Read the inputs from a JSON object of paths."""
    names = tuple(field.name for field in dataclasses.fields(HybridInputs))
    refuse_unknown(values, names, path)
    return HybridInputs(**{name: path_in(values, name, path) for name in values})


def parameters_of(values: Mapping[str, Any], path: Path) -> HybridParameters:
    """Read the parameters from a JSON object and check their types."""
    hints = typing.get_type_hints(HybridParameters)
    for name, value in values.items():
        if name in hints and not _fits(value, hints[name]):
            raise InputError(f"{path}: parameter {name} cannot be {json.dumps(value)[:60]}")
    return HybridParameters.from_dict(values)


def _fits(value: Any, hint: Any) -> bool:
    """Test whether a JSON value has the type of a field."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, choice) for choice in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        return (
            isinstance(value, list | tuple)
            and len(value) == len(arguments)
            and all(map(_fits, value, arguments))
        )
    if origin is frozenset:
        return isinstance(value, list) and all(_fits(item, arguments[0]) for item in value)
    if isinstance(value, bool):
        return hint is bool
    if hint is float:
        return isinstance(value, int | float) and _is_finite(value)
    return isinstance(value, hint)


def _is_finite(value: float) -> bool:
    """Test whether a number is one that a float can represent."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _text(path: Path | None) -> str | None:
    """Write a path as JSON has it."""
    return None if path is None else str(path)
