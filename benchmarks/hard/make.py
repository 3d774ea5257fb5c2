"""Write the folder of a harder case: maps, models, and what the measures need to know.

half1.mrc half2.mrc full.mrc   the data, unfiltered
truth.mrc                      the particle's density, mean of its conformations; solvent at 0
clean.mrc                      what both halves show of it, without noise
belt.mrc                       the belt alone, if the case has one
model_full.cif                 all atoms, true B
model_known.cif                what the given model has, at its true place
model_partial.cif              the given model
atoms.npz                      positions and group of every atom of the truth
facts.json                     level of the noise, numbers of atoms
case.json                      the case
"""

import json
from pathlib import Path

import gemmi
import numpy as np
from control import COARSER
from simulated import basic, made_once
from truth import read

from .cases import HardCase
from .particle import Particle, belt_density, density, distance, places, read_particle, turned
from .reconstruction import halves, in_halves, noise_level, without_detail
from .wrong_models import wrong_positions

Array = np.ndarray


def make(case: HardCase, folder: Path) -> Path:
    """Make the folder of a case if it does not exist."""
    return made_once(case, folder, _simulate)


def _simulate(case: HardCase, folder: Path) -> None:
    """Write maps and models."""
    rng = np.random.default_rng(case.seed)
    particle = read_particle(case)
    conformations = places(case, particle, rng)
    truth, level = density(case, particle, conformations)
    belt = belt_density(case, particle, level, rng)
    blurred = turned(case, conformations, rng)
    average = truth if blurred is conformations else density(case, particle, blurred)[0]
    signal = in_halves(case, average + belt)
    spread = noise_level(case, signal, distance(case, particle.positions))
    full = write_halves(case, folder, signal, spread)
    maps = {"truth": truth + belt, "clean": signal} | ({"belt": belt} if belt.any() else {})
    for name, values in maps.items():
        basic.write_map(folder / f"{name}.mrc", values, case.voxel_size)
    given = wrong_positions(case, particle, full, rng)
    _write_models(case, particle, given, folder)
    np.savez(
        folder / "atoms.npz",
        positions=particle.positions,
        group=particle.group,
        backbone=particle.backbone,
    )
    kinds, counts = np.unique(particle.group, return_counts=True)
    facts = {
        "noise_level": spread,
        "atoms": len(particle.positions),
        "missing": int(particle.missing.sum()),
        "groups": {str(kind): int(count) for kind, count in zip(kinds, counts, strict=True)},
    }
    (folder / "facts.json").write_text(json.dumps(facts))


def write_halves(case: HardCase, folder: Path, signal: Array, level: float) -> Array:
    """Write both half maps and their mean; return the mean."""
    pair = list(halves(case, signal, level))
    full = (pair[0] + pair[1]) / 2
    for name, values in (("half1", pair[0]), ("half2", pair[1]), ("full", full)):
        basic.write_map(folder / f"{name}.mrc", values, case.voxel_size)
    return full


def halves_without_detail(case: HardCase, folder: Path, draw: int) -> list[Array]:
    """Half maps that hold only noise beyond 1.2 times the resolution: for the no-data control."""
    signal = without_detail(case, read(folder / "clean.mrc"), COARSER)
    level = json.loads((folder / "facts.json").read_text())["noise_level"]
    return list(halves(case, signal, level, draw))


def _write_models(case: HardCase, particle: Particle, given: Array, folder: Path) -> None:
    """Write the complete model, the known part of it, and the given model."""
    known = _without(particle.structure, particle.missing)
    partial = _without(particle.structure, particle.missing)
    for site, position in zip(partial[0].all(), given[~particle.missing], strict=True):
        site.atom.pos, site.atom.b_iso = gemmi.Position(*position), case.given_b
    for name, model in (("full", particle.structure), ("known", known), ("partial", partial)):
        model.make_mmcif_document().write_file(str(folder / f"model_{name}.cif"))


def _without(structure: gemmi.Structure, missing: Array) -> gemmi.Structure:
    """Copy a structure without some atoms."""
    copy, place = structure.clone(), 0
    for chain in copy[0]:
        for residue in chain:
            gone = missing[place : place + len(residue)]
            place += len(residue)
            for i in np.flatnonzero(gone)[::-1]:
                del residue[int(i)]
        for i in reversed(range(len(chain))):
            if not len(chain[i]):
                del chain[i]
    copy.remove_empty_chains()
    return copy
