"""The particle of a harder case: its atoms, where they are, and the density that they make.

The density is gemmi's (electron scattering factors), so the truth owes nothing to the program.
"""

from dataclasses import dataclass, field

import gemmi
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from simulated import average_map, basic, symmetry_of

from locscale_hybrid.maps.grid import Grid, Map

from .cases import HardCase, Motion, Range

Array = np.ndarray
NEAR = 2.5  # Å, reach of an atom's body into the solvent
TURNS = 30  # orientations that an error of angles is simulated by
SALTS = ("SO4", "GOL")  # of the crystal, no part of the particle
BACKBONE = ("CA", "C", "N", "P", "C4'", "C1'")


@dataclass
class Particle:
    """Atoms of the truth, with what the given model lacks.

    Parameters
    ----------
    structure : gemmi.Structure
        Positions, true B factors and occupancy 1.
    positions : array, shape (n, 3)
        Å.
    occupancies : array, shape (n,)
    missing : array of bool, shape (n,)
        What the given model lacks.
    group : array of str, shape (n,)
        mod, unm, flex, part, lig, dna; of errors also bent, helix, overfit.
    """

    structure: gemmi.Structure
    positions: Array
    occupancies: Array
    missing: Array
    group: Array
    sites: list = field(repr=False)

    @property
    def backbone(self) -> Array:
        """Which atoms are of the main chain."""
        return np.isin([site.atom.name for site in self.sites], BACKBONE)

    @property
    def numbers(self) -> Array:
        """Residue number of every atom."""
        return np.array([site.residue.seqid.num for site in self.sites])

    def in_range(self, residues: Range) -> Array:
        """Which atoms are of these residues."""
        return (self.numbers >= residues[0]) & (self.numbers <= residues[1])


def read_particle(case: HardCase) -> Particle:
    """Read the model of a case, put it into the box, and give it its true B factors."""
    structure = _cleaned(case)
    sites = list(structure[0].all())
    positions = np.array([site.atom.pos.tolist() for site in sites])
    extremes = positions.max(axis=0) + positions.min(axis=0)
    middle = extremes / 2 if case.point_group == "C1" else positions.mean(axis=0)
    positions += case.box // 2 * case.voxel_size - middle
    own = np.array([site.atom.b_iso for site in sites])
    b_true = _rising_b(positions, own) if case.b_rises else basic.true_b_factors(positions, own)
    for site, position, b_iso in zip(sites, positions, b_true, strict=True):
        site.atom.pos, site.atom.b_iso = gemmi.Position(*position), float(b_iso)
        site.atom.occ, site.atom.aniso = 1.0, gemmi.SMat33f(0, 0, 0, 0, 0, 0)
    missing, group = _missing(case, structure, sites)
    occupancies = np.ones(len(sites))
    chains = np.array([site.chain.name for site in sites])
    for chain, share in case.occupied:
        occupancies[chains == chain] = share
        group[chains == chain] = "part"
    particle = Particle(structure, positions, occupancies, missing, group, sites)
    if case.motion is not None:
        group[particle.in_range(case.motion.residues)] = "flex"
    return particle


def _cleaned(case: HardCase) -> gemmi.Structure:
    """Read the deposited model without water, hydrogen and salts, in the cell of the box."""
    structure = gemmi.read_structure(str(case.model))
    structure.setup_entities()
    structure.remove_hydrogens()
    structure.remove_alternative_conformations()
    structure.remove_waters()
    while len(structure) > 1:
        del structure[1]
    for chain in structure[0]:
        for i in reversed(range(len(chain))):
            if chain[i].name in SALTS:
                del chain[i]
    structure.remove_empty_chains()
    edge = case.box * case.voxel_size
    structure.cell = gemmi.UnitCell(edge, edge, edge, 90, 90, 90)
    structure.spacegroup_hm = "P 1"
    return structure


def _rising_b(positions: Array, own: Array) -> Array:
    """B factors from 20 to 400 Å² along the longest axis, with a third of the deposited scatter."""
    centred = positions - positions.mean(axis=0)
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    place = centred @ (axis * np.sign(axis[np.argmax(np.abs(axis))]))
    low, high = np.percentile(place, [2, 98])
    share = np.clip((place - low) / (high - low), 0, 1)
    return np.clip(20 * 20**share + 0.3 * (own - own.mean()), 10, 450)


def _missing(case: HardCase, structure: gemmi.Structure, sites: list) -> tuple[Array, Array]:
    """Tell which atoms the given model lacks, and the group of every atom."""
    tail = set()
    for chain in structure[0]:
        keep = round(len(chain) * (1 - case.drop_last))
        tail |= {(chain.name, str(residue.seqid)) for residue in list(chain)[keep:]}
    kinds = {name: gemmi.find_tabulated_residue(name) for name in {s.residue.name for s in sites}}
    info = [kinds[site.residue.name] for site in sites]
    nucleic = np.array([kind.is_nucleic_acid() for kind in info])
    ligand = ~nucleic & ~np.array([kind.is_amino_acid() for kind in info])
    chain = np.array([site.chain.name for site in sites])
    number = np.array([site.residue.seqid.num for site in sites])
    missing = np.array([(s.chain.name, str(s.residue.seqid)) in tail for s in sites])
    missing |= np.isin(chain, case.drop_chains)
    if case.drop_range is not None:
        missing |= (number >= case.drop_range[0]) & (number <= case.drop_range[1])
    missing |= (ligand & case.drop_ligands) | (nucleic & case.drop_nucleic)
    group = np.where(missing, "unm", "mod").astype("U8")
    group[ligand & missing & ~np.isin(chain, case.drop_chains)] = "lig"
    group[nucleic & missing] = "dna"
    return missing, group


def places(case: HardCase, particle: Particle, rng: np.random.Generator) -> list[Array]:
    """Positions of all atoms in every conformation."""
    if case.motion is None:
        return [particle.positions]
    motion: Motion = case.motion
    moving = particle.in_range(motion.residues)
    x = particle.positions
    nearest = np.argsort(cKDTree(x[~moving]).query(x[moving])[0])[:200]
    hinge = x[moving][nearest].mean(axis=0)
    turns = rng.normal(0, motion.turn, (motion.places, 3))
    shifts = rng.normal(0, motion.shift / 3**0.5, (motion.places, 3))
    found = []
    for turn, shift in zip(turns - turns.mean(0), shifts - shifts.mean(0), strict=True):
        place = x.copy()
        rotation = Rotation.from_rotvec(turn, degrees=True)
        place[moving] = rotation.apply(x[moving] - hinge) + hinge + shift
        found.append(place)
    return found


def turned(case: HardCase, given: list[Array], rng: np.random.Generator) -> list[Array]:
    """Positions in the orientations that an error of angles averages over."""
    if not case.angle_error:
        return given
    middle = case.box // 2 * case.voxel_size
    turns = rng.normal(0, case.angle_error, (TURNS, 3))
    rotations = [Rotation.from_rotvec(turn, degrees=True) for turn in turns - turns.mean(axis=0)]
    return [rotation.apply(x - middle) + middle for x in given for rotation in rotations]


def atoms_density(case: HardCase, particle: Particle, given: list[Array]) -> Array:
    """Mean density of the atoms over the places, without solvent."""
    residue = gemmi.Residue()
    residue.name, residue.seqid = "UNK", gemmi.SeqId("1")
    for x in given:
        for site, position, share in zip(particle.sites, x, particle.occupancies, strict=True):
            atom = site.atom.clone()
            atom.pos, atom.occ = gemmi.Position(*position), float(share) / len(given)
            residue.add_atom(atom)
    chain = gemmi.Chain("A")
    chain.add_residue(residue)
    model = gemmi.Model(1)
    model.add_chain(chain)
    structure = gemmi.Structure()
    structure.cell = particle.structure.cell
    structure.add_model(model)
    return basic.density(structure, case)


def density(case: HardCase, particle: Particle, given: list[Array]) -> tuple[Array, float]:
    """Mean density over the places, less the solvent that atoms displace; its net level.

    The solvent is at 0 and the atoms' body is `case.solvent` of the mean protein density lower.
    """
    atoms = atoms_density(case, particle, given)
    level = float(atoms[distance(case, particle.positions) < NEAR].mean())
    body = np.zeros(case.shape)
    for x in given:
        for share in np.unique(particle.occupancies):
            near = distance(case, x[particle.occupancies == share]) < NEAR
            body += share * near / len(given)
    rounded = case.filtered(np.minimum(body, 1), case.falloff(basic.SOLVENT_SMOOTHING))
    return atoms - case.solvent * level * rounded, level * (1 - case.solvent)


def distance(case: basic.Simulation, positions: Array) -> Array:
    """Distance of every voxel to the nearest position, Å."""
    free = np.ones(case.shape, dtype=bool)
    free[tuple((np.rint(positions[:, ::-1] / case.voxel_size).astype(int) % case.box).T)] = False
    return ndimage.distance_transform_edt(free) * case.voxel_size


def belt_density(
    case: HardCase, particle: Particle, level: float, rng: np.random.Generator
) -> Array:
    """Belt around the particle, in units of its density; zeros without one.

    It has no detail finer than about 8 Å, and a rim that is denser than its middle.
    """
    if case.belt is None:
        return np.zeros(case.shape)
    belt, voxel = case.belt, case.voxel_size
    middle = case.box // 2 * voxel
    z = (np.arange(case.box) * voxel - middle)[:, None, None]
    height = particle.positions[:, 2] - middle
    within = particle.positions[(height > belt.bottom) & (height < belt.top)]
    flat = np.ones(case.shape[1:], dtype=bool)
    flat[tuple((np.rint(within[:, 1::-1] / voxel).astype(int) % case.box).T)] = False
    reach = ndimage.distance_transform_edt(flat) * voxel
    centre, half = (belt.top + belt.bottom) / 2, (belt.top - belt.bottom) / 2
    rounded = belt.width * np.sqrt(np.maximum(1 - ((z - centre) / (half + 6)) ** 2, 0))
    shape = (np.abs(z - centre) <= half) & (reach < rounded)
    shape &= distance(case, particle.positions) >= NEAR
    from_face = (np.abs(z - centre) - half + 4) / 4
    profile = belt.level + (belt.rim - belt.level) * np.exp(-(from_face**2))
    lumps = ndimage.gaussian_filter(rng.normal(size=case.shape), 3.2 / voxel, mode="wrap")
    soft = ndimage.gaussian_filter(shape.astype(float), 2 / voxel)
    values = soft * profile * level * (1 + 0.15 * lumps / lumps.std())
    if case.point_group == "C1":
        return values
    grid = Grid(case.shape, (voxel,) * 3)
    group = symmetry_of(grid, case.point_group, None)
    return average_map(Map(values.astype(np.float32), grid), group).values.astype(float)
