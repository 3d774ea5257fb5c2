"""Draw the picture of the README: central slices of input, reference, output and truth.

    python examples/picture.py docs/images/result.png

The case is SIMULATED (5NI1 without chain D, see simulate.py), and the picture says so.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import gemmi
import matplotlib
import mrcfile
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from simulate import Simulation, simulate

matplotlib.use("Agg")
import matplotlib.pyplot as plt

MODEL = Path(__file__).resolve().parent / "data/5ni1.cif.gz"
LEFT_OUT = "D"
SCALE_BAR = 20.0  # Å
MARGIN = 10  # voxels of the box that are not shown


def run_case(folder: Path) -> None:
    """Simulate and sharpen."""
    simulate(Simulation(MODEL, drop_chains=(LEFT_OUT,)), folder)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "locscale_hybrid",
            "-hm",
            folder / "half1.mrc",
            folder / "half2.mrc",
            "-mc",
            folder / "model_partial.cif",
            "--complete_model",
            "--outputs",
            "reference",
            "-o",
            folder / "out.mrc",
        ],
        check=True,
    )


def slices(folder: Path) -> list[tuple[str, NDArray[np.float32]]]:
    """Titles and central sections, [y, x]."""
    halves = [mrcfile.read(folder / name) for name in ("half1.mrc", "half2.mrc")]
    maps = [
        ("input: mean of the half maps", (halves[0] + halves[1]) / 2),
        ("reference: density of the hybrid model", mrcfile.read(folder / "out_reference.mrc")),
        ("output: the display map", mrcfile.read(folder / "out.mrc")),
        ("truth", mrcfile.read(folder / "truth.mrc")),
    ]
    return [(title, values[len(values) // 2]) for title, values in maps]


def left_out_region(folder: Path, section: int) -> NDArray[np.float64]:
    """Distance, Å, of the voxels of a section to the atoms that the model lacks, [y, x]."""
    model = gemmi.read_structure(str(folder / "model_full.cif"))[0]
    positions = np.array([atom.pos.tolist() for residue in model[LEFT_OUT] for atom in residue])
    edge = np.arange(Simulation.box) * Simulation.voxel_size
    y, x = np.meshgrid(edge, edge, indexing="ij")
    voxels = np.stack([x, y, np.full_like(x, edge[section])], axis=-1)
    distance, _ = cKDTree(positions).query(voxels)
    return np.asarray(distance)


def draw(folder: Path, path: Path) -> None:
    """Four panels in a row, a scale bar in the first."""
    figure, axes = plt.subplots(1, 4, figsize=(14, 4.1), layout="constrained")
    region = left_out_region(folder, Simulation.box // 2)
    for panel, (title, section) in zip(axes, slices(folder), strict=True):
        panel.imshow(
            section,
            cmap="gray_r",
            origin="lower",
            interpolation="bicubic",
            vmin=np.median(section),
            vmax=np.percentile(section, 99.7),
        )
        panel.contour(region, levels=[3.0], colors="tab:orange", linewidths=1)
        panel.set(
            title=title,
            xlim=(MARGIN, Simulation.box - MARGIN),
            ylim=(MARGIN, Simulation.box - MARGIN),
        )
        panel.set_axis_off()
    length = SCALE_BAR / Simulation.voxel_size
    left, low = MARGIN + 2, MARGIN + 2
    axes[0].plot([left, left + length], [low, low], color="black", linewidth=3)
    axes[0].text(left + length / 2, low + 1.5, f"{SCALE_BAR:.0f} Å", ha="center")
    figure.suptitle(
        "Half maps SIMULATED from PDB 5NI1 at 3.2 Å; orange: around the atoms of "
        "chain D, which the model lacks",
        fontsize=11,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Run the case and draw it."""
    with tempfile.TemporaryDirectory() as name:
        run_case(Path(name))
        draw(Path(name), Path(sys.argv[1]))


if __name__ == "__main__":
    main()
