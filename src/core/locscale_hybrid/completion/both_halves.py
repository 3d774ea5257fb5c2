"""The two placements of pseudo-atoms, on the average and on half map 1, at the same time.

Neither needs anything of the other.  With one process they run one after the other in memory;
with more each is a task, which maps its data from files.  Both ways call the same function on the
same arrays, so the bytes are the same.
"""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..fourier.resolution_range import Band
from ..inputs.half_maps import ObservedMaps
from ..maps.grid import ComplexArray, DoubleArray, FloatArray, Grid, Map
from ..model.hybrid_model import HybridModel
from ..model.placed_atoms import PlacedAtoms
from ..parallel.shared_arrays import load_value, save_value, shared_array
from ..parallel.tasks import Executor, Report
from ..parameters import HybridParameters
from ..refinement.likelihood import COARSEST, RefinementData, Target
from ..symmetry.operators import Symmetry
from .completion import Completion, place_pseudo_atoms
from .region import Region

_PATIENCE_ALWAYS = 600.0  # s
_PATIENCE_PER_ATOM = 0.5  # s; a hundred times what an atom takes
_PATIENCE_PER_VOXEL = 1e-4
_COMMON, _SIDE, _PLACED, _DONE = "placement", "placement_side", "placed", "slot_done.npy"


@dataclass(frozen=True, eq=False)
class PlacedPair:
    """What was placed on the average, and on half map 1 alone.

    Parameters
    ----------
    average : PlacedAtoms
    half_1 : PlacedAtoms, optional
        None where nothing is to be validated.
    """

    average: PlacedAtoms
    half_1: PlacedAtoms | None

    def fits(self, assembly: HybridModel, validated: bool) -> bool:
        """Test whether both can be the atoms of an assembly, and both exist if it is validated."""
        both = [self.average] if self.half_1 is None else [self.average, self.half_1]
        return len(both) == 1 + validated and all(atoms.fits(assembly) for atoms in both)


@dataclass(frozen=True, eq=False)
class _Common:
    """What both placements start from."""

    atoms: PlacedAtoms
    symmetry: Symmetry | None
    region: Region | None
    grid: Grid
    working_grid: Grid
    d_min: float
    seed: int


@dataclass(frozen=True, eq=False)
class _Side:
    """A map, and its coefficients as target."""

    density: Map
    observed: ComplexArray
    noise: DoubleArray


def place_both(
    completion: Completion,
    average: Map,
    half_1: Map | None,
    executor: Executor,
    folder: Path,
    progress: Report = lambda done: None,
) -> PlacedPair:
    """Place pseudo-atoms on the average and, to validate them, on half map 1 alone.

    Parameters
    ----------
    completion : Completion
    average : Map
    half_1 : Map, optional
        None: nothing is validated.
    executor : Executor
        With more than one worker the two run at the same time.
    folder : Path
        For the files of the tasks; every worker must see it.
    progress : callable
        Told the share that is done.

    Raises
    ------
    StageError
        If a process fails, or the folder has no room.
    """
    targets = [completion.data.average]
    densities = [average]
    if half_1 is not None:
        targets.append(completion.data.with_half(1))
        densities.append(half_1)
    if executor.workers > 1 and len(targets) > 1:
        return _by_tasks(
            completion, list(zip(targets, densities, strict=True)), executor, folder, progress
        )
    placed = []
    for number, (target, density) in enumerate(zip(targets, densities, strict=True)):
        told = _part(progress, number, len(targets))
        placed.append(PlacedAtoms.of(place_pseudo_atoms(completion, target, density, told)))
    return PlacedPair(placed[0], placed[1] if len(placed) > 1 else None)


def _by_tasks(
    completion: Completion,
    sides: list[tuple[Target, Map]],
    executor: Executor,
    folder: Path,
    progress: Report,
) -> PlacedPair:
    """Place on every side in a task of its own."""
    assembly, data = completion.assembly, completion.data
    place = Path(tempfile.mkdtemp(prefix="placement-", dir=folder))
    try:
        save_value(
            place,
            _COMMON,
            _Common(
                PlacedAtoms.of(assembly),
                assembly.symmetry,
                completion.region,
                data.observed.average.grid,
                data.grid,
                data.d_min,
                completion.parameters.seed,
            ),
        )
        for number, (target, density) in enumerate(sides):
            save_value(place, f"{_SIDE}{number}", _Side(density, target.observed, target.noise))
        done = shared_array(place / _DONE, (len(sides),))
        n_atoms = len(assembly) + (completion.region.n_atoms if completion.region else 0)
        patience = (
            _PATIENCE_ALWAYS + _PATIENCE_PER_ATOM * n_atoms + _PATIENCE_PER_VOXEL * data.grid.size
        )
        executor.map(
            place_task, place, len(sides), patience=patience, progress=_mean_of(done, progress)
        )
        # copied: the files go
        average, half_1 = (
            load_value(PlacedAtoms, place, f"{_PLACED}{n}").copied() for n in range(len(sides))
        )
    finally:
        shutil.rmtree(place, ignore_errors=True)
    progress(1.0)
    return PlacedPair(average, half_1)


def place_task(folder: Path, index: int) -> None:
    """Place pseudo-atoms on one side."""
    common = load_value(_Common, folder, _COMMON)
    side = load_value(_Side, folder, f"{_SIDE}{index}")
    band = Band(common.grid, common.d_min, COARSEST)
    target = Target(band, side.observed, side.noise)
    data = RefinementData(
        ObservedMaps(side.density, None, None, "single"),
        common.working_grid,
        target,
        None,
        None,
        common.d_min,
    )
    assembly = common.atoms.as_hybrid(common.symmetry)
    completion = Completion(
        assembly, data, "single", common.region, HybridParameters(seed=common.seed)
    )
    done = np.load(folder / _DONE, mmap_mode="r+")

    def tell(share: float) -> None:
        """Write how far this side is."""
        done[index] = share

    hybrid = place_pseudo_atoms(completion, target, side.density, tell)
    save_value(folder, f"{_PLACED}{index}", PlacedAtoms.of(hybrid))


def _mean_of(done: FloatArray, progress: Report) -> Report:
    """Tells how far all sides are, whatever share of the tasks has ended."""
    return lambda ended: progress(max(ended, float(done.mean())))


def _part(progress: Report, number: int, of: int) -> Report:
    """Map 0..1 of one side onto its part of all."""
    return lambda done: progress((number + done) / of)
