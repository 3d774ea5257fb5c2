"""Local scaling of maps: both estimators, end to end, in boxes that take seconds."""

from pathlib import Path

import numpy as np
import pytest

from locscale_hybrid.errors import InputError
from locscale_hybrid.fourier.space import FourierSpace, squared_modulus
from locscale_hybrid.inputs.half_maps import ObservedMaps, observe_halves
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.parallel.executors import ProcessExecutor, SerialExecutor
from locscale_hybrid.parameters import HybridParameters
from locscale_hybrid.progress import Progress
from locscale_hybrid.scaling import scaling_input
from locscale_hybrid.scaling.scale import scale_map
from locscale_hybrid.scaling.scaled_maps import ScaledMaps
from locscale_hybrid.scaling.scaling_input import ScalingInput
from locscale_hybrid.symmetry.operators import symmetry_of
from tests.synthetic import box_centre, density, half_maps, small_model

BOX = (64, 60, 57)


class Backwards:
    """Several workers, by files, the last task first."""

    workers = 3
    name = "backwards"

    def __init__(self) -> None:
        self.calls: list[int] = []

    def map(self, function, folder, count, *, progress=None):
        self.calls.append(count)
        for index in reversed(range(count)):
            function(folder, index)
        if progress is not None:
            progress(1.0)


def random_map(shape: tuple[int, int, int], seed: int, voxel: float = 1.0) -> Map:
    grid = Grid(shape, (voxel, voxel, voxel))
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return Map(values, grid, "random")


def one_map(observed: Map) -> ObservedMaps:
    return ObservedMaps(observed, None, None, "single")


def of_halves(half_1: Map, half_2: Map) -> ObservedMaps:
    """Halves whose solvent mean is 0 already."""
    average = half_1.with_values((half_1.values + half_2.values) / 2)
    return ObservedMaps(average, half_1, half_2, "halves")


def scale(
    observed: ObservedMaps,
    reference: Map,
    mask=None,
    *,
    folder: Path,
    resolution=3.0,
    executor=None,
    symmetry=None,
    weight_map=None,
    block=4,
    cap=4.0,
    **parameters,
) -> ScaledMaps:
    shape = reference.values.shape
    mask = np.ones(shape, dtype=np.float32) if mask is None else mask
    asked = HybridParameters(**{"window": 20.0, "weight": "none", **parameters})
    given = ScalingInput(observed, reference, mask, resolution, asked, symmetry, weight_map)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaling_input, "BLOCK", block)
        patch.setattr(scaling_input, "CAP", cap)
        return scale_map(given, executor or SerialExecutor(), folder, Progress())


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values.astype(np.float64)).mean()))


def ball(shape, radius: float, soft: float = 4.0) -> np.ndarray:
    """A soft ball about the centre of a box."""
    z, y, x = np.ogrid[tuple(slice(-(n // 2), n - n // 2) for n in shape)]
    distance = np.sqrt(z**2 + y**2 + x**2)
    return np.clip((radius + soft - distance) / soft, 0, 1).astype(np.float32)


@pytest.mark.parametrize("scaling", ["bands", "windows"])
def test_a_map_against_itself_comes_back_to_1e_5_at_the_edges_too(scaling, tmp_path):
    volume = random_map((40, 36, 33), 1)
    result = scale(
        one_map(volume),
        volume,
        folder=tmp_path,
        scaling=scaling,
        window=13.0,
        noise_weight=False,
        cap=None,
    )
    assert relative(result.linear.values, volume.values) < 1e-5


@pytest.mark.parametrize("scaling", ["bands", "windows"])
def test_a_map_against_itself_comes_back_inside_a_small_mask(scaling, tmp_path):
    volume = random_map((72, 80, 76), 2)
    mask = ball(volume.grid.shape, 9)
    result = scale(
        one_map(volume), volume, mask, folder=tmp_path, scaling=scaling, window=13.0, cap=None
    )
    inside = mask == 1
    assert relative(result.linear.values[inside], volume.values[inside]) < 1e-5


def test_a_constant_times_the_reference_gives_the_reference_to_1e_5(tmp_path):
    reference = random_map(BOX, 3)
    observed = reference.with_values(reference.values * np.float32(0.037))
    result = scale(one_map(observed), reference, folder=tmp_path)
    assert relative(result.linear.values, reference.values) < 1e-5


@pytest.mark.parametrize("weight", ["none", "adaptive"])
def test_a_constant_added_to_the_observed_maps_changes_nothing(weight, tmp_path):
    model = small_model(24, centre=box_centre(BOX, 1.0))
    half_1, half_2, truth = half_maps(model, BOX, 1.0, 3.0, seed=1)
    shifted = [half.with_values(half.values + np.float32(0.05)) for half in (half_1, half_2)]
    plain = scale(observe_halves(half_1, half_2), truth, folder=tmp_path, weight=weight)
    moved = scale(observe_halves(*shifted), truth, folder=tmp_path, weight=weight)
    assert relative(moved.linear.values, plain.linear.values) < 1e-5
    assert relative(moved.output.values, plain.output.values) < 1e-5


def test_a_noise_free_map_blurred_by_b_100_gets_its_amplitudes_back(tmp_path):
    shape = (64, 64, 64)
    grid = Grid(shape, (1.0, 1.0, 1.0))
    model = small_model(36, centre=box_centre(shape, 1.0))
    truth = Map(density(model, grid), grid, "truth")
    observed = truth.with_values(density(model, grid, blur=100.0))
    result = scale(one_map(observed), truth, ball(shape, 26), folder=tmp_path, window=25.0)
    space = FourierSpace(grid)
    power = [space.power(space.forward(m.values)) for m in (result.linear, truth)]
    ratio = np.sqrt(power[0] / power[1])
    used = (space.frequency > 0.1) & (space.frequency < 0.35)
    assert ratio[used].min() > 0.93 and ratio[used].max() < 1.07
    assert np.corrcoef(result.linear.values.ravel(), truth.values.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("weight", ["none", "adaptive", "smooth"])
@pytest.mark.parametrize("scaling", ["bands", "windows"])
def test_pure_noise_is_scaled_to_less_than_5_percent(scaling, weight, tmp_path):
    shape = (64, 64, 64)
    model = small_model(36, centre=box_centre(shape, 1.0))
    reference = random_map(shape, 0)
    reference = reference.with_values(density(model, reference.grid))
    observed = of_halves(random_map(shape, 5), random_map(shape, 6))
    mask = ball(shape, 20)
    kept = [
        scale(
            observed,
            reference,
            mask,
            folder=tmp_path,
            scaling=scaling,
            weight=weight,
            stride=2,
            noise_weight=noise_weight,
        ).linear.values[mask == 1]
        for noise_weight in (True, False)
    ]
    assert rms(kept[0]) < 0.05 * rms(kept[1])


def turned_d2(values: np.ndarray) -> np.ndarray:
    """The exact D2 average about voxel n // 2, by exchange of voxels."""
    axes = ((), (0, 1), (0, 2), (1, 2))
    return sum(
        np.roll(np.flip(values, pair), [1 - n % 2 for n in np.take(values.shape, pair)], pair)
        if pair
        else values
        for pair in axes
    ) / np.float32(4)


def turned_c4(values: np.ndarray) -> np.ndarray:
    """The exact C4 average about z through voxel n // 2, by exchange of voxels."""
    shift = 1 - values.shape[1] % 2
    total = values.copy()
    for _ in range(3):
        values = np.roll(np.rot90(values, axes=(1, 2)), shift, axis=1)
        total += values
    return total / np.float32(4)


@pytest.mark.parametrize(
    ("symbol", "turn", "shape"), [("D2", turned_d2, (48, 44, 45)), ("C4", turned_c4, (40, 48, 48))]
)
@pytest.mark.parametrize(
    ("scaling", "block", "weight"),
    [
        ("bands", 1, "none"),
        ("bands", 1, "adaptive"),
        ("windows", 1, "none"),
        ("bands", 4, "adaptive"),
    ],
)
def test_exactly_symmetric_inputs_give_outputs_symmetric_to_1e_5(
    symbol, turn, shape, scaling, block, weight, tmp_path
):
    model = small_model(18, centre=box_centre(shape, 1.0))
    half_1, half_2, truth = (
        m.with_values(turn(m.values)) for m in half_maps(model, shape, 1.0, 4.0, seed=3)
    )
    symmetry = symmetry_of(truth.grid, symbol, None) if block == 4 else None
    result = scale(
        of_halves(half_1, half_2),
        truth,
        turn(ball(shape, 16)),
        folder=tmp_path,
        scaling=scaling,
        block=block,
        weight=weight,
        symmetry=symmetry,
        window=15.0,
        resolution=4.0,
    )
    for volume in (result.linear, result.output):
        assert relative(volume.values, turn(volume.values)) < 1e-5


def simulated(shape=(64, 60, 60)) -> tuple[ObservedMaps, Map, np.ndarray]:
    """Half maps to 3 Å of a small model, its truth, and a mask about it."""
    model = small_model(24, centre=box_centre(shape, 1.0))
    half_1, half_2, truth = half_maps(model, shape, 1.0, 3.0, seed=7)
    return observe_halves(half_1, half_2), truth, ball(shape, 16)


@pytest.mark.parametrize(
    "parameters",
    [
        {"weight": "adaptive"},
        {"weight": "smooth"},
        {"weight": "none", "noise_weight": False},
        {"weight": "adaptive", "scaling": "windows", "stride": 3},
        {"weight": "soft", "scaling": "windows", "stride": 2, "taper": "hann"},
    ],
)
def test_files_and_workers_give_the_same_bytes_as_one_process(parameters, tmp_path):
    observed, truth, mask = simulated()
    one = scale(observed, truth, mask, folder=tmp_path, **parameters)
    workers = Backwards()
    many = scale(observed, truth, mask, folder=tmp_path, executor=workers, **parameters)
    assert workers.calls
    for name in ("output", "linear", "half_1", "half_2", "weight"):
        a, b = getattr(one, name).values, getattr(many, name).values
        assert np.array_equal(a, b), name


def test_a_pool_of_2_processes_gives_the_same_bytes_as_one_process(tmp_path):
    observed, truth, mask = simulated()
    one = scale(observed, truth, mask, folder=tmp_path, weight="adaptive")
    with ProcessExecutor(2) as pool:
        two = scale(observed, truth, mask, folder=tmp_path, executor=pool, weight="adaptive")
    assert np.array_equal(one.output.values, two.output.values)
    assert np.array_equal(one.linear.values, two.linear.values)


def test_a_large_box_with_one_band_in_hand_gives_the_same_bytes_as_a_small_one(
    monkeypatch, tmp_path
):
    observed, truth, mask = simulated()
    small = scale(observed, truth, mask, folder=tmp_path, weight="adaptive")
    monkeypatch.setattr("locscale_hybrid.scaling.scale._SMALL_VOXELS", 0)
    large = scale(observed, truth, mask, folder=tmp_path, weight="adaptive")
    assert np.array_equal(small.output.values, large.output.values)
    assert np.array_equal(small.linear.values, large.linear.values)


def test_powers_spread_by_planes_change_a_map_by_rounding_alone(monkeypatch, tmp_path):
    observed, truth, mask = simulated()
    whole = scale(observed, truth, mask, folder=tmp_path, weight="adaptive").linear.values
    monkeypatch.setattr("locscale_hybrid.scaling.local_power._SMALL_VOXELS", 0)
    planes = scale(observed, truth, mask, folder=tmp_path, weight="adaptive").linear.values
    assert relative(planes, whole) < 1e-5


def test_windows_of_stride_3_differ_from_stride_1_by_less_than_1_percent(tmp_path):
    observed, truth, _ = simulated()
    mask = ball(truth.grid.shape, 12)
    fine, coarse = (
        scale(
            observed,
            truth,
            mask,
            folder=tmp_path,
            scaling="windows",
            weight="adaptive",
            window=25.0,
            stride=stride,
        ).linear.values[mask == 1]
        for stride in (1, 3)
    )
    assert rms(fine - coarse) < 0.01 * rms(fine)


def test_the_halves_of_the_linear_map_average_to_it(tmp_path):
    observed, truth, mask = simulated()
    result = scale(observed, truth, mask, folder=tmp_path, weight="adaptive")
    mean = (result.half_1.values + result.half_2.values) / 2
    assert relative(mean, result.linear.values) < 1e-6
    assert not np.array_equal(result.half_1.values, result.half_2.values)


def test_local_scaling_with_the_truth_as_reference_beats_the_unscaled_map_by_0_09(tmp_path):
    observed, truth, mask = simulated()
    inside = mask == 1
    result = scale(observed, truth, mask, folder=tmp_path, weight="adaptive")
    before, after = (
        np.corrcoef(m.values[inside], truth.values[inside])[0, 1]
        for m in (observed.average, result.output)
    )
    assert after > before + 0.09


def test_a_window_shorter_than_12_angstrom_has_no_coarser_bands_and_works(tmp_path):
    observed, truth, mask = simulated((48, 48, 48))
    result = scale(
        observed, truth, mask, folder=tmp_path, weight="adaptive", window=10.0, resolution=6.0
    )
    inside = mask == 1
    assert np.corrcoef(result.linear.values[inside], truth.values[inside])[0, 1] > 0.9


def test_the_solvent_of_the_output_is_at_0(tmp_path):
    observed, truth, mask = simulated()
    result = scale(observed, truth, mask, folder=tmp_path, weight="adaptive")
    outside = mask == 0
    assert abs(result.output.values[outside].mean()) < 0.01 * rms(result.output.values[mask == 1])


def test_a_place_without_reference_gets_the_global_gain_and_a_flag(tmp_path):
    shape = (96, 48, 48)
    volume = random_map(shape, 8)
    values = volume.values.copy()
    values[48:] = 0
    reference = volume.with_values(2 * values)
    mask = np.zeros(shape, dtype=np.float32)
    mask[12:84, 8:40, 8:40] = 1
    result = scale(one_map(volume), reference, mask, folder=tmp_path, window=12.0)
    far, near = (slice(68, 78), slice(12, 36), slice(12, 36)), (slice(14, 20), *[slice(12, 36)] * 2)
    assert result.silent[far].all() and not result.silent[near].any()
    assert 0.1 < result.silent_share < 0.4
    ratio = rms(result.linear.values[far]) / rms(volume.values[far])
    assert ratio == pytest.approx(
        rms(result.linear.values[near]) / rms(volume.values[near]), rel=0.25
    )
    assert [f.code for f in result.findings] == ["silent-reference"]
    assert "the reference has no density near" in result.findings[0].message


def test_a_gain_stays_within_a_quarter_and_four_times_the_global_one(tmp_path):
    shape = (80, 40, 40)
    volume = random_map(shape, 9)
    strong = np.where(np.arange(shape[0]) < 12, np.float32(100), np.float32(1))
    reference = volume.with_values(volume.values * strong[:, None, None])
    capped, free = (
        scale(one_map(volume), reference, folder=tmp_path, window=12.0, cap=cap)
        for cap in (4.0, None)
    )
    for band in capped.bands:
        assert band.high <= 4.001 * band.global_gain and band.low >= 0.249 * band.global_gain
    assert free.bands[0].low < 0.2 * free.bands[0].global_gain


def test_one_map_has_no_noise_weight_and_no_halves(tmp_path):
    observed, truth, mask = simulated()
    result = scale(one_map(observed.average), truth, mask, folder=tmp_path, weight="adaptive")
    assert result.policy == "none" and result.half_1 is None
    assert all(band.noise_weight == 1 for band in result.bands)
    assert [f.code for f in result.findings] == ["weight-policy"]
    assert "weight none was used in place of adaptive" in result.findings[0].message


def test_one_map_takes_its_weight_from_a_file(tmp_path):
    observed, truth, mask = simulated()
    weight = truth.with_values(mask, "weight.mrc")
    result = scale(
        one_map(observed.average), truth, mask, folder=tmp_path, weight="file", weight_map=weight
    )
    assert np.array_equal(result.weight.values, mask)


def test_pseudo_halves_are_weighted_by_the_smooth_policy(tmp_path):
    observed, truth, mask = simulated()
    pseudo = ObservedMaps(observed.average, observed.half_1, observed.half_2, "pseudo-halves")
    result = scale(pseudo, truth, mask, folder=tmp_path, weight="adaptive")
    assert result.policy == "smooth"


def test_an_even_window_is_rounded_up_to_odd_and_said(tmp_path):
    volume = random_map((48, 48, 48), 1)
    even, odd = (
        scale(one_map(volume), volume, folder=tmp_path, window_voxels=n, weight="none")
        for n in (14, 15)
    )
    assert np.array_equal(even.linear.values, odd.linear.values)
    assert even.findings[0].message.startswith("the window of 14 voxels was rounded up to 15")
    assert not odd.findings


def test_local_gain_and_resolution_come_on_request(tmp_path):
    observed, truth, mask = simulated()
    result = scale(
        observed,
        truth,
        mask,
        folder=tmp_path,
        weight="adaptive",
        outputs=frozenset({"gain", "resolution"}),
    )
    assert sorted(result.volumes) == ["gain_10.0A", "gain_2.9A", "gain_5.0A", "resolution"]
    resolution = result.volumes["resolution"].values
    assert 2.2 < np.median(resolution[mask == 1]) < 4.0
    assert np.median(resolution[mask == 1]) < np.median(resolution[2:8])


def test_the_label_and_the_statement_name_the_weight(tmp_path):
    observed, truth, mask = simulated()
    result = scale(observed, truth, mask, folder=tmp_path, weight="soft")
    assert result.label == "local scaling, bands 20 A, weight soft"
    assert "invents" in result.statement


def test_a_window_longer_than_half_the_box_is_refused_with_the_largest_possible(tmp_path):
    volume = random_map((48, 40, 44), 1)
    with pytest.raises(InputError, match=r"25 Å .* half the box .*: give at most 19 Å"):
        scale(one_map(volume), volume, folder=tmp_path, window=25.0)
    scale(one_map(volume), volume, folder=tmp_path, window=19.0)


def test_a_weight_without_its_file_is_refused(tmp_path):
    volume = random_map((40, 40, 40), 1)
    with pytest.raises(InputError, match="no file was given: name a map of weights"):
        scale(one_map(volume), volume, folder=tmp_path, weight="file")


def test_maps_on_another_grid_are_refused(tmp_path):
    volume, other = random_map((40, 40, 40), 1), random_map((40, 40, 42), 1)
    with pytest.raises(InputError, match="or their origins differ; resample it"):
        scale(one_map(volume), other, np.ones((40, 40, 40), np.float32), folder=tmp_path)
    with pytest.raises(InputError, match=r"the mask has \(40, 40, 42\) voxels"):
        scale(one_map(volume), volume, np.ones((40, 40, 42), np.float32), folder=tmp_path)


def test_an_empty_mask_is_refused(tmp_path):
    volume = random_map((40, 40, 40), 1)
    with pytest.raises(InputError, match="the mask is empty"):
        scale(one_map(volume), volume, np.zeros((40, 40, 40), np.float32), folder=tmp_path)


@pytest.mark.parametrize("shape", [(41, 47, 53), (40, 61, 44)])
def test_odd_and_prime_boxes_are_scaled_to_their_edges(shape, tmp_path):
    volume = random_map(shape, 4)
    observed = volume.with_values(volume.values * np.float32(3))
    result = scale(one_map(observed), volume, folder=tmp_path, window=13.0)
    assert relative(result.linear.values, volume.values) < 1e-5


def test_the_grid_of_the_result_is_that_of_the_observed_map(tmp_path):
    grid = Grid((40, 44, 48), (1.1, 1.1, 1.1), (-17.3, 40.0, 5.0))
    volume = Map(random_map(grid.shape, 1).values, grid)
    result = scale(one_map(volume), volume, folder=tmp_path, window=15.0)
    assert result.output.grid == grid and result.linear.grid == grid
    assert squared_modulus(np.fft.rfftn(result.linear.values)).sum() > 0
