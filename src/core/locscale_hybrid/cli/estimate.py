"""How long a run takes and how much memory it needs, before it starts."""

import gzip
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..files.atomic import require_regular
from ..model.text import most_unpacked
from ..parameters import HybridInputs, HybridParameters

_PSEUDO_ATOMS_PER_CUBIC_ANGSTROM = 0.0585
_MASK_SHARE = 0.06  # of a box that a particle fills, where there is no model
_ATOM_LINE = re.compile(rb"^(?:ATOM|HETATM)", re.MULTILINE)
_CHUNK = 1 << 22

# Seconds on one core of 2020 and bytes, fitted to whole runs on half maps.
_SECONDS_ALWAYS = 2.0
_SECONDS_PER_ATOM = 2.5e-3
_SIDE_BY_SIDE = 0.7  # of the refinement, where the placements run side by side
_UPDATE_SHARE = 0.3  # of the refinement, in an update
_SECONDS_PER_VOXEL = 2.0e-6
_SECONDS_PER_VOXEL_SCALING = 3.0e-6  # shared by the processes
_WINDOWS_FACTOR = 17.0  # windows against bands, at stride 1
_WINDOWS_ALWAYS = 2.0  # the bands before them, and the sum over shells
_BYTES_ALWAYS = 1.5e8
_BYTES_PER_VOXEL = 52.0
_BYTES_PER_ATOM = 1.5e3
_BYTES_PER_PROCESS = 6e7


@dataclass(frozen=True)
class Estimate:
    """What a run is expected to take.

    Parameters
    ----------
    shape : (nz, ny, nx)
    atoms : int
        Of the model, or expected pseudo-atoms without one.
    processes : int
    seconds : float
    gigabytes : float
    """

    shape: tuple[int, int, int]
    atoms: int
    processes: int
    seconds: float
    gigabytes: float


def estimate(
    shape: tuple[int, int, int],
    atoms: int,
    processes: int,
    parameters: HybridParameters,
    *,
    volume: float | None = None,
    update: bool = False,
) -> Estimate:
    """Estimate time and memory.

    Parameters
    ----------
    shape : (nz, ny, nx)
        Voxels of the box.
    atoms : int
        Model and pseudo-atoms.
    processes : int
        Processes that share the scaling.
    parameters : HybridParameters
    volume : float, optional
        Of the box, Å^3: tells how much of it a region is.
    update : bool
        Whether it starts from the hybrid model of an earlier run.
    """
    voxels = float(shape[0]) * shape[1] * shape[2]
    scaling = _SECONDS_PER_VOXEL_SCALING * voxels
    if parameters.scaling == "windows":
        scaling *= _WINDOWS_ALWAYS + _WINDOWS_FACTOR / parameters.stride**3
    if parameters.region is not None and volume:
        scaling *= min(1.0, _volume_around(parameters.region, parameters.window) / volume)
    refined = 0.0 if parameters.refiner == "none" else _SECONDS_PER_ATOM * atoms
    if update and not parameters.validate:
        refined *= _UPDATE_SHARE
    elif processes > 1:
        refined *= _SIDE_BY_SIDE
    seconds = _SECONDS_ALWAYS + refined + _SECONDS_PER_VOXEL * voxels + scaling / max(processes, 1)
    workers = processes if processes > 1 else 0
    memory = (
        _BYTES_ALWAYS
        + _BYTES_PER_VOXEL * voxels
        + _BYTES_PER_ATOM * atoms
        + _BYTES_PER_PROCESS * workers
    )
    return Estimate(shape, atoms, processes, seconds, memory / 1e9)


def estimate_files(
    inputs: HybridInputs, parameters: HybridParameters, processes: int
) -> Estimate | None:
    """Estimate time and memory from the header of the first map and the lines of the model.

    None where they cannot be read: the run itself then says what is wrong with them.
    """
    first = inputs.half_map_1 or inputs.full_map
    header = None if first is None else _box(first)
    if header is None:
        return None
    shape, volume = header
    atoms = int(volume * _MASK_SHARE * _PSEUDO_ATOMS_PER_CUBIC_ANGSTROM)
    if inputs.model is not None:
        atoms = _with_copies(_atoms(inputs.model), parameters.point_group, atoms)
    return estimate(
        shape,
        atoms,
        processes,
        parameters,
        volume=volume,
        update=inputs.previous_record is not None,
    )


def _with_copies(given: int, point_group: str, usual: int) -> int:
    """Atoms with the copies that a point group adds, if the box then is filled more as usual.

    The file may hold one unit or all of them: reading it would tell, and take its time.
    """
    from ..symmetry.point_groups import parse_point_group  # loads numpy

    try:
        every = given * parse_point_group(point_group).order
    except InputError:  # the run says so
        return given
    return every if given * every < usual**2 else given


def _volume_around(region: tuple[float, ...], window: float) -> float:
    """Volume in Å^3 of a region and a window around it."""
    edges = [high - low + 2 * window for low, high in zip(region[:3], region[3:], strict=True)]
    return edges[0] * edges[1] * edges[2]


def _box(path: Path) -> tuple[tuple[int, int, int], float] | None:
    """Voxels of a map and the volume of its cell in Å^3, by the first bytes of the file."""
    try:
        require_regular(path)
        with path.open("rb") as stream:
            start = stream.read(1024)
        if start[:2] == b"\x1f\x8b":
            with gzip.open(path) as stream:
                start = stream.read(1024)
        columns, rows, sections, *_ = struct.unpack_from("<10i", start)
        a, b, c = struct.unpack_from("<3f", start, 40)
    except (InputError, OSError, EOFError, struct.error, zlib.error):
        return None
    if not all(1 < side < 65536 for side in (columns, rows, sections)):
        return None
    return (sections, rows, columns), max(a * b * c, 0.0)


def _atoms(path: Path) -> int:
    """Count the atom lines of a PDB or mmCIF file."""
    count, tail = 0, b""
    try:
        require_regular(path)
        with path.open("rb") as plain:
            is_gzip = plain.read(2) == b"\x1f\x8b"
        most = most_unpacked(path.stat().st_size)
        with gzip.open(path) if is_gzip else path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                most -= len(chunk)
                lines, newline, tail = (tail + chunk).rpartition(b"\n")
                if most < 0 or len(tail) > _CHUNK:  # no model; who reads it says so
                    return 0
                count += len(_ATOM_LINE.findall(lines + newline))
    except (InputError, OSError, EOFError, zlib.error):
        return 0
    return count + len(_ATOM_LINE.findall(tail))
