"""Timing and truth tables.

    make bench                              what a run and its stages cost; about three minutes
    python benchmarks/run.py --large        also 300³, 400³ with 100,000 atoms, 512³
    python benchmarks/run.py --truth        also every case with known truth, every weight policy
    python benchmarks/run.py --peer PATH    also LocScale 2.4.1, PATH being its program

All cases are SIMULATED (simulated.py).  Results are printed and go to benchmarks/results.json;
the tables of the manual to docs/tables (costs.py).
Times want a quiet machine: ratios between ways come from runs in turn, A B A B.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import costs
import speed
import truth_tables

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CASES = HERE / "cases"
RESULTS = HERE / "results.json"
LIBRARIES = ("locscale-hybrid", "numpy", "scipy", "gemmi", "mrcfile")


def main() -> None:
    """Measure what was asked for."""
    asked = _asked()
    began = time.monotonic()
    results: dict[str, object] = {"machine": machine()}
    print(describe(results["machine"]), flush=True)
    if not asked.no_times:
        results["times"], results["ratios"] = times(asked)
        if not asked.only_large:
            table, results["gain_bias"] = speed.biases(asked.cases)
            print(f"\n{table}", flush=True)
    if asked.truth is not None:
        names = asked.truth or run_names()
        results["truth"] = truth_tables.measured(names, asked.cases)
        print(f"\n{truth_tables.tables(results['truth'])}")
    if "times" in results:
        costs.keep(
            [named(row) for row in results["times"]],
            results.get("gain_bias", {}),
            results["machine"] | {"commit": commit()},
        )
    RESULTS.write_text(json.dumps(results, indent=1))
    print(f"\n{time.monotonic() - began:.0f} s; figures in {RESULTS}")


def named(row: speed.Row) -> speed.Row:
    """Name the row of a whole run as the manual calls it."""
    return row | {"what": "whole run"}


def commit() -> str:
    """Return the source's commit, marked if the program differs from it; empty outside git."""

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )

    name = git("rev-parse", "--short", "HEAD").stdout.strip()
    changed = git("diff", "--quiet", "HEAD", "--", "src/core", "benchmarks").returncode == 1
    return f"{name}, changed" if changed else name


def times(asked: argparse.Namespace) -> tuple[list[speed.Row], dict[str, float]]:
    """Yield the table of times, part by part as it is measured."""
    rows: list[speed.Row] = []
    ratios: dict[str, float] = {}
    for new, found in _timed_parts(asked):
        rows += new
        ratios |= found
        print(f"\n{speed.shown(new)}", flush=True)
    print("\n" + "\n".join(f"{name}: {value:.3g}" for name, value in ratios.items()))
    return rows, ratios


def _timed_parts(asked: argparse.Namespace) -> Iterator[tuple[list[speed.Row], dict[str, float]]]:
    """Rows and ratios as they come."""
    if not asked.only_large:
        for name in speed.RUNS:
            yield speed.whole_run(name, asked.cases), {}
        for name in speed.RUNS[:2]:
            yield speed.parts_of_refinement(name, asked.cases), {}
        yield speed.ways_of_scaling(asked.cases)
        yield speed.two_ranks(asked.cases)
    if asked.large or asked.only_large:
        for rows in speed.large(asked.cases):
            yield rows, {}
    if asked.peer is not None:
        yield speed.peer(asked.peer, asked.cases)


def machine() -> dict[str, object]:
    """Describe what the figures were measured on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in info.read_text().splitlines()
            if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "load_at_start": load,
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def describe(facts: dict[str, object]) -> str:
    """Describe the machine in one line."""
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def run_names() -> list[str]:
    """List all cases with known truth; a child process does, so that this one imports no numpy."""
    from child import run_job

    return run_job("simulated:names").answer


def _asked() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--large", action="store_true", help="also what takes minutes")
    parser.add_argument("--only-large", action="store_true", help="of the times, only those")
    parser.add_argument(
        "--truth",
        nargs="*",
        metavar="CASE",
        help="also the truth tables; of all cases, or of those named",
    )
    parser.add_argument("--no-times", action="store_true", help="truth tables alone")
    parser.add_argument(
        "--peer", type=Path, metavar="PROGRAM", help="also time this LocScale 2.4.1"
    )
    parser.add_argument(
        "--cases",
        type=Path,
        default=CASES,
        metavar="FOLDER",
        help="where the simulated maps are kept",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
