"""The real program on a small simulated case: the same files however it runs."""

import pytest

from locscale_hybrid.maps.mrc import write_map
from tests.synthetic import box_centre, half_maps, small_model

SHAPE, VOXEL, RESOLUTION = (44, 48, 46), 1.3, 3.4
WRITTEN = ("out.mrc", "out_linear.mrc", "out_gain.mrc")


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Simulated: 60 residues in the maps, 40 of them in the model."""
    folder = tmp_path_factory.mktemp("case é")
    structure = small_model(60, centre=box_centre(SHAPE, VOXEL, (0.0, 0.0, 0.0)))
    first, second, _ = half_maps(structure, SHAPE, VOXEL, RESOLUTION, 7)
    write_map(folder / "half1.mrc", first)
    write_map(folder / "half2.mrc", second)
    chain = structure[0][0]
    while len(chain) > 40:
        del chain[len(chain) - 1]
    structure.make_mmcif_document().write_file(str(folder / "model.cif"))
    return folder


def written(mpi, case, folder, *words, launcher=()):
    folder.mkdir()
    code, _, errors = mpi.run(
        *launcher,
        mpi.python,
        "-m",
        "locscale_hybrid",
        "-hm",
        case / "half1.mrc",
        case / "half2.mrc",
        "-mc",
        case / "model.cif",
        "--complete_model",
        "-res",
        RESOLUTION,
        "--outputs",
        "gain",
        "-o",
        folder / "out.mrc",
        *words,
    )
    assert (code, errors) == (0, "")
    return {name: (folder / name).read_bytes() for name in WRITTEN if (folder / name).exists()}


def test_whole_run_has_the_same_bytes(mpi, case, tmp_path):
    serial = written(mpi, case, tmp_path / "serial", "-np", 1)
    assert {"out.mrc", "out_linear.mrc"} <= set(serial)
    assert written(mpi, case, tmp_path / "ranks", "-np", 3) == serial
    assert written(mpi, case, tmp_path / "world", "-mpi", launcher=(mpi.mpirun, "-np", 2)) == serial
