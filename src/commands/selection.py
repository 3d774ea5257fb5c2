"""Which maps, atoms and parameters a command means."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chimerax.core.errors import UserError
from chimerax.map import Volume

from ..keywords import ALIASES, chosen_parameters, output_kinds, python_name
from ..results.manager import ModelChoice, results
from ..scene.conformers import first_conformers
from ..scene.following import swap
from ..scene.frames import frame_of, map_label
from ..scene.handover import hand_over
from ..scene.mmcif import by_structure
from ..scene.region import chosen_region
from ..words import message_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..results.manager import ResultRecord
    from ..scene.handover import Handover
    from ..session_types import Atoms, Finding, Json, Keywords, Session


@dataclass(eq=False)
class Chosen:
    """What of the session goes into a run.

    Parameters
    ----------
    maps : list of Volume
    models : list of ModelChoice
    mask, weight : Volume or None
    library : str or None
        Folder of restraints, where the coordinates of the model are to be refined.
    found : tuple of dict
        Findings about what was chosen.
    """

    maps: list[Volume]
    models: list[ModelChoice]
    mask: Volume | None = None
    weight: Volume | None = None
    library: str | None = None
    found: tuple[Finding, ...] = ()

    @property
    def volumes(self) -> list[Volume | None]:
        """Every map of it."""
        return [*self.maps, self.mask, self.weight]

    def replace_volume(self, old: Volume, new: Volume) -> None:
        """Take a map that has the data of one that was closed."""
        for name in ("maps", "mask", "weight"):
            setattr(self, name, swap(getattr(self, name), old, new))

    @property
    def atoms(self) -> Atoms | None:
        """All atoms in one collection; None without a model."""
        if not self.models:
            return None
        from chimerax.atomic import concatenate

        return concatenate([choice.current_atoms for choice in self.models])

    def hand_over(self) -> Handover:
        """Copy from the session what the run needs."""
        single = len(self.models) == 1
        name = map_label(self.models[0].structure) if single else "model"
        return hand_over(
            self.maps,
            atoms=self.atoms,
            model_name=name,
            mask=self.mask,
            weight=self.weight,
            library=self.library,
        )

    def labels(self) -> dict[str, str]:
        """Name each input for the log."""
        fields = ("half map 1", "half map 2") if len(self.maps) == 2 else ("map",)
        labels = dict(zip(fields, map(map_label, self.maps), strict=True))
        if self.models:
            labels["model"] = ", ".join(choice.label for choice in self.models)
        for role, volume in (("mask", self.mask), ("weight", self.weight)):
            if volume is not None:
                labels[role] = map_label(volume)
        return labels

    def remarks(self, session: Session) -> list[Finding]:
        """Warn of what the core cannot see in copies: of conformers, of a half map alone.

        Returns
        -------
        list of dict
            Findings.
        """
        from locscale_hybrid.inputs.half_names import check_names, partner_name
        from locscale_hybrid.parameters import HybridInputs

        told = list(self.found)
        if len(self.maps) != 1:
            return told
        volume = self.maps[0]
        for other in session.models.list(type=Volume):
            if other is not volume and other.name == partner_name(volume.name):
                return [
                    *told,
                    {
                        "code": "partner-half-map",
                        "level": "warning",
                        "values": {},
                        "message": f"{map_label(volume)} has the name of a half map, and "
                        f"{map_label(other)} is open; give both as half maps",
                    },
                ]
        path = volume.data.path
        found = check_names(HybridInputs(full_map=Path(path))) if _is_file(path) else []
        return [*told, *(finding.as_dict() for finding in found)]

    def source_files(self) -> dict[str, str]:
        """Files that the inputs were opened from, by field of `HybridInputs`.

        Left out: maps that have no file, and models that were opened from none, were moved
        against the map, or are handed over in part or with others.
        """
        fields = ("half_map_1", "half_map_2") if len(self.maps) == 2 else ("full_map",)
        volumes: dict[str, Volume | None] = dict(zip(fields, self.maps, strict=True))
        volumes.update(mask=self.mask, weight_map=self.weight)
        files = {
            field: os.path.abspath(volume.data.path)
            for field, volume in volumes.items()
            if volume is not None and _is_file(volume.data.path)
        }
        if len(self.models) == 1 and self.models[0].atoms is None:
            structure = self.models[0].structure
            moved = not structure.scene_position.same(
                frame_of(self.maps[0]).place, angle_tolerance=1e-3, shift_tolerance=1e-3
            )
            path = getattr(structure, "filename", None)
            if path is not None and _is_file(path) and not moved:
                files["model"] = os.path.abspath(path)
        return files


def choose(maps: list[Volume] | None, keywords: Keywords, earlier: ResultRecord | None) -> Chosen:
    """Collect what a command names, and what it leaves to the record of an earlier run.

    Parameters
    ----------
    maps : list of Volume or None
    keywords : dict
        Keyword arguments of the command, by Python name.
    earlier : ResultRecord or None

    Returns
    -------
    Chosen

    Raises
    ------
    UserError
        If an input of the earlier run is closed, or a structure is no atomic model.
    """
    if not maps and earlier is not None:
        maps = _still_open(
            earlier.maps,
            earlier.open_maps,
            "map",
            f"locscale hybrid #1 #2 update #{earlier.volume.id_string}",
        )
    atoms = keywords.get("model")
    found: list[Finding] = []
    if atoms is not None:
        models, found = first_conformers(_choices(atoms))
    elif earlier is not None:
        models = _still_open(
            earlier.models,
            earlier.open_models,
            "model",
            f"locscale hybrid update #{earlier.volume.id_string} model #3",
        )
    else:
        models = []
    weight = keywords.get("weight")
    weight = weight if isinstance(weight, Volume) else None
    mask = keywords.get("mask")
    if earlier is not None:
        mask = mask or earlier.mask
        weight = weight or (earlier.weight if keywords.get("weight") is None else None)
    library = keywords.get("refine_coordinates") or (earlier.library if earlier else None)
    if library and not models:
        raise UserError(
            "refineCoordinates refines the model, and none is given: name it, for "
            "example model #3, or leave refineCoordinates out"
        )
    return Chosen(list(maps or []), models, mask, weight, library, tuple(found))


def with_one_spelling(keywords: Keywords) -> Keywords:
    """Keyword arguments of a command with every alias under its own name.

    Raises
    ------
    UserError
        If one is given in both spellings.
    """
    values = dict(keywords)
    for alias, name in ALIASES.items():
        value = values.pop(python_name(alias), None)
        if value is not None and values.get(python_name(name)) is not None:
            raise UserError(f"{name} and {alias} mean the same: give one of them")
        if value is not None:
            values[python_name(name)] = value
    return values


def parameters_of(keywords: Keywords, earlier: ResultRecord | None, chosen: Chosen) -> Json:
    """Parameters of the core, checked.

    Parameters
    ----------
    keywords : dict
    earlier : ResultRecord or None
    chosen : Chosen

    Returns
    -------
    dict
        `HybridParameters.as_dict()`.

    Raises
    ------
    UserError
        If a value is out of range or the symmetry symbol is unknown.
    """
    from locscale_hybrid.errors import InputError
    from locscale_hybrid.parameters import OUTPUTS, HybridParameters
    from locscale_hybrid.symmetry.point_groups import parse_point_group

    if None not in (keywords.get("window"), keywords.get("window_voxels")):
        raise UserError(
            f"windowVoxels {keywords['window_voxels']} and window "
            f"{keywords['window']:g} both set the window: give it in voxels or in Å"
        )
    values = chosen_parameters(keywords, earlier=earlier.parameters if earlier else None)
    if isinstance(values.get("weight"), Volume):
        values["weight"] = "file"
    if keywords.get("outputs"):
        values["outputs"] = output_kinds(keywords["outputs"], OUTPUTS)
    if chosen.maps:
        is_said, corners = chosen_region(chosen.maps[0], keywords)
        if is_said:
            values["region"] = corners
    try:
        parse_point_group(values.get("point_group", "C1"))
        return HybridParameters.from_dict(values).as_dict()
    except InputError as error:
        raise UserError(message_of(error)) from None


def record_to_update(session: Session, volume: Volume | None) -> ResultRecord | None:
    """Return the record of a result that is to be updated; None for no volume.

    Raises
    ------
    UserError
        If the map is no result.
    """
    if volume is None:
        return None
    record = results(session).of(volume)
    if record is None:
        raise UserError(
            f"{map_label(volume)} was not made by locscale hybrid, so there is "
            "nothing to update: run locscale hybrid with the maps and without update"
        )
    return record


def _choices(atoms: Atoms) -> list[ModelChoice]:
    """Atoms, structure by structure; whole structures as such, so that edits are followed."""
    from chimerax.atomic import AtomicStructure

    choices = []
    for structure, own in by_structure(atoms):
        if not isinstance(structure, AtomicStructure):
            raise UserError(
                f"{map_label(structure)} is {type(structure).__name__}, no atomic "
                "model: give an atomic structure"
            )
        whole = len(own) == structure.num_atoms
        choices.append(ModelChoice(structure, None if whole else own))
    return choices


def _still_open(
    recorded: Sequence[Any], still_open: Sequence[Any], kind: str, example: str
) -> list[Any]:
    """Return the inputs of an earlier run, all of which must be open."""
    if len(still_open) < len(recorded):
        raise UserError(
            f"{len(recorded) - len(still_open)} of the {len(recorded)} {kind}s that "
            f"the result was made from are closed: open them and name them, "
            f"for example {example}"
        )
    return list(still_open)


def _is_file(path: object) -> bool:
    """Test whether a path names one existing file."""
    return isinstance(path, str) and bool(path) and Path(path).is_file()
