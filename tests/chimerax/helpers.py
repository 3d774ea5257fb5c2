"""Small maps and models, in files and open."""

import gemmi
import mrcfile
import numpy as np


def write_map(path, *, shape=(20, 24, 28), voxel=1.2, origin=(5.0, -7.0, 9.0), seed=1):
    """A file with noise around a bright block; returns the path as text."""
    values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    values[6:12, 8:16, 8:20] += 6
    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(values)
        mrc.voxel_size = voxel
        mrc.header.origin = origin
    return f'"{path}"'


def write_model(path, *, start=(12.0, 2.0, 20.0), residues=6, chain="A"):
    """A stretch of glycine; returns the path as text."""
    structure = gemmi.Structure()
    structure.add_model(gemmi.Model("1"))
    target = structure[0].add_chain(gemmi.Chain(chain))
    for number in range(residues):
        residue = gemmi.Residue()
        residue.name, residue.seqid = "GLY", gemmi.SeqId(str(number + 1))
        for place, (name, element) in enumerate((("N", "N"), ("CA", "C"), ("C", "C"), ("O", "O"))):
            atom = gemmi.Atom()
            atom.name, atom.element = name, gemmi.Element(element)
            atom.pos = gemmi.Position(start[0] + 1.3 * number, start[1] + 0.9 * place, start[2])
            atom.b_iso, atom.occ = 30 + number, 1.0
            residue.add_atom(atom)
        target.add_residue(residue)
    structure.setup_entities()
    if str(path).endswith(".cif"):
        structure.make_mmcif_document().write_file(str(path))
    else:
        structure.write_pdb(str(path))
    return f'"{path}"'


def model_of(session, spec):
    """The open model with a number, "3.1"."""
    return next(model for model in session.models.list() if model.id_string == spec)
