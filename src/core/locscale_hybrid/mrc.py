"""Maps in MRC/CCP4 files: read into [z, y, x], written in the frame they came in.

Modes 0, 1, 2, 6 and 12, any axis order, gzip by content, either byte order.  Uncompressed
float32 files are mapped into memory and copied by nobody who only reads.
"""

import gzip
import io
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import mrcfile.dtypes
import mrcfile.utils
import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .files import replacing, require_regular
from .findings import Finding
from .maps import FloatArray, Map, Shape
from .mrc_header import HEADER_BYTES, Header, Layout, MapFrame, parse_header

__all__ = ["MapFile", "MapFrame", "read_frame", "read_map", "read_map_and_frame",
           "read_map_file", "write_map"]

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK_BYTES = 1 << 24
_LABELS, _LABEL_LENGTH = 10, 80


@dataclass(frozen=True)
class MapFile:
    """A map, the frame to write another one in, and what was odd about the file."""

    map: Map
    frame: MapFrame
    findings: tuple[Finding, ...] = ()


def read_map(path: str | Path, *, voxel_size: float | None = None) -> Map:
    """Read a map; see `read_map_file`."""
    return read_map_file(path, voxel_size=voxel_size).map


def read_map_and_frame(path: str | Path, *,
                       voxel_size: float | None = None) -> tuple[Map, MapFrame]:
    """Read a map and the frame it stands in; see `read_map_file`."""
    file = read_map_file(path, voxel_size=voxel_size)
    return file.map, file.frame


def read_frame(path: str | Path, *, voxel_size: float | None = None) -> MapFrame:
    """Read the frame of a map alone."""
    return _read_header(_existing(path), voxel_size).frame


def read_map_file(path: str | Path, *, voxel_size: float | None = None) -> MapFile:
    """Read a map of one volume.

    Parameters
    ----------
    path : path
        MRC or CCP4, also gzip-compressed, which is told by content and not by name.
    voxel_size : float, optional
        Å, in place of the header's.

    Returns
    -------
    MapFile
        Values are float32, [z, y, x] whatever the axis order of the file; the origin of the grid
        is ORIGIN where any component is non-zero, else NSTART times the voxel.  An uncompressed
        little-endian float32 map is a read-only view of the file.

    Raises
    ------
    InputError
        If the file is missing, no map, damaged, a stack, complex, skewed, not finite, constant,
        or larger than a file of its size can hold.
    """
    file = _existing(path)
    header = _read_header(file, voxel_size)
    values = _read_values(file, header.layout)
    _refuse_useless(values, file)
    grid = header.frame.grid(header.layout.shape)
    return MapFile(Map(values, grid, file.name, file), header.frame, header.findings)


def write_map(path: str | Path, volume: Map, *, frame: MapFrame | None = None,
              labels: Sequence[str] = (), durable: bool = True) -> None:
    """Write a map as float32, axis order XYZ, in one step.

    The file appears under its name when it is complete; before that it has a temporary name in
    the same folder.  There is no time stamp in it: equal maps give equal bytes.

    Parameters
    ----------
    path : path
        Compressed when the name ends in ``.gz``.
    volume : Map
    frame : MapFrame, optional
        Cell, ORIGIN and NSTART of the input; without it the grid's own.
    labels : sequence of str
        Up to ten lines of 80 ASCII characters.
    durable : bool
        Wait for the disk; see `files.replacing`.

    Raises
    ------
    InputError
        If the folder is missing or cannot be written, or the disk is full.
    ValueError
        If the frame is that of another grid.
    """
    frame = frame or MapFrame.of(volume.grid)
    if not frame.grid(volume.grid.shape).same_as(volume.grid):
        raise ValueError(f"grid {volume.grid} does not stand in frame {frame}")
    header = _header_bytes(volume, frame, labels)
    target = Path(path)
    with replacing(target, durable=durable) as stream:
        if target.suffix.lower() == ".gz":
            with gzip.GzipFile("", "wb", 4, stream, mtime=0) as packed:
                _write_volume(packed, header, volume.values)
        else:
            _write_volume(stream, header, volume.values)


def _existing(path: str | Path) -> Path:
    """The absolute path of a file that is there and not empty."""
    file = Path(path).absolute()
    if os.path.isdir(file):
        raise InputError(f"{file} is a folder; give a map file")
    if not os.path.exists(file):  # unlike Path.exists, also for a name too long
        raise InputError(f"{file} does not exist; check the name and the folder")
    require_regular(file)
    if file.stat().st_size == 0:
        raise InputError(f"{file} is empty (0 bytes); copy it again")
    return file


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The decompressed bytes of a file; damage and missing rights become an InputError."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            if packed:
                with gzip.GzipFile(fileobj=raw) as unpacked:
                    yield cast(IO[bytes], unpacked)
            else:
                yield raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is a damaged gzip file ({error}); copy it again") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}; give yourself the "
                         "right to read it, or copy it") from None


def _read_header(path: Path, voxel_size: float | None) -> Header:
    """Read the header and hold it to the size of the file."""
    with _opened(path) as stream:
        compressed = isinstance(stream, gzip.GzipFile)
        raw = stream.read(HEADER_BYTES)
    return parse_header(raw, path, n_bytes=path.stat().st_size, compressed=compressed,
                        voxel_size=voxel_size)


def _read_values(path: Path, layout: Layout) -> FloatArray:
    """Density as float32 [z, y, x]: a view of the file where its bytes allow."""
    with _opened(path) as stream:
        if isinstance(stream, gzip.GzipFile):
            stored = _read_stream(stream, layout, path)
        else:
            stored = np.memmap(path, layout.dtype, "r", layout.offset, layout.file_shape)
    values = stored.transpose(layout.transpose)
    if values.dtype == np.dtype("<f4") and values.flags.c_contiguous:
        return np.asarray(values)
    return np.ascontiguousarray(values, dtype=np.float32)


def _read_stream(stream: IO[bytes], layout: Layout, path: Path) -> NDArray[Any]:
    """Density from a compressed file, in chunks."""
    missing = layout.offset
    while missing:
        skipped = len(stream.read(min(missing, _CHUNK_BYTES)))
        missing -= skipped
        if not skipped:
            break
    stored = np.empty(layout.file_shape, layout.dtype)
    target = stored.reshape(-1).view(np.uint8)
    done = 0
    while done < len(target):
        chunk = stream.read(min(_CHUNK_BYTES, len(target) - done))
        if not chunk:
            raise InputError(f"{path} ends after {done} of {len(target)} bytes of density: it is "
                             "truncated; copy it again")
        target[done:done + len(chunk)] = np.frombuffer(chunk, np.uint8)
        done += len(chunk)
    stream.read(_CHUNK_BYTES)  # the checksum is compared at the end of the file
    return stored


def _refuse_useless(values: FloatArray, path: Path) -> None:
    """Refuse maps with values that are not finite, and maps with one value only."""
    low, high = float("inf"), float("-inf")
    bad = 0
    for section in values:
        bottom, top = float(section.min()), float(section.max())
        if not np.isfinite([bottom, top]).all():
            bad += int(np.count_nonzero(~np.isfinite(section)))
        low, high = min(low, bottom), max(high, top)
    if bad:
        raise InputError(f"{path} has {bad} voxels that are not finite (NaN or infinite) out of "
                         f"{values.size}; repair or recompute the map")
    if low == high:
        raise InputError(f"{path} is constant: every voxel is {low:g}; give a density map")


def _write_volume(stream: IO[bytes] | gzip.GzipFile, header: bytes, values: FloatArray) -> None:
    """Header, then density section by section."""
    buffered = io.BufferedWriter(cast(io.RawIOBase, stream), _CHUNK_BYTES)
    buffered.write(header)
    for section in values:
        buffered.write(np.ascontiguousarray(section, dtype="<f4").data)
    buffered.flush()
    buffered.detach()


def _header_bytes(volume: Map, frame: MapFrame, labels: Sequence[str]) -> bytes:
    """A little-endian MRC2014 header."""
    header = np.zeros((), mrcfile.dtypes.HEADER_DTYPE.newbyteorder("<"))
    nz, ny, nx = volume.grid.shape
    for name, value in zip(("nx", "ny", "nz"), (nx, ny, nz), strict=True):
        header[name] = value
    header["mode"] = 2
    for name, value in zip(("nxstart", "nystart", "nzstart"), frame.nstart, strict=True):
        header[name] = value
    for name, value in zip(("mx", "my", "mz"), frame.sampling, strict=True):
        header[name] = value
    header["cella"] = frame.cell
    header["cellb"] = (90.0, 90.0, 90.0)
    header["mapc"], header["mapr"], header["maps"] = 1, 2, 3
    for name, number in zip(("dmin", "dmax", "dmean", "rms"), _statistics(volume.values),
                            strict=True):
        header[name] = number
    header["ispg"] = 1
    header["nversion"] = 20141
    header["origin"] = frame.origin
    header["map"] = b"MAP "
    header["machst"] = mrcfile.utils.machine_stamp_from_byte_order("<")
    lines = [line.encode("ascii", "replace")[:_LABEL_LENGTH] for line in labels[:_LABELS]]
    header["nlabl"] = len(lines)
    header["label"][: len(lines)] = lines
    return header.tobytes()


def _statistics(values: FloatArray) -> tuple[float, float, float, float]:
    """Minimum, maximum, mean and standard deviation."""
    mean = float(values.mean(dtype=np.float64))
    square = sum(float(np.square(section - np.float32(mean)).sum(dtype=np.float64))
                 for section in values)
    return float(values.min()), float(values.max()), mean, float(np.sqrt(square / values.size))


def box_text(shape: Shape) -> str:
    """A box for a message, as columns x rows x sections."""
    nz, ny, nx = shape
    return f"{nx} x {ny} x {nz}"
