"""Draw the pictures of the tutorial from what its commands leave in demo_output.

`make pictures` runs it; it types the commands itself where their output is not there yet.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import gemmi
import matplotlib
import mrcfile
import numpy as np
from matplotlib.axes import Axes
from scipy import ndimage
from scipy.spatial import cKDTree

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs/tables/example.json"
TUTORIAL = ROOT / "docs/tutorial.md"
WORK = ROOT / "demo_output"
SIMULATED = WORK / "simulated_5ni1"
LEFT_OUT = "D"
NEAR = 3.0  # Å from the atoms of the chain that the model lacks
FINER = 3  # points of a surface per voxel
GREY, ORANGE = np.array([0.80, 0.82, 0.86]), np.array([0.95, 0.62, 0.25])
LIGHT = np.array([-0.4, 0.5, 0.77])
ENCLOSED = 36_000.0  # Å^3 inside a surface, about half the volume of the molecule
MARGIN = 10  # voxels of the box that are not shown


def type_commands() -> None:
    """Type the tutorial's commands, word by word, if their output is missing."""
    if (WORK / "simulated_locscale.json").exists() and (WORK / "emd3488_locscale.json").exists():
        return
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-e", "-c", typed_commands()],
        cwd=ROOT,
        check=True,
        env=os.environ | {"PATH": programs},
    )


def typed_commands() -> str:
    """Read the commands of the tutorial."""
    blocks = TUTORIAL.read_text(encoding="utf-8").split("```")[1::2]
    return "\n".join(block.removeprefix("sh\n") for block in blocks if block.startswith("sh\n"))


def read(path: Path) -> np.ndarray:
    """Values of a map, [z, y, x]."""
    return mrcfile.read(path).astype(np.float32)


def mean_of_halves() -> np.ndarray:
    """Average the simulated input."""
    return (read(SIMULATED / "half1.mrc") + read(SIMULATED / "half2.mrc")) / 2


def surface(values: np.ndarray, region: np.ndarray, voxel: float) -> np.ndarray:
    """Draw a contour surface seen from +z, as red, green, blue; `region` is coloured."""
    fine = ndimage.zoom(values, FINER, order=1)
    smooth = ndimage.gaussian_filter(fine, 0.45 * FINER)
    level = np.quantile(smooth, 1 - ENCLOSED / (values.size * voxel**3))
    above = smooth > level
    hit = above.any(axis=0)
    top = above.shape[0] - 1 - np.argmax(above[::-1], axis=0)
    rows, columns = np.nonzero(hit)
    index = np.array([top[rows, columns], rows, columns])
    slope = np.array(
        [ndimage.map_coordinates(axis, index, order=1) for axis in np.gradient(smooth)]
    )
    normal = -slope[::-1] / np.maximum(np.linalg.norm(slope, axis=0), 1e-9)
    shade = 0.35 + 0.65 * np.clip(normal.T @ (LIGHT / np.linalg.norm(LIGHT)), 0, 1)
    shade *= 0.45 + 0.55 * top[rows, columns] / above.shape[0] * 1.3
    inside = region[tuple(np.minimum(index // FINER, np.array(region.shape)[:, None] - 1))]
    picture = np.ones((*hit.shape, 3))
    colour = np.where(inside[:, None], ORANGE, GREY)
    picture[rows, columns] = np.clip(shade, 0, 1)[:, None] * colour
    return picture


def region_left_out(shape: tuple[int, ...], voxel: float) -> np.ndarray:
    """Voxels near the chain that the model lacks."""
    model = gemmi.read_structure(str(SIMULATED / "model_full.cif"))[0]
    points = np.array([atom.pos.tolist() for residue in model[LEFT_OUT] for atom in residue])
    places = np.indices(shape).reshape(3, -1).T[:, ::-1] * voxel
    distance, _ = cKDTree(points).query(places, distance_upper_bound=NEAR)
    return np.isfinite(distance).reshape(shape)


def draw_surfaces(path: Path) -> None:
    """Input, output and truth of the simulated case as surfaces of equal volume."""
    record = json.loads((WORK / "simulated_locscale.json").read_text())
    voxel = record["observed"]["voxel_size_angstrom"][0]
    maps = [
        ("mean of the half maps", mean_of_halves()),
        ("output: the display map", read(WORK / "simulated_locscale.mrc")),
        ("truth", read(SIMULATED / "truth.mrc")),
    ]
    region = region_left_out(maps[0][1].shape, voxel)
    figure, panels = plt.subplots(1, 3, figsize=(13, 4.9), layout="constrained")
    for panel, (title, values) in zip(panels, maps, strict=True):
        picture = surface(values, region, voxel)
        panel.imshow(
            picture[MARGIN * FINER : -MARGIN * FINER, MARGIN * FINER : -MARGIN * FINER],
            origin="lower",
        )
        panel.set_title(title, fontsize=10)
        panel.set_axis_off()
    figure.suptitle(
        "Half maps SIMULATED from PDB 5NI1 at 3.2 Å; surfaces that enclose the same "
        "volume; orange: chain D, which the model lacks",
        fontsize=11,
    )
    figure.savefig(path, dpi=80)


def draw_real(path: Path) -> None:
    """Central sections of EMD-3488, its reference and its output."""
    maps = [
        ("EMD-3488 as deposited", read_gz(ROOT / "examples/data/emd_3488.mrc.gz")),
        ("reference: density of the hybrid model", read(WORK / "emd3488_locscale_reference.mrc")),
        ("output", read(WORK / "emd3488_locscale.mrc")),
    ]
    figure, panels = plt.subplots(1, 3, figsize=(10.5, 3.9), layout="constrained")
    for panel, (title, values) in zip(panels, maps, strict=True):
        section = values[len(values) // 2]
        panel.imshow(
            section,
            cmap="gray_r",
            origin="lower",
            interpolation="bicubic",
            vmin=0,
            vmax=np.percentile(section, 99.5),
        )
        panel.set_title(title, fontsize=10)
        panel.set_axis_off()
    figure.suptitle(
        "REAL density, sharpened and masked by its authors: central sections", fontsize=11
    )
    figure.savefig(path, dpi=80)


def read_gz(path: Path) -> np.ndarray:
    """Values of a compressed map."""
    with mrcfile.open(path) as file:
        return np.array(file.data, dtype=np.float32)


def draw_curves(path: Path) -> None:
    """FSC, amplitudes and B factors of the simulated case, from its record."""
    record = json.loads((WORK / "simulated_locscale.json").read_text())
    limit = 1 / record["resolution"]["d_min_angstrom"]
    figure, panels = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    for name, curve in record["resolution"]["half_map_fsc"].items():
        panels[0].plot(curve["frequency_per_angstrom"][1:], curve["fsc"][1:], label=name)
    panels[0].axhline(0.143, color="0.5", lw=0.8, ls="--")
    panels[0].set(title="FSC of the half maps", ylim=(-0.1, 1.02))
    amplitudes = record["amplitudes"]
    for name in ("input", "reference", "output"):
        panels[1].semilogy(
            amplitudes["frequency_per_angstrom"][1:],
            np.maximum(amplitudes[name][1:], 1e-9),
            label=name,
        )
    panels[1].set(
        title="radial amplitudes",
        ylim=(np.max(amplitudes["reference"]) / 1e4, None),
        xlim=(0, 1.35 * limit),
    )
    for panel in panels[:2]:
        panel.axvline(limit, color="0.5", lw=0.8, ls=":")
        _in_angstrom(panel)
    histogram = record["hybrid_model"]["b_iso_histogram"]
    for name in ("model", "pseudo_atoms"):
        panels[2].stairs(
            histogram[name],
            histogram["edges_square_angstrom"],
            fill=True,
            alpha=0.5,
            label=name.replace("_", "-"),
        )
    panels[2].set(title="B factors", xlabel="B (Å²)")
    for panel in panels:
        panel.legend(frameon=False, fontsize=9)
    figure.suptitle(
        "SIMULATED case, from the curves of its record; dotted: the resolution", fontsize=11
    )
    figure.savefig(path, dpi=80)


def _in_angstrom(panel: Axes) -> None:
    """Resolutions along an axis of spatial frequency."""
    shown = [d for d in (10, 6, 5, 4, 3.5, 3, 2.5, 2.2) if 1 / d <= panel.get_xlim()[1]]
    panel.set(
        xlabel="resolution (Å)",
        xticks=[1 / d for d in shown],
        xticklabels=[f"{d:g}" for d in shown],
    )


def write_table() -> None:
    """Numbers of both records, for the sentences of the manual."""
    found = {}
    for name, stem in (("simulated", "simulated_locscale"), ("real", "emd3488_locscale")):
        record = json.loads((WORK / f"{stem}.json").read_text())
        model = record["hybrid_model"]
        found[name] = {
            "resolution": record["resolution"]["d_min_angstrom"],
            "coverage_percent": round(100 * model["model_coverage_of_mask"]),
            "model_atoms": model["model_atoms"],
            "pseudo_atoms": model["pseudo_atoms"],
            "falloff_input": round(record["amplitudes"]["falloff_b_square_angstrom"]["input"]),
            "falloff_output": round(record["amplitudes"]["falloff_b_square_angstrom"]["output"]),
        }
    TABLE.write_text(json.dumps(found, indent=1) + "\n")


def main() -> None:
    """Draw all pictures into a folder."""
    folder = Path(sys.argv[1])
    type_commands()
    draw_real(folder / "tutorial_real.png")
    draw_surfaces(folder / "tutorial_surfaces.png")
    write_table()
    draw_curves(folder / "tutorial_curves.png")


if __name__ == "__main__":
    main()
