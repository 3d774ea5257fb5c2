"""Maps that Clipper has taken over for ISOLDE stay results and inputs.

Maps and core are stand-ins; what Clipper does is imitated by `clipper_double`.
"""

import numpy as np
import pytest
from chimerax_core import process_events

BOTH_ORDERS = pytest.mark.parametrize("late", [False, True], ids=["remove first", "add first"])


def model_of(session, spec):
    return next(model for model in session.models.list() if model.id_string == spec)


def record_of(session, volume):
    from chimerax.locscale.results.manager import results

    return results(session).of(volume)


def take_over(session, *specs, model=None, late=False):
    """Associate maps, then let ChimeraX draw; returns the Volumes that have their data now."""
    from clipper_double import associate

    volumes = [model_of(session, spec) for spec in specs]
    structure = None if model is None else model_of(session, model)
    taken = associate(session, volumes, structure, late=late)
    process_events(session)
    return taken


@BOTH_ORDERS
def test_result_that_was_taken_over_is_known_and_updated(session, run, opened, late):
    run("locscale hybrid #1 #2 model #3")
    (taken,) = take_over(session, "4", model="3", late=late)
    spec = f"#{taken.id_string}"
    assert run(f"locscale info {spec}")["parameters"]["window"] == 25
    first = model_of(session, "1")
    again = run(f"locscale hybrid update {spec} window 30")
    assert again is taken and record_of(session, taken).parameters["window"] == 30
    assert np.array_equal(taken.data.full_matrix(), 2 * first.full_matrix())
    assert taken.updates == ["values changed"], "its owner follows the values"
    assert record_of(session, taken).folder.path.is_dir()


@BOTH_ORDERS
def test_half_maps_and_model_that_were_taken_over_are_inputs(session, run, opened, late):
    result = run("locscale hybrid #1 #2 model #3")
    one, two = take_over(session, "1", "2", model="3", late=late)
    model = next(iter(record_of(session, result).models)).structure
    assert record_of(session, result).maps == [one, two]
    assert "(closed)" not in str(record_of(session, result).made_from)
    assert run(f"locscale hybrid update #{result.id_string} window 30") is result
    new = run(f"locscale hybrid #{one.id_string} #{two.id_string} model #{model.id_string}")
    assert np.array_equal(new.full_matrix(), 2 * one.data.full_matrix())
    shape = np.array(new.region[1]) - new.region[0] + 1
    assert tuple(shape) == new.data.size, "the box that Clipper shows is not the result's"


@BOTH_ORDERS
def test_update_ends_in_the_map_that_took_over_during_the_run(session, run, opened, late):
    run("locscale hybrid #1 #2 model #3 outputs linear")
    job = run("locscale hybrid update #4 window 30 wait false")
    taken = take_over(session, "4", "1", "2", model="3", late=late)
    assert process_events(session, lambda: job.ended)
    assert job.error is None and job.result is taken[0]
    assert record_of(session, taken[0]).maps == taken[1:]
    assert not session.log.text("error", "bug", "warning").count("closed meanwhile")


@BOTH_ORDERS
def test_run_knows_its_inputs_when_they_are_taken_over_before_its_end(session, run, opened, late):
    job = run("locscale hybrid #1 #2 model #3 mask #1 wait false")
    one, two = take_over(session, "1", "2", model="3", late=late)
    assert process_events(session, lambda: job.ended) and job.error is None
    kept = record_of(session, job.result)
    assert (kept.maps, kept.mask) == ([one, two], one)
    assert not one.display, "inputs are hidden under a result"


def test_companion_that_was_taken_over_gets_new_values_and_no_empty_groups(session, run, opened):
    result = run("locscale hybrid #1 #2 model #3 outputs linear")
    linear = next(iter(record_of(session, result).companions))
    (taken,) = take_over(session, linear.id_string, model="3")
    for window in (30, 35):
        run(f"locscale hybrid update #{result.id_string} window {window}")
    assert record_of(session, result).companions == [taken] and len(taken.updates) == 2
    assert len([model for model in session.models.list() if model.name.endswith(", more")]) == 1


def test_array_that_another_thread_may_read_is_never_written_into(session, run, opened):
    result = run("locscale hybrid #1 #2")
    before = result.data.array
    values = before.copy()
    (taken,) = take_over(session, "4")
    model_of(session, "1").data.cached_data((0, 0, 0), taken.data.size, (1, 1, 1))[...] *= 3
    run(f"locscale hybrid update #{taken.id_string}")
    assert np.array_equal(before, values)
    assert taken.data.array is not before and not np.array_equal(taken.data.array, values)


def test_callback_that_fails_is_no_failure_of_the_update(session, run, opened):
    result = run("locscale hybrid #1 #2")

    def fail(_reason):
        raise RuntimeError("contexts are gone")

    result.data.add_change_callback(fail)
    assert run("locscale hybrid update #4 window 30") is result
    assert "has its new values, but a tool that uses it failed" in session.log.text("info")
    result.data.remove_change_callback(fail)


def test_callbacks_follow_where_the_data_have_to_be_replaced(session, run, opened, tmp_path):
    """As after the result was saved to a file."""
    result = run("locscale hybrid #1 #2")
    run(f'save "{tmp_path / "sharp.mrc"}" models #4')
    (taken,) = take_over(session, "4")
    run(f"locscale hybrid update #{taken.id_string} window 30")
    assert taken.updates == ["values changed"]
    assert taken.data.change_callbacks.count(taken.data_changed_cb) == 1
    assert result.deleted


def test_map_that_was_moved_before_is_reported(session, run, opened):
    """Clipper leaves the atoms in place and puts maps at the origin of the scene."""
    run("locscale hybrid #1 #2 model #3")
    run("move x 7 models #1-4")
    (taken,) = take_over(session, "4", model="3")
    assert (
        f"#{taken.id_string} half1.mrc LocScale moved by 7 Å when another tool took it over. "
        "Check that maps and model still overlap, and fit the model again if they do not (fitmap)."
    ) in session.log.text("warning")
    assert run(f"locscale hybrid update #{taken.id_string} window 30") is taken


def test_map_that_stayed_in_place_is_not_reported(session, run, opened):
    run("locscale hybrid #1 #2 model #3")
    take_over(session, "4", "1", "2", model="3")
    assert "took" not in session.log.text("warning")


def test_closed_result_is_forgotten_after_the_command(session, run, opened):
    from chimerax.locscale.results.manager import results

    result = run("locscale hybrid #1 #2")
    folder = record_of(session, result).folder
    other = run("volume copy #1")
    run("close #4")
    assert results(session).records == [] and results(session).newest is None
    assert process_events(session, lambda: not folder.path.exists())
    assert not other.deleted


def test_result_closed_in_its_update_keeps_its_files_until_the_end(session, run, opened):
    result = run("locscale hybrid #1 #2 model #3")
    folder = record_of(session, result).folder
    job = run("locscale hybrid update #4 window 30 wait false")
    run("close #4")
    assert folder.path.is_dir()
    assert process_events(session, lambda: job.ended)
    assert job.error is None and record_of(session, job.result).folder is folder
    assert "The map to update was closed meanwhile" in session.log.text("warning")
    run(f"close #{job.result.id_string}")
    assert process_events(session, lambda: not folder.path.exists())


def test_files_go_when_the_update_of_a_closed_result_is_stopped(session, run, opened, fake_core):
    result = run("locscale hybrid #1 #2 model #3")
    folder = record_of(session, result).folder
    fake_core("hang")
    job = run("locscale hybrid update #4 window 30 wait false")
    assert process_events(session, lambda: job.fraction == 0.5)
    run("close #4")
    assert folder.path.is_dir()
    run("locscale stop")
    assert process_events(session, lambda: job.ended and not folder.path.exists())


def test_taken_over_maps_are_found_again_in_a_session_file(
    session, run, opened, tmp_path, monkeypatch
):
    import chimerax.map
    from clipper_double import TakenOverMap

    monkeypatch.setattr(TakenOverMap, "__module__", "chimerax.map.double")
    monkeypatch.setattr(chimerax.map.bundle_api, "get_class", get_class_with(TakenOverMap))
    run("locscale hybrid #1 #2 model #3 window 30 name sharp")
    taken = take_over(session, "4", "1", "2", model="3")
    values = np.array(taken[0].data.full_matrix())
    run(f'save "{tmp_path / "state.cxs"}"')
    run("close session")
    run(f'open "{tmp_path / "state.cxs"}"')
    assert not session.log.text("error", "bug")
    again = next(model for model in session.models.list() if model.name == "sharp")
    assert type(again) is TakenOverMap
    assert [volume.name for volume in record_of(session, again).maps] == ["half1.mrc", "half2.mrc"]
    assert run(f"locscale hybrid update #{again.id_string} sym D2") is again
    assert np.array_equal(again.data.full_matrix(), values)
    assert record_of(session, again).parameters["window"] == 30


def get_class_with(kind):
    """The classes of ChimeraX's maps, and one more."""
    import chimerax.map

    known = chimerax.map.bundle_api.get_class
    return lambda name: kind if name == kind.__name__ else known(name)


def test_maps_moved_into_a_group_by_hand_are_the_same_maps(session, run, opened):
    result = run("locscale hybrid #1 #2 model #3")
    group = session.models.add_group([model_of(session, "1"), result], name="mine")
    process_events(session)
    kept = record_of(session, result)
    assert result.parent is group and len(kept.open_maps) == 2
    assert run(f"locscale hybrid update #{result.id_string} window 30") is result


def test_links_of_the_log_name_the_map_that_took_over(session, run, opened):
    from chimerax.locscale.results.log_text import record_html

    run("locscale hybrid #1 #2 model #3")
    (taken,) = take_over(session, "4")
    html = record_html(record_of(session, taken))
    assert f"cxcmd:locscale hybrid update #{taken.id_string}" in html


def test_help_page_describes_a_session_with_isolde_that_works(session, run, opened, tmp_path):
    """The commands of the help page, with doubles of those of Clipper and ISOLDE."""
    import re
    from html import unescape
    from pathlib import Path

    import chimerax.locscale
    from chimerax.core.commands import CmdDesc, RestOfLine, register
    from clipper_double import TakenOverMap, register_command

    register_command(session)
    started = []
    for name in ("isolde start", "isolde select", "isolde sim"):
        register(
            name,
            CmdDesc(optional=[("rest", RestOfLine)]),
            lambda session, rest="", name=name: started.append(f"{name} {rest}".strip()),
            logger=session.logger,
        )
    run("close #1-3")  # their files are in the folder
    folder = Path(chimerax.locscale.__file__).parent / "docs" / "user" / "tools"
    text = (folder / "locscalehybrid.html").read_text(encoding="utf-8")
    section = text[text.index('<a name="isolde">') :]
    commands = unescape(re.search("<pre>(.*?)</pre>", section, re.DOTALL)[1]).strip().split("\n")
    manual = (Path(__file__).parents[2] / "docs" / "chimerax.md").read_text(encoding="utf-8")
    assert len(commands) == 10 and "\n".join(commands) in manual
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        for command in commands:
            run(command)
            process_events(session)
    assert not session.log.text("error", "bug")
    from chimerax.locscale.results.manager import results

    kept = results(session).newest
    assert isinstance(kept.volume, TakenOverMap) and kept.volume.updates == ["values changed"]
    assert isinstance(kept.companions[0], TakenOverMap)
    assert started[-1] == "isolde sim stop"
