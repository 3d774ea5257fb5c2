"""PNG images of small arrays, written with the standard library alone."""

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

ByteArray = NDArray[np.uint8]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPE = {1: 0, 4: 6}  # channels: grey, red-green-blue-alpha


def encode_png(pixels: ByteArray) -> bytes:
    """Encode an image; the same pixels give the same bytes.

    Parameters
    ----------
    pixels : array of uint8, shape (height, width) or (height, width, 4)
        Grey, or red, green, blue and opacity; the first row is the top one.

    Raises
    ------
    ValueError
        If the array has another shape.
    """
    channels = 1 if pixels.ndim == 2 else pixels.shape[-1]
    if pixels.ndim not in (2, 3) or channels not in _COLOUR_TYPE or not pixels.size:
        raise ValueError(f"no image has the shape {pixels.shape}")
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + width * channels), dtype=np.uint8)  # each begins with "no filter"
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPE[channels], 0, 0, 0)
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def data_uri(pixels: ByteArray) -> str:
    """Make an address that contains the image itself."""
    return "data:image/png;base64," + base64.b64encode(encode_png(pixels)).decode("ascii")


def _chunk(kind: bytes, content: bytes) -> bytes:
    """Length, kind, content, checksum."""
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )
