"""What the panel knows and decides, without Qt: choices -> notices and the command text."""

import time
from dataclasses import dataclass, field

import numpy as np
from chimerax.core.commands import StringArg
from chimerax.core.errors import UserError

from ..job.job import running_jobs
from ..results.manager import results
from ..scene.frames import frame_of, map_label, require_same_grid
from .options import OPTIONS

STATE_VERSION = 1
CHECK_AFTER = 1.0  # s without a change of the choices
PROBLEM, WARNING, NOTE = "problem", "warning", "note"


@dataclass(frozen=True)
class Notice:
    """One line under the choices; a problem keeps Start from being pressed."""

    level: str
    text: str


@dataclass
class Choices:
    """What is chosen in the panel.

    Parameters
    ----------
    half_maps : bool
        Two half maps, else `map_1` is the full map.
    map_1, map_2, mask : Volume or None
    model : AtomicStructure or None
    symmetry : str
    options : dict of str to value
        By keyword; what is not there has its default.
    """

    half_maps: bool = True
    map_1: object = None
    map_2: object = None
    model: object = None
    mask: object = None
    symmetry: str = "C1"
    options: dict = field(default_factory=dict)

    @property
    def maps(self):
        """The maps chosen, in order."""
        chosen = (self.map_1, self.map_2) if self.half_maps else (self.map_1,)
        return [volume for volume in chosen if volume is not None]

    @property
    def signature(self):
        """What a check of the input depends on."""
        models = (*self.maps, self.model, self.mask)
        places = tuple(
            tuple(np.round(model.scene_position.matrix, 4).ravel())
            for model in models
            if model is not None
        )
        return tuple(map(id, models)), places, self.half_maps, self.symmetry.strip()


class PanelLogic:
    """Decides what the panel shows and does.

    Parameters
    ----------
    session : Session
    choices : Choices, optional
    """

    def __init__(self, session, choices=None):
        self.session = session
        self.choices = choices or Choices()
        self.live_check = True
        self.validate = False  # whether half map 2 judges what is sharpened again
        self.findings = []
        self._check = None
        self._checked = self._seen = None
        self._seen_at = 0.0

    def notices(self):
        """Everything to say about the choices, problems first."""
        problems = self._problems()
        notices = [Notice(PROBLEM, text) for text in problems]
        if not problems:
            notices += self._remarks()
            if self._checked == self.choices.signature:
                notices += [
                    Notice(found["level"], _sentence(found["message"])) for found in self.findings
                ]
        if self.check_running:
            notices.append(Notice(NOTE, "Looking at the maps …"))
        return notices

    def command(self):
        """The command that Start runs; defaults are left out.

        Raises
        ------
        UserError
            With the first problem of the choices.
        """
        problems = self._problems()
        if problems:
            raise UserError(problems[0])
        words = ["locscale hybrid", *self._input_words()]
        for option in OPTIONS:
            value = self.choices.options.get(option.keyword, option.default)
            if value != option.default and value is not None and value != "":
                words += [option.keyword, value if option.is_specifier else _typed(value)]
        return " ".join(words)

    def poll(self):
        """Start a check of the input once the choices rest; take up one that has ended."""
        check = self._check
        if check is not None and check.ended:
            self._check = None
            if check.error is None:
                self.findings = check.result
            elif self._checked == self.choices.signature and not check.stopped:
                self.findings = [{"level": WARNING, "message": check.error}]
        signature = self.choices.signature
        if signature != self._seen:
            self._seen, self._seen_at = signature, time.monotonic()
            return
        rested = time.monotonic() - self._seen_at > CHECK_AFTER
        if self.live_check and rested and signature != self._checked and not self._problems():
            self._start_check(signature)

    @property
    def suggested_symmetry(self):
        """The point group that the maps show, where another one is chosen; else None."""
        if self._checked != self.choices.signature:
            return None
        symbols = [
            found["values"]["point_group"]
            for found in self.findings
            if found.get("code") == "symmetry-suggested"
        ]
        return symbols[0] if symbols else None

    @property
    def check_running(self):
        """Whether the input is being looked at."""
        return self._check is not None

    def job(self):
        """The newest run that is going on, or None."""
        jobs = [job for job in running_jobs(self.session) if not job.request.quiet]
        return jobs[-1] if jobs else None

    def progress(self):
        """Fraction and text for the progress bar; None when nothing is going on."""
        job = self.job()
        if job is None:
            return None
        minutes, seconds = divmod(int(time.monotonic() - job.started), 60)
        return job.fraction, f"{job.request.title}: {job.stage}, {minutes}:{seconds:02d}"

    def result(self):
        """The record of the newest result, or None."""
        return results(self.session).newest

    def compare_command(self):
        """The command that shows the inputs in place of the result, or the other way round."""
        kept = self.result()
        if kept is None or not kept.open_maps:
            raise UserError("there is no result with its input map to compare: press Start first")
        result, first = f"#{kept.volume.id_string}", f"#{kept.open_maps[0].id_string}"
        shown, hidden = (first, result) if kept.volume.display else (result, first)
        return f"show {shown} models; hide {hidden} models"

    def update_command(self):
        """The command that sharpens again with the current model."""
        kept = self.result()
        if kept is None:
            raise UserError("there is no result to update: press Start first")
        asked = " validate true" if self.validate and len(kept.maps) == 2 else ""
        return f"locscale hybrid update #{kept.volume.id_string}{asked}"

    def close(self):
        """Give up a check that is going on."""
        if self._check is not None:
            self._check.terminate()
            self._check = None

    def as_state(self):
        """Plain values and models, for a session file."""
        return {
            "version": STATE_VERSION,
            **vars(self.choices),
            "options": dict(self.choices.options),
            "live_check": self.live_check,
            "validate": self.validate,
        }

    @classmethod
    def from_state(cls, session, state):
        """The logic of `as_state`."""
        values = {name: state[name] for name in vars(Choices())}
        logic = cls(session, Choices(**values))
        logic.live_check = state["live_check"]
        logic.validate = state.get("validate", False)
        return logic

    def _input_words(self):
        """Words of the command that name the input."""
        choices = self.choices
        words = [f"#{volume.id_string}" for volume in choices.maps]
        if choices.model is not None:
            words += ["model", f"#{choices.model.id_string}"]
        symbol = choices.symmetry.strip()
        if symbol.upper() not in ("", "C1"):
            words += ["sym", StringArg.unparse(symbol)]
        if choices.mask is not None:
            words += ["mask", f"#{choices.mask.id_string}"]
        return words

    def _problems(self):
        """Why a run cannot start, each in a sentence."""
        choices = self.choices
        needed = 2 if choices.half_maps else 1
        if len(choices.maps) < needed:
            return ["Choose two half maps" if choices.half_maps else "Choose a full map"]
        if choices.half_maps and choices.map_1 is choices.map_2:
            return [
                f"{map_label(choices.map_1)} is chosen twice: choose the other half map, or "
                "take it alone as full map"
            ]
        problems = []
        try:
            frame = frame_of(choices.map_1)
            others = [
                ("second half map", choices.map_2 if choices.half_maps else None),
                ("mask", choices.mask),
            ]
            for role, volume in others:
                if volume is not None:
                    require_same_grid(frame, frame_of(volume), role=role)
        except UserError as error:
            problems.append(_sentence(str(error)))
        problems += _symmetry_problem(choices.symmetry)
        return problems

    def _remarks(self):
        """What is worth a word before anything is computed."""
        model = self.choices.model
        if model is None:
            return [Notice(NOTE, "No model: the whole mask will be filled with pseudo-atoms")]
        inside = _share_inside(model, frame_of(self.choices.map_1))
        if inside < 0.5:
            return [
                Notice(
                    WARNING,
                    f"{inside:.0%} of the atoms of {map_label(model)} are in the "
                    "box of the map. If it is not cut out of a larger map, fit the model "
                    "into it first (fitmap).",
                )
            ]
        return []

    def _start_check(self, signature):
        """Look at the input in the background, without a word in the log."""
        from ..commands.start import start_check

        self.close()
        self._checked, self.findings = signature, []
        choices = self.choices
        keywords = {
            "mask": choices.mask,
            "sym": choices.symmetry.strip() or None,
            "model": None if choices.model is None else choices.model.atoms,
        }
        self._check = start_check(self.session, choices.maps, keywords, wait=False, quiet=True)


def _typed(value):
    """A value as it is typed in a command."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return ",".join(value)
    return StringArg.unparse(str(value))


def _symmetry_problem(symbol):
    """What is wrong with a symmetry symbol: a list of one sentence, or of none."""
    from locscale_hybrid.errors import InputError
    from locscale_hybrid.symmetry.point_groups import parse_point_group

    try:
        parse_point_group(symbol.strip() or "C1")
    except InputError as error:
        return [_sentence(str(error))]
    return []


def _share_inside(structure, frame):
    """Share of the atoms that lie in the box of a map."""
    if structure.num_atoms == 0:
        return 0.0
    places = frame.from_scene(structure.atoms.scene_coords)
    low = np.array(frame.origin)
    high = low + np.array(frame.size) * frame.step
    return float(((places >= low) & (places <= high)).all(axis=1).mean())


def _sentence(text):
    """A message with a capital at its start."""
    return text[:1].upper() + text[1:]
