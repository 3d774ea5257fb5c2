"""What the measures of the simulated cases are held to, and whether they hold it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from table import table

ENOLASE, D2, COARSE, HAEMO = ("enolase-3.0", "plasmepsin-D2-3.2", "enolase-4.0", "haemoglobin-3.4")
ALL = ""  # every case that was measured
# LocScale 2.4.1 with its own hard mask on the same recipe, measured once: what it reached
PEER = {
    ENOLASE: {
        "cc_all": 0.888,
        "cc_unm": 0.890,
        "fsc": 0.953,
        "fsc_d": 0.729,
        "control": 0.36,
        "prof_all": 0.339,
        "prof_unm": 0.488,
        "step": -0.60,
        "shut": 0.34,
    },
    D2: {
        "cc_all": 0.914,
        "cc_unm": 0.920,
        "fsc": 0.955,
        "fsc_d": 0.724,
        "control": 0.35,
        "prof_all": 0.295,
        "prof_unm": 0.412,
        "step": -0.46,
        "shut": 0.41,
    },
}
HEAD = ("limit", "case", "found", "bound", "")

Figures = dict
Reader = Callable[[Figures], float | None]


@dataclass(frozen=True)
class Limit:
    """A number of a case and the bound it has to keep.

    Parameters
    ----------
    text : str
    read : callable
        The number, from the figures of a case; None where it does not exist.
    bounds : dict of str to float
        By case; ALL for every other.
    at_least : bool
        Whether the bound is a lower one.
    """

    text: str
    read: Reader
    bounds: dict[str, float]
    at_least: bool = False

    def holds(self, value: float, bound: float) -> bool:
        """Test whether the number keeps its bound."""
        return value >= bound if self.at_least else value <= bound


def default(name: str, policy: str = "adaptive") -> Reader:
    """Read a measure of the display map."""
    return lambda case: case["policies"].get(policy, {}).get(name)


def sized(read: Reader) -> Reader:
    """Return the same without its sign."""

    def size(case: Figures) -> float | None:
        value = read(case)
        return None if value is None else abs(value)

    return size


def over_peer(name: str, factor: float = 1.0, more: float = 0.0) -> dict[str, float]:
    """Bounds that follow from what LocScale reached."""
    return {case: figures[name] * factor + more for case, figures in PEER.items()}


def in_control(which: str) -> Reader:
    """FSC at d_min of the default policy where the data hold nothing."""
    return lambda case: case["control"]["adaptive"][which]


def of_halves(case: Figures) -> float:
    """Measure how much more the sharpened halves promise than the unscaled ones, at d_min."""
    figures = case["policies"]["adaptive"]
    return figures["honesty_sharpened_d"] - figures["honesty_unscaled_d"]


def in_perfect(name: str) -> Reader:
    """Read a figure of the run with the complete model."""
    return lambda case: case.get("perfect_run", {}).get(name)


LIMITS = (
    Limit("voxels near atoms outside the mask", lambda c: c["run"]["outside_mask"], {ALL: 0.02}),
    Limit(
        "B of the complete model, rmsd Å²",
        in_perfect("b_rmsd"),
        {ENOLASE: 4.5, COARSE: 9.0, HAEMO: 10.0},
    ),
    Limit(
        "B of the complete model, r",
        in_perfect("b_correlation"),
        {ENOLASE: 0.97, COARSE: 0.90, HAEMO: 0.95},
        at_least=True,
    ),
    Limit(
        "the same with coordinate errors of 0.3 Å, rmsd Å²",
        in_perfect("b_rmsd_beside"),
        {ENOLASE: 4.5, COARSE: 9.0, HAEMO: 10.0},
    ),
    Limit(
        "the same, r",
        in_perfect("b_correlation_beside"),
        {ENOLASE: 0.97, COARSE: 0.90, HAEMO: 0.95},
        at_least=True,
    ),
    Limit(
        "reference error in the removed part",
        lambda c: c["run"].get("reference_unm"),
        {ENOLASE: 0.06, COARSE: 0.10, HAEMO: 0.08},
    ),
    Limit("step, without its sign", sized(default("step")), {ENOLASE: 0.10, D2: 0.10, ALL: 0.15}),
    Limit("profile error (0.4 of LocScale's)", default("prof_all"), over_peer("prof_all", 0.4)),
    Limit(
        "profile error, unmodelled (0.3 of LocScale's)",
        default("prof_unm"),
        over_peer("prof_unm", 0.3),
    ),
    Limit("cc (LocScale's + .03)", default("cc_all"), over_peer("cc_all", more=0.03), True),
    Limit(
        "cc, unmodelled (LocScale's + .03)", default("cc_unm"), over_peer("cc_unm", more=0.03), True
    ),
    Limit("cc", default("cc_all"), {ENOLASE: 0.94, D2: 0.94}, True),
    Limit("profile error", default("prof_all"), {ENOLASE: 0.10, D2: 0.10}),
    Limit(
        "mean FSC with the truth (LocScale's + .015)",
        default("fsc"),
        over_peer("fsc", more=0.015),
        True,
    ),
    Limit("FSC at d", default("fsc_d"), {ENOLASE: 0.72, D2: 0.69}, True),
    Limit("its control", in_control("output"), {ENOLASE: 0.1, D2: 0.1}),
    Limit("FSC at d, linear map", default("linear_fsc_d"), {ENOLASE: 0.69, D2: 0.66}, True),
    Limit("its control", in_control("linear"), {ENOLASE: 0.05, D2: 0.05}),
    Limit("FSC at d, weight soft", default("fsc_d", "soft"), {ENOLASE: 0.76, D2: 0.74}, True),
    Limit(
        "near-atom voxels with weight 0 at d",
        lambda c: c["weight"]["shut_at_d_min"],
        {ENOLASE: 0.06, D2: 0.06},
    ),
    Limit(
        "atoms with a weight below .5",
        lambda c: c["weight"]["atoms_below_half"],
        {ENOLASE: 0.0, D2: 0.0},
    ),
    Limit(
        "C_ref of sharpened minus that of unscaled half maps", of_halves, {ENOLASE: 0.03, D2: 0.03}
    ),
    Limit("asymmetry, sd", default("asym"), {ALL: 0.0005}),
    Limit("change with another seed, sd", lambda c: c["reseeded"], {ALL: 0.02}),
)


def limits_table(found: dict[str, Figures]) -> str:
    """Format every limit with what was found, case by case."""
    return table(HEAD, [row for limit in LIMITS for row in _rows(limit, found)])


def _rows(limit: Limit, found: dict[str, Figures]) -> Iterator[tuple[str, ...]]:
    """Format the lines of one limit."""
    for name, case in found.items():
        bound, value = limit.bounds.get(name, limit.bounds.get(ALL)), limit.read(case)
        if bound is None or value is None:
            continue
        held = limit.holds(value, bound)
        yield (
            limit.text,
            name,
            f"{value:.4g}",
            f"{'≥' if limit.at_least else '≤'} {bound:.3g}",
            "met" if held else "**exceeded**",
        )
