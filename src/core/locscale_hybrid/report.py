"""Stage 8: write the maps and the record of a run."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .files import replacing
from .maps import Map
from .mrc import MapFrame, write_map

_MEANINGS = {"map": "map for looking and building",
             "linear": "linear map: measure and deposit this",
             "sharpened_half1": "sharpened half map 1: a diagnostic, no resolution",
             "sharpened_half2": "sharpened half map 2: a diagnostic, no resolution",
             "localB": "local B above the best-ordered region, A^2",
             "resolution": "local resolution, A; 0 where none was estimated",
             "provenance": "source of the reference: 1 model, 2 pseudo-atoms, 0 neither",
             "mask": "mask that bounded the work, 0 to 1",
             "reference": "reference: density of the hybrid model, not of the data"}


def map_meaning(kind: str) -> str:
    """What the values of an output map are, for its header; `kind` is its name in the record."""
    if kind.startswith("gain_"):
        return f"local gain in the band at {kind.removeprefix('gain_').removesuffix('A')} A"
    return _MEANINGS[kind]


def write_maps(maps: Mapping[Path, Map], frame: MapFrame | None,
               labels: Sequence[str]) -> None:
    """Write maps, each under its name once it is complete.

    Parameters
    ----------
    maps : mapping of Path to Map
        In the order in which they are written.
    frame : MapFrame, optional
        Frame of the input.
    labels : sequence of str
        Lines for the header of every map.

    Raises
    ------
    InputError
        If a folder cannot be written or the disk is full; earlier files of the same name are
        left as they were.
    """
    for path, volume in maps.items():
        write_map(path, volume, frame=frame, labels=labels)


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record as JSON, under its name once it is complete."""
    text = json.dumps(record, indent=1, allow_nan=False) + "\n"
    with replacing(path) as stream:
        stream.write(text.encode())


def map_labels(version: str, scaling: str, reference: str, *, validated: bool,
               note: str = "") -> list[str]:
    """Labels of every output map: program, method, reference, what stands behind it.

    Parameters
    ----------
    version : str
    scaling, reference : str
        How the map was scaled, and to what.
    validated : bool
        Whether half maps chose the prior of the B factors.
    note : str
        What a reader of the map must know beside that.
    """
    basis = ("half maps: B validated by half map 2" if validated else
             "NOT VALIDATED by half maps")
    lines = [f"locscale-hybrid {version}", scaling, reference, basis, note]
    return [line[:80] for line in lines if line]
