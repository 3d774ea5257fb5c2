"""What a run is asked to do, and what comes out of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .run_folder import RunFolder

if TYPE_CHECKING:
    from typing import Any, Literal

    from ..scene.handover import Handover
    from ..session_types import Finding, Json


@dataclass(frozen=True)
class Request:
    """What the child is asked to do.

    Parameters
    ----------
    handover : Handover
    parameters : dict
        `HybridParameters.as_dict()`.
    outputs : dict
        Arguments of `locscale_hybrid.outputs.output_paths`; the path is called "map".
    folder : RunFolder
    processes : int or None
    mpiexec : str or None
    action : {"run", "check"}
    title : str
        What the job works on, for the status line and the Task Manager.
    keep_folder : bool
        The folder belongs to a result: a failure leaves it.
    quiet : bool
        Say nothing: who started the job asks for `findings` and `error`.
    packed : dict of str to bytes
        What an update starts from, of a session file; see `RunFolder.unpack`.
    name : str
        Of the result.
    remarks : tuple of dict
        Findings that are known before the core looks.
    unless_unchanged : bool
        Do nothing where the earlier run had the same maps, model and parameters.
    """

    handover: Handover
    parameters: Json
    outputs: Json
    folder: RunFolder
    processes: int | None = None
    mpiexec: str | None = None
    action: Literal["run", "check"] = "run"
    title: str = "map"
    keep_folder: bool = False
    quiet: bool = False
    packed: dict[str, bytes] = field(default_factory=dict)
    name: str = ""
    remarks: tuple[Finding, ...] = ()
    unless_unchanged: bool = False


@dataclass
class Outcome:
    """What the child reported, and what was read from its files in the job's thread."""

    inputs: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    result: Json | None = None
    enclosed: int | None = None
    payload: Any = None
    unchanged: bool = False


def record_of(outcome: Outcome) -> Json:
    """Read the JSON record of a run, {} where there is none."""
    path = (outcome.result or {}).get("record")
    if not path or not Path(path).is_file():
        return {}
    return json.loads(Path(path).read_text(encoding="utf-8"))
