"""The commands: `locscale hybrid`, `locscale check`, `locscale info`, `locscale stop`."""

from chimerax.atomic import AtomsArg
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
    ModelsArg,
    OpenFileNameArg,
    OpenFolderNameArg,
    PositiveIntArg,
    SaveFolderNameArg,
    StringArg,
    TupleOf,
    register,
)
from chimerax.core.errors import UserError
from chimerax.map import MapArg, MapRegionArg, Volume

from locscale_hybrid.parameters import OUTPUTS, REFINERS, SCALINGS, TAPERS, WEIGHTS

from . import run
from .arguments import ALL
from .frames import map_label

_WEIGHT_WORD = EnumOf(WEIGHTS)


class InputMapsArg(ModelsArg):
    """One or several open maps; says what else was named, and what was named twice."""

    name = "two half maps or one full map"

    @classmethod
    def parse(cls, text, session):
        """Parse a model specifier into maps, in the order typed."""
        models, used, rest = super().parse(text, session)
        maps = [model for model in models if isinstance(model, Volume)]
        if not maps:
            raise UserError(_no_map(used, models))
        twice = _named_twice(used)
        if twice:
            raise UserError(f"{twice} is given twice: name two different half maps, or one map "
                            "alone as the full map")
        return maps, used, rest


class ModelAtomsArg(AtomsArg):
    """Atoms of open atomic structures; there must be some."""

    name = "an atomic model, or atoms of it"
    example = "model #3, or chosen atoms of it, model #3/A,B"

    @classmethod
    def parse(cls, text, session, ordered=False):
        """Parse an atom specifier."""
        atoms, used, rest = super().parse(text, session, ordered)
        if len(atoms) == 0:
            raise UserError(f'"{used}" names no atoms: give an open atomic structure, '
                            f"for example {cls.example}")
        return atoms, used, rest


class ZoneArg(ModelAtomsArg):
    """Atoms that the user looks at; there must be some."""

    name = "atoms"
    example = "zone #3:10-40, or those that are selected, zone sel"


class PointGroupArg(StringArg):
    """A point group in Schoenflies notation."""

    name = "a point group: C1, C4, D2, T, O, I, I1, ..."

    @classmethod
    def parse(cls, text, session):
        """Parse a symbol; what the core does not know is refused here."""
        from locscale_hybrid.errors import InputError
        from locscale_hybrid.point_groups import parse_point_group
        symbol, used, rest = super().parse(text, session)
        try:
            parse_point_group(symbol)
        except InputError as error:
            raise AnnotationError(str(error)) from None
        return symbol, used, rest


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


class WeightArg(Annotation):
    """The name of a policy, or a map that holds the weight itself."""

    name = f"{_WEIGHT_WORD.name}, or a map with weights from 0 to 1"

    @staticmethod
    def parse(text, session):
        """Parse a word, else a map."""
        try:
            return _WEIGHT_WORD.parse(text, session)
        except AnnotationError as word_error:
            try:
                return MapArg.parse(text, session)
            except AnnotationError:
                raise AnnotationError(f"{word_error}, or a map such as #4") from None


def locscale_hybrid(session, maps=None, *, update=None, wait=None, **keywords):
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
    **keywords
        See `hybrid_description`.

    Returns
    -------
    Volume or LocScaleJob
        The result where it waited, else the job.
    """
    return run.start_hybrid(session, maps, keywords, update=update, wait=wait)


def locscale_check(session, maps, *, wait=None, **keywords):
    """Examine maps and model in seconds, as the first stage of a run does.

    Parameters
    ----------
    session : Session
    maps : list of Volume
    wait : bool, optional
    **keywords
        See `check_description`.

    Returns
    -------
    list of dict or LocScaleJob
        Findings, where it waited.
    """
    return run.start_check(session, maps, keywords, wait=wait)


def locscale_info(session, volume):
    """Log how a result was made.

    Parameters
    ----------
    session : Session
    volume : Volume

    Returns
    -------
    dict
        The core's record of the run.
    """
    return run.log_info(session, volume)


def locscale_stop(session):
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


def hybrid_description():
    """Describe the arguments of ``locscale hybrid``."""
    return CmdDesc(
        optional=[("maps", InputMapsArg)],
        keyword=[*_input_keywords(),
                 ("zone", ZoneArg),
                 ("range", _number(FloatArg, 0, 100, "Å")),
                 ("subregion", SubregionArg),
                 ("weight", WeightArg),
                 ("scaling", EnumOf(SCALINGS)),
                 ("window", _number(FloatArg, 5, 100, "Å")),
                 ("window_voxels", _number(IntArg, 5, 401, "voxels")),
                 ("stride", _number(IntArg, 1, 8, "voxels")),
                 ("taper", EnumOf(TAPERS)),
                 ("noise_weight", BoolArg),
                 ("complete_model", BoolArg),
                 ("refiner", EnumOf(REFINERS)),
                 ("model_resolution", _number(FloatArg, 1, 30, "Å")),
                 ("b_steps", _number(IntArg, 1, 100, "steps")),
                 ("refine_coordinates", LibraryArg),
                 ("b_floor", _number(FloatArg, 0, 200, "Å²")),
                 ("neighbor_tau", _number(FloatArg, 0.5, 200, "Å²")),
                 ("seed", IntArg),
                 ("reseed_check", BoolArg),
                 ("validate", BoolArg),
                 ("outputs", ListOf(EnumOf((*OUTPUTS, ALL)),
                                    name=f"any of {', '.join(OUTPUTS)}, or {ALL}")),
                 ("report", BoolArg),
                 ("name", StringArg),
                 ("save_to", FolderArg),
                 ("update", MapArg),
                 ("processes", PositiveIntArg),
                 ("mpiexec", ProgramArg),
                 ("wait", BoolArg)],
        synopsis="Sharpen a map locally with a partial atomic model")


def check_description():
    """Describe the arguments of ``locscale check``."""
    return CmdDesc(required=[("maps", InputMapsArg)],
                   keyword=[*_input_keywords(), ("wait", BoolArg)],
                   synopsis="Examine half maps and model before sharpening")


def register_command(name, logger):
    """Register one command by its full name."""
    descriptions = {
        "locscale hybrid": (hybrid_description, locscale_hybrid),
        "locscale check": (check_description, locscale_check),
        "locscale info": (lambda: CmdDesc(required=[("volume", MapArg)],
                                          synopsis="Tell how a sharpened map was made"),
                          locscale_info),
        "locscale stop": (lambda: CmdDesc(synopsis="End sharpening runs"), locscale_stop)}
    description, function = descriptions[name]
    register(name, description(), function, logger=logger)


def _input_keywords():
    """Keywords that say what is worked on."""
    return [("model", ModelAtomsArg), ("sym", PointGroupArg),
            ("symmetry_center", TupleOf(FloatArg, 3, name="x,y,z in voxels")),
            ("mask", MapArg), ("resolution", _number(FloatArg, 1, 30, "Å")),
            ("fdr", _number(FloatArg, 1e-6, 0.5, "of the voxels"))]


def _number(kind, low, high, unit):
    """A number with its range and unit, as ``usage`` shows them."""
    text = f"{low:g} to {high:g} {unit}"
    return Bounded(kind, min=low, max=high, name=text, html_name=f"<i>{text}</i>")


def _no_map(used, models):
    """Explain a specifier that names no map."""
    if not models:
        return f'"{used}" names no open model: open the half maps first'
    model = next(iter(models))
    parent = getattr(model, "parent", None)
    if isinstance(parent, Volume):
        return (f'"{used}" is the surface of {map_label(parent)}: name the map itself, '
                f"#{parent.id_string}")
    return (f'"{used}" is no density map but {type(model).__name__} {model.name}: name two open '
            "half maps, or one full map")


def _named_twice(used):
    """Return the first specifier that a list of plain specifiers holds twice, or None."""
    words = [word for part in used.split() for word in _parts(part)]
    return next((word for place, word in enumerate(words) if word in words[:place]), None)


def _parts(word):
    """Parts of "#1,2" as "#1" and "#2"; other specifiers as they are."""
    numbers = word[1:].split(",")
    if word.startswith("#") and all(number.replace(".", "").isdigit() for number in numbers):
        return [f"#{number}" for number in numbers]
    return [word]


