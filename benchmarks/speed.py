"""The table of times: stage × case, every run in a process of its own."""

import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from child import Cost, run_command, run_job
from table import table

HEAD = ("what", "case", "CPU s", "wall s", "peak GiB", "voxels/CPU s")
RUNS = ("enolase-3.0", "plasmepsin-D2-3.2", "haemoglobin-3.4")
SCALED = "enolase-3.0"
REPEATS = 2  # A B A B
EXACT_RADIUS = 14.0  # Å, of the part that windows are timed on
BALL_RADIUS = 71.0  # Å, 1.5 million voxels
PEER_VOXELS_PER_SECOND = (700.0, 760.0)  # LocScale 2.4.1 per CPU second, measured earlier

Row = dict[str, object]


def row(what: str, case: str, cost: dict[str, float], voxels: float | None = None) -> Row:
    """Format a line of the table."""
    rate = None if voxels is None else voxels / max(cost["cpu_seconds"], 1e-9)
    return {
        "what": what,
        "case": case,
        "voxels_per_cpu_second": rate,
        **{name: cost[name] for name in ("cpu_seconds", "wall_seconds", "peak_gib")},
    }


def as_dict(cost: Cost) -> dict[str, float]:
    """Return the figures of a cost."""
    return {
        "cpu_seconds": cost.cpu_seconds,
        "wall_seconds": cost.wall_seconds,
        "peak_gib": cost.peak_gib,
    }


def shown(rows: list[Row]) -> str:
    """Format the rows as a table."""
    return table(
        HEAD,
        [
            (
                r["what"],
                r["case"],
                r["cpu_seconds"],
                r["wall_seconds"],
                r["peak_gib"],
                r["voxels_per_cpu_second"],
            )
            for r in rows
        ],
    )


def whole_run(name: str, cases: Path, *, processes: int = 1) -> list[Row]:
    """Time a run of the command line, start-up included, and its stages by its record."""
    case = run_job("timing:make_case", name=name, folder=str(cases)).answer
    folder = Path(case["folder"])
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out.mrc"
        command = [
            sys.executable,
            "-m",
            "locscale_hybrid",
            "-hm",
            str(folder / "half1.mrc"),
            str(folder / "half2.mrc"),
            "-mc",
            str(folder / "model_partial.cif"),
            "--complete_model",
            "-o",
            str(out),
            "-np",
            str(processes),
        ]
        if case["point_group"] != "C1":
            command += ["-sym", case["point_group"]]
        cost = run_command(command)
        record = json.loads(out.with_suffix(".json").read_text())
    stages = record["timings"]
    label = "whole run" if processes == 1 else f"whole run, {processes} processes"
    rows = [row(label, name, as_dict(cost)) | described(record, processes)]
    return rows + [row(f"· {stage}", name, stages[stage]) for stage in stages]


def described(record: dict[str, dict], processes: int) -> Row:
    """Size of the map and of the hybrid model, for the table of the manual."""
    model = record["hybrid_model"]
    return {
        "box": max(record["observed"]["box_voxels"]),
        "atoms": model["model_atoms"] + model["copied_atoms"] + model["pseudo_atoms"],
        "processes": processes,
    }


def parts_of_refinement(name: str, cases: Path) -> list[Row]:
    """Time the parts of completing and refining, one by one."""
    case = run_job("timing:make_case", name=name, folder=str(cases)).answer
    parts = run_job(
        "timing:hybrid_stages", folder=case["folder"], point_group=case["point_group"]
    ).answer
    atoms = parts.pop("atoms")
    text = f"{name}, {atoms['model']} + {atoms['pseudo']} atoms"
    return [row(part, text, cost) for part, cost in parts.items()]


def alternated(
    ways: list[tuple[str, str, dict[str, object]]], case: str
) -> tuple[list[Row], dict[str, float]]:
    """Jobs run in turn, A B A B; the least cost of each, and its voxels per CPU second."""
    found: dict[str, list[dict[str, float]]] = {label: [] for label, _, _ in ways}
    for _ in range(REPEATS):
        for label, job, arguments in ways:
            found[label].append(run_job(job, **arguments).answer)
    rows, rates = [], {}
    for label, costs in found.items():
        best = min(costs, key=lambda cost: cost["cpu_seconds"])
        best = best | {"wall_seconds": min(cost["wall_seconds"] for cost in costs)}
        rows.append(row(label, case, best, best["voxels"]))
        rates[label] = rows[-1]["voxels_per_cpu_second"]
    return rows, rates


def ways_of_scaling(cases: Path) -> tuple[list[Row], dict[str, float]]:
    """Compare the estimators of local scaling on one case."""
    folder = run_job("timing:make_case", name=SCALED, folder=str(cases)).answer["folder"]
    job = "timing:scale_case"
    ways = [
        (way, job, {"folder": folder, "way": way})
        for way in ("bands, plain", "bands, noise weight", "bands, adaptive")
    ]
    ways += [
        (
            f"{way} (ball of {EXACT_RADIUS:g} Å)",
            job,
            {"folder": folder, "way": way, "radius": EXACT_RADIUS},
        )
        for way in ("windows, exact",)
    ]
    ways += [("windows, stride 3", job, {"folder": folder, "way": "windows, stride 3"})]
    rows, rates = alternated(ways, SCALED)
    peer = statistics.mean(PEER_VOXELS_PER_SECOND)
    ratios = {
        f"{label} / LocScale 2.4.1 (730 voxels per CPU s)": rate / peer
        for label, rate in rates.items()
    }
    ratios["adaptive / plain bands, CPU"] = rates["bands, plain"] / rates["bands, adaptive"]
    return rows, ratios


def two_ranks(cases: Path) -> tuple[list[Row], dict[str, float]]:
    """Windows with one and with two processes; the ratio of the best wall times."""
    folder = run_job("timing:make_case", name=SCALED, folder=str(cases)).answer["folder"]
    ways = [
        (
            f"windows, exact, {n} rank{'s' * (n > 1)}",
            "timing:scale_case",
            {"folder": folder, "way": "windows, exact", "processes": n},
        )
        for n in (1, 2)
    ]
    rows, _ = alternated(ways, SCALED)
    one, two = (float(r["wall_seconds"]) for r in rows)
    return rows, {"speed-up of windows from 1 to 2 ranks (wall)": one / two}


def biases(cases: Path) -> tuple[str, dict[str, dict[str, float]]]:
    """Error of ln gain without noise, as a table."""
    folder = run_job("timing:make_case", name=SCALED, folder=str(cases)).answer["folder"]
    found = {}
    for label, way, taper in (
        ("bands", "bands, plain", "none"),
        ("windows, no taper (stride 3)", "windows, stride 3", "none"),
        ("windows, hann (stride 3)", "windows, stride 3", "hann"),
    ):
        found[label] = run_job("timing:gain_bias", folder=folder, way=way, taper=taper).answer
    head = ["mean error of ln gain, noise-free, B 90", *found["bands"]]
    return table(head, [[label, *values.values()] for label, values in found.items()]), found


def large(cases: Path) -> Iterator[list[Row]]:
    """Time what takes minutes and gigabytes, part by part."""
    folder = run_job("timing:make_case", name="packed-300", folder=str(cases)).answer["folder"]
    yield whole_run("packed-300", cases, processes=2)
    for processes in (1, 2):
        ways = [
            (
                f"{way}, {processes} process{'es' * (processes > 1)}",
                "timing:scale_case",
                {
                    "folder": folder,
                    "way": way,
                    "processes": processes,
                    "radius": BALL_RADIUS,
                    "mask_voxels": 300**3,
                },
            )
            for way in ("bands, plain", "bands, adaptive")
        ]
        yield alternated(ways, "300³, a ball of 1.5 M voxels")[0]
    for way in ("bands, plain", "bands, adaptive"):
        cost = run_job("timing:scale_box", box=512, way=way).answer
        yield [row(way, "512³, 33 M voxels in the mask", cost, cost["voxels"])]
    yield parts_of_refinement("packed-400", cases)


def peer(program: Path, cases: Path) -> tuple[list[Row], dict[str, float]]:
    """LocScale 2.4.1 by its own command line, and a whole run on the same files in turn."""
    rows: list[Row] = []
    ratios = {}
    for name in RUNS[:2]:
        case = run_job("timing:make_case", name=name, folder=str(cases)).answer
        pairs = [(_peer_run(program, case), whole_run(name, cases)[0]) for _ in range(REPEATS)]
        own = min((pair[1] for pair in pairs), key=_cpu)
        other = row(
            f"{program.name} (peer)",
            name,
            as_dict(min((pair[0] for pair in pairs), key=lambda cost: cost.cpu_seconds)),
        )
        rows += [own, other]
        ratios[f"whole run of {name}, {program.name} / this program, CPU"] = _cpu(other) / _cpu(own)
    return rows, ratios


def _cpu(line: Row) -> float:
    """CPU seconds of a row."""
    return float(str(line["cpu_seconds"]))


def _peer_run(program: Path, case: dict[str, object]) -> Cost:
    """Time a run of the other program; it writes into a temporary folder."""
    folder = Path(str(case["folder"]))
    with tempfile.TemporaryDirectory() as place:
        command = [
            str(program),
            "-hm",
            str(folder / "half1.mrc"),
            str(folder / "half2.mrc"),
            "-mc",
            str(folder / "model_partial.cif"),
            "--complete_model",
            "-res",
            str(case["resolution"]),
            "-o",
            f"{place}/out.mrc",
            "-op",
            place,
            "-np",
            "1",
            "-v",
        ]
        if case["point_group"] != "C1":
            command += ["-sym", str(case["point_group"])]
        return run_command(command)
