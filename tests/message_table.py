"""The page of messages in the manual, made by the tests: `make messages`.

    LOCSCALE_TABLE=lines.jsonl pytest tests/core tests/mpi
    python tests/message_table.py lines.jsonl > docs/messages.md

With the variable set, every refusal and every finding that a test causes, and every end of a
program that a test disturbs, becomes a line of that file.
"""

import functools
import json
import os
import re
import sys
from pathlib import Path

VARIABLE = "LOCSCALE_TABLE"
ROOT = Path(__file__).parents[1]
_TEMPORARY = re.compile(r"/tmp/pytest-of-\w+/pytest-\d+/[^/ ]+/?")
_NOT_SHOWN = ("fuzz", "test_no_header_makes_anything")
# modules of the core -> what a reader looks for, in the order of the page
_SECTIONS = {
    "Files of maps": ("mrc", "mrc_header", "files"),
    "Half maps and what was done to them": ("observed", "input_quality", "half_alignment",
                                            "resolution", "mask", "region"),
    "The model and its place": ("structure", "checks", "model_fit", "hybrid_model", "model_file",
                                "assembly", "pseudoatoms", "refinement_grid"),
    "Symmetry": ("symmetry", "symmetry_check", "map_symmetry", "point_groups", "turns"),
    "Parameters, words and job files": ("parameters", "cli_request", "cli_options",
                                        "legacy_options", "jobs", "scaling", "windows",
                                        "window_work", "weights"),
    "Everything else": ()}
_HEAD = """# Messages, caused

Made by the tests (`make messages`): every row is a test that causes what its first column says, on
real or simulated input, and the message that the program gave. Bad input ends with exit code 2 and
nothing written. What is behind a message, and what to do, stands in [](troubleshooting.md).
"""


def tell_table(kind, code, *messages, place=""):
    """Add what a test has caused, where a table is asked for."""
    path, test = os.environ.get(VARIABLE), os.environ.get("PYTEST_CURRENT_TEST", "")
    if path and test:
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps({"kind": kind, "code": code, "messages": messages,
                                     "place": place, "test": test.rpartition(" (")[0]}) + "\n")


def tell_of_messages():
    """From now on every InputError and every Finding of this process is told."""
    from locscale_hybrid.errors import InputError
    from locscale_hybrid.findings import Finding

    def refused(self, *arguments):
        Exception.__init__(self, *arguments)
        tell_table("input", self.exit_code, str(self), place=_place())

    found = Finding.__init__

    @functools.wraps(found)
    def noticed(self, *arguments, **keywords):
        found(self, *arguments, **keywords)
        tell_table(self.level, self.code, self.message, place=_place())

    InputError.__init__ = refused
    Finding.__init__ = noticed


def _place():
    """Module and line of the core that made the message."""
    frame = sys._getframe(2)
    return f"{Path(frame.f_code.co_filename).stem}:{frame.f_lineno}"


def rows_of(entries, *kinds):
    """Rows by section: one for each place in the source and test."""
    rows = {}
    for entry in entries:
        name = entry["test"].rpartition("::")[2].partition("[")[0].removeprefix("test_")
        if entry["kind"] in kinds and not any(word in entry["test"] for word in _NOT_SHOWN):
            words = " ".join(dict.fromkeys(entry["messages"])) or "—"
            rows.setdefault((entry["place"].partition(":")[0], entry["place"], name),
                            (entry["code"], _cell(words)))
    return rows


def _cell(words):
    """A message as the cell of a table, without the folders of this computer."""
    words = _TEMPORARY.sub("", words).replace(f"{ROOT}/", "").replace(str(ROOT), "")
    return re.sub(r"([|<>*_`\[\]$])", r"\\\1", " ".join(words.split()))


def table(rows, *titles):
    """Markdown of rows (cause, code, words)."""
    lines = [f"| {cause.replace('_', ' ')} | {code} | {words} |"
             for cause, code, words in sorted(set(rows))]
    return "\n".join(["| " + " | ".join(titles) + " |", "| --- | --- | --- |", *lines])


def sections(rows, *titles):
    """A table for each part of the program."""
    known = {module for modules in _SECTIONS.values() for module in modules}
    for title, modules in _SECTIONS.items():
        here = [(name, code, words) for (module, _, name), (code, words) in rows.items()
                if (module in modules if modules else module not in known)]
        if here:
            yield f"### {title}\n\n{table(here, *titles)}\n"


def page(entries):
    """The whole page."""
    faults = {}
    for (_, _, name), (code, words) in rows_of(entries, "fault").items():
        faults[name] = (name, code, words)
    return "\n".join([
        _HEAD, "## Bad input that is refused\n",
        *sections(rows_of(entries, "input"), "what a test does", "exit code", "message"),
        "## Odd input that is told\n",
        *sections(rows_of(entries, "warning", "note"), "what a test does", "code", "message"),
        "## Faults\n",
        "A negative exit code is the signal that ended the program itself. Wherever a run does not "
        "end with 0, inputs\nand old outputs are as they were and no temporary file and no process "
        "is left.\n",
        table(faults.values(), "what a test does", "exit code", "what the program says"), ""])


if __name__ == "__main__":
    given = [json.loads(line) for line in Path(sys.argv[1]).read_text("utf-8").splitlines()]
    print(page(given), end="")
