"""The terms of the Pipeliner's job: labels of its options, else options of the command line.

What the job has no option for is typed under "Additional arguments".
"""

from ..cli.words import COMMAND_LINE
from ..remedies import Words

# Job option -> its label.
LABELS = {
    "input_halfmap1": "Half map 1",
    "input_halfmap2": "Half map 2",
    "input_map": "Full map in place of the half maps",
    "input_model": "Atomic model",
    "input_mask": "Mask",
    "complete_model": "Fill what the model leaves out?",
    "sym_group": "Symmetry group",
    "resolution": "Resolution (Å)",
    "fdr": "False discovery rate of the mask",
    "scaling": "Scaling",
    "window": "Scaling window (Å)",
    "stride": "Voxels between windows",
    "weight": "Noise weight of the display map",
    "refiner": "Refinement of B factors",
    "b_floor": "B of the best-ordered atoms (Å²)",
    "seed": "Seed",
    "processes": "Processes without MPI",
}
# Input, parameter or setting -> job option.
_OPTIONS = {
    "half_maps": "input_halfmap1",
    "half_map_1": "input_halfmap1",
    "half_map_2": "input_halfmap2",
    "full_map": "input_map",
    "model": "input_model",
    "mask": "input_mask",
    "point_group": "sym_group",
    **{
        name: name
        for name in (
            "complete_model",
            "resolution",
            "fdr",
            "scaling",
            "window",
            "stride",
            "weight",
            "refiner",
            "b_floor",
            "seed",
            "processes",
        )
    },
}
# What the Pipeliner itself says: name of the output, folder of the job, a run that goes on.
_NONE = ("output", "processing_folder", "resume", "record", "update", "launcher")
_ARGUMENT = 'under "Additional arguments"'


def _typed() -> dict[str, str]:
    """Make the phrases for what is typed as an option of the command line."""
    own = {}
    for name in COMMAND_LINE.terms:
        if name in _OPTIONS or name in _NONE:
            continue
        for action in ("give", "use", "leave_out"):
            phrase = getattr(COMMAND_LINE, action)
            own[f"{action} {name}"] = f"{phrase} {_ARGUMENT}"
    for key, phrase in COMMAND_LINE.own.items():
        action, _, name = key.partition(" ")
        if name and name.partition(" ")[0] not in (*_OPTIONS, *_NONE) and "{term}" in phrase:
            own[key] = f"{phrase} {_ARGUMENT}"
    return own


PIPELINER = Words(
    # the options of the command line fill the phrases that are typed
    terms={**COMMAND_LINE.terms, **{name: LABELS[option] for name, option in _OPTIONS.items()}},
    give='give {text} ("{term}")',
    use='set "{term}" to {value}',
    leave_out='leave "{term}" empty',
    values={"true": "Yes", "false": "No"},
    own={
        **_typed(),
        "give half_maps": 'give {text} ("Half map 1" and "Half map 2")',
        "leave_out half_maps": 'leave "Half map 1" and "Half map 2" empty',
        "give temporary_folder": COMMAND_LINE.own["give temporary_folder"],
        "report": "report it with the log of the job",
        "give output": "",
        "give processing_folder": "",
        "leave_out processing_folder": "",
        "use resume true": "",
        "give record": "",
        "leave_out record": "",
        "give update": "",
        "leave_out update": "",
        "use launcher true": 'set "Number of MPI procs" to more than 1',
        "leave_out launcher": 'set "Number of MPI procs" to 1',
    },
)
