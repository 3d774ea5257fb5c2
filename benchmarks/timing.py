"""Jobs that are timed, each in a child process; they return CPU seconds of the part that counts."""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
from scipy import ndimage

from locscale_hybrid.completion.completion import (
    Completion,
    b_problem,
    completion_of,
    free_fsc,
    place_pseudo_atoms,
)
from locscale_hybrid.inputs.half_maps import ObservedMaps, observe_halves
from locscale_hybrid.inputs.reading import RunInput, read_run_input
from locscale_hybrid.maps.grid import FloatArray, Grid, Map
from locscale_hybrid.maps.mrc import read_map
from locscale_hybrid.masking.coverage import mask_and_resolution
from locscale_hybrid.parallel.executors import local_executor
from locscale_hybrid.parallel.tasks import Executor
from locscale_hybrid.parameters import HybridInputs, HybridParameters
from locscale_hybrid.progress import Progress, cpu_seconds, peak_memory_gib
from locscale_hybrid.refinement.adp import BRefinement
from locscale_hybrid.scaling import scaling_input
from locscale_hybrid.scaling.scale import scale_map
from locscale_hybrid.scaling.scaling_input import ScalingInput

WAYS = {
    "bands, plain": {"weight": "none", "noise_weight": False},
    "bands, noise weight": {"weight": "none"},
    "bands, adaptive": {"weight": "adaptive"},
    "windows, exact": {"scaling": "windows", "weight": "none", "noise_weight": False},
    "windows, stride 3": {
        "scaling": "windows",
        "weight": "none",
        "noise_weight": False,
        "stride": 3,
    },
}


def make_case(name: str, folder: str) -> dict[str, object]:
    """Simulate a case where it is not there yet; what the command line needs to know of it."""
    from simulated import case_named, make  # the cases take memory that is not the job's

    case = case_named(name)
    return {
        "folder": str(make(case, Path(folder) / name)),
        "point_group": case.point_group,
        "resolution": case.resolution,
        "voxels": case.box**3,
    }


def hybrid_stages(folder: str, point_group: str) -> dict[str, dict[str, float]]:
    """CPU, wall and peak memory so far of the parts of completing and refining a model."""
    costs: dict[str, dict[str, float]] = {}

    def timed(name: str, function: Callable[[], Any]) -> Any:
        """Run and keep the cost."""
        wall, cpu = time.perf_counter(), cpu_seconds()
        result = function()
        costs[name] = {
            "wall_seconds": time.perf_counter() - wall,
            "cpu_seconds": cpu_seconds() - cpu,
            "peak_gib": peak_memory_gib(),
        }
        return result

    parameters = HybridParameters(point_group=point_group)
    case = Path(folder)
    inputs = HybridInputs(case / "half1.mrc", case / "half2.mrc", model=case / "model_partial.cif")
    given = timed("read", lambda: read_run_input(inputs, parameters))
    start = timed("mask, region, grid", lambda: _completion(given, parameters))
    hybrid = timed(
        "level and placement rounds",
        lambda: place_pseudo_atoms(start, start.data.average, given.observed.average),
    )
    refinement = BRefinement(b_problem(start, hybrid), parameters.b_steps)
    choice = timed("restraint weight", lambda: refinement.choose_tau(hybrid.b_iso))
    adps = timed("final fit, local Wilson plots", lambda: refinement.fit(choice))
    timed(
        "rerun on half map 1",
        lambda: free_fsc(
            start,
            place_pseudo_atoms(start, start.data.with_half(1), given.observed.half_1),
            adps.tau,
        ),
    )
    costs["atoms"] = {"model": hybrid.n_atoms, "pseudo": hybrid.n_pseudo}
    return costs


def _completion(given: RunInput, parameters: HybridParameters) -> Completion:
    """Do everything up to the placement."""
    found = mask_and_resolution(given, parameters)
    return completion_of(given, found.mask, found.resolution.d_min, parameters)[0]


def scale_case(
    folder: str,
    way: str,
    *,
    processes: int = 1,
    radius: float | None = None,
    mask_voxels: int | None = None,
) -> dict[str, float]:
    """Scale a case to its truth; the mask is where its density is strongest.

    Parameters
    ----------
    folder : str
    way : str
        Among WAYS.
    processes : int
    radius : float, optional
        Å; only so far from the centre.
    mask_voxels : int, optional
        Size of the mask; None: a tenth of the box.
    """
    case = Path(folder)
    observed = observe_halves(read_map(case / "half1.mrc"), read_map(case / "half2.mrc"))
    reference = read_map(case / "truth.mrc")
    mask = _strongest(observed.average, mask_voxels or observed.average.values.size // 10)
    if radius is not None:
        mask *= _ball(observed.average.grid, radius)
    resolution = float(json.loads((case / "case.json").read_text())["resolution"])
    return _timed_scaling(observed, reference, mask, resolution, way, processes)


def scale_box(
    box: int, way: str, processes: int = 1, executor: Executor | None = None
) -> dict[str, float]:
    """Scale noise with a little structure in a box of any size; a ball fills a quarter of it."""
    grid = Grid((box, box, box), (1.0, 1.0, 1.0))
    rng = np.random.default_rng(1)
    ball = _ball(grid, 0.39 * box)
    structure = ndimage.gaussian_filter(rng.standard_normal(grid.shape, dtype=np.float32), 1.2)
    structure *= ball
    halves = []
    for _ in range(2):
        noise = rng.standard_normal(grid.shape, dtype=np.float32)
        noise *= np.float32(structure.std())
        noise += structure
        halves.append(Map(noise, grid))
    observed = observe_halves(*halves)
    halves.clear()
    del noise
    return _timed_scaling(observed, Map(structure, grid), ball, 3.0, way, processes, executor)


def _timed_scaling(
    observed: ObservedMaps,
    reference: Map,
    mask: FloatArray,
    resolution: float,
    way: str,
    processes: int,
    executor: Executor | None = None,
) -> dict[str, float]:
    """Cost of `scale_map` on so many cores; the processes start before the clock does."""
    parameters = replace(HybridParameters(), **WAYS[way])
    with (
        tempfile.TemporaryDirectory() as scratch,
        scipy.fft.set_workers(processes),
        executor or local_executor(processes, found=lambda finding: None) as executor,
    ):
        executor.map(begin_to_work, Path(scratch), processes)
        wall, cpu = time.perf_counter(), cpu_seconds()
        scale_map(
            ScalingInput(observed, reference, mask, resolution, parameters),
            executor,
            Path(scratch),
            Progress(),
        )
        wall = time.perf_counter() - wall
    return {
        "wall_seconds": wall,
        "cpu_seconds": cpu_seconds() - cpu,
        "voxels": int((mask > 0.5).sum()),
        "peak_gib": peak_memory_gib(),
    }


def begin_to_work(folder: Path, index: int) -> None:
    """Wait until every process of an executor has a task."""
    (folder / f"begun-{index}").touch()
    time.sleep(0.5)


def _strongest(density: Map, count: int) -> FloatArray:
    """Mark so many voxels at which the smoothed density is strongest."""
    smooth = ndimage.gaussian_filter(density.values, 4 / density.grid.step, mode="wrap")
    level = np.partition(smooth.ravel(), -count)[-count]
    return (smooth >= level).astype(np.float32)


def _ball(grid: Grid, radius: float) -> FloatArray:
    """1 up to a radius in Å around the centre."""
    squares = [
        ((np.arange(n) - n // 2) * voxel) ** 2
        for n, voxel in zip(grid.shape, grid.voxel_size[::-1], strict=True)
    ]
    z, y, x = np.meshgrid(*squares, indexing="ij", sparse=True)
    return (z + y + x <= radius**2).astype(np.float32)


def gain_bias(folder: str, way: str, taper: str = "none") -> dict[str, float]:
    """Error of the logarithm of the gain on a noise-free map blurred by B = 90 Å²."""
    truth = read_map(Path(folder) / "truth.mrc")
    grid = truth.grid
    axes = [np.fft.fftfreq(n, grid.step) for n in grid.shape[:2]]
    axes.append(np.fft.rfftfreq(grid.shape[2], grid.step))
    s = np.sqrt(sum(a**2 for a in np.meshgrid(*axes, indexing="ij", sparse=True)))
    blurred = np.fft.irfftn(
        np.fft.rfftn(truth.values) * np.exp(-90 * s**2 / 4), grid.shape, axes=(0, 1, 2)
    ).astype(np.float32)
    blurred -= blurred[0, 0, 0]
    mask = _strongest(Map(blurred, grid), grid.size // 10)
    observed = ObservedMaps(Map(blurred, grid), None, None, "single")
    parameters = replace(HybridParameters(), **WAYS[way], taper=taper)
    scaling_input.CAP = None  # the error of the gain alone
    with local_executor(1, found=lambda finding: None) as executor:
        scaled = scale_map(
            ScalingInput(observed, truth, mask, 2.5, parameters), executor, Path(folder), Progress()
        )
    soft = ndimage.gaussian_filter(
        ndimage.binary_erosion(mask > 0.5, iterations=5).astype(np.float64), 2
    )
    shell = np.rint(s * max(grid.shape) * grid.step).astype(int).ravel()
    powers = []
    for values in (scaled.linear.values, truth.values):
        mean = (values * soft).sum() / soft.sum()
        spectrum = np.abs(np.fft.rfftn((values - mean) * soft)) ** 2
        powers.append(np.bincount(shell, spectrum.ravel()))
    ratio = 0.5 * np.log(powers[0] / powers[1])
    d = 1 / (np.arange(1, len(ratio)) / (max(grid.shape) * grid.step))
    return {
        f"{low:g}-{high:g} Å": float(np.mean(ratio[1:][(d <= low) & (d >= high)]))
        for low, high in ((10, 5), (5, 3.5), (3.5, 2.8), (2.8, 2.5))
    }
