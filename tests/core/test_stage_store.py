"""Kept stage results: read back as they were, or not used."""

import dataclasses
import errno
import hashlib
import json
import os
import re
import stat
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from locscale_hybrid.files.codec import decode, encode
from locscale_hybrid.findings import Finding
from locscale_hybrid.fourier.fsc import FscCurve
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.masking.mask import Mask
from locscale_hybrid.masking.resolution import Resolution
from locscale_hybrid.model.placed_atoms import PlacedAtoms
from locscale_hybrid.resume import store
from locscale_hybrid.resume.store import StageKey, StageStore

KEY, OTHER = StageKey("mask", "a" * 64), StageKey("mask", "b" * 64)


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    map: Map
    none: NDArray[np.float64] | None
    words: NDArray[np.str_]
    findings: tuple[Finding, ...]
    extra: dict[str, Map]
    kind: Literal["halves", "single"]
    factor: float
    count: int
    sure: bool


def result(factor=0.1 + 0.2):
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4) * np.float32(factor)
    volume = Map(values, Grid((2, 3, 4), (1.1, 1.2, 1.3), (-5.0, 0.1, 3.0)), "half é")
    return Result(
        volume,
        None,
        np.array(["C", "pseudo"]),
        (Finding("a", "note", "b", {"x": 1, "y": 0.5, "z": "w"}),),
        {"m": volume},
        "halves",
        factor,
        3,
        True,
    )


def same(first, second):
    assert type(first) is type(second)
    if dataclasses.is_dataclass(first):
        for field in dataclasses.fields(first):
            same(getattr(first, field.name), getattr(second, field.name))
    elif isinstance(first, np.ndarray):
        assert first.dtype == second.dtype
        assert first.tobytes() == second.tobytes()
    elif isinstance(first, tuple | list):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            same(one, other)
    elif isinstance(first, dict):
        assert first.keys() == second.keys()
        same(list(first.values()), list(second.values()))
    else:
        assert first == second


def never():
    raise AssertionError("a sound result was made anew")


class Shelf:
    """A store in a folder, and what it said."""

    def __init__(self, folder):
        self.folder, self.found = folder / "stages", []
        self.reading = StageStore(self.folder, read=True, found=self.found.append)

    @property
    def codes(self):
        return [finding.code for finding in self.found]


@pytest.fixture
def shelf(tmp_path):
    shelf = Shelf(tmp_path)
    shelf.reading.kept(Result, KEY, result)
    return shelf


def test_value_is_bit_for_bit_what_it_was():
    given = result()
    same(decode(Result, *encode(given)), given)


def test_numbers_that_json_has_no_word_for_come_back():
    tree, arrays = encode((float("inf"), 5e-324, -0.0))
    assert repr(decode(tuple[float, ...], tree, arrays)) == "(inf, 5e-324, -0.0)"


def test_value_without_a_type_for_files_is_refused():
    with pytest.raises(TypeError, match="object cannot be kept in a file"):
        encode((1, object()))


@pytest.mark.parametrize(
    "tree",
    [
        None,
        3,
        [],
        {},
        {"d_min": 1},
        {"shape": [1, 2], "voxel_size": [1, 1, 1], "origin": [0, 0, 0]},
        {"shape": [1, 2, "3"], "voxel_size": [1, 1, 1], "origin": [0, 0, 0]},
    ],
)
def test_tree_of_another_kind_is_a_value_error(tree):
    with pytest.raises(ValueError, match="not a Grid: "):
        decode(Grid, tree, {})


def test_kept_result_is_used_and_said(shelf):
    same(shelf.reading.kept(Result, KEY, never), result())
    assert shelf.codes == ["stage-resumed-mask"]
    assert "mask: taken from" in shelf.found[0].message


def test_store_that_shall_not_read_computes_and_keeps(shelf):
    assert StageStore(shelf.folder).kept(Result, KEY, lambda: result(2.0)).factor == 2.0
    assert shelf.reading.kept(Result, KEY, never).factor == 2.0


def test_store_without_folder_or_key_only_computes(tmp_path):
    assert StageStore().kept(Result, KEY, result).count == 3
    assert StageStore(tmp_path / "stages").kept(Result, None, result).count == 3
    assert list(tmp_path.iterdir()) == []


def test_other_key_is_computed_and_takes_the_place(shelf):
    shelf.reading.kept(Result, OTHER, lambda: result(2.0))
    assert shelf.codes == []
    assert sorted(path.name for path in shelf.folder.iterdir()) == [
        f"{OTHER.name}.json",
        f"{OTHER.name}.npz",
    ]


def test_folder_and_files_hold_no_pickle_and_are_for_this_user(shelf):
    assert stat.S_IMODE(shelf.folder.stat().st_mode) == 0o700
    with np.load(shelf.folder / f"{KEY.name}.npz", allow_pickle=False) as arrays:
        assert all(not arrays[name].dtype.hasobject for name in arrays.files)


@pytest.mark.parametrize("ending", [".npz", ".json"])
def test_truncated_file_is_made_anew_and_said(shelf, ending):
    path = shelf.folder / f"{KEY.name}{ending}"
    content = path.read_bytes()
    for length in (0, 1, 70, len(content) // 2, len(content) - 2):
        path.write_bytes(content[:length])
        same(shelf.reading.kept(Result, KEY, result), result())
        assert shelf.codes.pop() == "stage-damaged-mask"
        assert "is damaged (" in shelf.found.pop().message
        assert path.read_bytes() == content


@pytest.mark.parametrize("ending", [".npz", ".json"])
def test_no_flipped_bit_is_ever_used(shelf, ending):
    path = shelf.folder / f"{KEY.name}{ending}"
    content = path.read_bytes()
    rng = np.random.default_rng(3)
    for place in rng.choice(len(content) - 1, 60, replace=False):
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        assert shelf.reading.kept(Result, KEY, lambda: result(2.0)).factor == 2.0
        shelf.reading.kept(Result, OTHER, result)  # clears the place
        shelf.reading.kept(Result, KEY, result)


def test_result_of_another_key_under_this_name_is_not_used(shelf):
    near = StageKey("mask", KEY.digest[:16] + "c" * 48)
    assert near.name == KEY.name
    assert shelf.reading.kept(Result, near, lambda: result(2.0)).factor == 2.0
    assert "it belongs to another input" in shelf.found[0].message


def test_missing_arrays_are_made_anew(shelf):
    (shelf.folder / f"{KEY.name}.npz").unlink()
    assert shelf.reading.kept(Result, KEY, lambda: result(2.0)).factor == 2.0
    assert "its arrays are missing" in shelf.found[0].message


def test_full_disk_is_told_and_the_result_is_returned(tmp_path, monkeypatch):
    def full(*args, **arrays):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store.np, "savez", full)
    shelf = Shelf(tmp_path)
    assert shelf.reading.kept(Result, KEY, result).count == 3
    assert shelf.codes == ["stage-not-kept-mask"]
    assert (
        "(No space left on device), so a later run computes it again. Make room there."
        in shelf.found[0].message
    )
    assert list(shelf.folder.iterdir()) == []


# ---- what a file with sound checksums may hold --------------------------------------------------

N = 5
ATOMS = {
    "positions": np.zeros((N, 3)),
    "species": np.full(N, "C"),
    "b_iso": np.full(N, 20.0),
    "occupancies": np.ones(N),
    "operator": np.zeros(N, int),
    "source_atom": np.arange(N),
    "is_pseudo": np.zeros(N, bool),
    "mates": None,
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"b_iso": np.full(N - 1, 20.0)}, r"b_iso has the shape \(4,\) for 5 atoms"),
        ({"positions": np.zeros((3, N))}, r"positions has the shape \(3, 5\) for 5 atoms"),
        ({"b_iso": np.full(N, np.nan)}, "an array holds values that are not finite"),
        ({"positions": np.full((N, 3), np.inf)}, "an array holds values that are not finite"),
        ({"b_iso": np.full(N, 20)}, "an array holds int64 values"),
        ({"is_pseudo": np.zeros(N)}, "an array holds float64 values"),
        ({"species": np.zeros(N)}, "an array holds float64 values"),
        ({"mates": np.full((2, N), N)}, "the symmetry copies of 5 atoms do not fit them"),
        ({"mates": np.zeros((2, N - 1), int)}, "the symmetry copies of 5 atoms do not fit them"),
        ({"operator": np.full(N, -1)}, "atoms are copies of none"),
    ],
)
def test_atoms_that_no_run_places_are_made_anew(tmp_path, change, said):
    shelf = Shelf(tmp_path)
    shelf.reading.kept(PlacedAtoms, KEY, lambda: PlacedAtoms(**{**ATOMS, **change}))
    sound = shelf.reading.kept(PlacedAtoms, KEY, lambda: PlacedAtoms(**ATOMS))
    assert shelf.codes == ["stage-damaged-mask"]
    assert re.search(said, shelf.found[0].message)
    assert len(sound.b_iso) == N


def of_grid(shape, values):
    return Map(values, Grid(shape, (1.0, 1.0, 1.0)))


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (
            FscCurve,
            FscCurve(np.zeros(3), np.zeros(2)),
            r"\(3,\) frequencies and \(2,\) correlations",
        ),
        (FscCurve, FscCurve(np.zeros(0), np.zeros(0)), r"\(0,\) frequencies"),
        (Resolution, Resolution(float("inf"), "given"), "the resolution is inf Å"),
        (Resolution, Resolution(float("nan"), "given"), "a value is not a number"),
        (
            Mask,
            Mask(
                Grid((2, 2, 2), (1.0, 1.0, 1.0)),
                np.ones((2, 2, 1), bool),
                np.ones((2, 2, 2), np.float32),
                "",
            ),
            r"a mask of \(2, 2, 1\) and",
        ),
    ],
)
def test_values_that_no_run_finds_are_made_anew(tmp_path, kind, value, said):
    shelf = Shelf(tmp_path)
    shelf.reading.kept(kind, KEY, lambda: value)
    assert shelf.reading.kept(kind, KEY, lambda: None) is None
    assert shelf.codes == ["stage-damaged-mask"]
    assert re.search(said, shelf.found[0].message)


def test_result_that_does_not_fit_the_run_is_made_anew(shelf):
    assert shelf.reading.kept(Result, KEY, lambda: None, lambda kept: kept.count == 4) is None
    assert "it is that of another input" in shelf.found[0].message


@pytest.mark.parametrize("text", ["[]", "3", "{}", '{"format": 2}'])
def test_text_with_a_sound_checksum_that_is_no_result_is_made_anew(shelf, text):
    path = shelf.folder / f"{KEY.name}.json"
    path.write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}\n")
    same(shelf.reading.kept(Result, KEY, result), result())
    assert "its text is not that of a result" in shelf.found[0].message


def one_array(path, **arrays):
    with path.open("wb") as stream:
        np.save(stream, np.zeros(3))


@pytest.mark.parametrize("write", [np.savez_compressed, one_array])
def test_arrays_that_are_no_plain_archive_are_made_anew(shelf, write):
    path = shelf.folder / f"{KEY.name}.json"
    with np.load(path.with_suffix(".npz")) as stored:
        arrays = dict(stored)
    write(path.with_suffix(".npz"), **arrays)
    values = json.loads(path.read_text().partition("\n")[2])
    values["arrays"] = hashlib.sha256(path.with_suffix(".npz").read_bytes()).hexdigest()
    text = json.dumps(values, sort_keys=True)
    path.write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}\n")
    same(shelf.reading.kept(Result, KEY, result), result())
    assert "its arrays are " in shelf.found[0].message
