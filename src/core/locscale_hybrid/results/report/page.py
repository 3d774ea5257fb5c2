"""Stage 8: the report of a run as one HTML page that needs no network and no script.

Everything that comes from a file or from the user is escaped; nothing else is trusted to be plain.
"""

import shlex
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path, PurePath
from typing import Any

from ...files.atomic import replacing
from .charts import Figure, charts_of
from .comparison import peaks_table, scores_section
from .style import STYLE
from .text import caveats, deeds, table_rows, timing_rows

_MARKS = {"warning": "Warning", "note": "Note"}


def report_page(record: Mapping[str, Any], slices: str = "") -> str:
    """Compose the report of a run.

    Parameters
    ----------
    record : mapping
        The record of the run, its outputs included.
    slices : str
        HTML of the pictures; none by default.

    Returns
    -------
    str
        The page.
    """
    title = PurePath(record["outputs"]["map"]).name
    sections = [
        _section("What was done", "<p>" + escape(" ".join(deeds(record))) + "</p>"),
        _section("Findings", _findings(record["findings"])),
        _section("Numbers", _facts(table_rows(record))),
        _section("Curves", _figures(charts_of(record))),
        _section("Sections", slices) if slices else "",
        *(
            _section(title, content)
            for title, content in (
                ("Difference map", peaks_table(record)),
                ("Scores of residues", scores_section(record)),
            )
            if content
        ),
        _section("To be careful about", _list(caveats(record))),
        _section("To repeat this run", _command(record)),
        _section("Files and versions", _files(record)),
        _section("Time and memory", _timings(record)),
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{escape(title)}: LocScale'
        f" report</title>\n<style>{STYLE}</style></head>\n<body>\n<header><h1>{escape(title)}"
        f'</h1><p class="lead">Local sharpening with a hybrid model — '
        f"{escape(record['program']['name'])} {escape(record['program']['version'])}</p>"
        f"</header>\n<main>\n{''.join(sections)}</main>\n</body></html>\n"
    )


def write_report(path: Path, page: str) -> None:
    """Write a report under its name once it is complete.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    with replacing(path) as stream:
        stream.write(page.encode("utf-8", "replace"))  # a name may hold bytes that are no letter


def _section(title: str, content: str) -> str:
    """Make a headed part of the page."""
    return f"<section><h2>{escape(title)}</h2>\n{content}</section>\n"


def _findings(findings: Iterable[Mapping[str, Any]]) -> str:
    """List the findings, warnings first."""
    ordered = sorted(findings, key=lambda finding: finding["level"] != "warning")
    if not ordered:
        return "<p>None: nothing about the input or the result was odd.</p>"
    entries = "".join(
        f'<li class="is-{escape(finding["level"])}"><b>{_MARKS.get(finding["level"], "Note")}</b>'
        f"{escape(finding['message'])} <code>{escape(finding['code'])}</code></li>"
        for finding in ordered
    )
    return f'<ul class="findings">{entries}</ul>'


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    """Make a table of two columns."""
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>'
        for name, text in rows
    )
    return f'<table class="facts">{body}</table>'


def _figures(figures: Iterable[Figure]) -> str:
    """Charts side by side where there is room."""
    return (
        '<div class="charts">'
        + "".join(
            f"<figure><h3>{escape(figure.title)}</h3>{figure.legend}{figure.chart}"
            f"<figcaption>{escape(figure.caption)}</figcaption></figure>"
            for figure in figures
        )
        + "</div>"
    )


def _list(texts: Iterable[str]) -> str:
    """Sentences as a list."""
    return f'<ul class="plain">{"".join(f"<li>{escape(text)}</li>" for text in texts)}</ul>'


def _command(record: Mapping[str, Any]) -> str:
    """Show the command line, and the shorter one that reads the record."""
    again = shlex.join(["locscale", "--from", record["outputs"]["record"]])
    lines: list[list[str]] = [[]]
    for word in record["command"]:
        if word.startswith("-"):
            lines.append([])
        lines[-1].append(word)
    typed = " \\\n    ".join(map(shlex.join, lines))
    return (
        f"<pre><code>{escape(typed)}</code></pre>"
        f"<p>Or, with all inputs held to their hashes: <code>{escape(again)}</code></p>"
    )


def _files(record: Mapping[str, Any]) -> str:
    """List input files with their hashes, output files, and what it ran on."""
    rows = [
        (name.replace("_", " "), f"{entry['path']} — SHA-256 {entry['sha256']}")
        for name, entry in record["inputs"].items()
    ]
    rows += [(f"output, {name}", path) for name, path in record["outputs"].items()]
    versions = record["program"]
    rows.append(
        (
            "versions",
            ", ".join(
                f"{name} {versions[name]}" for name in versions if name not in ("name", "version")
            ),
        )
    )
    return _facts([*rows, ("ran on", record["executor"])])


def _timings(record: Mapping[str, Any]) -> str:
    """Seconds and memory of the stages."""
    *stages, total = timing_rows(record)
    head = (
        '<thead><tr><th scope="col">stage</th><th class="number" scope="col">seconds</th>'
        '<th class="number" scope="col">peak memory, GiB</th><td></td></tr></thead>'
    )

    def row(cells: tuple[str, str, str], kind: str = "") -> str:
        """Make one line."""
        return (
            f'<tr{kind}><th scope="row">{escape(cells[0])}</th><td class="number">{cells[1]}'
            f'</td><td class="number">{cells[2]}</td><td></td></tr>'
        )

    return (
        f'<table class="facts">{head}<tbody>{"".join(map(row, stages))}'
        + row(total, ' class="sum"')
        + "</tbody></table>"
    )
