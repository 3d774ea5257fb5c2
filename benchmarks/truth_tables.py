"""Tables of the cases with known truth, from what `truth_rows` measured."""

from pathlib import Path

from child import run_job
from table import table

BRIEF = ("seed7", "seed11")  # endings of cases where only the default policy is measured
POLICY_HEAD = (
    "case",
    "weight",
    "cc all",
    "cc unm",
    "FSC mean",
    "FSC at d",
    "linear at d",
    "control",
    "control, linear",
    "prof all",
    "prof unm",
    "step",
    "at 0",
    "asym",
)
CASE_HEAD = (
    "case",
    "d_min Å",
    "pseudo-atoms / missing",
    "restraint weight",
    "work",
    "free",
    "reference error unm",
    "perfect",
    "outside mask",
    "re-seeded rms/sd",
    "CPU s",
)
WEIGHT_HEAD = (
    "case",
    "zero at d",
    "by display weight",
    "lowest weight",
    "atoms with weight < .5",
    "C_ref - FSC at d, sharpened",
    "unscaled",
    "at 1.1 d, sharpened",
    "unscaled",
)
B_HEAD = (
    "case",
    "atoms",
    "complete model: rmsd Å²",
    "r",
    "coordinate errors 0.3 Å: rmsd Å²",
    "r",
    "incomplete model: rmsd Å²",
    "r",
)


def measured(names: list[str], cases: Path) -> dict[str, dict]:
    """Measure cases one after the other, each in a child process."""
    return {
        name: run_job(
            "truth_rows:measure_case", name=name, folder=str(cases), brief=name.endswith(BRIEF)
        ).answer
        for name in names
    }


def tables(found: dict[str, dict]) -> str:
    """Format all tables as text."""
    return "\n\n".join(tables_by_name(found).values())


def tables_by_name(found: dict[str, dict]) -> dict[str, str]:
    """Format each table as text: policies, cases, weight, b."""
    return {
        "policies": table(
            POLICY_HEAD, [line for name, case in found.items() for line in _policies(name, case)]
        ),
        "cases": table(CASE_HEAD, [_case(name, case) for name, case in found.items()]),
        "weight": table(WEIGHT_HEAD, [_weight(name, case) for name, case in found.items()]),
        "b": table(
            B_HEAD,
            [_errors_of_b(name, case) for name, case in found.items() if "perfect_run" in case],
        ),
    }


def _policies(name: str, case: dict) -> list[tuple[object, ...]]:
    """Format a line for each policy, then the perfect model, then the map as it was given."""
    rows = [
        (policy, figures, case["control"][policy]) for policy, figures in case["policies"].items()
    ]
    rows += [
        (f"{policy}, perfect model", figures, {})
        for policy, figures in case.get("perfect", {}).items()
    ]
    rows.append(("(unsharpened)", case["unscaled"], {}))
    return [
        (
            name,
            label,
            *(fixed(f.get(key)) for key in ("cc_all", "cc_unm", "fsc", "fsc_d", "linear_fsc_d")),
            fixed(c.get("output")),
            fixed(c.get("linear")),
            *(fixed(f.get(key)) for key in ("prof_all", "prof_unm", "step", "shut")),
            fixed(f.get("asym"), 5),
        )
        for label, f, c in rows
    ]


def _case(name: str, case: dict) -> tuple[object, ...]:
    """Format how the model was completed and refined."""
    run, perfect = case["run"], case.get("perfect_run", {})
    return (
        name,
        fixed(run["d_min"], 2),
        f"{run['hybrid_model']['pseudo_atoms']} / {run['n_missing']}",
        run["tau"],
        fixed(run["fsc_work"]),
        fixed(run["fsc_free"]),
        fixed(run.get("reference_unm")),
        fixed(perfect.get("reference_unm")),
        fixed(run["outside_mask"], 4),
        fixed(case["reseeded"], 4),
        fixed(case["run_cpu_seconds"], 1),
    )


def _errors_of_b(name: str, case: dict) -> tuple[object, ...]:
    """Refined B of the complete model and of the one that was given, against the true ones."""
    whole, given = case["perfect_run"], case["run"]
    return (
        name,
        whole["b_atoms"],
        fixed(whole["b_rmsd"], 2),
        fixed(whole["b_correlation"]),
        fixed(whole.get("b_rmsd_beside"), 2),
        fixed(whole.get("b_correlation_beside")),
        fixed(given.get("b_rmsd"), 2),
        fixed(given.get("b_correlation")),
    )


def _weight(name: str, case: dict) -> tuple[object, ...]:
    """Format where the default weight shuts the map, and how honest its halves are."""
    weight, default = case["weight"], case["policies"]["adaptive"]
    return (
        name,
        *(
            fixed(weight[key])
            for key in ("shut_at_d_min", "shut_by_looking", "least_at_atoms", "atoms_below_half")
        ),
        *(
            fixed(default[f"honesty_{which}_{where}"])
            for where in ("d", "1.1d")
            for which in ("sharpened", "unscaled")
        ),
    )


def fixed(value: float | None, digits: int = 3) -> str | None:
    """Format a number with so many digits after the point."""
    return None if value is None else f"{value:.{digits}f}"
