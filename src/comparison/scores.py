"""Scores of the residues of a model as it is now, on the maps of a result."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from chimerax.core.errors import UserError

from ..results.kinds import MODEL, in_words, kind_of
from ..scene.frames import frame_of, map_label
from ..scene.handover import InputMap
from .text import scores_html

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from locscale_hybrid.comparison.scores import ResidueScores

    from ..results.manager import ResultRecord
    from ..session_types import Atoms, FloatArray, Residues, Session, Volume

    Read = Callable[[], FloatArray]
    Columns = dict[str, list[Any]]

ATTRIBUTES = {  # of residues: column of the scores
    "locscale_q": "q",
    "locscale_q_before": "q_before",
    "locscale_q_error": "q_error",
    "locscale_correlation": "correlation",
    "locscale_correlation_before": "correlation_before",
    "locscale_b": "b_iso",
}
_HALVES = ("sharpened_half1", "sharpened_half2")


def start_scores(session: Session, kept: ResultRecord, atoms: Atoms, wait: bool) -> Columns | None:
    """Score the residues of a model; in a thread unless asked to wait.

    Parameters
    ----------
    session : Session
    kept : ResultRecord
    atoms : Atoms
        With their hydrogens; those do not count.
    wait : bool

    Returns
    -------
    dict or None
        `ResidueScores.as_columns` where it waited.
    """
    work = _Work(session, kept, atoms)
    if wait:
        return work.deliver(work.compute())

    def run() -> None:
        """Compute, and deliver on the main thread."""
        try:
            scores = work.compute()
        except Exception as error:  # ChimeraX would lose it
            session.ui.thread_safe(finish, None, error)
        else:
            session.ui.thread_safe(finish, scores, None)

    def finish(scores: ResidueScores | None, failure: Exception | None) -> None:
        """Deliver, or say why not."""
        if scores is None:
            session.logger.error(f"Scores of {map_label(kept.volume)} failed: {failure}")
        else:
            work.deliver(scores)

    session.logger.status(f"Scoring {map_label(kept.volume)} ...")
    threading.Thread(target=run, daemon=True).start()
    return None


class _Work:
    """What is scored, taken from the session on the main thread."""

    def __init__(self, session: Session, kept: ResultRecord, atoms: Atoms) -> None:
        self.session, self.kept = session, kept
        atoms = atoms.filter(atoms.elements.numbers != 1)
        if not len(atoms):
            raise UserError("No atoms to score. Give an atomic model, for example model #3")
        frame = frame_of(kept.volume)
        self.grid = (frame.size[::-1], frame.step, frame.origin)
        self.residues = atoms.unique_residues
        self.positions = frame.from_scene(atoms.scene_coords)
        self.elements = np.array(atoms.element_names)
        place = {pointer: i for i, pointer in enumerate(self.residues.pointers)}
        self.owner = np.array([place[pointer] for pointer in atoms.residues.pointers])
        self.names = [(r.chain_id, r.name, f"{r.number}{r.insertion_code}") for r in self.residues]
        self.maps = {
            kind: source
            for kind in ("linear", *_HALVES)
            if (source := _source(kept, kind)) is not None
        }
        if "linear" not in self.maps:
            raise UserError(
                f"The linear map of {map_label(kept.volume)} is not available. Make it again with "
                f"locscale hybrid update #{kept.volume.id_string} outputs linear"
            )
        every = len(kept.open_maps) == len(kept.maps)
        self.before = [_reader(volume) for volume in kept.open_maps] if every else []
        self.b_of_residue = _refined_b(kept)

    def compute(self) -> ResidueScores:
        """Score; reads files, so for a thread."""
        from locscale_hybrid.comparison.scores import Atoms, score_residues
        from locscale_hybrid.maps.grid import Grid, Map

        grid = Grid(*self.grid)
        maps = {kind: Map(read(), grid, kind) for kind, read in self.maps.items()}
        before = [read() for read in self.before]
        b_iso = np.array([self.b_of_residue.get(names, np.nan) for names in self.names])
        return score_residues(
            Atoms(self.positions, self.elements, self.owner, self.names),
            maps["linear"],
            d_min=self.kept.record["resolution"]["d_min_angstrom"],
            before=Map(np.mean(before, axis=0, dtype=np.float32), grid) if before else None,
            halves=(maps[_HALVES[0]], maps[_HALVES[1]]) if set(_HALVES) <= set(maps) else None,
            b_iso=b_iso[self.owner],
        )

    def deliver(self, scores: ResidueScores) -> Columns:
        """Set the attributes and log the plot; on the main thread."""
        columns = scores.as_columns()
        _set_attributes(self.session, self.residues, columns)
        means = scores.means
        before = "" if means["q_before"] is None else f"{means['q_before']:.2f} before and "
        title = (
            f"Scores of {len(self.names)} residues on {map_label(self.kept.volume)}: mean Q "
            f"{before}{means['q'] if means['q'] is None else format(means['q'], '.2f')} after "
            "sharpening"
        )
        specs = [residue.atomspec for residue in self.residues if not residue.deleted]
        if len(specs) == len(self.names):
            models = "".join(dict.fromkeys(f"#{s.id_string}" for s in self.residues.structures))
            self.session.logger.info(
                scores_html(columns, specs, title, _color_commands(models)), is_html=True
            )
        else:
            self.session.logger.info(title)
        if all(value is None for value in columns["q_error"]):
            self.session.logger.info(
                "Errors of Q need the sharpened half maps: outputs halves makes them"
            )
        return columns


def _color_commands(models: str) -> list[tuple[str, str]]:
    """Commands that color the model by its scores."""
    return [
        (
            f"color byattribute r:locscale_q {models} palette red:yellow:lime range 0,0.8",
            "color by Q (red 0, green 0.8)",
        ),
        (
            f"color byattribute r:locscale_correlation {models} palette red:yellow:lime range 0,1",
            "color by correlation (red 0, green 1)",
        ),
    ]


def _set_attributes(session: Session, residues: Residues, columns: Columns) -> None:
    """Give every residue its scores; what has none loses those that it had."""
    from chimerax.atomic import Residue

    for attribute, column in ATTRIBUTES.items():
        Residue.register_attr(session, attribute, "LocScale", attr_type=float)
        for residue, value in zip(residues, columns[column], strict=True):
            if residue.deleted:
                continue
            if value is not None:
                setattr(residue, attribute, float(value))
            elif hasattr(residue, attribute):
                delattr(residue, attribute)


def _source(kept: ResultRecord, kind: str) -> Read | None:
    """How to read a map of a result: from what is open, else from its file; None without."""
    for model in kept.companions:
        if not model.deleted and kind_of(model) == in_words(kind) and hasattr(model, "data"):
            return _reader(model)
    path = (kept.record.get("outputs") or {}).get(kind)
    return _file_reader(path) if path and Path(path).is_file() else None


def _reader(volume: Volume) -> Read:
    """How to read all values of an open map, also in a thread."""
    return InputMap.of(volume).read


def _file_reader(path: str) -> Read:
    """How to read the values of a file."""

    def read() -> FloatArray:
        """Read it."""
        from locscale_hybrid.maps.mrc import read_map

        return np.array(read_map(Path(path)).values)

    return read


def _refined_b(kept: ResultRecord) -> dict[tuple[str, str, str], float]:
    """Mean refined B of each residue of the hybrid model, by chain, name and number."""
    for model in kept.companions:
        if not model.deleted and kind_of(model) == MODEL:
            return {
                (r.chain_id, r.name, f"{r.number}{r.insertion_code}"): float(
                    r.atoms.bfactors.mean()
                )
                for r in model.residues
            }
    entry = (kept.record.get("hybrid_model") or {}).get("file") or {}
    path = entry.get("path")
    return _b_of_file(path) if path and Path(path).is_file() else {}


def _b_of_file(path: str) -> dict[tuple[str, str, str], float]:
    """Mean B of each residue of a file."""
    import gemmi

    found = {}
    for chain in gemmi.read_structure(str(path))[0]:
        for residue in chain:
            key = (chain.name, residue.name, str(residue.seqid))
            found[key] = float(np.mean([atom.b_iso for atom in residue]))
    return found
