"""The charts of a report, from the curves of the record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...fourier.fsc import HALF_MAP_CRITERION
from ...maps.grid import DoubleArray
from .svg import (
    Area,
    Axis,
    Bars,
    Curve,
    Item,
    Mark,
    chart,
    decade_axis,
    legend,
    linear_axis,
    resolution_axis,
)

Record = Mapping[str, Any]

_COMMON = (1 / 15, 1 / 8)  # 1/Å, where the input is brought to the output's amplitude
_BEYOND = 1.35  # times the frequency of the limit that amplitudes are shown to
_JUST_BEYOND = 1.1  # the same for gains
_LOWEST_FSC = -0.1
_DECADES = 5.0  # of amplitude that are shown


@dataclass(frozen=True)
class Figure:
    """A chart with what belongs to it, as HTML; the title and the caption are plain text."""

    title: str
    chart: str
    legend: str
    caption: str


def charts_of(record: Record) -> list[Figure]:
    """Draw all charts that the record has curves for."""
    found = [
        _half_map_fsc(record),
        _hybrid_fsc(record),
        _work_and_free(record),
        _amplitudes(record),
        _gains(record),
        _b_histogram(record),
    ]
    return [figure for figure in found if figure is not None]


def _half_map_fsc(record: Record) -> Figure | None:
    """FSC of the half maps."""
    curves = record["resolution"]["half_map_fsc"]
    if not curves:
        return None
    items = [
        _fsc_curve(name, curves[name], style)
        for style, name in enumerate(("corrected", "masked", "unmasked"))
    ]
    return _fsc_figure(
        "Half maps",
        items,
        record,
        "Half map 1 against half map 2: as they are, inside the mask, and corrected "
        "for the mask by phase randomisation.",
    )


def _hybrid_fsc(record: Record) -> Figure | None:
    """FSC of the hybrid model with what it was refined against."""
    if record["adp"] is None:
        return None
    curves = record["adp"]["hybrid_fsc"]
    one = len(curves) == 1
    items = [
        _fsc_curve("the map" if one else name.replace("_", " "), curve, style)
        for style, (name, curve) in enumerate(curves.items())
    ]
    against = "it" if one else "all of these"
    caption = (
        f"The final hybrid model, which was refined against {against}: how well it fits, "
        "and no validation."
    )
    return _fsc_figure("Hybrid model and map", items, record, caption)


def _work_and_free(record: Record) -> Figure | None:
    """FSC of the model that has seen half map 1 alone."""
    adp = record["adp"]
    if adp is None or adp["refined_on_half_map_1"] is None:
        return None
    free = adp["refined_on_half_map_1"]
    items = [
        _fsc_curve("work: half map 1", free["half_map_1"], 0),
        _fsc_curve("free: half map 2", free["half_map_2"], 1),
    ]
    return _fsc_figure(
        "Work and free",
        items,
        record,
        f"A hybrid model completed and refined on half map 1 alone: mean FSC "
        f"{free['fsc_work']:.3f} with it, {free['fsc_free']:.3f} with half map 2.",
    )


def _fsc_curve(label: str, curve: Record, style: int) -> Curve:
    """Drop the origin of a curve, which a mean subtracted inside the mask makes meaningless."""
    return Curve(
        label, _numbers(curve["frequency_per_angstrom"])[1:], _numbers(curve["fsc"])[1:], style
    )


def _fsc_figure(title: str, items: Sequence[Curve], record: Record, caption: str) -> Figure:
    """FSC against resolution with the limit of the run marked."""
    highest = max(float(item.x[-1]) for item in items)
    axis = linear_axis("FSC", _LOWEST_FSC, 1.0)
    level = Mark(f"{HALF_MAP_CRITERION:g}", y=HALF_MAP_CRITERION)
    marks = [level, _limit(record)] if title == "Half maps" else [_limit(record)]
    drawn: list[Item] = [*marks, *reversed(items)]
    return Figure(
        title,
        chart(f"Fourier shell correlation: {title}", resolution_axis(highest), axis, drawn),
        legend(items),
        caption,
    )


def _amplitudes(record: Record) -> Figure:
    """Radial amplitudes of input, reference and output."""
    given, limit = record["amplitudes"], 1 / record["resolution"]["d_min_angstrom"]
    frequency = _numbers(given["frequency_per_angstrom"])
    curves = {name: _numbers(given[name]) for name in ("output", "reference", "input")}
    common = (frequency >= _COMMON[0]) & (frequency <= _COMMON[1])
    if common.any() and curves["input"][common].any():
        curves["input"] = curves["input"] * (
            curves["output"][common].mean() / curves["input"][common].mean()
        )
    shown = (frequency > 0) & (frequency <= _BEYOND * limit)
    logs = {name: _log10(curve[shown]) for name, curve in curves.items()}
    items = [
        Curve(name, frequency[shown], values, style)
        for style, (name, values) in enumerate(logs.items())
    ]
    return Figure(
        "Amplitudes",
        chart(
            "Radial amplitude",
            resolution_axis(float(frequency[shown][-1])),
            _decades(list(logs.values())),
            [_limit(record), *reversed(items)],
        ),
        legend(items[::-1]),
        "Root mean square amplitude per shell inside the mask. The input is on the scale of the "
        "output between 15 and 8 Å. Where the input holds more noise than signal the output "
        "stays below the reference.",
    )


def _decades(curves: Sequence[DoubleArray]) -> Axis:
    """Make an axis for logarithms of amplitudes."""
    values = np.concatenate([curve[np.isfinite(curve)] for curve in curves])
    if not values.size:
        values = np.zeros(1)
    high = float(values.max()) + 0.1
    low = max(float(values.min()) - 0.1, high - _DECADES)
    return decade_axis("amplitude", low, max(high, low + 1))


def _gains(record: Record) -> Figure | None:
    """Local gain per band."""
    bands = record["scaling"]["bands"]
    frequency = np.array([1 / band["resolution_angstrom"] for band in bands])
    low, middle, high, whole = (
        np.array([band[name] for band in bands])
        for name in ("gain_5_percent", "gain_median", "gain_95_percent", "global_gain")
    )
    shown = frequency <= _JUST_BEYOND / record["resolution"]["d_min_angstrom"]
    x = frequency[shown]
    if len(x) < 2:
        return None
    items: list[Item] = [
        Area("5–95 % of the places", x, low[shown], high[shown], 0),
        Curve("median", x, middle[shown], 0),
        Curve("global, without noise weight", x, whole[shown], 1),
    ]
    top = float(high[shown].max())
    return Figure(
        "Gain",
        chart(
            "Local gain per resolution band",
            resolution_axis(float(x[-1]), lowest=float(x[0])),
            linear_axis("gain", 0.0, 1.05 * top),
            [_limit(record), *items],
        ),
        legend(items),
        " ".join(_about_gains(record)),
    )


def _about_gains(record: Record) -> list[str]:
    """Say what the gains of this run include."""
    said = ["What each band was multiplied by inside the mask."]
    if record["scaling"]["weight"] == "adaptive":
        said.append(
            "The adaptive weight has been applied to the band before, so that at the limit "
            "a high gain meets little density."
        )
    if any(band["noise_weight"] < 1 for band in record["scaling"]["bands"]):
        said.append("The noise weight lowers the local gain where noise prevails.")
    return said


def _b_histogram(record: Record) -> Figure | None:
    """Distribution of B of the atoms and the pseudo-atoms."""
    given = record["hybrid_model"]["b_iso_histogram"]
    edges = _numbers(given["edges_square_angstrom"])
    items = [
        Bars(label, edges, _numbers(given[name]), style)
        for style, (name, label) in enumerate(
            (("model", "model"), ("pseudo_atoms", "pseudo-atoms"))
        )
        if any(given[name])
    ]
    if not items:
        return None
    top = max(float(item.counts.max()) for item in items)
    return Figure(
        "B factors",
        chart(
            "Histogram of B factors",
            linear_axis("B (Å²)", float(edges[0]), float(edges[-1])),
            linear_axis("atoms", 0.0, 1.05 * top),
            items,
        ),
        legend(items),
        "B of the atoms of the model, copies included, and of the pseudo-atoms.",
    )


def _limit(record: Record) -> Mark:
    """Return the resolution of the run."""
    d_min = record["resolution"]["d_min_angstrom"]
    return Mark(f"{d_min:.2f} Å", x=1 / d_min)


def _log10(values: DoubleArray) -> DoubleArray:
    """Logarithms; not a number where there is none."""
    return np.log10(np.where(values > 0, values, np.nan))


def _numbers(values: Sequence[float]) -> DoubleArray:
    """Return a list of the record as an array."""
    return np.array(values, dtype=np.float64)
