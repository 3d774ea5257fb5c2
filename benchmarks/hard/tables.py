"""Tables of the harder cases, from what `rows` measured: a summary of one screen, and the rest."""

from collections.abc import Callable, Iterator

from table import table

Found = dict[str, dict]
OWN = "own"
PROGRAMS = {
    "unsharpened": "(unsharpened)",
    "relion": "RELION-like",
    "locscale": "LocScale 2.4.1",
    "servalcat": "servalcat",
    OWN: "Hybrid LocScale",
    "linear": "Hybrid LocScale, linear map",
}
PEERS = ("relion", "locscale", "servalcat")
ABOUT = {
    "ctf": "noise and window of a reconstruction",
    "ctf-box": "the same, noise in the whole box, B 200 Å²",
    "cone": "a tenth of the views within 35° of z",
    "wedge": "a twentieth of the views within 60° of z",
    "missing": "no data within 35° of z",
    "angles": "1.5° error of the angles",
    "motion": "domain in 10 places, modelled",
    "motion-unmodelled": "domain in 10 places, not modelled",
    "occupancy": "chain of 40% occupancy, not modelled",
    "nanodisc": "nanodisc around the protein",
    "nanodisc-4.5": "nanodisc, 4.5 Å",
    "micelle": "detergent micelle, C4",
    "errors": "bent, shifted and overfitted parts of the model",
    "ligands": "haem and chain D not modelled",
    "dna": "DNA not modelled",
    "strong-b": "B from 20 to 400 Å²",
    "tenth": "a tenth of the model",
    "mixed": "rare views, B to 400 Å², angles, ligands",
    "missing-haemoglobin": "no data within 30° of z",
    "nanodisc-haemoglobin": "nanodisc around the protein",
    "errors-haemoglobin": "bent, shifted and overfitted parts of the model",
}
LEAST_BEHIND = 0.01  # closer than that is no difference
# measure: title, whether more is better, how much is a difference
SHOWN = {
    "cc_all": ("cc", True, LEAST_BEHIND),
    "fsc_near": ("FSC at 1.1 d", True, LEAST_BEHIND),
    "prof_all": ("prof", False, LEAST_BEHIND),
    "q_mod": ("Q", True, LEAST_BEHIND),
    "control": ("control", False, 0.1),  # it scatters about 0
}
COMPARED = ("cc_all", "cc_unm", "fsc", "fsc_near", "prof_all", "prof_unm", "step", "solvent")
LONG = {
    "cc_all": "cc all",
    "cc_mod": "cc mod",
    "cc_unm": "cc unm",
    "fsc": "FSC mean",
    "fsc_near": "FSC at 1.1 d",
    "fsc_d": "FSC at d",
    "prof_all": "prof all",
    "prof_unm": "prof unm",
    "step": "step",
    "solvent": "solvent",
    "belt": "belt",
    "control": "control",
    "smoother": "smoother Å²",
}
QUALITY = ("mod", "unm", "flex", "part", "lig", "dna", "bent", "helix", "overfit")
REAL = {
    "cc_all": "cc",
    "cc_b": "cc, B taken off",
    "fsc": "FSC mean",
    "fsc_near": "FSC at 1.1 d",
    "fsc_d": "FSC at d",
    "prof_all": "prof",
    "prof_b": "prof, B taken off",
    "smoother": "smoother Å²",
}
RUN_HEAD = (
    "case",
    "d Å",
    "true d Å",
    "d, RELION-like Å",
    "pseudo-atoms / missing",
    "CPU s",
    "warnings",
)
BEHIND_HEAD = ("measure", "cases compared", "behind", "where (own, best other)")


def tables_by_name(found: Found) -> dict[str, str]:
    """Format each table as text, by the name of its file."""
    simulated = {name: case for name, case in found.items() if not case.get("real")}
    real = {name: case for name, case in found.items() if case.get("real")}
    return {
        "hard": summary(simulated),
        "hard_behind": behind_table(simulated),
        "hard_all": long_table(simulated, LONG),
        "hard_q": long_table(simulated, {f"q_{group}": f"Q {group}" for group in QUALITY}),
        "hard_run": run_table(found),
        "hard_real": long_table(real, REAL),
    }


def summary(found: Found) -> str:
    """Format a line for each case: global sharpening, then the best of the others, then ours."""
    head = ["case", *(title for title, _, _ in SHOWN.values())]
    return table(
        head,
        [
            (
                f"{name}{fresh_mark(case)}",
                *(_cell(case["figures"], measure, *SHOWN[measure][1:]) for measure in SHOWN),
            )
            for name, case in found.items()
            if "-seed" not in name
        ],
    )


def fresh_mark(case: dict) -> str:
    """Mark a draw on which nothing was tuned."""
    return "" if case["seen"] else " †"


def _cell(figures: dict, measure: str, more_is_better: bool, margin: float) -> str | None:
    """Format "RELION-like / LocScale / ours"; ours in bold if another program is ahead."""
    own = figures.get(OWN, {}).get(measure)
    if own is None:
        return None
    shown = [figures.get(name, {}).get(measure) for name in ("relion", "locscale")]
    text = f"{own:.2f}"
    if (best := best_peer(figures, measure, more_is_better)) is not None:
        worse = best - own if more_is_better else own - best
        text = f"**{text}**" if worse > margin else text
    return " / ".join([*("–" if v is None else f"{v:.2f}" for v in shown), text])


def best_peer(figures: dict, measure: str, more_is_better: bool) -> float | None:
    """Find the best figure of the other programs; a step is best at 0."""
    values = [figures[name][measure] for name in PEERS if measure in figures.get(name, {})]
    if not values:
        return None
    if measure == "step":
        return min(values, key=abs)
    return max(values) if more_is_better else min(values)


def behind(found: Found, measure: str) -> Iterator[tuple[str, float, float, bool]]:
    """Compare our figure with the best other one, case by case; whether ours is worse.

    Worse is what differs by more than our figures differ between draws of the same case.
    """
    more = measure.startswith(("cc", "fsc", "q_"))
    for name, case in found.items():
        own = case["figures"].get(OWN, {}).get(measure)
        best = best_peer(case["figures"], measure, more)
        if own is None or best is None:
            continue
        worse = best - own if more else own - best
        if measure == "step":
            worse = abs(own) - abs(best)
        yield name, own, best, worse > max(LEAST_BEHIND, spread(found, name, measure))


def spread(found: Found, name: str, measure: str) -> float:
    """Range of our figure over the draws of a case."""
    base = name.partition("-seed")[0]
    values = [
        case["figures"][OWN][measure]
        for other, case in found.items()
        if other.partition("-seed")[0] == base and measure in case["figures"].get(OWN, {})
    ]
    return max(values) - min(values) if len(values) > 1 else 0.0


def behind_table(found: Found) -> str:
    """Format, for each measure, where another program is ahead."""
    measures = [*COMPARED, *(f"q_{group}" for group in QUALITY)]
    rows = []
    for measure in measures:
        compared = list(behind(found, measure))
        worse = [
            f"{name} ({own:.3f}, {best:.3f})" for name, own, best, is_worse in compared if is_worse
        ]
        if compared:
            rows.append((measure, len(compared), len(worse), ", ".join(worse) or "none"))
    return table(BEHIND_HEAD, rows)


def long_table(found: Found, columns: dict[str, str]) -> str:
    """Format a line for each program and case; columns that are empty everywhere are left out."""
    lines = [
        (f"{name}{fresh_mark(case)}", PROGRAMS[program], case["figures"][program])
        for name, case in found.items()
        for program in PROGRAMS
        if program in case["figures"]
    ]
    used = [key for key in columns if any(key in figures for _, _, figures in lines)]
    return table(
        ("case", "program", *(columns[key] for key in used)),
        [
            (name, program, *(_fixed(figures.get(key), key) for key in used))
            for name, program, figures in lines
        ],
    )


def run_table(found: Found) -> str:
    """Format what the run found: resolution, missing atoms, warnings."""
    rows = []
    for name, case in found.items():
        run: dict | None = case.get("run")
        if run is None:
            continue
        relion = case["figures"].get("relion", {}).get("d")
        rows.append(
            (
                f"{name}{fresh_mark(case)}",
                f"{run['d']:.2f}",
                f"{run['d_true']:.2f}",
                None if relion is None else f"{relion:.2f}",
                f"{run['pseudo_atoms']:,} / {run['missing_atoms']:,}",
                f"{run['cpu_seconds']:.0f}",
                ", ".join(f"`{code}`" for code in run["warnings"]) or "none",
            )
        )
    return table(RUN_HEAD, rows)


def about_table() -> str:
    """Format what is hard in each case."""
    return table(("case", "what is hard"), ABOUT.items())


def _fixed(value: float | None, key: str) -> str | None:
    """Format a number as its measure is read."""
    shown: Callable[[float], str] = "{:.0f}".format if key == "smoother" else "{:.3f}".format
    return None if value is None else shown(value)
