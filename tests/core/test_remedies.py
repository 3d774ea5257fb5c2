"""Facts and remedies, worded by each front end from its own table."""

import dataclasses
import pickle

import pytest

from locscale_hybrid.cli.options import build_parser
from locscale_hybrid.cli.words import COMMAND_LINE
from locscale_hybrid.errors import InputError, LocScaleError
from locscale_hybrid.files.codec import decode, encode
from locscale_hybrid.findings import Finding
from locscale_hybrid.parameters import HybridInputs, HybridParameters
from locscale_hybrid.pipeliner.words import PIPELINER
from locscale_hybrid.remedies import (
    PYTHON,
    SETTINGS,
    Remedy,
    do,
    flip,
    give,
    install,
    invert,
    leave_out,
    move,
    report_fault,
    use,
)
from tests.front_ends import CHIMERAX, FRONT_ENDS, foreign_words, problems_of

FIELDS = [
    field.name for kind in (HybridInputs, HybridParameters) for field in dataclasses.fields(kind)
]
# Both halves are one remedy; a switch is used; a result and a folder cannot be left out.
_NAMED = [name for name in (*FIELDS, *SETTINGS) if not name.startswith("half_map_")]
_SWITCHES = ("resume", "launcher")
_ALWAYS = ("output", "temporary_folder")
EXAMPLES = [
    *(give(name) for name in _NAMED if name not in _SWITCHES),
    *(leave_out(name) for name in _NAMED if name not in ("resume", *_ALWAYS)),
    *(use(field.name, field.default) for field in dataclasses.fields(HybridParameters)),
    use("complete_model", False),
    use("noise_weight", False),
    use("validate", True),
    use("resume", True),
    use("launcher", True),
    move((1.0, 0.0, -2.5)),
    invert(),
    flip("xyz"),
    install("servalcat"),
    report_fault(),
    do("crop the maps"),
]


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_every_remedy_has_a_word_in_every_front_end_and_none_of_another(front_end):
    words = FRONT_ENDS[front_end]
    unknown = [remedy for remedy in EXAMPLES if not words.knows(remedy)]
    assert unknown == []
    foreign = {
        phrase: foreign_words(phrase, front_end)
        for phrase in map(words.phrase, EXAMPLES)
        if foreign_words(phrase, front_end)
    }
    assert foreign == {}


def test_every_term_of_the_command_line_is_an_option_of_it():
    options = {option for action in build_parser()._actions for option in action.option_strings}
    assert set(COMMAND_LINE.terms.values()) <= options


@pytest.mark.parametrize(
    ("remedy", "command_line", "chimerax", "pipeliner", "python"),
    [
        (
            give("resolution", when="if you know it"),
            "give the resolution (-res) if you know it",
            "give the resolution (keyword resolution) if you know it",
            'give the resolution ("Resolution (Å)") if you know it',
            "give the resolution (`resolution`) if you know it",
        ),
        (
            give("half_maps"),
            "give two half maps (-hm)",
            "give two half maps",
            'give two half maps ("Half map 1" and "Half map 2")',
            "give two half maps (`half_map_1`, `half_map_2`)",
        ),
        (
            use("complete_model", True),
            "use --complete_model",
            "use completeModel true",
            'set "Fill what the model leaves out?" to Yes',
            "set `complete_model` to True",
        ),
        (
            use("window_voxels", 21),
            "use -wn 21",
            "use windowVoxels 21",
            'use -wn 21 under "Additional arguments"',
            "set `window_voxels` to 21",
        ),
        (
            leave_out("mask"),
            "leave out -ma",
            "leave out mask",
            'leave "Mask" empty',
            "leave out `mask`",
        ),
        (
            flip("z"),
            "flip the map along z",
            "type volume flip #1 #2 axis z, and give the new maps",
            "flip the map along z",
            "flip the map along z",
        ),
        (
            give("voxel_size"),
            "give the voxel size (--apix)",
            "set the voxel size with the command volume voxelSize",
            'give the voxel size (--apix) under "Additional arguments"',
            "give the voxel size (`voxel_size`)",
        ),
    ],
)
def test_one_remedy_in_the_words_of_each_front_end(
    remedy, command_line, chimerax, pipeliner, python
):
    assert COMMAND_LINE.phrase(remedy) == command_line
    assert CHIMERAX.phrase(remedy) == chimerax
    assert PIPELINER.phrase(remedy) == pipeliner
    assert PYTHON.phrase(remedy) == python


def test_remedies_are_the_second_sentence_of_a_message():
    error = InputError("a.mrc is empty (0 bytes)", do("copy it again"))
    assert str(error) == "a.mrc is empty (0 bytes). Copy it again."
    three = InputError("a", do("b"), do("c"), do("d"))
    assert str(three) == "a. B, c, or d."


def test_error_without_a_remedy_is_its_fact():
    assert str(InputError("a.mrc is empty")) == "a.mrc is empty"


def test_remedy_that_a_front_end_has_not_is_left_out():
    error = InputError("it is full", do("make room"), give("processing_folder", "another folder"))
    assert error.worded(COMMAND_LINE) == "it is full. Make room, or give another folder (-op)."
    assert error.worded(CHIMERAX) == "it is full. Make room."


def test_braces_of_a_file_name_are_kept():
    error = InputError("x{0}.mrc is empty", give("mask", "another {mask}"))
    assert error.worded(COMMAND_LINE) == "x{0}.mrc is empty. Give another {mask} (-ma)."


def test_errors_travel_between_processes_with_their_remedies():
    error = pickle.loads(pickle.dumps(InputError("a", give("mask"))))
    assert (error.fact, error.remedies) == ("a", (give("mask"),))


def test_findings_come_back_from_json_and_from_kept_stages():
    finding = Finding("a-code", "note", "a fact", {"x": 1.5}, (give("mask"), do("b", when="if c")))
    assert Finding.from_dict(finding.as_dict()) == finding
    assert decode(Finding, *encode(finding)) == finding


def test_remedy_as_json_leaves_out_what_is_empty():
    assert leave_out("mask").as_dict() == {"action": "leave_out", "name": "mask"}
    assert Remedy.from_dict({"action": "leave_out", "name": "mask"}) == leave_out("mask")


def test_a_foreign_word_is_found():
    """The look that every test takes at what it causes."""
    for fact in ("use --mask", "give (-hm)", "see completeModel"):
        assert problems_of(LocScaleError(fact), "inputs/checks.py")
    assert problems_of(LocScaleError("a", do("give it with -ma")), "inputs/checks.py")
    assert problems_of(LocScaleError("a", give("no_such_option")), "inputs/checks.py")
    fine = LocScaleError("cross-ma-tch of /x/-a.mrc at -1", do("crop the map"))
    assert problems_of(fine, "inputs/checks.py") == []
