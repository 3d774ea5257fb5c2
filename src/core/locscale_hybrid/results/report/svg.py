"""Charts as inline SVG: curves, ranges, bars and marked places on two axes.

Colours are classes, `c0` to `c3`, which the page that holds the chart defines, together with
`grid`, `mark`, `area` and `bar`; so a chart follows the page from light to dark.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from ...maps.grid import DoubleArray

WIDTH, HEIGHT = 460, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 12, 14, 46
_DASHES = ("", "7 3", "2 3", "9 3 2 3")
_NICE_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_RESOLUTIONS = (
    20,
    15,
    12,
    10,
    8,
    7,
    6,
    5,
    4.5,
    4,
    3.5,
    3.2,
    3,
    2.8,
    2.6,
    2.4,
    2.2,
    2,
    1.8,
    1.6,
    1.5,
    1.4,
    1.3,
    1.2,
    1.1,
    1,
    0.9,
    0.8,
    0.7,
    0.6,
    0.5,
)  # Å
_TICK_SPACING = 34  # pixels
_MARK_ROOM = 56  # pixels that the word of a mark needs


@dataclass(frozen=True, eq=False)
class Curve:
    """A line through points.

    Parameters
    ----------
    label : str
    x, y : arrays, shape (n,)
        Points that are not finite break the line.
    style : int
        Colour and dashes, 0 to 3.
    """

    label: str
    x: DoubleArray
    y: DoubleArray
    style: int = 0


@dataclass(frozen=True, eq=False)
class Area:
    """What lies between two curves over the same x."""

    label: str
    x: DoubleArray
    low: DoubleArray
    high: DoubleArray
    style: int = 0


@dataclass(frozen=True, eq=False)
class Bars:
    """A histogram: counts between edges, shapes (n,) and (n + 1,)."""

    label: str
    edges: DoubleArray
    counts: DoubleArray
    style: int = 0


@dataclass(frozen=True)
class Mark:
    """A straight line across the chart at an x or a y, with a word beside it."""

    label: str
    x: float | None = None
    y: float | None = None


@dataclass(frozen=True)
class Axis:
    """The range of an axis and what is written along it.

    Parameters
    ----------
    label : str
    low, high : float
    ticks : sequence of (float, str)
        Place and text.
    """

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]


Item = Curve | Area | Bars | Mark


def linear_axis(label: str, low: float, high: float, *, n_ticks: int = 6) -> Axis:
    """Make an axis with round numbers, widened to the next tick if that is near."""
    if not high > low:
        high = low + 1.0
    raw = (high - low) / n_ticks
    scale = 10.0 ** np.floor(np.log10(raw))
    step = scale * next(nice for nice in _NICE_STEPS if nice * scale >= raw * (1 - 1e-9))
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    digits = max(0, int(-np.floor(np.log10(step) + 1e-9)) + (step / scale == 2.5))
    return Axis(
        label,
        low,
        high,
        tuple((i * step, f"{i * step + 0.0:.{digits}f}") for i in range(first, last + 1)),
    )


def resolution_axis(highest: float, *, lowest: float = 0.0) -> Axis:
    """Make an axis linear in spatial frequency, 1/Å, with resolutions in Å along it."""
    spacing = _TICK_SPACING / (WIDTH - _LEFT - _RIGHT) * (highest - lowest)
    ticks: list[tuple[float, str]] = []
    for resolution in _RESOLUTIONS:
        place = 1.0 / resolution
        if lowest <= place <= highest and (not ticks or place - ticks[-1][0] >= spacing):
            ticks.append((place, f"{resolution:g}"))
    return Axis("resolution (Å)", lowest, highest, tuple(ticks))


def decade_axis(label: str, low: float, high: float) -> Axis:
    """Make an axis of decimal logarithms with powers of ten along it."""
    first, last = int(np.ceil(low - 1e-9)), int(np.floor(high + 1e-9))
    step = max(1, (last - first) // 6 + 1)
    return Axis(
        label,
        low,
        high,
        tuple(
            (float(i), f"1e{i}" if abs(i) > 2 else f"{10.0**i:g}")
            for i in range(first, last + 1, step)
        ),
    )


def chart(title: str, x: Axis, y: Axis, items: Sequence[Item]) -> str:
    """Draw a chart.

    Parameters
    ----------
    title : str
        Read out in place of the picture.
    x, y : Axis
    items : sequence of Curve, Area, Bars or Mark
        Drawn in this order; what lies outside the axes is cut off.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    frame = _Frame(x, y)
    name = f"clip{abs(hash_of(title))}"
    drawn = [_draw(frame, item) for item in items if not isinstance(item, Mark)]
    marks = [_mark(frame, item) for item in items if isinstance(item, Mark)]
    return "\n".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
            f'<clipPath id="{name}"><rect x="{_LEFT}" y="{_TOP}" width="{WIDTH - _LEFT - _RIGHT}" '
            f'height="{HEIGHT - _TOP - _BOTTOM}"/></clipPath>',
            _axes(frame),
            f'<g clip-path="url(#{name})">',
            *drawn,
            "</g>",
            *marks,
            "</svg>",
        ]
    )


def legend(items: Sequence[Item]) -> str:
    """List the names of curves, areas and bars with a sample of each, as HTML."""
    entries = []
    for item in items:
        if isinstance(item, Mark) or not item.label:
            continue
        sample = (
            f'<path class="c{item.style}" d="M0 6H26"{_dashes(item.style)}/>'
            if isinstance(item, Curve)
            else f'<rect class="{_kind(item)} f{item.style}" y="1" width="26" height="10"/>'
        )
        entries.append(
            f'<li><svg class="sample" viewBox="0 0 26 12">{sample}</svg>{escape(item.label)}</li>'
        )
    return f'<ul class="legend">{"".join(entries)}</ul>'


def hash_of(text: str) -> int:
    """Return a number for a text, the same in every process."""
    value = 0
    for letter in text.encode():
        value = (value * 31 + letter) % (1 << 32)
    return value


@dataclass(frozen=True)
class _Frame:
    """Places values on the picture."""

    x: Axis
    y: Axis

    def across(self, value: DoubleArray | float) -> DoubleArray:
        """Pixels from the left."""
        part = (np.asarray(value, dtype=np.float64) - self.x.low) / (self.x.high - self.x.low)
        return np.asarray(_LEFT + part * (WIDTH - _LEFT - _RIGHT))

    def down(self, value: DoubleArray | float) -> DoubleArray:
        """Pixels from the top, within ten heights of the picture."""
        part = (np.asarray(value, dtype=np.float64) - self.y.low) / (self.y.high - self.y.low)
        return np.asarray(HEIGHT - _BOTTOM - np.clip(part, -10, 10) * (HEIGHT - _TOP - _BOTTOM))


def _draw(frame: _Frame, item: Curve | Area | Bars) -> str:
    """Draw one item."""
    if isinstance(item, Curve):
        path = _path(frame.across(item.x), frame.down(item.y))
        return (
            f'<path class="c{item.style}"{_dashes(item.style)} d="{path}">'
            f"<title>{escape(item.label)}</title></path>"
        )
    if isinstance(item, Area):
        x = np.concatenate([item.x, item.x[::-1]])
        path = _path(frame.across(x), frame.down(np.concatenate([item.low, item.high[::-1]])))
    else:
        x = np.repeat(item.edges, 2)
        y = np.concatenate([[0.0], np.repeat(item.counts, 2), [0.0]])
        path = _path(frame.across(x), frame.down(y))
    return (
        f'<path class="{_kind(item)} f{item.style}" d="{path}Z">'
        f"<title>{escape(item.label)}</title></path>"
    )


def _kind(item: Area | Bars) -> str:
    """Return the class of an area."""
    return "area" if isinstance(item, Area) else "bar"


def _path(x: DoubleArray, y: DoubleArray) -> str:
    """Path data; a new piece after every point that is not finite."""
    words, pen = [], "M"
    for left, top in zip(x.tolist(), y.tolist(), strict=True):
        if not (np.isfinite(left) and np.isfinite(top)):
            pen = "M"
            continue
        words.append(f"{pen}{left:.1f} {top:.1f}")
        pen = "L"
    return "".join(words)


def _dashes(style: int) -> str:
    """Attribute that tells curves apart without colour."""
    return f' stroke-dasharray="{_DASHES[style]}"' if _DASHES[style] else ""


def _mark(frame: _Frame, mark: Mark) -> str:
    """Draw a line across the chart and its word; at the edge that is free."""
    if mark.x is not None:
        x = float(frame.across(mark.x))
        anchor, shift = ("end", -4) if x > WIDTH - _RIGHT - _MARK_ROOM else ("start", 4)
        return (
            f'<path class="mark" d="M{x:.1f} {_TOP}V{HEIGHT - _BOTTOM}"/>'
            f'<text x="{x + shift:.1f}" y="{_TOP + 11}" text-anchor="{anchor}">'
            f"{escape(mark.label)}</text>"
        )
    y = float(frame.down(mark.y or 0.0))
    return (
        f'<path class="mark" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>'
        f'<text x="{WIDTH - _RIGHT - 4}" y="{y - 4:.1f}" text-anchor="end">'
        f"{escape(mark.label)}</text>"
    )


def _axes(frame: _Frame) -> str:
    """Grid lines, tick texts and labels."""
    low, bottom, right = HEIGHT - _BOTTOM, HEIGHT - 8, WIDTH - _RIGHT
    parts = []
    for value, text in frame.y.ticks:
        y = float(frame.down(value))
        parts.append(
            f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
        )
    for value, text in frame.x.ticks:
        x = float(frame.across(value))
        parts.append(
            f'<path class="tick" d="M{x:.1f} {low}v4"/>'
            f'<text x="{x:.1f}" y="{low + 17}" text-anchor="middle">{text}</text>'
        )
    middle = (_TOP + low) / 2
    parts.append(
        f'<path class="axis" d="M{_LEFT} {_TOP}V{low}H{right}"/>'
        f'<text x="{(_LEFT + right) / 2:.0f}" y="{bottom}" text-anchor="middle">'
        f"{escape(frame.x.label)}</text>"
        f'<text x="12" y="{middle:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 12 {middle:.0f})">{escape(frame.y.label)}</text>'
    )
    return "".join(parts)
