"""The header of an MRC/CCP4 file: what it claims, held to what the file can hold.

Every check here comes before a byte of density is read or a voxel allocated.

References
----------
.. [1] Cheng et al. (2015) J. Struct. Biol. 192:146-150, :doi:`10.1016/j.jsb.2015.04.002`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mrcfile.dtypes
import mrcfile.utils
import numpy as np

from ..errors import InputError
from ..findings import Finding
from .grid import Shape
from .map_frame import MapFrame
from .mrc_cell import frame_of_header

HEADER_BYTES = 1024
SHORTEST_SIDE = 8  # voxels; anything smaller is no density map
_MOST_VOXELS = 2**31
_LONGEST_SIDE = 65535  # ChimeraX tells the byte order by it
_GZIP_RATIO = 1032  # deflate cannot do better
_DTYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
_IMOD_STAMP = 1146047817  # at byte 153; the flags follow
_COMPLEX_MODES = {3: "complex 16-bit integers", 4: "complex 32-bit floats"}
_FOREIGN = {
    b"\x89HDF": "an HDF5 file",
    b"PK\x03\x04": "a zip archive",
    b"BZh": "a bzip2 file",
    b"\xfd7zX": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"II*\x00": "a TIFF file",
    b"HEAD": "a PDB file",
    b"ATOM": "a PDB file",
    b"CRYS": "a PDB file",
    b"data": "a CIF file",
    b"<htm": "a web page",
    b"<!DO": "a web page",
}


Fields = Any  # one record of mrcfile's HEADER_DTYPE


@dataclass(frozen=True)
class Layout:
    """Where the density lies in the file and how it becomes [z, y, x].

    Parameters
    ----------
    dtype : numpy dtype
        With byte order.
    offset : int
        Bytes before the first voxel.
    file_shape : (sections, rows, columns)
    transpose : permutation
        Brings [sections, rows, columns] to [z, y, x].
    """

    dtype: np.dtype[Any]
    offset: int
    file_shape: Shape
    transpose: tuple[int, int, int]

    @property
    def shape(self) -> Shape:
        """Shape (nz, ny, nx)."""
        z, y, x = (self.file_shape[axis] for axis in self.transpose)
        return z, y, x

    @property
    def n_bytes(self) -> int:
        """Bytes of density."""
        sections, rows, columns = self.file_shape
        return sections * rows * columns * self.dtype.itemsize


@dataclass(frozen=True)
class Header:
    """A checked header: layout, frame, and what was odd about it."""

    layout: Layout
    frame: MapFrame
    findings: tuple[Finding, ...]


def parse_header(
    raw: bytes, path: Path, *, n_bytes: int, compressed: bool, voxel_size: float | None = None
) -> Header:
    """Read and check the first 1024 bytes of a map.

    Parameters
    ----------
    raw : bytes
        The first 1024 bytes, decompressed; fewer if the file is shorter.
    path : Path
        For the messages.
    n_bytes : int
        Size of the file as it lies on the disk.
    compressed : bool
        Whether that is the size of a gzip file.
    voxel_size : float, optional
        Å, in place of what the header says.

    Raises
    ------
    InputError
        If this is no map, or one that cannot be used.
    """
    notes: list[Finding] = []
    fields = _decode(raw, path, notes)
    layout = _layout(fields, path, n_bytes, compressed, notes)
    _refuse_stack(fields, layout, path, notes)
    _refuse_skewed(fields, path)
    shape, order = layout.shape, layout.transpose
    frame = frame_of_header(fields, shape, order, path, voxel_size, notes)
    return Header(layout, frame, tuple(notes))


def _decode(raw: bytes, path: Path, notes: list[Finding]) -> Fields:
    """Decode the header fields in the byte order that makes sense of them."""
    if len(raw) < HEADER_BYTES:
        raise InputError(
            f"{path} is not an MRC map: it holds {len(raw)} bytes, "
            f"and the header alone takes {HEADER_BYTES}; give a .mrc or .map file"
        )
    kinds = {
        "<": mrcfile.dtypes.HEADER_DTYPE.newbyteorder("<"),
        ">": mrcfile.dtypes.HEADER_DTYPE.newbyteorder(">"),
    }
    fields = {order: np.frombuffer(raw[:HEADER_BYTES], kind)[0] for order, kind in kinds.items()}
    sensible = [order for order in "<>" if _makes_sense(fields[order])]
    if not sensible:
        found = next((text for magic, text in _FOREIGN.items() if raw.startswith(magic)), None)
        looks = f"it looks like {found}" if found else "its header makes sense in no byte order"
        raise InputError(f"{path} is not an MRC map: {looks}; give a .mrc, .map or .ccp4 file")
    header = fields[sensible[0]]
    stamp = bytes(header["machst"])
    stamped = {b"D": "<", b"\x11": ">"}.get(stamp[:1])
    if stamped in sensible:
        header = fields[stamped]
    else:
        notes.append(
            Finding(
                "machine-stamp",
                "note",
                f"{path.name} has the machine stamp {stamp.hex(' ')}, which does not fit its contents; "
                f"read as {'little' if sensible[0] == '<' else 'big'}-endian",
            )
        )
    if bytes(header["map"])[:3] != b"MAP":
        notes.append(
            Finding(
                "map-identifier",
                "warning",
                f"{path.name} lacks the identifier MAP at byte 209 of its header, as files from before "
                "2000 do; its ORIGIN is not used, and NSTART gives the position",
            )
        )
    return header


def _makes_sense(fields: Fields) -> bool:
    """Test whether dimensions and mode can be those of a map."""
    sides = [int(fields[name]) for name in ("nx", "ny", "nz")]
    mode = int(fields["mode"])
    return all(0 < side <= _LONGEST_SIDE for side in sides) and 0 <= mode <= 127


def _layout(
    fields: Fields, path: Path, n_bytes: int, compressed: bool, notes: list[Finding]
) -> Layout:
    """Type, place and axis order of the density, held to the size of the file."""
    mode = int(fields["mode"])
    if mode in _COMPLEX_MODES:
        raise InputError(
            f"{path} holds {_COMPLEX_MODES[mode]} (mode {mode}), a Fourier transform; "
            "give the map in real space"
        )
    if mode not in _DTYPES:
        raise InputError(
            f"{path} has mode {mode}, which is none of 0, 1, 2, 6, 12 (8- and 16-bit "
            "integers, 16- and 32-bit floats); convert it to mode 2, 32-bit floats"
        )
    columns, rows, sections = (int(fields[name]) for name in ("nx", "ny", "nz"))
    voxels = columns * rows * sections
    if voxels >= _MOST_VOXELS:
        raise InputError(
            f"{path} claims {columns} x {rows} x {sections} = {voxels} voxels; maps "
            f"of up to {_MOST_VOXELS - 1} are read: crop or bin it"
        )
    if min(columns, rows, sections) < SHORTEST_SIDE:
        raise InputError(
            f"{path} has {columns} x {rows} x {sections} voxels; a map has at least "
            f"{SHORTEST_SIDE} along each axis, so this is an image or a fragment"
        )
    kind = "u1" if mode == 0 and _is_unsigned(fields) else _DTYPES[mode]
    dtype = np.dtype(kind).newbyteorder(fields.dtype["nx"].byteorder)
    offset = HEADER_BYTES + _extended_bytes(
        fields, path, n_bytes, voxels * dtype.itemsize, compressed, notes
    )
    # whether a compressed file holds its extended header shows when it is read
    need = (HEADER_BYTES if compressed else offset) + voxels * dtype.itemsize
    holds = n_bytes * _GZIP_RATIO if compressed else n_bytes
    if need > holds:
        unit = "compressed bytes" if compressed else "bytes"
        raise InputError(
            f"{path} claims {columns} x {rows} x {sections} voxels of mode {mode}, "
            f"{need} bytes, but the file holds {n_bytes} {unit}: it is truncated or "
            "damaged; copy it again"
        )
    return Layout(dtype, offset, (sections, rows, columns), _axis_order(fields, path, notes))


def _is_unsigned(fields: Fields) -> bool:
    """Test whether IMOD wrote mode 0 as bytes 0 to 255, which it did before 2012."""
    extra = np.frombuffer(bytes(fields["extra2"])[40:48], fields.dtype["nx"])
    return bool(extra[0] == _IMOD_STAMP and not extra[1] & 1)


def _extended_bytes(
    fields: Fields,
    path: Path,
    n_bytes: int,
    data_bytes: int,
    compressed: bool,
    notes: list[Finding],
) -> int:
    """Length of the extended header; 0 where the file is just too short to hold it."""
    claimed = int(fields["nsymbt"])
    if claimed < 0:
        raise InputError(
            f"{path} claims an extended header of {claimed} bytes: the header is "
            "damaged; write the map again with another program"
        )
    if claimed and not compressed and n_bytes == HEADER_BYTES + data_bytes:
        notes.append(false_extension(path, claimed))
        return 0
    return claimed


def false_extension(path: Path, claimed: int) -> Finding:
    """Say that a file is read without the extended header that it claims."""
    return Finding(
        "extended-header",
        "note",
        f"{path.name} claims an extended header of {claimed} bytes that the file does not "
        "hold; read without it",
    )


def _axis_order(fields: Fields, path: Path, notes: list[Finding]) -> tuple[int, int, int]:
    """Permutation that brings [sections, rows, columns] to [z, y, x]."""
    axes = [int(fields[name]) for name in ("mapc", "mapr", "maps")]
    if axes == [0, 0, 0]:
        notes.append(
            Finding(
                "axis-order",
                "note",
                f"{path.name} gives no axis order (MAPC, MAPR, MAPS are 0); read as X, Y, Z",
            )
        )
        axes = [1, 2, 3]
    if sorted(axes) != [1, 2, 3]:
        raise InputError(
            f"{path} has the axis order MAPC, MAPR, MAPS = {axes[0]}, {axes[1]}, "
            f"{axes[2]}, which is no permutation of 1, 2, 3; write the map again "
            "with another program"
        )
    file_axis = {axis: 2 - place for place, axis in enumerate(axes)}
    return file_axis[3], file_axis[2], file_axis[1]


def _refuse_stack(fields: Fields, layout: Layout, path: Path, notes: list[Finding]) -> None:
    """Refuse several volumes in one file; say so where the header speaks of images."""
    sections, depth, group = layout.file_shape[0], int(fields["mz"]), int(fields["ispg"])
    if mrcfile.utils.spacegroup_is_volume_stack(group) and 0 < depth < sections:
        raise InputError(
            f"{path} is a stack of {sections // depth} volumes (space group {group}, "
            f"{sections} sections, {depth} per volume); give one map per file"
        )
    if group == 0 and depth == 1:
        notes.append(
            Finding(
                "image-stack",
                "warning",
                f"{path.name} is marked as a stack of {sections} images (ISPG 0, MZ 1), read as one "
                "map; if it is a particle stack, give the reconstruction instead",
            )
        )


def _refuse_skewed(fields: Fields, path: Path) -> None:
    """Refuse unit cells with an angle other than 90 degrees."""
    angles = [float(fields["cellb"][name]) for name in ("alpha", "beta", "gamma")]
    if any(angles) and not all(abs(angle - 90.0) < 0.01 for angle in angles):
        text = ", ".join(f"{angle:g}" for angle in angles)
        raise InputError(
            f"{path} has cell angles {text}: the method needs a right-angled grid, as "
            "every single-particle map has; resample the map onto one"
        )
