"""The options of the CCP-EM Pipeliner job, in the order and the groups in which they are shown."""

from typing import Any

from pipeliner.job_options import (
    BooleanJobOption,
    FileDescription,
    FloatJobOption,
    InputNodeJobOption,
    IntJobOption,
    JobOptionCondition,
    MultipleChoiceJobOption,
    StringJobOption,
)
from pipeliner.nodes import NODE_ATOMCOORDS, NODE_DENSITYMAP, NODE_MASK3D

from ..option_texts import option_texts
from ..parameters import REFINERS, SCALINGS, WEIGHTS, HybridParameters
from .words import LABELS

# Job option -> option of the command line, field of `HybridParameters`.
PARAMETERS = {
    "sym_group": ("-sym", "point_group"),
    "resolution": ("-res", "resolution"),
    "fdr": ("-fdr", "fdr"),
    "scaling": ("--scaling", "scaling"),
    "window": ("--window", "window"),
    "stride": ("--stride", "stride"),
    "weight": ("--weight", "weight"),
    "refiner": ("--refiner", "refiner"),
    "b_floor": ("--b_floor", "b_floor"),
    "seed": ("--seed", "seed"),
}
# Job option -> what it adds to --outputs.
FURTHER_MAPS = {
    "output_local_b": ("localB",),
    "output_halves": ("halves",),
    "output_diagnostics": ("gain", "resolution", "provenance"),
    "output_reference": ("mask", "reference"),
}

_MAPS = FileDescription("3D map", [".mrc", ".map", ".ccp4", ".mrc.gz", ".map.gz"])
_MODELS = FileDescription("Atomic model", [".cif", ".mmcif", ".pdb", ".ent"])
_DEFAULTS = HybridParameters()

Options = dict[str, Any]


def job_options() -> Options:
    """Make all options of the job but those of running it, by name."""
    return {
        **_maps_and_model(),
        **_further_maps(),
        **_what_limits_the_work(),
        **_scaling(),
        **_hybrid_model(),
    }


def process_option() -> Options:
    """Offer the number of processes without MPI."""
    return {
        "processes": IntJobOption(
            label=LABELS["processes"],
            default_value=None,
            hard_min=1,
            suggested_max=64,
            step_value=1,
            jobop_group="Running options",
            in_continue=True,
            deactivate_if=JobOptionCondition([("nr_mpi", ">", 1)]),
            help_text="Processes on this machine while 'Number of MPI procs' is 1. Default: blank, all "
            "cores that the job may use. Give fewer to leave cores to others. The result does not "
            "depend on it.",
        )
    }


def _help(field: str, *, default: str = "") -> str:
    """Return the text of an input or a parameter, in the labels of this job."""
    text = option_texts()[field].worded(LABELS)
    return text.sentences() + (f" Default: {default}." if default else "")


def _maps_and_model() -> Options:
    """Offer the input files and what is known of them."""
    instead = JobOptionCondition([("input_map", "!=", "")])
    needed = JobOptionCondition([("input_map", "=", "")])
    halves = {
        f"input_halfmap{number}": InputNodeJobOption(
            label=LABELS[f"input_halfmap{number}"],
            node_type=NODE_DENSITYMAP,
            node_kwds=["halfmap"],
            pattern=_MAPS,
            default_value="",
            required_if=needed,
            deactivate_if=instead,
            help_text="Read a half map that was not filtered, sharpened or masked. Resolution, noise "
            "and the restraint weight are determined by comparing the two.",
        )
        for number in (1, 2)
    }
    return {
        **halves,
        "input_map": InputNodeJobOption(
            label=LABELS["input_map"],
            node_type=NODE_DENSITYMAP,
            pattern=_MAPS,
            default_value="",
            deactivate_if=JobOptionCondition(
                [("input_halfmap1", "!=", ""), ("input_halfmap2", "!=", "")]
            ),
            help_text=_help("full_map", default="blank"),
        ),
        "input_model": InputNodeJobOption(
            label=LABELS["input_model"],
            node_type=NODE_ATOMCOORDS,
            pattern=_MODELS,
            default_value="",
            help_text=_help("model", default="blank"),
        ),
        "complete_model": BooleanJobOption(
            label=LABELS["complete_model"],
            default_value=True,
            help_text=_help("complete_model", default="Yes"),
        ),
        "sym_group": StringJobOption(
            label=LABELS["sym_group"],
            default_value=_DEFAULTS.point_group,
            help_text=_help("point_group")
            + " If the axes meet elsewhere than at the middle voxel, add '--symmetry_centre X Y Z' "
            "(voxels) under Additional arguments.",
        ),
    }


def _further_maps() -> Options:
    """Offer outputs in addition to the two maps, the hybrid model, the record and the report."""

    def offer(label: str, help_text: str, *, default: bool = False) -> Any:
        """Offer a map that is written on request."""
        return BooleanJobOption(
            label=label, default_value=default, help_text=help_text, jobop_group="Output"
        )

    return {
        "output_local_b": offer(
            "Write the local B map?",
            "Local B factor in Å² above that of the best-ordered region, "
            "with a ChimeraX script that colours the map by it. Default: Yes.",
            default=True,
        ),
        "output_halves": offer(
            "Write the sharpened half maps?",
            "The half maps with the same gains and weights as "
            "the result. Default: No. For a look at what is reproducible; they share their "
            "gains, so that their FSC is no measure of resolution, and they must not be deposited "
            "as half maps.",
        ),
        "output_diagnostics": offer(
            "Write gain, resolution and provenance?",
            "Local gain in three bands, local resolution "
            "in Å, and where the reference comes from (1 model, 2 pseudo-atoms, 0 none). "
            "Default: No. Choose Yes to find out why a region looks as it does.",
        ),
        "output_reference": offer(
            "Write mask and reference map?",
            "Write the mask and the density of the hybrid model. Default: No. Choose Yes to see whether the "
            "mask leaves something out.",
        ),
    }


def _what_limits_the_work() -> Options:
    """Mask and resolution."""
    return {
        "input_mask": InputNodeJobOption(
            label=LABELS["input_mask"],
            node_type=NODE_MASK3D,
            pattern=_MAPS,
            default_value="",
            jobop_group="Advanced options",
            help_text=_help("mask", default="blank"),
        ),
        "resolution": FloatJobOption(
            label=LABELS["resolution"],
            default_value=None,
            suggested_min=1.5,
            suggested_max=12,
            step_value=0.1,
            jobop_group="Advanced options",
            help_text=_help("resolution"),
        ),
        "fdr": FloatJobOption(
            label=LABELS["fdr"],
            default_value=_DEFAULTS.fdr,
            suggested_min=0.001,
            suggested_max=0.1,
            step_value=0.001,
            jobop_group="Advanced options",
            help_text=_help("fdr"),
        ),
    }


def _scaling() -> Options:
    """Offer how amplitudes are scaled and weighted."""
    return {
        "scaling": MultipleChoiceJobOption(
            label=LABELS["scaling"],
            choices=list(SCALINGS),
            default_value=_DEFAULTS.scaling,
            jobop_group="Advanced options",
            help_text=_help("scaling"),
        ),
        "window": FloatJobOption(
            label=LABELS["window"],
            default_value=_DEFAULTS.window,
            suggested_min=10,
            suggested_max=50,
            step_value=1,
            jobop_group="Advanced options",
            help_text=_help("window"),
        ),
        "stride": IntJobOption(
            label=LABELS["stride"],
            default_value=_DEFAULTS.stride,
            suggested_min=1,
            suggested_max=4,
            step_value=1,
            jobop_group="Advanced options",
            deactivate_if=JobOptionCondition([("scaling", "=", "bands")]),
            help_text=_help("stride"),
        ),
        "weight": MultipleChoiceJobOption(
            label=LABELS["weight"],
            choices=list(WEIGHTS),
            default_value=_DEFAULTS.weight,
            jobop_group="Advanced options",
            help_text=_help("weight"),
        ),
    }


def _hybrid_model() -> Options:
    """B factors and pseudo-atoms."""
    return {
        "refiner": MultipleChoiceJobOption(
            label=LABELS["refiner"],
            choices=list(REFINERS),
            default_value=_DEFAULTS.refiner,
            jobop_group="Advanced options",
            help_text=_help("refiner"),
        ),
        "b_floor": FloatJobOption(
            label=LABELS["b_floor"],
            default_value=_DEFAULTS.b_floor,
            suggested_min=0,
            suggested_max=60,
            step_value=5,
            jobop_group="Advanced options",
            help_text=_help("b_floor"),
        ),
        "seed": IntJobOption(
            label=LABELS["seed"],
            default_value=_DEFAULTS.seed,
            suggested_min=0,
            suggested_max=9999,
            step_value=1,
            jobop_group="Advanced options",
            help_text=_help("seed"),
        ),
    }
