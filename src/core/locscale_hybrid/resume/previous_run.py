"""What an earlier run on the same maps left behind that a new one may start from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from ..errors import InputError
from ..files.atomic import sha256
from ..files.json_objects import object_in, optional_in, path_in, read_run_record
from ..findings import Finding
from ..maps.grid import BoolArray, DoubleArray
from ..model.structure import AtomicModel, read_model
from ..parameters import HybridInputs, HybridParameters
from ..remedies import Remedy, do, leave_out, use
from .changes import is_same_file
from .keys import parameters_before_scaling

UNCHANGED = 1.0  # Å, within which an atom of the edited model has its earlier counterpart
SHIFTS_TAKEN = ("coordinate-errors", "shifts-one-way")  # codes of the findings
MOST_CHANGED = 0.5  # share of the model beyond which everything is made anew

_WORDS = {
    "complete_model": "the completion by pseudo-atoms",
    "point_group": "the point group",
    "symmetry_centre": "the centre of the symmetry",
    "resolution": "the resolution",
    "voxel_size": "the voxel size",
    "fdr": "the false discovery rate",
    "refiner": "the refiner",
    "b_steps": "the number of B steps",
    "neighbour_tau": "the spread of B between neighbours",
    "seed": "the seed",
}
_UNSET = {
    "symmetry_centre": "the middle of the box",
    "resolution": "the one found in the maps",
    "voxel_size": "that of the header",
    "neighbour_tau": "the one that half map 2 prefers",
}
_UNITS = {"resolution": " Å", "voxel_size": " Å", "neighbour_tau": " Å²"}
_NEAREST = 4  # earlier atoms that give an added one its first B
_MAPS = ("half_map_1", "half_map_2", "full_map", "mask", "monomer_library")

_SAME_MODEL = Finding(
    "same-model",
    "note",
    "an update with the same model: the hybrid model of the earlier run is used, and what "
    "was kept of it is not computed again",
)


@dataclass(frozen=True)
class EarlierValidation:
    """Work and free FSC of an earlier hybrid model, of a rerun on half map 1 alone.

    Parameters
    ----------
    record_sha256 : str
        Of the record of the run that made them.
    work, free : float
    """

    record_sha256: str
    work: float
    free: float


@dataclass(frozen=True, eq=False)
class PreviousRun:
    """The hybrid model of an earlier run, and what was found with it.

    Parameters
    ----------
    path : Path
        Its record.
    sha256 : str
        Of the record.
    positions, b_iso : arrays, shape (n, 3) and (n,)
        Å and Å^2, atoms, copies and pseudo-atoms, as its model file has them.
    is_pseudo : bool array, shape (n,)
    tau : float, optional
        Å^2, strength of the prior; None where B was not refined.
    shifted : bool
        Whether half map 2 gained from shifts of the model's atoms while B were refined.
    validation : EarlierValidation, optional
        Of this run, or of the last one before it that made one.
    n_updates : int
        How many updates lie between it and the full run it goes back to; 0: it was that run.
    changed : float
        Share of the model that has changed since that full run, all edits added up, with the
        model that the new run is given.
    validated_since : bool
        Whether an update from here with the same model, which the new run repeats, has asked half
        map 2 anew: it is asked then too, for B to be the same.
    """

    path: Path
    sha256: str
    positions: DoubleArray
    b_iso: DoubleArray
    is_pseudo: BoolArray
    tau: float | None
    shifted: bool
    validation: EarlierValidation | None
    n_updates: int
    changed: float
    validated_since: bool = False

    def b_near(self, positions: DoubleArray) -> DoubleArray:
        """B of the earlier atom at each position (n, 3); where there is none, of those near it."""
        if not len(positions):
            return np.empty(0)
        number = min(_NEAREST, len(self.positions))
        found = cKDTree(self.positions).query(positions, k=list(range(1, number + 1)))
        distance, nearest = np.asarray(found[0]), np.asarray(found[1])
        near = self.b_iso[nearest]
        return np.where(distance[:, 0] <= UNCHANGED, near[:, 0], near.mean(axis=1))


def find_previous(
    inputs: HybridInputs,
    parameters: HybridParameters,
    model: AtomicModel | None,
    digests: Mapping[str, str] | None = None,
) -> PreviousRun | Finding:
    """Find the earlier run that the inputs name, or why the new one cannot start from it.

    Parameters
    ----------
    inputs : HybridInputs
        With a previous record.
    parameters : HybridParameters
    model : AtomicModel, optional
        The edited model.
    digests : mapping of str to str, optional
        SHA-256 of the inputs as they were read, by field; what is missing is read for it.

    Returns
    -------
    PreviousRun or Finding
        What to start from: where the model is that of an update, what that update started from,
        as long as it is there, so that the same comes out.  The finding says that the hybrid
        model is made anew, and why, or that it is that of the earlier run.

    Raises
    ------
    InputError
        If the record is missing or no record of a run.
    """
    path = inputs.previous_record
    assert path is not None
    values = read_run_record(path)
    known = digests or {}
    reason = _other_input(values, inputs, path, known) or _other_parameters(
        values, parameters, path
    )
    same = reason is None and is_same_file(
        inputs.files.get("model"), values["inputs"], "model", path, known.get("model")
    )
    if same and values.get("update") is None:
        return _SAME_MODEL
    start = _start_of(values, path) if same else None
    if start is not None:
        found = find_previous(replace(inputs, previous_record=start), parameters, model, digests)
        if isinstance(found, PreviousRun):
            return replace(
                found, validated_since=_part(values, "update", path).get("validated_anew") is True
            )
    previous = reason or _unfit_model(values, path) or _near_enough(values, path, model)
    if isinstance(previous, PreviousRun):
        return previous
    return Finding(
        "full-run",
        "note",
        f"the hybrid model is built from the start and not as an update of {path.name}, because "
        f"{previous}",
        remedies=_quick_updates(values, path),
    )


def _near_enough(
    values: Mapping[str, Any], path: Path, model: AtomicModel | None
) -> PreviousRun | str:
    """Take the earlier run if the model has changed little since, or say why not."""
    previous = _previous(values, path, model)
    if not len(previous.positions):
        return "its hybrid model holds no atoms"
    if previous.changed > MOST_CHANGED:
        return (
            f"{previous.changed:.0%} of the model has changed since the last full run "
            f"(limit {MOST_CHANGED:.0%})"
        )
    return previous


def _quick_updates(values: Mapping[str, Any], path: Path) -> tuple[Remedy, ...]:
    """Say how a run keeps its hybrid model, if the earlier one kept none."""
    if _model_entry(values, path) is not None:
        return ()
    return (use("outputs", "model", when="in full runs, to make updates quick"),)


def require_repeatable(record: Path) -> None:
    """Refuse to repeat an update whose starting point is no longer what it was.

    Raises
    ------
    InputError
        If the hybrid model that the record names is missing or has changed.
    """
    reason = _missing_file(read_run_record(record), record)
    if reason is not None:
        raise InputError(
            f"the update cannot be repeated from {record}: {reason}",
            do("restore it"),
            leave_out("record"),
        )


def model_file_entry(path: Path | None) -> dict[str, str] | None:
    """Return what a record says about the file of its hybrid model."""
    if path is None or not path.is_file():
        return None
    return {"path": str(path), "sha256": sha256(path)}


def _other_input(
    values: Mapping[str, Any], inputs: HybridInputs, path: Path, digests: Mapping[str, str]
) -> str | None:
    """Find the first file that differs from the earlier run's."""
    entries = object_in(values, "inputs", path)
    if not entries:
        raise InputError(f"{path} names no input: this is no record of a run")
    if inputs.monomer_library is not None or "monomer_library" in entries:
        return "the coordinates of the model are to be refined, which servalcat does as a whole"
    files = inputs.files
    for name in _MAPS:
        words = name.replace("_", " ")
        if (name in files) != (name in entries):
            which = "this" if name in files else "that"
            return f"{words} was given for {which} run alone"
        if not is_same_file(files.get(name), entries, name, path, digests.get(name)):
            return f"{words} is another file now"
    return None


def _start_of(values: Mapping[str, Any], path: Path) -> Path | None:
    """Read the record that an update started from, if it is still what it was."""
    entry = _part(_part(values, "inputs", path), "previous_record", path)
    start = path_in(entry, "path", path)
    is_there = start is not None and start.is_file() and sha256(start) == entry.get("sha256")
    return start if is_there else None


def _other_parameters(
    values: Mapping[str, Any], parameters: HybridParameters, path: Path
) -> str | None:
    """List the parameters of the hybrid model that differ."""
    recorded = {**HybridParameters().as_dict(), **object_in(values, "parameters", path)}
    asked = json.loads(json.dumps(parameters.as_dict()))
    told = [
        f"{_WORDS.get(name, name.replace('_', ' '))} was {_told(name, recorded[name])} and is "
        f"{_told(name, asked[name])}"
        for name in parameters_before_scaling()
        if asked[name] != recorded[name]
    ]
    if not told and parameters.refiner == "servalcat":
        return "servalcat refines all B anew"
    return ", ".join(told) or None


def _told(name: str, value: Any) -> str:
    """Put the value of a parameter in words."""
    if value is None:
        return _UNSET.get(name, "none")
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(f"{part:g}" for part in value)
    return (f"{value:g}" if isinstance(value, float) else str(value)) + _UNITS.get(name, "")


def _unfit_model(values: Mapping[str, Any], path: Path) -> str | None:
    """Say why the hybrid model cannot be used."""
    if _model_entry(values, path) is None:
        return "that run kept no hybrid model"
    return _missing_file(values, path)


def _missing_file(values: Mapping[str, Any], path: Path) -> str | None:
    """Say that the file of the hybrid model is not there any more."""
    entry = _model_entry(values, path)
    if entry is None:
        return "it names no hybrid model"
    if _model_path(entry, path) is None:
        return f"its hybrid model {entry['path']} is missing or has changed"
    return None


def _model_entry(values: Mapping[str, Any], path: Path) -> dict[str, Any] | None:
    """Return what a record says about the file of its hybrid model."""
    entry = _part(_part(values, "hybrid_model", path), "file", path)
    return entry if {"path", "sha256"} <= set(entry) else None


def _part(values: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    """Return the JSON object under a name; empty if it is absent or null."""
    return {} if values.get(name) is None else object_in(values, name, path)


def _model_path(entry: Mapping[str, Any], record: Path) -> Path | None:
    """Find the file of the hybrid model, where it was written or next to its record."""
    written = path_in(entry, "path", record)
    if written is None:
        return None
    for file in (written, record.absolute().parent / written.name):
        if file.is_file() and sha256(file) == entry["sha256"]:
            return file
    return None


def _previous(values: Mapping[str, Any], path: Path, model: AtomicModel | None) -> PreviousRun:
    """Make the earlier run from its record and its hybrid model."""
    file = _model_path(_model_entry(values, path) or {}, path)
    assert file is not None
    atoms = read_model(file, keep_pseudo_atoms=True)
    adp, update = _part(values, "adp", path), _part(values, "update", path)
    n_model = optional_in(_part(values, "hybrid_model", path), "model_atoms", int, path)
    digest = sha256(path)
    return PreviousRun(
        path,
        digest,
        atoms.positions,
        atoms.b_iso,
        atoms.is_pseudo,
        _number(adp, "tau_square_angstrom", path),
        _shifted(values, update),
        _validation(adp, update, digest, path),
        int(_number(update, "updates_since_full_run", path) or 0),
        (_number(update, "changed_since_full_run", path) or 0.0)
        + _changed(atoms.positions[~atoms.is_pseudo], n_model, model),
    )


def _shifted(values: Mapping[str, Any], update: Mapping[str, Any]) -> bool:
    """Test whether shifts of the model's atoms improved the fit to half map 2 when last tried."""
    if update and not update.get("validated_anew"):
        return bool(update.get("model_shifted"))
    findings = values.get("findings")
    return isinstance(findings, list) and any(
        isinstance(finding, dict) and finding.get("code") in SHIFTS_TAKEN for finding in findings
    )


def _validation(
    adp: Mapping[str, Any], update: Mapping[str, Any], digest: str, path: Path
) -> EarlierValidation | None:
    """Return the last rerun on half map 1 alone, of this record or of one before it."""
    own = _part(adp, "refined_on_half_map_1", path)
    older = _part(update, "earlier_validation", path)
    made_by = optional_in(older, "record_sha256", str, path)
    part, made_by = (own, digest) if own else (older, made_by)
    work, free = _number(part, "fsc_work", path), _number(part, "fsc_free", path)
    if made_by is None or work is None or free is None:
        return None
    return EarlierValidation(made_by, work, free)


def _number(values: Mapping[str, Any], name: str, path: Path) -> float | None:
    """Return the number under a name, or None."""
    value = values.get(name)
    if isinstance(value, int):
        return float(value)
    number: float | None = optional_in(values, name, float, path)
    return number


def _changed(earlier: DoubleArray, n_model: int | None, model: AtomicModel | None) -> float:
    """Share of the atoms of either model that have no counterpart in the other."""
    before = earlier[:n_model]
    now = np.empty((0, 3)) if model is None else model.positions
    if not len(before) and not len(now):
        return 0.0
    if not len(before) or not len(now):
        return 1.0
    new = cKDTree(before).query(now)[0] > UNCHANGED
    gone = cKDTree(now).query(before)[0] > UNCHANGED
    return float((np.count_nonzero(new) + np.count_nonzero(gone)) / (len(before) + len(now)))
