"""Word errors and findings of the core for ChimeraX: inputs by keyword, files by name.

Plain Python without ChimeraX and Qt.  The core states facts and carries what to do as data, see
`locscale_hybrid.remedies`; this is the one table of what ChimeraX calls it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from locscale_hybrid.errors import LocScaleError
from locscale_hybrid.remedies import Remedy, Words

from .keywords import KEYWORDS

_AGAIN = "and start ChimeraX again"

WORDS = Words(
    terms={
        **{keyword.parameter: keyword.name for keyword in KEYWORDS},
        "model": "model",
        "mask": "mask",
        "weight_map": "weight",
        "monomer_library": "refineCoordinates",
        "previous_record": "update",
        "outputs": "outputs",
        "processes": "processes",
        "mpiexec": "mpiexec",
        "output": "saveTo",
        "update": "update",
    },
    give="give {text} (keyword {term})",
    use="use {term} {value}",
    leave_out="leave out {term}",
    own={
        "give half_maps": "give {text}",
        "give full_map": "give {text}",
        "leave_out half_maps": "leave out the half maps",
        "leave_out full_map": "leave out the full map",
        "give voxel_size": "set {text} with the command volume voxelSize",
        "use voxel_size": "set it to {value} Å with the command volume voxelSize",
        "leave_out voxel_size": "leave the voxel size as it is",
        "give region": "give {text} (keywords zone or subregion)",
        "use region": "give another region (keywords zone or subregion)",
        "leave_out region": "leave out zone and subregion",
        "give temporary_folder": f"set TMPDIR to {{text}} {_AGAIN}",
        "install": "type pip install {name} in the command line of ChimeraX",
        "report": "report it with this message",
        # ChimeraX has neither a job folder nor records, nor is it started by mpirun
        "give processing_folder": "",
        "leave_out processing_folder": "",
        "use resume true": "",
        "give record": "",
        "leave_out record": "",
        "use launcher true": "",
        "leave_out launcher": "",
    },
)


def words_for(maps: Sequence[str] = ()) -> Words:
    """Return the words of ChimeraX, with commands that mend maps.

    Parameters
    ----------
    maps : sequence of str
        Specifiers of the maps, "#1".

    Returns
    -------
    Words
    """
    if not maps:
        return WORDS
    names, it = " ".join(maps), "the new map" if len(maps) == 1 else "the new maps"
    return WORDS.with_own(
        {
            "invert": f"type volume scale {names} factor -1, and give {it}",
            "invert one_half": (
                f"type volume scale {maps[-1]} factor -1 if it is that one, and give the new map"
            ),
            "flip": f"type volume flip {names} axis {{value}}, and give {it}",
        }
    )


def message_of(
    found: LocScaleError | Mapping[str, Any], files_folder: str = "", maps: Sequence[str] = ()
) -> str:
    """Word a finding, an error, or what a child process said of one.

    Parameters
    ----------
    found : LocScaleError, or mapping with "fact" and "remedies"
        A mapping of an older session has only "message".
    files_folder : str
        Folder of the input files, dropped where a message names a file in it.
    maps : sequence of str
        Specifiers of the maps.

    Returns
    -------
    str
    """
    if isinstance(found, LocScaleError):
        message = found.worded(words_for(maps))
    elif "fact" in found:
        remedies = [Remedy.from_dict(values) for values in found.get("remedies", ())]
        message = words_for(maps).sentence(str(found["fact"]), remedies)
    else:
        message = str(found.get("message", ""))
    for separator in ("/", "\\") if files_folder else ():
        message = message.replace(files_folder + separator, "")
    return message
