"""The first look at a result: its contour level, what is hidden, what the log says of it.

Maps and core are stand-ins, unless a test says otherwise.
"""

import json

import numpy as np
import pytest
from chimerax_core import process_events
from helpers import model_of


def record_of(session, volume):
    from chimerax.locscale.results.manager import results

    return results(session).of(volume)


def record_file(path, **changes):
    """A record of 1000 atoms in 200,000 Å³, with voxels of 1.2 Å."""
    record = {
        "hybrid_model": {"model_atoms": 600, "copied_atoms": 0, "pseudo_atoms": 400},
        "mask": {"volume_cubic_angstrom": 200_000.0},
        "observed": {"voxel_size_angstrom": [1.2, 1.2, 1.2]},
        "resolution": {"d_min_angstrom": 3.0},
        "parameters": {},
        **changes,
    }
    path.write_text(json.dumps(record))
    return str(path)


def test_level_encloses_the_atoms_where_chimerax_has_chosen_that_of_the_input(
    chimerax_session, tmp_path
):
    from chimerax.locscale.results.opening import voxels_of_atoms

    voxel = 1.2**3
    assert voxels_of_atoms(record_file(tmp_path / "a.json"), 10**6) == int(8000 / voxel)
    coarse = record_file(tmp_path / "b.json", resolution={"d_min_angstrom": 9.0})
    assert voxels_of_atoms(coarse, 10**6) == int(16_000 / voxel)
    small = record_file(tmp_path / "c.json", mask={"volume_cubic_angstrom": 10_000.0})
    assert voxels_of_atoms(small, 10**6) == int(6000 / voxel), "no more than most of the mask"
    region = record_file(tmp_path / "d.json", parameters={"region": [0, 0, 0, 9, 9, 9]})
    assert voxels_of_atoms(region, 10**6) is None, "how many atoms are in it is unknown"
    assert voxels_of_atoms(None, 10**6) is None


@pytest.mark.parametrize(("share", "is_default"), [(0.01, True), (0.03, False), (0.001, False)])
def test_level_that_encloses_a_hundredth_is_that_of_chimerax(chimerax_session, share, is_default):
    from chimerax.locscale.results.opening import has_default_level

    assert has_default_level(int(share * 10**6), 10**6) is is_default
    assert not has_default_level(None, 10**6)


def first_look(session, run, tmp_path, monkeypatch, command):
    """Levels of the input and the result, as numbers of voxels that they enclose."""
    from chimerax.locscale.results import opening

    monkeypatch.setattr(opening, "voxels_of_atoms", lambda path, size: 900)
    result = run(command)
    return [
        int(np.count_nonzero(volume.full_matrix() >= volume.minimum_surface_level))
        for volume in (model_of(session, "1"), result)
    ]


def test_untouched_level_is_chosen_for_result_and_full_map_alike(
    session, run, opened, tmp_path, monkeypatch
):
    first = model_of(session, "1")
    (level,), _ = first.initial_surface_levels()
    run(f"volume #1 level {level}")
    enclosed = first_look(session, run, tmp_path, monkeypatch, "locscale hybrid #1")
    assert enclosed == [900, 900]


def test_level_that_the_user_has_set_is_followed(session, run, opened, tmp_path, monkeypatch):
    one, other = first_look(session, run, tmp_path, monkeypatch, "locscale hybrid #1")
    assert one == other != 900


def test_older_results_of_the_same_maps_are_hidden(session, run, opened):
    first = run("locscale hybrid #1 #2")
    other = run("locscale hybrid #1")
    assert first.display and other.display
    second = run("locscale hybrid #1 #2 window 30")
    assert second.display and not first.display and other.display


def test_shell_line_says_when_the_model_was_edited_before_the_run(session, run, opened):
    plain = record_of(session, run("locscale hybrid #1 #2 model #3"))
    assert plain.shell_needs == ""
    run("delete #3:6")
    edited = record_of(session, run("locscale hybrid #1 #2 model #3"))
    assert edited.shell_needs == "once the edited model is saved"
    model_of(session, "3").atoms.coords += 0.5
    moved = record_of(session, run("locscale hybrid #1 #2 model #3"))
    assert moved.shell_needs == "once the edited model is saved"


def test_note_without_use_is_left_out_and_the_map_is_named_once(session, run, opened):
    """A pool in place of MPI gives the same result; the fake core says both."""
    from chimerax.locscale.job.job import LocScaleJob

    job = run("locscale hybrid #1 #2 wait false")
    assert isinstance(job, LocScaleJob)
    assert process_events(session, lambda: job.ended)
    text = session.log.text()
    assert "LocScale: #1 half1.mrc looks sharpened" in text
    assert "mpi4py" not in text and "mpi4py" not in str(record_of(session, job.result).record)


def test_table_has_the_time_taken(session, run, opened):
    from chimerax.locscale.results.log_text import record_html

    kept = record_of(session, run("locscale hybrid #1 #2"))
    assert "<td>time</td>" not in record_html(kept)
    kept.seconds = 65.0
    assert "<tr><td>time</td><td>1 min 5 s</td></tr>" in record_html(kept)


def test_restored_session_has_no_links_to_files_that_went_with_it(session, run, opened, tmp_path):
    run("locscale hybrid #1 #2")
    run(f'locscale hybrid #1 #2 window 30 name kept saveTo "{tmp_path / "out"}"')
    run(f'save "{tmp_path / "state.cxs"}"')
    run(f'open "{tmp_path / "state.cxs"}"')
    from chimerax.locscale.results.manager import results

    gone, kept = results(session).records
    assert gone.files == {} and kept.files["folder"] == str(tmp_path / "out")
