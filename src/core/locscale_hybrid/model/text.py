"""The text of a model file: decompressed, decoded, and no longer than a model can be."""

import codecs
import gzip
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError
from ..files.atomic import require_regular

_LARGEST_FILE = 1 << 30  # bytes, decompressed: ten million atoms
_SMALL = 1 << 26  # bytes that any file may unpack to
_MOST_PACKED = 60  # times its size that a larger one may; models reach about ten
_PIECE = 1 << 20  # bytes read at a time
_LOOKED_AT = 4096  # bytes at the start that tell the encoding
_INK = re.compile(rb"[^\s\0]")
_GZIP = b"\x1f\x8b"
_OTHER_PACKERS = {
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"PK\x03\x04": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}  # longest first


def model_text(path: Path) -> str:
    """Read the text of a PDB or mmCIF file, compressed by gzip or not.

    Parameters
    ----------
    path : Path
        Compression is told by content, not by name.

    Raises
    ------
    InputError
        If the file is missing, not a regular file, damaged, empty, larger than any model, or in
        an encoding other than UTF-8 and ASCII.
    """
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder; give a PDB or mmCIF file")
    if not os.path.exists(path):  # unlike Path.exists, also for a name too long
        raise InputError(f"{path} does not exist; check the name and the folder")
    require_regular(path)
    try:
        raw = _bytes(path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is a damaged gzip file ({error}); copy it again") from None
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror or error}; give yourself the "
            "right to read it, or copy it"
        ) from None
    if not _INK.search(raw):
        raise InputError(f"{path} is empty; give a PDB or mmCIF file")
    _require_utf8(raw, path)
    return _decoded(raw)


def most_unpacked(size: int) -> int:
    """Bytes that a model whose compressed file has `size` bytes may have at most."""
    return min(_LARGEST_FILE, max(_SMALL, _MOST_PACKED * size))


def _bytes(path: Path) -> bytes | bytearray:
    """Read the decompressed bytes of a file."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(8)
    packer = next((name for start, name in _OTHER_PACKERS.items() if head.startswith(start)), None)
    if packer is not None:
        raise InputError(
            f"{path} is compressed with {packer}. Decompress it, or compress it with gzip."
        )
    if not head.startswith(_GZIP):
        if size > _LARGEST_FILE:
            raise InputError(
                f"{path} has {size / 1e9:.3g} GB, more than any atomic model needs. "
                "Give a PDB or mmCIF file."
            )
        return path.read_bytes()
    with gzip.open(path) as unpacked:
        return _joined(unpacked, most_unpacked(size), path)


def _joined(stream: gzip.GzipFile, most: int, path: Path) -> bytearray:
    """Decompress a file in pieces: one read of the whole would take the memory at once."""
    result = bytearray()
    for piece in _pieces(stream):
        result += piece
        if len(result) > most:
            raise InputError(
                f"{path} unpacks to more than {most / 1e6:.4g} MB, more than an "
                "atomic model of its size needs. Give a PDB or mmCIF file."
            )
    return result


def _pieces(stream: gzip.GzipFile) -> Iterator[bytes]:
    """Pieces of a decompressed file."""
    while piece := stream.read(_PIECE):
        yield piece


def _require_utf8(raw: bytes | bytearray, path: Path) -> None:
    """Refuse text whose letters have two or four bytes, with the name of the encoding."""
    name = next((name for mark, name in _MARKS.items() if raw.startswith(mark)), None)
    head = raw[:_LOOKED_AT]
    for offset in (0, 1):  # without a mark every other byte of plain text is zero
        places = head[offset::2]
        if name is None and len(places) > 4 and places.count(0) > 0.9 * len(places):
            name = "UTF-32" if head[1 - offset :: 2].count(0) > 0.4 * len(places) else "UTF-16"
    if name is not None and head.strip(b"\0"):
        raise InputError(f"{path} is text in the encoding {name}. Save it as UTF-8 or ASCII text.")


def _decoded(raw: bytes | bytearray) -> str:
    """Text without a mark of its encoding, with lines that end as on this computer."""
    text = raw.decode("utf-8-sig", "replace")
    text = text.replace("\0", " ")
    return text if "\n" in text else text.replace("\r", "\n")
