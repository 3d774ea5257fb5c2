"""What the CCP-EM Pipeliner shows of a finished job, from the record of the run."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pipeliner.display_tools import (
    create_results_display_object,
    make_map_model_thumb_and_display,
    make_mrcs_central_slices_montage,
)

from ..remedies import Remedy
from .words import PIPELINER

Record = Mapping[str, Any]

_CRITERION = 0.143  # where the FSC of two half maps ends; Rosenthal & Henderson (2003)
_LOWEST_FSC = -0.1


def failed_run(folder: str) -> list[Any]:
    """Show the log of a run without a record: its errors, else its output; nothing before it began.

    Parameters
    ----------
    folder : str
        Of the job.
    """
    for name, title in (("run.err", "What went wrong"), ("run.out", "How far the run came")):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.path.getsize(path):
            return [create_results_display_object("textfile", title=title, file_path=path)]
    return []


def findings_table(record: Record, record_path: str) -> list[Any]:
    """Show a table of the findings, warnings first; nothing if there are none."""
    found = sorted(record["findings"], key=lambda finding: finding["level"] != "warning")
    if not found:
        return []
    return [
        create_results_display_object(
            "table",
            title="Findings",
            headers=["Level", "Finding"],
            table_data=[[finding["level"], _message(finding)] for finding in found],
            associated_data=[record_path],
        )
    ]


def _message(finding: Record) -> str:
    """Word a finding with the labels of the job's options."""
    if "fact" not in finding:  # of an earlier version
        return str(finding["message"])
    remedies = [Remedy.from_dict(values) for values in finding["remedies"]]
    return PIPELINER.sentence(finding["fact"], remedies)


def map_and_model(record: Record, output: str, model: str, folder: str) -> list[Any]:
    """Show the result with the hybrid model in 3D, marked if there are warnings."""
    warnings = sum(finding["level"] == "warning" for finding in record["findings"])
    flag = f"Read the warnings among the findings first: {warnings}." if warnings else ""
    models = [model] if os.path.isfile(model) else []
    return [
        make_map_model_thumb_and_display(
            outputdir=folder,
            maps=[output],
            models=models,
            start_collapsed=False,
            flag=flag,
            title="Sharpened map and hybrid model (pseudo-atoms are residue PSAT)",
        )
    ]


def slices(inputs: Mapping[str, str], folder: str) -> list[Any]:
    """Central slices of maps.

    Parameters
    ----------
    inputs : mapping of str to str
        Labels by path.  Files that are gone are left out, and compressed ones, which the
        Pipeliner cannot draw.
    folder : str
        Of the job.
    """
    there = {
        path: label
        for path, label in inputs.items()
        if os.path.isfile(path) and not path.lower().endswith(".gz")
    }
    return [make_mrcs_central_slices_montage(in_files=there, output_dir=folder)] if there else []


def fsc_graph(record: Record, record_path: str) -> list[Any]:
    """FSC of the half maps and of the model with both; nothing where the record has no curve."""
    curves = _fsc_curves(record)
    if not curves:
        return []
    limit = record["resolution"]["d_min_angstrom"]
    highest = max(max(x) for x, _ in curves.values())
    if record["resolution"]["half_map_fsc"]:
        curves[f"{_CRITERION:g}"] = ([0.0, highest], [_CRITERION, _CRITERION])
    curves[f"{limit:.2f} Å"] = ([1 / limit, 1 / limit], [_LOWEST_FSC, 1.0])
    return [
        create_results_display_object(
            "graph",
            title=f"Fourier shell correlation; resolution {limit:.2f} Å",
            xvalues=[x for x, _ in curves.values()],
            yvalues=[y for _, y in curves.values()],
            data_series_labels=list(curves),
            xaxis_label="Spatial frequency (1/Å)",
            yaxis_label="FSC",
            xrange=[0.0, highest],
            yrange=[_LOWEST_FSC, 1.0],
            associated_data=[record_path],
        )
    ]


def html_report(path: str) -> list[Any]:
    """Show the report of the run, if it was written."""
    if not os.path.isfile(path):
        return []
    return [
        create_results_display_object(
            "html", title="Report", html_file=path, associated_data=[path]
        )
    ]


def key_figures(record: Record) -> dict[str, Any]:
    """Return the figures of a run that the Pipeliner keeps as metadata; names give units."""
    hybrid, adp = record["hybrid_model"], record["adp"]
    free = None if adp is None else adp["refined_on_half_map_1"]
    return {
        "program_version": record["program"]["version"],
        "resolution_angstrom": record["resolution"]["d_min_angstrom"],
        "resolution_origin": record["resolution"]["origin"],
        "point_group": record["symmetry"]["point_group"],
        "model_coverage_of_mask": hybrid["model_coverage_of_mask"],
        "model_atoms": hybrid["model_atoms"],
        "pseudo_atoms": hybrid["pseudo_atoms"],
        "b_iso_square_angstrom": hybrid["b_iso_square_angstrom"],
        "fsc_work": None if free is None else free["fsc_work"],
        "fsc_free": None if free is None else free["fsc_free"],
        "weight": record["scaling"]["weight"],
        "gain_by_resolution": [
            {
                name: band[name]
                for name in (
                    "resolution_angstrom",
                    "gain_median",
                    "gain_5_percent",
                    "gain_95_percent",
                )
            }
            for band in record["scaling"]["bands"]
        ],
        "findings": [
            {name: finding[name] for name in ("code", "level", "message")}
            for finding in record["findings"]
        ],
    }


def _fsc_curves(record: Record) -> dict[str, tuple[list[float], list[float]]]:
    """Frequencies and correlations by label."""
    halves, adp = record["resolution"]["half_map_fsc"], record["adp"]
    found: dict[str, Record] = {}
    for name in ("corrected", "masked"):
        if name in halves:
            found[f"half maps, {name}"] = halves[name]
    free = None if adp is None else adp["refined_on_half_map_1"]
    if free is not None:
        found |= {
            label: free[name]
            for name, label in (
                ("half_map_1", "model, work (half map 1)"),
                ("half_map_2", "model, free (half map 2)"),
            )
            if name in free
        }
    elif adp is not None:
        found["model and map, not validated"] = adp["hybrid_fsc"]["average"]
    return {label: _without_origin(curve) for label, curve in found.items()}


def _without_origin(curve: Record) -> tuple[list[float], list[float]]:
    """Drop the origin of a curve, which a mean subtracted inside the mask makes meaningless."""
    x: Sequence[float] = curve["frequency_per_angstrom"]
    y: Sequence[float] = curve["fsc"]
    return list(x[1:]), list(y[1:])
