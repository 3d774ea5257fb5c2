"""Maps and structures that go with a result: opened, and brought up to date by an update."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..comparison.difference import show_pair
from ..scene.frames import frame_of
from ..scene.handover import new_values, new_volume
from .kinds import COPIED, DIFFERENCE, MODEL, PSEUDO, in_words, kind_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Any

    from ..scene.handover import InputMap
    from ..session_types import AnyArray, Atoms, Model, Session, Structure, Volume
    from .opening import AtomSites, HybridAtoms, LoadedMaps

_SITES = "_locscale_sites"  # attribute of a structure: which atoms it has
_SAME_PLACE = 1e-2  # Å


def open_companions(
    session: Session,
    like: InputMap,
    volume: Volume,
    loaded: LoadedMaps,
    earlier: list[Model],
    *,
    copied: bool,
) -> list[Model]:
    """Open what was asked for with the result in a group of its own, hidden but the difference map.

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
    kinds = {kind_of(model): model for model in earlier if not model.deleted}
    old = {kind: model for kind, model in kinds.items() if kind is not None}
    made = {in_words(kind): values for kind, values in loaded.others.items()}
    kept = [] if loaded.hybrid is None else _brought_up_to_date(loaded.hybrid, old, copied)
    structures = (
        {} if loaded.hybrid is None else _structures(session, volume, loaded.hybrid, copied, kept)
    )
    if not made and not structures and not kept:
        _close_stale(session, volume, list(old.values()))
        return []
    is_new = any(kind not in old for kind in (*made, *structures))
    group = _group(session, volume, old.values()) if is_new else None
    models = [old[kind] for kind in kept]
    for model in models:
        model.position = frame_of(volume).place
    for kind, values in made.items():
        if kind in old:
            new_values(old[kind], values)
            models.append(old[kind])
        else:
            models.append(_opened_map(session, like, volume, kind, values, group))
    for kind, structure in structures.items():
        if kind in old:
            _take_place(session, structure, old[kind])
        else:
            session.models.add([structure], parent=group)
        models.append(structure)
    used = {*made, *structures, *kept}
    _close_stale(session, volume, [model for kind, model in old.items() if kind not in used])
    return models


def _opened_map(
    session: Session,
    like: InputMap,
    volume: Volume,
    kind: str,
    values: AnyArray,
    group: Model | None,
) -> Volume:
    """Open a map that goes with a result, hidden but the difference map."""
    opened = new_volume(
        session,
        like,
        values,
        companion_name(volume, kind),
        look_of=volume,
        shown=kind == DIFFERENCE,
        parent=group,
    )
    if kind == DIFFERENCE:
        show_pair(opened)
    return opened


def companion_name(volume: Volume, kind: str) -> str:
    """Name a map that goes with a result: "half1.mrc LocScale, localB"."""
    return f"{volume.name}, {kind}"


def _close_stale(session: Session, volume: Volume, models: list[Model]) -> None:
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


def _group(session: Session, volume: Volume, earlier: Iterable[Model]) -> Model:
    """Find the group of what goes with a result, or make it."""
    for model in earlier:
        if model.parent is not None and model.parent.name.endswith(", more"):
            return model.parent
    return session.models.add_group([], name=companion_name(volume, "more"))


def _brought_up_to_date(hybrid: HybridAtoms, old: dict[str, Model], copied: bool) -> list[str]:
    """Kinds of the structures that are open already and could take the new values.

    Replacing a structure would hold up the window for seconds where it has 100,000 atoms.
    """
    kept: list[str] = []
    model, pseudo = old.get(MODEL), old.get(PSEUDO)
    sites = hybrid.sites
    name = COPIED if copied else MODEL
    if (
        model is not None
        and sites is not None
        and model.name.endswith(f", {name}")
        and getattr(model, _SITES, None) == sites.names
        and model.num_atoms == len(sites.positions)  # else somebody has edited it
    ):
        _set_atoms(model.atoms, sites)
        kept.append(MODEL)
    if pseudo is not None and len(hybrid.positions) and pseudo.num_atoms == pseudo.num_residues:
        _fit_number(pseudo, len(hybrid.positions))
        _set_atoms(pseudo.atoms, hybrid)
        kept.append(PSEUDO)
    return kept


def _structures(
    session: Session, volume: Volume, hybrid: HybridAtoms, copied: bool, kept: Collection[str] = ()
) -> dict[str, Structure]:
    """Open the hybrid model as two hidden structures: the atoms of the model, and pseudo-atoms."""
    structures = {}
    if hybrid.model is not None and MODEL not in kept:
        (model, *_), _ = session.open_command.open_data(str(hybrid.model), log_info=False)
        model.name = companion_name(volume, COPIED if copied else MODEL)
        _note_sites(model, hybrid.sites)
        structures[MODEL] = model
    if len(hybrid.positions) and PSEUDO not in kept:
        structures[PSEUDO] = _pseudo_atoms(session, companion_name(volume, PSEUDO), hybrid)
    for structure in structures.values():
        structure.position = frame_of(volume).place
        structure.display = False
    return structures


def _take_place(session: Session, structure: Structure, old: Structure) -> None:
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


def _copy_look(own: Any, others: Any, name: str) -> None:
    """Copy an attribute one by one where that can be, else where all have the same."""
    values = getattr(others, name)
    if len(own) == len(others):
        setattr(own, name, values)
    elif len(others) and (values == values[0]).all():
        setattr(own, name, np.repeat(values[:1], len(own), axis=0))


def _note_sites(model: Structure, sites: AtomSites | None) -> None:
    """Note which atoms a structure has, if they are in the order of their file."""
    if sites is None or model.num_atoms != len(sites.positions):
        return  # alternate locations are one atom here
    if np.abs(model.atoms.coords - sites.positions).max(initial=0.0) < _SAME_PLACE:
        setattr(model, _SITES, sites.names)


def _pseudo_atoms(session: Session, name: str, hybrid: HybridAtoms) -> Structure:
    """Make a structure of the pseudo-atoms, one a residue, as the core writes them."""
    from chimerax.atomic import AtomicStructure

    structure = AtomicStructure(session, name=name, auto_style=False)
    _fit_number(structure, len(hybrid.positions))
    _set_atoms(structure.atoms, hybrid)
    return structure


def _fit_number(structure: Structure, number: int) -> None:
    """Give a structure of pseudo-atoms as many as are wanted, at any place."""
    from locscale_hybrid.model.structure import PSEUDO_RESIDUE_NAME

    if structure.num_atoms > number:
        structure.atoms[number:].delete()
    before = structure.num_atoms
    first = structure.atoms[0] if before else None
    for place in range(before + 1, number + 1):
        atom = structure.new_atom("C", "C")
        structure.new_residue(PSEUDO_RESIDUE_NAME, PSEUDO_RESIDUE_NAME, place).add_atom(atom)
    added = structure.atoms[before:]
    added.draw_modes = added.BALL_STYLE if first is None else first.draw_mode
    if first is not None:
        added.displays, added.colors = first.display, first.color


def _set_atoms(atoms: Atoms, values: HybridAtoms | AtomSites) -> None:
    """Put atoms to their places, with their B factors and occupancies."""
    atoms.coords, atoms.bfactors = values.positions, values.b_iso.astype(np.float32)
    atoms.occupancies = values.occupancies.astype(np.float32)
