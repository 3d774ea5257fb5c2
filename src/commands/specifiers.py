"""Maps and atoms as they are typed: each specifier must name what stands for it."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chimerax.atomic import AtomicStructure, AtomsArg
from chimerax.core.commands import Annotation, AnnotationError, EnumOf, ModelsArg
from chimerax.core.errors import UserError
from chimerax.map import Volume

from locscale_hybrid.parameters import WEIGHTS

from ..results.manager import results
from ..scene.frames import map_label

if TYPE_CHECKING:
    from ..session_types import Atoms, Model, Session, Structure

_NUMBERS = re.compile(r"(#!?)([\d,.-]+)")
_ONE_NUMBER = re.compile(r"#!?\d+(\.\d+)*")
_OPERATORS = re.compile(r"[&|~<>=\"'()]")
_SHOWN = 3  # maps of a group that a message names


@dataclass(frozen=True)
class Part:
    """One of the specifiers that an argument is made of.

    Parameters
    ----------
    text : str
        "#1"
    models : list of Model
        What it names, the models below it included.
    """

    text: str
    models: list[Model]

    @property
    def model(self) -> Model | None:
        """The one model that has this number; None where the text is no number of one."""
        if not _ONE_NUMBER.fullmatch(self.text):
            return None
        number = tuple(map(int, self.text.lstrip("#!").split(".")))
        return next((model for model in self.models if model.id == number), None)

    @property
    def maps(self) -> list[Volume]:
        """The maps, without those below a map."""
        if isinstance(self.model, Volume):
            return [self.model]
        maps = [model for model in self.models if isinstance(model, Volume)]
        return [volume for volume in maps if volume.parent not in maps]

    @property
    def structure(self) -> Structure | None:
        """An atomic structure that is named, other than in a group; else None."""
        if isinstance(self.model, AtomicStructure):
            return self.model
        below = self.models if self.model is None else []
        return next((model for model in below if isinstance(model, AtomicStructure)), None)

    def instead(self) -> tuple[str, str]:
        """Say what was named in place of a map, and a remedy if that shows it."""
        if not self.models:
            if self.text == "sel":
                return (
                    '"sel" names no map, since nothing is selected',
                    "select what is meant, or name it by its number",
                )
            return f'"{self.text}" names no open model', ""
        model = self.model or next(iter(self.models))
        parent = getattr(model, "parent", None)
        if isinstance(parent, Volume):
            return (
                f'"{self.text}" is the surface of {map_label(parent)}',
                f"name the map itself, #{parent.id_string}",
            )
        return f'"{self.text}" is no density map but {type(model).__name__} {model.name}', ""


class InputMapsArg(ModelsArg):
    """One or several open maps; says what else was named, and what was named twice."""

    name = "two half maps or one full map"

    @classmethod
    def parse(cls, text: str, session: Session) -> tuple[list[Volume], str, str]:
        """Parse model specifiers into maps, in the order typed."""
        parts, used, rest = _parse_parts(text, session)
        maps: list[Volume] = []
        for part in parts:
            _refuse_other_than_maps(part, alone=len(parts) == 1)
            for volume in part.maps:
                if volume in maps:
                    raise UserError(
                        f"#{volume.id_string} is given twice: name two different half "
                        "maps, or one map alone as the full map"
                    )
                maps.append(volume)
        return maps, used, rest


class OneMapArg(Annotation):
    """One open map.

    Parameters
    ----------
    role : str
        The word before it, for messages: "mask".
    remedy : str
        What to give, after a colon.
    """

    def __init__(self, role: str, remedy: str) -> None:
        super().__init__(name="a density map specifier")
        self.role, self.remedy = role, remedy

    def parse(self, text: str, session: Session) -> tuple[Volume, str, str]:
        """Parse a model specifier into one map."""
        parts, used, rest = _parse_parts(text, session)
        for part in parts:
            if not part.maps:
                fact, remedy = part.instead()
                raise UserError(f"{self.role} {fact}: {remedy or self._remedy(session)}")
        maps = list(dict.fromkeys(volume for part in parts for volume in part.maps))
        if len(parts) == 1:
            maps = self._meant(parts[0], session)
        if len(maps) > 1:
            more = ", …" if len(maps) > _SHOWN else ""
            names = ", ".join(map(map_label, maps[:_SHOWN])) + more
            raise UserError(
                f'{self.role} "{used.strip()}" names {len(maps)} maps ({names}): '
                f"{self._several(maps, session)}"
            )
        return maps[0], used, rest

    def _meant(self, part: Part, session: Session) -> list[Volume]:
        """Choose which of the maps of a specifier are meant."""
        return part.maps

    def _remedy(self, session: Session) -> str:
        """Say what to give."""
        return self.remedy

    def _several(self, maps: list[Volume], session: Session) -> str:
        """Say what to do if several are named."""
        return f"give one of them, for example {self.role} #5"


class ResultArg(OneMapArg):
    """One result; of a group it is the map that locscale hybrid made."""

    def _meant(self, part: Part, session: Session) -> list[Volume]:
        made = [volume for volume in part.maps if results(session).of(volume)]
        if not made:
            self._refuse_companions(part, session)
        return made if len(made) == 1 else part.maps

    def _refuse_companions(self, part: Part, session: Session) -> None:
        """Refuse what was opened beside a result, with the number of the result."""
        for kept in results(session).records:
            if all(volume in kept.companions for volume in part.maps):
                raise UserError(
                    f'{self.role} "{part.text}" names what goes with the result '
                    f"{map_label(kept.volume)}: give the result itself, {self.role} "
                    f"#{kept.volume.id_string}"
                )

    def _remedy(self, session: Session) -> str:
        newest = results(session).newest
        if newest is None:
            return f"{self.remedy}, and there is none yet"
        return f"{self.remedy}, for example {self.role} #{newest.volume.id_string}"

    def _several(self, maps: list[Volume], session: Session) -> str:
        newest = results(session).newest
        made = [volume for volume in maps if results(session).of(volume)]
        made += [newest.volume] if newest else maps[:1]
        number = made[0].id_string
        before = (
            (f"; the maps to be sharpened stand in front, locscale hybrid #1 #2 update #{number}")
            if self.role == "update"
            else ""
        )
        return f"give the result alone, for example {self.role} #{number}{before}"


class WeightArg(OneMapArg):
    """The name of a policy, or a map that holds the weight itself."""

    words = EnumOf(WEIGHTS)

    def __init__(self) -> None:
        super().__init__(
            "weight",
            "give a map with values from 0 to 1, for example weight #5, "
            f"or one of {', '.join(WEIGHTS)}",
        )
        self.name = f"{self.words.name}, or a map with weights from 0 to 1"
        self._html_name = f"{self.words.html_name()}, or a map with weights from 0 to 1"

    def parse(self, text: str, session: Session) -> tuple[Volume | str, str, str]:
        """Parse a word, else a map."""
        try:
            return self.words.parse(text, session)
        except AnnotationError as word_error:
            try:
                return super().parse(text, session)
            except AnnotationError:
                raise AnnotationError(f"{word_error}, or a map such as #4") from None


class ModelAtomsArg(AtomsArg):
    """Atoms of open atomic structures; there must be some."""

    name = "an atomic model, or atoms of it"
    example = "model #3, or chosen atoms of it, model #3/A,B"
    example_of_selection = "model #3"

    @classmethod
    def parse(cls, text: str, session: Session, ordered: bool = False) -> tuple[Atoms, str, str]:
        """Parse an atom specifier."""
        atoms, used, rest = super().parse(text, session, ordered)
        if len(atoms) == 0 and used.strip() == "sel":
            what = "nothing is" if session.selection.empty() else "no atoms are"
            raise UserError(
                f"{what} selected: select atoms first, or name them, for example "
                f"{cls.example_of_selection}"
            )
        if len(atoms) == 0:
            raise UserError(
                f'"{used}" names no atoms: give an open atomic structure, for example {cls.example}'
            )
        return atoms, used, rest


class ZoneArg(ModelAtomsArg):
    """Atoms that the user looks at; there must be some."""

    name = "atoms"
    example = "zone #3:10-40, or those that are selected, zone sel"
    example_of_selection = "zone #3:10-40"


def _refuse_other_than_maps(part: Part, *, alone: bool) -> None:
    """Refuse a specifier that names an atomic structure, or no map at all."""
    structure = part.structure
    if structure is not None and not (alone and not part.maps):
        number = f"#{structure.id_string}"
        raise UserError(f'{number} is an atomic structure, not a map: write "model {number}"')
    if not part.maps:
        fact, remedy = part.instead()
        raise UserError(
            f"{fact}: "
            + (
                remedy
                or (
                    "open the half maps first"
                    if not part.models
                    else "name two open half maps, or one full map"
                )
            )
        )


def _parse_parts(text: str, session: Session) -> tuple[list[Part], str, str]:
    """Split a text into the specifiers at its start, the text used, and the rest."""
    models, used, rest = ModelsArg.parse(text, session)
    whole = used.strip().strip('"').strip()
    words = [] if _OPERATORS.search(whole) else whole.split()
    parsed = [_parse_part(one, session) for word in words for one in _without_commas(word)]
    parts = [part for part in parsed if part is not None]
    if len(parts) < len(parsed) or not parts:  # an expression: what all of it names counts
        parts = [Part(whole, list(models))]
    return parts, used, rest


def _parse_part(text: str, session: Session) -> Part | None:
    """Parse one specifier; None if it is none without its neighbours."""
    try:
        models, _, rest = ModelsArg.parse(text, session)
    except AnnotationError:
        return None
    return None if rest.strip() else Part(text, list(models))


def _without_commas(word: str) -> list[str]:
    """Parts of "#1,2" as "#1" and "#2", of "#1.1,2" as "#1.1" and "#1.2"; others as they are."""
    found = _NUMBERS.fullmatch(word)
    if not found:
        return [word]
    levels = [level.split(",") for level in found[2].split(".")]
    return [found[1] + ".".join(numbers) for numbers in itertools.product(*levels)]
