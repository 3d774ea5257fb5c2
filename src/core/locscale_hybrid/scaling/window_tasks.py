"""The work on windows: profiles in tasks of fixed batches, then gains and the sum over shells."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..fourier.space import FourierSpace
from ..maps.grid import BoolArray, FloatArray, Grid, IntArray
from ..parallel.shared_arrays import load_value, save_array, save_value, shared_array
from ..parallel.tasks import Executor, Report
from .gains import BandGain, BandPower, GainRules, Modes, local_gain, low_gain, number_of_low_bands
from .windows import (
    BATCH,
    LatticeField,
    ShellComponents,
    lattice_points,
    padded,
    profiles_at,
    window_tables,
)

_PLAN = "windows"
TASK_WINDOWS = 16 * BATCH  # windows per task
NEXT_SHELLS = 3  # that the gain of the coarsest is taken from


@dataclass(frozen=True)
class WindowOptions:
    """Size and spacing of the windows.

    Parameters
    ----------
    edge : int
        Voxels, odd.
    stride : int
        Voxels between windows.
    taper : {"none", "hann"}
    rules : GainRules
    """

    edge: int
    stride: int
    taper: str
    rules: GainRules


@dataclass(frozen=True, eq=False)
class WindowGains:
    """Gains of the shells at the window centres.

    Parameters
    ----------
    points : array of int, shape (m, 3)
    values : array, shape (n_shells, m)
        The gain of every shell.
    gains : dict of int to BandGain
        Of the shells from 12 Å on.
    n_low : int
        Shells that are coarser.
    """

    points: IntArray
    values: FloatArray
    gains: dict[int, BandGain]
    n_low: int


def measure_windows(
    observed: FloatArray,
    reference: FloatArray,
    region: BoolArray,
    options: WindowOptions,
    executor: Executor,
    folder: Path,
    report: Report,
) -> tuple[IntArray, FloatArray]:
    """Profiles of the observed map and the reference around every point of a region.

    Parameters
    ----------
    observed, reference : arrays, shape (nz, ny, nx)
        A box that repeats itself.
    region : array of bool
    options : WindowOptions
    executor : Executor
    folder : Path
        For the files of an executor with several workers.
    report : callable

    Returns
    -------
    points : array of int, shape (m, 3)
    profiles : array, shape (m, 2, n_shells)
    """
    points = lattice_points(region, options.stride)
    maps = [padded(values, options.edge, options.stride) for values in (observed, reference)]
    n_tasks = -(-len(points) // TASK_WINDOWS)
    shape = (len(points), 2, options.edge // 2 + 1)
    if executor.workers == 1:
        result = np.empty(shape, dtype=np.float32)
        for index in range(n_tasks):
            _measure(maps, points, result, options.edge, options.taper, index)
            report((index + 1) / n_tasks)
        return points, result
    for name, values in zip(("observed", "reference"), maps, strict=True):
        save_array(folder / f"window_{name}.npy", values)
    save_array(folder / "window_points.npy", points)
    result = shared_array(folder / "slot_profiles.npy", shape)
    save_value(folder, _PLAN, options)
    executor.map(measure_windows_task, folder, n_tasks, progress=report)
    return points, result


def measure_windows_task(folder: Path, index: int) -> None:
    """Write the profiles of one task into their rows."""
    options = load_value(WindowOptions, folder, _PLAN)
    maps = [
        np.load(folder / f"window_{name}.npy", mmap_mode="r") for name in ("observed", "reference")
    ]
    points = np.load(folder / "window_points.npy", mmap_mode="r")
    result = np.load(folder / "slot_profiles.npy", mmap_mode="r+")
    _measure(maps, points, result, options.edge, options.taper, index)
    result.flush()


def _measure(
    maps: list[FloatArray], points: IntArray, result: FloatArray, edge: int, taper: str, index: int
) -> None:
    """Fill in the rows of a task."""
    tables = window_tables(edge, taper)
    rows = slice(index * TASK_WINDOWS, (index + 1) * TASK_WINDOWS)
    for column, volume in enumerate(maps):
        result[rows, column] = profiles_at(volume, np.asarray(points[rows]), tables)


def window_gains(
    points: IntArray, measured: FloatArray, window: float, rules: GainRules
) -> WindowGains:
    """Gains from the profiles, with the rules that bands follow too.

    Parameters
    ----------
    points : array, shape (m, 3)
    measured : array, shape (m, 2, n_shells)
    window : float
        Edge, Å.
    rules : GainRules
    """
    n_shells = measured.shape[2]
    n_low = number_of_low_bands(window, n_shells)
    everywhere = np.ones(len(points), dtype=np.float32)
    gains: dict[int, BandGain] = {}
    for shell in range(n_low, n_shells):
        power = BandPower(np.square(measured[:, 0, shell]), np.square(measured[:, 1, shell]))
        gains[shell] = local_gain(power, everywhere, Modes(1.0, 1.0), rules)
    next_shells = list(range(n_low, min(n_low + NEXT_SHELLS, n_shells)))
    low = low_gain(next_shells, [gains[shell] for shell in next_shells])
    curve = low.curve(np.arange(n_low, dtype=np.float32))
    values = np.stack(
        [low.factor * factor for factor in curve]
        + [gains[shell].ratio for shell in range(n_low, n_shells)]
    )
    return WindowGains(points, values.astype(np.float32), gains, n_low)


def apply_gains(
    maps: FloatArray,
    grid: Grid,
    gains: WindowGains,
    options: WindowOptions,
    weight_of: Callable[[int], FloatArray] | None,
    report: Report,
) -> FloatArray:
    """Sum over shells of gain times component.

    Parameters
    ----------
    maps : array, shape (n, nz, ny, nx)
        What is scaled, a box that repeats itself.
    grid : Grid
    gains : WindowGains
    options : WindowOptions
    weight_of : callable, optional
        Noise weight of a shell at every voxel.
    report : callable

    Returns
    -------
    array, shape (n, nz, ny, nx)
        Meaningful at the voxels between the points.
    """
    space = FourierSpace(grid)
    components = ShellComponents(grid.shape, options.edge, options.taper)
    field = LatticeField(grid.shape, gains.points, options.stride)
    coefficients = [space.forward(values) for values in maps]
    total = np.zeros_like(maps)
    n_shells = len(gains.values)
    for shell in range(n_shells):
        transfer = components.transfer(np.eye(n_shells)[shell])
        gain = field.spread(gains.values[shell])
        if weight_of is not None:
            gain = gain * weight_of(shell)
        for row, spectrum in enumerate(coefficients):
            total[row] += gain * components.of(spectrum, transfer)
        report((shell + 1) / n_shells)
    return total
