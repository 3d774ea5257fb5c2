"""What the core wrote, read in the job's thread."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

MAP_ENDINGS = (".mrc", ".map", ".ccp4", ".mrc.gz", ".map.gz", ".ccp4.gz")
NOT_OPENED = ("map", "record", "report")


@dataclass
class LoadedMaps:
    """Values of the result and of what else was asked for.

    Parameters
    ----------
    values : array, float32, [z, y, x]
        The map for looking.
    level : float or None
        Contour level that encloses the same volume as that of the first map.
    others : dict of str to array
        Further maps by kind: "linear", "half1", "localB", ...
    hybrid : HybridAtoms or None
        The hybrid model.
    """

    values: np.ndarray
    level: float | None
    others: dict = field(default_factory=dict)
    hybrid: object = None


@dataclass
class HybridAtoms:
    """The hybrid model in two parts.

    Parameters
    ----------
    model : Path or None
        mmCIF file with the atoms of the model and its symmetry copies.
    positions : array, shape (n, 3)
        Å, of the pseudo-atoms, in the frame of the map.
    b_iso, occupancies : arrays, shape (n,)
    """

    model: Path | None
    positions: np.ndarray
    b_iso: np.ndarray
    occupancies: np.ndarray


def load_maps(outcome, wanted, folder):
    """Read the maps of a finished run.

    Parameters
    ----------
    outcome : job.Outcome
    wanted : collection of str
        Kinds of output that were asked for; others are not read.
    folder : Path
        For a file in between.

    Returns
    -------
    LoadedMaps
    """
    from locscale_hybrid.maps.contour import level_enclosing

    values = _values(outcome.result["map"])
    level = None if outcome.enclosed is None else level_enclosing(values, outcome.enclosed)
    loaded = LoadedMaps(values, level)
    for kind, path in result_files(outcome.result).items():
        if kind in NOT_OPENED or (kind == "linear" and "linear" not in wanted):
            continue
        if path.name.lower().endswith(MAP_ENDINGS):
            loaded.others[kind] = _values(path)
        elif path.suffix.lower() in (".cif", ".mmcif"):
            loaded.hybrid = _split(path, folder)
    return loaded


def result_files(event):
    """Files named in the result event, by kind; one level of nesting is followed."""
    files = {}
    for kind, value in event.items():
        if isinstance(value, dict):
            files.update(result_files(value))
        elif isinstance(value, str) and os.path.isabs(value) and os.path.isfile(value):
            files[kind] = Path(value)
    return files


def _split(path, folder):
    """The hybrid model without its pseudo-atoms as a file, and the pseudo-atoms as arrays.

    ChimeraX would ask the network for a template of their residue.
    """
    import gemmi

    from locscale_hybrid.model.structure import PSEUDO_RESIDUE_NAME

    structure = gemmi.read_structure(str(path))
    pseudo = [site.atom for site in structure[0].all() if site.residue.name == PSEUDO_RESIDUE_NAME]
    positions = np.array([atom.pos.tolist() for atom in pseudo]).reshape(-1, 3)
    b_iso, occupancies = (
        np.array([getattr(atom, name) for atom in pseudo]) for name in ("b_iso", "occ")
    )
    for chain in structure[0]:
        for place in reversed(range(len(chain))):
            if chain[place].name == PSEUDO_RESIDUE_NAME:
                del chain[place]
    structure.remove_empty_chains()
    if structure[0].count_atom_sites() == 0:
        return HybridAtoms(None, positions, b_iso, occupancies)
    rest = folder / "model.cif"
    structure.make_mmcif_document().write_file(str(rest))
    return HybridAtoms(rest, positions, b_iso, occupancies)


def _values(path):
    """Values of a map file; a copy, since the file may go."""
    from locscale_hybrid.maps.mrc import read_map

    return np.array(read_map(path).values)
