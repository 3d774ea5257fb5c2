"""Write the table of covered statements by package, from the JSON report of coverage.

`make coverage` runs it.  Lines of the Pipeliner's job are run by `make test-pipeliner`, which has an
environment of its own, and are left out.
"""

import datetime
import json
import sys
from collections import defaultdict
from pathlib import Path

PACKAGE = "locscale_hybrid"
LEFT_OUT = {"pipeliner"}


def table(report):
    """Format statements and their covered share by package, as Markdown."""
    counts = defaultdict(lambda: [0, 0])
    for name, found in report["files"].items():
        inside = Path(name).parts
        inside = inside[inside.index(PACKAGE) + 1 :]
        package = inside[0] if len(inside) > 1 else "single modules"
        if package not in LEFT_OUT:
            counts[package][0] += found["summary"]["num_statements"]
            counts[package][1] += found["summary"]["covered_lines"]
    counts["all"] = [sum(column) for column in zip(*counts.values(), strict=True)]
    rows = [
        f"| {package} | {n_all:,} | {100 * n_run / n_all:.0f}% |"
        for package, (n_all, n_run) in counts.items()
    ]
    return "\n".join(["| package | statements | covered |", "|---|---|---|", *rows])


if __name__ == "__main__":
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(table(report))
    print(f"\n*Tests: {sys.argv[2]}. Measured on {datetime.date.today():%d %B %Y}.*")
