"""Writing what a run has found: maps, hybrid model, report, record."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import __version__
from .errors import StageError
from .files import all_or_none
from .findings import Finding
from .hybrid_model import write_hybrid
from .maps import FloatArray, Map
from .previous_run import model_file_entry
from .record import RunFacts, build_record
from .report import map_labels, map_meaning, write_maps, write_record
from .run_files import RunInput

_NAMES = {"map": "display map", "linear": "linear map"}
_DENSITY = ("map", "linear", "sharpened_half1", "sharpened_half2", "reference")
_NOTHING = 1e-30      # range of the values of a map that holds nothing


@dataclass(frozen=True, eq=False)
class HybridResult:
    """What a run left behind.

    Parameters
    ----------
    output, linear, record : Path
        The map for looking, the map for measuring and deposition, the JSON record.
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
    for name, volume in (("map", facts.scaled.output), ("linear", facts.scaled.linear),
                         *extra.items()):
        _require_sense(name, volume.values)
    files = {name: outputs.extra_map(name) for name in extra}
    if "model" in facts.parameters.outputs:
        files["model"] = outputs.named("_model.cif")
    if outputs.report:
        files["report"] = outputs.named("_report.html")
    with all_or_none([*files.values(), outputs.linear, outputs.map, outputs.record]):
        for name, volume in extra.items():
            write_maps({files[name]: volume}, frame, [*labels, map_meaning(name)])
        if "model" in files:
            write_hybrid(files["model"], facts.hybrid, grid=given.observed.average.grid,
                         provenance={"version": __version__, "resolution": facts.resolution.d_min})
        for name, path, volume in (("linear", outputs.linear, facts.scaled.linear),
                                   ("map", outputs.map, facts.scaled.output)):
            write_maps({path: volume}, frame, [*labels, map_meaning(name)])
        record = build_record(facts, given.digests)
        record["hybrid_model"]["file"] = model_file_entry(files.get("model", outputs.kept_model))
        record["outputs"] = {"map": str(outputs.map), "linear": str(outputs.linear),
                             "record": str(outputs.record),
                             **{name: str(path) for name, path in files.items()}}
        if outputs.report:
            from .run_report import write_run_report

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
    raise StageError(f"the {_NAMES.get(name, name)} {fact}, so no file was written. Check the "
                     "maps and the mask; if they are right, run it again with --debug and report "
                     "what it shows")


def _labels(facts: RunFacts) -> list[str]:
    """What the header of every output map says."""
    hybrid = facts.hybrid
    atoms = f"{hybrid.n_atoms} atoms" if hybrid.n_atoms else "no model"
    reference = (f"reference: {atoms} + {hybrid.n_pseudo} pseudo-atoms, "
                 f"{facts.parameters.point_group}, d {facts.resolution.d_min:.2f} A")
    return map_labels(__version__, facts.scaled.label, reference,
                      validated=facts.adps is not None and facts.adps.validated,
                      note="" if facts.update is None else "update of an earlier run")


def _extra_maps(facts: RunFacts, reference: Map) -> dict[str, Map]:
    """The maps that were asked for beside the two that are always written."""
    asked, scaled = facts.parameters.outputs, facts.scaled
    maps: dict[str, Map] = dict(scaled.volumes)
    half_1, half_2 = (scaled.half_1, scaled.half_2) if "halves" in asked else (None, None)
    if half_1 is not None and half_2 is not None:
        maps |= {"sharpened_half1": half_1, "sharpened_half2": half_2}
    if "mask" in asked:
        maps["mask"] = Map(facts.mask.soft, facts.mask.grid, "mask")
    if "reference" in asked:
        maps["reference"] = reference
    if {"localB", "provenance"} & asked:
        from .run_report import local_b_map, provenance_map
    if "localB" in asked:
        maps["localB"] = local_b_map(facts)
    if "provenance" in asked:
        maps["provenance"] = provenance_map(facts)
    return maps
