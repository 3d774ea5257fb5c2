"""Keywords, messages in the words of ChimeraX, and the table of a result."""

from types import SimpleNamespace

import pytest


@pytest.fixture(scope="module")
def words(chimerax_session):
    from chimerax.locscale import keywords

    return keywords


@pytest.fixture(scope="module")
def messages(chimerax_session):
    from chimerax.locscale import words

    return words


def test_finding_of_the_child_is_worded_for_chimerax(messages):
    """Input files go by the names that they have in ChimeraX."""
    from locscale_hybrid.findings import Finding
    from locscale_hybrid.remedies import give

    remedy = give("mask", "a mask of the particle")
    event = Finding(
        "x", "note", "/tmp/x/inputs/#1 half 1.mrc looks masked", {}, (remedy,)
    ).as_dict()
    assert messages.message_of(event, "/tmp/x/inputs") == (
        "#1 half 1.mrc looks masked. Give a mask of the particle (keyword mask)."
    )


def test_error_of_the_core_is_worded_for_chimerax(messages):
    from locscale_hybrid.errors import InputError
    from locscale_hybrid.remedies import install, leave_out

    error = InputError("servalcat is missing", install("servalcat"), leave_out("monomer_library"))
    assert messages.message_of(error) == (
        "servalcat is missing. Type pip install servalcat in the command line of ChimeraX, or "
        "leave out refineCoordinates."
    )


def test_finding_of_an_older_session_keeps_its_message(messages):
    assert messages.message_of({"level": "note", "message": "the mask is small"}) == (
        "the mask is small"
    )


@pytest.mark.parametrize(
    "maps, remedy, meant",
    [
        (["#1"], "invert", "type volume scale #1 factor -1, and give the new map"),
        (["#1", "#2"], "invert", "type volume scale #1 #2 factor -1, and give the new maps"),
        (["#1", "#2"], "flip", "type volume flip #1 #2 axis z, and give the new maps"),
        ([], "flip", "flip the map along z"),
    ],
)
def test_what_mends_a_map_is_a_command(messages, maps, remedy, meant):
    from locscale_hybrid.remedies import flip, invert

    advised = invert() if remedy == "invert" else flip("z")
    assert messages.words_for(maps).phrase(advised) == meant


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
    from chimerax.locscale.results.log_text import table_rows

    assert table_rows({}) == []


def test_table_shows_units_and_escapes_markup(chimerax_session):
    from chimerax.locscale.results.log_text import table_rows

    rows = dict(
        table_rows(
            {
                "resolution": {"d_min_angstrom": 3.2, "origin": "half-map FSC <0.143>"},
                "mask": {"volume_cubic_angstrom": 343651.0, "mass_kilodalton": 278.3},
                "hybrid_model": {
                    "model_atoms": 7256,
                    "copied_atoms": 0,
                    "pseudo_atoms": 3140,
                    "model_coverage_of_mask": 0.68,
                    "b_iso_square_angstrom": {
                        "model": {"5%": 108.0, "50%": 134.0, "95%": 172.0},
                        "pseudo_atoms": {},
                    },
                },
                "scaling": {
                    "weight": "adaptive",
                    "statement": "adaptive weight: by band",
                    "bands": [
                        {
                            "resolution_angstrom": 8.3,
                            "gain_median": 1.53,
                            "gain_5_percent": 1.42,
                            "gain_95_percent": 1.6,
                        }
                    ],
                },
            }
        )
    )
    assert rows["resolution"] == "3.20 Å (half-map FSC <0.143>)"
    assert rows["mask"] == "343,651 Å³, about 278 kDa"
    assert rows["B of the model"] == "134 Å² (5 to 95 %: 108 to 172)"
    assert "covers 68% of the mask" in rows["model"]
    assert rows["model"] == "7256 atoms, 3140 pseudo-atoms; the model covers 68% of the mask"
    assert rows["gain, median (5 to 95 %)"] == "8.3 Å: 1.53 (1.42 to 1.6)"
    assert rows["noise weighting"] == "adaptive"


def test_table_without_a_model_says_so(chimerax_session):
    from chimerax.locscale.results.log_text import table_rows

    assert table_rows({"hybrid_model": {"model_atoms": 0, "pseudo_atoms": 749}}) == [
        ("model", "none: 749 pseudo-atoms fill the mask")
    ]


def test_gains_end_with_the_resolution(chimerax_session):
    """Beyond it there is none."""
    from chimerax.locscale.results.log_text import table_rows

    bands = [
        {
            "resolution_angstrom": d,
            "gain_median": d / 10,
            "gain_5_percent": 0.1,
            "gain_95_percent": 2.0,
        }
        for d in (8.0, 6.0, 4.0, 3.0, 2.0)
    ]
    rows = dict(table_rows({"resolution": {"d_min_angstrom": 3.9}, "scaling": {"bands": bands}}))
    assert [part.split(" Å")[0] for part in rows["gain, median (5 to 95 %)"].split("; ")] == [
        "8.0",
        "6.0",
        "4.0",
    ]


@pytest.mark.parametrize(
    "code, said",
    [
        (-9, "killed by signal 9 (out of memory?)"),
        (-15, "killed by signal 15"),
        (1, "exit code 1 and no result"),
    ],
)
def test_end_without_a_word_is_described(chimerax_session, code, said):
    from chimerax.locscale.job.child import describe_end

    assert said in describe_end(code)


def test_python_is_the_one_that_chimerax_names(chimerax_session, monkeypatch, tmp_path):
    """Inside the application sys.executable is ChimeraX itself."""
    import sys

    from chimerax.core import python_utils
    from chimerax.locscale.job.child import python_of_application

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
    from chimerax.locscale.results.log_text import _links

    kinds = ("localB", "gain_5.0A", "resolution", "provenance", "mask")
    companions = [
        SimpleNamespace(name=f"a LocScale, {kind}", id_string=f"5.{i}", deleted=False)
        for i, kind in enumerate(kinds)
    ]
    _, *links = _links(
        SimpleNamespace(
            volume=SimpleNamespace(id_string="4"),
            files={},
            parameters={},
            companions=companions,
            record={},
        )
    )
    assert "color sample #4 map #5.0 palette cyanmaroon key true" in links[0]
    assert "color by local gain at 5.0A" in links[1]
    assert "color by local resolution" in links[2]
    assert "palette 0,#bbbbbb:1,#6495ed:2,#ff8c00" in links[3]
    assert "show #5.4 models" in links[4]


def test_report_opens_in_the_help_viewer_and_the_folder_is_text(chimerax_session, tmp_path):
    """A file: link would replace the whole log, and shows nothing of a folder."""
    from chimerax.locscale.results.log_text import _links

    report = tmp_path / "my report.html"
    report.write_text("<p>")
    kept = SimpleNamespace(
        volume=SimpleNamespace(id_string="4"),
        files={"report": str(report), "folder": str(tmp_path), "record": str(tmp_path / "a.json")},
        parameters={},
        companions=[],
        record={},
    )
    links = _links(kept)
    assert f'<a href="cxcmd:open &quot;{report}&quot;">report</a>' in links
    assert f"files in <code>{tmp_path}</code>" in links
    assert "file:" not in "".join(links)
    report.unlink()
    assert not any(">report<" in link for link in _links(kept))


def test_duration_is_in_words(chimerax_session):
    from chimerax.locscale.results.log_text import _duration

    assert [_duration(seconds) for seconds in (8.4, 65, 600)] == ["8 s", "1 min 5 s", "10 min 0 s"]
