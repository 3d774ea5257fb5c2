"""Draw the pictures of the gallery: zoomed surfaces with the model, input and output side by side.

    python docs/pictures/zoom.py docs/images

`make pictures` runs it after tutorial.py, which types the commands of the tutorial.  Each row shows
one stretch of a model in the input and in the output, at levels that enclose the same volume.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import gemmi
import matplotlib
import numpy as np
from surface import level_that_encloses, picture, view_along
from tutorial import SIMULATED, WORK, mean_of_halves, read, read_gz, type_commands

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parents[2]
DEPOSITED = ROOT / "examples/data/5ni1.cif.gz"
SIZE = (25.0, 14.0, 15.0)  # Å: width, height, depth
VOXEL = 1.05  # Å, of both cases
ENCLOSED = 28_000.0  # Å³, less than half the volume of the molecule: side chains are seen
MODELLED, MISSING = (0.30, 0.62, 0.35), (0.93, 0.55, 0.15)  # colours of carbon


@dataclass(frozen=True)
class Row:
    """A stretch of a chain.

    Parameters
    ----------
    title : str
    chain : str
    first, last : int
        Numbers of its residues.
    carbon : tuple of float
        Colour of its carbon atoms.
    """

    title: str
    chain: str
    first: int
    last: int
    carbon: tuple[float, float, float]


def residues_of(model: gemmi.Model, row: Row) -> list[gemmi.Residue]:
    """Return the residues of a row."""
    return [
        residue
        for residue in model[row.chain]
        if row.first <= residue.seqid.num <= row.last and residue.name != "HOH"
    ]


def draw(
    path: Path,
    title: str,
    maps: list[tuple[str, np.ndarray]],
    voxel: float,
    model: gemmi.Model,
    rows: list[Row],
) -> None:
    """Draw a row for each stretch, a column for each map."""
    figure, panels = plt.subplots(
        len(rows),
        len(maps),
        figsize=(4.6 * len(maps), 2.85 * len(rows) + 0.4),
        layout="constrained",
        squeeze=False,
    )
    for line, row in zip(panels, rows, strict=True):
        residues = residues_of(model, row)
        backbone = np.array(
            [a.pos.tolist() for r in residues for a in r if a.name in ("N", "CA", "C")]
        )
        view = view_along(backbone, SIZE)
        for panel, (name, values) in zip(line, maps, strict=True):
            level = level_that_encloses(values, ENCLOSED, voxel)
            image = picture(values, voxel, level, view, residues, row.carbon)
            panel.imshow(image, origin="lower", interpolation="bilinear")
            panel.set_axis_off()
            panel.set_title(f"{name}: {row.title}", fontsize=10)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Draw the simulated and the real case."""
    folder = Path(sys.argv[1])
    type_commands()
    halves, out = mean_of_halves(), read(WORK / "simulated_locscale.mrc")
    simulated = gemmi.read_structure(str(SIMULATED / "model_full.cif"))[0]
    rows = [
        Row("modelled (chain B)", "B", 124, 142, MODELLED),
        Row("not modelled (chain D)", "D", 124, 142, MISSING),
    ]
    draw(
        folder / "zoom.png",
        "Half maps SIMULATED from PDB 5NI1 at 3.2 Å; surfaces that enclose the same volume",
        [("input", halves), ("output", out)],
        VOXEL,
        simulated,
        rows,
    )
    draw(
        folder / "zoom_real.png",
        "EMD-3488, REAL density, sharpened and masked by its authors; equal enclosed volume",
        [
            ("input", read_gz(ROOT / "examples/data/emd_3488.mrc.gz")),
            ("output", read(WORK / "emd3488_locscale.mrc")),
        ],
        VOXEL,
        gemmi.read_structure(str(DEPOSITED))[0],
        [Row("chain B", "B", 124, 142, MODELLED)],
    )


if __name__ == "__main__":
    main()
