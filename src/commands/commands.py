"""The commands `locscale hybrid`, `check`, `info` and `stop`; the others are in `on_results`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chimerax.core.commands import (
    Annotation,
    AnnotationError,
    BoolArg,
    Bounded,
    CmdDesc,
    EnumOf,
    FloatArg,
    IntArg,
    ListOf,
    OpenFileNameArg,
    OpenFolderNameArg,
    PositiveIntArg,
    SaveFolderNameArg,
    StringArg,
    TupleOf,
    register,
)
from chimerax.core.errors import UserError
from chimerax.map import MapRegionArg

from locscale_hybrid.parameters import OUTPUTS, RANGES, REFINERS, SCALINGS, TAPERS

from ..keywords import ALIASES, ALL, python_name
from ..words import message_of
from . import on_results
from . import start as run
from .on_results import as_asked, of_result
from .selection import with_one_spelling
from .specifiers import InputMapsArg, ModelAtomsArg, OneMapArg, ResultArg, WeightArg, ZoneArg

if TYPE_CHECKING:
    from typing import Any

    from chimerax.core.commands import JSONResult

    from ..job.job import LocScaleJob
    from ..session_types import Finding, Json, Logger, Session, Volume

_MADE = "give a map that locscale hybrid made"
_HIDDEN = tuple(map(python_name, ALIASES))  # left out of the usage


class PointGroupArg(StringArg):
    """A point group in Schoenflies notation."""

    name = "a point group: C1, C4, D2, T, O, I, I1, ..."

    @classmethod
    def parse(cls, text: str, session: Session) -> tuple[str, str, str]:
        """Parse a symbol; what the core does not know is refused here."""
        from locscale_hybrid.errors import InputError
        from locscale_hybrid.symmetry.point_groups import parse_point_group

        symbol, used, rest = super().parse(text, session)
        try:
            parse_point_group(symbol)
        except InputError as error:
            raise AnnotationError(message_of(error)) from None
        return symbol, used, rest


class ProcessesArg(Annotation):
    """A number of processes that this machine can bear."""

    name = "1 or more"

    @staticmethod
    def parse(text: str, session: Session) -> tuple[int, str, str]:
        """Parse a number; what the core would not start is refused here."""
        from locscale_hybrid.cli.job_file import require_processes
        from locscale_hybrid.errors import InputError

        number, used, rest = PositiveIntArg.parse(text, session)
        try:
            require_processes(number)
        except InputError as error:
            raise UserError(message_of(error)) from None
        return number, used, rest


class SubregionArg(MapRegionArg):
    """Two corners in voxels, as the command ``volume`` takes them."""

    name = "i1,j1,k1,i2,j2,k2 in voxels, all, or shown"


class LibraryArg(OpenFolderNameArg):
    """A folder that is there."""

    name = "folder of the monomer library, or browse"


class FolderArg(SaveFolderNameArg):
    """A folder, made where it is not there."""

    name = "a folder, or browse"


class ProgramArg(OpenFileNameArg):
    """A program that is there."""

    name = "path of mpiexec, or browse"


def locscale_hybrid(
    session: Session,
    maps: list[Volume] | None = None,
    *,
    update: Volume | None = None,
    wait: bool | None = None,
    return_json: bool = False,
    **keywords: Any,
) -> Volume | LocScaleJob | JSONResult:
    """Sharpen a map locally with a partial atomic model completed by pseudo-atoms.

    Parameters
    ----------
    session : Session
    maps : list of Volume, optional
        Two half maps or one full map; with `update` those of the result.
    update : Volume, optional
        Result whose values are to be replaced; its own record gives what is not typed.
    wait : bool, optional
        Wait for the result; None: in scripts and without a window.
    return_json : bool
        Return a `JSONResult` with the numbers of the models and the record.
    **keywords
        See `hybrid_description`.

    Returns
    -------
    Volume or LocScaleJob
        The result where it waited, else the job.
    """
    made = run.start_hybrid(session, maps, with_one_spelling(keywords), update=update, wait=wait)
    return (
        as_asked(made, of_result(session, made), return_json=return_json) if return_json else made
    )


def locscale_check(
    session: Session,
    maps: list[Volume],
    *,
    wait: bool | None = None,
    return_json: bool = False,
    **keywords: Any,
) -> list[Finding] | LocScaleJob | JSONResult:
    """Examine maps and model in seconds, as the first stage of a run does.

    Parameters
    ----------
    session : Session
    maps : list of Volume
    wait : bool, optional
    return_json : bool
        Wait, and return a `JSONResult` with the findings.
    **keywords
        See `check_description`.

    Returns
    -------
    list of dict or LocScaleJob
        Findings, where it waited.
    """
    wait = True if return_json else wait
    found = run.start_check(session, maps, with_one_spelling(keywords), wait=wait)
    return as_asked(found, found, return_json=return_json)


def locscale_info(
    session: Session, volume: Volume, *, return_json: bool = False
) -> Json | JSONResult:
    """Log how a result was made.

    Parameters
    ----------
    session : Session
    volume : Volume
    return_json : bool
        Return a `JSONResult` with the record.

    Returns
    -------
    dict
        The core's record of the run.
    """
    record = run.log_info(session, volume)
    return as_asked(record, record, return_json=return_json)


def locscale_stop(session: Session) -> int:
    """End the runs that are going on.

    Parameters
    ----------
    session : Session

    Returns
    -------
    int
        Number of runs ended.
    """
    return run.stop_all(session)


def hybrid_description() -> CmdDesc:
    """Describe the arguments of ``locscale hybrid``."""
    return CmdDesc(
        optional=[("maps", InputMapsArg)],
        keyword=[
            *_input_keywords(),
            ("zone", ZoneArg),
            ("range", _number(FloatArg, 0, 100, "Å")),
            ("subregion", SubregionArg),
            ("weight", WeightArg()),
            ("scaling", EnumOf(SCALINGS)),
            ("window", _of_core(FloatArg, "window")),
            ("window_voxels", _of_core(IntArg, "window_voxels")),
            ("stride", _of_core(IntArg, "stride")),
            ("taper", EnumOf(TAPERS)),
            ("noise_weight", BoolArg),
            ("complete_model", BoolArg),
            ("refiner", EnumOf(REFINERS)),
            ("model_resolution", _of_core(FloatArg, "model_resolution")),
            ("b_steps", _of_core(IntArg, "b_steps")),
            ("refine_coordinates", LibraryArg),
            ("b_floor", _of_core(FloatArg, "b_floor")),
            ("neighbor_tau", _of_core(FloatArg, "neighbour_tau")),
            ("seed", _of_core(IntArg, "seed")),
            ("reseed_check", BoolArg),
            ("validate", BoolArg),
            (
                "outputs",
                ListOf(EnumOf((*OUTPUTS, ALL)), name=f"any of {', '.join(OUTPUTS)}, or {ALL}"),
            ),
            ("report", BoolArg),
            ("name", StringArg),
            ("save_to", FolderArg),
            ("update", ResultArg("update", _MADE)),
            ("processes", ProcessesArg),
            ("mpiexec", ProgramArg),
            ("wait", BoolArg),
        ],
        hidden=_HIDDEN,
        synopsis="Sharpen a map locally with a partial atomic model",
    )


def check_description() -> CmdDesc:
    """Describe the arguments of ``locscale check``."""
    return CmdDesc(
        required=[("maps", InputMapsArg)],
        keyword=[*_input_keywords(), ("wait", BoolArg)],
        hidden=_HIDDEN,
        synopsis="Examine half maps and model before sharpening",
    )


def register_command(name: str, logger: Logger) -> None:
    """Register one command by its full name."""
    descriptions = {
        "locscale hybrid": (hybrid_description, locscale_hybrid),
        "locscale check": (check_description, locscale_check),
        "locscale info": (
            lambda: CmdDesc(
                required=[("volume", ResultArg("locscale info", _MADE))],
                synopsis="Tell how a sharpened map was made",
            ),
            locscale_info,
        ),
        "locscale scores": (on_results.scores_description, on_results.locscale_scores),
        "locscale adjust": (on_results.adjust_description, on_results.locscale_adjust),
        "locscale peak": (on_results.peak_description, on_results.locscale_peak),
        "locscale stop": (lambda: CmdDesc(synopsis="End sharpening runs"), locscale_stop),
    }
    description, function = descriptions[name]
    register(name, description(), function, logger=logger)


def _input_keywords() -> list[tuple[str, Annotation]]:
    """Keywords that say what is worked on."""
    centre = TupleOf(FloatArg, 3, name="x,y,z in voxels")
    return [
        ("model", ModelAtomsArg),
        ("sym", PointGroupArg),
        ("symmetry", PointGroupArg),
        ("symmetry_center", centre),
        ("symmetry_centre", centre),
        ("mask", OneMapArg("mask", "give an open map, for example mask #5")),
        ("resolution", _of_core(FloatArg, "resolution")),
        ("fdr", _of_core(FloatArg, "fdr", "of the voxels")),
    ]


def _of_core(kind: Annotation, field: str, unit: str | None = None) -> Bounded:
    """Bound a number by the range that the core has for a parameter."""
    _, low, high, own_unit = RANGES[field]
    return _number(kind, low, high, own_unit if unit is None else unit)


def _number(kind: Annotation, low: float, high: float, unit: str) -> Bounded:
    """Bound a number, with its range and unit as ``usage`` shows them."""
    text = f"{low:g} to {high:.12g} {unit}".rstrip()
    return Bounded(kind, min=low, max=high, name=text, html_name=f"<i>{text}</i>")
