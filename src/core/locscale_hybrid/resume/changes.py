"""Whether an update is asked for anything that the earlier run has not done."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._version import __version__
from ..errors import InputError
from ..files.atomic import sha256
from ..files.json_objects import object_in, optional_in, read_run_record
from ..parameters import HybridInputs, HybridParameters
from ..remedies import do, give

_TESTS = ("reseed_check", "validate")


def is_same_file(
    file: Path | None,
    entries: Mapping[str, Any],
    name: str,
    record: Path,
    digest: str | None = None,
) -> bool:
    """Test whether a file is the one that a record names; also if neither has one.

    `digest` is its SHA-256 where it has been read already.
    """
    if file is None or name not in entries:
        return file is None and name not in entries
    try:
        return (digest or sha256(file)) == object_in(entries, name, record).get("sha256")
    except OSError:  # who reads it says what is wrong
        return False


def is_unchanged(inputs: HybridInputs, parameters: HybridParameters) -> bool:
    """Test whether the run that the inputs name had the same files, parameters and program.

    A test of the result that was made need not be made again; one that was not is a change.

    Parameters
    ----------
    inputs : HybridInputs
        With a previous record.
    parameters : HybridParameters

    Raises
    ------
    InputError
        If the record is missing or no record.
    """
    path = inputs.previous_record
    assert path is not None
    values = read_run_record(path)
    entries, files = object_in(values, "inputs", path), inputs.files
    # the model first: it is small, and what has usually changed
    names = sorted((set(entries) | set(files)) - {"previous_record"}, key=lambda n: n != "model")
    recorded = {**HybridParameters().as_dict(), **object_in(values, "parameters", path)}
    asked = json.loads(json.dumps(parameters.as_dict()))
    return (
        optional_in(object_in(values, "program", path), "version", str, path) == __version__
        and all(asked[name] == recorded[name] for name in asked if name not in _TESTS)
        and not (parameters.reseed_check and not recorded["reseed_check"])
        and not (parameters.validate and _lacks_validation(values, path))
        and all(is_same_file(files.get(name), entries, name, path) for name in names)
    )


def require_change(inputs: HybridInputs, parameters: HybridParameters) -> None:
    """Refuse an update that would repeat the earlier run.

    Raises
    ------
    InputError
        If nothing has changed since.
    """
    path = inputs.previous_record
    if path is not None and is_unchanged(inputs, parameters):
        made = read_run_record(path).get("outputs")
        result = made.get("map") if isinstance(made, dict) else None
        raise InputError(
            f"nothing has changed since {path.name}: maps, model and options are those of that "
            f"run, so there is nothing to update{f' in {result}' if result else ''}",
            do("edit the model"),
            do("change an option"),
            give("record", "the same record", when="to run it in full"),
        )


def _lacks_validation(values: Mapping[str, Any], path: Path) -> bool:
    """Test whether half map 2 was not used, as in most updates."""
    if values.get("update") is None:
        return False
    return not optional_in(object_in(values, "update", path), "validated_anew", bool, path)
