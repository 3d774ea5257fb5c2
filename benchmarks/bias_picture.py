"""The picture of the bias control: the plane of one haem in every experiment of `bias.py`."""

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from scipy import ndimage

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from locscale_hybrid.maps.mrc import read_map

if TYPE_CHECKING:
    from bias import Model

HAEM = "haem B"
ARM, STEP = 15.0, 0.25  # Å: half the edge of the picture, distance of its points
BAR = 5.0  # Å
IN_PLANE = 1.0  # Å, atoms that are drawn
DARKEST = 2.2  # times the mean density at the protein's atoms
# stem of the run, title of its reference and of its output
ROWS = (
    (
        True,
        ("present_modelled", "output: haem in the model"),
        ("present_not-modelled", "output: haem not in the model"),
    ),
    (
        False,
        ("absent_modelled", "output: haem in the model"),
        ("absent_not-modelled", "output: haem not in the model"),
    ),
)


def draw(model: "Model", folder: Path, path: Path) -> None:
    """Two rows, haem in the density and not; truth, input, references, outputs."""
    points = model.places[HAEM].points
    middle, axes = plane_of(points)
    figure, panels = plt.subplots(2, 6, figsize=(15, 5.6), layout="constrained")
    for row, (there, *runs) in zip(panels, ROWS, strict=True):
        shown = [
            ("truth", folder / f"truth_{there}.mrc"),
            ("input", folder / f"half1_{there}.mrc", folder / f"half2_{there}.mrc"),
        ]
        shown += [
            (title.replace("output", "reference"), folder / f"{stem}_reference.mrc")
            for stem, title in runs
        ]
        shown += [(title, folder / f"{stem}_linear.mrc") for stem, title in runs]
        for panel, (title, *files) in zip(row, shown, strict=True):
            values = np.mean([read_map(file).values for file in files], axis=0)
            _show(panel, section(model, values, middle, axes))
            _atoms(panel, points, middle, axes)
            panel.set_title(title, fontsize=9)
        row[0].text(
            -0.06,
            0.5,
            "density has the haem" if there else "density has no haem",
            transform=row[0].transAxes,
            rotation=90,
            va="center",
            ha="right",
        )
    panels[0, 0].plot([-ARM + 1, -ARM + 1 + BAR], [-ARM + 1, -ARM + 1], color="black", lw=3)
    panels[0, 0].text(-ARM + 1 + BAR / 2, -ARM + 1.6, f"{BAR:.0f} Å", ha="center", fontsize=8)
    figure.suptitle(
        "SIMULATED from PDB 5NI1 at 3.2 Å: the plane of the haem of chain B; "
        "dots: positions of its atoms",
        fontsize=11,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def plane_of(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle of a flat group and two directions in its plane, x y z."""
    middle = points.mean(axis=0)
    axes = np.linalg.svd(points - middle, full_matrices=False)[2]
    return middle, axes[:2]


def section(model: "Model", values: np.ndarray, middle: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Cut a map in the plane, over its level at the protein's atoms; solvent is zero."""
    from bias import CASE, sampled

    steps = np.arange(-ARM, ARM + STEP / 2, STEP)
    places = middle + steps[None, :, None] * axes[0] + steps[:, None, None] * axes[1]
    plane = ndimage.map_coordinates(
        values, places[..., ::-1].transpose(2, 0, 1) / CASE.voxel_size, order=3
    )
    zero = values[model.solvent].mean()
    return (plane - zero) / (sampled(values, model.protein).mean() - zero)


def _show(panel: plt.Axes, plane: np.ndarray) -> None:
    """Draw one panel."""
    panel.imshow(
        plane,
        cmap="gray_r",
        origin="lower",
        vmin=0,
        vmax=DARKEST,
        extent=(-ARM, ARM, -ARM, ARM),
        interpolation="bicubic",
    )
    panel.set(xticks=[], yticks=[])


def _atoms(panel: plt.Axes, points: np.ndarray, middle: np.ndarray, axes: np.ndarray) -> None:
    """Find the atoms of the group in the plane."""
    normal = np.cross(*axes)
    near = points[np.abs((points - middle) @ normal) < IN_PLANE] - middle
    panel.plot(*(near @ axes.T).T, ".", color="tab:orange", markersize=2.5)
