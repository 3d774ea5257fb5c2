"""What the log gets beyond the table of a result: peaks, scores.  HTML without ChimeraX."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..results.manager import ResultRecord
    from ..session_types import Json


def peaks_html(kept: ResultRecord) -> str:
    """List the peaks of the difference map, each a link that goes there; empty without any."""
    from locscale_hybrid.results.report.comparison import peak_texts

    difference = kept.record.get("difference_map") or {}
    peaks = difference.get("peaks")
    if peaks is None:
        return ""
    if not peaks:
        return f"The difference map has no peak of {difference['level_sd']:g} sd or more."
    rows = []
    for number, peak in enumerate(peaks, start=1):
        height, place, volume, near = peak_texts(peak)
        command = escape(f"locscale peak #{kept.volume.id_string} {number}")
        rows.append(
            f'<tr><td><a href="cxcmd:{command}">{number}</a></td>'
            + "".join(f"<td>{escape(text)}</td>" for text in (height, place, volume, near))
            + "</tr>"
        )
    head = "".join(
        f"<th>{name}</th>" for name in ("peak", "sd", "x, y, z, Å", "Å³", "nearest residue")
    )
    return (
        '<table border="1" cellpadding="3" cellspacing="0"><tr><th colspan="5">Difference map: '
        "+ the model lacks density, − it has too much</th></tr>"
        f"<tr>{head}</tr>{''.join(rows)}</table>"
    )


def adjustment_in_words(said: Json | None) -> str:
    """Put an adjustment in words, for the log."""
    if not said:
        return "shown as the run made it"
    parts = []
    if said["b_factor_square_angstrom"]:
        parts.append(f"B factor {said['b_factor_square_angstrom']:+g} Å²")
    if said["low_pass_angstrom"]:
        parts.append(f"low-pass {said['low_pass_angstrom']:g} Å")
    return f"shown with {', '.join(parts)}; the linear map is unchanged"


def scores_html(
    columns: dict[str, list[Any]],
    specs: Sequence[str],
    title: str,
    commands: Sequence[tuple[str, str]],
) -> str:
    """Draw the scores of residues, each a link that goes there.

    Parameters
    ----------
    columns : dict of str to list
        `ResidueScores.as_columns`.
    specs : list of str
        How to name each residue in a command.
    title : str
    commands : list of (str, str)
        Commands to offer, and what they do.
    """
    from locscale_hybrid.results.report.residue_chart import residue_charts

    charts = residue_charts(
        columns, lambda i: f"cxcmd:view {specs[i]}; select {specs[i]}", ("#c4541a", "#1f66b3")
    )
    links = " &middot; ".join(
        f'<a href="cxcmd:{escape(command)}">{escape(text)}</a>' for command, text in commands
    )
    return (
        f"<b>{escape(title)}</b><br>{charts}Q before (orange) and after sharpening (blue). Click a "
        f"residue to see it.<br>{links}"
    )
