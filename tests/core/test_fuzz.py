"""Any bytes and any JSON: a value or one sentence, soon, in memory that the file accounts for.

500 inputs of each kind; `LOCSCALE_FUZZ=20000` makes as many as that.
"""

import contextlib
import copy
import gzip
import importlib.util
import json
import os
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from locscale_hybrid.cli.job_file import read_job, read_record
from locscale_hybrid.cli.request import given_options, request_of
from locscale_hybrid.errors import InputError
from locscale_hybrid.files.codec import decode
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.maps.mrc import read_frame, read_map_file, write_map
from locscale_hybrid.masking.mask import Mask
from locscale_hybrid.model.structure import read_model
from locscale_hybrid.parameters import HybridParameters
from tests.synthetic import small_model

ROOT = Path(__file__).parents[2]
EXAMPLES = int(os.environ.get("LOCSCALE_FUZZ", "500"))
SECONDS = 10.0  # of processor time
ROOM = 4 << 20  # bytes that reading takes beside the file's own
PER_BYTE = 40  # bytes of memory per byte of file: text becomes objects
GZIP = 1032  # bytes that a byte of gzip can hold

fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@contextlib.contextmanager
def one_sentence_at_most(largest):
    """Within it nothing but an InputError of one line is raised, in little time and memory."""
    tracemalloc.start()
    begin = time.process_time()
    try:
        yield
    except InputError as error:
        assert "\n" not in str(error).strip()
        assert len(str(error)) < 2000
    finally:
        took, peak = time.process_time() - begin, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert took < SECONDS
    assert peak < largest, f"{peak} bytes"


# ---- bytes --------------------------------------------------------------------------------------

EDGES = [0, 1, 2, 3, 6, 12, -1, 127, 128, 1023, 1024, 32767, 65536, 2**24, 2**31 - 1, -(2**31)]
WORD = st.one_of(
    st.binary(min_size=4, max_size=4),
    st.sampled_from(EDGES).map(lambda number: struct.pack("<i", number)),
    st.sampled_from(EDGES).map(lambda number: struct.pack(">i", number)),
    st.floats(width=32).map(lambda number: struct.pack("<f", number)),
)


def edited(content, edits, cut):
    """Content with pieces written over it, and its end cut off."""
    raw = bytearray(content)
    for place, piece in edits:
        place %= max(len(raw), 1)
        raw[place : place + len(piece)] = piece
    return bytes(raw[: len(raw) - cut])


@pytest.fixture(scope="module")
def good_map(tmp_path_factory):
    path = tmp_path_factory.mktemp("map") / "good.mrc"
    values = np.random.default_rng(1).normal(size=(9, 10, 11)).astype(np.float32)
    write_map(path, Map(values, Grid((9, 10, 11), (1.5, 1.5, 1.5))))
    return path.read_bytes()


@fuzz
@given(
    words=st.lists(st.tuples(st.integers(0, 255).map(lambda n: 4 * n), WORD), max_size=6),
    cut=st.sampled_from([0, 0, 0, 1, 4, 2000, 3960, 4500, 5000]),
    packed=st.booleans(),
    voxel=st.sampled_from([None, 1.0]),
)
def test_headers_of_maps(good_map, tmp_path, words, cut, packed, voxel):
    content = edited(good_map, words, cut)
    path = tmp_path / "fuzz.mrc"
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    size = len(content) * (GZIP if packed else 1)
    with one_sentence_at_most(ROOM + PER_BYTE * size), np.errstate(all="ignore"):
        file = read_map_file(path, voxel_size=voxel)
        assert np.isfinite(file.map.values).all()
        assert file.map.values.nbytes <= 4 * len(content)
        assert all(np.isfinite(file.map.grid.voxel_size)) and min(file.map.grid.voxel_size) > 0
        assert all(np.isfinite(file.map.grid.origin))


@fuzz
@given(content=st.binary(max_size=3000))
def test_any_bytes_as_map_and_as_model(tmp_path, content):
    path = tmp_path / "fuzz"
    path.write_bytes(content)
    for read in (read_map_file, read_frame, read_model):
        with one_sentence_at_most(ROOM + PER_BYTE * len(content)):
            read(path)


@pytest.mark.parametrize("mode", [0, 1, 2, 6, 12])
@pytest.mark.parametrize(
    "shape", [(2**31 - 1, 1, 1), (2**15, 2**15, 2), (65535, 65535, 65535), (2**31 - 1,) * 3]
)
def test_header_that_claims_a_huge_box_is_refused_before_memory_is_taken(
    good_map, tmp_path, mode, shape
):
    content = (
        struct.pack("<4i", *shape, mode)
        + good_map[16:28]
        + struct.pack("<3i", *shape)
        + good_map[40:]
    )
    for name, data in (("a.mrc", content), ("a.mrc.gz", gzip.compress(content))):
        (tmp_path / name).write_bytes(data)
        tracemalloc.start()
        with pytest.raises(InputError, match=r"voxels; maps of up to|no byte order|hold"):
            read_map_file(tmp_path / name)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < ROOM


MODEL = small_model(9)
TEXTS = {
    "pdb": MODEL.make_pdb_string().encode(),
    "mmcif": MODEL.make_mmcif_document().as_string().encode(),
}
PIECES = st.one_of(
    st.binary(max_size=8),
    st.sampled_from(
        [
            b"nan",
            b"inf",
            b"-1e308",
            b"1e309",
            b"9" * 40,
            b"?",
            b".",
            b"\n",
            b"\r\n",
            b"'",
            b'"',
            b";\n",
            b"loop_\n",
            b"data_x\n",
            b"_atom_site.id ",
            b"#",
            b"\0",
            b"ATOM  ",
            b"HETATM",
            b"TER\n",
            b"END\n",
            b"MODEL        2\n",
            b"ENDMDL\n",
            b"CRYST1",
            b"ANISOU",
            "\u00e9".encode(),
            b"\xff\xfe",
            b" " * 90,
            b"../../etc/passwd",
            b"$(touch x)",
            b"save_\n",
        ]
    ),
)


@fuzz
@pytest.mark.parametrize("kind", ["pdb", "mmcif"])
@given(
    edits=st.lists(st.tuples(st.integers(0, 20000), PIECES), max_size=12),
    cut=st.sampled_from([0, 0, 1, 50, 2000]),
)
def test_texts_of_models(tmp_path, kind, edits, cut):
    content = edited(TEXTS[kind], edits, cut)
    path = tmp_path / "fuzz"
    path.write_bytes(content)
    with one_sentence_at_most(ROOM + PER_BYTE * len(content)):
        model = read_model(path)
        assert np.isfinite(model.positions).all()
        assert np.isfinite(model.b_iso).all()
        assert np.isfinite(model.occupancies).all()
        assert len(model) > 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["fuzz"]


# ---- JSON ---------------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        [
            10**400,
            -1,
            2**63,
            1e308,
            "",
            ".",
            "/",
            "\0",
            "\ud800",
            "../../etc/passwd",
            "a" * 5000,
            "$(touch x)",
            "C999999999",
            "D0",
            "file",
        ]
    ),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=8,
)
PATH = st.lists(st.integers(0, 40), max_size=4)
NAMES = st.sampled_from(["map", "model", "seed", "inputs", "outputs", "point_group", "x", "path"])

JOB = {
    "action": "check",
    "processes": 2,
    "mpiexec": None,
    "inputs": {"half_map_1": "a.mrc", "half_map_2": "b.mrc", "model": "m.pdb"},
    "parameters": HybridParameters().as_dict(),
    "outputs": {"map": "out.mrc", "processing_folder": None, "report": True, "resume": False},
}
RECORD = {
    "schema": "locscale-hybrid-record/1",
    "parameters": HybridParameters().as_dict(),
    "inputs": {"full_map": {"path": "a.mrc", "sha256": "00"}},
    "timings": {},
}


def changed(values, where, name, what):
    """A copy with one node replaced, or added under a name."""
    values = copy.deepcopy(values)
    node = values
    for step in where:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        if not keys:
            break
        key = keys[step % len(keys)]
        if not isinstance(node[key], dict | list) or not node[key]:
            node[key] = what
            return values
        node = node[key]
    if isinstance(node, dict):
        node[name] = what
    return values


@fuzz
@given(where=PATH, name=NAMES, what=JSON)
def test_jobs(tmp_path, where, name, what):
    path = tmp_path / "job.json"
    path.write_text(json.dumps(changed(JOB, where, name, what)))
    with one_sentence_at_most(ROOM + PER_BYTE * path.stat().st_size):
        job = read_job(path)
        for file in [*job.inputs.files.values(), job.outputs.map]:
            assert file.is_absolute()
            os.fsencode(file)
            file.is_file()


@fuzz
@given(where=PATH, name=NAMES, what=JSON)
def test_records(tmp_path, where, name, what):
    path = tmp_path / "out.json"
    path.write_text(json.dumps(changed(RECORD, where, name, what)))
    with one_sentence_at_most(ROOM + PER_BYTE * path.stat().st_size):
        recorded = read_record(path)
        for name in recorded.files:
            recorded.check(name)
    with one_sentence_at_most(ROOM + PER_BYTE * path.stat().st_size):
        request_of(*given_options(["--from", str(path)]))


@fuzz
@given(
    edits=st.lists(st.tuples(st.integers(0, 3000), PIECES), max_size=6),
    cut=st.sampled_from([0, 0, 1, 100]),
    record=st.booleans(),
)
def test_texts_of_jobs_and_records(tmp_path, edits, cut, record):
    path = tmp_path / "fuzz.json"
    content = edited(json.dumps(RECORD if record else JOB).encode(), edits, cut)
    path.write_bytes(content)
    with one_sentence_at_most(ROOM + PER_BYTE * len(content)):
        (read_record if record else read_job)(path)


@fuzz
@given(
    tree=JSON,
    arrays=st.dictionaries(
        st.sampled_from(["array0", "array1"]), st.just(np.zeros((2, 2, 2))), max_size=2
    ),
    kind=st.sampled_from([Grid, Map, Mask]),
)
def test_trees_of_kept_stages(tree, arrays, kind):
    with contextlib.suppress(ValueError):
        decode(kind, tree, arrays)


# ---- words and lines ----------------------------------------------------------------------------

OPTIONS = [
    "-hm",
    "-em",
    "-mc",
    "--complete_model",
    "-o",
    "-op",
    "-wn",
    "--window",
    "-res",
    "-p",
    "-sym",
    "-np",
    "--seed",
    "--resume",
    "--weight",
    "--outputs",
    "-ref_it",
    "--from",
    "--job",
    "--",
    "-",
    "–v",
    "-v",
    "-mpi",
    "--symmetry_centre",
    "-fdr",
    "-dst",
    "=",
    "a=b",
]


@fuzz
@given(
    words=st.lists(
        st.sampled_from(OPTIONS)
        | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
        | st.sampled_from(
            ["1", "-1", "0", "nan", "1e400", "a.mrc", "D2", "9" * 400, "\udcff", "@file"]
        ),
        max_size=8,
    )
)
def test_words_of_the_command_line(words):
    with one_sentence_at_most(ROOM + (4 << 20)):
        request_of(*given_options(["-em", "full.mrc", *words]))


@pytest.fixture(scope="module")
def event_of():
    """The reader of the shell: the JSON object of a line, or None."""
    spec = importlib.util.spec_from_file_location("child_of_shell", ROOT / "src/job/child.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module._event


LINES = [
    b'{"event": "stage", "name": "adp", "index": 5, "of": 8}',
    b'{"event": "progress", "fraction": 0.42}',
    b'{"event": "finding", "level": "warning", "code": "x", "message": "y"}',
]


@fuzz
@given(
    line=st.binary(max_size=200)
    | st.builds(
        edited,
        st.sampled_from(LINES),
        st.lists(st.tuples(st.integers(0, 80), PIECES), max_size=4),
        st.integers(0, 5),
    )
    | st.sampled_from([b"[" * 20_000, b"9" * 10_000, b"{}" * 1000, b""])
)
def test_lines_of_the_progress_protocol(event_of, line):
    event = event_of(line)
    assert event is None or isinstance(event, dict)
