"""Draw and list the axes of every symmetry setting, from the operators that the program uses.

`make pictures` runs it with the picture and the table that it is to write.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Ellipse, Patch, RegularPolygon

from locscale_hybrid.symmetry.point_groups import PointGroup, parse_point_group

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SHOWN = (("C4", "D3", "O"), ("T", "TXZ", "T222"), ("I1", "I2 = I"), ("I3", "I4"))
COLOURS = {2: "tab:blue", 3: "tab:green", 4: "tab:purple", 5: "tab:red"}
SIZE = 0.085  # of the sphere's radius
ON_RIM = 1e-6
# number of nearest neighbours that a corner of the solid is joined to, and the fold of a corner
SOLIDS = {"O": (3, 3), "I": (5, 5)}


def axes_of(group: PointGroup) -> Iterator[tuple[np.ndarray, int]]:
    """List every axis once, with its fold; the end that faces the viewer."""
    found: list[np.ndarray] = []
    turns: list[int] = []
    for axis in group.axes:
        facing = axis if tuple(np.round(axis[::-1], 6)) > (0, 0, 0) else -axis
        for number, known in enumerate(found):
            if np.allclose(facing, known, atol=1e-6):
                turns[number] += 1
                break
        else:
            found.append(facing)
            turns.append(2)
    return zip(found, turns, strict=True)


def symbol_at(x: float, y: float, fold: int) -> Patch:
    """Draw the crystallographer's sign of an axis: lens, triangle, square, pentagon."""
    colour = COLOURS.get(fold, "black")
    if fold == 2:
        return Ellipse((x, y), 1.1 * SIZE, 2.3 * SIZE, color=colour, zorder=4)
    return RegularPolygon((x, y), fold, radius=1.35 * SIZE, color=colour, zorder=4)


def edges_of(corners: np.ndarray, neighbours: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Edges of a regular solid on the side that faces the viewer."""
    distance = np.linalg.norm(corners[:, None] - corners[None], axis=-1)
    length = np.sort(distance, axis=1)[0, 1 : neighbours + 1].max()
    for i, j in zip(*np.nonzero(distance < length * 1.01), strict=True):
        if i < j and corners[i, 2] + corners[j, 2] > -1e-6:
            yield corners[i], corners[j]


def draw(panel: Axes, title: str) -> None:
    """Draw one setting as it is seen from +z, x to the right and y up."""
    symbol = title.split()[0]
    axes = list(axes_of(parse_point_group(symbol)))
    panel.add_patch(Circle((0, 0), 1, fill=False, color="0.5"))
    for x, y, name in ((1.28, 0, "x"), (0, 1.28, "y")):
        panel.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "->", "color": "0.6"})
        panel.text(1.09 * x + 0.02, 1.09 * y, name, ha="center", va="center", color="0.35")
    if symbol[0] in SOLIDS:
        neighbours, fold = SOLIDS[symbol[0]]
        corners = np.array([sign * axis for axis, n in axes if n == fold for sign in (1, -1)])
        for first, second in edges_of(corners, neighbours):
            panel.plot(*np.transpose([first, second])[:2], color="0.82", lw=1, zorder=1)
    for axis, fold in axes:
        ends = [axis, -axis] if abs(axis[2]) < ON_RIM else [axis]
        for x, y, _ in ends:
            panel.add_patch(symbol_at(x, y, fold))
    panel.set(xlim=(-1.2, 1.5), ylim=(-1.2, 1.5), aspect="equal", title=title)
    panel.set_axis_off()


def listed() -> str:
    """Format a Markdown table of all axes of the settings with more than one main axis."""
    lines = ["| symbol | axis | number | along (x, y, z) |", "|---|---|---|---|"]
    for symbol in ("T", "TXZ", "T222", "O", "I1", "I2", "I3", "I4"):
        axes = list(axes_of(parse_point_group(symbol)))
        for fold in sorted({fold for _, fold in axes}, reverse=True):
            same = [axis for axis, n in axes if n == fold]
            same.sort(key=lambda axis: tuple(-np.round(axis[::-1], 4)))
            texts = ", ".join(
                "(" + ", ".join(f"{value + 0.0:.3g}" for value in np.round(axis, 3)) + ")"
                for axis in same
            )
            lines.append(f"| `{symbol}` | {fold}-fold | {len(same)} | {texts} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Draw all settings on one sheet, and write the table."""
    picture, text = (Path(name) for name in sys.argv[1:])
    text.write_text(listed(), encoding="utf-8")
    titles = [title for row in SHOWN for title in row]
    figure, panels = plt.subplots(2, 5, figsize=(13, 5.6), layout="constrained")
    for panel, title in zip(panels.flat, titles, strict=True):
        draw(panel, title)
    signs = [Patch(color=colour, label=f"{fold}-fold") for fold, colour in COLOURS.items()]
    figure.legend(handles=signs, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(
        "Axes as seen from +z (towards the viewer): lens 2-fold, triangle 3-fold, "
        "square 4-fold, pentagon 5-fold",
        fontsize=11,
    )
    figure.savefig(picture, dpi=90)


if __name__ == "__main__":
    main()
