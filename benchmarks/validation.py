"""The figures of the manual's validation and control pages, by one command.

    make validation                            all cases and the bias control; about an hour
    python benchmarks/validation.py            all cases with known truth
    python benchmarks/validation.py CASE …     these; the others keep the figures they have
    python benchmarks/validation.py --tables   measure nothing, write tables and picture again

All cases are SIMULATED (simulated.py).  The figures are kept in docs/tables/truth.json, with what
they were measured on; the pages of the manual include the tables that are made of it.
"""

import argparse
import json
from pathlib import Path

import truth_tables
from limits import PEER, limits_table
from run import CASES, ROOT, commit, machine, run_names
from table import table

TABLES = ROOT / "docs/tables"
STORE = TABLES / "truth.json"
PICTURE = ROOT / "docs/images/control.png"
PICTURED = "enolase-3.0"
POLICIES = ("adaptive", "smooth", "soft", "fdr", "none")
CONTROL_HEAD = ("case", "map", *POLICIES)
STAMP_HEAD = ("cases", "measured", "commit", "on")
DIGITS = 6
# the point group adds what these leave out, so they are plasmepsin once more in every digit
INVARIANT = ("plasmepsin-D2-one-chain", "plasmepsin-D2-two-chains")
PEER_COLUMNS = {
    "profile error": "prof_all",
    "unmodelled part": "prof_unm",
    "step": "step",
    "cc all": "cc_all",
    "cc unm": "cc_unm",
    "FSC mean": "fsc",
    "FSC at d": "fsc_d",
    "control": "control",
    "at 0": "shut",
}


def main() -> None:
    """Measure what was asked for and write the tables."""
    asked = _asked()
    found = json.loads(STORE.read_text()) if STORE.exists() else {}
    names = run_names()
    if not asked.tables:
        for name in asked.case or names:
            measured = truth_tables.measured([name], asked.cases)[name]
            found[name] = rounded(measured) | {"measured": stamp()}
            STORE.write_text(json.dumps(found, indent=0) + "\n")
            print(name, flush=True)
    found = {name: found[name] for name in names if name in found}
    STORE.write_text(json.dumps(found, indent=0) + "\n")
    for name, text in tables(found).items():
        (TABLES / f"{name}.md").write_text(text + "\n")
    if PICTURED in found:
        from control_picture import draw

        draw(found[PICTURED], PICTURE)


def tables(found: dict[str, dict]) -> dict[str, str]:
    """Make all tables of the two pages by file name."""
    cases = {name: case for name, case in found.items() if name not in INVARIANT}
    return {
        **truth_tables.tables_by_name(cases),
        "limits": limits_table(cases),
        "control": control_table(cases),
        "peer": peer_table(cases),
        "measured": stamps(found),
    }


def control_table(found: dict[str, dict]) -> str:
    """FSC at d_min with data and, after the arrow, without, of every policy."""
    rows = []
    for name, case in found.items():
        for which, key in (("display", "fsc_d"), ("linear", "linear_fsc_d")):
            kind = "output" if which == "display" else "linear"
            cells = [
                f"{case['policies'][policy][key]:.2f} → {case['control'][policy][kind]:.2f}"
                if policy in case["policies"]
                else None
                for policy in POLICIES
            ]
            if None not in cells:
                rows.append((name, which, *cells))
    return table(CONTROL_HEAD, rows)


def peer_table(found: dict[str, dict]) -> str:
    """Errors of local amplitudes of LocScale 2.4.1, measured once, and of the display map."""
    rows: list[tuple[object, ...]] = []
    for name, peer in PEER.items():
        control = found[name]["control"]["adaptive"]["output"]
        own = found[name]["policies"]["adaptive"] | {"control": control}
        for program, figures in (("LocScale 2.4.1", peer), ("Hybrid LocScale", own)):
            rows.append((name, program, *(f"{figures[key]:.3f}" for key in PEER_COLUMNS.values())))
    return table(("case", "program", *PEER_COLUMNS), rows)


def stamps(found: dict[str, dict]) -> str:
    """Say when and on what the cases were measured; those measured together in one line."""
    together: dict[str, list[str]] = {}
    for name, case in found.items():
        together.setdefault(json.dumps(case["measured"]), []).append(name)
    rows = []
    for text, names in together.items():
        told = json.loads(text)
        libraries = ", ".join(
            f"{name} {told[name]}" for name in ("python", "numpy", "scipy", "gemmi")
        )
        cases = "all" if len(together) == 1 else ", ".join(names)
        rows.append((cases, told["date"], told["commit"], f"{told['cpu']}; {libraries}"))
    return table(STAMP_HEAD, rows)


def stamp() -> dict[str, object]:
    """Say what was measured on, without what changes from one minute to the next."""
    facts = machine()
    return {name: facts[name] for name in ("date", "cpu", "python", "numpy", "scipy", "gemmi")} | {
        "commit": commit()
    }


def rounded(value: object) -> object:
    """Round to so many digits as a reader can use."""
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _asked() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", nargs="*", help="default: all")
    parser.add_argument("--tables", action="store_true", help="measure nothing")
    parser.add_argument(
        "--cases",
        type=Path,
        default=CASES,
        metavar="FOLDER",
        help="where the simulated maps are kept",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
