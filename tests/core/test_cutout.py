"""A region alone: which voxels it holds, what it says, and that it shows what the whole shows."""

import json

import numpy as np
import pytest

from locscale_hybrid import HybridInputs, HybridParameters, InputError, output_paths, run_hybrid
from locscale_hybrid.inputs.half_maps import observe_halves
from locscale_hybrid.maps.grid import Grid
from locscale_hybrid.maps.mrc import read_map, write_map
from locscale_hybrid.maps.subvolume import (
    beyond_the_map,
    box_of,
    edge_factor,
    grown,
    require_density,
    soft_box,
    within,
)
from locscale_hybrid.parallel.executors import SerialExecutor
from locscale_hybrid.progress import Progress
from locscale_hybrid.scaling.scale import scale_map
from locscale_hybrid.scaling.scaling_input import ScalingInput
from tests.synthetic import box_centre, half_maps, small_model

GRID = Grid((10, 20, 30), (1.5, 1.0, 2.0), (-15.0, 4.0, 100.0))


def test_corners_on_voxels_hold_them():
    corners = (*GRID.position_of(np.array((2, 5, 7))), *GRID.position_of(np.array((4, 9, 7))))
    assert box_of(corners, GRID) == (slice(2, 5), slice(5, 10), slice(7, 8))


def test_corners_between_voxels_hold_those_between_them():
    assert box_of((-14.9, 4.1, 100.1, -11.9, 7.9, 104.1), GRID) == (
        slice(1, 3),
        slice(1, 4),
        slice(1, 3),
    )


def test_region_is_cut_to_the_map():
    assert box_of((-999, -999, -999, 999, 999, 102), GRID) == (
        slice(0, 2),
        slice(0, 20),
        slice(0, 30),
    )


@pytest.mark.parametrize("corners", [(500, 0, 0, 600, 999, 999), (-14.9, 4, 100, -14.8, 9, 109)])
def test_region_without_a_voxel_is_refused_with_the_extent_of_the_map(corners):
    with pytest.raises(
        InputError,
        match=r"holds no voxel of the map, which has x -15 to 30, "
        r"y 4 to 24, z 100 to 120 Å: give a region inside it",
    ):
        box_of(corners, GRID)


def test_region_that_goes_beyond_the_map_is_told_what_of_it_is_scaled():
    (found,) = beyond_the_map((-999, 6, 100, 20, 999, 102), GRID)
    assert found.code == "region-beyond" and found.level == "note"
    assert found.message == (
        "the region x -999 to 20, y 6 to 999, z 100 to 102 Å goes beyond the "
        "map: what lies in it, x -15 to 20, y 6 to 24, z 100 to 102 Å, is "
        "scaled"
    )
    assert beyond_the_map((-15.4, 6, 100, 20, 24.5, 102), GRID) == []


def test_region_of_solvent_alone_is_refused():
    mask = np.zeros(GRID.shape, dtype=np.float32)
    mask[5:] = 1
    corners = (-15.0, 4.0, 100.0, 20.0, 20.0, 104.0)
    with pytest.raises(
        InputError,
        match=r"the region x -15 to 20, y 4 to 20, z 100 to 104 Å "
        "holds solvent alone: there is nothing to scale",
    ):
        require_density(corners, box_of(corners, GRID), mask)
    require_density(corners, (slice(0, 6), slice(0, 20), slice(0, 30)), mask)


def test_region_grows_by_angstrom_as_far_as_the_map_goes():
    assert grown((slice(1, 5), slice(8, 9), slice(9, 12)), GRID, 6.0) == (
        slice(0, 8),
        slice(2, 15),
        slice(5, 16),
    )


def test_only_the_box_is_kept():
    values = np.arange(6000).reshape(GRID.shape) + 1
    box = (slice(1, 3), slice(4, 6), slice(7, 8))
    kept = within(values, box)
    assert np.array_equal(kept[box], values[box]) and np.count_nonzero(kept) == 4


def test_edges_fall_only_where_the_box_ends_inside_the_map():
    assert edge_factor(6, 2, (True, False)) == pytest.approx(
        [0.5 - 0.5 * np.cos(np.pi / 4), 0.5 + 0.5 * np.cos(np.pi / 4), 1, 1, 1, 1]
    )
    soft = soft_box((slice(0, 10), slice(0, 20), slice(12, 30)), GRID)
    assert soft[:, :, :12].max() == 0 and soft[:, :, 16:].min() == 1
    assert 0 < soft[0, 0, 12] < soft[0, 0, 13] < 1


# ---- against the whole map ----------------------------------------------------------------------

SHAPE, VOXEL, RESOLUTION, WINDOW = (80, 84, 80), 1.3, 3.4, 20.0
REGION = (slice(36, 52), slice(34, 50), slice(38, 54))


@pytest.fixture(scope="module")
def particle():
    """Simulated: half maps of 200 residues, the truth as reference, a mask around it."""
    model = small_model(200, centre=box_centre(SHAPE, VOXEL))
    half_1, half_2, truth = half_maps(model, SHAPE, VOXEL, RESOLUTION, 3)
    mask = (truth.values > 0.05 * truth.values.max()).astype(np.float32)
    return observe_halves(half_1, half_2), truth, mask


def scaled(particle, folder, region, **parameters):
    observed, truth, mask = particle
    return scale_map(
        ScalingInput(
            observed,
            truth,
            mask,
            RESOLUTION,
            HybridParameters(window=WINDOW, **parameters),
            region=region,
        ),
        SerialExecutor(),
        folder,
        Progress(),
    )


def change(region, whole):
    """Largest root mean square change inside, over the sd of the whole there."""
    inside = whole.values[REGION]
    return float(np.sqrt(np.square(region.values[REGION] - inside).mean()) / inside.std())


@pytest.mark.parametrize(
    ("parameters", "linear", "output"),
    [
        ({}, 0.02, 0.03),
        ({"weight": "none"}, 0.02, 0.03),
        ({"scaling": "windows", "stride": 4}, 0.03, 0.1),
    ],
)
def test_values_of_a_region_are_those_of_the_whole(particle, tmp_path, parameters, linear, output):
    """Not exactly: global gains, doubts and weights are those of the region's surroundings."""
    whole, region = (scaled(particle, tmp_path, box, **parameters) for box in (None, REGION))
    assert change(region.linear, whole.linear) < linear
    assert change(region.output, whole.output) < output
    for made in (region.linear, region.output, region.half_1, region.weight):
        assert not (made.values != within(made.values, REGION)).any(), "0 elsewhere"
    assert [finding.code for finding in region.findings][:1] == ["region-alone"]
    assert "those of the region. Leave out `region`" in region.findings[0].message
    assert "region-alone" not in [finding.code for finding in whole.findings]


def test_region_of_a_symmetric_particle_says_that_nothing_is_averaged(particle, tmp_path):
    """The images of a region lie outside of it."""
    made = scaled(particle, tmp_path, REGION, point_group="D2")
    assert (
        "those of the region, and nothing is averaged over D2. Leave out `region` for "
        "the map to keep."
    ) in made.findings[0].message


def test_gains_are_found_in_the_region_alone(particle, tmp_path, monkeypatch):
    """Counted is what costs time: voxels of the work box, and windows."""
    from locscale_hybrid.scaling import scale as scale_module

    seen = []
    measure = scale_module.measure_windows

    def counted(observed, reference, region, *more):
        seen.append((observed.size, np.count_nonzero(region)))
        return measure(observed, reference, region, *more)

    monkeypatch.setattr(scale_module, "measure_windows", counted)
    small = (slice(40, 46), slice(40, 46), slice(40, 46))
    for box in (None, small):
        scaled(particle, tmp_path, box, scaling="windows", stride=8)
    assert seen[1][0] < 0.5 * seen[0][0] and seen[1][1] < 0.3 * seen[0][1]


def test_whole_run_of_a_region(particle, tmp_path):
    """The record says it, and the map is 0 elsewhere."""
    observed, truth, _ = particle
    for name, half in (("half1", observed.half_1), ("half2", observed.half_2)):
        write_map(tmp_path / f"{name}.mrc", half)
    small_model(200, centre=box_centre(SHAPE, VOXEL)).make_mmcif_document().write_file(
        str(tmp_path / "model.cif")
    )
    inputs = HybridInputs(
        tmp_path / "half1.mrc", tmp_path / "half2.mrc", model=tmp_path / "model.cif"
    )
    low, high = (
        truth.grid.position_of(np.array([side for side in sides]))
        for sides in ([part.start for part in REGION], [part.stop - 1 for part in REGION])
    )
    corners = (*low.tolist(), *high.tolist())
    asked = HybridParameters(region=corners, resolution=RESOLUTION, refiner="none")
    result = run_hybrid(inputs, asked, output_paths(tmp_path / "out.mrc", report=True))
    record = json.loads(result.record.read_text("utf-8"))
    assert record["parameters"]["region"] == list(corners)
    assert "--region" in record["command"]
    assert "region-alone" in [finding["code"] for finding in record["findings"]]
    values = read_map(result.output).values
    assert values[REGION].std() > 0 and np.array_equal(values, within(values, REGION))


def test_region_outside_the_map_is_refused_before_the_work(particle, tmp_path):
    half = particle[0].half_1
    write_map(tmp_path / "full.mrc", half)
    with pytest.raises(InputError, match="holds no voxel of the map"):
        run_hybrid(
            HybridInputs(full_map=tmp_path / "full.mrc"),
            HybridParameters(region=(900, 0, 0, 910, 9, 9)),
            output_paths(tmp_path / "out.mrc"),
        )
    assert not (tmp_path / "out.mrc").exists()
