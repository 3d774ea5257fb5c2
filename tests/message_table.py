"""Tables for the manual, made by the tests: bad input -> message, fault -> what happens.

    LOCSCALE_TABLE=lines.jsonl pytest tests/core tests/mpi
    python tests/message_table.py lines.jsonl > table.md

With the variable set, every refusal that a test causes and every end of the real program becomes a
line of that file.
"""

import json
import os
import re
import sys
from pathlib import Path

VARIABLE = "LOCSCALE_TABLE"
_TEMPORARY = re.compile(r"/tmp/pytest-of-\w+/pytest-\d+/[^/ ]+/?")


def tell_table(kind, code, *messages):
    """Add what a test has caused, where a table is asked for."""
    path, test = os.environ.get(VARIABLE), os.environ.get("PYTEST_CURRENT_TEST", "")
    if path and test:
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps({"kind": kind, "code": code, "messages": messages,
                                     "test": test.rpartition(" (")[0]}) + "\n")


def tell_of_refusals():
    """From now on every InputError of this process is told."""
    from locscale_hybrid.errors import InputError

    def told(self, *arguments):
        Exception.__init__(self, *arguments)
        tell_table("input", self.exit_code, str(self))

    InputError.__init__ = told


def table(kind, entries):
    """Markdown of one kind, a row for each test and message."""
    rows = {}
    for entry in entries:
        name = entry["test"].rpartition("::")[2]
        if entry["kind"] == kind and "fuzz" not in entry["test"]:
            words = " ".join(entry["messages"]) or "done, or killed as the test wanted"
            rows[name.removeprefix("test_").replace("_", " "),
                 _TEMPORARY.sub("", words).replace("|", "\\|")] = entry["code"]
    lines = [f"| {cause} | {code} | {words} |" for (cause, words), code in sorted(rows.items())]
    return "\n".join(["| what a test does | exit code | message |", "| --- | --- | --- |", *lines])


if __name__ == "__main__":
    given = [json.loads(line) for line in Path(sys.argv[1]).read_text("utf-8").splitlines()]
    print("## Bad input\n\n" + table("input", given))
    print("\n## Faults\n\n" + table("fault", given))
