"""Options of LocScale 2 that have no effect here, each with the reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field

_MASK = "the mask comes from the half maps' own noise at the rate given with -fdr"
_PLACED = "pseudo-atoms are placed by likelihood against the maps"
_NETWORK = "this program has no networks"
_WEIGHTS = "every band is weighted by the noise found in the half maps"


@dataclass(frozen=True)
class LegacyOption:
    """An option that is accepted and reported.

    Parameters
    ----------
    names : tuple of str
        Without dashes; the last is the one in messages.
    arguments : {0, 1, "*"}
        How many follow it.
    reason : str
        Why it has no effect: the end of a sentence.
    beside : mapping of str to str
        The reason where another option is given too, by the name of that.
    """

    names: tuple[str, ...]
    arguments: int | str
    reason: str
    beside: Mapping[str, str] = field(default_factory=dict)


LEGACY_OPTIONS = (
    LegacyOption(
        ("cif_info",),
        1,
        "model coordinates are not refined, so no restraints are read",
        {
            "refine_coordinates": "--refine_coordinates takes restraints from its monomer "
            "library alone; add the file to that library, in the folder of its first "
            "letter"
        },
    ),
    LegacyOption(("fdr_w", "fdr_window_size"), 1, _MASK),
    LegacyOption(("fdr_f", "fdr_filter"), 1, _MASK),
    LegacyOption(("avg_filter", "averaging_filter_size"), 1, _MASK),
    LegacyOption(("avg_w", "averaging_window"), 1, _MASK),
    LegacyOption(("th", "mask_threshold"), 1, _MASK),
    LegacyOption(("pm", "pseudomodel_method"), 1, _PLACED),
    LegacyOption(("pm_it", "total_iterations"), 1, _PLACED),
    LegacyOption(("dst", "distance"), 1, _PLACED),
    LegacyOption(
        ("mw", "molecular_weight"),
        1,
        "the number of pseudo-atoms follows from the volume without a model",
    ),
    LegacyOption(("build_using_pseudomodel",), 0, "without -mc the whole mask is filled anyway"),
    LegacyOption(("activate_pseudomodel",), 0, "pseudo-atoms in a model are recognised"),
    LegacyOption(("smooth", "smooth_factor"), 1, "no theoretical profiles are merged"),
    LegacyOption(("boost_secondary_structure",), 1, "no theoretical profiles are merged"),
    LegacyOption(("ignore_profiles",), 0, "no theoretical profiles are merged"),
    LegacyOption(("add_blur",), 1, "the refinement starts from the maps' own falloff"),
    LegacyOption(("refmac5_path",), 1, "REFMAC is not used: B factors are refined here"),
    LegacyOption(("cref_pickle",), 1, "the refinement weights shells by their noise"),
    LegacyOption(("measure_bfactors",), 0, "B factors are always reported"),
    LegacyOption(("filter_input",), 0, _WEIGHTS),
    LegacyOption(("apply_fsc_filter",), 0, _WEIGHTS),
    LegacyOption(("chunk", "chunk_size"), 1, "work is shared out as processes become free"),
    LegacyOption(("report_filename",), 1, "the report's name follows from -o"),
    LegacyOption(("dev_mode",), 0, "inputs are always checked"),
    LegacyOption(("set_local_bfactor",), 1, "amplitudes come from the hybrid model"),
    LegacyOption(("bs", "batch_size"), 1, _NETWORK),
    LegacyOption(("cube_size",), 1, _NETWORK),
    LegacyOption(("s", "network_stride"), 1, _NETWORK),
    LegacyOption(("no_mc", "no_monte_carlo"), 0, _NETWORK),
    LegacyOption(("mc_it", "monte_carlo_iterations"), 1, _NETWORK),
)

# Not accepted: the user would get something else than what was asked for.
REFUSED_OPTIONS: dict[str, tuple[int | str, str]] = {
    "gpus": (
        "*",
        "-gpus asks for a network prediction and this program has no networks: leave it "
        "out for a hybrid run, or use LocScale 2",
    ),
    "gpu_ids": (
        "*",
        "--gpu_ids asks for a network prediction and this program has no networks: "
        "leave it out for a hybrid run, or use LocScale 2",
    ),
    "model_path": (
        1,
        "--model_path names a trained network and this program has no networks: give "
        "an atomic model with -mc",
    ),
    "use_low_context_model": (
        0,
        "--use_low_context_model chooses a network and this program has no networks: leave it out",
    ),
    "download": (0, "--download fetches networks and this program has none: leave it out"),
    "mm": (
        1,
        "-mm gives a reference map; here the reference is computed from a model: give the "
        "model with -mc",
    ),
    "model_map": (
        1,
        "--model_map gives a reference map; here the reference is computed from a "
        "model: give the model with -mc",
    ),
    **{
        name: (
            1,
            f"-{name} asks for helical symmetry, which is not supported yet; give the point "
            "group about the helix axis with -sym (Cn or Dn), or leave it out",
        )
        for name in ("twist", "rise", "n_steps")
    },
    "no_reference": (
        0,
        "--no_reference scales without a reference, which this program does not "
        "do: give -mc, or no model to fill the mask with pseudo-atoms",
    ),
}
REFUSED_COMMANDS = {
    name: f"{name} is a network prediction and this program has no networks: give maps and a "
    "model for a hybrid run, or use LocScale 2"
    for name in ("feature_enhance", "run_emmernet", "emmernet")
}
