"""A command file beside the maps of a run, which ChimeraX opens to show the run."""

from pathlib import Path

from ..errors import InputError
from ..files.atomic import replacing
from ..outputs import OutputPaths


def write_session_script(outputs: OutputPaths) -> Path | None:
    """Write ``<out>.cxc``, which opens the record of the run in ChimeraX.

    The record is named without its folder: ChimeraX runs a command file in the folder of that
    file, so the folder may be moved.

    Returns
    -------
    Path or None
        None if there is no record, or the file cannot be written; the run does not need it.
    """
    if not outputs.record.is_file():
        return None
    path, name = outputs.named(".cxc"), outputs.record.name
    quote = "'" if '"' in name else '"'
    text = (
        "# Open this file in ChimeraX with the bundle LocScale Hybrid.\n"
        f"open {quote}{name}{quote}\n"
    )
    try:
        with replacing(path) as stream:
            stream.write(text.encode())
    except (InputError, OSError, UnicodeEncodeError):
        return None
    return path
