"""Simulate two half maps with known truth from an atomic model.

    python examples/simulate.py examples/data/5ni1.cif.gz OUT --drop-chains D

writes into OUT half1.mrc and half2.mrc (unfiltered, blurred, noisy), truth.mrc (neither blurred
nor noisy), model_full.cif (the true B factors) and model_partial.cif (chains left out, every B set
to 40).  Everything made of these files is SIMULATED: white noise, one conformation, no errors of
alignment, no CTF.  The density is gemmi's, so the truth owes nothing to the program it is used on.
"""

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import gemmi
import mrcfile
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]
BLURRED_ON_GRID = 15.0  # Å^2, keeps atoms wider than a voxel while they are sampled
SOLVENT_SMOOTHING = 120.0  # Å^2, a B factor that rounds off the solvent's border


@dataclass(frozen=True)
class Simulation:
    """What is simulated."""

    model: Path
    drop_chains: tuple[str, ...] = ()  # names of chains that the partial model lacks
    box: int = 96  # voxels, even
    voxel_size: float = 1.05  # Å
    resolution: float = 3.2  # Å, where the FSC of the halves falls to 0.143
    blur: float = 90.0  # Å^2, what sharpening has to undo
    solvent: float = 0.35  # density of the solvent over the mean density of protein
    seed: int = 1
    s_squared: Array = field(init=False, repr=False)  # 1/Å^2 of the rfft coefficients

    def __post_init__(self) -> None:
        """Lay out the Fourier coefficients once."""
        full = np.fft.fftfreq(self.box, self.voxel_size)
        half = np.fft.rfftfreq(self.box, self.voxel_size)
        squares = full[:, None, None] ** 2 + full[None, :, None] ** 2 + half[None, None, :] ** 2
        object.__setattr__(self, "s_squared", squares)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of every map, [z, y, x]."""
        return self.box, self.box, self.box

    def filtered(self, values: Array, factor: Array) -> Array:
        """Multiply a map by `factor` in Fourier space."""
        return np.fft.irfftn(np.fft.rfftn(values) * factor, self.shape, axes=(0, 1, 2))

    def falloff(self, b_factor: float) -> Array:
        """Return the amplitude fall-off of a B factor; negative sharpens."""
        return np.exp(-b_factor * self.s_squared / 4)


def read_structure(path: Path) -> gemmi.Structure:
    """Return a structure of one conformer, without hydrogens and waters."""
    structure = gemmi.read_structure(str(path))
    structure.setup_entities()
    structure.remove_hydrogens()
    structure.remove_alternative_conformations()
    structure.remove_waters()
    structure.remove_empty_chains()
    return structure


def prepared_model(case: Simulation) -> gemmi.Structure:
    """Return the model in the middle of the box, with B factors that rise outwards."""
    structure = read_structure(case.model)
    edge = case.box * case.voxel_size
    structure.cell = gemmi.UnitCell(edge, edge, edge, 90, 90, 90)
    structure.spacegroup_hm = "P 1"
    atoms = [site.atom for site in structure[0].all()]
    positions = np.array([atom.pos.tolist() for atom in atoms])
    middle = (positions.max(axis=0) + positions.min(axis=0)) / 2
    positions += case.box // 2 * case.voxel_size - middle
    own = np.array([atom.b_iso for atom in atoms])
    for atom, position, b_iso in zip(atoms, positions, true_b_factors(positions, own), strict=True):
        atom.pos = gemmi.Position(*position)
        atom.b_iso = float(b_iso)
        atom.aniso = gemmi.SMat33f(0, 0, 0, 0, 0, 0)
        atom.occ = 1.0
    return structure


def true_b_factors(positions: Array, own: Array) -> Array:
    """B factors of the truth, Å^2: 20 in the middle, 90 outside, half the model's own scatter."""
    radius = np.linalg.norm(positions - positions.mean(axis=0), axis=1)
    outwards = 20 + 70 * (radius / np.percentile(radius, 98)) ** 2
    return np.clip(outwards + 0.5 * (own - own.mean()), 8, 220)


def density(structure: gemmi.Structure, case: Simulation) -> Array:
    """Density of the atoms, gemmi's electron scattering factors, [z, y, x]."""
    calculator = gemmi.DensityCalculatorE()
    calculator.grid.unit_cell = structure.cell
    calculator.grid.spacegroup = gemmi.SpaceGroup("P 1")
    calculator.grid.set_size(case.box, case.box, case.box)
    calculator.d_min = 2 * case.voxel_size
    calculator.blur = BLURRED_ON_GRID
    calculator.cutoff = 1e-6
    calculator.add_model_density_to_grid(structure[0])
    values = np.array(calculator.grid, dtype=np.float64).transpose(2, 1, 0)
    nyquist = 0.5 / case.voxel_size
    beyond = np.maximum(np.sqrt(case.s_squared) - 0.9 * nyquist, 0) / (0.04 * nyquist)
    return case.filtered(values, case.falloff(-BLURRED_ON_GRID) * np.exp(-(beyond**2) / 2))


def distance_to_atoms(structure: gemmi.Structure, case: Simulation) -> Array:
    """Distance of every voxel to the nearest atom, Å."""
    positions = np.array([site.atom.pos.tolist() for site in structure[0].all()])
    indices = np.rint(positions[:, ::-1] / case.voxel_size).astype(int) % case.box
    free = np.ones(case.shape, dtype=bool)
    free[tuple(indices.T)] = False
    return ndimage.distance_transform_edt(free) * case.voxel_size


def noise_level(signal: Array, distance: Array, case: Simulation) -> float:
    """Return the sd of white noise at which the halves' FSC is 0.143 at the resolution."""
    mask = ndimage.gaussian_filter((distance < 8).astype(np.float64), 2 / case.voxel_size)
    masked = np.fft.rfftn((signal - signal[distance > 8].mean()) * mask)
    shell = np.abs(np.sqrt(case.s_squared) - 1 / case.resolution) < 0.01
    signal_power = np.mean(np.abs(masked[shell]) ** 2)
    noise_power = signal_power * (1 - 0.143) / 0.143
    return float(np.sqrt(noise_power / np.mean(mask**2) / signal.size))


def without_chains(structure: gemmi.Structure, names: tuple[str, ...]) -> gemmi.Structure:
    """Return a copy that lacks some chains and knows nothing of the B factors."""
    partial = structure.clone()
    missing = sorted(set(names) - {chain.name for chain in structure[0]})
    if missing:
        raise SystemExit(
            f"{', '.join(missing)}: no such chain in the model; "
            f"it has {', '.join(chain.name for chain in structure[0])}"
        )
    for name in names:
        partial[0].remove_chain(name)
    for site in partial[0].all():
        site.atom.b_iso = 40.0
    return partial


def write_map(path: Path, values: Array, voxel_size: float) -> None:
    """Write a map, labelled as simulated."""
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(values.astype(np.float32))
        file.voxel_size = voxel_size
        file.add_label("SIMULATED by examples/simulate.py, not experimental")


def simulate(case: Simulation, folder: Path) -> None:
    """Write the maps and models of the case into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(case.seed)
    structure = prepared_model(case)
    protein = density(structure, case)
    distance = distance_to_atoms(structure, case)
    level = case.solvent * protein[distance < 2.5].mean()
    outside = np.where(distance < 2.5, 0.0, level)
    truth = protein + case.filtered(outside, case.falloff(SOLVENT_SMOOTHING))
    signal = case.filtered(truth, case.falloff(case.blur))
    noise_sd = noise_level(signal, distance, case)
    for name in ("half1.mrc", "half2.mrc"):
        write_map(folder / name, signal + rng.normal(0, noise_sd, case.shape), case.voxel_size)
    write_map(folder / "truth.mrc", truth, case.voxel_size)
    partial = without_chains(structure, case.drop_chains)
    for name, model in (("model_full.cif", structure), ("model_partial.cif", partial)):
        model.make_mmcif_document().write_file(str(folder / name))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="PDB or mmCIF file")
    parser.add_argument("out", type=Path, help="folder")
    parser.add_argument(
        "--drop-chains",
        nargs="*",
        default=[],
        metavar="NAME",
        help="chains that the partial model lacks",
    )
    parser.add_argument("--box", type=int, default=Simulation.box, help="voxels, even")
    parser.add_argument("--voxel-size", type=float, default=Simulation.voxel_size, help="Å")
    parser.add_argument("--resolution", type=float, default=Simulation.resolution, help="Å")
    parser.add_argument("--blur", type=float, default=Simulation.blur, help="Å^2")
    parser.add_argument(
        "--solvent",
        type=float,
        default=Simulation.solvent,
        help="density of the solvent over the mean density of protein",
    )
    parser.add_argument("--seed", type=int, default=Simulation.seed)
    given = vars(parser.parse_args())
    folder = given.pop("out")
    simulate(Simulation(**{**given, "drop_chains": tuple(given["drop_chains"])}), folder)


if __name__ == "__main__":
    main()
