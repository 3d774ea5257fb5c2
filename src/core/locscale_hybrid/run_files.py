"""The job folder of a run, and what a run reads."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from .box_atoms import cut_to_box
from .cutout import beyond_the_map
from .errors import InputError
from .files import read_hashed, sha256
from .findings import Finding
from .folder_keeper import FolderKeeper
from .launch import python_executable
from .maps import Map
from .mrc import MapFrame
from .observed import ObservedMaps, read_companion, read_observed
from .outputs import OutputPaths
from .parameters import HybridInputs, HybridParameters, without_effect
from .structure import AtomicModel, read_model
from .symmetry import Symmetry, symmetry_of
from .weights import require_weights

_RUN_PREFIX = "run-"
_LOCK = "in_use"


@dataclass(frozen=True, eq=False)
class RunInput:
    """Everything a run reads, in memory.

    Parameters
    ----------
    observed : ObservedMaps
    frame : MapFrame
        Of the first map; the output is written in it.
    symmetry : Symmetry
        About the centre of the box, or where it was asked for; C1 too.
    model : AtomicModel, optional
        What of it is in the box of the map.
    whole_model : AtomicModel, optional
        As its file has it; only the checks and the reference look outside the box.
    mask, weight : Map, optional
        The user's.
    findings : tuple of Finding
        Of reading; those of the model come with `check_inputs`.
    digests : mapping of str to str
        SHA-256 of what was read, by field of `HybridInputs`: files may be replaced meanwhile.
    """

    observed: ObservedMaps
    frame: MapFrame
    symmetry: Symmetry
    model: AtomicModel | None
    whole_model: AtomicModel | None
    mask: Map | None
    weight: Map | None
    findings: tuple[Finding, ...]
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def group(self) -> Symmetry | None:
        """The point group; None for C1."""
        return None if self.symmetry.is_trivial else self.symmetry

    def without_halves(self) -> "RunInput":
        """What writing needs: half maps take room that a large box does not have."""
        return replace(self, observed=replace(self.observed, half_1=None, half_2=None))


def read_run_input(inputs: HybridInputs, parameters: HybridParameters) -> RunInput:
    """Read the maps and the model.

    Raises
    ------
    InputError
        If a file cannot be used, or the point group is unknown.
    """
    observed, frame, findings = read_observed(inputs, parameters)
    symmetry = symmetry_of(observed.average.grid, parameters.point_group,
                           parameters.symmetry_centre)
    model, whole, digests = None, None, dict(observed.digests)
    if inputs.model is not None:
        whole, digests["model"] = read_hashed(inputs.model, read_model)
        model = cut_to_box(whole, observed.average.grid)
    if inputs.monomer_library is not None:
        digests["monomer_library"] = sha256(inputs.monomer_library)
    beside = {}
    for name, path, what in (("mask", inputs.mask, "mask"),
                             ("weight_map", inputs.weight_map, "weight")):
        if path is not None:
            file = read_companion(path, observed.average, what, voxel_size=parameters.voxel_size)
            beside[name], digests[name] = file.map, file.sha256
    mask, weight = beside.get("mask"), beside.get("weight_map")
    if weight is not None:
        findings += require_weights(weight)
    findings += without_effect(inputs, parameters)
    if parameters.region is not None:
        findings += beyond_the_map(parameters.region, observed.average.grid)
    return RunInput(observed, frame, symmetry, model, whole, mask, weight, tuple(findings),
                    digests)


@contextmanager
def job_folder(outputs: OutputPaths) -> Iterator[Path]:
    """The folder in which a run's processes meet.

    It is for this user alone and goes with the run, or with a process that is killed.  In a named
    processing folder it lies beside what outlives the run, and those that killed runs have left
    there are removed.

    Raises
    ------
    InputError
        If it cannot be made.
    """
    named = outputs.processing_folder
    with contextlib.ExitStack() as held:
        try:
            if named is not None:
                named.mkdir(mode=0o700, exist_ok=True)
                folder = _folder_among_others(named, held)
            elif outputs.scratch is not None:   # somebody sees to that
                folder = Path(tempfile.mkdtemp(prefix="locscale-", dir=outputs.scratch))
            else:
                folder = held.enter_context(FolderKeeper("locscale-", python=_python())).folder
        except OSError as error:
            place = named or outputs.scratch or tempfile.gettempdir()
            raise InputError(f"no job folder can be made in {place}: {error.strerror}; set TMPDIR "
                             "to a folder with room, or name one with -op") from None
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _python() -> Path:
    """An interpreter; inside an application without one, a program that cannot be started."""
    try:
        return python_executable()
    except InputError:
        return Path(os.devnull)


def _folder_among_others(named: Path, held: contextlib.ExitStack) -> Path:
    """A folder with a lock that is held as long as the run lives; dead ones beside it go."""
    with contextlib.ExitStack() as briefly:
        alone = _locked(named, os.O_RDONLY, briefly)  # so that no folder is seen without its lock
        for path in named.glob(f"{_RUN_PREFIX}*") if alone else ():
            with contextlib.ExitStack() as mine:
                if _locked(path / _LOCK, os.O_RDWR | os.O_CREAT, mine):
                    shutil.rmtree(path, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=_RUN_PREFIX, dir=named))
        _locked(folder / _LOCK, os.O_RDWR | os.O_CREAT, held)
    return folder


def _locked(path: Path, flags: int, held: contextlib.ExitStack) -> bool:
    """Take a lock until the stack closes; False where another has it or there are no locks."""
    try:
        import fcntl
    except ImportError:  # Windows: folders of killed runs stay
        return False
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError:
        return False
    held.callback(os.close, descriptor)
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
