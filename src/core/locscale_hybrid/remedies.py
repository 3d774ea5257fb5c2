"""What to do about an error or a finding: data, which each front end words in its own terms.

The core states a fact and adds remedies; it spells no option of the command line and no keyword
of ChimeraX.  A remedy names a field of `HybridInputs` or `HybridParameters`, or one of `SETTINGS`.
`Words` turns it into a phrase: `PYTHON` here, `cli.words` for the command line,
`pipeliner.words` and the shell's `words` for the other two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

Action = Literal["give", "use", "leave_out", "move", "invert", "flip", "install", "report", "do"]

# What a run is started with that is neither an input file nor a parameter.
SETTINGS = (
    "half_maps",  # both at once
    "processes",
    "mpiexec",
    "processing_folder",
    "temporary_folder",
    "resume",
    "output",  # the sharpened map
    "record",  # of an earlier run, to repeat it
    "update",  # the result of an earlier run, to update it
    "launcher",  # share the run among the processes of mpirun or srun
)

# What to give, when the remedy says no more.
_NOUNS = {
    "half_maps": "two half maps",
    "full_map": "one full map",
    "model": "a model",
    "mask": "a mask",
    "monomer_library": "a monomer library",
    "point_group": "the point group",
    "symmetry_centre": "the symmetry center",
    "resolution": "the resolution",
    "voxel_size": "the voxel size",
    "model_resolution": "the model resolution",
    "fdr": "the false discovery rate",
    "region": "a region",
    "processing_folder": "a processing folder",
    "output": "another output name",
    "seed": "another seed",
}


@dataclass(frozen=True)
class Remedy:
    """One thing to do.

    Parameters
    ----------
    action : Action
        One of the closed list.
    name : str
        Field of `HybridInputs` or `HybridParameters`, or one of `SETTINGS`; a package to install.
    text : str
        What to give, or the whole phrase of a plain action.
    value : str
        What to set; "true" or "false" for a switch.
    when : str
        Condition or purpose that ends the phrase: "if you know it".
    """

    action: Action
    name: str = ""
    text: str = ""
    value: str = ""
    when: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the remedy as plain JSON values; what is empty is left out."""
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Remedy":
        """Return the remedy that `as_dict` wrote."""
        return cls(**values)


def give(name: str, text: str = "", *, when: str = "") -> Remedy:
    """Advise to give a file or a value: ``give("resolution", when="if you know it")``."""
    return Remedy("give", name, text or _NOUNS.get(name, name.replace("_", " ")), when=when)


def use(name: str, value: object, *, when: str = "") -> Remedy:
    """Advise to set a parameter to a value: ``use("refiner", "own")``."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return Remedy("use", name, value=text, when=when)


def leave_out(name: str, *, when: str = "") -> Remedy:
    """Advise to give an input, a parameter or a setting no longer."""
    return Remedy("leave_out", name, when=when)


def invert(which: Literal["", "one_half"] = "") -> Remedy:
    """Advise to invert the contrast of the maps, or of one of two half maps."""
    text = "multiply that one by -1" if which else "multiply the map by -1"
    return Remedy("invert", which, text)


def move(shift: Sequence[float]) -> Remedy:
    """Advise to move the model by (x, y, z) Å."""
    values = [f"{value + 0.0:.2f}" for value in shift]
    return Remedy(
        "move", "model", f"move the model by ({', '.join(values)}) Å", value=",".join(values)
    )


def flip(axes: str) -> Remedy:
    """Advise to flip a map along axes: "z" or "xyz"."""
    along = f"{', '.join(axes[:-1])} and {axes[-1]}" if len(axes) > 1 else axes
    return Remedy("flip", text=f"flip the map along {along}", value=axes)


def install(package: str, *, when: str = "") -> Remedy:
    """Advise to install a package in the Python that runs this program."""
    return Remedy("install", package, f"type pip install '{package}'", when=when)


def report_fault() -> Remedy:
    """Advise to report a fault of the program."""
    return Remedy("report", text="report this fault of the program with its traceback")


def do(text: str, *, when: str = "") -> Remedy:
    """Advise a plain action, in words that name nothing of a front end."""
    return Remedy("do", text=text, when=when)


@dataclass(frozen=True)
class Words:
    """The terms of one front end.

    Parameters
    ----------
    terms : mapping of str to str
        What the front end calls an input, a parameter or a setting.
    give, use, leave_out : str
        Phrases; they may hold ``{text}``, ``{term}`` and ``{value}``.
    values : mapping of str to str
        What the front end calls "true" and "false".
    own : mapping of str to str
        Phrases for single remedies, by action, by action and name ("give mask"), or by action,
        name and value ("use refiner own"); an empty one drops the remedy.
    """

    terms: Mapping[str, str]
    give: str
    use: str
    leave_out: str
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    own: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def knows(self, remedy: Remedy) -> bool:
        """Test whether the front end has a term or a phrase for a remedy."""
        return remedy.name in self.terms or "{term}" not in self._template(remedy)

    def phrase(self, remedy: Remedy) -> str:
        """Word one remedy as the part of a sentence; empty where it has no meaning here."""
        phrase = self._template(remedy).format(
            text=remedy.text,
            term=self.terms.get(remedy.name, remedy.name),
            name=remedy.name,
            value=self.values.get(remedy.value, remedy.value),
        )
        return f"{phrase} {remedy.when}" if phrase and remedy.when else phrase

    def sentence(self, fact: str, remedies: Sequence[Remedy]) -> str:
        """Word a fact and what to do about it: two sentences, or the fact alone."""
        phrases = [phrase for phrase in map(self.phrase, remedies) if phrase]
        if not phrases:
            return fact
        *others, last = phrases
        text = f"{', '.join(others)}, or {last}" if others else last
        return f"{fact.rstrip('.')}. {text[0].upper()}{text[1:]}."

    def with_own(self, own: Mapping[str, str]) -> "Words":
        """Return these words with further phrases of their own."""
        return replace(self, own={**self.own, **own})

    def _template(self, remedy: Remedy) -> str:
        """Find the phrase for a remedy, the most special first."""
        action, name, value = remedy.action, remedy.name, remedy.value
        for key in (f"{action} {name} {value}", f"{action} {name}", action):
            if key in self.own:
                return self.own[key]
        plain = {"give": self.give, "use": self.use, "leave_out": self.leave_out}
        return plain.get(action, "{text}")


# Of the Python interface, and of what is written for every front end: record, report, log file.
PYTHON = Words(
    terms={},
    give="give {text} (`{name}`)",
    use="set `{name}` to {value}",
    leave_out="leave out `{name}`",
    values={"true": "True", "false": "False"},
    own={
        "give half_maps": "give {text} (`half_map_1`, `half_map_2`)",
        "leave_out half_maps": "leave out `half_map_1` and `half_map_2`",
        # a caller of `run_hybrid` makes the executor; a record and a report serve every front end
        "give processes": "give {text}",
        "leave_out processes": "leave out the number of processes",
        "give temporary_folder": "set TMPDIR to {text}",
        "give output": "give {text}",
        "give update": "update {text}",
        "use launcher true": "share one run among the processes",
        "leave_out launcher": "do not share the run among processes of a launcher",
        "use resume true": "resume the run",
    },
)
