"""Cases whose truth is real density: no forward model of any program is in it.

A deposited map at high resolution is the truth.  Its solvent is set to 0 beyond the model, atoms'
bodies are lowered by what solvent they displace, and it is blurred here and there by up to 60 Å².
Half maps are that, blurred by one B factor more, with coloured noise.  The absolute level is not
known, because the authors have sharpened the map: judge with one scale and one B, and without.
SEMI-SYNTHETIC: the density is real, the noise is not.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import gemmi
import mrcfile
import numpy as np
from scipy import ndimage
from simulated import DATA, Rotation, basic, made_once

from .cases import HardCase
from .make import write_halves
from .particle import BACKBONE, NEAR, distance
from .reconstruction import noise_level

Array = np.ndarray
SOLVENT, SMOOTH, MOST_BLUR = 0.35, 14.0, 60.0  # of the level in atoms; Å; Å²
ENDS, BORDER = 0.36, 4.0  # 1/Å, where a map at 1.3 Å a voxel ends; Å around a crop's model


@dataclass(frozen=True)
class RealCase(HardCase):
    """Half maps from real density.

    Parameters
    ----------
    density : Path
        A map at high resolution, on a cubic box or a crop of one.
    expand, axes_at : str, float
        Point group of which the model is one asymmetric unit, and where its axes meet, Å.
    drop_chains_every : int
        The given model lacks every n-th chain; 0: none.
    """

    density: Path = DATA / "emd20026_O_1.3A.mrc.gz"
    expand: str = "C1"
    axes_at: float = 0.0
    drop_chains_every: int = 0


APOFERRITIN = RealCase(
    DATA / "3ajo_chainA.pdb.gz",
    box=112,
    voxel_size=1.3,
    resolution=3.2,
    blur=90,
    windowed=False,
    expand="O",
    axes_at=72.8,
    drop_last=0.3,
    seed=31,
)
CASES = {
    "apoferritin-3.2": APOFERRITIN,
    "apoferritin-3.6": replace(
        APOFERRITIN, resolution=3.6, blur=130, drop_last=0.0, drop_chains_every=3, seed=32
    ),
    "vp6-3.4": RealCase(
        DATA / "6272.pdb.gz",
        box=72,
        voxel_size=1.023,
        resolution=3.4,
        blur=80,
        windowed=False,
        drop_last=0.3,
        density=DATA / "6272_crop.mrc.gz",
        seed=33,
        seen=False,
    ),
}


def given(density: str, model: str, resolution: float) -> RealCase:
    """Make a case of a user's own map and model; 30% of every chain is left out."""
    with mrcfile.open(density, header_only=True) as file:
        sides = int(file.header.nx), int(file.header.ny), int(file.header.nz)
        voxel = float(file.voxel_size.x)
    return RealCase(
        Path(model),
        box=max(sides) + max(sides) % 2,
        voxel_size=voxel,
        resolution=resolution,
        windowed=False,
        drop_last=0.3,
        density=Path(density),
        seed=41,
        seen=False,
    )


def make(case: RealCase, folder: Path) -> Path:
    """Make the folder of a case if it does not exist."""
    return made_once(case, folder, _write)


def _write(case: RealCase, folder: Path) -> None:
    """Write maps and models, as `make` does for simulated cases."""
    rng = np.random.default_rng(case.seed)
    density, structure = placed(case)
    sites = list(structure[0].all())
    positions = np.array([site.atom.pos.tolist() for site in sites])
    away = distance(case, positions)
    truth = blurred_here_and_there(case, without_solvent(case, density, away), rng)
    signal = case.filtered(truth, case.falloff(case.blur))
    level = noise_level(case, signal, away)
    write_halves(case, folder, signal, level)
    for name, values in (("truth", truth), ("clean", signal)):
        basic.write_map(folder / f"{name}.mrc", values, case.voxel_size)
    known = _known(case, structure)
    for name, model in (("full", structure), ("known", known), ("partial", known)):
        model.make_mmcif_document().write_file(str(folder / f"model_{name}.cif"))
    kept = {(site.chain.name, str(site.residue.seqid)) for site in known[0].all()}
    missing = np.array([(s.chain.name, str(s.residue.seqid)) not in kept for s in sites])
    np.savez(
        folder / "atoms.npz",
        positions=positions,
        group=np.where(missing, "unm", "mod"),
        backbone=np.isin([site.atom.name for site in sites], BACKBONE),
    )
    facts = {"noise_level": level, "atoms": len(sites), "missing": int(missing.sum())}
    (folder / "facts.json").write_text(json.dumps(facts))


def placed(case: RealCase) -> tuple[Array, gemmi.Structure]:
    """Read density and model and put them into the middle of the box."""
    with mrcfile.open(case.density) as file:
        values = file.data.astype(float)
        origin = np.array([float(file.header.origin[name]) for name in "xyz"])
        start = np.array([int(file.header[f"n{axis}start"]) for axis in "xyz"])
    if not origin.any():
        origin = start * case.voxel_size
    spare = case.box - np.array(values.shape)
    if (spare < 0).any():
        raise SystemExit(f"{case.density} has {values.shape} voxels, the box {case.box}")
    values = np.pad(values, [(n // 2, n - n // 2) for n in spare])
    structure = basic.read_structure(case.model)
    _expand(case, structure)
    edge = case.box * case.voxel_size
    structure.cell = gemmi.UnitCell(edge, edge, edge, 90, 90, 90)
    structure.spacegroup_hm = "P 1"
    move = gemmi.Position(*((spare // 2)[::-1] * case.voxel_size - origin))
    for site in structure[0].all():
        site.atom.pos = site.atom.pos + move
        site.atom.occ, site.atom.aniso = 1.0, gemmi.SMat33f(0, 0, 0, 0, 0, 0)
    return values, structure


def _expand(case: RealCase, structure: gemmi.Structure) -> None:
    """Make all chains of a particle whose file holds one asymmetric unit."""
    if case.expand == "C1":
        return
    centre = np.full(3, case.axes_at)
    turns = sorted(
        Rotation.create_group(case.expand).as_matrix(),
        key=lambda turn: not np.allclose(turn, np.eye(3)),
    )
    chains = [chain.clone() for chain in structure[0]]
    for number, turn in enumerate(turns[1:], 1):
        for chain in chains:
            copy = chain.clone()
            copy.name = f"{chain.name}{number}"
            for residue in copy:
                for atom in residue:
                    place = turn @ (np.array(atom.pos.tolist()) - centre) + centre
                    atom.pos = gemmi.Position(*place)
            structure[0].add_chain(copy)


def without_solvent(case: RealCase, density: Array, away: Array) -> Array:
    """End the density beyond the model, and lower atoms by the solvent that they displace."""
    within = 0.5 * (1 - np.tanh((away - BORDER) / 1.0))
    beyond = np.maximum(np.sqrt(case.s_squared) - min(ENDS, 0.47 / case.voxel_size), 0)
    values = case.filtered(density * within, np.exp(-(beyond**2) / 2e-4))
    level = values[away < NEAR].mean()
    body = ndimage.gaussian_filter((away < NEAR).astype(float), 2.2 / case.voxel_size)
    return values - SOLVENT * level * body


def blurred_here_and_there(case: RealCase, values: Array, rng: np.random.Generator) -> Array:
    """Blur by a B factor that varies smoothly from 0 to 60 Å²."""
    sd = SMOOTH / case.voxel_size
    field = ndimage.gaussian_filter(rng.normal(size=values.shape), sd, mode="wrap")
    share = (field - field.min()) / np.ptp(field)
    steps = np.linspace(0, MOST_BLUR, 4)
    place = share * (len(steps) - 1)
    result = np.zeros_like(values)
    for i, b_factor in enumerate(steps):
        near = np.clip(1 - np.abs(place - i), 0, 1)
        result += near * case.filtered(values, case.falloff(b_factor))
    return result


def _known(case: RealCase, structure: gemmi.Structure) -> gemmi.Structure:
    """Leave out what the given model lacks, and forget its B factors."""
    known = structure.clone()
    names = [chain.name for chain in known[0]]
    for number, name in enumerate(names, 1):
        chain = known[0][name]
        if case.drop_chains_every and number % case.drop_chains_every == 0:
            known[0].remove_chain(name)
            continue
        keep = round(len(chain) * (1 - case.drop_last))
        while len(chain) > keep:
            del chain[len(chain) - 1]
    for site in known[0].all():
        site.atom.b_iso = case.given_b
    return known
