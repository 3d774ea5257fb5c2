"""The parts of a report that compare the model with the map: peaks and scores."""

from collections.abc import Mapping
from html import escape
from typing import Any

from .residue_chart import residue_charts, residue_name

Record = Mapping[str, Any]

_LISTED = 40  # residues with the lowest Q


def peaks_table(record: Record) -> str:
    """List the peaks of the difference map as HTML; empty where there is none."""
    difference = record.get("difference_map")
    if difference is None:
        return ""
    if not difference["peaks"]:
        return f"<p>No peak reaches {difference['level_sd']:g} sd.</p>"
    of = "its noise" if difference["sd_of"] == "noise" else "the map inside the mask"
    head = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("peak", "height, sd", "place x, y, z, Å", "volume, Å³", "nearest residue")
    )
    rows = "".join(
        f'<tr id="peak-{number}"><th scope="row"><a href="#peak-{number}">{number}</a></th>'
        + "".join(f"<td>{escape(text)}</td>" for text in peak_texts(peak))
        + "</tr>"
        for number, peak in enumerate(difference["peaks"], start=1)
    )
    return (
        f"<p>Map minus model, in standard deviations (sd) of {of}. Positive: the model lacks "
        "density. Negative: the model has too much. A strong peak has weaker ripples of the other "
        f'sign around it.</p><table class="facts"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def peak_texts(peak: Record) -> tuple[str, str, str, str]:
    """Height, place, volume and nearest residue of a peak as texts."""
    near = (
        f"{peak['nearest_residue']}, {peak['distance_angstrom']:.1f} Å"
        if peak["nearest_residue"]
        else ""
    )
    place = ", ".join(f"{value:.1f}" for value in peak["position_angstrom"])
    return f"{peak['height_sd']:+.1f}", place, f"{peak['volume_cubic_angstrom']:.0f}", near


def scores_section(record: Record) -> str:
    """Draw the scores of residues and list the lowest; empty where there are none."""
    columns = record.get("scores")
    if not columns or not columns["q"]:
        return ""
    known = [i for i, value in enumerate(columns["q"]) if value is not None]
    lowest = sorted(known, key=lambda i: columns["q"][i])[:_LISTED]
    listed = set(lowest)
    charts = residue_charts(columns, lambda i: f"#residue-{i}" if i in listed else None)
    names = ("q_before", "q", "q_error", "correlation", "b_iso")
    head = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("residue", "Q before", "Q after", "error", "correlation", "B, Å²")
    )
    rows = "".join(
        f'<tr id="residue-{i}"><th scope="row">{escape(residue_name(columns, i))}</th>'
        + "".join(f"<td>{_text(columns[name][i], name)}</td>" for name in names)
        + "</tr>"
        for i in lowest
    )
    return (
        "<p>Q-scores before (orange) and after sharpening (blue), in the unsharpened and the linear "
        "map. Point at a residue for its numbers; click it if it is among the lowest, which the "
        f'table lists.</p>{charts}<table class="facts"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _text(value: float | None, name: str) -> str:
    """Return a number of the table."""
    if value is None:
        return ""
    return f"{value:.0f}" if name == "b_iso" else f"{value:.2f}"
