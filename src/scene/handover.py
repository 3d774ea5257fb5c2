"""Open maps and structures -> files in one frame; result file -> a Volume to compare with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from chimerax.core.errors import UserError
from chimerax.geometry import Place
from chimerax.map import Volume

from .frames import MapFrame, frame_of, map_label, require_same_grid
from .mmcif import AtomTable, atom_table, write_atoms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..session_types import Atoms, Corners, FloatArray, GridData, Model, Proceed, Session


@dataclass(frozen=True)
class InputMap:
    """One map to hand over: who it is, where it stands, and how to read all of it.

    `read` may be called in a thread: it takes values from the cache, else from the file.
    """

    frame: MapFrame
    data: GridData
    position: Place
    cached: FloatArray | None

    @classmethod
    def of(cls, volume: Volume) -> InputMap:
        """Take the full data of an open map, whatever part of it is shown."""
        data = volume.data
        return cls(
            frame_of(volume),
            data,
            volume.scene_position,
            data.cached_data((0, 0, 0), data.size, (1, 1, 1)),
        )

    @property
    def file_name(self) -> str:
        """A file name by which a message can name the map: "#1 half1.mrc"."""
        return file_name(self.frame.name, ".mrc")

    def read(self) -> FloatArray:
        """Read all values, float32, [z, y, x]."""
        values = self.cached
        if values is None:
            data = self.data
            values = data.read_matrix((0, 0, 0), data.size, (1, 1, 1), None)
        return np.ascontiguousarray(values, dtype=np.float32)


@dataclass(frozen=True)
class Handover:
    """Everything of the session that a run needs, copied so that a thread can write it.

    Parameters
    ----------
    maps : tuple of InputMap
        Two half maps or one full map.
    atoms : AtomTable or None
    mask, weight : InputMap or None
    level : float or None
        Contour level of the first map, for a result that encloses the same volume.
    model_name : str
        What to call the model in a message: "#3 model.cif".
    library : str or None
        Folder of restraints.
    region : tuple of float or None
        Corners of the box that alone is scaled, Å in the frame.
    """

    maps: tuple[InputMap, ...]
    atoms: AtomTable | None = None
    mask: InputMap | None = None
    weight: InputMap | None = None
    level: float | None = None
    model_name: str = "model"
    library: str | None = None
    region: Corners | None = None

    @property
    def frame(self) -> MapFrame:
        """The frame of the first map, in which all files are written."""
        return self.maps[0].frame

    def write(
        self, folder: Path, proceed: Proceed = lambda: None
    ) -> tuple[dict[str, str], int | None]:
        """Write the files of the run.

        Parameters
        ----------
        folder : Path
            Exists; a file that is there already is replaced.
        proceed : callable
            Called before each file; what it raises ends the writing.

        Returns
        -------
        inputs : dict of str to str
            Path for each field of `locscale_hybrid.parameters.HybridInputs` that is given.
        enclosed : int or None
            Number of voxels that the contour of the first map encloses.
        """
        from locscale_hybrid.maps.contour import voxels_enclosed

        fields = ("half_map_1", "half_map_2") if len(self.maps) == 2 else ("full_map",)
        given: dict[str, InputMap | None] = dict(zip(fields, self.maps, strict=True))
        given.update(mask=self.mask, weight_map=self.weight)
        inputs: dict[str, str] = {}
        enclosed: int | None = None
        for field, source in given.items():
            if source is None:
                continue
            proceed()
            values = source.read()
            if source is self.maps[0] and self.level is not None:
                enclosed = voxels_enclosed(self._asked(values), self.level)
            inputs[field] = str(_write_map(folder, source, values))
        proceed()
        if self.atoms is not None:
            path = folder / file_name(self.model_name, ".cif")
            write_atoms(path, self.atoms)
            inputs["model"] = str(path)
        if self.library is not None:
            inputs["monomer_library"] = self.library
        return inputs, enclosed

    def _asked(self, values: FloatArray) -> FloatArray:
        """Return what part of a map to scale."""
        if self.region is None:
            return values
        from locscale_hybrid.maps.grid import Grid
        from locscale_hybrid.maps.subvolume import box_of

        shape = self.frame.size[::-1]
        return values[box_of(self.region, Grid(shape, self.frame.step, self.frame.origin))]


def file_name(label: str, ending: str) -> str:
    """Name a file so that a message with its name means the model: "#1 half1.mrc".

    A model may have any name; that of a file has no slash and no control letter, and is short
    enough for every file system.
    """
    from locscale_hybrid.files.atomic import LONGEST_STEM, short_name

    name = re.sub(r"[^\w#.,+ -]", "_", label)
    stem, end = name, ending
    if name.lower().endswith(ending):
        stem, end = name[: -len(ending)], name[-len(ending) :]
    return short_name(stem, LONGEST_STEM) + end


def hand_over(
    maps: Sequence[Volume],
    *,
    atoms: Atoms | None = None,
    model_name: str = "model",
    mask: Volume | None = None,
    weight: Volume | None = None,
    library: str | None = None,
) -> Handover:
    """Take from the session what a run needs; quick, on the main thread.

    Parameters
    ----------
    maps : list of Volume
        Two half maps or one full map.
    atoms : chimerax.atomic.Atoms, optional
    model_name : str
    mask, weight : Volume, optional
    library : str, optional

    Returns
    -------
    Handover

    Raises
    ------
    UserError
        If the number of maps is wrong or one does not stand on the grid of the first.
    """
    _check_number(maps)
    sources = tuple(InputMap.of(volume) for volume in maps)
    frame = sources[0].frame
    extra = {}
    for role, volume in (
        ("second half map", maps[1] if len(maps) == 2 else None),
        ("mask", mask),
        ("weight map", weight),
    ):
        if volume is not None:
            extra[role] = InputMap.of(volume)
            require_same_grid(frame, extra[role].frame, role=role)
    table = atom_table(atoms, frame) if atoms is not None else None
    return Handover(
        sources,
        table,
        extra.get("mask"),
        extra.get("weight map"),
        contour_level(maps[0]),
        model_name,
        library,
    )


def contour_level(volume: Volume) -> float | None:
    """Lowest contour level of a map, or None where it has no surface yet."""
    return volume.minimum_surface_level


def new_volume(
    session: Session,
    like: InputMap,
    values: FloatArray,
    name: str,
    *,
    look_of: Volume | None = None,
    level: float | None = None,
    shown: bool = True,
    parent: Model | None = None,
) -> Volume:
    """Open a map on the grid of an input map.

    Parameters
    ----------
    session : Session
    like : InputMap
        Gives the grid, and the position where `look_of` is None.
    values : array, [z, y, x]
    name : str
    look_of : Volume, optional
        Gives position, colour, rendering options and step of display, as they are now.
    level : float, optional
        Contour level; without it ChimeraX chooses one.
    shown : bool
    parent : Model, optional
        Group to put it in.

    Returns
    -------
    Volume
    """
    from chimerax.map import volume_from_grid_data

    volume = volume_from_grid_data(
        _grid_data(like.data, values, name), session, open_model=False, show_dialog=False
    )
    if level is not None:
        volume.set_parameters(surface_levels=[level])
    if look_of is not None:
        # a map of another tool shows a box around what is looked at, or a zone
        is_plain = type(look_of) is Volume
        volume.copy_settings_from(
            look_of,
            copy_style=False,
            copy_thresholds=False,
            copy_xform=False,
            copy_region=is_plain,
            copy_zone=is_plain,
        )
    volume.position = like.position if look_of is None else look_of.scene_position
    volume.display = shown
    session.models.add([volume], parent=parent)
    return volume


def new_values(volume: Volume, values: FloatArray) -> FloatArray | None:
    """Put other values into an open map; level, colours and what hangs on it stay.

    The array is exchanged, never written into: another tool may be contouring it in a thread.

    Returns
    -------
    array or None
        The values before, if they are in memory.
    """
    data = volume.data
    before: FloatArray | None = data.cached_data((0, 0, 0), data.size, (1, 1, 1))
    array = getattr(data, "array", None)
    if array is not None and (array.shape, array.dtype) == (values.shape, values.dtype):
        data.array = values
    else:  # it came from a file, or was saved to one
        volume.replace_data(_grid_data(data, values, volume.name))
        _hand_on_callbacks(data, volume.data)
        data = volume.data
    for callback in list(data.change_callbacks):
        try:
            callback("values changed")
        except Exception as error:  # it may be another tool's, and the values are there
            volume.session.logger.info(
                f"{map_label(volume)} has its new values, but a tool that uses it failed: {error!r}"
            )
    return before


def _hand_on_callbacks(old: GridData, new: GridData) -> None:
    """Have those that follow the values of a map follow them in its new data."""
    for callback in list(old.change_callbacks):
        old.remove_change_callback(callback)
        new.add_change_callback(callback)


def _grid_data(like: GridData, values: FloatArray, name: str) -> GridData:
    """Grid data with the geometry of another one."""
    from chimerax.map_data import ArrayGridData

    return ArrayGridData(
        values,
        origin=like.origin,
        step=like.step,
        cell_angles=like.cell_angles,
        rotation=like.rotation,
        name=name,
    )


def _write_map(folder: Path, source: InputMap, values: FloatArray) -> Path:
    """Write one input map through the core's own writer; return its path."""
    from locscale_hybrid.maps.grid import Grid, Map
    from locscale_hybrid.maps.mrc import write_map

    frame = source.frame
    path = Path(folder) / source.file_name
    # The file goes with the run: nothing is gained by waiting for the disk.
    write_map(
        path,
        Map(values, Grid(values.shape, frame.step, frame.origin), source.frame.name),
        durable=False,
    )
    return path


def _check_number(maps: Sequence[Volume]) -> None:
    """Refuse what is neither two half maps nor one map."""
    if len(maps) in (1, 2):
        return
    if not maps:
        raise UserError(
            "no map given: name two open half maps, or one full map, for example "
            "locscale hybrid #1 #2 model #3"
        )
    names = ", ".join(map(map_label, maps))
    raise UserError(f"{len(maps)} maps given ({names}): name two half maps, or one full map")
