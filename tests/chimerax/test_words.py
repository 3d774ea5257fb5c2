"""Keywords, options of the command line, and messages: one table for all three."""

from types import SimpleNamespace

import pytest


@pytest.fixture(scope="module")
def words(chimerax_session):
    from chimerax.locscale import arguments
    return arguments


def test_message_of_the_core_is_worded_for_chimerax(words):
    text = words.in_command_words(
        "/tmp/x/inputs/#1 half 1.mrc looks masked; give -ma, or -mres 4 (see --weight), not -x",
        "/tmp/x/inputs")
    assert text == ("#1 half 1.mrc looks masked; give mask, or modelResolution 4 (see weight), "
                    "not -x")


def test_words_with_hyphens_are_no_options(words):
    text = "cross-ma-tch of re-o-pened half-maps"
    assert words.in_command_words(text, "/nowhere") == text


def test_window_in_angstrom_replaces_an_earlier_one_in_voxels(words):
    chosen = words.chosen_parameters({"window": 30.0}, earlier={"window_voxels": 25, "seed": 4})
    assert chosen == {"window": 30.0, "seed": 4}


def test_python_names_follow_the_keywords(words):
    names = {keyword.name: keyword.python_name for keyword in words.KEYWORDS}
    assert names["symmetryCenter"] == "symmetry_center" and names["bFloor"] == "b_floor"


def test_all_outputs_are_those_of_the_core(words):
    assert words.output_kinds(["all"], {"b", "a"}) == ["a", "b"]
    assert words.output_kinds(["b", "b"], {"b", "a"}) == ["b"]


def test_table_of_an_empty_record_is_empty(chimerax_session):
    from chimerax.locscale.log_text import table_rows
    assert table_rows({}) == []


def test_table_shows_units_and_escapes_markup(chimerax_session):
    from chimerax.locscale.log_text import table_rows
    rows = dict(table_rows({
        "resolution": {"d_min_angstrom": 3.2, "origin": "half-map FSC <0.143>"},
        "mask": {"volume_cubic_angstrom": 343651.0, "mass_kilodalton": 278.3},
        "hybrid_model": {"model_atoms": 7256, "copied_atoms": 0, "pseudo_atoms": 3140,
                         "model_coverage_of_mask": 0.68,
                         "b_iso_square_angstrom": {"model": {"5%": 108.0, "50%": 134.0,
                                                             "95%": 172.0}, "pseudo_atoms": {}}},
        "scaling": {"weight": "adaptive", "statement": "by band", "bands": [
            {"resolution_angstrom": 8.3, "gain_median": 1.53, "gain_5_percent": 1.42,
             "gain_95_percent": 1.6}]}}))
    assert rows["resolution"] == "3.20 Å (half-map FSC <0.143>)"
    assert rows["mask"] == "343,651 Å³, about 278 kDa"
    assert rows["B of the model"] == "134 Å² (5 to 95 %: 108 to 172)"
    assert "covers 68% of the mask" in rows["model"]
    assert rows["gain, median (5 to 95 %)"] == "8.3 Å: 1.53 (1.42 to 1.6)"


@pytest.mark.parametrize("code, said", [(-9, "killed by signal 9 (out of memory?)"),
                                        (-15, "killed by signal 15"),
                                        (1, "exit code 1 and no result")])
def test_end_without_a_word_is_described(chimerax_session, code, said):
    from chimerax.locscale.child import describe_end
    assert said in describe_end(code)


def test_python_is_the_one_that_chimerax_names(chimerax_session, monkeypatch, tmp_path):
    """Inside the application sys.executable is ChimeraX itself."""
    import sys

    from chimerax.core import python_utils
    from chimerax.locscale.child import python_of_application
    program = tmp_path / "python3.11"
    program.write_text("#!/bin/sh\n")
    monkeypatch.setattr(python_utils, "chimerax_python_executable", lambda: str(program))
    assert python_of_application() is None, "it is no program"
    program.chmod(0o755)
    assert python_of_application() == program
    monkeypatch.delattr(python_utils, "chimerax_python_executable")
    assert python_of_application() is None, "older and newer versions may lack it"
    assert sys.executable


def test_maps_on_request_have_links_that_colour_the_result(chimerax_session):
    from chimerax.locscale.log_text import _links
    kinds = ("localB", "gain_5.0A", "resolution", "provenance", "mask")
    companions = [SimpleNamespace(name=f"a LocScale, {kind}", id_string=f"5.{i}", deleted=False)
                  for i, kind in enumerate(kinds)]
    _, *links = _links(SimpleNamespace(volume=SimpleNamespace(id_string="4"), files={},
                                       parameters={}, companions=companions))
    assert "color sample #4 map #5.0 palette cyanmaroon" in links[0]
    assert "colour by local gain at 5.0A" in links[1]
    assert "colour by local resolution" in links[2]
    assert "palette 0,#bbbbbb:1,#6495ed:2,#ff8c00" in links[3]
    assert "show #5.4 models" in links[4]
