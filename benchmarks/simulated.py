"""Simulated cases for benchmarks: what `examples/simulate.py` makes, plus symmetry and gaps.

All of it is SIMULATED: white noise, one conformation, no errors of alignment, no CTF.
"""

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from examples import simulate as basic  # noqa: E402
from locscale_hybrid.maps import Grid, Map  # noqa: E402
from locscale_hybrid.symmetry import average_map, symmetry_of  # noqa: E402

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
    coordinate_noise : float
        Å rms, added to the partial model.
    """

    drop_last: float = 0.0
    keep_chains: tuple[str, ...] = ()
    assembly: str = ""
    point_group: str = "C1"
    coordinate_noise: float = 0.0

    def described(self) -> dict[str, object]:
        """The case as JSON values."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}
        return {name: str(v) if isinstance(v, Path) else v for name, v in fields.items()}


CASES = {
    "enolase-3.0": Case(DATA / "3enl.pdb.gz", box=112, voxel_size=1.0, resolution=3.0,
                        drop_last=0.3),
    "enolase-4.0": Case(DATA / "3enl.pdb.gz", box=112, voxel_size=1.0, resolution=4.0,
                        drop_last=0.5),
    "enolase-3.0-noise": Case(DATA / "3enl.pdb.gz", box=112, voxel_size=1.0, resolution=3.0,
                              drop_last=0.3, coordinate_noise=0.3, seed=11),
    "haemoglobin-3.4": Case(EXAMPLES / "5ni1.cif.gz", box=112, voxel_size=1.0, resolution=3.4,
                            drop_chains=("D",)),
    "plasmepsin-D2-3.2": Case(DATA / "1lee.pdb.gz", box=96, voxel_size=1.2, resolution=3.2,
                              drop_last=0.3, assembly="3", point_group="D2"),
}


def make(case: Case, folder: Path) -> Path:
    """The folder of a case, made where it is not there yet."""
    stamp = folder / "case.json"
    wanted = json.dumps(case.described(), sort_keys=True)
    if not stamp.exists() or stamp.read_text() != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        _simulate(case, folder)
        stamp.write_text(wanted)
    return folder


def _simulate(case: Case, folder: Path) -> None:
    """Write maps and models, as `examples.simulate.simulate` does."""
    rng = np.random.default_rng(case.seed)
    structure = _full_model(case)
    protein = basic.density(structure, case)
    distance = basic.distance_to_atoms(structure, case)
    level = case.solvent * protein[distance < 2.5].mean()
    outside = np.where(distance < 2.5, 0.0, level)
    truth = protein + case.filtered(outside, case.falloff(basic.SOLVENT_SMOOTHING))
    signal = case.filtered(truth, case.falloff(case.blur))
    sd = basic.noise_level(signal, distance, case)
    halves = [signal + _noise(case, sd, rng) for _ in range(2)]
    for name, values in (("half1", halves[0]), ("half2", halves[1]),
                         ("full", (halves[0] + halves[1]) / 2), ("truth", truth)):
        basic.write_map(folder / f"{name}.mrc", values, case.voxel_size)
    for name, model in (("model_full", structure), ("model_partial", _partial(case, structure))):
        model.make_mmcif_document().write_file(str(folder / f"{name}.cif"))


def _full_model(case: Case) -> gemmi.Structure:
    """The model of the truth, its symmetry centre on voxel n // 2."""
    if not case.assembly and case.point_group == "C1":
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


def _noise(case: Case, sd: float, rng: np.random.Generator) -> np.ndarray:
    """White noise, averaged over the point group with its variance kept."""
    values = rng.normal(0, sd, case.shape)
    if case.point_group == "C1":
        return values
    grid = Grid(case.shape, (case.voxel_size,) * 3)
    symmetric = average_map(Map(values.astype(np.float32), grid),
                            symmetry_of(grid, case.point_group, None)).values
    return symmetric.astype(np.float64) * (sd / symmetric.std())


def _partial(case: Case, structure: gemmi.Structure) -> gemmi.Structure:
    """What the user has of the model."""
    partial = basic.without_chains(structure, case.drop_chains)
    for name in [chain.name for chain in partial[0]]:
        if case.keep_chains and name not in case.keep_chains:
            partial[0].remove_chain(name)
    for chain in partial[0]:
        keep = round(len(chain) * (1 - case.drop_last))
        while len(chain) > keep:
            del chain[len(chain) - 1]
    rng = np.random.default_rng([case.seed, 5])
    for site in partial[0].all():
        shift = rng.normal(0, case.coordinate_noise / np.sqrt(3), 3)
        site.atom.pos = site.atom.pos + gemmi.Position(*shift)
    return partial
