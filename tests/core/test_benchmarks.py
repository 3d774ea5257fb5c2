"""What the benchmarks count and look at; times with a stand-in for the other program."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from locscale_hybrid.inputs.half_maps import ObservedMaps
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.parallel.executors import SerialExecutor
from locscale_hybrid.parameters import HybridParameters
from locscale_hybrid.progress import Progress
from locscale_hybrid.scaling.scale import scale_map
from locscale_hybrid.scaling.scaling_input import ScalingInput

FOLDER = Path(__file__).parents[2] / "benchmarks"

PEER = """#!{python}
import json, sys, time
words = sys.argv[1:]
with open({log!r}, "a") as stream:
    stream.write(json.dumps(words) + "\\n")
begin = time.process_time()
while time.process_time() - begin < 0.3:
    pass
sys.exit({code})
"""


@pytest.fixture
def speed(monkeypatch):
    """The module as its folder sees it: it is a program, no package."""
    monkeypatch.syspath_prepend(str(FOLDER))
    names = ("speed", "child", "table")
    yield importlib.import_module("speed")
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def peer(tmp_path):
    """Make a program that notes what it is asked for, and works for 0.3 CPU seconds."""

    def make(code=0):
        program = tmp_path / "locscale"
        program.write_text(PEER.format(python=sys.executable, log=str(tmp_path / "log"), code=code))
        program.chmod(0o755)
        return program

    return make


@pytest.fixture
def without_ours(speed, monkeypatch, tmp_path):
    """No simulation and no run of our own: only the other program is started."""

    class Made:
        def __init__(self, name):
            group = "D2" if "D2" in name else "C1"
            self.answer = {"folder": str(tmp_path / name), "point_group": group, "resolution": 3.0}

    own = {"cpu_seconds": 0.1, "wall_seconds": 0.2, "peak_gib": 0.1}
    monkeypatch.setattr(speed, "run_job", lambda job, name, folder: Made(name))
    monkeypatch.setattr(speed, "whole_run", lambda name, cases: [speed.row("own", name, own)])


def test_the_other_program_is_timed_in_turn_with_ours(speed, without_ours, peer, tmp_path):
    rows, ratios = speed.peer(peer(), tmp_path)
    assert [row["what"] for row in rows] == ["own", "locscale (peer)"] * 2
    timed = [row["cpu_seconds"] for row in rows[1::2]]
    assert all(0.3 <= seconds < 30 for seconds in timed)
    assert list(ratios.values()) == pytest.approx([seconds / 0.1 for seconds in timed])
    asked = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert len(asked) == 2 * speed.REPEATS
    assert asked[0][:3] == [
        "-hm",
        str(tmp_path / "enolase-3.0/half1.mrc"),
        str(tmp_path / "enolase-3.0/half2.mrc"),
    ]
    assert asked[-1][-2:] == ["-sym", "D2"] and "-sym" not in asked[0]


def test_an_error_of_the_other_program_ends_the_table(speed, without_ours, peer, tmp_path, capfd):
    with pytest.raises(subprocess.CalledProcessError):
        speed.peer(peer(code=3), tmp_path)


def test_a_measured_cost_replaces_its_own_row_and_keeps_the_others(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(FOLDER))
    costs = importlib.import_module("costs")
    monkeypatch.setattr(costs, "TABLES", tmp_path)
    monkeypatch.setattr(costs, "STORE", tmp_path / "costs.json")
    old = {"date": "2026-01-01", "commit": "aaa", "cpu": "x", "python": "3.11", "numpy": "2"}
    row = {"what": "whole run", "atoms": 1000, "processes": 1, "wall_seconds": None, "peak_gib": 1}
    gain = {"bands": {"10-5 Å": 0.001}}
    small, large = row | {"case": "s", "box": 96}, row | {"case": "l", "box": 300}
    costs.keep([large | {"cpu_seconds": 180.0}, small | {"cpu_seconds": 9.0}], gain, old)
    parts = {"what": "· mask", "case": "s", "cpu_seconds": 1.0}
    costs.keep([small | {"cpu_seconds": 7.0}, parts], {}, old | {"date": "2026-02-02"})
    lines = (tmp_path / "costs.md").read_text().splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip(" |").split("|")] for line in lines]
    assert [(c[0], c[4], c[7]) for c in cells] == [
        ("96³", "7 s", "2026-02-02"),
        ("300³", "3.0 min", "2026-01-01"),
    ]
    assert "0.001" in (tmp_path / "gain.md").read_text()


def test_rows_are_shown_as_one_table(speed):
    cost = {"cpu_seconds": 2.0, "wall_seconds": 130.0, "peak_gib": 0.25}
    lines = speed.shown([speed.row("bands", "a case", cost, 1000.0)]).splitlines()
    assert lines[0].split("|")[1:-1] == [
        f" {name} " for name in ("what ", "  case", "CPU s", "wall s", "peak GiB", "voxels/CPU s")
    ]
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == [
        "bands",
        "a case",
        "2",
        "130",
        "0.25",
        "500",
    ]


def test_an_alarm_counts_as_true_with_its_cause_and_as_false_without(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    names = ("false_alarms", "simulated", "table")
    alarms = importlib.import_module("false_alarms")
    said = {
        "clean": set(),
        "false": {"masked-input"},
        "found": {"masked-input", "hand-inverted"},
        "missed": set(),
    }
    monkeypatch.setattr(alarms, "warnings_of", lambda subject: said[subject.halves])
    subjects = [
        ("a", alarms.Subject("clean")),
        ("b", alarms.Subject("false")),
        ("c", alarms.Subject("found", cause="masked-input")),
        ("d", alarms.Subject("missed", cause="masked-input")),
    ]
    counts = alarms.defaultdict(alarms.Counts)
    assert alarms.counted(iter(subjects), counts) == (2, 2)
    found = counts["masked-input"]
    assert (found.false, found.true, found.spoilt, found.where) == (1, 1, 2, ["b"])
    assert "hand-inverted" not in counts  # what else a fault causes is no false alarm
    for name in names:
        sys.modules.pop(name, None)


def test_findings_of_whole_runs_are_counted_from_their_records(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(FOLDER))
    alarms = importlib.import_module("false_alarms")
    found = {"one": [("note", "a")], "two": [("note", "a"), ("warning", "b")], "three": []}
    for name, codes in found.items():
        findings = [{"level": level, "code": code, "message": ""} for level, code in codes]
        (tmp_path / f"{name}.json").write_text(json.dumps({"findings": findings}))
    lines = alarms.whole_runs(tmp_path).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert cells == [["`b`", "warning", "1", "two"], ["`a`", "note", "2", ""]]
    for name in ("false_alarms", "simulated", "table"):
        sys.modules.pop(name, None)


def test_the_weight_of_a_band_is_seen_while_a_map_is_scaled(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(FOLDER))
    seen = importlib.import_module("seen")
    grid = Grid((56, 56, 56), (1.0, 1.0, 1.0))
    rng = np.random.default_rng(5)
    signal, *noise = rng.standard_normal((3, *grid.shape)).astype(np.float32)
    halves = [Map(signal + part, grid, "half map") for part in noise]
    average = Map((halves[0].values + halves[1].values) / 2, grid, "average")
    mask = np.ones(grid.shape, np.float32)
    given = ScalingInput(
        ObservedMaps(average, *halves, "halves"), average, mask, 4.0, HybridParameters()
    )
    with seen.seen_weight(4.0) as weight:
        scale_map(given, SerialExecutor(), tmp_path, Progress())
    whole = weight.whole(grid.shape, 25.0)
    assert list(weight.values) == [round(25.0 / 4.0)]
    assert 0 <= whole.min() < whole.max() <= 1
    sys.modules.pop("seen", None)
