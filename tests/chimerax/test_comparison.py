"""What is compared with the map in a session: difference map, peaks, scores, adjustment, JSON.

The results are SIMULATED: a fake core, or the real one on a small simulated particle.
"""

import json

import numpy as np
import pytest
from real_case import make_case


def record_of(session, volume):
    from chimerax.locscale.results.manager import results

    return results(session).of(volume)


@pytest.fixture
def compared(session, run, tmp_path):
    """A result of the real core with a difference map, scores and halves: #4."""
    files = make_case(tmp_path)
    for name in ("half1.mrc", "half2.mrc", "model.cif"):
        run(f'open "{files[name]}"')
    return run(
        "locscale hybrid #1 #2 model #3 sym D2 resolution 3.4 processes 1 completeModel false "
        "outputs difference,linear,halves,model report false"
    )


def companion(session, volume, kind):
    from chimerax.locscale.results.kinds import kind_of

    return next(m for m in record_of(session, volume).companions if kind_of(m) == kind)


def test_difference_map_is_a_pair_of_meshes_and_its_peaks_are_links(session, run, compared):
    from chimerax.locscale.results.log_text import record_html

    difference = companion(session, compared, "difference")
    assert difference.display
    surfaces = {round(s.level): tuple(s.rgba[:3]) for s in difference.surfaces}
    assert set(surfaces) == {-4, 4}
    assert surfaces[4][1] > 0.6 > surfaces[4][0], "green where the model lacks density"
    assert surfaces[-4][0] > 0.7 > surfaces[-4][1], "red where it has too much"
    assert [s.style for s in difference.surfaces] == ["mesh", "mesh"]
    kept = record_of(session, compared)
    peaks = kept.record["difference_map"]["peaks"]
    assert peaks[0]["height_sd"] > 8, "a third of each chain is not in the model"
    html = record_html(kept)
    assert f"cxcmd:locscale peak #{compared.id_string} 1" in html
    assert f"{peaks[0]['height_sd']:+.1f}" in html


def test_peak_is_what_the_view_turns_about(session, run, refused, compared):
    compared.position = type(compared.position)(origin=(3, 4, 5))
    peak = run(f"locscale peak #{compared.id_string} 2")
    place = np.add(peak["position_angstrom"], (3, 4, 5))
    assert session.main_view.center_of_rotation == pytest.approx(place, abs=1e-3)
    number = len(record_of(session, compared).record["difference_map"]["peaks"])
    assert refused(f"locscale peak #{compared.id_string} 99") == (
        f"#{compared.id_string} {compared.name} has {number} peaks. "
        f"Give a number from 1 to {number}"
    )


def test_scores_are_attributes_of_residues_and_links_in_the_log(session, run, compared):
    columns = run(f"locscale scores #{compared.id_string}")
    residues = session.models.list()
    model = next(m for m in residues if m.name == "model.cif")
    assert len(columns["q"]) == model.num_residues
    for name, column in (
        ("locscale_q", "q"),
        ("locscale_q_before", "q_before"),
        ("locscale_q_error", "q_error"),
        ("locscale_correlation", "correlation"),
        ("locscale_b", "b_iso"),
    ):
        assert [getattr(r, name) for r in model.residues] == pytest.approx(columns[column])
    assert np.mean(columns["q"]) > np.mean(columns["q_before"])
    text = " ".join(session.log.text("info").split())
    assert "cxcmd:view #3/A:1; select #3/A:1" in text
    color = "color byattribute r:locscale_q #3 palette red:yellow:lime range 0,0.8"
    assert f"cxcmd:{color}" in text
    run(color)


def test_scores_follow_the_model_as_it_is_now(session, run, compared):
    before = run(f"locscale scores #{compared.id_string}")
    run("move x 3 atoms #3/A:5")
    after = run(f"locscale scores #{compared.id_string} model #3")
    assert after["q"][4] < before["q"][4] - 0.2
    assert after["q"][15] == pytest.approx(before["q"][15], abs=1e-3)


def test_map_without_a_difference_map_or_a_linear_map_says_what_to_do(
    session, refused, run, opened
):
    run("locscale hybrid #1 #2 model #3")
    assert refused("locscale peak #4") == (
        "#4 half1.mrc LocScale has no difference map. Make one with locscale hybrid update #4 "
        "outputs difference"
    )
    assert refused("locscale scores #4") == (
        "The linear map of #4 half1.mrc LocScale is not available. Make it again with locscale "
        "hybrid update #4 outputs linear"
    )
    run("close #3")
    assert refused("locscale scores #4") == (
        "No model of #4 half1.mrc LocScale is open. Name one, for example locscale scores #4 "
        "model #3"
    )


def test_adjusted_map_has_other_amplitudes_and_0_restores_its_bytes(session, run, opened):
    result = run("locscale hybrid #1 #2 model #3")
    own = result.data.array
    before = own.copy()
    assert run("locscale adjust #4 bfactor 60") == {
        "b_factor_square_angstrom": 60.0,
        "low_pass_angstrom": None,
    }
    blurred = result.data.array
    assert blurred is not own and np.array_equal(own, before), "never written into"
    expected = filtered(before, 1.2, lambda s: np.exp(-60 / 4 * np.minimum(s, 0.5 / 1.2) ** 2))
    assert np.abs(blurred - expected).max() < 0.02 * before.std()
    assert record_of(session, result).record["adjusted"]["b_factor_square_angstrom"] == 60
    run("locscale adjust #4 bfactor 0")
    assert result.data.array.tobytes() == before.tobytes()
    assert record_of(session, result).record["adjusted"] is None


def filtered(values, voxel, factor):
    axes = [np.fft.fftfreq(n, voxel) for n in values.shape]
    s = np.sqrt(sum(f**2 for f in np.meshgrid(*axes, indexing="ij")))
    return np.fft.ifftn(np.fft.fftn(values) * factor(s)).real


def test_low_pass_leaves_what_is_coarser_and_the_log_says_so(session, run, opened):
    from chimerax.locscale.results.log_text import record_html

    result = run("locscale hybrid #1 #2 model #3")
    before = result.data.array.copy()
    run("locscale adjust #4 lowpass 6")
    power = [np.abs(np.fft.fftn(v)) for v in (before, result.data.array)]
    axes = [np.fft.fftfreq(n, 1.2) for n in before.shape]
    s = np.sqrt(sum(f**2 for f in np.meshgrid(*axes, indexing="ij")))
    coarse, fine = s < 1 / 6.5, s > 1 / 5.6
    assert power[1][coarse] == pytest.approx(power[0][coarse], rel=1e-3, abs=1)
    assert power[1][fine].max() < 1e-3 * power[0][fine].max()
    html = record_html(record_of(session, result))
    assert "shown with low-pass 6 Å; the linear map is unchanged" in html


def test_adjustment_survives_the_session_and_an_update_ends_it(session, run, opened, tmp_path):
    result = run("locscale hybrid #1 #2 model #3")
    before = result.data.array.copy()
    run("locscale adjust #4 bfactor -40")
    run(f'save "{tmp_path / "state.cxs"}"')
    run(f'open "{tmp_path / "state.cxs"}"')
    from chimerax.locscale.results.manager import results

    result = results(session).newest.volume
    assert not np.array_equal(result.data.full_matrix(), before)
    run("locscale adjust #4 bfactor 0")
    assert result.data.full_matrix().tobytes() == before.tobytes()
    run("locscale adjust #4 bfactor -40")
    run("locscale hybrid update #4 window 30")
    assert record_of(session, result).record.get("adjusted") is None
    updated = result.data.array.copy()
    run("locscale adjust #4 lowpass 8")
    run("locscale adjust #4 lowpass 0")
    assert result.data.array.tobytes() == updated.tobytes()


def test_commands_return_json_where_chimerax_asks_for_it(session, compared):
    from chimerax.core.commands import run

    def asked(command):
        return run(session, command, return_json=True)

    spec = f"#{compared.id_string}"
    info = asked(f"locscale info {spec}")
    assert json.loads(info.json_value)["resolution"]["d_min_angstrom"] == 3.4
    assert info.python_value is record_of(session, compared).record
    scores = asked(f"locscale scores {spec}")
    assert json.loads(scores.json_value)["q"] == scores.python_value["q"]
    peak = json.loads(asked(f"locscale peak {spec} 1").json_value)
    assert peak == info.python_value["difference_map"]["peaks"][0]
    adjusted = json.loads(asked(f"locscale adjust {spec} bfactor 20").json_value)
    assert adjusted["b_factor_square_angstrom"] == 20
    assert asked(f"locscale adjust {spec} bfactor 0").json_value == "null"


def test_check_and_hybrid_return_json(session, opened):
    from chimerax.core.commands import run

    found = run(session, "locscale check #1 #2 model #3", return_json=True)
    assert json.loads(found.json_value)[0]["code"] == "sharpened-input"
    made = run(session, "locscale hybrid #1 #2 model #3", return_json=True)
    values = json.loads(made.json_value)
    assert values["model spec"] == f"#{made.python_value.id_string}" == "#4"
    assert values["record"]["parameters"]["window"] == 25
    plain = run(session, "locscale info #4")
    assert plain is values or plain["parameters"] == values["record"]["parameters"]
