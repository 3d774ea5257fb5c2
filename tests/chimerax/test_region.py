"""A region alone: which box a command means, and what comes of it."""

import numpy as np
import pytest


def model_of(session, spec):
    return next(model for model in session.models.list() if model.id_string == spec)


def region_of(run, command):
    """The corners that a run was asked for, Å in the frame of the map."""
    volume = run(command)
    return run(f"locscale info #{volume.id_string}")["parameters"]["region"]


def test_subregion_is_in_voxels_of_the_first_map(run, opened):
    """Origin 5, -7, 9 Å, voxels of 1.2 Å."""
    assert region_of(run, "locscale hybrid #1 #2 subregion 5,6,7,15,16,17") == pytest.approx(
        [11, 0.2, 17.4, 23, 12.2, 29.4]
    )


def test_shown_subregion_is_what_volume_shows(run, opened):
    run("volume #1 region 2,3,4,12,13,14")
    assert region_of(run, "locscale hybrid #1 #2 subregion shown") == pytest.approx(
        [7.4, -3.4, 13.8, 19.4, 8.6, 25.8]
    )


def test_zone_is_a_box_around_the_atoms_where_they_stand_in_the_map(session, run, opened):
    """The atoms of residues 2 and 3 have x 13.3 and 14.6, y 2 to 4.7 and z 20 Å."""
    expected = [10.3, -1, 17, 17.6, 7.7, 23]
    assert region_of(run, "locscale hybrid #1 #2 zone #3:2-3 range 3") == pytest.approx(expected)
    run("turn x 30 models #1-3; move 5,6,7 models #1-3")  # as one
    assert region_of(run, "locscale hybrid #1 #2 zone #3:2-3 range 3") == pytest.approx(
        expected, abs=1e-3
    )
    run("select #3:2-3")
    assert region_of(run, "locscale hybrid #1 #2 zone sel")[0] == pytest.approx(7.3)


@pytest.mark.parametrize("words", ["subregion 0,0,0,100,100,100", "zone #3 range 100"])
def test_box_beyond_the_map_is_told_as_what_of_it_is_there(run, opened, words):
    """28 x 24 x 20 voxels: the last is 27, 23 and 19 steps from the origin."""
    assert region_of(run, f"locscale hybrid #1 #2 {words}") == pytest.approx(
        [5, -7, 9, 37.4, 20.6, 31.8]
    )


def test_one_voxel_of_thickness_is_a_region(run, opened):
    low_x, _, low_z, high_x, _, high_z = region_of(
        run, "locscale hybrid #1 #2 subregion 5,6,7,15,16,7"
    )
    assert (low_x, high_x) == pytest.approx((11, 23)) and low_z < 17.4 < high_z


def test_level_encloses_what_the_input_encloses_in_the_region(session, run, opened):
    """The stand-in for the core doubles the map, so the level that encloses as much is known."""
    values = model_of(session, "1").full_matrix()[7:18, 6:17, 5:16]
    wanted = np.count_nonzero(values >= 3)
    result = run("locscale hybrid #1 #2 subregion 5,6,7,15,16,17")
    made = result.full_matrix()
    assert np.count_nonzero(made >= result.surfaces[0].level) == wanted


def test_update_keeps_the_region_until_the_whole_is_asked_for(session, run, opened):
    from chimerax.locscale.results.log_text import record_html
    from chimerax.locscale.results.manager import results

    result = run("locscale hybrid #1 #2 subregion 5,6,7,15,16,17")
    kept = results(session).of(result)
    assert kept.shell_line.count("--region 11.0 0.2 17.4 23.0 12.2 29.4") == 1
    html = record_html(kept)
    assert "x 11 to 23, y 0.2 to 12.2, z 17.4 to 29.4 Å" in html
    assert "cxcmd:locscale hybrid update #4 subregion all" in html
    assert region_of(run, "locscale hybrid update #4 window 30") is not None
    assert region_of(run, "locscale hybrid update #4 subregion all") is None


def test_panel_types_the_zone(session, opened, run):
    from chimerax.locscale.panel.logic import Choices, PanelLogic

    choices = Choices(
        map_1=model_of(session, "1"),
        map_2=model_of(session, "2"),
        options={"zone": "#3:2-3 | #3:5"},
    )
    command = PanelLogic(session, choices).command()
    assert command == "locscale hybrid #1 #2 zone #3:2-3 | #3:5"
    assert region_of(run, command) is not None


def test_library_of_restraints_reaches_the_core_and_is_remembered(session, run, opened, tmp_path):
    from chimerax.locscale.results.manager import results

    library = tmp_path / "monomers"
    library.mkdir()
    result = run(f'locscale hybrid #1 #2 model #3 refineCoordinates "{library}"')
    kept = results(session).of(result)
    assert kept.library == str(library)
    assert f"--refine_coordinates {library}" in kept.shell_line
    again = results(session).of(run("locscale hybrid update #4 window 30"))
    assert f"--refine_coordinates {library}" in again.shell_line
    assert type(again).from_state(again.as_state()).library == str(library)
