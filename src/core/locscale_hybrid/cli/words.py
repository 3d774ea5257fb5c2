"""The terms of the command line: what inputs, parameters and settings are called there."""

from ..remedies import Words
from ..results.command_line import OPTIONS

TERMS = {
    **OPTIONS,
    "half_maps": "-hm",
    "full_map": "-em",
    "model": "-mc",
    "mask": "-ma",
    "weight_map": "--weight",
    "monomer_library": "--refine_coordinates",
    "previous_record": "--warm_start",
    "complete_model": "--complete_model",
    "voxel_size": "--apix",
    "weight": "--weight",
    "noise_weight": "--no_noise_weight",
    "outputs": "--outputs",
    "reseed_check": "--reseed_check",
    "validate": "--validate",
    "processes": "-np",
    "mpiexec": "--mpiexec",
    "processing_folder": "-op",
    "resume": "--resume",
    "output": "-o",
    "record": "--from",
    "update": "--update",
    "launcher": "-mpi",
}
_SWITCHES = ("complete_model", "reseed_check", "validate", "resume")

COMMAND_LINE = Words(
    terms=TERMS,
    give="give {text} ({term})",
    use="use {term} {value}",
    leave_out="leave out {term}",
    own={
        **{f"use {name} true": "use {term}" for name in _SWITCHES},
        **{f"use {name} false": "leave out {term}" for name in _SWITCHES},
        "use noise_weight false": "use {term}",
        "use noise_weight true": "leave out {term}",
        "give temporary_folder": "set TMPDIR to {text}",
        "use launcher true": "add {term} to share one run among them",
        "report": "rerun with --debug and report what it shows",
    },
)
