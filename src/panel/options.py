"""Options of the panel: how each keyword of the command is called there, and in which group."""

from dataclasses import dataclass

from locscale_hybrid.cli.job_file import most_processes
from locscale_hybrid.parameters import OUTPUTS, RANGES, REFINERS, SCALINGS, WEIGHTS

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
    tip : str
        When to change it.
    empty : str
        What an entry without text means.
    is_specifier : bool
        The text is typed as it is, since the command does not take a specifier in quotes.
    """

    group: str
    keyword: str
    label: str
    default: object
    choices: tuple = ()
    low: float = 0
    high: float = 0
    unit: str = ""
    tip: str = ""
    empty: str = ""
    is_specifier: bool = False


def _within(field):
    """The range of the core for a parameter."""
    _, low, high, _ = RANGES[field]
    return {"low": low, "high": high}


OPTIONS = (
    Option(
        "Scaling",
        "weight",
        "Quieten noise",
        DEFAULT_WEIGHT,
        WEIGHTS,
        tip="adaptive does not invent detail; soft is the cleanest to look at, but can",
    ),
    Option(
        "Scaling",
        "scaling",
        "Local gain from",
        "bands",
        SCALINGS,
        tip="bands: smoothed power of frequency bands; windows: LocScale's moving cube, slower",
    ),
    Option(
        "Scaling",
        "window",
        "Window",
        25.0,
        **_within("window"),
        unit="Å",
        tip="smaller follows the map more closely and is noisier",
    ),
    Option(
        "Scaling",
        "zone",
        "Only around atoms",
        "",
        empty="the whole map",
        is_specifier=True,
        tip="atoms, e.g. sel or #3/A:10-40: a quick look; the result is empty elsewhere",
    ),
    Option(
        "Scaling",
        "fdr",
        "False discovery rate of the mask",
        0.01,
        **_within("fdr"),
        tip="smaller is a tighter mask",
    ),
    Option(
        "Scaling",
        "resolution",
        "Resolution",
        None,
        **_within("resolution"),
        unit="Å",
        tip="measured: between the half maps; with one map, against the model",
    ),
    Option(
        "Refinement",
        "completeModel",
        "Complete the model by pseudo-atoms",
        True,
        tip="off: the model is taken for the whole truth",
    ),
    Option(
        "Refinement",
        "refiner",
        "Refine B factors with",
        "own",
        REFINERS,
        tip="servalcat must be installed separately",
    ),
    Option(
        "Refinement",
        "bFloor",
        "B of the best-ordered atoms",
        10.0,
        **_within("b_floor"),
        unit="Å²",
        tip="smaller is sharper everywhere",
    ),
    Option(
        "Refinement",
        "seed",
        "Seed of the pseudo-atoms",
        1,
        **_within("seed"),
        tip="the same seed gives the same map",
    ),
    Option(
        "Outputs",
        "outputs",
        "Also open",
        (),
        OUTPUTS,
        tip="opened hidden beside the result; measure and deposit the linear map",
    ),
    Option(
        "Outputs",
        "saveTo",
        "Keep the files in folder",
        "",
        empty="not kept",
        tip="empty: they go with the result",
    ),
    Option(
        "Outputs", "report", "Write a report with the curves", True, tip="the log has a link to it"
    ),
    Option(
        "Computing",
        "processes",
        "Processes",
        0,
        low=0,
        high=most_processes(),
        tip="0: all cores; the result is the same for any number",
    ),
    Option(
        "Computing",
        "mpiexec",
        "MPI starter (mpiexec)",
        "",
        empty="found by itself",
        tip="empty: searched for; used only where mpi4py is installed",
    ),
)
REMEMBERED = ("weight", "scaling", "window", "fdr", "refiner", "processes", "mpiexec")
