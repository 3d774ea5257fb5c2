"""Both placements at the same time: what they find does not depend on how they are run."""

import numpy as np
import pytest

from locscale_hybrid.completion.both_halves import place_both
from locscale_hybrid.completion.completion import Completion, place_pseudo_atoms
from locscale_hybrid.completion.region import Region
from locscale_hybrid.errors import Cancelled, StageError
from locscale_hybrid.inputs.half_maps import observe_halves
from locscale_hybrid.maps.grid import Map
from locscale_hybrid.model.hybrid_model import complete_assembly
from locscale_hybrid.model.structure import read_model
from locscale_hybrid.parallel.executors import ProcessExecutor, SerialExecutor
from locscale_hybrid.parameters import HybridParameters
from locscale_hybrid.refinement.setup import refinement_data
from locscale_hybrid.symmetry.operators import symmetry_of
from tests.synthetic import box_centre, half_maps, small_model

SHAPE, VOXEL, D_MIN = (32, 34, 36), 1.3, 3.6
SEED = 4


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Ten residues of which the model has six, under C2, and a ball around the others."""
    structure = small_model(10, centre=box_centre(SHAPE, VOXEL))
    first, second, _ = half_maps(structure, SHAPE, VOXEL, D_MIN, 3)
    observed = observe_halves(first, second)
    chain = structure[0][0]
    missing = np.array([atom.pos.tolist() for residue in list(chain)[6:] for atom in residue])
    while len(chain) > 6:
        del chain[len(chain) - 1]
    path = tmp_path_factory.mktemp("model") / "model.cif"
    structure.make_mmcif_document().write_file(str(path))
    grid = observed.average.grid
    assembly = complete_assembly(read_model(path), symmetry_of(grid, "C2"))
    index = np.indices(SHAPE).reshape(3, -1).T
    distance = np.linalg.norm(grid.position_of(index) - missing.mean(axis=0), axis=1)
    region = Region(grid, (distance < 6).reshape(SHAPE), 0.0, 0.05, 0.6)
    return Completion(
        assembly,
        refinement_data(observed, D_MIN),
        observed.kind,
        region,
        HybridParameters(seed=SEED, point_group="C2"),
    )


def place(case, executor, folder, progress=lambda done: None):
    observed = case.data.observed
    return place_both(case, observed.average, observed.half_1, executor, folder, progress)


def assert_same(one, other):
    for name in ("positions", "b_iso", "occupancies", "species", "operator", "mates"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_two_processes_place_the_same_atoms_as_one(case, tmp_path):
    alone = place(case, SerialExecutor(), tmp_path)
    told = []
    with ProcessExecutor(2) as executor:
        together = place(case, executor, tmp_path, told.append)
    assert_same(together.average, alone.average)
    assert_same(together.half_1, alone.half_1)
    assert together.average.is_pseudo.sum() > 20
    assert told[-1] == 1 and told == sorted(told)
    assert list(tmp_path.iterdir()) == []


def test_half_1_is_placed_without_a_look_at_half_2(case, tmp_path):
    observed = case.data.observed
    alone = place_pseudo_atoms(case, case.data.with_half(1), observed.half_1)
    pair = place(case, SerialExecutor(), tmp_path)
    np.testing.assert_array_equal(pair.half_1.positions, alone.positions)
    assert not np.array_equal(pair.half_1.positions, pair.average.positions)


def test_without_half_1_the_average_alone_is_placed(case, tmp_path):
    pair = place_both(case, case.data.observed.average, None, SerialExecutor(), tmp_path)
    assert pair.half_1 is None and pair.average.is_pseudo.any()


class Two(SerialExecutor):
    """Runs tasks here, as an executor of two would have them run."""

    workers = 2


def test_files_go_when_the_run_is_stopped(case, tmp_path):
    def stop(done):
        raise Cancelled("the run was stopped")

    with pytest.raises(Cancelled, match="was stopped"):
        place(case, Two(), tmp_path, stop)
    assert list(tmp_path.iterdir()) == []


def test_no_room_for_the_files_is_one_sentence(case, tmp_path, monkeypatch):
    def full(path, values):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("locscale_hybrid.parallel.shared_arrays.np.save", full)
    with pytest.raises(StageError, match=r"a file of .* MB cannot be written .*Make room"):
        place(case, Two(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_map_of_a_side_is_mapped_not_copied(case, tmp_path):
    from locscale_hybrid.parallel.shared_arrays import load_value, save_value

    density = case.data.observed.average
    save_value(tmp_path, "side", density)
    values = load_value(Map, tmp_path, "side").values
    assert isinstance(values, np.memmap)
    np.testing.assert_array_equal(values, density.values)
