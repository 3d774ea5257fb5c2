"""Files of a result in a folder of the user: their names, and whose files they would replace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from chimerax.core.errors import UserError
from chimerax.map import Volume

from ..job.job import running_jobs
from ..scene.frames import map_label
from .manager import results

if TYPE_CHECKING:
    from ..session_types import Session

_KINDS = (
    "linear",
    "sharpened_half1",
    "sharpened_half2",
    "localB",
    "resolution",
    "provenance",
    "mask",
    "reference",
    "difference",
)


def output_path(folder: str | Path, name: str) -> Path:
    """Path of the result in a folder, which is made where its parent is there.

    Raises
    ------
    UserError
        If the folder cannot be made.
    """
    folder = Path(folder).absolute()
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the folder {folder} cannot be made ({error.strerror}): give saveTo a "
            "folder in one that exists and can be written"
        ) from None
    from locscale_hybrid.files.atomic import LONGEST_STEM, short_name

    stem = re.sub(r"[^\w.,+-]+", "_", re.sub(r"\.(mrc|map|ccp4)\b", "", name)).strip("_.")
    stem = short_name(stem, LONGEST_STEM)
    return folder / f"{stem or 'locscale'}.mrc"


def saved_path(session: Session, folder: str, name: str, *, update: Volume | None) -> Path:
    """Path of a result that is kept; says what it will replace.

    Parameters
    ----------
    session : Session
    folder, name : str
    update : Volume or None
        Result whose own files may be replaced.

    Raises
    ------
    UserError
        If a file there belongs to another result, to a run that is going on, or to an open map.
    """
    path = output_path(folder, name)
    for kept in results(session).records:
        if kept.saved_map == str(path) and kept.volume is not update:
            raise UserError(
                f"{path} belongs to the result {map_label(kept.volume)}, which is "
                "open: give saveTo another folder, give another name, or close "
                f"#{kept.volume.id_string} first"
            )
    for job in running_jobs(session):
        if job.request.outputs["map"] == path:
            raise UserError(
                f"{path} will be written by the run on {job.request.title} that is "
                f"going on ({job.stage}, {100 * job.fraction:.0f} %): give saveTo "
                "another folder, or give another name"
            )
    _refuse_open_files(session, path)
    if path.exists() or path.with_suffix(".json").exists():
        session.logger.info(
            f"{path} and the files beside it are of an earlier run and will be replaced at the end"
        )
    return path


def _refuse_open_files(session: Session, path: Path) -> None:
    """Refuse to write over the file that a map was opened from."""
    written = {path, *(path.with_name(f"{path.stem}_{kind}.mrc") for kind in _KINDS)}
    for model in session.models.list(type=Volume):
        file = getattr(model.data, "path", None)
        if isinstance(file, str) and file and Path(file).absolute() in written:
            raise UserError(
                f"{file} is open as {map_label(model)} and would be replaced: give "
                "saveTo another folder, or give another name"
            )
