"""Texts of inputs and parameters for every front end, read from their docstrings."""

import functools
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .parameters import HybridInputs, HybridParameters

_ADVICE = re.compile(r"(?<=\. )(?=(?:Change|Use|Leave|Turn) it )")
_ENTRY = re.compile(r"(?P<names>[a-z]\w*(?:, \w+)*) : (?P<about>.+)")
_ABOUT = re.compile(
    r"(?P<kind>\{[^}]*\}|[^,]+)"
    r"(?:, (?!default|optional)(?P<limits>.*?))?"
    r"(?:, default(?P<words>:?) (?P<default>.*)|, optional)?"
)
_NAME = re.compile(r"`(\w+)`")


@dataclass(frozen=True)
class OptionText:
    """What to say of one input or parameter.

    Parameters
    ----------
    kind : str
        "float", "bool", "{bands, windows}", ...
    limits : str
        Range or unit: "5 to 100 Å", "voxels (x, y, z)"; empty if there is neither.
    default : str
        "default 25", "default: measured"; empty for an input.
    effect : str
        What the option does, beginning with a verb.
    advice : str
        When to change it, or empty.
    """

    kind: str
    limits: str
    default: str
    effect: str
    advice: str

    def worded(self, terms: Mapping[str, str]) -> "OptionText":
        """Return the text in the terms of a front end, by name of input or parameter."""

        def term(found: re.Match[str]) -> str:
            """Return what the front end calls a name."""
            return terms.get(found[1], found[1])

        texts = (self.limits, self.default, self.effect, self.advice)
        return OptionText(self.kind, *(_NAME.sub(term, text) for text in texts))

    def sentences(self) -> str:
        """Return effect, range, default and advice as running text."""
        first, stop, rest = self.effect.partition(". ")
        default = "" if self.kind == "bool" else self.default
        bounds = ", ".join(part for part in (self.limits, default) if part)
        effect = f"{first.rstrip('.')} ({bounds}).{stop[1:]}{rest}" if bounds else self.effect
        return f"{effect} {self.advice}".strip()


@functools.cache
def option_texts() -> Mapping[str, OptionText]:
    """Read the texts of all inputs and parameters.

    Returns
    -------
    mapping of str to OptionText
        By field of `HybridInputs` and `HybridParameters`; empty if this Python drops docstrings.
    """
    texts: dict[str, OptionText] = {}
    for owner in (HybridInputs, HybridParameters):
        texts.update(_entries(inspect.getdoc(owner) or ""))
    return texts


def _entries(docstring: str) -> dict[str, OptionText]:
    """Read the entries of the section on parameters."""
    _, _, section = docstring.partition("Parameters\n----------\n")
    found: dict[str, OptionText] = {}
    for part in re.split(r"\n(?=\S)", section):
        head, _, body = part.partition("\n")
        entry = _ENTRY.fullmatch(head)
        if entry is None:
            break
        about = _ABOUT.fullmatch(entry["about"])
        assert about is not None, head  # a test reads all of them
        effect, *advice = _ADVICE.split(" ".join(body.split()), maxsplit=1)
        text = OptionText(
            about["kind"],
            about["limits"] or "",
            f"default{about['words']} {about['default']}" if about["default"] else "",
            effect.strip(),
            "".join(advice),
        )
        found.update(dict.fromkeys(entry["names"].split(", "), text))
    return found
