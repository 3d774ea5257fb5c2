"""Keywords of the command, parameters of the core and options of the shell, side by side.

Plain Python without ChimeraX and Qt: the command, the panel and the log use the same table.
"""

import re
import shlex
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
    switch : bool, optional
        For a yes-no parameter: the value at which the option, then without argument, is given.
    also : str, optional
        Another spelling of the option.
    """

    name: str
    parameter: str
    option: str
    switch: bool | None = None
    also: str = ""

    @property
    def python_name(self):
        """The name of the argument of the function: ``symmetry_center``."""
        return re.sub(r"([A-Z])", lambda found: "_" + found[0].lower(), self.name)


KEYWORDS = (
    Keyword("sym", "point_group", "-sym", also="--symmetry"),
    Keyword("symmetryCenter", "symmetry_centre", "--symmetry_centre"),
    Keyword("completeModel", "complete_model", "--complete_model", switch=True),
    Keyword("resolution", "resolution", "-res", also="--ref_resolution"),
    Keyword("modelResolution", "model_resolution", "-mres", also="--model_resolution"),
    Keyword("fdr", "fdr", "-fdr", also="--fdr_threshold"),
    Keyword("scaling", "scaling", "--scaling"),
    Keyword("window", "window", "--window"),
    Keyword("windowVoxels", "window_voxels", "-wn", also="--window_size"),
    Keyword("stride", "stride", "--stride"),
    Keyword("taper", "taper", "--taper"),
    Keyword("weight", "weight", "--weight"),
    Keyword("noiseWeight", "noise_weight", "--no_noise_weight", switch=False),
    Keyword("refiner", "refiner", "--refiner"),
    Keyword("bSteps", "b_steps", "--refmac_iterations", also="-ref_it"),
    Keyword("bFloor", "b_floor", "--b_floor"),
    Keyword("neighborTau", "neighbour_tau", "--neighbour_tau"),
    Keyword("seed", "seed", "--seed"),
    Keyword("reseedCheck", "reseed_check", "--reseed_check", switch=True),
)
# Options that are no parameters, and what stands for them in ChimeraX.
OTHER_OPTIONS = {
    "-mc": "model", "--model_coordinates": "model", "-ma": "mask", "--mask": "mask",
    "-o": "saveTo", "--outfile": "saveTo", "-np": "processes", "--number_processes": "processes",
    "--mpiexec": "mpiexec", "--outputs": "outputs", "--print_report": "report",
    "-p": "volume voxelSize", "--apix": "volume voxelSize", "--skip_refine": "refiner none",
    "-hm": "two half maps", "--halfmap_paths": "two half maps", "-em": "one full map",
    "--emmap_path": "one full map"}
FILE_OPTIONS = {"model": "-mc", "mask": "-ma"}


def chosen_parameters(given, *, earlier=None):
    """Parameters that the user set, over those of an earlier run.

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
    values = dict(earlier or {})
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


def shell_line(files, parameters, defaults, *, output, processes=None):
    """Compose the command line that repeats the run.

    Parameters
    ----------
    files : mapping of str to str
        Path for each field of `HybridInputs` that is given.
    parameters, defaults : mapping of str to value
        `HybridParameters.as_dict()` of the run and of a run without options.
    output : str
        Path of the map.
    processes : int, optional

    Returns
    -------
    str
        Quoted for a POSIX shell.
    """
    words = ["locscale"]
    if "half_map_1" in files:
        words += ["-hm", files["half_map_1"], files["half_map_2"]]
    else:
        words += ["-em", files["full_map"]]
    for field, option in FILE_OPTIONS.items():
        if field in files:
            words += [option, files[field]]
    for keyword in KEYWORDS:
        words += _option_words(keyword, parameters, defaults, files)
    if parameters.get("outputs"):
        words += ["--outputs", *parameters["outputs"]]
    if processes:
        words += ["-np", str(processes)]
    return shlex.join([*words, "-o", output])


def in_command_words(message, files_folder):
    """Word a message of the core for ChimeraX: its options by keyword, input files by name.

    Parameters
    ----------
    message : str
    files_folder : str
        Folder of the input files, dropped where a message names a file in it.

    Returns
    -------
    str
    """
    for separator in ("/", "\\"):
        message = message.replace(files_folder + separator, "")
    options = {spelling: keyword.name for keyword in KEYWORDS
               for spelling in (keyword.option, keyword.also) if spelling}
    options.update(OTHER_OPTIONS)
    # The longest first, so that "-mres" is not read as "-m".
    names = "|".join(re.escape(name) for name in sorted(options, key=len, reverse=True))
    return re.sub(rf"(?<![\w-])(?:{names})(?![\w-])", lambda found: options[found[0]], message)


def _option_words(keyword, parameters, defaults, files):
    """Words of one option; none where the value is the default."""
    name = keyword.parameter
    value = parameters.get(name, defaults[name])
    if keyword.switch is not None:
        # The command line leaves the model as it is unless told to complete it.
        return [keyword.option] if value is keyword.switch else []
    if value == defaults[name] or value is None:
        return []
    if name == "weight" and value == "file":
        return [keyword.option, files["weight_map"]]
    if isinstance(value, (tuple, list)):
        return [keyword.option, *(f"{number:g}" for number in value)]
    return [keyword.option, str(value)]
