"""Keywords of the command, parameters of the core and options of the shell, side by side.

Plain Python without ChimeraX and Qt: the command, the panel and the log use the same table.
"""

import re
from dataclasses import dataclass

ALL = "all"


@dataclass(frozen=True)
class Keyword:
    """One keyword of ``locscale hybrid`` that changes the result.

    Parameters
    ----------
    name : str
        As typed in ChimeraX.
    parameter : str
        Field of `HybridParameters`.
    option : str
        Option of the command line.
    also : str, optional
        Another spelling of the option.
    """

    name: str
    parameter: str
    option: str
    also: str = ""

    @property
    def python_name(self):
        """The name of the argument of the function: ``symmetry_center``."""
        return python_name(self.name)


def python_name(keyword):
    """The name of the argument of the function: ``symmetry_center``."""
    return re.sub(r"([A-Z])", lambda found: "_" + found[0].lower(), keyword)


KEYWORDS = (
    Keyword("sym", "point_group", "-sym", also="--symmetry"),
    Keyword("symmetryCenter", "symmetry_centre", "--symmetry_centre"),
    Keyword("completeModel", "complete_model", "--complete_model"),
    Keyword("resolution", "resolution", "-res", also="--ref_resolution"),
    Keyword("modelResolution", "model_resolution", "-mres", also="--model_resolution"),
    Keyword("fdr", "fdr", "-fdr", also="--fdr_threshold"),
    Keyword("scaling", "scaling", "--scaling"),
    Keyword("window", "window", "--window"),
    Keyword("windowVoxels", "window_voxels", "-wn", also="--window_size"),
    Keyword("stride", "stride", "--stride"),
    Keyword("taper", "taper", "--taper"),
    Keyword("weight", "weight", "--weight"),
    Keyword("noiseWeight", "noise_weight", "--no_noise_weight"),
    Keyword("refiner", "refiner", "--refiner"),
    Keyword("bSteps", "b_steps", "--refmac_iterations", also="-ref_it"),
    Keyword("bFloor", "b_floor", "--b_floor"),
    Keyword("neighborTau", "neighbour_tau", "--neighbour_tau"),
    Keyword("seed", "seed", "--seed"),
    Keyword("reseedCheck", "reseed_check", "--reseed_check"),
    Keyword("validate", "validate", "--validate"),
)
# Other spellings of a keyword.
ALIASES = {"symmetry": "sym", "symmetryCentre": "symmetryCenter"}
_TESTS = ("reseed_check", "validate")
# Options that are no parameters, and what stands for them in ChimeraX.
OTHER_OPTIONS = {
    "-mc": "model",
    "--model_coordinates": "model",
    "-ma": "mask",
    "--mask": "mask",
    "-o": "saveTo",
    "--outfile": "saveTo",
    "-np": "the keyword processes",
    "--number_processes": "the keyword processes",
    "--mpiexec": "mpiexec",
    "--outputs": "outputs",
    "--print_report": "report",
    "-p": "the command volume voxelSize",
    "--apix": "the command volume voxelSize",
    "--skip_refine": "refiner none",
    "--update": "update",
    "--warm_start": "update",
    "--region": "zone or subregion",
    "--refine_coordinates": "refineCoordinates",
    "--complete_model": "completeModel",
    "-hm": "two half maps",
    "--halfmap_paths": "two half maps",
    "-em": "one full map",
    "--emmap_path": "one full map",
}
# What the core advises and ChimeraX has not, or calls otherwise than option by option.
_PHRASES = {
    r"give them with -hm": "give two half maps",
    r"fill it with --complete_model": "fill it with completeModel true",
    r"in this Python: pip install servalcat": "in ChimeraX's Python: type pip install servalcat in the command line of ChimeraX",
    r"give a folder that all hosts share with -op": "set TMPDIR to a folder that all hosts share and start ChimeraX again",
    r", or name one with -op": " and start ChimeraX again",
    r", or with -op to keep its log": "",
    r"; give it --outputs model, or -op, to make updates quick": "",
    r", --resume will make it anew": ", so that an update will make it anew",
    r"--validate makes it do so": "validate true makes it do so",
    r"give (\S+) as the point group": r"give sym \1",
    r": taken from .*?\.npz, since": ": taken over from the earlier run, since",
    r"\bupdate of \S+\.json": "update of the earlier result",
    r"run it again with --debug and report what it shows": "report it with this message",
}


def chosen_parameters(given, *, earlier=None):
    """Parameters that the user set, over those of an earlier run.

    What tests a result is not taken over: it would take longer than an update.

    Parameters
    ----------
    given : mapping of str to value
        By `Keyword.python_name`; None where the keyword was not typed.
    earlier : mapping, optional
        Parameters of the run to be repeated, by field name of `HybridParameters`.

    Returns
    -------
    dict
        Only what differs from the defaults needs to be there.
    """
    values = {name: value for name, value in (earlier or {}).items() if name not in _TESTS}
    for keyword in KEYWORDS:
        value = given.get(keyword.python_name)
        if value is not None:
            values[keyword.parameter] = value
    # The one window replaces the other.
    if given.get("window") is not None and given.get("window_voxels") is None:
        values.pop("window_voxels", None)
    return values


def output_kinds(words, known):
    """Expand the words of ``outputs``: "all" means all that the core knows."""
    return sorted(known) if ALL in words else sorted(set(words))


def in_command_words(message, files_folder="", maps=()):
    """Word a message of the core for ChimeraX: its options by keyword, input files by name.

    Parameters
    ----------
    message : str
    files_folder : str
        Folder of the input files, dropped where a message names a file in it.
    maps : sequence of str
        Specifiers of the maps, "#1", for commands that mend them.

    Returns
    -------
    str
    """
    for separator in ("/", "\\") if files_folder else ():
        message = message.replace(files_folder + separator, "")
    for said, meant in {**_PHRASES, **_commands(maps)}.items():
        message = re.sub(said, meant, message)
    options = {
        spelling: keyword.name
        for keyword in KEYWORDS
        for spelling in (keyword.option, keyword.also)
        if spelling
    }
    options.update(OTHER_OPTIONS)
    # The longest first, so that "-mres" is not read as "-m".
    names = "|".join(re.escape(name) for name in sorted(options, key=len, reverse=True))

    def word(found):
        """A keyword, called one where a reader would take it for a word of the sentence."""
        meant = options[found["option"]]
        if found["noun"] is None:
            return meant
        return found["noun"] + (meant if " " in meant else f"the keyword {meant}")

    # with a value it is recognized: "with refiner own"
    pattern = (
        rf"(?P<noun>\b(?:with|or) (?=\S+(?: if| to|[;,.)]|$)))?"
        rf"(?<![\w-])(?P<option>{names})(?![\w-])"
    )
    return re.sub(pattern, word, message)


def _commands(maps):
    """What mends a map, as commands of ChimeraX; they make new maps."""
    if not maps:
        return {}
    names, it = " ".join(maps), "the new map" if len(maps) == 1 else "the new maps"
    return {
        r"multiply the map by -1": f"type volume scale {names} factor -1, and give {it}",
        r"contrast inverted; invert it": (
            f"contrast inverted: type volume scale {maps[-1]} factor "
            "-1 if it is that one, and give the new map instead"
        ),
        r"flip the map along x, y and z": f"type volume flip {names} axis xyz, and give {it}",
        r"flip the map along ([xyz])$": rf"type volume flip {names} axis \1, and give {it}",
    }
