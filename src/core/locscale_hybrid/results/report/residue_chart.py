"""Scores along the chains of a model as SVG: Q before and after sharpening, one chain a chart.

Every residue is a link, so that a reader of the report sees its numbers and a user of ChimeraX
goes there.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

Columns = Mapping[str, Sequence[Any]]
Link = Callable[[int], str | None]

LEFT, RIGHT, TOP, BOTTOM, HEIGHT = 34, 8, 18, 20, 132  # pixels
_WIDEST, _PER_RESIDUE = 900, 5.0  # pixels
_LOWEST, _HIGHEST = -0.2, 1.0
_LINES = (0.0, 0.5, 1.0)
_NUMBER_EVERY = 50  # residues
_MOST_CHAINS = 60


def residue_charts(columns: Columns, link: Link, colors: tuple[str, str] | None = None) -> str:
    """Draw the scores of all chains.

    Parameters
    ----------
    columns : mapping
        `ResidueScores.as_columns`.
    link : callable
        Gives the address for a residue by its place in the columns; None: no link.
    colors : (str, str), optional
        Of the lines before and after sharpening, where no style sheet gives them.

    Returns
    -------
    str
        SVG elements one after the other.
    """
    chains = list(dict.fromkeys(columns["chain"]))[:_MOST_CHAINS]
    places = {name: [i for i, c in enumerate(columns["chain"]) if c == name] for name in chains}
    return "".join(_chart(columns, name, places[name], link, colors) for name in chains)


def residue_text(columns: Columns, i: int) -> str:
    """Return what is said about a residue: "A HIS 87: Q 0.52 before, 0.71 ± 0.03 after, ..."."""
    error = columns["q_error"][i]
    parts = [
        f"Q {_two(columns['q_before'][i])} before, {_two(columns['q'][i])}"
        + (f" ± {_two(error)}" if error is not None else "")
        + " after",
        f"correlation {_two(columns['correlation'][i])}",
    ]
    b_iso = columns["b_iso"][i]
    if b_iso is not None:
        parts.append(f"B {b_iso:.0f} Å²")
    return f"{residue_name(columns, i)}: {', '.join(parts)}"


def residue_name(columns: Columns, i: int) -> str:
    """Return what to call a residue: "A HIS 87"."""
    return f"{columns['chain'][i]} {columns['residue'][i]} {columns['number'][i]}"


def _two(value: float | None) -> str:
    """Return a number with two digits."""
    return "unknown" if value is None else f"{value:.2f}"


def _chart(
    columns: Columns, chain: str, places: list[int], link: Link, colors: tuple[str, str] | None
) -> str:
    """Return the chart of one chain."""
    step = min(_PER_RESIDUE, (_WIDEST - LEFT - RIGHT) / len(places))
    width = int(LEFT + RIGHT + max(step * len(places), 120))
    xs = [LEFT + step * (k + 0.5) for k in range(len(places))]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" '
        f'width="{width}" height="{HEIGHT}" class="residues" role="img" '
        f'aria-label="Q-scores of chain {escape(chain, quote=True)}">'
        f'<text x="{LEFT}" y="12">chain {escape(chain)}</text>'
    ]
    for value in _LINES:
        y = _y(value)
        parts.append(
            f'<line class="grid" stroke="#bbb" x1="{LEFT}" x2="{width - RIGHT}" y1="{y:.1f}" '
            f'y2="{y:.1f}"/><text x="4" y="{y + 4:.1f}">{value:g}</text>'
        )
    parts += [
        f'<text x="{xs[k]:.1f}" y="{HEIGHT - 5}" text-anchor="middle">'
        f"{escape(str(columns['number'][i]))}</text>"
        for k, i in enumerate(places)
        if k % _NUMBER_EVERY == 0
    ]
    for number, name in enumerate(("q_before", "q")):
        style = f'fill="none" stroke="{colors[number]}"' if colors else 'fill="none"'
        path = _path(xs, [columns[name][i] for i in places])
        parts.append(f'<path class="c{1 - number}" {style} stroke-width="1.5" d="{path}"/>')
    parts += [
        _target(columns, i, x - step / 2, step, link(i)) for i, x in zip(places, xs, strict=True)
    ]
    return "".join([*parts, "</svg>"])


def _target(columns: Columns, i: int, x: float, width: float, address: str | None) -> str:
    """Return the strip of a residue that shows its numbers and may be clicked."""
    strip = (
        f'<rect x="{x:.1f}" y="{TOP}" width="{width:.1f}" height="{HEIGHT - TOP - BOTTOM}" '
        f'fill="transparent"><title>{escape(residue_text(columns, i))}</title></rect>'
    )
    return strip if address is None else f'<a href="{escape(address)}">{strip}</a>'


def _path(xs: list[float], values: list[float | None]) -> str:
    """Return a line through the values, broken where there is none."""
    words, drawing = [], False
    for x, value in zip(xs, values, strict=True):
        if value is None:
            drawing = False
            continue
        words.append(f"{'L' if drawing else 'M'}{x:.1f} {_y(value):.1f}")
        drawing = True
    return "".join(words)


def _y(value: float) -> float:
    """Place of a Q in the chart."""
    share = (min(max(value, _LOWEST), _HIGHEST) - _LOWEST) / (_HIGHEST - _LOWEST)
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
