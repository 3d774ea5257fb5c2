"""Put the measured numbers of the pages in place: `make figures`.

A number of a page that was measured has a name after it, in a comment that readers do not see:

    the control reaches 0.07<!--= control-adaptive-highest -->

This program takes the number from the tables that `make validation`, `make bench` and
`make pictures` wrote.  With --check it changes nothing and ends with 1 if a number has drifted; a
test does the same.
"""

import argparse
import json
import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
TABLES = DOCS / "tables"
PAGES = (
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted(DOCS.glob("*.md")),
    *sorted((ROOT / "src/docs").rglob("*.html")),
)
MARKED = re.compile(r"([-−]?[0-9][0-9.,]*)<!--= ([a-z0-9-]+) -->")
OTHERS = ("plasmepsin-D2-one-chain", "plasmepsin-D2-two-chains")  # one case, three times


def numbers() -> dict[str, str]:
    """Return every named number as a page shows it."""
    return {**of_control(), **of_bias(), **of_peer(), **of_example()}


def of_control() -> dict[str, str]:
    """Return the highest FSC in the no-data control, over all cases, of each weight."""
    cases = json.loads((TABLES / "truth.json").read_text(encoding="utf-8"))
    found = {}
    for weight in ("adaptive", "smooth", "soft", "fdr", "none"):
        for kind, name in (("output", ""), ("linear", "-linear")):
            highest = max(
                case["control"][weight][kind]
                for label, case in cases.items()
                if weight in case["control"] and label not in OTHERS
            )
            found[f"control-{weight}{name}-highest"] = f"{highest:.2f}"
    return found


def of_bias() -> dict[str, str]:
    """Return levels at the haems, by what density and model contain."""
    level = {(row[0], row[1]): row[2] for row in rows("bias")}
    real = {row[0]: row[1] for row in rows("bias_real")}
    return {
        "bias-modelled": level["present, modelled", "linear"],
        "bias-left-out": level["present, not modelled", "linear"],
        "bias-no-pseudo": level["present, not modelled, no pseudo-atoms", "linear"],
        "bias-false-reference": level["absent, modelled", "reference"],
        "bias-false-linear": level["absent, modelled", "linear"],
        "bias-false-display": level["absent, modelled", "display"],
        "bias-real-modelled": real["modelled"],
        "bias-real-left-out": real["not modelled"],
    }


def of_peer() -> dict[str, str]:
    """Return errors of local amplitudes, of LocScale 2.4.1 and of this program."""
    found = {}
    for row in rows("peer"):
        who = "peer" if row[1].startswith("LocScale") else "own"
        for name, column in (("profile", 2), ("unmodelled", 3), ("fsc", 8), ("control", 9)):
            found[f"{who}-{row[0].split('-')[0]}-{name}"] = f"{float(row[column]):.2f}"
    return found


def of_example() -> dict[str, str]:
    """Return what the runs of the example recorded."""
    cases = json.loads((TABLES / "example.json").read_text(encoding="utf-8"))
    found = {}
    for name, values in cases.items():
        for key, value in values.items():
            found[f"example-{name}-{key.replace('_', '-')}"] = f"{value:,.4g}"
    return found


def rows(name: str) -> list[list[str]]:
    """Return the cells of a table, without its head."""
    lines = (TABLES / f"{name}.md").read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip(" |").split("|")] for line in lines[2:]]


def placed(text: str, known: dict[str, str]) -> str:
    """Return the text with the numbers of its names."""
    return MARKED.sub(lambda found: f"{known[found[2]]}<!--= {found[2]} -->", text)


def main() -> int:
    """Write the pages, or say which have drifted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    asked = parser.parse_args()
    known, drifted = numbers(), []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if (new := placed(text, known)) == text:
            continue
        drifted.append(str(page.relative_to(ROOT)))
        if not asked.check:
            page.write_text(new, encoding="utf-8")
    print("\n".join(drifted) or "all numbers are those of the tables")
    return int(asked.check and bool(drifted))


if __name__ == "__main__":
    sys.exit(main())
