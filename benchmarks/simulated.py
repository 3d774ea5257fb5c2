"""Simulated cases for benchmarks: what `examples/simulate.py` makes, plus symmetry and gaps.

All of it is SIMULATED: white noise, one conformation, no errors of alignment, no CTF.
"""

import dataclasses
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import gemmi
import numpy as np
from scipy.spatial.transform import Rotation

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from examples import simulate as basic  # noqa: E402
from locscale_hybrid.maps.grid import Grid, Map  # noqa: E402
from locscale_hybrid.symmetry.operators import average_map, symmetry_of  # noqa: E402

DATA, EXAMPLES = ROOT / "tests/data", ROOT / "examples/data"


@dataclass(frozen=True)
class Case(basic.Simulation):
    """A simulation, with what only benchmarks ask for.

    Parameters
    ----------
    drop_last : float
        Share of the residues of every chain, at its end, that the partial model lacks.
    keep_chains : tuple of str
        The only chains of the partial model; empty: all.
    assembly : str
        Biological assembly of the file to expand first.
    point_group : str
        Imposed on the noise, as a reconstruction does; the model must have it.
    axes_at : float, optional
        Å along x, y and z: the file holds one asymmetric unit, and the group's axes meet there.
    copies : tuple of int
        Along x, y, z: the model is put on a lattice so many times, for large cases.
    coordinate_noise : float
        Å rms, added to the partial model.
    """

    drop_last: float = 0.0
    keep_chains: tuple[str, ...] = ()
    assembly: str = ""
    point_group: str = "C1"
    axes_at: float | None = None
    copies: tuple[int, int, int] = (1, 1, 1)
    coordinate_noise: float = 0.0

    def described(self) -> dict[str, object]:
        """Return the case as JSON values."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}
        return {name: str(v) if isinstance(v, Path) else v for name, v in fields.items()}


ENOLASE = Case(DATA / "3enl.pdb.gz", box=112, voxel_size=1.0, resolution=3.0, drop_last=0.3)
PLASMEPSIN = Case(
    DATA / "1lee.pdb.gz",
    box=96,
    voxel_size=1.2,
    resolution=3.2,
    drop_last=0.3,
    assembly="3",
    point_group="D2",
)
CASES = {
    "enolase-3.0": ENOLASE,
    "plasmepsin-D2-3.2": PLASMEPSIN,
    "enolase-4.0": replace(ENOLASE, resolution=4.0, drop_last=0.5),
    "haemoglobin-3.4": Case(
        EXAMPLES / "5ni1.cif.gz", box=112, voxel_size=1.0, resolution=3.4, drop_chains=("D",)
    ),
    "plasmepsin-D2-one-chain": replace(PLASMEPSIN, keep_chains=("A",)),
    "plasmepsin-D2-two-chains": replace(PLASMEPSIN, keep_chains=("A", "B")),
    "enolase-3.0-coordinates": replace(ENOLASE, coordinate_noise=0.3),
    "enolase-3.0-seed7": replace(ENOLASE, seed=7),
    "enolase-3.0-seed11": replace(ENOLASE, seed=11),
    "enolase-3.0-half": replace(ENOLASE, drop_last=0.5, seed=23),
    "plasmepsin-D2-seed7": replace(PLASMEPSIN, seed=7),
    "plasmepsin-D2-seed11": replace(PLASMEPSIN, seed=11),
    "apoferritin-O-3.2": Case(
        DATA / "3ajo_chainA.pdb.gz",
        box=120,
        voxel_size=1.3,
        resolution=3.2,
        drop_last=0.3,
        point_group="O",
        axes_at=72.8,
        keep_chains=("A",),
    ),
    "trpv1-C4-3.4": Case(
        DATA / "3j5p_C4_axis_z_at_origin.pdb.gz",
        box=128,
        voxel_size=1.3,
        resolution=3.4,
        drop_last=0.3,
        point_group="C4",
    ),
}
AnyCase = TypeVar("AnyCase")  # with `described`
SPACING = 70.0  # Å between the molecules of a packed case


def make(case: Case, folder: Path) -> Path:
    """Make the folder of a case if it does not exist."""
    return made_once(case, folder, _simulate)


def made_once(case: AnyCase, folder: Path, write: Callable[[AnyCase, Path], None]) -> Path:
    """Have the files of a case written into its folder, unless those of the same case are there."""
    stamp = folder / "case.json"
    wanted = json.dumps(case.described(), sort_keys=True)
    if not stamp.exists() or stamp.read_text() != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        write(case, folder)
        stamp.write_text(wanted)
    return folder


def _simulate(case: Case, folder: Path) -> None:
    """Write maps and models, as `examples.simulate.simulate` does."""
    rng = np.random.default_rng(case.seed)
    structure, truth, signal, sd = noiseless(case)
    halves = [signal + noise(case, sd, rng) for _ in range(2)]
    for name, values in (
        ("half1", halves[0]),
        ("half2", halves[1]),
        ("full", (halves[0] + halves[1]) / 2),
        ("truth", truth),
    ):
        basic.write_map(folder / f"{name}.mrc", values, case.voxel_size)
    known = _known(case, structure)
    for name, model in (
        ("model_full", structure),
        ("model_known", known),
        ("model_partial", _given(case, known)),
    ):
        model.make_mmcif_document().write_file(str(folder / f"{name}.cif"))


def noiseless(case: Case) -> tuple[gemmi.Structure, np.ndarray, np.ndarray, float]:
    """Return the true model and density, what both halves show of it, and the sd of their noise."""
    structure = _full_model(case)
    protein = basic.density(structure, case)
    distance = basic.distance_to_atoms(structure, case)
    level = case.solvent * protein[distance < 2.5].mean()
    outside = np.where(distance < 2.5, 0.0, level)
    truth = protein + case.filtered(outside, case.falloff(basic.SOLVENT_SMOOTHING))
    signal = case.filtered(truth, case.falloff(case.blur))
    return structure, truth, signal, basic.noise_level(signal, distance, case)


def given_model(case: Case, structure: gemmi.Structure) -> gemmi.Structure:
    """Make what the user has of a true model."""
    return _given(case, _known(case, structure))


def _full_model(case: Case) -> gemmi.Structure:
    """Read the model of the truth, its symmetry centre on voxel n // 2."""
    if case.point_group == "C1" and case.copies == (1, 1, 1):
        return basic.prepared_model(case)
    source = gemmi.read_structure(str(case.model))
    source.remove_hydrogens()
    source.remove_alternative_conformations()
    source.remove_waters()
    source.remove_empty_chains()
    while len(source) > 1:
        del source[1]
    if case.assembly:
        source.transform_to_assembly(case.assembly, gemmi.HowToNameCopiedChain.Short)
    if case.axes_at is not None:
        turns = Rotation.create_group(case.point_group).as_matrix()
        centre = np.full(3, case.axes_at)
        _multiply(source, [(turn, centre - turn @ centre) for turn in turns])
    if case.copies != (1, 1, 1):
        shifts = SPACING * np.array(list(np.ndindex(*case.copies)))
        _multiply(source, [(np.eye(3), shift) for shift in shifts])
    source.setup_entities()
    edge = case.box * case.voxel_size
    source.cell = gemmi.UnitCell(edge, edge, edge, 90, 90, 90)
    source.spacegroup_hm = "P 1"
    atoms = [site.atom for site in source[0].all()]
    positions = np.array([atom.pos.tolist() for atom in atoms])
    positions += case.box // 2 * case.voxel_size - positions.mean(axis=0)
    own = np.array([atom.b_iso for atom in atoms])
    b_true = basic.true_b_factors(positions, own)
    for atom, position, b_iso in zip(atoms, positions, b_true, strict=True):
        atom.pos, atom.b_iso, atom.occ = gemmi.Position(*position), float(b_iso), 1.0
        atom.aniso = gemmi.SMat33f(0, 0, 0, 0, 0, 0)
    return source


def _multiply(structure: gemmi.Structure, moves: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Put a copy of every chain at each move; the first move leaves the chains where they are."""
    moves.sort(key=lambda move: not (np.allclose(move[0], np.eye(3)) and not move[1].any()))
    chains = [chain.clone() for chain in structure[0]]
    for number, (turn, shift) in enumerate(moves[1:], 1):
        for chain in chains:
            copy = chain.clone()
            copy.name = f"{chain.name}{number}"
            for residue in copy:
                for atom in residue:
                    atom.pos = gemmi.Position(*(turn @ atom.pos.tolist() + shift))
            structure[0].add_chain(copy)


def noise(case: Case, sd: float, rng: np.random.Generator) -> np.ndarray:
    """White noise, averaged over the point group with its variance kept."""
    values = rng.normal(0, sd, case.shape)
    if case.point_group == "C1":
        return values
    grid = Grid(case.shape, (case.voxel_size,) * 3)
    symmetric = average_map(
        Map(values.astype(np.float32), grid), symmetry_of(grid, case.point_group, None)
    ).values
    return symmetric.astype(np.float64) * (sd / symmetric.std())


def _known(case: Case, structure: gemmi.Structure) -> gemmi.Structure:
    """Keep what the model has, with its symmetry mates: all chains but those left out."""
    known = basic.without_chains(structure, case.drop_chains)
    for chain in known[0]:
        keep = round(len(chain) * (1 - case.drop_last))
        while len(chain) > keep:
            del chain[len(chain) - 1]
    return known


def _given(case: Case, known: gemmi.Structure) -> gemmi.Structure:
    """Keep what the user has of the model: some chains only, coordinates in error."""
    partial = known.clone()
    for name in [chain.name for chain in partial[0]]:
        if case.keep_chains and name not in case.keep_chains:
            partial[0].remove_chain(name)
    rng = np.random.default_rng([case.seed, 5])
    for site in partial[0].all():
        shift = rng.normal(0, case.coordinate_noise / np.sqrt(3), 3)
        site.atom.pos = site.atom.pos + gemmi.Position(*shift)
    return partial


def case_named(name: str) -> Case:
    """Find a case with known truth, or a large one: "packed-300", "packed-400"."""
    if name == "packed-300":
        return replace(ENOLASE, box=300, copies=(3, 3, 1))
    if name == "packed-400":
        return replace(ENOLASE, box=400, copies=(5, 3, 2))
    return CASES[name]


def names() -> list[str]:
    """List all cases with known truth."""
    return list(CASES)
