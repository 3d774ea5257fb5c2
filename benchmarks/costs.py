"""What a run costs, for the manual: tables that `make bench` writes, kept with date and commit.

Figures are in docs/tables/costs.json.  A measurement replaces those of its own row; the others keep
theirs with the date at which they were measured, because the large ones take minutes.
"""

import json
from pathlib import Path

from table import table

TABLES = Path(__file__).resolve().parents[1] / "docs/tables"
STORE = TABLES / "costs.json"
HEAD = (
    "map",
    "atoms",
    "what was run",
    "processes",
    "CPU time",
    "elapsed",
    "memory",
    "measured",
    "commit",
)
GAIN_HEAD = "scaling"
Row = dict[str, object]


def keep(rows: list[Row], gain: dict[str, dict[str, float]], stamp: dict[str, object]) -> None:
    """Put new rows and gains in the place of the old ones, and write the tables."""
    found = json.loads(STORE.read_text()) if STORE.exists() else {"costs": {}, "gain": {}}
    measured = {name: stamp[name] for name in ("date", "commit", "cpu", "python", "numpy")}
    for row in rows:
        if "box" in row:
            found["costs"][str(row["case"])] = row | measured
    if gain:
        found["gain"] = gain | {"measured": measured}
    STORE.write_text(json.dumps(found, indent=1) + "\n")
    for name, text in tables(found).items():
        (TABLES / f"{name}.md").write_text(text + "\n")


def tables(found: dict[str, dict]) -> dict[str, str]:
    """Format both tables by file name."""
    return {"costs": cost_table(found["costs"]), "gain": gain_table(found["gain"])}


def cost_table(costs: dict[str, Row]) -> str:
    """Format what runs cost, the smallest map first."""
    order = sorted(costs.values(), key=lambda row: (int(str(row["box"])), str(row["what"])))
    return table(
        HEAD,
        [
            (
                f"{row['box']}³",
                thousands(row["atoms"]),
                row["what"],
                row["processes"],
                duration(row["cpu_seconds"]),
                duration(row["wall_seconds"]),
                f"{float(str(row['peak_gib'])):.1f} GiB",
                row["date"],
                row["commit"],
            )
            for row in order
        ],
    )


def gain_table(gain: dict[str, dict]) -> str:
    """Format the error of ln gain in each band, by way of scaling."""
    ways = {name: values for name, values in gain.items() if name != "measured"}
    bands = list(next(iter(ways.values())))
    return table(
        (GAIN_HEAD, *bands),
        [(name, *(f"{values[band]:.3f}" for band in bands)) for name, values in ways.items()],
    )


def thousands(number: object) -> str | None:
    """Format a number with its thousands apart."""
    return None if number is None else f"{int(str(number)):,}"


def duration(seconds: object) -> str | None:
    """Format seconds as a reader would say them."""
    if seconds is None:
        return None
    value = float(str(seconds))
    return f"{value:.0f} s" if value < 120 else f"{value / 60:.1f} min"
