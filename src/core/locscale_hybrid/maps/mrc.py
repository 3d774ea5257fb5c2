"""Maps in MRC/CCP4 files: read into [z, y, x], written in the frame they came in.

Modes 0, 1, 2, 6 and 12, any axis order, gzip by content, either byte order.  A file is read once
from its first to its last byte: what happens to it afterwards changes neither the map nor its
hash, and a file that is shortened meanwhile is an error, not a bus error of a memory map.
"""

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, cast

import mrcfile.dtypes
import mrcfile.utils
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..files.atomic import replacing, require_regular
from ..findings import Finding
from .grid import FloatArray, Map, Shape
from .map_frame import MapFrame
from .mrc_header import HEADER_BYTES, Header, false_extension, parse_header

__all__ = [
    "MapFile",
    "MapFrame",
    "read_frame",
    "read_map",
    "read_map_and_frame",
    "read_map_file",
    "write_map",
]

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK_BYTES = 1 << 24
_DROPPED_BYTES = 1 << 20  # read at a time where they are not kept
_LABELS, _LABEL_LENGTH = 10, 80


@dataclass(frozen=True)
class MapFile:
    """A map, the frame to write another one in, and what was odd about the file.

    Parameters
    ----------
    map : Map
        Its values belong to who has read it, and may be written to.
    frame : MapFrame
    findings : tuple of Finding
    sha256 : str
        Of the bytes that the map was made from, as they were in the file.
    """

    map: Map
    frame: MapFrame
    findings: tuple[Finding, ...] = ()
    sha256: str = ""


def read_map(path: str | Path, *, voxel_size: float | None = None) -> Map:
    """Read a map; see `read_map_file`."""
    return read_map_file(path, voxel_size=voxel_size).map


def read_map_and_frame(
    path: str | Path, *, voxel_size: float | None = None
) -> tuple[Map, MapFrame]:
    """Read a map and the frame it stands in; see `read_map_file`."""
    file = read_map_file(path, voxel_size=voxel_size)
    return file.map, file.frame


def read_frame(path: str | Path, *, voxel_size: float | None = None) -> MapFrame:
    """Read the frame of a map alone."""
    file = _existing(path)
    with _opened(file) as (stream, source):
        return _parsed(stream, source, file, voxel_size).frame


def read_map_file(
    path: str | Path, *, voxel_size: float | None = None, may_be_constant: bool = False
) -> MapFile:
    """Read a map of one volume.

    Parameters
    ----------
    path : path
        MRC or CCP4, also gzip-compressed, which is told by content and not by name.
    voxel_size : float, optional
        Å, in place of the header's.
    may_be_constant : bool
        Accept a map with one value only, as a mask of the whole box has.

    Returns
    -------
    MapFile
        Values are float32, [z, y, x] whatever the axis order of the file; the origin of the grid
        is ORIGIN where any component is non-zero, else NSTART times the voxel.

    Raises
    ------
    InputError
        If the file is missing, no map, damaged, a stack, complex, skewed, not finite, constant,
        larger than a file of its size can hold, or changes while it is read.
    """
    file = _existing(path)
    header, stored, digest = _read_density(file, voxel_size)
    values = stored.transpose(header.layout.transpose)
    values = np.ascontiguousarray(values, dtype=np.float32)
    _refuse_useless(values, file, may_be_constant=may_be_constant)
    grid = header.frame.grid(header.layout.shape)
    return MapFile(Map(values, grid, file.name, file), header.frame, header.findings, digest)


def write_map(
    path: str | Path,
    volume: Map,
    *,
    frame: MapFrame | None = None,
    labels: Sequence[str] = (),
    durable: bool = True,
) -> None:
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
    """Return the absolute path of a file that exists and is not empty."""
    file = Path(path).absolute()
    if os.path.isdir(file):
        raise InputError(f"{file} is a folder; give a map file")
    if not os.path.exists(file):  # unlike Path.exists, also for a name too long
        raise InputError(f"{file} does not exist; check the name and the folder")
    require_regular(file)
    if file.stat().st_size == 0:
        raise InputError(f"{file} is empty (0 bytes); copy it again")
    return file


class _HashedFile(io.RawIOBase):
    """An open file whose bytes are hashed as they are read, from first to last."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw
        self._digest = hashlib.sha256()
        self._before = os.fstat(raw.fileno())

    @property
    def size(self) -> int:
        """Bytes of the file when it was opened."""
        return self._before.st_size

    def readable(self) -> bool:
        """Say so, for gzip."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read and hash."""
        view = memoryview(buffer).cast("B")
        count = self._raw.readinto(view)
        self._digest.update(view[:count])
        return count

    def finished(self, path: Path) -> str:
        """Read the rest; the hash of all bytes.

        Raises
        ------
        InputError
            If the file was written to meanwhile.
        """
        while self.read(_DROPPED_BYTES):
            pass
        after = os.fstat(self._raw.fileno())
        if (after.st_size, after.st_mtime_ns) != (self.size, self._before.st_mtime_ns):
            raise InputError(f"{path} changed while it was read; run again when it is complete")
        return self._digest.hexdigest()


_Stream = _HashedFile | gzip.GzipFile


@contextmanager
def _opened(path: Path) -> Iterator[tuple[_Stream, _HashedFile]]:
    """Open a file with its bytes decompressed; damage becomes an InputError."""
    try:
        with path.open("rb", buffering=0) as raw:
            packed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            source = _HashedFile(raw)
            if packed:
                with gzip.GzipFile(fileobj=cast(IO[bytes], source)) as unpacked:
                    yield unpacked, source
            else:
                yield source, source
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is a damaged gzip file ({error}); copy it again") from None
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror or error}; give yourself the "
            "right to read it, or copy it"
        ) from None


def _parsed(stream: _Stream, source: _HashedFile, path: Path, voxel_size: float | None) -> Header:
    """Read the header and hold it to the size of the file."""
    return parse_header(
        _read_up_to(stream, HEADER_BYTES),
        path,
        n_bytes=source.size,
        compressed=stream is not source,
        voxel_size=voxel_size,
    )


def _read_density(
    path: Path, voxel_size: float | None, *, extended: bool = True
) -> tuple[Header, NDArray[Any], str]:
    """Header, density as it is stored, and the hash of the file.

    A compressed file does not say how long it is, so that an extended header that is not there
    shows at its end: it is then read once more without one.
    """
    with _opened(path) as (stream, source):
        header = _parsed(stream, source, path, voxel_size)
        layout = header.layout
        skipped = _skip(stream, layout.offset - HEADER_BYTES) if extended else 0
        stored = np.empty(layout.file_shape, layout.dtype)
        done = _fill(stream, stored)
        missing = stored.nbytes - done
        if not missing:
            while stream.read(_DROPPED_BYTES):  # gzip compares its checksum at the end of the file
                pass
            return header, stored, source.finished(path)
    if stream is not source and extended and 0 < missing == skipped:
        note = false_extension(path, layout.offset - HEADER_BYTES)
        header, stored, digest = _read_density(path, voxel_size, extended=False)
        return replace(header, findings=(*header.findings, note)), stored, digest
    raise InputError(
        f"{path} ends after {done} of {stored.nbytes} bytes of density: it is "
        "truncated; copy it again"
    )


def _read_up_to(stream: _Stream, count: int) -> bytes:
    """So many bytes, fewer at the end of the file; a read alone may give fewer."""
    parts = b""
    while len(parts) < count and (chunk := stream.read(count - len(parts))):
        parts += chunk
    return parts


def _skip(stream: _Stream, count: int) -> int:
    """Read and forget so many bytes; how many there were."""
    done = 0
    while done < count and (chunk := stream.read(min(_DROPPED_BYTES, count - done))):
        done += len(chunk)
    return done


def _fill(stream: _Stream, array: NDArray[Any]) -> int:
    """Read the bytes of an array; how many there were."""
    target = memoryview(array.reshape(-1).view(np.uint8))
    done = 0
    while done < len(target):
        count = stream.readinto(target[done : done + _CHUNK_BYTES])
        if not count:
            break
        done += count
    return done


def _refuse_useless(values: FloatArray, path: Path, *, may_be_constant: bool) -> None:
    """Refuse maps with values that are not finite, and maps with one value only."""
    low, high = float("inf"), float("-inf")
    bad = 0
    for section in values:
        bottom, top = float(section.min()), float(section.max())
        if not np.isfinite([bottom, top]).all():
            bad += int(np.count_nonzero(~np.isfinite(section)))
        low, high = min(low, bottom), max(high, top)
    if bad:
        raise InputError(
            f"{path} has {bad} voxels that are not finite (NaN or infinite) out of "
            f"{values.size}; repair or recompute the map"
        )
    if low == high and not may_be_constant:
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
    """Make a little-endian MRC2014 header."""
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
    for name, number in zip(
        ("dmin", "dmax", "dmean", "rms"), _statistics(volume.values), strict=True
    ):
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
    # float64, since the square of a float32 may be none
    square = sum(
        float(np.square(section - np.float32(mean), dtype=np.float64).sum()) for section in values
    )
    return float(values.min()), float(values.max()), mean, float(np.sqrt(square / values.size))


def box_text(shape: Shape) -> str:
    """Format a box for a message, as columns x rows x sections."""
    nz, ny, nx = shape
    return f"{nx} x {ny} x {nz}"
