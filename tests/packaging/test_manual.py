"""The manual says what the program says."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from locscale_hybrid.parameters import OUTPUTS

ROOT = Path(__file__).parents[2]
TROUBLESHOOTING = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
FILES = (ROOT / "docs/files.md").read_text(encoding="utf-8")
COMMAND_LINE = (ROOT / "docs/commandline.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.packaging


def calls() -> Iterator[ast.Call]:
    for path in sorted((ROOT / "src/core").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield node


def name_of(call: ast.Call) -> str:
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def finding_codes() -> set[str]:
    return {
        call.args[0].value
        for call in calls()
        if name_of(call) == "Finding" and call.args and isinstance(call.args[0], ast.Constant)
    }


def source_text() -> str:
    """All text of the core, with formatted strings as they read but for their values."""
    texts = []
    for path in sorted((ROOT / "src/core").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [
                    part.value if isinstance(part, ast.Constant) else "…" for part in node.values
                ]
                texts.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def anchors() -> set[str]:
    """Targets of the page: what terminal, log and report link to, troubleshooting.html#code."""
    return set(re.findall(r"^\(([a-z0-9-]+)\)=$", TROUBLESHOOTING, re.MULTILINE))


def test_every_finding_has_its_heading_with_its_code_as_anchor() -> None:
    assert finding_codes() - anchors() == set()
    shown = set(
        re.findall(r"`([a-z0-9-]+)`", "".join(re.findall(r"^### .*", TROUBLESHOOTING, re.M)))
    )
    assert finding_codes() - shown == set()


def test_no_finding_is_explained_that_does_not_exist() -> None:
    explained = {anchor for anchor in anchors() if not anchor.startswith("error-")}
    assert explained - finding_codes() == set()


def test_every_message_explained_is_one_of_the_program() -> None:
    known = source_text()
    quoted = [
        phrase
        for line in TROUBLESHOOTING.splitlines()
        if line.startswith("**")
        for phrase in re.findall(r'"([^"]+)"', line)
    ]
    assert len(quoted) > 20
    strangers = [
        phrase for phrase in quoted if not all(part.strip() in known for part in phrase.split("…"))
    ]
    assert strangers == []


def test_every_option_has_its_line_and_no_line_is_without_option() -> None:
    asked = subprocess.run(
        [sys.executable, "-m", "locscale_hybrid", "--help"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    offered = set(re.findall(r"(?<!\w)--[a-z_]+", asked))
    tables = re.findall(r"\{include\} (tables/options_\S+)", COMMAND_LINE)
    text = "\n".join((ROOT / "docs" / name).read_text("utf-8") for name in tables)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    explained = {option for row in rows for option in re.findall(r"`(--[a-z_]+)", row)}
    assert explained == offered


def test_every_field_of_the_record_is_explained_and_every_output() -> None:
    schema = json.loads((ROOT / "src/core/locscale_hybrid/record_schema.json").read_text("utf-8"))
    rows = [line.split("|")[1] for line in FILES.splitlines() if line.startswith("| `")]
    explained = {word for row in rows for word in re.findall(r"`([A-Za-z_]+)`", row)}
    assert set(schema["properties"]) <= explained
    assert set(OUTPUTS) - {"linear"} <= explained


def test_tables_that_scripts_wrote_are_there_for_every_page() -> None:
    included = {
        name
        for page in (ROOT / "docs").glob("*.md")
        for name in re.findall(r"\{include\} (tables/\S+)", page.read_text("utf-8"))
    }
    assert len(included) > 5
    assert [name for name in sorted(included) if not (ROOT / "docs" / name).read_text()] == []


def test_tables_of_the_validation_page_are_those_of_its_figures() -> None:
    code = (
        "import json, validation as v; found = json.loads(v.STORE.read_text()); "
        "print([name for name, text in v.tables(found).items() "
        "if (v.TABLES / f'{name}.md').read_text() != text + '\\n'])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=ROOT / "benchmarks",
        capture_output=True,
        text=True,
    ).stdout
    assert answer.strip() == "[]"


def test_tables_of_the_harder_cases_are_those_of_their_figures() -> None:
    code = (
        "import json, hard_validation as v; found = v._in_order(json.loads(v.STORE.read_text())); "
        "print([name for name, text in v.written(found).items() "
        "if (v.TABLES / f'{name}.md').read_text() != text + '\\n'])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=ROOT / "benchmarks",
        capture_output=True,
        text=True,
    ).stdout
    assert answer.strip() == "[]"


def test_tables_of_costs_are_those_of_its_figures() -> None:
    code = (
        "import json, costs; found = json.loads(costs.STORE.read_text()); "
        "print([name for name, text in costs.tables(found).items() "
        "if (costs.TABLES / f'{name}.md').read_text() != text + '\\n'])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=ROOT / "benchmarks",
        capture_output=True,
        text=True,
    ).stdout
    assert answer.strip() == "[]"


def test_measured_numbers_in_the_text_are_those_of_the_tables() -> None:
    """The answer names the pages that have drifted; `make figures` puts them right."""
    asked = [sys.executable, str(ROOT / "docs/figures.py"), "--check"]
    assert subprocess.run(asked, capture_output=True, text=True).stdout.startswith("all numbers")


def test_a_number_that_has_drifted_is_put_right() -> None:
    code = (
        "import figures; "
        "print(figures.placed('0.9<!--= x -->, 79<!--= y -->%', {'x': '0.07', 'y': '81'}))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=ROOT / "docs", capture_output=True, text=True
    ).stdout
    assert answer.strip() == "0.07<!--= x -->, 81<!--= y -->%"


def test_cases_that_symmetry_completes_are_one_case() -> None:
    """The tables show plasmepsin once, because fewer chains in the model change nothing."""
    cases = json.loads((ROOT / "docs/tables/truth.json").read_text("utf-8"))
    whole = cases["plasmepsin-D2-3.2"]["policies"]
    for name in ("plasmepsin-D2-one-chain", "plasmepsin-D2-two-chains"):
        for weight, figures in cases[name]["policies"].items():
            assert figures == pytest.approx(whole[weight], abs=1e-3)


def test_every_make_target_that_a_page_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z][\w.-]*):", makefile, re.MULTILINE))
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md", ROOT / "README.md"]
    named = {
        target
        for page in pages
        for words in re.findall(r"(?:`|^)make ([a-z][a-z .0-9-]*)", page.read_text("utf-8"), re.M)
        for target in words.split()
    }
    assert {"test-fast", "coverage", "venv-dev"} <= named <= targets


def test_tests_of_test_fast_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", " ")
    listed = re.search(
        r"^fast_tests := \$\(patsubst .*?,.*?,(.*?)\) +(\S+)::(\S+)$", makefile, re.M
    )
    assert listed is not None
    files = [ROOT / f"tests/core/test_{name}.py" for name in listed[1].split()]
    assert len(files) > 20 and all(path.exists() for path in files)
    assert f"def {listed[3]}(" in (ROOT / listed[2]).read_text("utf-8")
