"""Open a run of the command line or of a cluster, by its record, as a result of this session."""

from __future__ import annotations

import json
import math
import shlex
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from chimerax.core.errors import UserError

from ..job.request import Outcome
from ..job.run_folder import RunFolder
from ..results import log_text
from ..results.companions import open_companions
from ..results.manager import ModelChoice, ResultRecord, results
from ..results.opening import load_maps, voxels_of_atoms
from ..scene.frames import map_label
from ..scene.handover import InputMap, hand_over
from ..words import message_of

if TYPE_CHECKING:
    from ..session_types import Json, Model, Session, Volume

    Files = dict[str, Path]

_MAPS = ("half_map_1", "half_map_2", "full_map", "mask", "weight_map")


def open_run(session: Session, path: str) -> tuple[list[Model], str]:
    """Open a run by its record.

    Parameters
    ----------
    session : Session
    path : str
        The ``.json`` file that a run wrote with its map.

    Returns
    -------
    models : list of Model
        Empty: they are open by then.
    status : str

    Raises
    ------
    UserError
        If it is not the record of a run, or its map is missing.
    """
    record, files, inputs = _found(Path(path).absolute())
    volume_path = files.get("map")
    if volume_path is None:
        raise UserError(
            f"The map {_base(record['outputs']['map'])} of {path} is missing. Copy it into the "
            "folder of the record"
        )
    opened = _open_inputs(session, inputs)
    volume = _open_map(session, volume_path)
    like = InputMap.of(volume)
    folder = RunFolder()
    try:
        loaded = load_maps(
            Outcome(
                result={kind: str(file) for kind, file in files.items()},
                enclosed=voxels_of_atoms(str(files["record"]), math.prod(like.data.size)),
            ),
            record["parameters"].get("outputs", ()),
            folder.scratch,
        )
        if loaded.level is not None:
            volume.set_parameters(surface_levels=[loaded.level])
        kept = _kept(volume, opened, record, files, folder)
        kept.companions = open_companions(
            session,
            like,
            volume,
            loaded,
            [],
            copied=(record.get("hybrid_model") or {}).get("copied_atoms", 0) > 0,
        )
        _keep_for_update(kept, record, Path(path).absolute(), inputs, files)
    except BaseException:
        folder.remove_in_background()
        raise
    results(session).add(kept)
    log_text.log_record(session.logger, kept)
    _say_missing(session, volume, record, inputs)
    return [], f"Opened the run {map_label(volume)}"


def _say_missing(session: Session, volume: Volume, record: Json, inputs: dict[str, Path]) -> None:
    """Log which inputs of the run were not found."""
    missing = sorted(set(record.get("inputs", {})) & {*_MAPS, "model"} - set(inputs))
    if missing:
        names = ", ".join(_base(record["inputs"][name]["path"]) for name in missing)
        session.logger.info(
            f"{map_label(volume)} was opened without {names}, which are missing: open them, and "
            "name them in an update"
        )


def _found(path: Path) -> tuple[Json, Files, Files]:
    """Read a record; the record, and the files of its outputs and inputs that are there."""
    from locscale_hybrid.errors import InputError
    from locscale_hybrid.files.json_objects import read_run_record

    try:
        record = read_run_record(path)
    except InputError as error:
        raise UserError(message_of(error)) from None
    outputs = record.get("outputs")
    if not isinstance(outputs, dict) or not isinstance(outputs.get("map"), str):
        raise UserError(f"{path} names no map: it is not the record of a run")
    at = outputs.get("record") or outputs["map"]
    files = {kind: _file(name, at, path) for kind, name in outputs.items()}
    inputs = {
        name: _file(entry["path"], at, path)
        for name, entry in record.get("inputs", {}).items()
        if isinstance(entry, dict) and isinstance(entry.get("path"), str)
    }
    files["record"] = path
    return (
        record,
        {kind: file for kind, file in files.items() if file is not None},
        {name: file for name, file in inputs.items() if file is not None},
    )


def _file(name: str, record_then: str, record_now: Path) -> Path | None:
    """Find a file of a run: as the record is to it, or where it was, or next to the record.

    A copy of a whole folder opens its own files, even if the first folder is still there.
    """
    then, file = _pure(record_then).parent, _pure(name)
    places = []
    try:
        places.append(record_now.parent / Path(*file.relative_to(then).parts))
    except ValueError:
        shared = [a for a, b in zip(then.parts, file.parts, strict=False) if a == b]
        up = len(then.parts) - len(shared)
        if shared and up <= len(record_now.parent.parts) - 1:
            base = record_now.parents[up]
            places.append(base / Path(*file.parts[len(shared) :]))
    places += [Path(name), record_now.parent / file.name]
    return next((place for place in places if place.is_file()), None)


def _pure(name: str) -> PurePosixPath | PureWindowsPath:
    """Return a path of this or another system."""
    return PureWindowsPath(name) if "\\" in name or name[1:2] == ":" else PurePosixPath(name)


def _base(name: str) -> str:
    """Return the name of a file of this or another system."""
    return _pure(name).name


def _open_inputs(session: Session, inputs: Files) -> dict[str, Model]:
    """Open the maps and the model of a run, the maps hidden; by field of `HybridInputs`."""
    opened = {}
    for name in (*_MAPS, "model"):
        if name not in inputs:
            continue
        models, _ = (
            session.open_command.open_data(str(inputs[name]), log_info=False)
            if (name == "model")
            else session.open_command.open_data(str(inputs[name]))
        )
        session.models.add(models)
        opened[name] = models[0]
        if name != "model":
            opened[name].display = False
    return opened


def _open_map(session: Session, path: Path) -> Volume:
    """Open the map of a run."""
    models, _ = session.open_command.open_data(str(path))
    session.models.add(models)
    return models[0]


def _kept(
    volume: Volume, opened: dict[str, Model], record: Json, files: Files, folder: RunFolder
) -> ResultRecord:
    """Return the record of the result."""
    fields = ("half_map_1", "half_map_2") if "half_map_1" in record["inputs"] else ("full_map",)
    labels = dict(
        zip(
            ("half map 1", "half map 2") if len(fields) == 2 else ("map",),
            (_label(opened, record, name) for name in fields),
            strict=True,
        )
    )
    for name, role in (("model", "model"), ("mask", "mask"), ("weight_map", "weight")):
        if name in record["inputs"]:
            labels[role] = _label(opened, record, name)
    model = opened.get("model")
    return ResultRecord(
        volume,
        [opened.get(name) for name in fields],
        [] if model is None else [ModelChoice(model)],
        opened.get("mask"),
        opened.get("weight_map"),
        record["parameters"],
        record,
        labels,
        shlex.join(record.get("command") or []),
        files={
            **{kind: str(files[kind]) for kind in ("record", "report") if kind in files},
            "folder": str(files["map"].parent),
        },
        folder=folder,
        saved_map=str(files["map"]),
    )


def _label(opened: dict[str, Model], record: Json, name: str) -> str:
    """Return what to call an input."""
    if name in opened:
        return map_label(opened[name])
    return _base(record["inputs"][name]["path"])


def _keep_for_update(
    kept: ResultRecord, record: Json, path: Path, inputs: Files, files: Files
) -> None:
    """Let an update start from the hybrid model of the run, if it was kept.

    An update here compares the maps as this session writes them; so the copy of the record has
    their hashes, if the files are those of the run.
    """
    from locscale_hybrid.files.atomic import sha256

    entry = (record.get("hybrid_model") or {}).get("file") or {}
    model = (
        _file(entry["path"], record["outputs"].get("record") or str(path), path)
        if (entry.get("path"))
        else files.get("model")
    )
    if model is None or len(kept.open_maps) < len(kept.maps):
        return
    names = [name for name in _MAPS if name in record["inputs"]]
    if any(
        name not in inputs or sha256(inputs[name]) != record["inputs"][name].get("sha256")
        for name in names
    ):
        return
    folder = kept.folder
    assert folder is not None
    written, _ = hand_over(kept.open_maps, mask=kept.mask, weight=kept.weight).write(folder.inputs)
    copy = json.loads(json.dumps(record))
    for name in names:
        copy["inputs"][name]["sha256"] = sha256(Path(written[name]))
    own = folder.scratch / path.name
    own.write_text(json.dumps(copy), encoding="utf-8")
    folder.keep_for_update(own, model)
    folder.clear_inputs()
