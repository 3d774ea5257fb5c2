"""A result knows how it was made: in this session, in the next one, and when it is updated."""

import numpy as np
from helpers import write_model


def record_of(session, volume):
    from chimerax.locscale.results.manager import results

    return results(session).of(volume)


def test_log_holds_inputs_shell_line_and_links(session, run, opened):
    from chimerax.locscale.results.log_text import record_html

    result = run("locscale hybrid #1 #2 model #3 sym D2 window 30")
    html = record_html(record_of(session, result))
    assert "half map 1 #1 half1.mrc, half map 2 #2 half2.mrc, model #3 model.pdb" in html
    assert "cxcmd:locscale hybrid update #4" in html
    shell = record_of(session, result).shell_line
    assert shell.startswith("locscale -hm ") and "half1.mrc" in shell and " -mc " in shell
    assert "--complete_model" in shell and "-sym D2" in shell and "--print_report" in shell
    assert "--window 30.0" in shell


def test_shell_line_says_what_has_to_be_saved_for_it(session, run, opened):
    """Files of the run itself go with it, so that their paths would help nobody."""
    from chimerax.locscale.results.log_text import record_html

    result = run("locscale hybrid #1 #2 model #3")
    assert "In a shell: <code>locscale -hm " in record_html(record_of(session, result))
    run("volume copy #1")
    copy = next(model for model in session.models.list() if model.name == "half1.mrc copy")
    kept = record_of(session, run(f"locscale hybrid #{copy.id_string}"))
    assert (
        "In a shell, once what has no path there is saved under that name: <code>locscale "
        f"-em {chr(39)}#{copy.id_string} half1.mrc copy.mrc{chr(39)}".replace("'", "&#x27;")
        in record_html(kept)
    )
    assert "locscale-" not in kept.shell_line


def test_input_that_was_closed_is_told_by_its_name_alone(session, run, opened, fake_core):
    """The result may get its number."""
    from chimerax.locscale.results.log_text import record_html
    from chimerax_core import process_events

    job = run("locscale hybrid #1 #2 model #3 wait false")
    run("close #1")
    assert process_events(session, lambda: job.ended)
    assert job.result.id_string == "1"
    html = record_html(record_of(session, job.result))
    assert "half map 1 half1.mrc (closed), half map 2 #2 half2.mrc, model #3 model.pdb" in html
    run("close #3")
    assert "model model.pdb (closed)" in record_html(record_of(session, job.result))


def test_results_of_the_same_map_have_names_of_their_own(session, run, opened, fake_core):
    from chimerax_core import process_events

    assert run("locscale hybrid #1 #2").name == "half1.mrc LocScale"
    assert run("locscale hybrid #1 #2").name == "half1.mrc LocScale 2"
    jobs = [run("locscale hybrid #1 #2 wait false") for _ in range(2)]
    assert process_events(session, lambda: all(job.ended for job in jobs))
    assert [job.result.name for job in jobs] == ["half1.mrc LocScale 3", "half1.mrc LocScale 4"]
    again = run("locscale hybrid update #5")
    assert again.name == "half1.mrc LocScale 2"
    assert run("locscale hybrid update #5 name sharp").name == "sharp"
    run("rename #5 sharper")
    assert run("locscale hybrid update #5").name == "sharper"


def test_processes_and_report_are_kept_for_an_update(session, run, opened, tmp_path):
    from chimerax.locscale.results.manager import results

    result = run("locscale hybrid #1 #2 processes 1 report false")
    run("locscale hybrid update #4 window 30")
    shell = record_of(session, result).shell_line
    assert " -np 1 " in f"{shell} " and "--print_report" not in shell
    run(f'save "{tmp_path / "state.cxs"}"')
    run(f'open "{tmp_path / "state.cxs"}"')
    results(session).newest.asked["processes"] = 10_000
    run("locscale hybrid update #4 window 28")
    assert results(session).newest.asked["processes"] < 10_000, "of a larger machine"
    run("locscale hybrid update #4 report true processes 2")
    shell = results(session).newest.shell_line
    assert " -np 2 " in f"{shell} " and "--print_report" in shell


def test_files_of_an_open_result_are_not_written_over(session, run, refused, opened, tmp_path):
    save = f'name sharp saveTo "{tmp_path / "out"}"'
    run(f"locscale hybrid #1 #2 {save}")
    path = tmp_path / "out" / "sharp.mrc"
    assert refused(f"locscale hybrid #1 #2 window 30 {save}") == (
        f"{path} belongs to the result #4 sharp, which is open: give saveTo another folder, give "
        "another name, or close #4 first"
    )
    note = f"{path} and the files beside it are of an earlier run and will be replaced at the end"
    assert note not in session.log.text("info")
    run(f"locscale hybrid update #4 window 30 {save}")
    assert note in session.log.text("info")
    run("close #4")
    session.log.messages.clear()
    run(f"locscale hybrid #1 #2 {save}")
    assert note in session.log.text("info")


def test_file_of_an_open_map_is_not_written_over(refused, run, opened, tmp_path):
    assert refused(f'locscale hybrid #1 #2 name half2 saveTo "{tmp_path}"') == (
        f"{tmp_path / 'half2.mrc'} is open as #2 half2.mrc and would be replaced: give saveTo "
        "another folder, or give another name"
    )


def test_files_that_a_run_is_going_to_write_are_its_own(
    session, run, refused, opened, fake_core, tmp_path
):
    from chimerax_core import process_events

    fake_core("hang")
    job = run(f'locscale hybrid #1 #2 name a saveTo "{tmp_path / "out"}" wait false')
    assert process_events(session, lambda: job.fraction == 0.5)
    said = refused(f'locscale hybrid #1 #2 name a saveTo "{tmp_path / "out"}"')
    assert said.startswith(
        f"{tmp_path / 'out' / 'a.mrc'} will be written by the run on #1 "
        "half1.mrc that is going on (scaling, 50 %): give saveTo another "
    )
    run("locscale stop")
    assert process_events(session, lambda: job.ended)


def test_report_is_written_unless_it_is_declined(session, run, opened):
    result = run("locscale hybrid #1 #2 report false")
    assert "--print_report" not in record_of(session, result).shell_line


def test_info_logs_the_table_again(session, run, opened):
    run("locscale hybrid #1 #2")
    session.log.messages.clear()
    run("locscale info #4")
    assert "LocScale result #4 half1.mrc LocScale" in session.log.text("info")


def test_update_keeps_level_colour_and_model(session, run, opened):
    result = run("locscale hybrid #1 #2 model #3 window 30")
    run("volume #4 level 9 color red")
    first = next(model for model in session.models.list() if model.id_string == "1")
    first.data.cached_data((0, 0, 0), first.data.size, (1, 1, 1))[...] *= 2
    again = run("locscale hybrid update #4 sym D2")
    assert again is result
    assert [surface.level for surface in again.surfaces] == [9]
    assert tuple(again.surfaces[0].color) == (255, 0, 0, 255)
    assert np.array_equal(again.full_matrix(), 2 * first.full_matrix())
    parameters = record_of(session, again).parameters
    assert parameters["window"] == 30 and parameters["point_group"] == "D2"


def test_update_takes_the_model_as_it_is_now(session, run, opened):
    result = run("locscale hybrid #1 #2 model #3")
    run("delete #3:1-2")
    from chimerax.locscale.commands import selection

    choice = selection.choose(None, {}, record_of(session, result))
    assert len(choice.atoms) == 16


def test_chosen_atoms_stay_chosen(session, run, opened):
    result = run("locscale hybrid #1 #2 model #3:1-4")
    from chimerax.locscale.commands import selection

    assert len(selection.choose(None, {}, record_of(session, result)).atoms) == 16
    run("delete #3:1")
    assert len(selection.choose(None, {}, record_of(session, result)).atoms) == 12


def test_update_without_its_maps_says_what_to_open(refused, run, opened):
    run("locscale hybrid #1 #2 model #3")
    run("close #2")
    text = refused("locscale hybrid update #4")
    assert "1 of the 2 maps that the result was made from are closed" in text
    assert "locscale hybrid #1 #2 update #4" in text


def test_update_of_another_grid_is_refused(refused, run, opened, tmp_path):
    from helpers import write_map

    run("locscale hybrid #1 #2")
    run("open " + write_map(tmp_path / "big.mrc", shape=(22, 24, 28)))
    assert "has 28 x 24 x 20 voxels and cannot take a map of 28 x 24 x 22" in refused(
        "locscale hybrid #5 update #4"
    )


def test_second_update_at_the_same_time_is_refused(session, refused, run, opened, fake_core):
    from chimerax_core import process_events

    run("locscale hybrid #1 #2")
    fake_core("hang")
    job = run("locscale hybrid update #4 wait false")
    assert process_events(session, lambda: job.fraction == 0.5)
    assert "#4 half1.mrc LocScale is being updated already (scaling, 50 %)" in refused(
        "locscale hybrid update #4"
    )
    run("locscale stop")
    assert process_events(session, lambda: job.ended)
    fake_core("ok")
    assert run("locscale hybrid update #4").id_string == "4"


def test_result_and_record_survive_a_session_file(session, run, opened, tmp_path):
    result = run("locscale hybrid #1 #2 model #3 sym D2 name sharp outputs linear")
    run("volume #4 level 5 color green")
    values = np.array(result.full_matrix())
    run(f'save "{tmp_path / "state.cxs"}"')
    run("close session")
    run(f'open "{tmp_path / "state.cxs"}"')
    assert not session.log.text("error", "bug")
    restored = next(model for model in session.models.list() if model.name == "sharp")
    assert np.array_equal(restored.full_matrix(), values)
    run("locscale info #4")
    kept = record_of(session, restored)
    assert kept.parameters["point_group"] == "D2"
    assert [volume.name for volume in kept.maps] == ["half1.mrc", "half2.mrc"]
    assert [model.name for model in kept.companions] == ["sharp, linear"]
    again = run("locscale hybrid update #4")
    assert again is restored and [surface.level for surface in again.surfaces] == [5]
    assert len([model for model in session.models.list() if model.name == "sharp, linear"]) == 1


def test_chosen_atoms_survive_a_session_file(session, run, opened, tmp_path):
    run("locscale hybrid #1 #2 model #3:1-4")
    run(f'save "{tmp_path / "state.cxs"}"')
    run(f'open "{tmp_path / "state.cxs"}"')
    from chimerax.locscale.commands import selection
    from chimerax.locscale.results.manager import results

    assert len(selection.choose(None, {}, results(session).newest).atoms) == 16


def test_session_with_closed_inputs_is_saved(session, run, opened, tmp_path):
    run("locscale hybrid #1 #2 model #3")
    run("close #1-3")
    run(f'save "{tmp_path / "state.cxs"}"')
    run(f'open "{tmp_path / "state.cxs"}"')
    assert not session.log.text("error", "bug")
    run("locscale info #4")


def test_result_that_was_saved_to_a_file_is_updated(session, run, opened, tmp_path):
    result = run("locscale hybrid #1 #2")
    run(f'save "{tmp_path / "sharp.mrc"}" models #4')
    first = next(model for model in session.models.list() if model.id_string == "1")
    again = run("locscale hybrid update #4")
    assert again is result and np.array_equal(again.full_matrix(), 2 * first.full_matrix())


def test_model_given_at_update_replaces_the_one_recorded(session, run, opened, tmp_path):
    result = run("locscale hybrid #1 #2 model #3")
    run("open " + write_model(tmp_path / "better.pdb"))
    run("locscale hybrid update #4 model #5")
    assert record_of(session, result).inputs["model"] == "#5 better.pdb"


def test_files_of_a_closed_result_go_in_a_thread(session, run, opened, monkeypatch):
    """Those of a map of 300^3 take 0.2 s to delete, and the window would stand still."""
    import threading

    from chimerax_core import process_events

    result = run("locscale hybrid #1 #2")
    folder = record_of(session, result).folder
    threads = []
    remove = folder.remove
    monkeypatch.setattr(
        folder, "remove", lambda: (threads.append(threading.current_thread()), remove())
    )
    assert folder.path.is_dir()
    run("close #4")
    assert record_of(session, result) is None
    assert process_events(session, lambda: not folder.path.exists())
    assert threads and threading.main_thread() not in threads
