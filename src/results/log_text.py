"""What the log gets: findings, one table, the shell line, links.  HTML without ChimeraX."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ..comparison.text import adjustment_in_words, peaks_html
from ..words import message_of
from .kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..session_types import Finding, Json, Logger
    from .manager import ResultRecord


def log_record(logger: Logger, kept: ResultRecord, *, findings: bool = True) -> None:
    """Log how a result was made.

    Parameters
    ----------
    logger : Logger
    kept : ResultRecord
    findings : bool
        Repeat what was found in the input.
    """
    logger.info(record_html(kept, findings=findings), is_html=True)


def log_check(logger: Logger, title: str, findings: list[Finding]) -> None:
    """Log that the check is over, and what to make of it."""
    warnings = sum(finding.get("level") == "warning" for finding in findings)
    said = {0: "nothing to warn of", 1: "1 warning, above"}.get(
        warnings, f"{warnings} warnings, above"
    )
    logger.info(f"LocScale check of {title}: {said}")


def record_html(kept: ResultRecord, *, findings: bool = True) -> str:
    """Format the table, the shell line and the links of a result as HTML."""
    rows = [("made from", ", ".join(f"{role} {label}" for role, label in kept.made_from.items()))]
    rows += table_rows(kept.record)
    if kept.seconds is not None:
        rows.append(("time", _duration(kept.seconds)))
    body = _table(rows)
    if findings and kept.record.get("findings"):
        body += _row("findings", "<br>".join(map(_finding, kept.record["findings"])), markup=True)
    title = f"LocScale result #{kept.volume.id_string} {escape(kept.volume.name)}"
    parts = [
        f'<table border="1" cellpadding="3" cellspacing="0"><tr><th colspan="2">{title}'
        f"</th></tr>{body}</table>"
    ]
    if kept.shell_line:
        needs = f", {kept.shell_needs}" if kept.shell_needs else ""
        parts.append(f"In a shell{needs}: <code>{escape(kept.shell_line)}</code>")
    parts += [html for html in (peaks_html(kept),) if html]
    links = _links(kept)
    if links:
        parts.append(" &middot; ".join(links))
    return "<br>".join(parts)


def _finding(finding: Finding) -> str:
    """Format one finding as markup."""
    return f"<i>{escape(str(finding.get('level', '')))}</i>: {escape(message_of(finding))}"


def table_rows(record: Json) -> list[tuple[str, str]]:
    """Pairs of a label and a text for what the core's record holds; what is missing is left out."""
    rows = []
    resolution = record.get("resolution", {})
    if "d_min_angstrom" in resolution:
        rows.append(
            ("resolution", f"{resolution['d_min_angstrom']:.2f} Å ({resolution.get('origin', '')})")
        )
    mask = record.get("mask", {})
    if "volume_cubic_angstrom" in mask:
        rows.append(
            (
                "mask",
                f"{mask['volume_cubic_angstrom']:,.0f} Å³, about "
                f"{mask.get('mass_kilodalton', 0):.0f} kDa",
            )
        )
    region = record.get("parameters", {}).get("region")
    if region:
        rows.append(
            (
                "region alone",
                ", ".join(
                    f"{axis} {low:.4g} to {high:.4g}"
                    for axis, low, high in zip("xyz", region[:3], region[3:], strict=True)
                )
                + " Å",
            )
        )
    rows += _model_rows(record.get("hybrid_model", {}))
    rows += _validation_rows(record)
    if record.get("adjusted"):
        rows.append(("adjusted", adjustment_in_words(record["adjusted"])))
    scaling = record.get("scaling", {})
    if scaling.get("bands"):
        rows.append(
            (
                "gain, median (5 to 95 %)",
                _gains(scaling["bands"], resolution.get("d_min_angstrom", 0)),
            )
        )
    if "weight" in scaling:
        rows.append(("noise weighting", str(scaling["weight"])))
    return rows


def _duration(seconds: float) -> str:
    """Say how long a run took: "8 s", "2 min 5 s"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _model_rows(model: Json) -> list[tuple[str, str]]:
    """Rows about the atoms."""
    if not model:
        return []
    atoms, copied, pseudo = (
        model.get(f"{kind}_atoms", 0) for kind in ("model", "copied", "pseudo")
    )
    copies = f"{copied} of symmetry copies, " if copied else ""
    rows = [
        (
            "model",
            f"{atoms} atoms, {copies}{pseudo} pseudo-atoms; the model covers "
            f"{model.get('model_coverage_of_mask', 0):.0%} of the mask"
            if atoms
            else f"none: {pseudo} pseudo-atoms fill the mask",
        )
    ]
    for kind, quantiles in model.get("b_iso_square_angstrom", {}).items():
        if quantiles:
            rows.append(
                (
                    f"B of the {kind.replace('_', '-')}",
                    f"{quantiles.get('50%', 0):.0f} Å² (5 to 95 %: "
                    f"{quantiles.get('5%', 0):.0f} to {quantiles.get('95%', 0):.0f})",
                )
            )
    return rows


def _validation_rows(record: Json) -> list[tuple[str, str]]:
    """Say what an update did, and how the hybrid model fits half map 2 if it was validated."""
    update = record.get("update") or {}
    rows = []
    if update:
        number = update["pseudo_atoms"]
        rows.append(
            (
                "update",
                f"{number['kept']} pseudo-atoms stayed, {number['dropped']} went, "
                f"{number['added']} are new",
            )
        )
    free = (record.get("adp") or {}).get("refined_on_half_map_1")
    earlier = update.get("earlier_validation")
    if free:
        rows.append(
            (
                "FSC of the model",
                f"{free['fsc_work']:.3f} work, {free['fsc_free']:.3f} "
                "free (refined on half map 1 alone)",
            )
        )
    elif earlier:
        rows.append(
            (
                "FSC of the model",
                "not validated again; of the earlier hybrid model "
                f"{earlier['fsc_work']:.3f} work, {earlier['fsc_free']:.3f} free",
            )
        )
    return rows


def _gains(bands: list[Json], d_min: float) -> str:
    """Gains of the coarsest, a middle and the finest band that the resolution reaches."""
    last = max(sum(band["resolution_angstrom"] >= d_min for band in bands) - 1, 0)
    chosen = {place: bands[place] for place in (0, last // 2, last)}
    return "; ".join(
        f"{band['resolution_angstrom']:.1f} Å: {band['gain_median']:.3g} "
        f"({band['gain_5_percent']:.3g} to {band['gain_95_percent']:.3g})"
        for band in chosen.values()
    )


# maps to color a result by: palette, and what the link says
_PALETTES = {
    "localB": ("cyanmaroon", "local B"),
    "resolution": ("cyanmaroon", "local resolution"),
    "gain": ("cyanmaroon", "local gain at "),
    "provenance": (
        "0,#bbbbbb:1,#6495ed:2,#ff8c00",
        "the source of the reference (model blue, pseudo-atoms orange)",
    ),
}


def color_commands(kept: ResultRecord) -> dict[str, str]:
    """Commands that color a result, by what it is then colored by.

    A color key is shown with them; local B has the range of the atoms.

    Parameters
    ----------
    kept : ResultRecord

    Returns
    -------
    dict of str to str
    """
    commands = {}
    for model in kept.companions:
        kind = None if model.deleted else kind_of(model)
        if kind is None or kind.split("_")[0] not in _PALETTES:
            continue
        palette, meaning = _PALETTES[kind.split("_")[0]]
        words = f"color sample #{kept.volume.id_string} map #{model.id_string} palette {palette}"
        if kind == "localB":
            words += _range_of_b(kept.record)
        commands[meaning + kind.partition("_")[2]] = f"{words} key true"
    return commands


def _range_of_b(record: Json) -> str:
    """Return the range of the atoms' B factors for the command; empty if there is none."""
    kinds = ((record.get("hybrid_model") or {}).get("b_iso_square_angstrom") or {}).values()
    ends = [(found.get("5%"), found.get("95%")) for found in kinds if found]
    ends = [pair for pair in ends if None not in pair]
    if not ends:
        return ""
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    return f" range {low:.0f},{high:.0f}" if round(low) < round(high) else ""


def _links(kept: ResultRecord) -> list[str]:
    """Links to act on a result, and where its files are."""
    spec = f"#{kept.volume.id_string}"
    links = [_command(f"locscale hybrid update {spec}", "sharpen again with the current model")]
    if kept.parameters.get("region") is not None:
        links.append(
            _command(f"locscale hybrid update {spec} subregion all", "sharpen the whole map")
        )
    links += [_command(words, f"color by {what}") for what, words in color_commands(kept).items()]
    for model in kept.companions:
        kind = None if model.deleted else kind_of(model)
        if kind is not None and kind.split("_")[0] not in _PALETTES:
            links.append(_command(f"show #{model.id_string} models", f"show {kind}"))
    report, folder = kept.files.get("report"), kept.files.get("folder")
    if report and Path(report).exists():
        links.append(_command(f'open "{report}"', "report"))
    if folder and Path(folder).exists():
        links.append(f"files in <code>{escape(folder)}</code>")
    return links


def _command(command: str, text: str) -> str:
    """Make a link that runs a command."""
    return f'<a href="cxcmd:{escape(command)}">{escape(text)}</a>'


def _table(rows: Iterable[tuple[str, str]]) -> str:
    """Rows of plain text."""
    return "".join(_row(label, text) for label, text in rows)


def _row(label: str, text: str, *, markup: bool = False) -> str:
    """Format one row; `text` is escaped unless it is markup."""
    return f"<tr><td>{escape(label)}</td><td>{text if markup else escape(text)}</td></tr>"
