"""The page of messages: made by the tests, long enough, and of this source."""

import ast
import re
from pathlib import Path

import pytest

from tests.message_table import page

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/messages.md").read_text(encoding="utf-8")
STALE = "docs/messages.md is older than the source: make messages"


def rows(title):
    """Cells of the rows below a title of the second level."""
    part = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    cells = [
        re.split(r"(?<!\\)\|", line)[1:-1] for line in part.splitlines() if line.startswith("| ")
    ]
    return [
        tuple(cell.strip() for cell in row)
        for row in cells
        if row[0].strip() not in ("what a test does", "---")
    ]


REFUSED = rows("Bad input that is refused")
TOLD = rows("Odd input that is told")
FAULTS = rows("Faults")


def source_of_tests():
    return "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/*/test_*.py"))


def templates():
    """What is fixed of every text that the core puts together, from its source."""
    for path in (ROOT / "src/core/locscale_hybrid").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield [part.value for part in node.values if isinstance(part, ast.Constant)]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield [node.value]


def holds(message, parts):
    """Whether the parts stand in a message in their order."""
    place = 0
    for part in parts:
        place = message.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return True


def test_page_has_sixty_kinds_of_bad_input_and_fifteen_faults():
    assert len({message for _, _, message in REFUSED}) >= 60
    assert len({code for _, code, _ in TOLD}) >= 20
    assert len({cause for cause, _, _ in FAULTS}) >= 15


def test_every_row_is_a_test_that_is_there():
    known = set(re.findall(r"def test_(\w+)\(", source_of_tests()))
    missing = {
        cause for cause, _, _ in REFUSED + TOLD + FAULTS if cause.replace(" ", "_") not in known
    }
    assert missing == set(), STALE


def test_every_promise_names_tests_that_are_there():
    page = (ROOT / "docs/promises.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`test_(\w+)`", page))
    assert len(named) > 60
    assert named - set(re.findall(r"def test_(\w+)\(", source_of_tests())) == set()


def test_every_message_is_one_of_the_source():
    # what is nothing but values fits all
    known = [parts for parts in templates() if len("".join(parts)) > 12]
    strangers = [
        message
        for _, _, message in REFUSED + TOLD
        if not any(holds(re.sub(r"\\(.)", r"\1", message), parts) for parts in known)
    ]
    assert strangers == [], STALE


def test_refusals_end_with_2_and_have_one_line():
    assert {code for _, code, _ in REFUSED} == {"2"}
    assert all(message for _, _, message in REFUSED)


@pytest.mark.parametrize("word", ["/tmp/", "/root", "/home", "pytest-of"])
def test_no_folder_of_a_computer_is_named(word):
    assert word not in PAGE


def test_rows_are_those_of_the_lines_that_tests_wrote():
    test = "tests/core/test_mrc.py::test_what_is_no_map_is_refused[b-x]"
    refusal = {
        "kind": "input",
        "code": 2,
        "messages": ["/tmp/pytest-of-me/pytest-1/test_0/a.mrc is | empty (0 bytes)"],
        "place": "mrc:7",
        "test": test,
    }
    told = {
        "kind": "note",
        "code": "machine-stamp",
        "messages": ["odd"],
        "place": "mrc_header:9",
        "test": test,
    }
    fault = {
        "kind": "fault",
        "code": -9,
        "messages": [],
        "place": "",
        "test": "tests/core/test_faults.py::test_killed[1]",
    }
    text = page([refusal, refusal, told, fault])
    assert text.count("| what is no map is refused | 2 | a.mrc is \\| empty (0 bytes) |") == 1
    assert "### Files of maps" in text
    assert "| what is no map is refused | machine-stamp | odd |" in text
    assert "| killed | -9 | — |" in text
