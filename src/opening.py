"""What the core wrote, read in the job's thread and opened beside the result."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .frames import frame_of
from .session_maps import new_values, new_volume

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
    from locscale_hybrid.contour import level_enclosing
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


def open_companions(session, like, volume, loaded, earlier):
    """Open what was asked for beside the result, hidden, in a group of its own.

    Parameters
    ----------
    session : Session
    like : InputMap
        Grid of the maps.
    volume : Volume
        The result; its place is theirs.
    loaded : LoadedMaps
    earlier : list of Model
        What an earlier run opened for this result: maps of the same name get new values, the
        structures are replaced.

    Returns
    -------
    list of Model
    """
    earlier = [model for model in earlier if not model.deleted]
    if not loaded.others and loaded.hybrid is None:
        return earlier
    group = _group(session, volume, earlier)
    kept, models = list(earlier), []
    for kind, values in loaded.others.items():
        old = _named(earlier, companion_name(volume, kind))
        if old:
            new_values(old[0], values)
        else:
            models.append(new_volume(session, like, values, companion_name(volume, kind),
                                     look_of=volume, shown=False, parent=group))
    structures = [] if loaded.hybrid is None else _structures(session, volume, loaded.hybrid)
    if structures:
        replaced = [model for structure in structures for model in _named(kept, structure.name)]
        kept = [model for model in kept if model not in replaced]
        session.models.close(replaced)
        session.models.add(structures, parent=group)
        models += structures
    return kept + models


def companion_name(volume, kind):
    """Name a map that goes with a result: "half1.mrc LocScale, localB"."""
    return f"{volume.name}, {kind}"


def _group(session, volume, earlier):
    """The group of what goes with a result, made where there is none."""
    for model in earlier:
        if model.parent is not None and model.parent.name == companion_name(volume, "more"):
            return model.parent
    return session.models.add_group([], name=companion_name(volume, "more"))


def _named(models, name):
    """Those of a name."""
    return [model for model in models if model.name == name]


def _split(path, folder):
    """The hybrid model without its pseudo-atoms as a file, and the pseudo-atoms as arrays.

    ChimeraX would ask the network for a template of their residue.
    """
    import gemmi

    from locscale_hybrid.structure import PSEUDO_RESIDUE_NAME
    structure = gemmi.read_structure(str(path))
    pseudo = [site.atom for site in structure[0].all() if site.residue.name == PSEUDO_RESIDUE_NAME]
    positions = np.array([atom.pos.tolist() for atom in pseudo]).reshape(-1, 3)
    b_iso, occupancies = (np.array([getattr(atom, name) for atom in pseudo])
                          for name in ("b_iso", "occ"))
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


def _structures(session, volume, hybrid):
    """The hybrid model as two hidden structures: the atoms of the model, and the pseudo-atoms."""
    structures = []
    if hybrid.model is not None:
        (model, *_), _ = session.open_command.open_data(str(hybrid.model), log_info=False)
        model.name = companion_name(volume, "model with symmetry copies")
        structures.append(model)
    if len(hybrid.positions):
        structures.append(_pseudo_atoms(session, companion_name(volume, "pseudo-atoms"), hybrid))
    for structure in structures:
        structure.position = frame_of(volume).place
        structure.display = False
    return structures


def _pseudo_atoms(session, name, hybrid):
    """A structure of the pseudo-atoms, one a residue, as the core writes them."""
    from chimerax.atomic import AtomicStructure

    from locscale_hybrid.structure import PSEUDO_RESIDUE_NAME
    structure = AtomicStructure(session, name=name, auto_style=False)
    for number, position in enumerate(hybrid.positions, start=1):
        atom = structure.new_atom("C", "C")
        atom.coord = position
        structure.new_residue(PSEUDO_RESIDUE_NAME, PSEUDO_RESIDUE_NAME, number).add_atom(atom)
    structure.atoms.bfactors = hybrid.b_iso.astype(np.float32)
    structure.atoms.occupancies = hybrid.occupancies.astype(np.float32)
    structure.atoms.draw_modes = structure.atoms.BALL_STYLE
    return structure


def _values(path):
    """Values of a map file; a copy, since the file may go."""
    from locscale_hybrid.mrc import read_map
    return np.array(read_map(path).values)
