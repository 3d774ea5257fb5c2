"""Central slices of maps as small images, all to one scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...maps.grid import BoolArray, FloatArray, Grid
from ...maps.morphology import Box, bounding_box, margin_for, part_of
from .png import ByteArray, data_uri

Look = Literal["density", "mask", "local B"]

_MARGIN = 6.0  # Å around the mask
_MOST_PIXELS = 400  # along an edge; finer maps are averaged down
_BRIGHTEST = 0.998  # quantile of a slice's density that is drawn black
_BELOW_ZERO = 0.1  # of that, drawn white
_BAR_SHARE = 0.3  # of the widest picture, which the scale bar stays below
_BARS = (200, 100, 50, 20, 10, 5, 2, 1)  # Å
_AXES = "xyz"
# Ordered to disordered; also the colours of the scale beside the pictures.
RAMP = (
    (0x1F, 0x5F, 0xA8),
    (0x3E, 0x96, 0xB4),
    (0x86, 0xB8, 0x8A),
    (0xE3, 0xB8, 0x4E),
    (0xC8, 0x50, 0x32),
)


@dataclass(frozen=True, eq=False)
class Panel:
    """A map to be shown.

    Parameters
    ----------
    name : str
    values : array
        Of a local B those below zero are not shown.
    look : {"density", "mask", "local B"}
    note : str
        What to say beside the name.
    """

    name: str
    values: FloatArray
    look: Look = "density"
    note: str = ""


def slices_table(panels: Sequence[Panel], grid: Grid, inside: BoolArray) -> str:
    """Three slices of each map through the middle of the mask, as an HTML table.

    Parameters
    ----------
    panels : sequence of Panel
        On the grid.
    grid : Grid
    inside : bool array, shape grid.shape
        The mask; pictures end a little around it.
    """
    box = bounding_box(inside, margin_for(grid, _MARGIN))
    part = part_of(grid, box)
    centre = [(side.start + side.stop) // 2 for side in box]
    widest = max(part.cell)
    heads = "".join(f"<th>{_view_name(axis, grid, centre)}</th>" for axis in range(3))
    rows = []
    for panel in panels:
        cells = "".join(
            f"<td>{_picture(panel, image, view, part, widest)}</td>"
            for view, image in enumerate(_images(panel, box, centre))
        )
        note = f'<span class="note">{escape(panel.note)}</span>' if panel.note else ""
        rows.append(f"<tr><th>{escape(panel.name)}{note}{_scale_of(panel)}</th>{cells}</tr>")
    bar = next((length for length in _BARS if length <= _BAR_SHARE * widest), 1)
    cell = f'<td><span class="scale" style="width:{100 * bar / widest:.3f}%"></span>{bar} Å</td>'
    return (
        f'<table class="slices"><thead><tr><th></th>{heads}</tr></thead>'
        f'<tbody>{"".join(rows)}<tr class="bars"><th></th>{cell * 3}</tr></tbody></table>'
    )


def grey_levels(values: FloatArray, white: float, black: float) -> ByteArray:
    """Values as grey: white up to `white`, black from `black` on."""
    part = np.clip((values - white) / max(black - white, 1e-30), 0, 1)
    return np.asarray(np.rint(255 * (1 - part)), dtype=np.uint8)


def ramp_colours(values: FloatArray, highest: float, shown: BoolArray) -> ByteArray:
    """Values from 0 to `highest` as colours of the ramp, transparent where they are not shown."""
    places = np.linspace(0, 1, len(RAMP))
    part = np.clip(values / max(highest, 1e-30), 0, 1)
    channels = [np.interp(part, places, [colour[i] for colour in RAMP]) for i in range(3)]
    return np.stack([*channels, np.where(shown, 255, 0)], axis=-1).astype(np.uint8)


def _view_name(axis: int, grid: Grid, centre: Sequence[int]) -> str:
    """Say which slice it is; axis 0 looks along z."""
    normal = _AXES[2 - axis]
    across, up = (name for name in _AXES if name != normal)
    place = float(grid.position_of(np.array(centre))[2 - axis])
    return (
        f'{across} → {up} ↑<span class="note">{normal} = {place:.1f} Å, '
        f"section {centre[axis]}</span>"
    )


def _images(panel: Panel, box: Box, centre: Sequence[int]) -> list[ByteArray]:
    """Draw the three sections as pixels, the first row at the top."""
    cuts = [
        np.take(panel.values, centre[axis], axis=axis)[
            tuple(side for other, side in enumerate(box) if other != axis)
        ]
        for axis in range(3)
    ]
    cuts = [_averaged_down(cut)[::-1] for cut in cuts]
    if panel.look == "local B":
        highest = _highest(panel)
        return [ramp_colours(cut, highest, cut >= 0) for cut in cuts]
    if panel.look == "mask":
        return [grey_levels(cut, 0.0, 1.0) for cut in cuts]
    brightest = max(float(np.quantile(cut, _BRIGHTEST)) for cut in cuts)
    return [grey_levels(cut, -_BELOW_ZERO * brightest, brightest) for cut in cuts]


def _averaged_down(cut: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average to at most `_MOST_PIXELS` along an edge."""
    factor = -(-max(cut.shape) // _MOST_PIXELS)
    if factor == 1:
        return cut
    height, width = (side // factor * factor for side in cut.shape)
    blocks = cut[:height, :width].reshape(height // factor, factor, width // factor, factor)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


def _picture(panel: Panel, image: ByteArray, view: int, part: Grid, widest: float) -> str:
    """Make one image, its width to the scale of the table."""
    edges = [part.cell[i] for i in range(3) if i != 2 - view]  # across, up
    normal = _AXES[2 - view]
    return (
        f'<img class="{panel.look.replace(" ", "-")}" src="{data_uri(image)}" '
        f'alt="{escape(panel.name)}, section along {normal}" '
        f'style="width:{100 * edges[0] / widest:.3f}%;'
        f'aspect-ratio:{edges[0]:.4g}/{edges[1]:.4g}">'
    )


def _highest(panel: Panel) -> float:
    """Find the value at the upper end of the colours."""
    shown = panel.values[panel.values > 0]
    return float(np.quantile(shown, 0.98)) if shown.size else 1.0


def _scale_of(panel: Panel) -> str:
    """Explain the colours."""
    if panel.look != "local B":
        return ""
    stops = ",".join(f"rgb({r},{g},{b})" for r, g, b in RAMP)
    return (
        f'<span class="ramp" style="background:linear-gradient(90deg,{stops})"></span>'
        f'<span class="note">0 to {_highest(panel):.0f} Å²</span>'
    )
