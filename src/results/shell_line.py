"""The command line that does in a shell what a run did, and what has to be there for it."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..job.request import Request
    from ..session_types import Json
    from .manager import ResultRecord

_MAPS = ("half_map_1", "half_map_2", "full_map", "mask")
_SAME_PLACE = 0.02  # Å; a file has three decimals, a session a little less
_FULL_RUN = "as a full run, for only this session holds what the update started from"


def is_edited(model: str, source: str) -> bool:
    """Test whether a model that was written for a run has other atoms than its source file.

    Parameters
    ----------
    model, source : str
        Files.
    """
    import gemmi
    import numpy as np
    from scipy.spatial import cKDTree

    places = []
    for path in (model, source):
        try:
            structure = gemmi.read_structure(path)
        except (OSError, RuntimeError, ValueError):
            return True
        sites = structure[0].all() if len(structure) else ()
        places.append(np.array([site.atom.pos.tolist() for site in sites]).reshape(-1, 3))
    if len(places[0]) != len(places[1]) or not len(places[0]):
        return True
    return float(cKDTree(places[0]).query(places[1])[0].max()) > _SAME_PLACE


def shell_line(
    request: Request,
    inputs: dict[str, str],
    source_files: dict[str, str],
    record: Json,
    earlier: ResultRecord | None,
    *,
    is_model_edited: bool = False,
) -> tuple[str, str]:
    """Return the command line and what has to be done before it does the same.

    Parameters
    ----------
    request : Request
    inputs : dict of str to str
        Files that the run was given, by field of `HybridInputs`.
    source_files : dict of str to str
        Those that they were opened from.
    record : dict
        Of the run.
    earlier : ResultRecord or None
        Of the result that was updated.
    is_model_edited : bool
        Whether the file of the model holds other atoms than the run.

    Returns
    -------
    line, needs : str
        `needs` is empty where nothing has to be done.
    """
    is_update = bool(record.get("update"))
    start = _saved_start(record, earlier, source_files) if is_update else None
    needs = [_FULL_RUN] if is_update and start is None else []
    if set(inputs) - set(source_files) - {"monomer_library"}:
        needs.append("once what has no path there is saved under that name")
    elif is_update or is_model_edited:
        needs.append("once the edited model is saved")
    files = {name: Path(path) for name, path in {**inputs, **source_files}.items()}
    return _line(request, files, start), ", and ".join(needs)


def _line(request: Request, files: dict[str, Path], start: Path | None) -> str:
    """Make the command line on files that a person has."""
    from locscale_hybrid.outputs import output_paths
    from locscale_hybrid.parameters import HybridInputs, HybridParameters
    from locscale_hybrid.results.command_line import command_words

    parameters = HybridParameters.from_dict(request.parameters)
    if start is None:  # half map 2 judges every full run
        parameters = replace(parameters, validate=False)
    words = command_words(
        HybridInputs(**files, previous_record=start),
        parameters,
        output_paths(request.outputs["map"], report=request.outputs["report"]),
    )
    if request.processes is not None:
        words += ["-np", str(request.processes)]
    # Files in the folder of the run will go with it.
    return shlex.join(
        Path(word).name if request.folder.path in Path(word).parents else word for word in words
    )


def _saved_start(
    record: Json, earlier: ResultRecord | None, source_files: dict[str, str]
) -> Path | None:
    """Find the record in a folder of the user that the update started from, or None.

    It must have kept its hybrid model beside it, and name the files that the maps came from.
    """
    if earlier is None or not earlier.saved_map:
        return None
    path, told = Path(earlier.saved_map).with_suffix(".json"), earlier.record
    outputs = told.get("outputs") or {}
    if (
        outputs.get("record") != str(path)
        or record["outputs"]["record"] == str(path)
        or not path.is_file()
        or not Path(outputs.get("model") or "").is_file()
        or _started_from(record) == _started_from(told)
    ):  # where that update had started
        return None
    saved = json.loads(path.read_text(encoding="utf-8"))
    if _as_written(saved) != _as_written(told):
        return None
    own = {name: saved["inputs"].get(name, {}).get("path") for name in _MAPS}
    return path if own == {name: source_files.get(name) for name in _MAPS} else None


def _as_written(record: Json) -> Json:
    """Return what a record says of the run, without what was done to the shown map since."""
    return {**record, "findings": None, "adjusted": None}


def _started_from(record: Json) -> Json | None:
    """Return the entry of the record that an update started from; None for a full run."""
    return record["inputs"].get("previous_record")


def name_sources(path: Path, inputs: dict[str, str], source_files: dict[str, str]) -> None:
    """Have a record that is kept name the files of the user in place of those of the run.

    That makes it possible to begin with it in a shell.  Only a map with the very values and grid
    of the run counts; the model may have been edited since it was opened.

    Parameters
    ----------
    path : Path
        The record.
    inputs, source_files : dict of str to str
        See `shell_line`.
    """
    from locscale_hybrid.files.atomic import replacing

    record = json.loads(path.read_text(encoding="utf-8"))
    entries, renamed = record.get("inputs", {}), {}
    for name in _MAPS:
        source = source_files.get(name)
        if name not in inputs or name not in entries or not source:
            continue
        digest = _hash_of_same_map(inputs[name], source)
        if digest is not None:
            renamed[entries[name]["path"]] = source
            entries[name] = {"path": source, "sha256": digest}
    if not renamed:
        return
    record["command"] = [renamed.get(word, word) for word in record.get("command", [])]
    with replacing(path) as stream:
        stream.write((json.dumps(record, indent=1) + "\n").encode())


def _hash_of_same_map(one: str, other: str) -> str | None:
    """SHA-256 of the other file, as it was compared, where both hold the same map; else None."""
    import numpy as np

    from locscale_hybrid.errors import LocScaleError
    from locscale_hybrid.maps.mrc import read_map_file

    try:
        first, second = read_map_file(Path(one)), read_map_file(Path(other))
    except (LocScaleError, OSError):
        return None
    same = first.map.grid.same_as(second.map.grid)
    same = same and np.array_equal(first.map.values, second.map.values)
    return second.sha256 if same else None
