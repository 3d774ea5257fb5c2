"""Colors of the panel, made from the palette: readable on a light and on a dark background."""

from __future__ import annotations

from Qt.QtGui import QPalette

Color = tuple[int, ...]  # red, green, blue

LEAST_CONTRAST = 4.5  # WCAG 2, for text of normal size
# What each level would be; made lighter or darker until it can be read.
_WISHED = {"problem": "#c0392b", "warning": "#b9770e", "note": ""}


def text_color(level: str, palette: QPalette) -> str:
    """Color of a notice, "#rrggbb".

    Parameters
    ----------
    level : {"problem", "warning", "note"}
    palette : QPalette
    """
    back = _rgb(palette.color(QPalette.ColorRole.Window).name())
    plain = palette.color(QPalette.ColorRole.WindowText).name()
    wished = _WISHED.get(level)
    return plain if not wished else "#{:02x}{:02x}{:02x}".format(*readable(_rgb(wished), back))


def readable(color: Color, background: Color) -> Color:
    """Make a color lighter or darker until its contrast with the background is enough.

    Parameters
    ----------
    color, background : (red, green, blue)
        0 to 255.

    Returns
    -------
    (red, green, blue)
    """
    end = 255 if luminance(background) < 0.18 else 0
    for share in range(0, 101, 5):
        mixed = tuple(round(part + (end - part) * share / 100) for part in color)
        if contrast(mixed, background) >= LEAST_CONTRAST:
            return mixed
    return (end,) * 3


def contrast(one: Color, other: Color) -> float:
    """Contrast of two colors, 1 to 21, as WCAG 2 defines it."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def luminance(color: Color) -> float:
    """Relative luminance of a color, 0 to 1, as WCAG 2 defines it."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (value / 255 for value in color)
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _rgb(name: str) -> Color:
    """Parts of "#rrggbb"."""
    return tuple(int(name[place : place + 2], 16) for place in (1, 3, 5))
