"""The harder cases with known truth: other programs and this one on the same half maps.

    make validation                                       all cases, with the kind ones
    python benchmarks/hard_validation.py                  all cases, one draw of noise each
    python benchmarks/hard_validation.py --seeds 3        also two draws that nothing was tuned on
    python benchmarks/hard_validation.py CASE …           these
    python benchmarks/hard_validation.py --peer PATH      also LocScale 2.4.1, PATH being its program
    python benchmarks/hard_validation.py --tables         measure nothing, write the tables again
    python benchmarks/hard_validation.py --density MAP MODEL RESOLUTION
                                          a truth of your own; printed, not kept

All maps are SIMULATED or, if the truth is real density, SEMI-SYNTHETIC.  A figure is kept as soon
as it is measured (docs/tables/hard.json), so a command that was stopped goes on where it was: a
case is measured again if it, or this program, has changed; other programs only if the case has.
The maps are in benchmarks/cases/hard, where `false_alarms.py --hard` finds them.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from child import run_job
from hard import tables
from run import CASES, ROOT
from validation import TABLES, rounded, stamp, stamps

STORE = TABLES / "hard.json"
PICTURE = ROOT / "docs/images/hard.png"
OWN_JOB = "hard.rows:measure_own"
Stored = dict[str, dict]


def main() -> None:
    """Measure what is not yet measured, and write the tables."""
    asked = _asked()
    if asked.density is not None:
        print(_of_own_density(asked))
        return
    found = json.loads(STORE.read_text()) if STORE.exists() else {}
    if not asked.tables:
        _measure(asked, found)
    ordered = _in_order(found)
    for name, text in written(ordered).items():
        (TABLES / f"{name}.md").write_text(text + "\n")
    try:
        from hard.chart import draw
    except ImportError:
        print("the chart is left as it is: matplotlib is not installed")
        return
    if ordered:
        draw(ordered, PICTURE)


def written(found: Stored) -> dict[str, str]:
    """Make all tables by file name."""
    measured = {
        name: {"measured": case["measured"]["own"]["on"]}
        for name, case in found.items()
        if "own" in case["measured"]
    }
    return tables.tables_by_name(found) | {
        "hard_about": tables.about_table(),
        "hard_measured": stamps(measured),
    }


def _measure(asked: argparse.Namespace, found: Stored) -> None:
    """Measure case by case, program by program; keep every answer at once."""
    known = run_job("hard.rows:listed", seeds=3).answer
    names = asked.case or [
        name for name, case in known.items() if name in _drawn(known, asked.seeds)
    ]
    if unknown := sorted(set(names) - set(known)):
        raise SystemExit(f"no case {', '.join(unknown)}; there are {', '.join(known)}")
    for name in names:
        entry = found.setdefault(name, {"figures": {}, "measured": {}})
        entry |= {key: value for key, value in known[name].items() if key != "case"}
        for program, (job, arguments) in jobs(asked).items():
            mark = {"case": known[name]["case"], "source": source() if program == "own" else ""}
            if not asked.again and is_current(entry, program, mark):
                continue
            try:
                answer = run_job(job, name=name, folder=str(asked.cases), **arguments).answer
            except subprocess.CalledProcessError as error:
                print(f"{name}: {program} failed ({error.returncode})", flush=True)
                continue
            keep(entry, program, rounded(answer), mark | {"on": stamp()})
            STORE.write_text(json.dumps(found, indent=0) + "\n")
            print(f"{name}: {program}", flush=True)
        if asked.clean:
            shutil.rmtree(asked.cases / name, ignore_errors=True)


def jobs(asked: argparse.Namespace) -> dict[str, tuple[str, dict[str, object]]]:
    """List the job of each program that was asked for, and its arguments."""
    found: dict[str, tuple[str, dict[str, object]]] = {
        "relion": ("hard.rows:measure_relion_like", {}),
        "own": (OWN_JOB, {}),
    }
    if asked.servalcat is not None:
        found["servalcat"] = ("hard.rows:measure_servalcat", {"program": str(asked.servalcat)})
    if asked.peer is not None:
        arguments = {"program": str(asked.peer), "control": asked.peer_control}
        found["locscale"] = ("hard.rows:measure_locscale", arguments)
    return found


def is_current(entry: dict, program: str, mark: dict[str, object]) -> bool:
    """Test whether a program was measured on this very case, and it is still the same program."""
    kept = entry["measured"].get(program)
    if kept is None or "changed" in str(mark["source"]):
        return False
    return all(kept[key] == value for key, value in rounded(mark).items())


def keep(entry: dict, program: str, answer: dict, mark: dict[str, object]) -> None:
    """Put the figures of a program in place of those it had."""
    if "run" in answer:
        entry["run"] = answer.pop("run")
    entry["figures"] |= answer
    entry["measured"][program] = rounded(mark)


def source() -> str:
    """Name the state of this program's source; "changed" if it is no committed one."""

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )

    tree = git("rev-parse", "--short", "HEAD:src/core").stdout.strip()
    clean = git("diff", "--quiet", "HEAD", "--", "src/core").returncode == 0
    return tree if tree and clean else f"{tree} changed"


def _drawn(known: Stored, seeds: int) -> set[str]:
    """Names of the first so many draws of each case."""
    draws: dict[str, list[str]] = {}
    for name in known:
        draws.setdefault(name.partition("-seed")[0], []).append(name)
    return {name for group in draws.values() for name in group[:seeds]}


def _in_order(found: Stored) -> Stored:
    """Sort as the cases are listed, the draws of a case together."""
    listed = list(tables.ABOUT)

    def place(name: str) -> tuple[int, str]:
        base = name.partition("-seed")[0]
        return (listed.index(base) if base in listed else len(listed), name)

    return {name: found[name] for name in sorted(found, key=place)}


def _of_own_density(asked: argparse.Namespace) -> str:
    """Measure a case whose truth is a user's map; the table."""
    density, model, resolution = asked.density
    case = {"density": density, "model": model, "resolution": float(resolution)}
    name = f"own-{Path(density).name.partition('.')[0]}-{resolution}"
    figures: dict[str, dict] = {}
    for job in ("hard.rows:measure_relion_like", OWN_JOB):
        answer = run_job(job, name=name, folder=str(asked.cases), given=case).answer
        figures |= {key: value for key, value in answer.items() if key != "run"}
    return tables.long_table({name: {"figures": figures, "seen": False}}, tables.REAL)


def _asked() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", nargs="*", help="default: all")
    parser.add_argument("--seeds", type=int, default=1, choices=(1, 2, 3), help="draws of noise")
    parser.add_argument("--peer", type=Path, metavar="PROGRAM", help="LocScale 2.4.1")
    parser.add_argument("--peer-control", action="store_true", help="its control, too")
    parser.add_argument(
        "--servalcat",
        type=Path,
        metavar="PROGRAM",
        default=_installed("servalcat"),
        help="default: the one that is installed, if any",
    )
    parser.add_argument("--tables", action="store_true", help="measure nothing")
    parser.add_argument("--again", action="store_true", help="measure also what is known")
    parser.add_argument("--clean", action="store_true", help="remove the maps of a measured case")
    parser.add_argument("--density", nargs=3, metavar=("MAP", "MODEL", "RESOLUTION"))
    parser.add_argument("--cases", type=Path, default=CASES / "hard", metavar="FOLDER")
    return parser.parse_args()


def _installed(name: str) -> Path | None:
    """Find a program beside this Python, or on the path."""
    here = Path(sys.executable).with_name(name)
    found = str(here) if here.exists() else shutil.which(name)
    return None if found is None else Path(found)


if __name__ == "__main__":
    main()
