"""What the panel knows and decides, without Qt: choices -> notices and the command text."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chimerax.core.commands import StringArg
from chimerax.core.errors import UserError

from ..job.job import running_jobs
from ..results.manager import results
from ..results.views import RESULT
from ..scene.following import following
from ..scene.frames import frame_of
from .choices import Choices, is_open
from .edits import EditCount
from .notices import NOTE, WARNING, Notice, of_finding, problems, remarks, share_inside
from .options import OF_UPDATES, OPTION_OF_PARAMETER, OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..job.job import LocScaleJob
    from ..results.manager import ResultRecord
    from ..session_types import Finding, Json, Model, Session, Volume
    from .options import Option

STATE_VERSION = 1
CHECK_AFTER = 1.0  # s without a change of the choices
CHECK_AFTER_EDIT = 5.0  # s without an edit of the model
_SURE_AFTER = 5.0  # s of a run before its remaining time is shown
_SURE_FROM = 0.05  # of the run


class PanelLogic:
    """Decides what the panel shows and does.

    Parameters
    ----------
    session : Session
    choices : Choices, optional
    """

    def __init__(self, session: Session, choices: Choices | None = None) -> None:
        self.session = session
        self.choices = choices or Choices()
        following(session).watch(self.choices)
        self.live_check = True
        self.findings: list[Finding] = []
        self.facts: Json = {}
        self._edits = EditCount(session)
        self._check: LocScaleJob | None = None
        self._checked: tuple[Any, ...] | None = None
        self._seen: tuple[Any, ...] | None = None
        self._seen_at = 0.0
        self._inside: tuple[tuple[Any, ...] | None, float] = (None, 0.0)
        self._judged: tuple[tuple[Any, ...] | None, list[Notice]] = (None, [])
        self._baseline: tuple[Volume | None, tuple[str, dict[str, Any]]] = (None, ("", {}))
        self._look = True
        self._handlers = [
            session.triggers.add_handler("remove models", self._models_removed),
            session.triggers.add_handler("add models", self._models_added),
        ]

    def fill(self) -> bool:
        """Choose what is clear from the models that are open."""
        self._look = False
        return self.choices.fill(self.session)

    def notices(self) -> list[Notice]:
        """Everything to say about the choices, problems first."""
        found = self._problems()
        if found:
            return found
        told = []
        if self.is_checked:
            told = [of_finding(found, self.choices) for found in self.findings]
        of_model = any(str(found.get("code", "")).startswith("model") for found in self.findings)
        if self.is_checked and of_model:
            return told  # the core says more of a model that is far off
        return [*remarks(self.choices, self._share_inside()), *told]

    def ready(self) -> str:
        """Say in one line whether a run can start, and what is known of its input."""
        if self._problems():
            return "Not ready"
        words = ["Ready"]
        facts = self.facts if self.is_checked else {}
        if "resolution" in facts:
            words.append(f"{facts['resolution']:.1f} Å")
        if self.choices.model is None:
            words.append("no model")
        elif "coverage" in facts:
            words.append(f"model covers {facts['coverage']:.0%}")
        words.append(self.choices.symmetry.strip().upper() or "C1")
        text = f"{words[0]}: {', '.join(words[1:])}"
        return f"{text} (checking …)" if self.check_running else text

    def command(self) -> str:
        """Return the command that Start runs; defaults are left out.

        Raises
        ------
        UserError
            With the first problem of the choices.
        """
        found = self._problems()
        if found:
            raise UserError(found[0].text)
        words = ["locscale hybrid", *self._input_words()]
        for option in OPTIONS:
            value = self.choices.options.get(option.keyword, option.default)
            if option.keyword not in OF_UPDATES and value not in (option.default, None, ""):
                words += _words_of(option, value)
        return " ".join(words)

    def poll(self) -> dict[str, Model | None]:
        """Start a check of the input once the choices rest; take up one that has ended.

        Returns
        -------
        dict
            Models by role that the menus have lost, or that were filled in: to be shown again.
        """
        shown = self.choices.returned()
        if self._look and self.fill():
            shown = {**self.choices.used, **shown}
        self._note_baseline()
        self._take_check()
        if self.job() is not None:
            self._end_check()
            return shown
        signature = self._signature
        if signature != self._seen:
            edited = self._seen is not None and signature[:-1] == self._seen[:-1]
            self._seen = signature
            self._seen_at = time.monotonic() + (CHECK_AFTER_EDIT if edited else CHECK_AFTER)
            return shown
        rested = time.monotonic() > self._seen_at and not self._is_simulating
        if self.live_check and rested and signature != self._checked and not self._problems():
            self._start_check(signature)
        return shown

    @property
    def is_checked(self) -> bool:
        """Whether the input was checked as it is now."""
        return self._checked is not None and self._checked == self._signature

    @property
    def check_running(self) -> bool:
        """Whether the input is being checked."""
        return self._check is not None

    def job(self) -> LocScaleJob | None:
        """Return the newest running job, or None."""
        jobs = [job for job in running_jobs(self.session) if not job.request.quiet]
        return jobs[-1] if jobs else None

    def progress(self) -> tuple[float, str] | None:
        """Fraction and text for the progress bar; None when nothing is going on."""
        job = self.job()
        if job is None:
            return None
        elapsed = time.monotonic() - job.started
        words = f"{job.stage}, {_clock(elapsed)}"
        if elapsed > _SURE_AFTER and job.fraction > _SURE_FROM:
            words += f", {_about(elapsed * (1 - job.fraction) / job.fraction)} left"
        return job.fraction, words

    def result(self) -> ResultRecord | None:
        """Return the record of the newest result, or None."""
        return results(self.session).newest

    def views(self) -> tuple[dict[str, bool], str | None]:
        """Return the views of the newest result, by name, and the displayed one."""
        kept = self.result()
        if kept is None:
            return {}, None
        return kept.views.available(kept), kept.views.in_view(kept)

    def show(self, name: str, act: Callable[[str], None]) -> None:
        """Show a view of the newest result; see `Views.show`."""
        kept = self.result()
        if kept is None:
            raise UserError("There is no result to compare. Press Start first.")
        kept.views.show(self.session, kept, name, act)

    def update_command(self) -> str:
        """Return the command that sharpens again: with maps, model and options changed since.

        Raises
        ------
        UserError
            If there is no result, or a chosen model was closed.
        """
        kept = self.result()
        if kept is None:
            raise UserError("There is no result to update. Press Start first.")
        choices = self.choices
        vanished = [found for found in self._problems() if choices.vanished()]
        if vanished:
            raise UserError(vanished[0].text)
        words = ["locscale hybrid"]
        if choices.maps and choices.maps != kept.maps and len(choices.maps) == len(kept.maps):
            words += [f"#{volume.id_string}" for volume in choices.maps]
        words.append(f"update #{kept.volume.id_string}")
        models = [choice.structure for choice in kept.models]
        if choices.model is not None and choices.model not in models:
            words += ["model", f"#{choices.model.id_string}"]
        if choices.mask is not None and choices.mask is not kept.mask:
            words += ["mask", f"#{choices.mask.id_string}"]
        return " ".join([*words, *self._changed_words(kept)])

    def close(self) -> None:
        """Give up a check that is going on, and follow nothing any more."""
        self._end_check()
        self._edits.close()
        for handler in self._handlers:
            self.session.triggers.remove_handler(handler)
        self._handlers = []

    def as_state(self) -> Json:
        """Plain values and models, for a session file."""
        choices = vars(self.choices)
        return {
            "version": STATE_VERSION,
            **{name: value for name, value in choices.items() if not name.startswith("_")},
            "options": dict(self.choices.options),
            "live_check": self.live_check,
        }

    @classmethod
    def from_state(cls, session: Session, state: Json) -> PanelLogic:
        """Make the logic of `as_state`."""
        values = {name: state[name] for name in vars(Choices()) if not name.startswith("_")}
        if state.get("validate"):  # of an older session
            values["options"] = {**values["options"], "validate": True}
        logic = cls(session, Choices(**values))
        logic.live_check = state["live_check"]
        return logic

    @property
    def _signature(self) -> tuple[Any, ...]:
        """What a check depends on, the number of edits of the model last."""
        return *self.choices.signature, self._edits.of(self.choices.model)

    @property
    def _is_simulating(self) -> bool:
        """Whether ISOLDE moves the atoms."""
        return bool(getattr(getattr(self.session, "isolde", None), "simulation_running", False))

    def _input_words(self) -> list[str]:
        """Words of the command that name the input."""
        choices = self.choices
        words = [f"#{volume.id_string}" for volume in choices.maps]
        if choices.model is not None:
            words += ["model", f"#{choices.model.id_string}"]
        words += _symmetry_words(choices.symmetry)
        if choices.mask is not None:
            words += ["mask", f"#{choices.mask.id_string}"]
        return words

    def _problems(self) -> list[Notice]:
        """List why a run cannot start; again when something was chosen, moved or closed."""
        key = (self.choices.signature, tuple(self.choices.vanished()))
        if key != self._judged[0]:
            self._judged = (key, problems(self.choices))
        return self._judged[1]

    def _note_baseline(self) -> None:
        """Note the options of the panel when a result appears: what is changed later counts."""
        kept = self.result()
        volume = None if kept is None else kept.volume
        if volume is not self._baseline[0]:
            self._baseline = (volume, (self.choices.symmetry, dict(self.choices.options)))

    def _changed_words(self, kept: ResultRecord) -> list[str]:
        """Words of the options that were changed since the result appeared."""
        self._note_baseline()
        symmetry, options = self._baseline[1]
        words = []
        now = self.choices.symmetry.strip() or "C1"
        if self.choices.symmetry != symmetry and now != kept.parameters.get("point_group", "C1"):
            words += ["sym", StringArg.unparse(now)]
        parameters = {option.keyword: name for name, option in OPTION_OF_PARAMETER.items()}
        for option in OPTIONS:
            value = self.choices.options.get(option.keyword, option.default)
            if option.keyword in OF_UPDATES:
                words += _words_of(option, value) if value and len(kept.maps) == 2 else []
                continue
            before = options.get(option.keyword, option.default)
            parameter = parameters.get(option.keyword)
            if value == before or (parameter and value == kept.parameters.get(parameter)):
                continue
            if option.keyword == "zone" and not value:
                words += ["subregion", "all"]
            elif value not in (None, "", ()):
                words += _words_of(option, value)
        return words

    def _share_inside(self) -> float:
        """Share of the model's atoms in the box of the map; computed when something moved."""
        key = self._signature
        if key != self._inside[0]:
            model = self.choices.model
            share = share_inside(model, frame_of(self.choices.map_1)) if is_open(model) else 1.0
            self._inside = (key, share)
        return self._inside[1]

    def _models_removed(self, _name: str, models: list[Model]) -> None:
        self.choices.note_removed(models)

    def _models_added(self, _name: str, _models: list[Model]) -> None:
        self._look = True

    def _take_check(self) -> None:
        """Take up what a check has found."""
        check = self._check
        if check is None or not check.ended:
            return
        self._check = None
        if check.error is None:
            self.findings, self.facts = check.result, check.facts
        elif self.is_checked and not check.stopped:
            self.findings = [{"level": WARNING, "message": check.error, **check.failure}]
        elif check.stopped:
            self._checked = None

    def _end_check(self) -> None:
        """End a check: a run needs the processors, and checks the input itself."""
        if self._check is not None:
            self._check.terminate()
            self._check, self._checked = None, None

    def _start_check(self, signature: tuple[Any, ...]) -> None:
        """Check the input in the background, without a word in the log."""
        from ..commands.start import start_check

        self._end_check()
        self._checked, self.findings, self.facts = signature, [], {}
        choices = self.choices
        keywords = {
            "mask": choices.mask,
            "sym": choices.symmetry.strip() or None,
            "model": None if choices.model is None else choices.model.atoms,
        }
        check = start_check(self.session, choices.maps, keywords, wait=False, quiet=True)
        assert not isinstance(check, list)  # it was not waited for
        self._check = check


def _words_of(option: Option, value: Any) -> list[str]:
    """Words of the command for one option."""
    return [option.keyword, value if option.is_specifier else _typed(value)]


def _symmetry_words(symbol: str) -> list[str]:
    """Words of the command for a point group."""
    symbol = symbol.strip()
    return [] if symbol.upper() in ("", "C1") else ["sym", StringArg.unparse(symbol)]


def _typed(value: Any) -> str:
    """Format a value as it is typed in a command."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return ",".join(value)
    return StringArg.unparse(str(value))


def _clock(seconds: float) -> str:
    """Format a time as 2:05."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _about(seconds: float) -> str:
    """Put a rough time in words: "about 2 min"."""
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {max(seconds, 1):.0f} s"


__all__ = ["NOTE", "RESULT", "WARNING", "Choices", "Notice", "PanelLogic"]
