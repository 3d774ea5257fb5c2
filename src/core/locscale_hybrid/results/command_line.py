"""The command line that repeats a run."""

import os
from pathlib import Path
from typing import Any

from ..outputs import OutputPaths
from ..parameters import HybridInputs, HybridParameters

OPTIONS = {
    "point_group": "-sym",
    "symmetry_centre": "--symmetry_centre",
    "resolution": "-res",
    "voxel_size": "-p",
    "model_resolution": "-mres",
    "fdr": "-fdr",
    "scaling": "--scaling",
    "window": "--window",
    "window_voxels": "-wn",
    "stride": "--stride",
    "taper": "--taper",
    "refiner": "--refiner",
    "b_steps": "--refmac_iterations",
    "b_floor": "--b_floor",
    "neighbour_tau": "--neighbour_tau",
    "seed": "--seed",
    "region": "--region",
}


def command_words(
    inputs: HybridInputs, parameters: HybridParameters, outputs: OutputPaths
) -> list[str]:
    """Make the words of ``locscale …`` that do this run, whoever started it.

    Parameters
    ----------
    inputs : HybridInputs
    parameters : HybridParameters
        Only what differs from the defaults is said.
    outputs : OutputPaths

    Returns
    -------
    list of str
        The program's name first; paths are absolute.
    """
    words = ["locscale", *_input_words(inputs)]
    if parameters.complete_model and inputs.model is not None:
        words.append("--complete_model")
    defaults = HybridParameters()
    for name, option in OPTIONS.items():
        value = getattr(parameters, name)
        given = name == "window" and parameters.window_voxels is not None  # -wn says it
        if value != getattr(defaults, name) and not given:
            words += [option, *_texts(value)]
    if parameters.weight == "file" and inputs.weight_map is not None:
        words += ["--weight", _absolute(inputs.weight_map)]
    elif parameters.weight != defaults.weight:
        words += ["--weight", parameters.weight]
    words += [] if parameters.noise_weight else ["--no_noise_weight"]
    words += ["--reseed_check"] if parameters.reseed_check else []
    words += ["--validate"] if parameters.validate else []
    words += ["--outputs", *sorted(parameters.outputs)] if parameters.outputs else []
    words += ["--print_report"] if outputs.report else []
    if outputs.processing_folder is not None:
        words += ["-op", _absolute(outputs.processing_folder)]
    return [*words, "-o", _absolute(outputs.map)]


def _input_words(inputs: HybridInputs) -> list[str]:
    """List the input files with their options."""
    words = []
    if inputs.half_map_1 is not None and inputs.half_map_2 is not None:
        words += ["-hm", _absolute(inputs.half_map_1), _absolute(inputs.half_map_2)]
    for option, path in (
        ("-em", inputs.full_map),
        ("-mc", inputs.model),
        ("-ma", inputs.mask),
        ("--refine_coordinates", inputs.monomer_library),
        ("--warm_start", inputs.previous_record),
    ):
        if path is not None:
            words += [option, _absolute(path)]
    return words


def _texts(value: Any) -> list[str]:
    """Format a value as it is typed, with all its digits."""
    return [str(part) for part in value] if isinstance(value, tuple) else [str(value)]


def _absolute(path: Path) -> str:
    """Make a path that means the same in every folder."""
    return os.path.abspath(path)
