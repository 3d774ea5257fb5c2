"""Runs as JSON: the job file that an application hands over, and the record to be repeated."""

import dataclasses
import json
import math
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .errors import InputError
from .files import sha256
from .outputs import OutputPaths, output_paths
from .parameters import HybridInputs, HybridParameters

Action = Literal["run", "check"]

ACTIONS = ("run", "check")
_LONGEST_NAME = 255     # bytes, of a file
_LARGEST = 64 << 20     # bytes; no job or record is near it


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
    outputs = {"map": str(job.outputs.map), "report": job.outputs.report,
               "resume": job.outputs.resume,
               "processing_folder": _text(job.outputs.processing_folder)}
    values = {"action": job.action,
              "inputs": {name: str(file) for name, file in job.inputs.files.items()},
              "parameters": job.parameters.as_dict(), "outputs": outputs,
              "processes": job.processes, "mpiexec": _text(job.mpiexec)}
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def read_job(path: Path) -> Job:
    """Read a job file.

    Raises
    ------
    InputError
        If it is missing, no JSON, or says something that no run can do.
    """
    values = read_object(path)
    _known(values, ("action", "inputs", "parameters", "outputs", "processes", "mpiexec"), path)
    outputs = _object(values, "outputs", path)
    _known(outputs, ("map", "processing_folder", "report", "resume"), path)
    action = values.get("action", "run")
    if action not in ACTIONS:
        raise InputError(f'{path}: action "{action}" is unknown: give one of {", ".join(ACTIONS)}')
    processes = _optional(values, "processes", int, path)
    if processes is not None and processes < 1:
        raise InputError(f"{path}: {processes} processes: give 1 or more")
    return Job(
        inputs_of(_object(values, "inputs", path), path),
        parameters_of(_object(values, "parameters", path), path),
        output_paths(_path(outputs, "map", path),
                     processing_folder=_path(outputs, "processing_folder", path),
                     report=bool(_optional(outputs, "report", bool, path)),
                     resume=bool(_optional(outputs, "resume", bool, path))),
        processes, _path(values, "mpiexec", path), action)


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
            raise InputError(f"the record's {words} {path} cannot be read: {error.strerror}; put "
                             "it back, or give the file anew") from None
        wanted = self.hashes.get(name)
        if wanted is not None and found != wanted:
            raise InputError(f"the record's {words} {path} has changed: SHA-256 {found[:12]}…, "
                             f"recorded {wanted[:12]}…; restore it, or give the file anew")


def read_record(path: Path) -> Recorded:
    """Read inputs and parameters of the record of a run.

    Raises
    ------
    InputError
        If it is missing or no record.
    """
    values = read_object(path)
    entries = _object(values, "inputs", path)
    files, hashes = {}, {}
    for name in entries:
        entry = _object(entries, name, path)
        file = _path(entry, "path", path)
        if file is None:
            raise InputError(f"{path}: input {name} has no path: this is no record of a run")
        files[name] = file
        digest = _optional(entry, "sha256", str, path)
        if digest is not None:
            hashes[name] = digest
    parameters = _object(values, "parameters", path)
    parameters_of(parameters, path)
    _known(files, tuple(field.name for field in dataclasses.fields(HybridInputs)), path)
    return Recorded(files, hashes, parameters)


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object of a sensible size."""
    try:
        size = path.stat().st_size
        text = path.read_bytes() if size <= _LARGEST else b""
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; check the name") from None
    if size > _LARGEST:
        raise InputError(f"{path} has {size / 1e6:.0f} MB: a job or record has less than "
                         f"{_LARGEST / 1e6:.0f}")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} holds {type(values).__name__}, not an object: this is no job and "
                         "no record")
    return values


def inputs_of(values: Mapping[str, Any], path: Path) -> HybridInputs:
    """The inputs of a JSON object of paths."""
    names = tuple(field.name for field in dataclasses.fields(HybridInputs))
    _known(values, names, path)
    return HybridInputs(**{name: _path(values, name, path) for name in values})


def parameters_of(values: Mapping[str, Any], path: Path) -> HybridParameters:
    """The parameters of a JSON object, held to their types."""
    hints = typing.get_type_hints(HybridParameters)
    for name, value in values.items():
        if name in hints and not _fits(value, hints[name]):
            raise InputError(f"{path}: parameter {name} cannot be {json.dumps(value)[:60]}")
    return HybridParameters.from_dict(values)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value has the type of a field."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, choice) for choice in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        return (isinstance(value, list | tuple) and len(value) == len(arguments)
                and all(map(_fits, value, arguments)))
    if origin is frozenset:
        return isinstance(value, list) and all(_fits(item, arguments[0]) for item in value)
    if isinstance(value, bool):
        return hint is bool
    if hint is float:
        return isinstance(value, int | float) and _is_finite(value)
    return isinstance(value, hint)


def _is_finite(value: float) -> bool:
    """Whether a number is one that a float can hold."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _can_be_a_name(text: str) -> bool:
    """Whether a file system takes it: JSON can hold halves of letters, and names of any length."""
    try:
        parts = os.fsencode(text).split(b"/")
    except UnicodeEncodeError:
        return False
    return max(map(len, parts)) <= _LONGEST_NAME


def _known(values: Mapping[str, Any], names: tuple[str, ...], path: Path) -> None:
    """Refuse names that mean nothing."""
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise InputError(f"{path}: unknown name {', '.join(unknown)}; known are "
                         f"{', '.join(names)}")


def _object(values: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    """The JSON object under a name; an absent one is empty."""
    value = values.get(name, {})
    if not isinstance(value, dict):
        raise InputError(f"{path}: {name} must be an object, not {json.dumps(value)[:60]}")
    return value


def _optional(values: Mapping[str, Any], name: str, kind: type, path: Path) -> Any:
    """The value under a name, of one type, or None."""
    value = values.get(name)
    if value is not None and (not isinstance(value, kind)
                              or (isinstance(value, bool) and kind is not bool)):
        raise InputError(f"{path}: {name} must be {kind.__name__}, not {json.dumps(value)[:60]}")
    return value


def _path(values: Mapping[str, Any], name: str, path: Path) -> Path | None:
    """The path under a name; relative ones count from the file's folder."""
    value = _optional(values, name, str, path)
    if value is None:
        return None
    if not value or "\0" in value or not _can_be_a_name(value):
        raise InputError(f"{path}: {name} is no path: {json.dumps(value)[:60]}")
    return Path(path.absolute().parent, value)


def _text(path: Path | None) -> str | None:
    """A path as JSON has it."""
    return None if path is None else str(path)
