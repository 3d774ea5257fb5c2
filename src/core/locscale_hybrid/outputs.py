"""Where a run writes: the two maps, the record and what else was asked for."""

import os
import tempfile
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from .errors import InputError
from .parameters import HybridInputs
from .remedies import Remedy, do, give

DEFAULT_OUTPUT = "locscale_output.mrc"
MAP_ENDINGS = (".mrc", ".map", ".ccp4", ".mrc.gz", ".map.gz", ".ccp4.gz")
# What is written for each of `parameters.OUTPUTS` that is no map of its own name.
_TAILS = {
    "linear": (),
    "model": (),
    "scores": (),
    "halves": ("sharpened_half1", "sharpened_half2"),
    "gain": ("gain_100.0A",),
}  # the longest name of a band
_KEPT = ("mask.mrc", "hybrid_model.cif", "reference.mrc")  # in the processing folder


@dataclass(frozen=True)
class OutputPaths:
    """Names of everything that a run may leave behind.

    Parameters
    ----------
    map : Path
        The display map; absolute, with one of MAP_ENDINGS. Other names derive from it.
    processing_folder : Path, optional
        Job folder that outlives the run; None: a temporary one that goes with the run.
    report : bool
        Write the report.
    resume : bool
        Use the stage results found in the processing folder.
    scratch : Path, optional
        Folder in which the temporary job folder is made; None: the system's.
    """

    map: Path
    processing_folder: Path | None = None
    report: bool = False
    resume: bool = False
    scratch: Path | None = None

    @property
    def ending(self) -> str:
        """Ending of the map files, e.g. ``".mrc"`` or ``".mrc.gz"``."""
        name = self.map.name.lower()
        return next(
            (end for end in sorted(MAP_ENDINGS, key=len, reverse=True) if name.endswith(end)),
            self.map.suffix,
        )

    @property
    def stem(self) -> Path:
        """Path of the map without its ending."""
        name = self.map.name
        return self.map.with_name(name[: len(name) - len(self.ending)])

    @property
    def linear(self) -> Path:
        """The linear map, to measure and to deposit."""
        return self.extra_map("linear")

    @property
    def record(self) -> Path:
        """The JSON record of the run."""
        return self.named(".json")

    @property
    def scores(self) -> Path:
        """The table of the scores of residues."""
        return self.named("_scores.csv")

    @property
    def kept_model(self) -> Path | None:
        """The hybrid model in the processing folder."""
        return (
            None
            if self.processing_folder is None
            else (self.processing_folder / "hybrid_model.cif")
        )

    def within(self, scratch: Path) -> "OutputPaths":
        """Return the same paths with another place for temporary folders."""
        return replace(self, scratch=scratch)

    def extra_map(self, kind: str) -> Path:
        """Path of another map, e.g. ``<out>_half1.mrc``."""
        return self.named(f"_{kind}{self.ending}")

    def named(self, tail: str) -> Path:
        """Path that follows from the map's: ``<out>`` + tail."""
        return self.stem.with_name(self.stem.name + tail)

    def written(self, asked: Collection[str] = ()) -> list[Path]:
        """Everything that a run writes beside the map, the map first.

        Parameters
        ----------
        asked : collection of str
            Further outputs, by their names among `parameters.OUTPUTS`.
        """
        kinds = [kind for name in sorted(asked) for kind in _TAILS.get(name, (name,))]
        return [
            self.map,
            self.linear,
            self.record,
            *map(self.extra_map, kinds),
            *([self.named("_model.cif")] if "model" in asked else []),
            *([self.scores] if "scores" in asked else []),
            *([self.named("_report.html")] if self.report else []),
        ]


def output_paths(
    output: Path | None,
    *,
    processing_folder: Path | None = None,
    report: bool = False,
    resume: bool = False,
) -> OutputPaths:
    """Output paths as the command line gives them, absolute and with an ending.

    Parameters
    ----------
    output : Path, optional
        The map; without an ending ``.mrc`` is added. None: DEFAULT_OUTPUT in this folder.
    processing_folder : Path, optional
        With `resume` and no folder it is ``<out>_locscale``.
    report, resume : bool
        See `OutputPaths`.

    Raises
    ------
    InputError
        If the map has no name.
    """
    output = Path(DEFAULT_OUTPUT) if output is None else output
    require_file_name(os.fspath(output))
    if output.name in ("", "..") or output.name.lower() in MAP_ENDINGS:
        raise InputError(
            f"output {output} has no name of its own",
            give("output", f"the name of a map, e.g. {output.parent / DEFAULT_OUTPUT}"),
        )
    path = Path(os.path.abspath(output))
    if os.path.isdir(path):
        raise InputError(
            f"output {path} is a folder",
            give("output", f"the name of a map in it, e.g. {path / DEFAULT_OUTPUT}"),
        )
    if not path.name.lower().endswith(MAP_ENDINGS):
        path = path.with_name(path.name + ".mrc")
    paths = OutputPaths(path, None, report, resume)
    folder = processing_folder
    if folder is None and resume:
        folder = paths.named("_locscale")
    absolute = None if folder is None else Path(os.path.abspath(folder))
    return OutputPaths(path, absolute, report, resume)


def require_file_name(text: str) -> None:
    """Refuse the name of an output that is a folder's, by the separator at its end.

    Raises
    ------
    InputError
        With a name of a map in that folder.
    """
    if text.endswith(("/", os.sep)) and text.strip("/" + os.sep):
        raise InputError(
            f"output {text} is the name of a folder",
            give("output", f"the name of a map in it, e.g. {text}{DEFAULT_OUTPUT}"),
        )


def check_outputs(outputs: OutputPaths, inputs: HybridInputs, asked: Collection[str] = ()) -> None:
    """Refuse outputs that cannot be written or would overwrite an input; writes nothing.

    Parameters
    ----------
    outputs : OutputPaths
    inputs : HybridInputs
    asked : collection of str
        Further outputs; see `OutputPaths.written`.

    Raises
    ------
    InputError
        If a folder is missing or read-only, a name is too long or that of a folder, or an output
        is an input.
    """
    _check_folder(outputs.map.parent, f"output {outputs.map}")
    folder = outputs.processing_folder
    for written in outputs.written(asked):
        _check_name(written)
        _check_input(written, inputs, give("output", "another name"))
    if folder is None:
        return
    if folder.exists() and not folder.is_dir():
        raise InputError(
            f"the processing folder {folder} is a file", give("processing_folder", "a folder")
        )
    another = give("processing_folder", "another folder")
    _check_folder(folder if folder.exists() else folder.parent, f"processing folder {folder}")
    for name in _KEPT:
        if os.path.isdir(folder / name):
            raise InputError(
                f"{folder / name} is a folder, and a file of this run needs that name", another
            )
        _check_input(folder / name, inputs, another)


def _check_input(written: Path, inputs: HybridInputs, remedy: Remedy) -> None:
    """Refuse to write over what is read."""
    for name, path in inputs.files.items():
        if written.exists() and path.exists() and written.samefile(path):
            what = name.replace("_", " ")
            raise InputError(f"output {written} is also the input {what}", remedy)


def _check_name(file: Path) -> None:
    """Refuse a name that the file system does not take, or that of a folder."""
    if os.path.isdir(file):
        raise InputError(
            f"output {file} is a folder",
            give("output", f"the name of a map in it, e.g. {file / DEFAULT_OUTPUT}"),
        )
    try:
        file.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise InputError(
            f"output {file} cannot be written: {error.strerror} "
            f"({len(os.fsencode(file.name))} bytes)",
            give("output", "another name"),
        ) from None


def _check_folder(folder: Path, what: str) -> None:
    """Refuse a folder that is missing or takes no new file."""
    if not folder.is_dir():
        raise InputError(
            f"{what} cannot be written: there is no folder {folder}", do("make it first")
        )
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{what} cannot be written: {error.strerror} in {folder}", do("choose another folder")
        ) from None
