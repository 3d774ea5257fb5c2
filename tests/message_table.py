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
_TEMPORARY = re.compile(r"/tmp/pytest-of-\w+/pytest-\d+/[^/ ;:,]+/?")
_NOT_SHOWN = (
    "fuzz",
    "test_no_header_makes_anything",
    "test_any_json_is",
    "test_no_text_makes_anything",
)
# modules of the core -> what a reader looks for, in the order of the page
_SECTIONS = {
    "Files of maps": ("mrc", "mrc_header", "mrc_cell", "map_frame", "map_values", "atomic"),
    "Half maps and what was done to them": (
        "half_maps",
        "quality",
        "half_alignment",
        "half_noise",
        "half_scale",
        "half_turns",
        "outer_mask",
        "resolution",
        "mask",
        "given_mask",
        "region",
    ),
    "The model and its place": (
        "structure",
        "text",
        "parts",
        "content",
        "elements",
        "atom_site",
        "box_atoms",
        "checks",
        "plausibility",
        "coverage",
        "model_fit",
        "hybrid_model",
        "mmcif",
        "assembly",
        "placement",
        "setup",
    ),
    "Symmetry": ("operators", "symmetry_check", "detection", "point_groups", "rotation"),
    "Parameters, words and job files": (
        "parameters",
        "request",
        "options",
        "legacy",
        "job_file",
        "scale",
        "windows",
        "window_tasks",
        "viewing_weight",
        "reading",
    ),
    "Everything else": (),
}
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
            stream.write(
                json.dumps(
                    {
                        "kind": kind,
                        "code": code,
                        "messages": messages,
                        "place": place,
                        "test": test.rpartition(" (")[0],
                    }
                )
                + "\n"
            )


def tell_of_messages():
    """From now on every InputError and every Finding of this process is told."""
    from locscale_hybrid.cli.words import COMMAND_LINE
    from locscale_hybrid.errors import InputError
    from locscale_hybrid.findings import Finding

    raised = InputError.__init__

    @functools.wraps(raised)
    def refused(self, *arguments):
        raised(self, *arguments)
        message = self.worded(COMMAND_LINE)
        tell_table("input", self.exit_code, message, place=_place())

    found = Finding.__init__

    @functools.wraps(found)
    def noticed(self, *arguments, **keywords):
        found(self, *arguments, **keywords)
        tell_table(self.level, self.code, self.worded(COMMAND_LINE), place=_place())

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
        # a test may make one itself, and a kept stage brings one back
        of_a_test = entry["place"].startswith(("test_", "<cattrs"))
        if (
            entry["kind"] in kinds
            and not of_a_test
            and not any(word in entry["test"] for word in _NOT_SHOWN)
        ):
            rows.setdefault(
                (entry["place"].partition(":")[0], entry["place"], _name(entry)),
                (entry["code"], _cell(" ".join(entry["messages"]))),
            )
    return rows


def fault_rows(entries):
    """Rows of faults: one for each test and what the program said, numbers aside."""
    rows = {}
    for entry in (entry for entry in entries if entry["kind"] == "fault"):
        words = _cell(" ".join(dict.fromkeys(entry["messages"])))
        rows.setdefault(
            (_name(entry), re.sub(r"\d+", "", words)), (_name(entry), entry["code"], words or "—")
        )
    telling = {name for name, words in rows if words}
    # an undisturbed run, made to compare with, says nothing
    return [row for (name, words), row in rows.items() if words or name not in telling]


def _name(entry):
    """What a test does, by its name."""
    return entry["test"].rpartition("::")[2].partition("[")[0].removeprefix("test_")


def _cell(words):
    """A message as the cell of a table, without the folders of this computer."""
    words = _TEMPORARY.sub(lambda path: "" if path[0].endswith("/") else "folder", words)
    words = re.sub(r"\b(locscale|run|placement)-[a-z0-9_]{8}\b", r"\1-…", words)
    for folder, name in ((sys.prefix, ".venv"), (f"{ROOT}/", ""), (str(ROOT), "")):
        words = words.replace(folder, name)
    return re.sub(r"([|<>*_`\[\]$])", r"\\\1", " ".join(words.split()))


def table(rows, *titles):
    """Markdown of rows (cause, code, words)."""
    lines = [
        f"| {cause.replace('_', ' ')} | {code} | {words} |"
        for cause, code, words in sorted(set(rows))
    ]
    return "\n".join(["| " + " | ".join(titles) + " |", "| --- | --- | --- |", *lines])


def sections(rows, *titles):
    """A table for each part of the program."""
    known = {module for modules in _SECTIONS.values() for module in modules}
    for title, modules in _SECTIONS.items():
        here = [
            (name, code, words)
            for (module, _, name), (code, words) in rows.items()
            if (module in modules if modules else module not in known)
        ]
        if here:
            yield f"### {title}\n\n{table(here, *titles)}\n"


def page(entries):
    """The whole page."""
    return "\n".join(
        [
            _HEAD,
            "## Bad input that is refused\n",
            *sections(rows_of(entries, "input"), "what a test does", "exit code", "message"),
            "## Odd input that is told\n",
            *sections(rows_of(entries, "warning", "note"), "what a test does", "code", "message"),
            "## Faults\n",
            "A negative exit code is the signal that ended the program itself. Wherever a run does not "
            "end with 0, inputs\nand old outputs are as they were and no temporary file and no process "
            "is left.\n",
            table(fault_rows(entries), "what a test does", "exit code", "what the program says"),
            "",
        ]
    )


if __name__ == "__main__":
    given = [json.loads(line) for line in Path(sys.argv[1]).read_text("utf-8").splitlines()]
    print(page(given), end="")
