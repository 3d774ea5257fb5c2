"""Writing what a run has found: maps, hybrid model, report, record."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._version import __version__
from ..errors import StageError
from ..files.atomic import all_or_none, replacing
from ..findings import Finding
from ..inputs.reading import RunInput
from ..maps.grid import FloatArray, Map
from ..maps.mrc import MapFrame, write_map
from ..model.hybrid_model import write_hybrid
from ..remedies import do, report_fault
from ..resume.previous_run import model_file_entry
from .record import RunFacts, build_record

_NAMES = {"map": "display map", "linear": "linear map"}
_DENSITY = ("map", "linear", "sharpened_half1", "sharpened_half2", "reference")
_NOTHING = 1e-30  # range of the values of a map that holds nothing
_MEANINGS = {
    "map": "display map, to look at and to build in",
    "linear": "linear map: measure and deposit this",
    "sharpened_half1": "sharpened half map 1: a diagnostic, no resolution",
    "sharpened_half2": "sharpened half map 2: a diagnostic, no resolution",
    "localB": "local B above the best-ordered region, A^2",
    "resolution": "local resolution, A; 0 where none was estimated",
    "provenance": "source of the reference: 1 model, 2 pseudo-atoms, 0 neither",
    "mask": "mask that bounded the work, 0 to 1",
    "difference": "map minus model, in standard deviations",
    "reference": "reference: density of the hybrid model, not of the data",
}


@dataclass(frozen=True, eq=False)
class HybridResult:
    """What a run left behind.

    Parameters
    ----------
    output, linear, record : Path
        The display map, the linear map, the JSON record.
    files : mapping of str to Path
        Everything else that was asked for, by its name among `parameters.OUTPUTS`, or "report".
    findings : tuple of Finding
    summary : list of (str, str)
        The few lines that a person reads first.
    """

    output: Path
    linear: Path
    record: Path
    files: dict[str, Path]
    findings: tuple[Finding, ...]
    summary: list[tuple[str, str]]


def _files(facts: RunFacts, extra: Iterable[str]) -> dict[str, Path]:
    """Name every file but the two maps and the record."""
    outputs = facts.outputs
    files = {name: outputs.extra_map(name) for name in extra}
    if "model" in facts.parameters.outputs:
        files["model"] = outputs.named("_model.cif")
    if facts.comparison.scores is not None:
        files["scores"] = outputs.scores
    if outputs.report:
        files["report"] = outputs.named("_report.html")
    return files


def write_output(facts: RunFacts, given: RunInput, reference: Map) -> dict[str, Path]:
    """Write the maps, the hybrid model and the record; the record last.

    Parameters
    ----------
    facts : RunFacts
    given : RunInput
        Its first map gives the frame.
    reference : Map

    Returns
    -------
    dict of str to Path
        Everything beside the two maps and the record, by its name among `parameters.OUTPUTS`, or
        "report".

    Raises
    ------
    InputError
        If a file cannot be written.
    StageError
        If a map is constant or not finite; nothing is written then.
    """
    outputs, frame = facts.outputs, given.frame
    labels = _labels(facts)
    extra = _extra_maps(facts, reference)
    display, linear = facts.scaled.output, facts.scaled.linear
    for name, volume in (("map", display), ("linear", linear), *extra.items()):
        _require_sense(name, volume.values)
    files = _files(facts, extra)
    with all_or_none([*files.values(), outputs.linear, outputs.map, outputs.record]):
        for name, volume in extra.items():
            write_maps({files[name]: volume}, frame, [*labels, map_meaning(name)])
        if "model" in files:
            write_hybrid(
                files["model"],
                facts.hybrid,
                grid=given.observed.average.grid,
                provenance={"version": __version__, "resolution": facts.resolution.d_min},
            )
        if facts.comparison.scores is not None:
            with replacing(files["scores"]) as stream:
                stream.write(facts.comparison.scores.as_csv().encode())
        write_maps({outputs.linear: linear}, frame, [*labels, map_meaning("linear")])
        write_maps({outputs.map: display}, frame, [*labels, map_meaning("map")])
        record = build_record(facts, given.digests)
        record["hybrid_model"]["file"] = model_file_entry(files.get("model", outputs.kept_model))
        record["outputs"] = {
            "map": str(outputs.map),
            "linear": str(outputs.linear),
            "record": str(outputs.record),
            **{name: str(path) for name, path in files.items()},
        }
        if outputs.report:
            from .report.build import write_run_report

            write_run_report(files["report"], record, facts, given.observed.average, reference)
        write_record(outputs.record, record)
    return files


def _require_sense(name: str, values: FloatArray) -> None:
    """Refuse to write a map that cannot be right, whatever made it so.

    Masks, local values and the like may be the same everywhere; density is not.
    """
    low, high = float(np.min(values)), float(np.max(values))
    if not np.isfinite([low, high]).all():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        fact = f"has {bad} of {values.size} voxels that are not finite"
    elif name in _DENSITY and high - low < _NOTHING:
        fact = f"is {low:.3g} everywhere"
    else:
        return
    raise StageError(
        f"the {_NAMES.get(name, name)} {fact}, so no file was written",
        do("check the maps and the mask"),
        report_fault(),
    )


def _labels(facts: RunFacts) -> list[str]:
    """Write what the header of every output map says."""
    hybrid = facts.hybrid
    atoms = f"{hybrid.n_atoms} atoms" if hybrid.n_atoms else "no model"
    reference = (
        f"reference: {atoms} + {hybrid.n_pseudo} pseudo-atoms, "
        f"{facts.parameters.point_group}, d {facts.resolution.d_min:.2f} A"
    )
    return map_labels(
        __version__,
        facts.scaled.label,
        reference,
        validated=facts.adps is not None and facts.adps.validated,
        note="" if facts.update is None else "update of an earlier run",
    )


def _extra_maps(facts: RunFacts, reference: Map) -> dict[str, Map]:
    """Yield the maps that were asked for in addition to the two that are always written."""
    asked, scaled = facts.parameters.outputs, facts.scaled
    maps: dict[str, Map] = dict(scaled.volumes)
    half_1, half_2 = (scaled.half_1, scaled.half_2) if "halves" in asked else (None, None)
    if half_1 is not None and half_2 is not None:
        maps |= {"sharpened_half1": half_1, "sharpened_half2": half_2}
    if "mask" in asked:
        maps["mask"] = Map(facts.mask.soft, facts.mask.grid, "mask")
    if "reference" in asked:
        maps["reference"] = reference
    if facts.comparison.difference is not None:
        maps["difference"] = facts.comparison.difference.map
    if {"localB", "provenance"} & asked:
        from .report.build import local_b_map, provenance_map
    if "localB" in asked:
        maps["localB"] = local_b_map(facts)
    if "provenance" in asked:
        maps["provenance"] = provenance_map(facts)
    return maps


def map_meaning(kind: str) -> str:
    """Describe the values of an output map, for its header; `kind` is its name in the record."""
    if kind.startswith("gain_"):
        return f"local gain in the band at {kind.removeprefix('gain_').removesuffix('A')} A"
    return _MEANINGS[kind]


def write_maps(maps: Mapping[Path, Map], frame: MapFrame | None, labels: Sequence[str]) -> None:
    """Write maps, each under its name once it is complete.

    Parameters
    ----------
    maps : mapping of Path to Map
        In the order in which they are written.
    frame : MapFrame, optional
        Frame of the input.
    labels : sequence of str
        Lines for the header of every map.

    Raises
    ------
    InputError
        If a folder cannot be written or the disk is full; earlier files of the same name are
        left as they were.
    """
    for path, volume in maps.items():
        write_map(path, volume, frame=frame, labels=labels)


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record as JSON, under its name once it is complete."""
    text = json.dumps(record, indent=1, allow_nan=False) + "\n"
    with replacing(path) as stream:
        stream.write(text.encode())


def map_labels(
    version: str, scaling: str, reference: str, *, validated: bool, note: str = ""
) -> list[str]:
    """Labels of every output map: program, method, reference, what stands behind it.

    Parameters
    ----------
    version : str
    scaling, reference : str
        How the map was scaled, and to what.
    validated : bool
        Whether half maps chose the prior of the B factors.
    note : str
        What a reader of the map must know beside that.
    """
    basis = "half maps: B validated by half map 2" if validated else "NOT VALIDATED by half maps"
    lines = [f"locscale-hybrid {version}", scaling, reference, basis, note]
    return [line[:80] for line in lines if line]
