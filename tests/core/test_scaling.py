"""Local scaling of maps: both estimators, end to end, in boxes that take seconds."""

from pathlib import Path

import numpy as np
import pytest

from locscale_hybrid.errors import InputError
from locscale_hybrid.executors import SerialExecutor
from locscale_hybrid.fourier import FourierSpace, squared_modulus
from locscale_hybrid.maps import Grid, Map
from locscale_hybrid.observed import ObservedMaps, observe_halves
from locscale_hybrid.parameters import HybridParameters
from locscale_hybrid.progress import Progress
from locscale_hybrid.scaling import ScaledMaps, scale_map
from locscale_hybrid.symmetry import symmetry_of
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


def scale(observed: ObservedMaps, reference: Map, mask=None, *, folder: Path, resolution=3.0,
          executor=None, symmetry=None, weight_map=None, block=4, cap=4.0,
          **parameters) -> ScaledMaps:
    shape = reference.values.shape
    mask = np.ones(shape, dtype=np.float32) if mask is None else mask
    asked = HybridParameters(**{"window": 20.0, "weight": "none", **parameters})
    return scale_map(observed, reference, mask, resolution=resolution, parameters=asked,
                     symmetry=symmetry, executor=executor or SerialExecutor(), folder=folder,
                     progress=Progress(), weight_map=weight_map, block=block, cap=cap)


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
    volume = random_map(BOX, 1)
    result = scale(one_map(volume), volume, folder=tmp_path, scaling=scaling, window=13.0,
                   noise_weight=False, cap=None)
    assert relative(result.linear.values, volume.values) < 1e-5


@pytest.mark.parametrize("scaling", ["bands", "windows"])
def test_a_map_against_itself_comes_back_inside_a_small_mask(scaling, tmp_path):
    volume = random_map((72, 80, 76), 2)
    mask = ball(volume.grid.shape, 9)
    result = scale(one_map(volume), volume, mask, folder=tmp_path, scaling=scaling, window=13.0,
                   cap=None)
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
    assert 0.93 < ratio[used].min() and ratio[used].max() < 1.07
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
    kept = [scale(observed, reference, mask, folder=tmp_path, scaling=scaling, weight=weight,
                  stride=2, noise_weight=noise_weight).linear.values[mask == 1]
            for noise_weight in (True, False)]
    assert rms(kept[0]) < 0.05 * rms(kept[1])
