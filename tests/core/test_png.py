"""PNG images: read back by an independent decoder of what the format's standard says."""

import base64
import struct
import zlib

import numpy as np
import pytest

from locscale_hybrid.results.report.png import data_uri, encode_png


def decode(content):
    """Chunks with their checksums tested; pixels of an image without filters."""
    assert content[:8] == bytes([137, 80, 78, 71, 13, 10, 26, 10])
    chunks, place = {}, 8
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        kind, data = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack(">I", content[place + 8 + length : place + 12 + length])
        assert zlib.crc32(kind + data) == checksum
        chunks[kind] = data
        place += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, rest) == (8, [0, 0, 0])
    channels = {0: 1, 6: 4}[colour]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, channels)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (5, 3, 4)])
def test_pixels_come_back_as_they_went_in(shape):
    pixels = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    assert (decode(encode_png(pixels)) == pixels.reshape(*shape[:2], -1)).all()


def test_a_part_of_an_array_is_encoded_as_it_is_seen():
    pixels = np.arange(60, dtype=np.uint8).reshape(6, 10)[::-1, ::2]
    assert (decode(encode_png(pixels))[..., 0] == pixels).all()


def test_address_holds_the_image():
    pixels = np.full((4, 4), 7, dtype=np.uint8)
    head, _, text = data_uri(pixels).partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(text) == encode_png(pixels)


@pytest.mark.parametrize("shape", [(4,), (0, 3), (2, 2, 3)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(ValueError, match="no image"):
        encode_png(np.zeros(shape, dtype=np.uint8))
