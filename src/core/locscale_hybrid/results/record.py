"""The JSON record of a run: what was done, with what, and what came out; enough to repeat it."""

import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from .._version import __version__
from ..comparison.compare import Comparison, peaks_text
from ..comparison.peaks import LEVEL
from ..completion.update import Update
from ..files.json_objects import PROGRAM, RECORD_SCHEMA
from ..findings import Finding
from ..fourier.fsc import FscCurve
from ..inputs.half_maps import Kind
from ..maps.grid import DoubleArray, Grid
from ..masking.mask import Mask
from ..masking.resolution import Resolution
from ..model.hybrid_model import HybridModel
from ..outputs import OutputPaths
from ..parameters import HybridInputs, HybridParameters
from ..progress import Timings
from ..refinement.adp import RefinedAdps
from ..refinement.model_fsc import ModelFsc
from ..scaling.scaled_maps import ScaledMaps
from .amplitudes import AmplitudeCurves
from .command_line import command_words
from .seed_check import SeedChange

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_HISTOGRAM_BINS = 40
_LIBRARIES = ("numpy", "scipy", "mrcfile", "gemmi")


@dataclass(frozen=True, eq=False)
class RunFacts:
    """What the stages of a run handed on.

    Parameters
    ----------
    inputs, parameters, outputs : what was asked for
    executor : str
        How the scaling ran.
    kind : {"halves", "pseudo-halves", "single"}
        What was observed.
    resolution : Resolution
    mask : Mask
    coverage : float
        Share of the mask that the model explains, 0 to 1.
    hybrid : HybridModel
        With the refined B and occupancies.
    adps : RefinedAdps, optional
        None when the refinement was skipped.
    free : ModelFsc, optional
        Of the rerun on half map 1 alone.
    scaled : ScaledMaps
    symmetry_correlation : float, optional
        Least correlation of the output with its images; None without a point group.
    findings : tuple of Finding
    timings : Timings
    amplitudes : AmplitudeCurves
        Of the input, the reference and the output.
    reseeded : SeedChange, optional
        None where the change with the seed was not measured.
    update : Update, optional
        None for a full run.
    comparison : Comparison
        Of the model with the map, as far as it was asked for.
    """

    inputs: HybridInputs
    parameters: HybridParameters
    outputs: OutputPaths
    executor: str
    kind: Kind
    resolution: Resolution
    mask: Mask
    coverage: float
    hybrid: HybridModel
    adps: RefinedAdps | None
    free: ModelFsc | None
    scaled: ScaledMaps
    symmetry_correlation: float | None
    findings: tuple[Finding, ...]
    timings: Timings
    amplitudes: AmplitudeCurves
    reseeded: SeedChange | None
    update: Update | None = None
    comparison: Comparison = field(default_factory=Comparison)


def build_record(facts: RunFacts, digests: Mapping[str, str]) -> dict[str, Any]:
    """Make the record as plain JSON values; names give the units.

    Parameters
    ----------
    facts : RunFacts
    digests : mapping of str to str
        SHA-256 of the inputs as they were read, by field of `HybridInputs`.
    """
    if facts.update is not None:
        digests = {**digests, "previous_record": facts.update.previous.sha256}
    return {
        "schema": RECORD_SCHEMA,
        "program": _program(facts.inputs, facts.parameters),
        "inputs": {
            name: {"path": str(path), "sha256": digests[name]}
            for name, path in facts.inputs.files.items()
        },
        "command": command_words(facts.inputs, facts.parameters, facts.outputs),
        "parameters": facts.parameters.as_dict(),
        "executor": facts.executor,
        "observed": _observed(facts.mask.grid, facts.kind),
        "findings": [finding.as_dict() for finding in facts.findings],
        "resolution": _resolution(facts.resolution),
        "mask": {
            "origin": facts.mask.origin,
            "volume_cubic_angstrom": facts.mask.volume,
            "mass_kilodalton": facts.mask.mass,
        },
        "hybrid_model": _hybrid_model(facts),
        "adp": None if facts.adps is None else _adp(facts.adps, facts.free),
        "update": None if facts.update is None else facts.update.as_dict(),
        "scaling": _scaling(facts.scaled),
        "amplitudes": _amplitudes(facts.amplitudes),
        "reseed_check": _reseeded(facts.reseeded),
        "difference_map": _difference(facts.comparison),
        "scores": None if facts.comparison.scores is None else facts.comparison.scores.as_columns(),
        "symmetry": {
            "point_group": facts.parameters.point_group,
            "least_correlation_of_output": facts.symmetry_correlation,
        },
        "timings": {name: asdict(cost) for name, cost in facts.timings.stages.items()},
    }


def summary_of(facts: RunFacts) -> list[tuple[str, str]]:
    """Make the few lines that a person reads first."""
    hybrid, adps = facts.hybrid, facts.adps
    lines = [
        ("resolution", f"{facts.resolution.d_min:.2f} Å ({facts.resolution.origin})"),
        ("mask", f"{facts.mask.volume:.0f} Å³, {facts.mask.mass:.0f} kDa"),
        ("model", _model_text(facts)),
    ]
    if hybrid.n_atoms:
        lines.append(("B of the model", _quantile_text(hybrid.b_iso[~hybrid.is_pseudo])))
    if hybrid.n_pseudo:
        lines.append(("B of the pseudo-atoms", _quantile_text(hybrid.b_iso[hybrid.is_pseudo])))
    if adps is not None and facts.free is not None and facts.free.work is not None:
        lines.append(
            (
                "FSC of the model",
                f"{facts.free.work:.3f} work, {facts.free.free:.3f} free "
                "(refined on half map 1 alone)",
            )
        )
    if facts.update is not None:
        lines.append(("update", facts.update.statement(facts.kind)))
    lines.append(("weight", facts.scaled.statement))
    if facts.symmetry_correlation is not None:
        lines.append(
            (
                "symmetry",
                f"{facts.parameters.point_group}, correlation of the output with "
                f"its images {facts.symmetry_correlation:.4f} or more",
            )
        )
    lines += _comparison_lines(facts.comparison)
    if facts.reseeded is not None:
        lines.append(
            (
                "another seed",
                f"changes the output by {facts.reseeded.rms_over_sd:.2%} of its sd inside the mask",
            )
        )
    return lines


def _comparison_lines(comparison: Comparison) -> list[tuple[str, str]]:
    """Return the strongest peak of the difference map, and the mean scores."""
    lines = []
    if comparison.difference is not None:
        lines.append(("difference map", peaks_text(comparison.peaks)))
    if comparison.scores is not None:
        before, after = (comparison.scores.means[name] for name in ("q_before", "q"))
        lines.append(("Q-score", f"mean {before:.2f} before and {after:.2f} after sharpening"))
    return lines


def _model_text(facts: RunFacts) -> str:
    """Atoms of the hybrid model in words."""
    hybrid = facts.hybrid
    if not hybrid.n_atoms:
        return f"no model, {hybrid.n_pseudo} pseudo-atoms"
    copies = hybrid.n_atoms - hybrid.n_model
    added = f" + {copies} of symmetry copies" if copies else ""
    return (
        f"{hybrid.n_model} atoms{added} + {hybrid.n_pseudo} pseudo-atoms; "
        f"the model covers {facts.coverage:.0%} of the mask"
    )


def _quantile_text(b_iso: DoubleArray) -> str:
    """Median and range of B."""
    low, middle, high = np.quantile(b_iso, (0.05, 0.5, 0.95))
    return f"{middle:.0f} Å² (5-95 %: {low:.0f}-{high:.0f})"


def _program(inputs: HybridInputs, parameters: HybridParameters) -> dict[str, str]:
    """Names and versions of what ran."""
    other_engine = parameters.refiner == "servalcat" or inputs.monomer_library is not None
    versions = {"name": PROGRAM, "version": __version__, "python": platform.python_version()}
    for library in (*_LIBRARIES, *(["servalcat"] if other_engine else [])):
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            versions[library] = "unknown"
    return versions


def _observed(grid: Grid, kind: Kind) -> dict[str, Any]:
    """Describe the maps and their box, as x, y, z."""
    return {
        "kind": kind,
        "box_voxels": list(reversed(grid.shape)),
        "voxel_size_angstrom": list(grid.voxel_size),
        "origin_angstrom": list(grid.origin),
    }


def _resolution(resolution: Resolution) -> dict[str, Any]:
    """Resolution and the curves behind it."""
    curves = (
        {}
        if resolution.curves is None
        else {
            "unmasked": _curve(resolution.curves.unmasked),
            "masked": _curve(resolution.curves.masked),
            "corrected": _curve(resolution.curves.corrected),
        }
    )
    return {"d_min_angstrom": resolution.d_min, "origin": resolution.origin, "half_map_fsc": curves}


def _hybrid_model(facts: RunFacts) -> dict[str, Any]:
    """Numbers of atoms, and B of both kinds."""
    hybrid = facts.hybrid
    return {
        "model_atoms": hybrid.n_model,
        "copied_atoms": hybrid.n_atoms - hybrid.n_model,
        "pseudo_atoms": hybrid.n_pseudo,
        "model_coverage_of_mask": facts.coverage,
        "b_iso_square_angstrom": {
            "model": _quantiles(hybrid.b_iso[~hybrid.is_pseudo]),
            "pseudo_atoms": _quantiles(hybrid.b_iso[hybrid.is_pseudo]),
        },
        "b_iso_histogram": _histogram(hybrid),
    }


def _histogram(hybrid: HybridModel) -> dict[str, list[float] | list[int]]:
    """Count atoms by B."""
    highest = float(hybrid.b_iso.max()) if len(hybrid) else 1.0
    edges = np.linspace(0.0, highest, _HISTOGRAM_BINS + 1)
    kinds = {"model": ~hybrid.is_pseudo, "pseudo_atoms": hybrid.is_pseudo}
    return {
        "edges_square_angstrom": _rounded(edges),
        **{
            name: np.histogram(hybrid.b_iso[those], edges)[0].tolist()
            for name, those in kinds.items()
        },
    }


def _adp(adps: RefinedAdps, free: ModelFsc | None) -> dict[str, Any]:
    """Describe how B was refined and validated."""
    return {
        "validated": adps.validated,
        "tau_square_angstrom": adps.tau,
        "tau_scan": [
            {"tau_square_angstrom": trial.tau, "fsc_work": trial.work, "fsc_free": trial.free}
            for trial in adps.scan
        ],
        "atoms_at_lower_bound": adps.n_low,
        "atoms_at_upper_bound": adps.n_high,
        "hybrid_fsc": _curves(adps.fsc),
        "refined_on_half_map_1": None
        if free is None
        else {"fsc_work": free.work, "fsc_free": free.free, **_curves(free)},
    }


def _curves(fsc: ModelFsc) -> dict[str, Any]:
    """FSC of a model against the average and both halves."""
    given = {"average": fsc.average, "half_map_1": fsc.half_1, "half_map_2": fsc.half_2}
    return {name: _curve(curve) for name, curve in given.items() if curve is not None}


def _scaling(scaled: ScaledMaps) -> dict[str, Any]:
    """Describe what local scaling did."""
    return {
        "weight": scaled.policy,
        "statement": scaled.statement,
        "share_without_reference": scaled.silent_share,
        "bands": [
            {
                "resolution_angstrom": band.resolution,
                "gain_median": band.median,
                "gain_5_percent": band.low,
                "gain_95_percent": band.high,
                "global_gain": band.global_gain,
                "noise_weight": band.noise_weight,
            }
            for band in scaled.bands
        ],
    }


def _amplitudes(curves: AmplitudeCurves) -> dict[str, Any]:
    """Radial amplitudes, and their slopes as B."""
    return {
        "frequency_per_angstrom": _rounded(curves.frequency),
        **{
            name: [float(f"{value:.6g}") for value in curve]
            for name, curve in curves.by_name.items()
        },
        "falloff_b_square_angstrom": curves.falloff_b,
    }


def _reseeded(change: SeedChange | None) -> dict[str, float] | None:
    """Change of the output with the seed."""
    return (
        None if change is None else {"seed": change.seed, "rms_change_over_sd": change.rms_over_sd}
    )


def _difference(comparison: Comparison) -> dict[str, Any] | None:
    """Return the peaks of the difference map."""
    if comparison.difference is None:
        return None
    return {
        "sd_of": "noise" if comparison.difference.from_halves else "map",
        "level_sd": LEVEL,
        "peaks": [peak.as_dict() for peak in comparison.peaks],
    }


def _curve(curve: FscCurve) -> dict[str, list[float]]:
    """Write a curve as two lists."""
    return {"frequency_per_angstrom": _rounded(curve.frequency), "fsc": _rounded(curve.correlation)}


def _quantiles(values: DoubleArray) -> dict[str, float]:
    """Quantiles by name; nothing for no values."""
    if not len(values):
        return {}
    return {
        f"{quantile:.0%}": round(float(value), 3)
        for quantile, value in zip(_QUANTILES, np.quantile(values, _QUANTILES), strict=True)
    }


def _rounded(values: Iterable[float]) -> list[float]:
    """Numbers for JSON, to six digits."""
    return [round(float(value), 6) for value in values]
