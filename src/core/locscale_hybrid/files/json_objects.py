"""Reading JSON files that a user or another program gives: every mistake is one sentence."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from .atomic import require_regular

_LONGEST_NAME = 255  # bytes, of a file
_LARGEST = 64 << 20  # bytes; no job or record is near it

PROGRAM = "locscale-hybrid"
RECORD_SCHEMA = "locscale-hybrid-record/1"


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object of a sensible size."""
    require_regular(path)
    try:
        size = path.stat().st_size
        text = path.read_bytes() if size <= _LARGEST else b""
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; check the name") from None
    if size > _LARGEST:
        raise InputError(
            f"{path} has {size / 1e6:.0f} MB: a job or record has less than {_LARGEST / 1e6:.0f}"
        )
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is no JSON ({error}): give a job, or the record of a run"
        ) from None
    if not isinstance(values, dict):
        raise InputError(
            f"{path} holds {type(values).__name__}, not an object: give a job, or the "
            "record of a run"
        )
    return values


def read_run_record(path: Path) -> dict[str, Any]:
    """Read the record of a run of this program.

    Raises
    ------
    InputError
        If it is missing, or that of another program or of a version with other records.
    """
    values = read_object(path)
    schema, program = values.get("schema"), values.get("program")
    kind, slash, version = schema.rpartition("/") if isinstance(schema, str) else ("", "", "")
    name = program.get("name", PROGRAM) if isinstance(program, dict) else PROGRAM
    if f"{kind}{slash}" != RECORD_SCHEMA.rpartition("/")[0] + "/" or name != PROGRAM:
        raise InputError(
            f"{path} is not the record of a run of {PROGRAM}; give the .json file "
            "that a run wrote with its map"
        )
    if schema != RECORD_SCHEMA:
        raise InputError(
            f"{path} is a record of kind {version[:20]}, and this "
            f"version of {PROGRAM} reads kind {RECORD_SCHEMA.rpartition('/')[2]}; "
            "use the version that wrote it, or start a new run with its options"
        )
    return values


def refuse_unknown(values: Mapping[str, Any], names: tuple[str, ...], path: Path) -> None:
    """Refuse names that mean nothing."""
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise InputError(f"{path}: unknown name {', '.join(unknown)}; known are {', '.join(names)}")


def object_in(values: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    """Return the JSON object under a name; an absent one is empty."""
    value = values.get(name, {})
    if not isinstance(value, dict):
        raise InputError(f"{path}: {name} must be an object, not {json.dumps(value)[:60]}")
    return value


def optional_in(values: Mapping[str, Any], name: str, kind: type, path: Path) -> Any:
    """Return the value under a name, of one type, or None."""
    value = values.get(name)
    if value is not None and (
        not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
    ):
        raise InputError(f"{path}: {name} must be {kind.__name__}, not {json.dumps(value)[:60]}")
    return value


def path_in(values: Mapping[str, Any], name: str, path: Path) -> Path | None:
    """Return the path under a name; relative ones count from the file's folder."""
    value = optional_in(values, name, str, path)
    if value is None:
        return None
    if not value or "\0" in value or not _can_be_a_name(value):
        raise InputError(f"{path}: {name} is no path: {json.dumps(value)[:60]}")
    return Path(path.absolute().parent, value)


def _can_be_a_name(text: str) -> bool:
    """Test whether a file system takes it: JSON allows half letters and any length."""
    try:
        parts = os.fsencode(text).split(b"/")
    except UnicodeEncodeError:
        return False
    return max(map(len, parts)) <= _LONGEST_NAME
