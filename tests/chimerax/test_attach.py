"""A run of the command line, opened in ChimeraX by its record (SIMULATED, the real core)."""

import json
import shutil

import numpy as np
import pytest
from real_case import make_case


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run of the command line, with the maps it was made from."""
    from locscale_hybrid.cli.main import main

    folder = tmp_path_factory.mktemp("cluster") / "job"
    (folder / "maps").mkdir(parents=True)
    (folder / "out").mkdir()
    files = make_case(folder / "maps")
    code = main(
        ["-hm", str(files["half1.mrc"]), str(files["half2.mrc"]), "-mc", str(files["model.cif"])]
        + ["-o", str(folder / "out/out.mrc"), "-res", "3.4", "-sym", "D2", "-np", "1"]
        + ["--outputs", "localB", "difference", "model", "--complete_model"]
    )
    assert code == 0
    return folder


def kept_of(session):
    from chimerax.locscale.results.manager import results

    return results(session).newest


def kinds(kept):
    from chimerax.locscale.results.kinds import kind_of

    return {kind_of(model) for model in kept.companions}


def test_record_opens_as_a_result_with_its_maps_model_and_links(session, run, finished):
    from chimerax.locscale.results.log_text import record_html

    run(f'open "{finished / "out/out.json"}"')
    kept = kept_of(session)
    assert kept.volume.name == "out.mrc"
    assert [volume.name for volume in kept.maps] == ["half1.mrc", "half2.mrc"]
    assert not any(volume.display for volume in kept.maps)
    assert {"localB", "difference", "model", "pseudo-atoms"} <= kinds(kept)
    assert run(f"locscale info #{kept.volume.id_string}")["resolution"]["d_min_angstrom"] == 3.4
    html = record_html(kept)
    assert "color sample" in html and f"locscale peak #{kept.volume.id_string} 1" in html
    assert "locscale -hm " in html
    inside = np.mean(kept.volume.full_matrix() > kept.volume.surfaces[0].level)
    assert 0.02 < inside < 0.2, "the level shows a particle, not the box"


def test_run_that_was_moved_to_another_machine_is_found_beside_its_record(
    session, run, finished, tmp_path
):
    moved = tmp_path / "here"
    shutil.copytree(finished, moved)
    hidden = finished.with_name("gone")
    finished.rename(hidden)
    try:
        run(f'open "{moved / "out/out.json"}"')
    finally:
        hidden.rename(finished)
    kept = kept_of(session)
    assert kept.volume.data.path == str(moved / "out/out.mrc")
    assert [volume.data.path for volume in kept.maps] == [
        str(moved / "maps/half1.mrc"),
        str(moved / "maps/half2.mrc"),
    ]


def test_map_and_record_alone_open_without_the_inputs_and_say_so(session, run, finished, tmp_path):
    values = json.loads((finished / "out/out.json").read_text())
    text = json.dumps(values).replace(str(finished), "Z:\\\\elsewhere")
    (tmp_path / "out.json").write_text(text)
    shutil.copy(finished / "out/out.mrc", tmp_path)
    run(f'open "{tmp_path / "out.json"}"')
    kept = kept_of(session)
    assert kept.maps == [None, None]
    text = " ".join(session.log.text("info").split())
    assert "half1.mrc, half2.mrc, model.cif, which are missing" in text
    run(f"locscale info #{kept.volume.id_string}")


def test_update_of_it_starts_from_its_hybrid_model(session, run, finished):
    run(f'open "{finished / "out/out.json"}"')
    kept = kept_of(session)
    before = kept.volume.data.path
    model = kept.models[0].structure
    run(f"delete #{model.id_string}/A:14-16")
    run(f"locscale hybrid update #{kept.volume.id_string} processes 1")
    record = kept_of(session).record
    assert record["update"] is not None, "not a full run"
    assert record["update"]["pseudo_atoms"]["kept"] > 0
    assert kept_of(session).volume is kept.volume
    assert (finished / "out/out.mrc").is_file() and before == str(finished / "out/out.mrc")


def test_command_file_of_the_run_opens_it(session, run, finished, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(finished, moved)
    run(f'open "{moved / "out/out.cxc"}"')
    assert kept_of(session).volume.data.path == str(moved / "out/out.mrc")


def test_record_without_its_map_or_of_something_else_is_refused(
    session, refused, finished, tmp_path
):
    shutil.copy(finished / "out/out.json", tmp_path)
    values = json.loads((tmp_path / "out.json").read_text())
    text = json.dumps(values).replace(str(finished), "/nowhere")
    (tmp_path / "out.json").write_text(text)
    assert refused(f'open "{tmp_path / "out.json"}"') == (
        f"The map out.mrc of {tmp_path / 'out.json'} is missing. Copy it into the folder of the "
        "record"
    )
    (tmp_path / "other.json").write_text('{"a": 1}')
    assert "is not the record of a run of locscale-hybrid" in refused(
        f'open "{tmp_path / "other.json"}"'
    )
