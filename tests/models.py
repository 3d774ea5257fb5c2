"""Small atomic models for tests: helices, their copies, structures of them."""

import gemmi
import numpy as np

from locscale_hybrid.model.structure import model_of
from locscale_hybrid.symmetry.operators import Symmetry
from locscale_hybrid.symmetry.point_groups import parse_point_group

CENTRE = (50.0, 60.0, 70.0)


def symmetry(symbol):
    return Symmetry(parse_point_group(symbol), CENTRE)


def new_structure(chains):
    """A structure of chains {name: residues}, a residue (number, name, [(atom, xyz), ...])."""
    structure = gemmi.read_pdb_string(
        "HEADER\nATOM      1  CA  ALA A   1       0.000   0.000   0.000  1.00 20.00           C  \n"
    )
    structure[0].remove_chain("A")
    for name, residues in chains.items():
        chain = gemmi.Chain(name)
        for number, residue_name, atoms in residues:
            residue = gemmi.Residue()
            residue.name, residue.seqid = residue_name, gemmi.SeqId(str(number))
            for atom_name, xyz in atoms:
                atom = gemmi.Atom()
                atom.name, atom.pos = atom_name, gemmi.Position(*map(float, xyz))
                atom.element = gemmi.Element("ZN" if atom_name == "ZN" else atom_name[0])
                atom.b_iso = 20 + number
                residue.add_atom(atom)
            chain.add_residue(residue)
        structure[0].add_chain(chain)
    return structure


def helix(n=40, start=(10.0, 4.0, 3.0)):
    """Residues of a polyalanine helix whose axis lies along z, offset from the centre."""
    turn = np.radians(100) * np.arange(n)
    rise = 1.5 * np.arange(n)
    at = [
        np.column_stack([r * np.cos(turn + a), r * np.sin(turn + a), rise + z]) + CENTRE + start
        for r, a, z in ((1.5, -0.5, -0.9), (2.3, 0.0, 0.0), (1.7, 0.6, 1.1), (2.0, 0.9, 2.2))
    ]
    return [
        (
            i + 1,
            "ALA",
            [(name, xyz[i]) for name, xyz in zip(("N", "CA", "C", "O"), at, strict=True)],
        )
        for i in range(n)
    ]


def moved(residues, operator, group, noise=0.0, seed=0):
    """Residues under an operator of a symmetry, with coordinate noise of rms `noise`."""
    rng = np.random.default_rng(seed)
    matrix = group.group.matrices[operator]
    return [
        (
            number,
            name,
            [
                (
                    atom,
                    matrix @ (np.array(xyz) - CENTRE)
                    + CENTRE
                    + noise / 3**0.5 * rng.standard_normal(3),
                )
                for atom, xyz in atoms
            ],
        )
        for number, name, atoms in residues
    ]


def model(chains, name="test model"):
    return model_of(new_structure(chains), name)


def without_chains(source, kept):
    """The model with only the chains named."""
    structure = source.structure.clone()
    for name in {chain.name for chain in structure[0]} - set(kept):
        structure[0].remove_chain(name)
    return model_of(structure, "part")
