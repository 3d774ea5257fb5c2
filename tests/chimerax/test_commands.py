"""What is typed: every wrong line ends in one sentence that helps."""

import pytest
from helpers import write_map

from locscale_hybrid.parameters import OUTPUTS


@pytest.mark.parametrize(
    "line, said",
    [
        (
            "locscale hybrid",
            "no map given: name two open half maps, or one full map, for example "
            "locscale hybrid #1 #2 model #3",
        ),
        ("locscale hybrid #9", '"#9" names no open model: open the half maps first'),
        ("locscale hybrid #3", '"#3" is no density map but AtomicStructure model.pdb'),
        ("locscale hybrid #1.1", '"#1.1" is the surface of #1 half1.mrc: name the map itself, #1'),
        ("locscale hybrid #1 #1", "#1 is given twice: name two different half maps"),
        ("locscale hybrid #1,1", "#1 is given twice"),
        (
            "locscale hybrid #1 #2 #4",
            "3 maps given (#1 half1.mrc, #2 half2.mrc, #4 third.mrc): name "
            "two half maps, or one full map",
        ),
        ("locscale hybrid #1 #2 model #1", '"#1" names no atoms: give an open atomic structure'),
        ("locscale hybrid #1 #2 model #9", '"#9" names no atoms'),
        (
            "locscale hybrid #1 #2 model #3 sym Q7",
            'symmetry "Q7" is unknown: give one of Cn and Dn',
        ),
        ("locscale hybrid #1 #2 resolution 0.2", "Must be greater than or equal to 1"),
        ("locscale hybrid #1 #2 resolution three", "Expected a number"),
        ("locscale hybrid #1 #2 window 500", "Must be less than or equal to 100"),
        ("locscale hybrid #1 #2 scaling magic", "Should be one of 'bands' or 'windows'"),
        ("locscale hybrid #1 #2 weight magic", "'smooth', or 'soft', or a map such as #4"),
        ("locscale hybrid #1 #2 refiner refmac", "Should be one of 'none', 'own', or 'servalcat'"),
        ("locscale hybrid #1 #2 fdr 2", "Must be less than or equal to 0.5"),
        ("locscale hybrid #1 #2 outputs everything", "Should be one of"),
        ("locscale hybrid #1 #2 processes 0", "Must be greater than or equal to 1"),
        (
            "locscale hybrid #1 #2 mpiexec /no/such/mpiexec",
            "File '/no/such/mpiexec' does not exist",
        ),
        ("locscale hybrid #1 #2 saveTo /no/such/folder/at/all", "cannot be made (No such file"),
        ("locscale hybrid #1 #2 processes 100000", "100000 processes are too many for"),
        (
            "locscale hybrid #1 #2 processes 100000",
            "are started. Give fewer processes (keyword processes), or leave out processes to use all "
            "cores.",
        ),
        ("locscale hybrid #1 #2 #3", '#3 is an atomic structure, not a map: write "model #3"'),
        ("locscale hybrid #1-3", '#3 is an atomic structure, not a map: write "model #3"'),
        ("locscale hybrid #9 #2 model #3", '"#9" names no open model: open the half maps first'),
        ("locscale hybrid #2,9 model #3", '"#9" names no open model'),
        ("locscale hybrid #1 #9/A", '"#9/A" names no open model'),
        ("locscale hybrid #1 #3/A:1-3", '#3 is an atomic structure, not a map: write "model #3"'),
        (
            "locscale hybrid #1.1 #2",
            '"#1.1" is the surface of #1 half1.mrc: name the map itself, #1',
        ),
        ("locscale hybrid #1-2 #2", "#2 is given twice"),
        (
            "locscale hybrid #1 #2 mask #3",
            'mask "#3" is no density map but AtomicStructure model.pdb: '
            "give an open map, for example mask #5",
        ),
        (
            "locscale hybrid #1 #2 mask sel",
            'mask "sel" names no map, since nothing is selected: '
            "select what is meant, or name it by its number",
        ),
        (
            "locscale hybrid sel",
            '"sel" names no map, since nothing is selected: select what is meant',
        ),
        ("locscale hybrid #1 #2 mask #9", 'mask "#9" names no open model: give an open map'),
        (
            "locscale hybrid #1 #2 mask #1.1",
            'mask "#1.1" is the surface of #1 half1.mrc: name the map itself, #1',
        ),
        (
            "locscale hybrid #1 #2 mask #1,2",
            'mask "#1,2" names 2 maps (#1 half1.mrc, #2 half2.mrc): '
            "give one of them, for example mask #5",
        ),
        (
            "locscale hybrid #1 #2 weight #3",
            'weight "#3" is no density map but AtomicStructure '
            "model.pdb: give a map with values from 0 to 1, for "
            "example weight #5, or one of adaptive",
        ),
        (
            "locscale hybrid update #9",
            'update "#9" names no open model: give a map that locscale '
            "hybrid made, and there is none yet",
        ),
        (
            "locscale hybrid update #4 #1 model #3",
            'update "#4 #1" names 2 maps (#4 third.mrc, #1 half1.mrc): give the result alone, for example '
            "update #4; the maps to be sharpened stand in front, locscale hybrid #1 #2 update #4",
        ),
        (
            "locscale info #3",
            'locscale info "#3" is no density map but AtomicStructure model.pdb: give '
            "a map that locscale hybrid made, and there is none yet",
        ),
        (
            "locscale hybrid #1 #2 zone sel",
            "nothing is selected: select atoms first, or name them, for example zone #3:10-40",
        ),
        (
            "locscale hybrid #1 #2 model sel",
            "nothing is selected: select atoms first, or name them, for example model #3",
        ),
        ("locscale hybrid #1 #2 seed 2000000000", "Must be less than or equal to 1000000000"),
        (
            "locscale hybrid #1 #2 window 20 windowVoxels 15",
            "windowVoxels 15 and window 20 both set the window: give it in voxels or in Å",
        ),
        ("locscale hybrid #1 #2 sym D2 symmetry D2", "sym and symmetry mean the same: give one"),
        ("locscale hybrid #1 #2 bogus 1", "Expected a keyword"),
        (
            "locscale hybrid #1 #2 zone #9",
            '"#9" names no atoms: give an open atomic structure, for '
            "example zone #3:10-40, or those that are selected, "
            "zone sel",
        ),
        (
            "locscale hybrid #1 #2 zone #3 subregion 1,1,1,5,5,5",
            "zone and subregion both say which part of the map is sharpened: give one of them",
        ),
        ("locscale hybrid #1 #2 range 4", "range 4 tells how far a zone reaches: give atoms too"),
        ("locscale hybrid #1 #2 subregion 1,2,3", "Must specify 6 comma-separated integers"),
        (
            "locscale hybrid #1 #2 subregion 9,1,1,5,5,5",
            "must be less than or equal to axis maximum",
        ),
        (
            "locscale hybrid #1 #2 subregion 50,0,0,60,5,5",
            "holds no voxel of the map, which has x 5 to 38.6, y -7 to 21.8, z 9 to 33 Å: give a region "
            "inside it, or leave it out (the map is #1 half1.mrc)",
        ),
        ("locscale hybrid #1 #2 refineCoordinates /no/such/library", "does not exist"),
        (
            "locscale hybrid #1 #2 refineCoordinates /tmp",
            "refineCoordinates refines the model, and none is given: name it, for example model #3",
        ),
        (
            "locscale hybrid update #1",
            "#1 half1.mrc was not made by locscale hybrid, so there is nothing to update",
        ),
        (
            "locscale info #1",
            "#1 half1.mrc was not made by locscale hybrid in this session; nothing was yet",
        ),
        ("locscale check #3", "is no density map"),
        ("locscale check", "Missing or invalid"),
    ],
)
def test_wrong_line_is_told_what_to_do(run, refused, opened, tmp_path, line, said):
    run("open " + write_map(tmp_path / "third.mrc"))
    assert said in refused(line)
    assert not list(tmp_path.glob("locscale-*"))


def test_selection_without_atoms_is_told_as_such(run, refused, opened):
    run("select #1")
    assert "no atoms are selected: select atoms" in refused("locscale hybrid #1 #2 zone sel")


def test_maps_may_be_named_in_any_way_that_names_them(run, opened, tmp_path):
    """In one list, a range, a group with a model in it, by a selection."""
    run("open " + write_map(tmp_path / "sub.mrc"))
    run("rename #4 id #2.5")  # a map below a map does not count
    assert run("locscale hybrid #1,2 model #3")
    assert run("locscale hybrid #1-2")
    assert run("locscale hybrid #2.5 #1")
    run("close #2.5")
    run("select #1")
    assert run("locscale hybrid sel")
    assert run("locscale hybrid #1|#2")
    assert run("locscale hybrid #1-3&~#3")
    run("rename #1-3 id #90")
    assert run("locscale hybrid #90 model #90.3")
    assert run("locscale hybrid #90.1,2")


def test_result_is_found_under_what_goes_with_it(run, refused, opened, tmp_path):
    volume = run("locscale hybrid #1 #2 model #3")
    number = volume.id_string
    run("open " + write_map(tmp_path / "below.mrc"))
    run(f"rename #5 id #{number}.7")
    assert run(f"locscale hybrid update #{number}") is volume
    assert run(f"locscale info #{number}")
    run(f"rename #1,2,{number} id #8")
    assert run("locscale info #8") == run(f"locscale info #{volume.id_string}")
    made = f"give a map that locscale hybrid made, for example update #{volume.id_string}"
    assert made in refused("locscale hybrid update #3")


def test_what_goes_with_a_result_is_told_apart_from_it(run, refused, opened):
    assert run("locscale hybrid #1 #2 model #3 outputs all").id_string == "4"
    for number in ("#5", "#5.1"):  # the group, the linear map
        assert refused(f"locscale hybrid update {number}") == (
            f'update "{number}" names what goes with the result #4 half1.mrc LocScale: give the '
            "result itself, update #4"
        )
    assert "give the result itself, locscale info #4" in refused("locscale info #5")
    assert "give the result alone, for example update #4" in refused("locscale hybrid update #1,4")


def test_keywords_may_be_shortened(run, opened):
    assert run("locscale hybrid #1 #2 mod #3 sym D2 res 3.5 win 20 scal win wei smooth pro 1")


@pytest.mark.parametrize(
    "words", ["symmetry D2", "symm D2", "sym D2", "symmetry D2 symmetryCentre 14,12,10"]
)
def test_symmetry_may_be_spelled_out(run, opened, words):
    volume = run(f"locscale hybrid #1 #2 {words}")
    assert run(f"locscale info #{volume.id_string}")["parameters"]["point_group"] == "D2"


def test_half_map_whose_other_half_is_open_or_beside_it_is_told(session, run, opened):
    run("locscale hybrid #1")
    said = "#1 half1.mrc has the name of a half map, and #2 half2.mrc is open; give both as half"
    assert said in session.log.text("warning")
    run("close #2")
    codes = [finding["code"] for finding in run("locscale check #1")]
    assert codes.count("partner-half-map") == 1
    assert "and half2.mrc is in the same folder. Give both as half maps." in session.log.text(
        "warning"
    )
    assert "partner-half-map" in [finding["code"] for finding in run("locscale check #1")]


def test_two_half_maps_have_no_partner_to_be_told_of(run, opened):
    assert "partner-half-map" not in [found["code"] for found in run("locscale check #1 #2")]


def test_every_parameter_of_the_core_has_a_keyword(chimerax_session):
    """Except what the map itself says in ChimeraX."""
    from chimerax.locscale.keywords import KEYWORDS

    from locscale_hybrid.parameters import HybridParameters

    keywords = {keyword.parameter for keyword in KEYWORDS}
    rest = {"voxel_size", "outputs", "region"}  # region: zone and subregion
    assert set(HybridParameters().as_dict()) - keywords == rest


def test_every_keyword_in_a_message_is_an_argument_of_the_command(chimerax_session):
    from chimerax.locscale.commands.commands import hybrid_description
    from chimerax.locscale.words import WORDS

    assert set(WORDS.terms.values()) <= set(hybrid_description()._keyword_map)


def test_every_keyword_is_an_argument_of_the_command(chimerax_session):
    from chimerax.locscale.commands.commands import hybrid_description
    from chimerax.locscale.keywords import KEYWORDS

    typed = hybrid_description()._keyword_map
    assert {keyword.name for keyword in KEYWORDS} <= set(typed)
    assert all(typed[keyword.name][0] == keyword.python_name for keyword in KEYWORDS)


def test_usage_names_the_inputs_and_the_values(session, run):
    run("usage locscale hybrid")
    text = session.log.text("info")
    assert "locscale hybrid [maps]" in text and "scaling" in text
    assert "one of 'bands' or 'windows'" in text
    assert "window _5 to 100 Å_" in text


def test_values_reach_the_core(run, opened):
    volume = run(
        "locscale hybrid #1 #2 sym D2 window 30 noiseWeight false symmetryCenter 14,12,10 "
        "outputs all seed 7"
    )
    parameters = run(f"locscale info #{volume.id_string}")["parameters"]
    assert parameters["point_group"] == "D2" and parameters["window"] == 30
    assert parameters["noise_weight"] is False and parameters["seed"] == 7
    assert parameters["symmetry_centre"] == [14, 12, 10]
    assert parameters["outputs"] == sorted(OUTPUTS)


def test_map_as_weight_is_handed_over_as_a_file(run, opened, tmp_path):
    run("open " + write_map(tmp_path / "weight.mrc"))
    volume = run("locscale hybrid #1 #2 weight #4")
    assert run(f"locscale info #{volume.id_string}")["parameters"]["weight"] == "file"


def test_marker_set_is_no_model(session, run, refused, opened):
    from chimerax.markers import MarkerSet

    markers = MarkerSet(session, name="my markers")
    markers.create_marker((1, 2, 3), (255, 0, 0, 255), 1.0)
    session.models.add([markers])
    text = refused(f"locscale hybrid #1 #2 model #{markers.id_string}")
    assert "is MarkerSet, no atomic model: give an atomic structure" in text


def test_help_page_of_the_command_is_found(chimerax_session):
    import os

    from chimerax.core import toolshed

    for page in (
        "commands/locscale.html",
        "tools/locscalehybrid.html",
        "tools/locscaletutorial.html",
    ):
        assert any(
            os.path.exists(os.path.join(folder, "user", page))
            for folder in toolshed.get_help_directories()
        )


def test_pages_link_to_pictures_and_pages_that_are_shipped(chimerax_session):
    """Pages of ChimeraX itself are not here."""
    import re
    from pathlib import Path

    from chimerax import locscale

    user = Path(locscale.__path__[0]) / "docs" / "user"
    pages = sorted(user.glob("*/*.html"))
    assert len(pages) == 3
    for page in pages:
        links = re.findall(r'(?:src|href)="([^"#:]+)', page.read_text(encoding="utf-8"))
        ours = [link for link in links if "locscale" in link]
        assert ours and all((page.parent / link).is_file() for link in ours), page
        assert any(link.endswith(".png") for link in ours)


def test_help_page_explains_every_keyword_of_every_command(chimerax_session):
    from html.parser import HTMLParser
    from pathlib import Path

    from chimerax import locscale
    from chimerax.locscale.commands.commands import check_description, hybrid_description

    class Page(HTMLParser):
        bold, words, anchors = False, set(), set()

        def handle_starttag(self, tag, attributes):
            self.bold = tag == "b"
            if tag == "a":
                self.anchors.add(dict(attributes).get("name"))

        def handle_data(self, data):
            if self.bold:
                self.words.add(data.strip())

    page = Page()
    folder = Path(locscale.__path__[0]) / "docs" / "user"
    page.feed((folder / "commands" / "locscale.html").read_text(encoding="utf-8"))
    typed = {*hybrid_description()._keyword_map, *check_description()._keyword_map} - {"maps"}
    assert typed <= page.words
    assert {"hybrid", "check", "info", "stop", "tutorial"} <= page.anchors
