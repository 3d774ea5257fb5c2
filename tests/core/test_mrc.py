"""Maps in files: frames, modes, damage, and writing; files are made and judged by mrcfile."""

import gzip
import hashlib
import itertools
import os
import struct
import tracemalloc
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from locscale_hybrid.errors import InputError
from locscale_hybrid.maps import mrc
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.maps.mrc import (
    MapFrame,
    read_frame,
    read_map,
    read_map_and_frame,
    read_map_file,
    write_map,
)
from locscale_hybrid.maps.mrc_header import parse_header

DATA = Path(__file__).parents[1] / "data"
SHAPE = (10, 11, 12)
WORDS = (
    "nx",
    "ny",
    "nz",
    "mode",
    "nxstart",
    "nystart",
    "nzstart",
    "mx",
    "my",
    "mz",
    "xlen",
    "ylen",
    "zlen",
    "alpha",
    "beta",
    "gamma",
    "mapc",
    "mapr",
    "maps",
    "dmin",
    "dmax",
    "dmean",
    "ispg",
    "nsymbt",
)
FIELDS = {name: 4 * place for place, name in enumerate(WORDS)}
FIELDS |= {"imod": 152, "xorigin": 196, "map": 208, "machst": 212}


def density(shape=SHAPE, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def write_file(path, values=None, voxel=1.5, **fields):
    """A map by mrcfile, then header words (int or float) set by name."""
    with mrcfile.new(path, density() if values is None else values, overwrite=True) as file:
        file.voxel_size = voxel
    if fields:
        raw = bytearray(path.read_bytes())
        for name, value in fields.items():
            packed = (
                value
                if isinstance(value, bytes)
                else struct.pack("<f" if isinstance(value, float) else "<i", value)
            )
            raw[FIELDS[name] : FIELDS[name] + len(packed)] = packed
        path.write_bytes(raw)
    return path


def codes(file):
    return [finding.code for finding in file.findings]


def test_values_and_voxel_size_are_those_mrcfile_wrote(tmp_path):
    path = write_file(tmp_path / "a.mrc")
    volume = read_map(path)
    assert np.array_equal(volume.values, density())
    assert volume.values.dtype == np.float32
    assert volume.grid == Grid(SHAPE, (1.5, 1.5, 1.5), (0.0, 0.0, 0.0))
    assert (volume.name, volume.path) == ("a.mrc", path)
    assert codes(read_map_file(path)) == []


def sparse_file(path, side):
    """A map of that side with 5 kB of density in its middle, without blocks on the disk."""
    write_file(
        path,
        nx=side,
        ny=side,
        nz=side,
        mx=side,
        my=side,
        mz=side,
        xlen=1.0 * side,
        ylen=1.0 * side,
        zlen=1.0 * side,
    )
    with path.open("r+b") as file:
        file.truncate(1024)
        file.truncate(1024 + 4 * side**3)
        file.seek(1024 + 4 * side**3 // 2)
        file.write(density().tobytes())
    return path


def test_reading_takes_the_memory_of_the_map_alone(tmp_path):
    side = 256
    path = sparse_file(tmp_path / "a.mrc", side)
    tracemalloc.start()
    values = read_map(path).values
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert values.shape == (side,) * 3
    assert values[side // 2, 0, :12] == pytest.approx(density()[0, 0])
    assert peak < 4 * side**3 + 2e6


@pytest.mark.parametrize("change", ["cut", "gone", "replaced", "overwritten"])
def test_map_does_not_change_with_its_file(tmp_path, change):
    path = write_file(tmp_path / "a.mrc")
    before = path.read_bytes()
    file = read_map_file(path)
    if change == "cut":
        os.truncate(path, 2000)
    elif change == "gone":
        path.unlink()
    elif change == "replaced":
        os.replace(write_file(tmp_path / "b.mrc", density(seed=2)), path)
    else:
        path.write_bytes(bytes(len(before)))
    assert np.array_equal(file.map.values, density())
    assert file.sha256 == hashlib.sha256(before).hexdigest()


@pytest.mark.parametrize("name", ["a.mrc", "a.mrc.gz"])
def test_hash_is_that_of_all_bytes_of_the_file(tmp_path, name):
    raw = write_file(tmp_path / "plain.mrc").read_bytes() + b"tail" * 9
    path = tmp_path / name
    path.write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    assert read_map_file(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: os.truncate(path, 3000), "ends after 1976 of 5280 bytes.*truncated; copy"),
        (lambda path: os.utime(path, ns=(1, 1)), "changed while it was read; run again"),
    ],
)
def test_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch, change, words):
    path = write_file(tmp_path / "a.mrc")

    def parsed_and_changed(*given, **named):
        change(path)
        return parse_header(*given, **named)

    monkeypatch.setattr(mrc, "parse_header", parsed_and_changed)
    with pytest.raises(InputError, match=words):
        read_map(path)


@pytest.mark.parametrize("name", ["a.mrc.gz", "a.map.gz", "a.ccp4.gz", "a.map", "a.ccp4"])
def test_any_suffix_and_compression_is_told_by_content(tmp_path, name):
    raw = write_file(tmp_path / "plain.mrc").read_bytes()
    path = tmp_path / name
    path.write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    assert np.array_equal(read_map(path).values, density())


def test_gzip_named_like_a_plain_map_is_read(tmp_path):
    path = tmp_path / "a.mrc"
    path.write_bytes(gzip.compress(write_file(tmp_path / "b.mrc").read_bytes()))
    assert np.array_equal(read_map(path).values, density())


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint16, np.float16, np.float32])
@pytest.mark.parametrize("order", ["<", ">"])
def test_mode_and_byte_order_become_float32(tmp_path, dtype, order):
    values = (density() * 20).clip(0, 60).astype(dtype)
    with mrcfile.new(tmp_path / "a.mrc") as file:
        file.set_data(values.astype(np.dtype(dtype).newbyteorder(order)))
        file.voxel_size = 1.5
    volume = read_map(tmp_path / "a.mrc")
    assert volume.values.dtype == np.dtype("f4")
    assert np.array_equal(volume.values, values.astype(np.float32))


@pytest.mark.parametrize(("flags", "expected"), [(0, 255.0), (1, -1.0)])
def test_bytes_of_imod_are_signed_as_its_flag_says(tmp_path, flags, expected):
    values = np.arange(10 * 11 * 12).reshape(SHAPE).astype(np.int8)
    path = write_file(tmp_path / "a.mrc", values, imod=struct.pack("<2i", 1146047817, flags))
    assert read_map(path).values.ravel()[255] == expected


@pytest.mark.parametrize("axes", list(itertools.permutations((1, 2, 3))))
def test_any_axis_order_is_brought_to_xyz(tmp_path, axes):
    # written by hand: file axes columns, rows, sections hold the spatial axes `axes`
    values = density()
    stored = np.ascontiguousarray(values.transpose([3 - axis for axis in axes[::-1]]))
    starts = {1: 5, 2: -7, 3: 11}
    path = write_file(
        tmp_path / "a.mrc",
        stored,
        mapc=axes[0],
        mapr=axes[1],
        maps=axes[2],
        nxstart=starts[axes[0]],
        nystart=starts[axes[1]],
        nzstart=starts[axes[2]],
        mx=12,
        my=11,
        mz=10,
        xlen=18.0,
        ylen=16.5,
        zlen=15.0,
    )
    volume, frame = read_map_and_frame(path)
    assert np.array_equal(volume.values, values)
    assert volume.grid == Grid(SHAPE, (1.5, 1.5, 1.5), (7.5, -10.5, 16.5))
    assert frame.nstart == (5, -7, 11)


@pytest.mark.parametrize("origin", [(-17.3, 40.0, 5.0), (0.0, 0.0, 12.5)])
def test_header_origin_is_taken_where_any_component_is_not_zero(tmp_path, origin):
    path = write_file(
        tmp_path / "a.mrc", nxstart=3, nystart=4, nzstart=5, xorigin=struct.pack("<3f", *origin)
    )
    assert read_map(path).grid.origin == pytest.approx(origin, abs=1e-6)


def test_nstart_times_the_voxel_is_the_origin_where_origin_is_zero(tmp_path):
    path = write_file(tmp_path / "a.mrc", nxstart=-20, nystart=8, nzstart=0)
    assert read_map(path).grid.origin == (-30.0, 12.0, 0.0)


def test_origin_and_nstart_that_disagree_are_reported_and_origin_wins(tmp_path):
    path = write_file(tmp_path / "a.map", nxstart=-20, xorigin=struct.pack("<3f", 9, 0, 0))
    file = read_map_file(path)
    assert file.map.grid.origin == (9.0, 0.0, 0.0)
    assert codes(file) == ["origins-differ"]
    assert "(-30, 0, 0)" in file.findings[0].message


def test_origin_and_nstart_that_agree_are_not_reported(tmp_path):
    path = write_file(tmp_path / "a.mrc", nxstart=-20, xorigin=struct.pack("<3f", -30, 0, 0))
    assert codes(read_map_file(path)) == []


@pytest.mark.parametrize("origin", [(np.nan, 0, 0), (1e30, 0, 0), (np.inf, 1, 2)])
def test_impossible_origin_is_left_for_nstart_as_in_chimerax(tmp_path, origin):
    path = write_file(tmp_path / "a.mrc", nxstart=2, xorigin=struct.pack("<3f", *origin))
    file = read_map_file(path)
    assert file.map.grid.origin == (3.0, 0.0, 0.0)
    assert codes(file) == ["origin-ignored"]


def test_impossible_nstart_is_ignored_as_in_chimerax(tmp_path):
    file = read_map_file(write_file(tmp_path / "a.mrc", nxstart=1 << 30))
    assert file.map.grid.origin == (0.0, 0.0, 0.0)
    assert codes(file) == ["nstart-ignored"]


def test_cell_larger_than_the_box_gives_the_voxel_by_its_sampling(tmp_path):
    path = write_file(tmp_path / "a.mrc", mx=24, my=22, mz=20, xlen=36.0, ylen=33.0, zlen=30.0)
    volume, frame = read_map_and_frame(path)
    assert volume.grid.voxel_size == (1.5, 1.5, 1.5)
    assert (frame.sampling, frame.cell) == ((24, 22, 20), (36.0, 33.0, 30.0))


def test_given_voxel_size_scales_cell_and_nstart_and_is_said(tmp_path):
    path = write_file(tmp_path / "a.mrc", nxstart=10)
    file = read_map_file(path, voxel_size=2.0)
    assert file.map.grid.voxel_size == (2.0, 2.0, 2.0)
    assert file.map.grid.origin == (20.0, 0.0, 0.0)
    assert codes(file) == ["voxel-size-override"]
    assert "2 Å as given in place of 1.5 Å" in file.findings[0].message
    assert "+33.3 %" in file.findings[0].message
    assert file.findings[0].level == "warning"
    assert codes(read_map_file(path, voxel_size=1.5)) == []


def test_real_crop_lies_where_its_header_says():
    volume = read_map(DATA / "2566_3J6B_9.mrc.gz")
    assert volume.grid.shape == (47, 52, 35)
    assert volume.grid.origin == pytest.approx((356.44, 155.44, 159.46), abs=1e-4)
    assert volume.grid.voxel_size == pytest.approx((1.34, 1.34, 1.34), abs=1e-6)


def test_float32_cell_is_read_as_the_decimal_that_was_meant():
    assert read_frame(DATA / "emd20026_O_1.3A.mrc.gz").voxel_size == (1.3, 1.3, 1.3)


# what is odd but read


def test_wrong_machine_stamp_is_read_and_said(tmp_path):
    file = read_map_file(write_file(tmp_path / "a.mrc", machst=b"\x11\x11\0\0"))
    assert np.array_equal(file.map.values, density())
    assert codes(file) == ["machine-stamp"]


def test_missing_map_identifier_is_read_and_its_origin_not_used(tmp_path):
    path = write_file(
        tmp_path / "a.mrc", map=b"\0\0\0\0", nystart=2, xorigin=struct.pack("<3f", 9, 9, 9)
    )
    file = read_map_file(path)
    assert file.map.grid.origin == (0.0, 3.0, 0.0)
    assert codes(file) == ["map-identifier"]


def test_extended_header_is_skipped(tmp_path):
    raw = write_file(tmp_path / "a.mrc", nsymbt=160).read_bytes()
    (tmp_path / "a.mrc").write_bytes(raw[:1024] + b"X" * 160 + raw[1024:])
    assert np.array_equal(read_map(tmp_path / "a.mrc").values, density())


def test_extended_header_that_is_not_there_is_read_without(tmp_path):
    file = read_map_file(write_file(tmp_path / "a.mrc", nsymbt=80))
    assert np.array_equal(file.map.values, density())
    assert codes(file) == ["extended-header"]


@pytest.mark.parametrize("claimed", [80, 4000, 2**31 - 1])
@pytest.mark.parametrize("packed", [False, True])
def test_false_extended_header_is_the_same_note_compressed_or_not(tmp_path, claimed, packed):
    path = write_file(tmp_path / "a.mrc", nsymbt=claimed)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    file = read_map_file(path)
    assert np.array_equal(file.map.values, density())
    assert [finding.message for finding in file.findings] == [
        f"a.mrc claims an extended header of {claimed} bytes that the file does not hold; read "
        "without it"
    ]


def test_compressed_map_with_half_an_extended_header_is_truncated(tmp_path):
    raw = write_file(tmp_path / "b.mrc", nsymbt=160).read_bytes()
    (tmp_path / "a.mrc.gz").write_bytes(gzip.compress(raw[:1024] + b"X" * 80 + raw[1024:]))
    with pytest.raises(InputError, match="ends after 5200 of 5280 bytes of density"):
        read_map(tmp_path / "a.mrc.gz")


def test_missing_axis_order_and_sampling_are_read_as_usual(tmp_path):
    file = read_map_file(write_file(tmp_path / "a.mrc", mapc=0, mapr=0, maps=0, mx=0, my=0, mz=0))
    assert np.array_equal(file.map.values, density())
    assert file.map.grid.voxel_size == (1.5, 1.5, 1.5)
    assert codes(file) == ["axis-order", "cell-sampling"]


def test_image_stack_header_is_read_with_a_warning(tmp_path):
    file = read_map_file(write_file(tmp_path / "a.mrc", ispg=0, mz=1, zlen=1.5))
    assert codes(file) == ["image-stack"]


@pytest.mark.parametrize(
    ("fields", "voxel_size", "found"),
    [
        ({"ispg": 0, "mz": 1, "zlen": 1.5}, None, ["image-stack"]),
        ({"ispg": 0, "mz": 1}, None, ["image-stack", "cell-sampling"]),
        ({"mz": 1, "zlen": 1.5}, None, []),
        ({"mx": 1, "my": 1, "mz": 1, "xlen": 1.5, "ylen": 1.5, "zlen": 1.5}, None, []),
        ({"mx": 1, "my": 2}, None, ["cell-sampling"]),
        ({"mx": 0}, None, ["cell-sampling"]),
        ({"ispg": 0, "mz": 1, "xlen": 0.0, "ylen": 0.0, "zlen": 0.0}, 1.5, ["image-stack"]),
        ({"mz": 1, "xlen": 0.0, "ylen": 0.0, "zlen": 0.0}, 1.5, []),
        ({"mx": -3}, 1.5, ["cell-sampling"]),
    ],
)
def test_output_is_a_whole_volume_whatever_sampling_the_input_claims(
    tmp_path, fields, voxel_size, found
):
    file = read_map_file(write_file(tmp_path / "a.mrc", nxstart=4, **fields), voxel_size=voxel_size)
    write_map(tmp_path / "out.mrc", file.map, frame=file.frame)
    assert codes(file) == found
    nz, ny, nx = SHAPE
    with mrcfile.open(tmp_path / "out.mrc") as out:
        assert [int(out.header[name]) for name in ("mx", "my", "mz")] == [nx, ny, nz]
        assert out.header.cella.tolist() == pytest.approx([1.5 * nx, 1.5 * ny, 1.5 * nz])
        assert out.is_volume()
    assert read_map(tmp_path / "out.mrc").grid == file.map.grid
    assert file.map.grid.origin == (6.0, 0.0, 0.0)


def test_bytes_after_the_density_do_not_matter(tmp_path):
    path = write_file(tmp_path / "a.mrc")
    path.write_bytes(path.read_bytes() + b"tail")
    assert np.array_equal(read_map(path).values, density())


# what is refused, each with one sentence


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"mode": 4}, "complex 32-bit floats.*real space"),
        ({"mode": 3}, "complex 16-bit integers.*real space"),
        ({"mode": 5}, "mode 5, which is none of 0, 1, 2, 6, 12"),
        ({"mode": 101}, "mode 101.*convert it to mode 2"),
        ({"gamma": 120.0}, "cell angles 90, 90, 120.*right-angled"),
        ({"mapc": 1, "mapr": 1}, "MAPC, MAPR, MAPS = 1, 1, 3, which is no permutation"),
        ({"mapc": 7}, "no permutation of 1, 2, 3"),
        ({"nx": 1290, "ny": 1291, "nz": 1292}, "2151683880 voxels; maps of up to 2147483647"),
        ({"nx": 60000, "ny": 60000, "nz": 60000}, "216000000000000 voxels"),
        ({"nx": 500}, "claims 500 x 11 x 10 voxels.*file holds 6304 bytes.*truncated"),
        ({"nz": 1}, "12 x 11 x 1 voxels.*at least 8"),
        ({"nsymbt": -4}, "extended header of -4 bytes"),
        ({"nsymbt": 800, "nx": 11}, "truncated or damaged"),
        ({"ispg": 401, "mz": 5}, "stack of 2 volumes.*one map per file"),
        ({"xlen": 0.0, "ylen": 0.0, "zlen": 0.0}, "gives no voxel size.*Give the voxel size"),
        ({"xlen": float("nan")}, "gives no voxel size"),
        ({"xlen": 1e9}, r"outside 0.05 to 50 Å"),
        (
            {"xlen": 18.2},
            r"differ by 1.11 % between axes \(allowed 0.5 %\).*Resample it, or give one voxel size",
        ),
    ],
)
def test_header_that_cannot_be_used_is_refused(tmp_path, fields, words):
    path = write_file(tmp_path / "a.mrc", **fields)
    with pytest.raises(InputError, match=words) as caught:
        read_map(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_voxels_that_differ_by_less_than_half_a_per_cent_are_used_as_they_are(tmp_path):
    volume = read_map(write_file(tmp_path / "a.mrc", xlen=18.072))
    assert volume.grid.voxel_size == pytest.approx((1.506, 1.5, 1.5))


def test_one_given_voxel_size_overrides_a_wrong_cell(tmp_path):
    path = write_file(tmp_path / "a.mrc", xlen=0.0, ylen=0.0, zlen=0.0)
    assert read_map(path, voxel_size=1.2).grid.voxel_size == pytest.approx((1.2, 1.2, 1.2))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"too short", "holds 9 bytes, and the header alone takes 1024"),
        (b"data_5ni1\n" + b"#" * 2000, "looks like a CIF file"),
        (b"ATOM      1  N   ALA A   1" + b" " * 2000, "looks like a PDB file"),
        (b"\x89HDF\r\n" + b"\xff" * 2000, "looks like an HDF5 file"),
        (b"<html>" + b"x" * 2000, "looks like a web page"),
        (b"\xff" * 2000, "makes sense in no byte order"),
        (b"\0" * 2000, "makes sense in no byte order"),
    ],
)
def test_what_is_no_map_is_refused(tmp_path, content, words):
    path = tmp_path / "a.mrc"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_map(path)


def test_missing_file_and_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist; check the name"):
        read_map(tmp_path / "none.mrc")
    with pytest.raises(InputError, match="does not exist; check the name"):
        read_map(tmp_path / ("9" * 400))
    with pytest.raises(InputError, match="is a folder; give a map file"):
        read_map(tmp_path)


def test_unreadable_file_is_refused(tmp_path, monkeypatch):
    path = write_file(tmp_path / "a.mrc")

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(InputError, match=r"a\.mrc cannot be read: Permission denied; give "):
        read_map(path)


def test_damaged_and_truncated_gzip_are_refused(tmp_path):
    whole = gzip.compress(write_file(tmp_path / "b.mrc").read_bytes())
    path = tmp_path / "a.mrc.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged gzip file"):
        read_map(path)
    path.write_bytes(whole[:-2000] + bytes([whole[-2000] ^ 1]) + whole[-1999:])
    with pytest.raises(InputError, match="damaged gzip file"):
        read_map(path)
    raw = write_file(tmp_path / "b.mrc").read_bytes()
    path.write_bytes(gzip.compress(raw[:5000]))
    with pytest.raises(InputError, match="ends after 3976 of 5280 bytes of density"):
        read_map(path)


def test_gzip_that_cannot_hold_what_it_claims_is_refused_before_allocating(tmp_path):
    raw = write_file(tmp_path / "b.mrc", nx=1000, ny=1000, nz=1000).read_bytes()
    (tmp_path / "a.mrc.gz").write_bytes(gzip.compress(raw))
    with pytest.raises(InputError, match=r"4000001024 bytes.*compressed bytes"):
        read_map(tmp_path / "a.mrc.gz")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted_and_refused(tmp_path, bad):
    values = density()
    values[2, 3, 4] = values[5, 6, 7] = bad
    raw = write_file(tmp_path / "a.mrc").read_bytes()[:1024]
    (tmp_path / "a.mrc").write_bytes(raw + values.tobytes())
    with pytest.raises(InputError, match=r"2 voxels that are not finite .* out of 1320"):
        read_map(tmp_path / "a.mrc")


def test_constant_map_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"every voxel is 2\.5"):
        read_map(write_file(tmp_path / "a.mrc", np.full(SHAPE, 2.5, np.float32)))


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*range(0, 96, 4), 196, 200, 204, 208, 212]),
            st.one_of(
                st.binary(min_size=4, max_size=4),
                st.integers(-5, 70000).map(lambda n: struct.pack("<i", n)),
            ),
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 7000),
    st.booleans(),
)
def test_no_header_makes_anything_but_a_map_or_one_sentence(tmp_path, words, length, packed):
    raw = bytearray(write_file(tmp_path / "fuzz.mrc").read_bytes())
    for place, word in words:
        raw[place : place + 4] = word
    content = bytes(raw[:length] if length < 6304 else raw)
    (tmp_path / "fuzz.mrc").write_bytes(gzip.compress(content) if packed else content)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            volume = read_map(tmp_path / "fuzz.mrc")
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert np.isfinite(volume.values).all()
        assert volume.values.nbytes <= 4 * len(content)


# writing


@pytest.mark.parametrize("name", ["out.mrc", "out.mrc.gz"])
def test_written_map_is_valid_and_holds_the_values(tmp_path, name, capsys):
    grid = Grid(SHAPE, (1.2, 1.2, 1.2), (-17.3, 40.0, 5.0))
    write_map(tmp_path / name, Map(density(), grid), labels=["locscale-hybrid 0.1.0", "bands"])
    assert mrcfile.validate(tmp_path / name), capsys.readouterr().out
    with mrcfile.open(tmp_path / name) as file:
        assert np.array_equal(file.data, density())
        assert file.voxel_size.x == pytest.approx(1.2)
        assert file.header.origin.x == np.float32(-17.3)
        assert file.get_labels() == ["locscale-hybrid 0.1.0", "bands"]
        assert file.header.rms == pytest.approx(density().std(), rel=1e-5)
        assert file.header.dmean == pytest.approx(density().mean(), abs=1e-6)
    volume = read_map(tmp_path / name)
    assert volume.grid.same_as(grid)


@pytest.mark.parametrize(
    ("nstart", "origin"),
    [((-20, 8, 3), (0.0, 0.0, 0.0)), ((0, 0, 0), (-17.3, 40.0, 5.0)), ((4, 4, 4), (1.0, 2.0, 3.0))],
)
def test_output_keeps_the_frame_of_the_input(tmp_path, nstart, origin):
    path = write_file(
        tmp_path / "in.mrc",
        mx=24,
        my=22,
        mz=20,
        xlen=36.0,
        ylen=33.0,
        zlen=30.0,
        nxstart=nstart[0],
        nystart=nstart[1],
        nzstart=nstart[2],
        xorigin=struct.pack("<3f", *origin),
    )
    volume, frame = read_map_and_frame(path)
    write_map(tmp_path / "out.mrc", volume, frame=frame)
    with mrcfile.open(path) as before, mrcfile.open(tmp_path / "out.mrc") as after:
        for name in ("cella", "origin", "nxstart", "nystart", "nzstart", "mx", "my", "mz"):
            assert before.header[name] == after.header[name], name
    assert read_map(tmp_path / "out.mrc").grid == volume.grid


def test_permuted_input_is_written_as_xyz_in_its_place(tmp_path):
    stored = np.ascontiguousarray(density().transpose(2, 1, 0))  # columns hold z
    path = write_file(
        tmp_path / "in.mrc",
        stored,
        mapc=3,
        mapr=2,
        maps=1,
        nxstart=5,
        mx=12,
        my=11,
        mz=10,
        xlen=18.0,
        ylen=16.5,
        zlen=15.0,
    )
    volume, frame = read_map_and_frame(path)
    write_map(tmp_path / "out.mrc", volume, frame=frame)
    again = read_map(tmp_path / "out.mrc")
    assert np.array_equal(again.values, density())
    assert again.grid == volume.grid
    assert volume.grid.origin == (0.0, 0.0, 7.5)


def test_frame_of_another_grid_is_a_programming_error(tmp_path):
    grid = Grid(SHAPE, (1.2, 1.2, 1.2))
    frame = MapFrame.of(Grid(SHAPE, (1.2, 1.2, 1.2), (5.0, 0.0, 0.0)))
    with pytest.raises(ValueError, match="does not stand in frame"):
        write_map(tmp_path / "out.mrc", Map(density(), grid), frame=frame)


@pytest.mark.parametrize("name", ["out.mrc", "out.mrc.gz"])
def test_equal_maps_give_equal_bytes_under_any_name(tmp_path, name):
    volume = Map(density(), Grid(SHAPE, (1.2, 1.2, 1.2)))
    write_map(tmp_path / name, volume, labels=["a"])
    write_map(tmp_path / f"other_{name}", volume, labels=["a"])
    assert (tmp_path / name).read_bytes() == (tmp_path / f"other_{name}").read_bytes()


def test_labels_are_cut_to_ten_lines_of_80_ascii_characters(tmp_path):
    write_map(
        tmp_path / "a.mrc",
        Map(density(), Grid(SHAPE, (1.0, 1.0, 1.0))),
        labels=["é" * 100, *map(str, range(20))],
    )
    with mrcfile.open(tmp_path / "a.mrc") as file:
        assert file.get_labels() == ["?" * 80, *map(str, range(9))]


def test_input_can_be_replaced_by_the_output(tmp_path):
    path = write_file(tmp_path / "a.mrc")
    volume, frame = read_map_and_frame(path)
    write_map(path, volume, frame=frame)
    assert np.array_equal(read_map(path).values, density())


def test_output_in_a_missing_folder_or_on_a_folder_is_refused(tmp_path):
    volume = Map(density(), Grid(SHAPE, (1.0, 1.0, 1.0)))
    with pytest.raises(InputError, match="does not exist; make it"):
        write_map(tmp_path / "none" / "a.mrc", volume)
    with pytest.raises(InputError, match="is a folder; give a file name"):
        write_map(tmp_path, volume)


def test_full_disk_leaves_the_old_output_and_no_other_file(tmp_path, monkeypatch):
    volume = Map(density(), Grid(SHAPE, (1.0, 1.0, 1.0)))
    write_map(tmp_path / "a.mrc", volume)
    before = (tmp_path / "a.mrc").read_bytes()

    def no_room(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        write_map(tmp_path / "a.mrc", volume.with_values(-density()))
    assert os.listdir(tmp_path) == ["a.mrc"]
    assert (tmp_path / "a.mrc").read_bytes() == before


def test_unwritable_folder_is_refused(tmp_path, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(InputError, match=r"a\.mrc cannot be written: Permission denied"):
        write_map(tmp_path / "a.mrc", Map(density(), Grid(SHAPE, (1.0, 1.0, 1.0))))


def test_output_has_the_rights_of_a_new_file(tmp_path):
    write_map(tmp_path / "a.mrc", Map(density(), Grid(SHAPE, (1.0, 1.0, 1.0))))
    (tmp_path / "b").touch()
    assert (tmp_path / "a.mrc").stat().st_mode == (tmp_path / "b").stat().st_mode
