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
    structures : dict of str to Path
        mmCIF files by kind.
    """

    values: np.ndarray
    level: float | None
    others: dict = field(default_factory=dict)
    structures: dict = field(default_factory=dict)


def load_maps(outcome, wanted):
    """Read the maps of a finished run.

    Parameters
    ----------
    outcome : job.Outcome
    wanted : collection of str
        Kinds of output that were asked for; others are not read.

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
            loaded.structures[kind] = path
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
    if not loaded.others and not loaded.structures:
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
    for path in loaded.structures.values():
        structures = _read_structures(session, volume, path)
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


def _read_structures(session, volume, path):
    """The hybrid model as two hidden structures: the atoms of the model, and the pseudo-atoms."""
    from chimerax.core.logger import StringPlainTextLog

    from locscale_hybrid.structure import PSEUDO_RESIDUE_NAME
    with StringPlainTextLog(session.logger):      # it would warn that it does not know PSAT
        (structure, *_), _ = session.open_command.open_data(str(path), log_info=False)
    structure.position = frame_of(volume).place
    structure.name = companion_name(volume, "model with symmetry copies")
    structure.display = False
    pseudo = structure.residues.names == PSEUDO_RESIDUE_NAME
    if not pseudo.any():
        return [structure]
    atoms = structure.copy(companion_name(volume, "pseudo-atoms"))
    atoms.position, atoms.display = structure.position, False
    atoms.residues[atoms.residues.names != PSEUDO_RESIDUE_NAME].atoms.delete()
    atoms.bonds.delete()        # made by distance, and meaning nothing
    if pseudo.all():
        structure.delete()
        return [atoms]
    structure.residues[pseudo].atoms.delete()
    return [structure, atoms]


def _values(path):
    """Values of a map file; a copy, since the file may go."""
    from locscale_hybrid.mrc import read_map
    return np.array(read_map(path).values)
