"""What the real core refuses and tells, as it is read in ChimeraX."""

import pytest
from real_case import make_case


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return make_case(tmp_path_factory.mktemp("case"))


@pytest.fixture
def opened(run, case):
    """Two half maps as #1 and #2 and a model as #3."""
    for path in case.values():
        run(f'open "{path}"')


def test_map_of_density_is_no_weight(refused, run, opened):
    assert run("volume scale #1 factor 3")
    text = refused("locscale hybrid #1 #2 model #3 weight #4")
    assert text.startswith("weight #4 half1.mrc scaled.mrc runs from -")
    assert "; a weight runs from 0 to 1: give such a map, or one of adaptive" in text


def test_opposed_halves_are_mended_by_a_command(refused, run, opened):
    run("volume scale #2 factor -1")
    assert "inverted. Type volume scale #4 factor -1 if it is that one, and give the new map." in (
        refused("locscale check #1 #4")
    )
    run("volume scale #4 factor -1")
    assert run("locscale check #1 #5") is not None


def test_inverted_contrast_is_mended_by_a_command(refused, run, opened):
    run("volume scale #1 #2 factor -1")
    text = refused("locscale check #4 #5 model #3 sym D2")
    assert text.endswith(". Type volume scale #4 #5 factor -1, and give the new maps.")
    run("volume scale #4 #5 factor -1")
    assert run("locscale check #6 #7 model #3 sym D2") == []


def test_hand_is_mended_by_a_command(run, opened):
    run("volume flip #1 #2 axis z")
    said = [
        found["message"]
        for found in run("locscale check #4 #5 model #3")
        if found["code"] == "hand-inverted"
    ]
    assert ". Type volume flip #4 #5 axis" in said[0] and said[0].endswith("give the new maps.")
    command = said[0].split("Type ")[1].split(",")[0]
    run(command)
    assert "hand-inverted" not in [found["code"] for found in run("locscale check #6 #7 model #3")]


def test_servalcat_is_installed_by_a_command_of_chimerax(refused, opened):
    import importlib.util

    if importlib.util.find_spec("servalcat"):
        pytest.skip("it is installed")
    assert refused("locscale hybrid #1 #2 model #3 refiner servalcat") == (
        "servalcat is not installed. Type pip install servalcat in the command line of ChimeraX, "
        "or use refiner own."
    )


def test_what_has_no_effect_is_told(session, run, opened):
    run(
        "locscale hybrid #1 #2 model #3 sym D2 stride 3 taper hann validate true "
        "subregion 10,10,10,100,100,100"
    )
    told = session.log.text("info")
    assert (
        "stride 3 and taper hann have no effect, because the map is scaled by bands and not by "
        "windows. Use scaling windows, leave out stride, or leave out taper."
    ) in told
    assert "Leave out validate." in told
    assert "x 13 to 61.1, y 13 to 61.1, z 13 to 61.1 Å" in told
