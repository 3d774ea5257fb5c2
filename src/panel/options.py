"""Options of the panel: how each keyword of the command is called there, and in which group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from locscale_hybrid.cli.job_file import most_processes
from locscale_hybrid.option_texts import option_texts
from locscale_hybrid.parameters import OUTPUTS, RANGES, REFINERS, SCALINGS, WEIGHTS

from ..keywords import KEYWORDS

if TYPE_CHECKING:
    from typing import Any

GROUPS = ("Scaling", "Refinement", "Outputs", "Computing")
DEFAULT_WEIGHT = "adaptive"


@dataclass(frozen=True)
class Option:
    """One option.

    Parameters
    ----------
    group : str
        One of `GROUPS`.
    keyword : str
        Of ``locscale hybrid``.
    label : str
    default : value
        Its type says which widget it has; None: a number that may be left empty.
    choices : tuple of str
        Words of a menu, or of a list of check boxes where `default` is a tuple.
    low, high : float
        Range of a number.
    unit : str
    own_tip : str
        What it does and when to change it, if the core has no text for it.
    empty : str
        What an entry without text means.
    is_specifier : bool
        The text is typed as it is, since the command does not take a specifier in quotes.
    """

    group: str
    keyword: str
    label: str
    default: Any
    choices: tuple[str, ...] = ()
    low: float = 0
    high: float = 0
    unit: str = ""
    own_tip: str = ""
    empty: str = ""
    is_specifier: bool = False

    @property
    def tip(self) -> str:
        """What it does and when to change it: the text of the core, in terms of the command."""
        if self.own_tip:
            return self.own_tip
        terms = {keyword.parameter: keyword.name for keyword in KEYWORDS}
        parameter = next(
            (keyword.parameter for keyword in KEYWORDS if keyword.name == self.keyword),
            self.keyword,
        )
        text = option_texts().get(parameter)
        return "" if text is None else text.worded(terms).sentences()

    def typed_value(self, text: str) -> Any:
        """Read a value as a remedy has it; None where it does not fit."""
        if isinstance(self.default, bool):
            return {"true": True, "false": False}.get(text)
        if self.choices:
            return text if text in self.choices else None
        try:
            return type(1.0 if self.default is None else self.default)(text)
        except ValueError:
            return None


def _within(field: str) -> dict[str, Any]:
    """Return the range of the core for a parameter."""
    _, low, high, _ = RANGES[field]
    return {"low": low, "high": high}


OPTIONS = (
    Option("Scaling", "weight", "Noise weighting", DEFAULT_WEIGHT, WEIGHTS),
    Option("Scaling", "scaling", "Scaling method", "bands", SCALINGS),
    Option("Scaling", "window", "Window", 25.0, **_within("window"), unit="Å"),
    Option(
        "Scaling",
        "zone",
        "Only around atoms",
        "",
        empty="the whole map",
        is_specifier=True,
        own_tip="Sharpen only a box around these atoms, for example sel or #3/A:10-40. The map is "
        "0 elsewhere. Use it for a quick look.",
    ),
    Option("Scaling", "fdr", "False discovery rate of the mask", 0.01, **_within("fdr")),
    Option("Scaling", "resolution", "Resolution", None, **_within("resolution"), unit="Å"),
    Option("Refinement", "completeModel", "Complete the model with pseudo-atoms", True),
    Option("Refinement", "refiner", "Refine B factors with", "own", REFINERS),
    Option("Refinement", "bFloor", "Minimum B factor", 10.0, **_within("b_floor"), unit="Å²"),
    Option("Refinement", "seed", "Seed of the pseudo-atoms", 1, **_within("seed")),
    Option("Refinement", "validate", "Cross-validate when you re-sharpen (slower)", False),
    Option("Outputs", "outputs", "Also open", (), OUTPUTS),
    Option(
        "Outputs",
        "saveTo",
        "Save files in folder",
        "",
        empty="not saved",
        own_tip="Save the map, the record and the report in this folder. If it is empty, they are "
        "deleted with the result.",
    ),
    Option(
        "Outputs",
        "report",
        "Write a report with curves",
        True,
        own_tip="Write a report; the log has a link to it.",
    ),
    Option(
        "Computing",
        "processes",
        "Processes",
        0,
        low=0,
        high=most_processes(),
        own_tip="Set the number of processes; 0 uses all cores. The result is the same for any "
        "number. Change it when other programs need the cores.",
    ),
    Option(
        "Computing",
        "mpiexec",
        "MPI starter (mpiexec)",
        "",
        empty="automatic",
        own_tip="Set the path of mpiexec. It is used only if mpi4py is installed.",
    ),
)
# Of the command, but not of a full run: half map 2 is always used there.
OF_UPDATES = ("validate",)
OPTION_OF_PARAMETER = {
    keyword.parameter: option
    for keyword in KEYWORDS
    for option in OPTIONS
    if option.keyword == keyword.name
}
REMEMBERED = ("weight", "scaling", "window", "fdr", "refiner", "processes", "mpiexec")

# What each further map shows.
OUTPUT_TIPS = {
    "linear": "The linear map, without noise weighting: measure, refine and deposit this one.",
    "halves": "Both half maps, sharpened like the map.",
    "localB": "The local B factor of the reference. You can color the map by it.",
    "gain": "The local gain at several resolutions. You can color the map by it.",
    "resolution": "The local resolution. You can color the map by it.",
    "provenance": "Where the reference came from the model or from pseudo-atoms.",
    "mask": "The mask that was used.",
    "reference": "The reference map, computed from the hybrid model.",
    "model": "The model with refined B factors, and the pseudo-atoms.",
    "difference": "The map minus the model, in standard deviations: density without atoms, or the opposite.",
    "scores": "Q-score, correlation and B factor of every residue, as a table (CSV).",
}
