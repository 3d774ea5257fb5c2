"""Maps and structures that go with a result: opened, and brought up to date by an update."""

import numpy as np

from ..scene.frames import frame_of
from ..scene.handover import new_values, new_volume
from .kinds import COPIED, MODEL, PSEUDO, in_words, kind_of


def open_companions(session, like, volume, loaded, earlier, *, copied):
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
        What an earlier run opened for this result: maps of the same kind get new values, the
        structures are replaced and look as before, and what was not made again is closed.
    copied : bool
        Whether the model holds copies that the symmetry added.

    Returns
    -------
    list of Model
    """
    old = {
        kind_of(model): model
        for model in earlier
        if not model.deleted and kind_of(model) is not None
    }
    made = {in_words(kind): values for kind, values in loaded.others.items()}
    structures = (
        {} if loaded.hybrid is None else _structures(session, volume, loaded.hybrid, copied)
    )
    if not made and not structures:
        _close_stale(session, volume, list(old.values()))
        return []
    is_new = any(kind not in old for kind in (*made, *structures))
    group = _group(session, volume, old.values()) if is_new else None
    models = []
    for kind, values in made.items():
        if kind in old:
            new_values(old[kind], values)
            models.append(old[kind])
        else:
            models.append(
                new_volume(
                    session,
                    like,
                    values,
                    companion_name(volume, kind),
                    look_of=volume,
                    shown=False,
                    parent=group,
                )
            )
    for kind, structure in structures.items():
        if kind in old:
            _take_place(session, structure, old[kind])
        else:
            session.models.add([structure], parent=group)
        models.append(structure)
    _close_stale(
        session,
        volume,
        [model for kind, model in old.items() if kind not in made and kind not in structures],
    )
    return models


def companion_name(volume, kind):
    """Name a map that goes with a result: "half1.mrc LocScale, localB"."""
    return f"{volume.name}, {kind}"


def _close_stale(session, volume, models):
    """Close what belongs to the values that the result had before, and say so."""
    models = [model for model in models if not model.deleted]
    if not models:
        return
    names = ", ".join(f"#{model.id_string} {kind_of(model)}" for model in models)
    one = len(models) == 1
    session.logger.info(
        f"Closed, because the update of #{volume.id_string} {volume.name} did not make "
        f"{'it' if one else 'them'} again: {names}; the keyword outputs says what is made, and "
        "what is renamed is left alone"
    )
    groups = {model.parent for model in models}
    session.models.close(models)
    session.models.close(
        [group for group in groups if group.name.endswith(", more") and not group.child_models()]
    )


def _group(session, volume, earlier):
    """The group of what goes with a result, made where there is none."""
    for model in earlier:
        if model.parent is not None and model.parent.name.endswith(", more"):
            return model.parent
    return session.models.add_group([], name=companion_name(volume, "more"))


def _structures(session, volume, hybrid, copied):
    """The hybrid model as two hidden structures: the atoms of the model, and the pseudo-atoms."""
    structures = {}
    if hybrid.model is not None:
        (model, *_), _ = session.open_command.open_data(str(hybrid.model), log_info=False)
        model.name = companion_name(volume, COPIED if copied else MODEL)
        structures[MODEL] = model
    if len(hybrid.positions):
        structures[PSEUDO] = _pseudo_atoms(session, companion_name(volume, PSEUDO), hybrid)
    for structure in structures.values():
        structure.position = frame_of(volume).place
        structure.display = False
    return structures


def _take_place(session, structure, old):
    """Close an earlier structure; the new one gets its number and looks like it."""
    number, parent, structure.display = old.id, old.parent, old.display
    for parts, names in (
        ("atoms", ("colors", "displays", "draw_modes")),
        ("residues", ("ribbon_colors", "ribbon_displays")),
    ):
        for name in names:
            _copy_look(getattr(structure, parts), getattr(old, parts), name)
    session.models.close([old])
    structure.id = number
    session.models.add([structure], parent=parent)


def _copy_look(own, others, name):
    """Copy an attribute one by one where that can be, else where all have the same."""
    values = getattr(others, name)
    if len(own) == len(others):
        setattr(own, name, values)
    elif len(others) and (values == values[0]).all():
        setattr(own, name, np.repeat(values[:1], len(own), axis=0))


def _pseudo_atoms(session, name, hybrid):
    """A structure of the pseudo-atoms, one a residue, as the core writes them."""
    from chimerax.atomic import AtomicStructure

    from locscale_hybrid.model.structure import PSEUDO_RESIDUE_NAME

    structure = AtomicStructure(session, name=name, auto_style=False)
    for number, position in enumerate(hybrid.positions, start=1):
        atom = structure.new_atom("C", "C")
        atom.coord = position
        structure.new_residue(PSEUDO_RESIDUE_NAME, PSEUDO_RESIDUE_NAME, number).add_atom(atom)
    structure.atoms.bfactors = hybrid.b_iso.astype(np.float32)
    structure.atoms.occupancies = hybrid.occupancies.astype(np.float32)
    structure.atoms.draw_modes = structure.atoms.BALL_STYLE
    return structure
