"""What is on screen is what is computed; the result lies over the first map."""

import os
from pathlib import Path

import gemmi
import numpy as np
import pytest
from helpers import write_map, write_model


def volumes(session):
    from chimerax.map import Volume

    return [model for model in session.models.list() if isinstance(model, Volume)]


def written(job_or_folder, name):
    """Values, voxel size and origin of an input file of a run."""
    from locscale_hybrid.maps.mrc import read_map

    volume = read_map(job_or_folder / name)
    return volume.values, volume.grid


@pytest.fixture
def handed(session):
    """Write what the session hands over to a folder; returns files and enclosed voxels."""

    def write(folder, *maps, model=None, **more):
        from chimerax.locscale.scene.handover import hand_over

        folder.mkdir(exist_ok=True)
        atoms = None if model is None else model.atoms
        return hand_over(list(maps), atoms=atoms, **more).write(folder)

    return write


def positions(path):
    """Positions in the order of the atom numbers."""
    atoms = sorted(gemmi.read_structure(str(path))[0].all(), key=lambda found: found.atom.serial)
    return np.array([found.atom.pos.tolist() for found in atoms])


def test_all_of_a_map_is_written_whatever_is_shown(session, run, opened, handed, tmp_path):
    run("volume #1 step 2 region 2,2,2,9,9,9")
    first, second = volumes(session)
    files, _ = handed(tmp_path / "in", first, second)
    values, grid = written(tmp_path / "in", "#1 half1.mrc")
    assert files["half_map_1"].endswith("#1 half1.mrc")
    assert values.shape == (20, 24, 28)
    assert np.array_equal(values, first.full_matrix())
    assert np.allclose(grid.origin, (5, -7, 9)) and np.allclose(grid.voxel_size, 1.2)


def test_unsaved_copies_are_computed_as_they_are(session, run, opened, handed, tmp_path):
    run("volume copy #1")
    copy = volumes(session)[-1]
    copy.data.array[:] *= 3
    files, _ = handed(tmp_path / "in", copy)
    values, _ = written(tmp_path / "in", "#4 half1.mrc copy.mrc")
    assert list(files) == ["full_map"]
    assert np.array_equal(values, 3 * volumes(session)[0].full_matrix())


def test_model_is_written_where_it_stands_in_the_frame_of_the_map(
    session, run, opened, handed, tmp_path
):
    first, second = volumes(session)
    model = session.models.list()[-1]
    before = np.array(model.atoms.coords)
    run("turn y 33 models #1-3; move x 12.3456789 models #1-3")  # together: nothing changes
    handed(tmp_path / "in", first, second, model=model)
    assert np.abs(positions(tmp_path / "in" / "model.cif") - before).max() < 2e-6
    run("move 1.23456,2,3 models #3 coordinateSystem #1")
    handed(tmp_path / "in", first, second, model=model)
    moved = positions(tmp_path / "in" / "model.cif") - before
    assert np.abs(moved - (1.23456, 2, 3)).max() < 2e-6


def test_position_is_finer_than_the_three_decimals_of_pdb(session, run, opened, handed, tmp_path):
    model = session.models.list()[-1]
    model.atoms.coords = np.array(model.atoms.coords) + 0.0001234
    handed(tmp_path / "in", volumes(session)[0], model=model)
    assert (
        np.abs(positions(tmp_path / "in" / "model.cif") - np.array(model.atoms.coords)).max() < 1e-6
    )


def test_alternate_locations_keep_their_occupancies(session, run, handed, tmp_path):
    path = tmp_path / "alt.pdb"
    write_model(path, residues=1)
    lines = []
    for line in path.read_text().splitlines():
        if line[12:16].strip() == "CA":
            lines.append(line[:16] + "A" + line[17:54] + "  0.70" + line[60:])
            lines.append(
                line[:16] + "B" + line[17:30] + "  20.000" + line[38:54] + "  0.30" + line[60:]
            )
        else:
            lines.append(line)
    path.write_text("\n".join(lines))
    run(f'open "{path}"')
    run("open " + write_map(tmp_path / "map.mrc"))
    model = session.models.list()[0]
    handed(tmp_path / "in", volumes(session)[0], model=model)
    residue = gemmi.read_structure(str(tmp_path / "in" / "model.cif"))[0][0][0]
    pair = [(atom.altloc, round(atom.occ, 5), atom.pos.x) for atom in residue if atom.name == "CA"]
    assert pair == [("A", 0.7, 12.0), ("B", 0.3, 20.0)]


def test_structures_with_the_same_chain_are_told_apart(session, run, opened, handed, tmp_path):
    run("open " + write_model(tmp_path / "other.cif", start=(14, 12, 24)))
    from chimerax.atomic import AtomicStructure, concatenate

    models = [model for model in session.models.list() if isinstance(model, AtomicStructure)]
    from chimerax.locscale.scene.handover import hand_over

    (tmp_path / "in").mkdir()
    hand_over([volumes(session)[0]], atoms=concatenate([model.atoms for model in models])).write(
        tmp_path / "in"
    )
    chains = gemmi.read_structure(str(tmp_path / "in" / "model.cif"))[0]
    assert [chain.name for chain in chains] == ["A", "A-2"]
    assert [chain.count_atom_sites() for chain in chains] == [24, 24]


def test_second_half_on_another_grid_shows_both_and_the_remedy(run, refused, opened, tmp_path):
    run("open " + write_map(tmp_path / "small.mrc", shape=(20, 24, 20)))
    text = refused("locscale hybrid #1 #4")
    assert "the second half map is not on the grid of the first map" in text
    assert "#1 half1.mrc has 28 x 24 x 20 voxels of 1.2, 1.2, 1.2 Å with origin 5, -7, 9 Å" in text
    assert "#4 small.mrc has 20 x 24 x 20 voxels" in text
    assert "volume resample #4 onGrid #1" in text


def test_second_half_moved_in_the_scene_is_refused_with_its_shift(run, refused, opened):
    run("move x 2.5 models #2")
    text = refused("locscale hybrid #1 #2")
    assert "2.5 Å apart in the scene" in text and "volume resample #2 onGrid #1" in text


def test_remedy_of_a_moved_half_map_works(session, run, opened):
    run("move x 2.4 models #2")  # two voxels
    run("volume resample #2 onGrid #1")
    assert run("locscale hybrid #1 #4").name == "half1.mrc LocScale"


def test_mask_on_another_grid_is_refused(run, refused, opened, tmp_path):
    run("open " + write_map(tmp_path / "mask.mrc", origin=(0, 0, 1)))
    assert "the mask is not on the grid of the first map" in refused(
        "locscale hybrid #1 #2 mask #4"
    )


def test_skewed_map_is_refused_with_its_angles(session, run, refused, opened):
    volumes(session)[0].data.set_cell_angles((90, 100, 90))
    assert "cell angles 90, 100, 90" in refused("locscale hybrid #1")


def test_rotated_grid_is_computed_in_its_own_frame(session, run, opened, handed, tmp_path):
    """A grid turned by 90 degrees about z, and a model turned with it."""
    first = volumes(session)[0]
    model = session.models.list()[-1]
    before = np.array(model.atoms.coords)
    turn = np.array(((0.0, -1, 0), (1, 0, 0), (0, 0, 1)))
    first.data.set_rotation(turn)
    origin = np.array(first.data.origin)
    model.atoms.coords = (before - origin) @ turn.T + origin
    handed(tmp_path / "in", first, model=model)
    _, grid = written(tmp_path / "in", "#1 half1.mrc")
    assert np.allclose(grid.origin, origin)
    assert np.abs(positions(tmp_path / "in" / "model.cif") - before).max() < 1e-5


def test_result_stands_on_the_first_map(session, run, opened):
    run("turn x 40 models #1-3; move z 7 models #1-3; volume #1 color tan step 2")
    first = volumes(session)[0]
    result = run("locscale hybrid #1 #2 model #3")
    assert result.data.size == first.data.size
    assert result.data.origin == first.data.origin and result.data.step == first.data.step
    assert result.scene_position.same(first.scene_position)
    assert result.region[2] == [2, 2, 2]
    assert not first.display and not volumes(session)[1].display and result.display


def test_result_encloses_the_same_volume(session, run, opened):
    run("volume #1 level 4.5")
    first = volumes(session)[0]
    result = run("locscale hybrid #1 #2")
    (level,) = (surface.level for surface in result.surfaces)
    assert (result.full_matrix() >= level).sum() == (first.full_matrix() >= 4.5).sum()


def test_inputs_are_not_changed(session, run, opened):
    before = [np.array(volume.full_matrix()) for volume in volumes(session)]
    run("locscale hybrid #1 #2 model #3")
    for volume, values in zip(volumes(session), before, strict=False):
        assert np.array_equal(volume.full_matrix(), values)


def test_rounding_of_a_session_file_makes_no_other_model(chimerax_session, tmp_path):
    from chimerax.locscale.scene.mmcif import is_same_model

    first, other = tmp_path / "a.cif", tmp_path / "b.cif"
    atom = "ATOM 1 N N . LEU A ? . ? {} 38.017928200 27.9 1.000000 58.115101 1 A 1\n"
    first.write_text(atom.format("40.300302300"))
    for place, same in (("40.300300598", True), ("40.301302300", False), ("nan", False)):
        other.write_text(atom.format(place))
        assert is_same_model(first, other) is same
    other.write_text(2 * atom.format("40.300302300"))
    assert not is_same_model(first, other)
    other.write_text(atom.format("40.300302300").replace("LEU", "ILE"))
    assert not is_same_model(first, other)


def test_group_of_two_maps_counts_as_two(session, run, tmp_path, fake_core):
    run("open " + write_map(tmp_path / "h1.mrc") + " " + write_map(tmp_path / "h2.mrc", seed=2))
    result = run("locscale hybrid #1")
    assert result.name == "h1.mrc LocScale"
    assert [volume.id_string for volume in volumes(session)][:2] == ["1.1", "1.2"]


def test_name_and_folder_can_be_given(run, opened, tmp_path):
    result = run(f'locscale hybrid #1 name "my map" saveTo "{tmp_path / "kept"}"')
    assert result.name == "my map"
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "my_map.json",
        "my_map.mrc",
        "my_map_linear.mrc",
    ]


def test_outputs_are_opened_hidden(session, run, opened):
    run("locscale hybrid #1 #2 outputs linear")
    linear = volumes(session)[-1]
    assert linear.name == "half1.mrc LocScale, linear" and not linear.display
    assert np.array_equal(linear.full_matrix(), volumes(session)[0].full_matrix() / 2)


def test_unicode_and_spaces_in_names(session, run, tmp_path, fake_core):
    folder = tmp_path / "Größe & Maß"
    folder.mkdir()
    run("open " + write_map(folder / "hälfte 1.mrc"))
    assert run(f'locscale hybrid #1 saveTo "{folder / "aus"}"').name == "hälfte 1.mrc LocScale"


NAMES = [
    "a" * 240,
    "密" * 90,
    "密" * 39 + "é" * 20,
    "🧬" * 80,
    "🧬 map",
    "a/b\\c:d*?",
    "../../etc",
    "line\nbreak\ttab\x07bell",
    ".",
    "..",
    "",
    "  ",
    "x.mrc/",
    "é" * 200 + ".mrc",
    "a" * 200 + ".MRC",
]


@pytest.mark.parametrize("name", NAMES)
def test_models_of_any_name_are_handed_over(session, run, opened, handed, tmp_path, name):
    for model in session.models.list():
        model.name = name
    structure = next(model for model in session.models.list() if hasattr(model, "atoms"))
    files, _ = handed(tmp_path / "in", *volumes(session), model=structure, model_name=f"#3 {name}")
    inputs = [Path(path).name for path in files.values()]
    assert [file[:2] for file in inputs] == ["#1", "#2", "#3"]
    assert_sane(inputs)
    assert len(list((tmp_path / "in").iterdir())) == 3


@pytest.mark.parametrize("name", NAMES)
def test_result_of_a_map_of_any_name_is_saved(session, run, opened, tmp_path, name):
    for model in session.models.list():
        model.name = name
    result = run(f'locscale hybrid #1 #2 model #3 saveTo "{tmp_path / "out"}"')
    saved = [path.name for path in (tmp_path / "out").iterdir()]
    assert len(saved) == 3  # the map, the linear map, the record
    assert_sane(saved)
    assert not result.deleted


def assert_sane(files):
    """Names that file systems take, encrypted ones too, with the longest ending of a result."""
    longest = max(len(os.fsencode(file)) for file in files)
    assert longest <= 143 - len("_sharpened_half1") + len("_linear")
    assert all(file.isprintable() for file in files)
