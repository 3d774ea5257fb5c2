"""Add up the reports of pytest; fail when a test that must run was skipped or never ran.

    python3 .ci/summary.py .reports

The last line is "N passed, N failed, N skipped".
"""

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

REQUIRED = ("core", "mpi", "packaging", "chimerax", "core-3.11")
NEVER_SKIPPED = ("mpi", "openmpi", "chimerax", "pipeliner")


def outcomes(report: Path) -> Iterator[tuple[str, str, str]]:
    """Outcome, name and reason of every test of a report."""
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        results = {result.tag: result for result in case}
        skipped = results.get("skipped")
        if "failure" in results or "error" in results:
            yield "failed", name, first_line(results.get("failure", results.get("error")))
        elif skipped is None or skipped.get("type") == "pytest.xfail":
            yield "passed", name, ""
        else:
            yield "skipped", name, first_line(skipped)


def first_line(result: ElementTree.Element) -> str:
    """Return what a result says, in one line."""
    return result.get("message", "").partition("\n")[0]


def main() -> int:
    """Print the sum; return the exit code."""
    folder = Path(sys.argv[1])
    reports = {path.stem: list(outcomes(path)) for path in sorted(folder.glob("*.xml"))}
    complaints = [f"the {name} tests did not run" for name in REQUIRED if not reports.get(name)]
    total: Counter[str] = Counter()
    for name, cases in reports.items():
        counts = Counter(outcome for outcome, _, _ in cases)
        total += counts
        print(
            f"{name}: {counts['passed']} passed, {counts['failed']} failed, "
            f"{counts['skipped']} skipped"
        )
        for outcome, case, reason in cases:
            if outcome != "passed":
                print(f"    {outcome}: {case}: {reason}")
        if name in NEVER_SKIPPED and counts["skipped"]:
            complaints.append(f"{counts['skipped']} {name} tests were skipped")
    for complaint in complaints:
        print(f"NOT ACCEPTED: {complaint}")
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if complaints or total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
