"""The words of all front ends, and what is foreign to each; used by every test that makes a message.

`conftest` has every error and every finding of a test session looked at as it is made, so that
what a test can cause is worded for the command line, ChimeraX, the Pipeliner and Python.
"""

import functools
import importlib
import re
import sys
import types
from pathlib import Path

from locscale_hybrid.cli.words import COMMAND_LINE
from locscale_hybrid.errors import LocScaleError
from locscale_hybrid.findings import Finding
from locscale_hybrid.pipeliner.words import PIPELINER
from locscale_hybrid.remedies import PYTHON

SHELL = Path(__file__).parents[1] / "src"
CORE = SHELL / "core/locscale_hybrid"
# An option of a command line: "-hm", "--mask"; not a hyphen in a word, nor "-1", nor a path.
_OPTION = re.compile(r"(?<![\w/.\-–{}])--?[A-Za-z]\w*")
_KEYWORD = re.compile(r"\b[a-z]+[A-Z][A-Za-z]*\b")
# Programs that these modules start have options of their own.
_OWN_OPTIONS = ("cli", "pipeliner")


def chimerax_module(name):
    """Return a module of the shell that needs no ChimeraX."""
    package = "locscale_shell"
    if package not in sys.modules:
        module = types.ModuleType(package)
        module.__path__ = [str(SHELL)]
        sys.modules[package] = module
    return importlib.import_module(f"{package}.{name}")


CHIMERAX = chimerax_module("words").words_for(["#1", "#2"])
FRONT_ENDS = {
    "command line": COMMAND_LINE,
    "ChimeraX": CHIMERAX,
    "Pipeliner": PIPELINER,
    "Python": PYTHON,
}
_KEYWORDS = {keyword.name for keyword in chimerax_module("keywords").KEYWORDS} | {
    "saveTo",
    "voxelSize",
    "refineCoordinates",
}


def foreign_words(text, front_end):
    """Return what no message of a front end may hold."""
    if front_end == "Pipeliner":  # what it has no option for is typed as on the command line
        text = re.sub(r"[^.,]*under \"Additional arguments\"", "", text)
    found = [] if front_end == "command line" else _OPTION.findall(text)
    if front_end != "ChimeraX":
        found += [word for word in _KEYWORD.findall(text) if word in _KEYWORDS]
    if front_end != "Python":
        found += re.findall(r"`\w+`", text)
    return found


def problems_of(said, place):
    """Return what is wrong with the words of an error or a finding.

    Parameters
    ----------
    said : LocScaleError or Finding
    place : str
        Path of the module that made it, below the core.
    """
    found = []
    if place.split("/")[0] not in _OWN_OPTIONS:
        words = _OPTION.findall(said.fact)
        words += [word for word in _KEYWORD.findall(said.fact) if word in _KEYWORDS]
        found += [f'the fact names "{word}"' for word in words]
    for name, words in FRONT_ENDS.items():
        for remedy in said.remedies:
            if not words.knows(remedy):
                found.append(f'{name} has no word for "{remedy.action} {remedy.name}"')
            foreign = foreign_words(words.phrase(remedy), name)
            found += [f'{name} says "{word}"' for word in foreign]
    return found


PROBLEMS: list[str] = []


def look_at_every_message():
    """From now on each error and finding of the core is looked at when it is made."""
    for kind in (Finding, LocScaleError):
        kind.__init__ = _noticed(kind.__init__)


def _noticed(original):
    """Return a constructor that also looks at the words of what it has made."""

    @functools.wraps(original)
    def made(self, *arguments, **keywords):
        original(self, *arguments, **keywords)
        place = _place(sys._getframe(1))
        if place:
            problems = problems_of(self, place)
            PROBLEMS.extend(f"{place}: {self.fact!r}: {problem}" for problem in problems)

    return made


def _place(frame):
    """Return the module of the core that made a message; empty if a test did."""
    while frame is not None:
        path = frame.f_code.co_filename.replace("\\", "/")
        place = path.partition("/locscale_hybrid/")[2]
        if place and place not in ("errors.py", "findings.py"):
            return place
        if "/tests/" in path:
            return ""
        frame = frame.f_back
    return ""
