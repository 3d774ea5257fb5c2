"""Options are described once: docstring, help, manual and the page of ChimeraX say the same."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from locscale_hybrid import HybridInputs, HybridParameters
from locscale_hybrid.cli.help_texts import field_of
from locscale_hybrid.cli.options import build_parser
from locscale_hybrid.option_texts import option_texts
from locscale_hybrid.parameters import OUTPUTS, RANGES, REFINERS, SCALINGS, TAPERS, WEIGHTS

ROOT = Path(__file__).parents[2]
FIELDS_OF_A_RUN = [
    field.name for owner in (HybridInputs, HybridParameters) for field in dataclasses.fields(owner)
]
PARAMETERS = {field.name: field.default for field in dataclasses.fields(HybridParameters)}
CHOICES = {"scaling": SCALINGS, "refiner": REFINERS, "taper": TAPERS, "weight": (*WEIGHTS, "file")}


def test_every_input_and_parameter_is_described_in_the_order_of_its_class():
    assert list(option_texts()) == FIELDS_OF_A_RUN


@pytest.mark.parametrize("name", RANGES)
def test_range_in_the_text_is_the_one_that_is_enforced(name):
    _, low, high, unit = RANGES[name]
    assert option_texts()[name].limits == f"{low:g} to {high:.12g} {unit}".strip()


@pytest.mark.parametrize("name, value", PARAMETERS.items())
def test_default_in_the_text_is_the_one_that_is_used(name, value):
    text = option_texts()[name].default
    if value in (None, frozenset()):
        assert text.startswith("default: ")
    else:
        assert text == f"default {value:g}" if type(value) is float else f"default {value}"


@pytest.mark.parametrize("name, words", CHOICES.items())
def test_choices_in_the_text_are_those_that_are_accepted(name, words):
    assert option_texts()[name].kind == f"{{{', '.join(words)}}}"


def test_every_output_map_is_named():
    assert all(re.search(rf"\b{name}\b", option_texts()["outputs"].effect) for name in OUTPUTS)


@pytest.mark.parametrize("name", FIELDS_OF_A_RUN)
def test_text_is_of_full_sentences_that_begin_with_a_verb(name):
    text = option_texts()[name]
    assert re.match(
        "(Add|Choose|Cross-validate|Cut|Fade|Read|Refine|Repeat|Scale|Set|Start|Weight|Write) ",
        text.effect,
    )
    assert text.effect.endswith(".") and text.sentences().endswith(".")
    assert text.advice.endswith(".") or name not in PARAMETERS


def test_help_of_every_option_of_a_parameter_is_its_text():
    said = {field_of(action): action.help or "" for action in build_parser()._actions}
    del said[""]
    assert set(said) == set(FIELDS_OF_A_RUN) - {"half_map_2", "weight_map"}
    for name in set(said) - {"noise_weight", "outputs", "complete_model"}:
        assert option_texts()[name].effect[:16] in said[name].replace("%%", "%")


def test_no_option_is_without_help():
    assert all(action.help for action in build_parser()._actions)


def test_parameter_named_in_a_text_is_an_option_in_help(capsys):
    text = build_parser().format_help()
    assert "only with --scaling windows" in " ".join(text.split())
    assert "`" not in text


def test_tables_of_the_manual_and_page_of_chimerax_are_current(tmp_path):
    subprocess.run(
        [sys.executable, ROOT / "docs/pictures/options.py", tmp_path, tmp_path / "page.html"],
        check=True,
    )
    made = {path.name: path.read_text("utf-8") for path in tmp_path.glob("*.md")}
    kept = {p.name: p.read_text("utf-8") for p in (ROOT / "docs/tables").glob("options_*.md")}
    assert made == kept, "make options"
    page = ROOT / "src/docs/user/commands/locscale.html"
    assert (tmp_path / "page.html").read_text("utf-8") == page.read_text("utf-8"), "make options"


def test_page_of_chimerax_has_every_parameter_that_is_one_of_its_keywords():
    page = (ROOT / "src/docs/user/commands/locscale.html").read_text("utf-8")
    places = set(re.findall(r"<!--(\w+)-->", page))
    # The command says these in its own way: an open map's voxel size, a zone, and what to open.
    assert set(PARAMETERS) - places == {"voxel_size", "region", "outputs"}


def test_python_that_drops_docstrings_runs_without_them():
    code = "from locscale_hybrid.cli.main import main; raise SystemExit(main(['--help']))"
    done = subprocess.run(
        [sys.executable, "-OO", "-c", code], check=True, capture_output=True, text=True
    )
    assert "--window" in done.stdout
