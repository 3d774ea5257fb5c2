"""From the words of the command line to what a run is asked to do."""

import argparse
import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.atomic import require_regular
from ..findings import Finding
from ..outputs import output_paths
from ..parameters import OUTPUTS, RANGES, WEIGHTS, HybridInputs, HybridParameters
from .job_file import Job, read_job, read_record, require_processes
from .legacy import LEGACY_OPTIONS, REFUSED_COMMANDS
from .options import as_typed, begun_by, build_parser, in_long_spelling, spellings

_SAME_NAME = {
    "point_group": "symmetry",
    "resolution": "ref_resolution",
    "voxel_size": "apix",
    "model_resolution": "model_resolution",
    "fdr": "fdr_threshold",
    "scaling": "scaling",
    "window": "window",
    "stride": "stride",
    "taper": "taper",
    "refiner": "refiner",
    "b_steps": "refmac_iterations",
    "b_floor": "b_floor",
    "neighbour_tau": "neighbour_tau",
    "seed": "seed",
    "reseed_check": "reseed_check",
    "validate": "validate",
}
_TESTS = ("reseed_check", "validate")  # would take longer than an update
_WITH_JOB = {"job", "progress", "end_with_stdin", "hold", "verbose", "debug", "mpi", "typed"}
_STRIDE_OF_LOCSCALE = (
    "this program has no networks; it would be the step between scaling "
    "windows, with --scaling windows"
)


@dataclass(frozen=True)
class Request:
    """What the words of the command line ask for.

    Parameters
    ----------
    job : Job
    remarks : tuple of Finding
        What the user must know about the words themselves.
    mpi : bool
        Share the work with the ranks of the launcher.
    """

    job: Job
    remarks: tuple[Finding, ...] = ()
    mpi: bool = False


def given_options(words: Sequence[str]) -> tuple[argparse.Namespace, list[Finding]]:
    """Find the options among the words, and remarks about how they were typed.

    Raises
    ------
    InputError
        If a word is unknown, or an option lacks its argument or has a wrong one.
    """
    words = list(words)
    for word in words[:1]:
        if word in REFUSED_COMMANDS:
            raise InputError(REFUSED_COMMANDS[word])
    if words[:1] in (["run_locscale"], ["version"]):
        words = ["--version", *words[1:]] if words[0] == "version" else words[1:]
    parser = build_parser()
    names = spellings(parser)
    spelled, remarks = in_long_spelling(words, names)
    options, unknown = parser.parse_known_args(spelled)
    for word in unknown:
        raise InputError(_unknown(word, names))
    options.typed = as_typed(words, names)
    return options, remarks + _without_effect(options)


def _without_effect(options: argparse.Namespace) -> list[Finding]:
    """Note options of LocScale 2 that change nothing here, as they were typed."""
    known = {option.names[-1]: option for option in LEGACY_OPTIONS}
    found = []
    for name in dict.fromkeys(getattr(options, "no_effect", [])):
        option = known[name]
        reason = next(
            (why for other, why in option.beside.items() if other in options), option.reason
        )
        found.append(_no_effect(_typed(vars(options), name), reason))
    return found


def _no_effect(word: str, reason: str) -> Finding:
    """Note an option that changes nothing."""
    return Finding("no-effect", "note", f"{word} has no effect here, because {reason}")


def _typed(given: dict[str, Any], name: str) -> str:
    """Return the word with which an option was given; its name if another program gave it."""
    word: str = given.get("typed", {}).get(f"--{name}", f"--{name}")
    return word


def _unknown(word: str, names: dict[str, str]) -> str:
    """Word the error for an unknown option."""
    if word in REFUSED_COMMANDS:
        return REFUSED_COMMANDS[word]
    if not word.startswith("-") or word == "--":
        return (
            f'"{word}" belongs to no option: put options and their values in order, and '
            "quote names with spaces; see locscale --help"
        )
    name = word.lstrip("-").partition("=")[0]
    begun = begun_by(name, names)
    if begun:
        return f"{word} may mean {', '.join(begun)}; give the whole name"
    near = difflib.get_close_matches(name, names, 1, 0.7)
    return (
        f"{word} is unknown"
        + (f": did you mean {names[near[0]]}" if near else "")
        + ("? see locscale --help" if near else "; see locscale --help")
    )


def request_of(options: argparse.Namespace, remarks: Sequence[Finding]) -> Request:
    """Make the run that the options ask for.

    Raises
    ------
    InputError
        If they contradict each other or a value is out of range.
    """
    given = {name: value for name, value in vars(options).items() if name != "no_effect"}
    said = list(remarks)
    if "job" in given:
        beside = sorted(set(given) - _WITH_JOB)
        if beside:
            raise InputError(f"--job says everything: leave --{' and --'.join(beside)} out")
        job = read_job(given["job"])
    else:
        job = _job(given, said)
    if "mpi" not in given:  # else the launcher says how many
        require_processes(job.processes)
    return Request(job, tuple(said), "mpi" in given)


def _job(given: dict[str, Any], said: list[Finding]) -> Job:
    """Read the run from the options, option by option."""
    inputs, values = _from_record(given)
    inputs.update(_inputs(given))
    values.update(_parameters(given, said))
    if _is_stride_of_locscale(given, values):
        del values["stride"]
        said.append(_no_effect(f"{_typed(given, 'stride')} {given['stride']}", _STRIDE_OF_LOCSCALE))
    if "weight_map" in inputs and values.get("weight") != "file":
        del inputs["weight_map"]
    if "model" not in inputs:
        values["complete_model"] = True
    outputs = output_paths(
        given.get("outfile"),
        processing_folder=given.get("output_processing_files"),
        report="print_report" in given,
        resume="resume" in given,
    )
    folder = outputs.processing_folder
    if "resume" in given and folder is not None and not any(folder.glob("stages/*.json")):
        said.append(
            Finding(
                "nothing-to-resume",
                "note",
                f"{folder} has no results of an earlier "
                "run, so this run begins at the start. If there was one, give its "
                "folder with -op",
            )
        )
    processes = given.get("number_processes")
    if processes == 0:
        raise InputError("-np 0: give 1 or more processes, or leave it out to use all cores")
    return Job(
        HybridInputs(**inputs),
        HybridParameters.from_dict(values),
        outputs,
        processes,
        given.get("mpiexec"),
        "check" if "check" in given else "run",
    )


def _is_stride_of_locscale(given: dict[str, Any], values: dict[str, Any]) -> bool:
    """Test whether a stride is LocScale 2's for its network, 16 voxels and so on."""
    return (
        "stride" in given
        and values.get("scaling", "bands") != "windows"
        and given["stride"] > RANGES["stride"][2]
    )


def _from_record(given: dict[str, Any]) -> tuple[dict[str, Path], dict[str, Any]]:
    """Read inputs and parameters from a record, except files that are given again."""
    path = given.get("record", given.get("update"))
    if path is None:
        return {}, {"complete_model": "complete_model" in given}
    if "update" in given and set(given) & {"record", "previous_record"}:
        raise InputError(
            "--update says which record to begin with: leave --from and --warm_start out"
        )
    recorded = read_record(path)
    replaced = set(_inputs(given))
    if replaced & {"half_map_1", "full_map"}:
        replaced |= {"half_map_1", "half_map_2", "full_map"}
    if "update" in given:
        replaced.add("previous_record")
    kept = {name: file for name, file in recorded.files.items() if name not in replaced}
    for name in kept:
        if name != "model" or "record" in given:  # that of an update may have been edited
            recorded.check(name)
    if "previous_record" in kept:
        from ..resume.previous_run import require_repeatable  # brings gemmi and scipy

        require_repeatable(kept["previous_record"])
    values = dict(recorded.parameters)
    if "complete_model" in given:
        values["complete_model"] = True
    if "update" in given:
        kept["previous_record"] = Path(os.path.abspath(path))
        for test in _TESTS:
            values.pop(test, None)
    return kept, values


def _inputs(given: dict[str, Any]) -> dict[str, Path]:
    """Input files by field of `HybridInputs`."""
    files = dict(zip(("half_map_1", "half_map_2"), given.get("halfmap_paths", ()), strict=False))
    for field, option in (
        ("full_map", "emmap_path"),
        ("model", "model_coordinates"),
        ("mask", "mask"),
        ("monomer_library", "refine_coordinates"),
        ("previous_record", "previous_record"),
    ):
        if option in given:
            files[field] = given[option]
    weight = given.get("weight")
    if weight is not None and weight not in WEIGHTS:
        require_regular(Path(weight))
        if not os.path.isfile(weight):  # unlike Path, also for a name too long
            raise InputError(
                f'weight "{weight}" is neither a policy nor a file: give one of '
                f"{', '.join(WEIGHTS)}, or a map"
            )
        files["weight_map"] = Path(weight)
    return {name: Path(os.path.abspath(path)) for name, path in files.items()}


def _parameters(given: dict[str, Any], said: list[Finding]) -> dict[str, Any]:
    """Parameters by field of `HybridParameters`."""
    values = {field: given[option] for field, option in _SAME_NAME.items() if option in given}
    for name in ("symmetry_centre", "region"):
        if name in given:
            values[name] = tuple(given[name])
    if "weight" in given:
        values["weight"] = given["weight"] if given["weight"] in WEIGHTS else "file"
    if "no_noise_weight" in given:
        values["noise_weight"] = False
    if "skip_refine" in given:
        if given.get("refiner", "none") != "none":
            raise InputError(
                f"--skip_refine and --refiner {given['refiner']} contradict each "
                "other: give one of them"
            )
        values["refiner"] = "none"
    if "outputs" in given:
        values["outputs"] = _outputs(given["outputs"])
    if "refmac_iterations" in given:
        said.append(
            Finding(
                "b-steps",
                "note",
                f"{_typed(given, 'refmac_iterations')} "
                f"{values['b_steps']} sets the "
                "number of B steps of the final fit; REFMAC is not used",
                {"steps": values["b_steps"]},
            )
        )
    if "window_size" in given:
        values.update(_window(given, said))
    elif "window" in given:
        values["window_voxels"] = None
    return values


def _outputs(words: Sequence[str]) -> list[str]:
    """Names of further maps, however they were separated."""
    names = [name for word in words for name in word.replace(",", " ").split()]
    return sorted(OUTPUTS) if "all" in names else sorted(set(names))


def _window(given: dict[str, Any], said: list[Finding]) -> dict[str, Any]:
    """Convert the window to voxels: odd."""
    voxels = given["window_size"]
    if "window" in given:
        raise InputError(
            f"-wn {voxels} and --window {given['window']:g} both set the window: "
            "give it in voxels or in Å"
        )
    if voxels % 2 == 0:
        said.append(
            Finding(
                "odd-window",
                "note",
                f"-wn {voxels}: a window of {voxels + 1} voxels is used, which has a central voxel",
                {"voxels": voxels + 1},
            )
        )
        voxels += 1
    return {"window_voxels": voxels}
