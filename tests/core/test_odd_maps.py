"""Maps and masks as people give them, run as a whole: what comes out against the plain case.

All data are simulated.  Differences are in standard deviations of the plain map.
"""

import dataclasses
import hashlib
import json
import os

import numpy as np
import pytest

from locscale_hybrid import (
    HybridParameters,
    InputError,
    StageError,
    output_paths,
    pipeline,
    run_hybrid,
)
from locscale_hybrid.maps.grid import Map
from locscale_hybrid.maps.mrc import read_map, write_map
from locscale_hybrid.progress import Progress, Silent
from locscale_hybrid.scaling.scaled_maps import ScaledMaps
from locscale_hybrid.sharpening import steps
from tests.program import make_case

PARAMETERS = HybridParameters(resolution=3.4, refiner="none", outputs=frozenset({"halves"}))


class Watcher(Silent):
    """Does something when a stage begins."""

    def __init__(self, at=None, do=None):
        self.at, self.do, self.codes = at, do, []

    def stage(self, name, *_):
        if name == self.at:
            self.do()

    def finding(self, finding):
        self.codes.append(finding.code)


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return make_case(tmp_path_factory.mktemp("case"))


def run(inputs, folder, parameters=PARAMETERS, **watched):
    """The maps of a run, its record, and the codes of its findings."""
    folder.mkdir(exist_ok=True)
    result = run_hybrid(
        inputs, parameters, output_paths(folder / "out.mrc"), progress=Progress(Watcher(**watched))
    )
    maps = {
        name: read_map(path).values
        for name, path in (
            ("map", result.output),
            ("linear", result.linear),
            ("half", result.files["sharpened_half2"]),
        )
    }
    return maps, json.loads(result.record.read_text()), {f.code for f in result.findings}


@pytest.fixture(scope="module")
def plain(case, tmp_path_factory):
    return run(case.inputs, tmp_path_factory.mktemp("plain") / "out")


def given(case, folder, **changes):
    """Inputs of which some maps are changed by a function of their values."""
    paths = {}
    for name, change in changes.items():
        source = read_map(getattr(case.inputs, name))
        paths[name] = folder / f"{name}.mrc"
        write_map(paths[name], source.with_values(change(source.values).astype(np.float32)))
    return dataclasses.replace(case.inputs, **paths)


def rms(found, plain, name="map"):
    return float((found[0][name] - plain[0][name]).std() / plain[0][name].std())


def hot(values):
    values = values.copy()
    values[3, 4, 5] = 1e4
    return values


@pytest.mark.parametrize("factor", [1e-18, 1e18, 1e-37])
def test_values_of_any_order_give_the_plain_map(case, plain, tmp_path, factor):
    def scaled(values):
        return values * np.float64(factor)

    found = run(given(case, tmp_path, half_map_1=scaled, half_map_2=scaled), tmp_path / "out")
    for name in ("map", "linear", "half"):
        assert rms(found, plain, name) < 1e-3
    assert found[2] == plain[2] | {"value-range"}


@pytest.mark.parametrize("factor", [1.5, 0.4])
def test_half_on_another_scale_gives_nearly_the_plain_map(case, plain, tmp_path, factor):
    found = run(given(case, tmp_path, half_map_2=lambda values: factor * values), tmp_path / "out")
    for name in ("map", "linear", "half"):
        assert rms(found, plain, name) < 0.02  # 0.06 and more before
    assert found[2] == plain[2] | {"half-scale"}


def test_half_on_a_far_scale_writes_nothing(case, tmp_path):
    inputs = given(case, tmp_path, half_map_2=lambda values: 1000 * values)
    with pytest.raises(InputError, match=r"half_map_2.mrc has 9\d\d(\.\d)? times the scale of "):
        run(inputs, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_hot_voxel_gives_the_plain_map(case, plain, tmp_path):
    found = run(given(case, tmp_path, half_map_1=hot), tmp_path / "out")
    other_seed = run(case.inputs, tmp_path / "seed", dataclasses.replace(PARAMETERS, seed=2))
    assert rms(found, plain) < 1.5 * rms(other_seed, plain)
    assert found[2] == plain[2] | {"hot-voxels"}


def test_mask_of_halves_gives_the_map_of_the_mask_of_ones(case, tmp_path):
    half = read_map(case.inputs.half_map_1)
    z, y, x = np.indices(half.values.shape)
    ball = (x - 24) ** 2 + (y - 23) ** 2 + (z - 22) ** 2 < 17**2
    maps = []
    for name, value in (("ones", 1.0), ("halves", 0.5)):
        write_map(tmp_path / f"{name}.mrc", half.with_values((value * ball).astype(np.float32)))
        maps.append(
            run(dataclasses.replace(case.inputs, mask=tmp_path / f"{name}.mrc"), tmp_path / name)
        )
    assert np.array_equal(maps[0][0]["map"], maps[1][0]["map"])
    assert maps[0][0]["map"].std() > 0
    assert maps[1][2] - maps[0][2] == {"mask-raised"}


def test_mask_with_another_voxel_size_is_read_with_the_given_one(case, plain, tmp_path):
    half = read_map(case.inputs.half_map_1)
    ones = np.ones(half.grid.shape, np.float32)
    grid = dataclasses.replace(half.grid, voxel_size=(1.0, 1.0, 1.0))
    mask = half.with_values(ones)
    write_map(tmp_path / "mask.mrc", dataclasses.replace(mask, grid=grid))
    inputs = dataclasses.replace(case.inputs, mask=tmp_path / "mask.mrc")
    with pytest.raises(InputError, match=r"map and mask differ in voxel size.*Give the voxel size"):
        run(inputs, tmp_path / "out")
    parameters = dataclasses.replace(PARAMETERS, voxel_size=half.grid.step)
    _, record, codes = run(inputs, tmp_path / "out", parameters)
    assert codes == plain[2] | {"mask-whole-box", "low-coverage"}
    assert record["mask"]["volume_cubic_angstrom"] == pytest.approx(
        half.grid.size * half.grid.voxel_volume
    )


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("output", 0.0, "the display map is 0 everywhere, so no file was written"),
        ("output", 1e-35, r"the display map is -4\.03e-35 everywhere"),
        ("linear", 2.5, r"the linear map is 2\.5 everywhere"),
        ("output", np.nan, "the display map has 97152 of 97152 voxels that are not finite"),
        ("linear", np.inf, "the linear map has 97152 of 97152 voxels"),
        ("difference", np.nan, "the sharpened_half1 has 97152 of 97152 voxels"),
        ("volumes", np.nan, r"the gain_4\.2A has 97152 of 97152 voxels"),
    ],
)
def test_empty_constant_or_infinite_map_is_never_written(
    case, tmp_path, monkeypatch, name, value, words
):
    def spoiled(given, *_):
        grid = given.observed.average.grid
        noise = np.random.default_rng(1).normal(size=grid.shape).astype(np.float32)
        bad = Map(np.full(grid.shape, value, np.float32) * (noise if value == 1e-35 else 1), grid)
        good = Map(noise, grid)
        maps = dict.fromkeys(("output", "linear", "difference", "weight"), good)
        changed = {name: {"gain_4.2A": bad} if name == "volumes" else bad}
        return ScaledMaps(
            **{**maps, **changed},
            policy="none",
            label="",
            statement="",
            bands=(),
            silent=noise > 9,
            silent_share=0.0,
        )

    monkeypatch.setattr(steps, "scale_map", spoiled)
    monkeypatch.setattr(pipeline, "amplitude_curves", lambda *_, **__: None)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/out.mrc").write_bytes(b"the old output")
    with pytest.raises(StageError, match=words):
        run(case.inputs, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["out.mrc"]
    assert (tmp_path / "out/out.mrc").read_bytes() == b"the old output"


@pytest.mark.parametrize("change", ["deleted", "replaced"])
def test_record_names_what_was_read_whatever_becomes_of_the_files(case, plain, tmp_path, change):
    inputs = given(
        case, tmp_path, half_map_1=lambda values: values, half_map_2=lambda values: values
    )
    model = tmp_path / "model.cif"
    model.write_bytes(inputs.model.read_bytes())
    inputs = dataclasses.replace(inputs, model=model)
    before = {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in inputs.files.items()
    }

    def change_all():
        for path in inputs.files.values():
            if change == "replaced":
                path.with_suffix(".new").write_bytes(b"another file")
                os.replace(path.with_suffix(".new"), path)
            else:
                path.unlink()

    maps, record, _ = run(inputs, tmp_path / "out", at="mask", do=change_all)
    assert {name: entry["sha256"] for name, entry in record["inputs"].items()} == before
    assert np.array_equal(maps["map"], plain[0]["map"])
