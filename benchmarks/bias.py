"""Bias control: whether the result shows what is there or what the model says is there.

    python benchmarks/bias.py              measures and prints; about five minutes
    python benchmarks/bias.py --docs docs  also writes the manual's tables and picture

Four SIMULATED experiments on haemoglobin (PDB 5NI1, as `examples/simulate.py` makes it, 3.2 Å):
four haems and 14 residues of a helix are in the density or not, and in the model or not.  What is
there must appear although the model lacks it, and what the model has must not appear where there
is nothing.  Then half maps of noise alone, and the haems of the REAL map EMD-3488.
"""

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree
from simulated import EXAMPLES, basic
from table import table
from truth_tables import fixed

from locscale_hybrid import HybridInputs, HybridParameters, Progress, output_paths, run_hybrid
from locscale_hybrid.inputs.half_maps import ObservedMaps
from locscale_hybrid.maps.mrc import read_map
from locscale_hybrid.parallel.executors import SerialExecutor
from locscale_hybrid.scaling.scale import scale_map
from locscale_hybrid.scaling.scaling_input import ScalingInput

CASE = basic.Simulation(EXAMPLES / "5ni1.cif.gz")
SEEDS = (1, 2)
STRETCH = ("B", 125, 138)  # chain, first and last residue: most of helix H
RADIUS = 3.0  # Å around the atoms of a group
SHIFTS = 12  # of the reference, for what chance gives
KEPT = frozenset({"reference", "mask", "halves"})
# name, whether the density has the groups, whether the model has them, whether it is completed
RUNS = (
    ("present, modelled", True, True, True),
    ("present, not modelled", True, False, True),
    ("present, not modelled, no pseudo-atoms", True, False, False),
    ("absent, modelled", False, True, True),
    ("absent, not modelled", False, False, True),
)
HEAD = ("density, model", "map", "haems", "sd of 4", "noise", "cc", "helix", "noise", "cc")


@dataclass
class Place:
    """A group of atoms, and the voxels around it that belong to no other atoms.

    Parameters
    ----------
    points : array, shape (n, 3)
        Å, x y z.
    region : array of bool, [z, y, x]
    """

    points: np.ndarray
    region: np.ndarray


class Model:
    """Haemoglobin in the box, with and without the groups."""

    def __init__(self) -> None:
        """Read it and lay out the places."""
        self.full = basic.prepared_model(CASE)
        self.bare = self.full.clone()
        for chain in self.bare[0]:
            for index in reversed(range(len(chain))):
                if group_of(chain.name, chain[index]):
                    del chain[index]
        groups: dict[str, list[list[float]]] = {}
        for site in self.full[0].all():
            name = group_of(site.chain.name, site.residue)
            groups.setdefault(name, []).append(site.atom.pos.tolist())
        self.protein = np.array(groups.pop(""))
        self.places = {name: self._place(np.array(points)) for name, points in groups.items()}
        self.solvent = basic.distance_to_atoms(self.full, CASE) > 12

    def _place(self, points: np.ndarray) -> Place:
        """Place the group at these points."""
        voxels = np.indices(CASE.shape).reshape(3, -1).T[:, ::-1] * CASE.voxel_size
        own = cKDTree(points).query(voxels)[0]
        other = cKDTree(self.protein).query(voxels)[0]
        return Place(points, ((own < RADIUS) & (own < other)).reshape(CASE.shape))

    def structure(self, with_groups: bool) -> gemmi.Structure:
        """Make the structure, all or what is left of it."""
        return self.full if with_groups else self.bare

    def level(self, values: np.ndarray, points: np.ndarray) -> float:
        """Mean density at points over that at the atoms of the protein, both above solvent."""
        zero = values[self.solvent].mean()
        at, protein = (sampled(values, p).mean() - zero for p in (points, self.protein))
        return float(at / protein)


def group_of(chain: str, residue: gemmi.Residue) -> str:
    """Name of the group of a residue; empty for the protein that stays."""
    if residue.name == "HEM":
        return f"haem {chain}"
    name, first, last = STRETCH
    return "helix" if chain == name and first <= residue.seqid.num <= last else ""


def sampled(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Sample a map of the case at points, Å, by linear interpolation."""
    return ndimage.map_coordinates(values, points[:, ::-1].T / CASE.voxel_size, order=1)


def make_maps(model: Model, folder: Path, seed: int) -> None:
    """Write truth and halves with and without the groups and of noise alone, and both models."""
    rng = np.random.default_rng(seed)
    distance = basic.distance_to_atoms(model.full, CASE)
    noise_sd = None
    for there in (True, False):
        structure = model.structure(there)
        protein = basic.density(structure, CASE)
        away = basic.distance_to_atoms(structure, CASE)
        level = CASE.solvent * protein[away < 2.5].mean()
        outside = np.where(away < 2.5, 0.0, level)
        truth = protein + CASE.filtered(outside, CASE.falloff(basic.SOLVENT_SMOOTHING))
        signal = CASE.filtered(truth, CASE.falloff(CASE.blur))
        noise_sd = noise_sd or basic.noise_level(signal, distance, CASE)
        basic.write_map(folder / f"truth_{there}.mrc", truth, CASE.voxel_size)
        for half in (1, 2):
            noisy = signal + rng.normal(0, noise_sd, CASE.shape)
            basic.write_map(folder / f"half{half}_{there}.mrc", noisy, CASE.voxel_size)
        written = basic.without_chains(structure, ())
        written.make_mmcif_document().write_file(str(folder / f"model_{there}.cif"))
    for half in (1, 2):
        basic.write_map(
            folder / f"half{half}_noise.mrc", rng.normal(0, noise_sd, CASE.shape), CASE.voxel_size
        )


def read(path: Path) -> np.ndarray:
    """Values of a map in float64."""
    return read_map(path).values.astype(np.float64)


def simulated_runs(model: Model, folder: Path) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Level, noise and correlation at each place, by run and by map."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    wanted = read(folder / "truth_True.mrc")
    for there, name in ((True, "present"), (False, "absent")):
        found[name] = {"truth": measured(model, read(folder / f"truth_{there}.mrc"), None, wanted)}
        halves = [read(folder / f"half{half}_{there}.mrc") for half in (1, 2)]
        found[name]["input"] = measured(
            model, (halves[0] + halves[1]) / 2, (halves[0] - halves[1]) / 2, wanted
        )
    for name, there, modelled, complete in RUNS:
        stem = folder / name.replace(", ", "_").replace(" ", "-")
        run_hybrid(
            HybridInputs(
                folder / f"half1_{there}.mrc",
                folder / f"half2_{there}.mrc",
                model=folder / f"model_{modelled}.cif",
            ),
            HybridParameters(outputs=KEPT, complete_model=complete),
            output_paths(stem.with_suffix(".mrc")),
        )
        first, second = (read(stem.with_name(f"{stem.name}_sharpened_half{i}.mrc")) for i in (1, 2))
        found[name] = {
            "reference": measured(
                model, read(stem.with_name(f"{stem.name}_reference.mrc")), None, wanted
            ),
            "linear": measured(
                model, read(stem.with_name(f"{stem.name}_linear.mrc")), (first - second) / 2, wanted
            ),
            "display": measured(model, read(stem.with_suffix(".mrc")), None, wanted),
        }
    return found


def measured(
    model: Model, values: np.ndarray, noise: np.ndarray | None, wanted: np.ndarray
) -> dict[str, list[float]]:
    """Level at each place, what noise alone gives there, correlation with the groups' density."""
    scale = sampled(values, model.protein).mean() - values[model.solvent].mean()
    result: dict[str, list[float]] = {"level": [], "cc": [], "noise": []}
    for place in model.places.values():
        result["level"].append(model.level(values, place.points))
        result["cc"].append(float(np.corrcoef(values[place.region], wanted[place.region])[0, 1]))
        if noise is not None:
            result["noise"].append(float(sampled(noise, place.points).mean() / scale))
    return result


def noise_alone(folder: Path) -> dict[str, float]:
    """Correlation of pure noise, scaled to the full model's reference, with that reference.

    A whole run refuses such maps, because the model does not fit them; so this is its last stage.
    """
    halves = [read_map(folder / f"half{half}_noise.mrc") for half in (1, 2)]
    observed = ObservedMaps(
        halves[0].with_values((halves[0].values + halves[1].values) / 2), *halves, "halves"
    )
    reference, mask = (
        read_map(folder / f"there_modelled_{name}.mrc") for name in ("reference", "mask")
    )
    inside = mask.values > 0.5

    def scaled(**parameters: object) -> np.ndarray:
        return scale_map(
            ScalingInput(
                observed, reference, mask.values, CASE.resolution, HybridParameters(**parameters)
            ),
            SerialExecutor(),
            folder,
            Progress(),
        ).output.values.astype(np.float64)

    worst, default = scaled(weight="none", noise_weight=False), scaled()
    rolled = [
        correlation(worst, np.roll(reference.values, 7 * (i + 1), axis=i % 3), inside)
        for i in range(SHIFTS)
    ]
    return {
        "cc": correlation(worst, reference.values, inside),
        "cc_chance": float(np.sqrt(np.mean(np.square(rolled)))),
        "rms": float(default[inside].std() / worst[inside].std()),
    }


def correlation(first: np.ndarray, second: np.ndarray, inside: np.ndarray) -> float:
    """Correlation of two maps inside a mask."""
    return float(np.corrcoef(first[inside], second[inside])[0, 1])


def real_haems(folder: Path) -> list[tuple[str, float, float]]:
    """Levels at the haems of EMD-3488, whose built model lacks them; mean and sd of the four."""
    structure = gemmi.read_structure(str(EXAMPLES / "5ni1.cif.gz"))
    haems: dict[str, list[list[float]]] = {}
    protein = []
    for site in structure[0].all():
        if site.residue.name == "HEM":
            haems.setdefault(site.chain.name, []).append(site.atom.pos.tolist())
        elif site.residue.name != "HOH":
            protein.append(site.atom.pos.tolist())
    given = EXAMPLES / "emd_3488.mrc.gz"
    maps = [("input: the map as deposited", given)]
    for name, model, complete in (
        ("modelled", "5ni1.cif.gz", True),
        ("not modelled", "modelangelo_in_emd3488.cif.gz", True),
        ("not modelled, no pseudo-atoms", "modelangelo_in_emd3488.cif.gz", False),
    ):
        path = folder / f"real_{name.replace(', ', '_').replace(' ', '-')}.mrc"
        run_hybrid(
            HybridInputs(full_map=given, model=EXAMPLES / model),
            HybridParameters(point_group="C2", complete_model=complete, resolution=3.2),
            output_paths(path),
        )
        maps.append((name, path))
    rows = []
    for name, path in maps:
        volume = read_map(path)
        levels = np.array([interpolated(volume, np.array(points)) for points in haems.values()])
        levels = levels / interpolated(volume, np.array(protein))
        rows.append((name, float(levels.mean()), float(levels.std(ddof=1))))
    return rows


def interpolated(volume: object, points: np.ndarray) -> float:
    """Mean of a map at points, Å; its solvent is zero."""
    grid = volume.grid
    index = (points - np.array(grid.origin)) / np.array(grid.voxel_size)
    return float(ndimage.map_coordinates(volume.values, index[:, ::-1].T, order=1).mean())


def rows_of(found: list[dict], names: list[str]) -> list[tuple[object, ...]]:
    """Lines of the table: means over the noise seeds; the haems first, then the helix."""
    haems = [i for i, name in enumerate(names) if name.startswith("haem")]
    helix = [names.index("helix")]
    rows = []
    for run, maps in found[0].items():
        for kind in maps:
            figures: list[str | None] = []
            for chosen in (haems, helix):
                level, noise, cc = (
                    np.array([[seed[run][kind][what][i] for i in chosen] for seed in found])
                    if found[0][run][kind][what]
                    else None
                    for what in ("level", "noise", "cc")
                )
                figures.append(fixed(float(level.mean().round(2)) + 0.0, 2))
                if len(chosen) > 1:
                    figures.append(fixed(float(level.mean(axis=0).std(ddof=1)), 2))
                figures.append(
                    None if noise is None else fixed(float(np.sqrt(np.mean(noise**2))), 2)
                )
                figures.append(fixed(float(cc.mean()), 2))
            rows.append((run, kind, *figures))
    return rows


def main() -> None:
    """Measure, print, and write what the manual shows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--docs", type=Path, help="folder of the manual")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="of the noise")
    parser.add_argument("--keep", type=Path, help="folder that keeps all maps")
    asked = parser.parse_args()
    model = Model()
    with tempfile.TemporaryDirectory() as scratch:
        root = asked.keep or Path(scratch)
        found = []
        for seed in asked.seeds:
            folder = root / f"seed{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            make_maps(model, folder, seed)
            found.append(simulated_runs(model, folder))
        noise = noise_alone(root / f"seed{asked.seeds[0]}")
        real = real_haems(root)
        texts = {
            "bias": table(HEAD, rows_of(found, list(model.places))),
            "bias_noise": table(("noise only", ""), noise_rows(noise)),
            "bias_real": table(
                ("haems in the model", "level at the haems", "sd of 4"),
                [(name, fixed(mean, 2), fixed(sd, 2)) for name, mean, sd in real],
            ),
        }
        print("\n\n".join(texts.values()))
        if asked.keep:
            (root / "bias.json").write_text(json.dumps([found, noise, real], indent=1))
        if asked.docs:
            from bias_picture import draw

            for name, text in texts.items():
                (asked.docs / "tables" / f"{name}.md").write_text(text + "\n")
            draw(model, root / f"seed{asked.seeds[0]}", asked.docs / "images/bias.png")


def noise_rows(noise: dict[str, float]) -> list[tuple[str, str]]:
    """List what became of noise alone."""
    return [
        ("correlation with the reference", f"{noise['cc']:.4f}"),
        ("the same with the reference shifted, rms", f"{noise['cc_chance']:.4f}"),
        ("rms inside the mask, default over no weight at all", f"{noise['rms']:.3f}"),
    ]


if __name__ == "__main__":
    main()
