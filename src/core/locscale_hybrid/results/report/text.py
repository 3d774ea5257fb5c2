"""The words of a report: what was done, the table of numbers, and what to be careful about."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from ...refinement.setup import COARSE

Record = Mapping[str, Any]
Rows = list[tuple[str, str]]

_LEVEL_OF_B = 15  # Å^2, to which the absolute level of B is known


def deeds(record: Record) -> list[str]:
    """Three sentences about what was done."""
    return [_material(record), _refinement(record), _scaling(record)]


def _material(record: Record) -> str:
    """Describe maps, box and atoms."""
    files, seen = record["inputs"], record["observed"]
    box = " × ".join(str(n) for n in seen["box_voxels"])
    voxel = sum(seen["voxel_size_angstrom"]) / 3
    maps = (
        f"Two half maps, {_name(files['half_map_1'])} and {_name(files['half_map_2'])}"
        if "half_map_1" in files
        else f"One map, {_name(files['full_map'])}"
    )
    model, completed = record["hybrid_model"], record["parameters"]["complete_model"]
    atoms = _counted(model["model_atoms"], "atom")
    if model["copied_atoms"]:
        atoms += f" and {model['copied_atoms']:,} of symmetry copies"
    pseudo = _counted(model["pseudo_atoms"], "pseudo-atom")
    if "model" not in files:
        reference = f"{pseudo} that fill the mask, without an atomic model"
    elif completed:
        reference = f"{atoms} of {_name(files['model'])} and {pseudo} where that leaves density out"
    else:
        reference = f"{atoms} of {_name(files['model'])}, which was not completed"
    was = "were" if "half_map_1" in files else "was"
    slopes = record["amplitudes"]["falloff_b_square_angstrom"]
    before, after = slopes["input"], slopes["output"]
    lowered = before is not None and after is not None and after > before
    how = "scaled" if lowered else "sharpened"
    text = (
        f"{maps} (box {box} voxels of {voxel:.4g} Å), {was} {how} locally to the amplitudes of "
        f"a reference: {reference}."
    )
    if lowered:
        text += (
            f" This lowered the amplitudes of fine detail: their fall-off was {before:.0f} Å² "
            f"and is {after:.0f} Å²."
        )
    return text


def _refinement(record: Record) -> str:
    """Describe how B was refined."""
    adp, resolution = record["adp"], record["resolution"]
    limit = f"{resolution['d_min_angstrom']:.2f} Å ({resolution['origin']})"
    if adp is None:
        return f"B factors were taken from the file of the model; the work went to {limit}."
    if resolution["d_min_angstrom"] > COARSE:
        return (
            f"One B factor for the model and one for the pseudo-atoms were fitted to the map "
            f"to {limit}."
        )
    prior = f"{adp['tau_square_angstrom']:g} Å² between neighbours"
    how = (
        f"with the restraint ({prior}) that half map 2 preferred"
        if adp["validated"]
        else f"with a restraint of {prior} that no half map has validated"
    )
    if _is_unjudged(record) and record["parameters"]["neighbour_tau"] is None:
        how = f"with the restraint ({prior}) of the earlier run that this one updates"
    return f"B factors of all atoms were refined against the map to {limit}, {how}."


def _scaling(record: Record) -> str:
    """Describe how the map was scaled."""
    asked, scaling = record["parameters"], record["scaling"]
    size = (
        f"{asked['window_voxels']} voxels"
        if asked["window_voxels"] is not None
        else f"{asked['window']:g} Å"
    )
    how = "each resolution band" if asked["scaling"] == "bands" else "the radial profile"
    symmetry = record["symmetry"]["point_group"]
    averaged = "" if symmetry == "C1" else f", and the result averaged over {symmetry}"
    weight = {"none": "the display map has no weight"}.get(
        scaling["weight"], f"the display map has the weight “{scaling['weight']}”"
    )
    return (
        f"Then {how} of the map was scaled to the reference within windows of {size}"
        f"{averaged}; {weight}."
    )


def _is_unjudged(record: Record) -> bool:
    """Test whether it is an update that was not validated on half map 2."""
    update = record["update"]
    return (
        update is not None
        and not update["validated_anew"]
        and record["observed"]["kind"] == "halves"
    )


def _update_row(record: Record) -> Rows:
    """Say what an update started from."""
    update = record["update"]
    if update is None:
        return []
    number, origin = update["pseudo_atoms"], record["inputs"]["previous_record"]["path"]
    return [
        (
            "update",
            f"of {PurePath(origin).name}: {number['kept']:,} of its pseudo-atoms stay, "
            f"{number['dropped']:,} go, {number['added']:,} are new",
        )
    ]


def table_rows(record: Record) -> Rows:
    """List the numbers that a person looks for first."""
    resolution, mask = record["resolution"], record["mask"]
    model, adp, change = record["hybrid_model"], record["adp"], record["reseed_check"]
    rows = [
        ("resolution", f"{resolution['d_min_angstrom']:.2f} Å — {resolution['origin']}"),
        (
            "mask",
            f"{mask['volume_cubic_angstrom']:,.0f} Å³, about "
            f"{mask['mass_kilodalton']:.0f} kDa — {mask['origin']}",
        ),
        (
            "atoms",
            f"{model['model_atoms']:,} of the model, {model['copied_atoms']:,} of "
            f"symmetry copies, {model['pseudo_atoms']:,} pseudo-atoms",
        ),
    ]
    if "model" in record["inputs"]:
        rows.append(
            (
                "coverage",
                f"the model explains {model['model_coverage_of_mask']:.0%} of "
                "the density in the mask",
            )
        )
    rows += _update_row(record)
    rows += _b_rows(model["b_iso_square_angstrom"])
    rows += _fsc_row(adp)
    rows += _gain_rows(record["scaling"]["bands"], resolution["d_min_angstrom"])
    rows += _falloff_rows(record["amplitudes"])
    rows.append(
        (
            "without reference",
            f"{record['scaling']['share_without_reference']:.1%} of the "
            "mask, scaled by the global gain",
        )
    )
    correlation = record["symmetry"]["least_correlation_of_output"]
    if correlation is not None:
        rows.append(
            (
                "symmetry",
                f"{record['symmetry']['point_group']}, the output correlates with "
                f"its images at {correlation:.4f} or more",
            )
        )
    if change is not None:
        rows.append(
            (
                "another seed",
                f"changes the output by {change['rms_change_over_sd']:.2%} of "
                f"its sd inside the mask (seed {change['seed']})",
            )
        )
    return rows


def _fsc_row(adp: Record | None) -> Rows:
    """Say how the model that was refined on half map 1 fits both, where there are two."""
    free = None if adp is None else adp["refined_on_half_map_1"]
    if free is None:
        return []
    text = (
        f"work {free['fsc_work']:.3f}, free {free['fsc_free']:.3f} — mean from 12 Å to the "
        "limit, everything refined on half map 1 alone"
    )
    return [("FSC of the model", text)]


def _b_rows(b_iso: Mapping[str, Mapping[str, float]]) -> Rows:
    """Quantiles of B."""
    return [
        (
            f"B, {name.replace('_', '-')}",
            f"{values['50%']:.0f} Å² (half of them {values['25%']:.0f} to {values['75%']:.0f}, "
            f"5–95 %: {values['5%']:.0f} to {values['95%']:.0f})",
        )
        for name, values in b_iso.items()
        if values
    ]


def _gain_rows(bands: list[Mapping[str, float]], d_min: float) -> Rows:
    """Gain of the coarsest band, of the finest that the limit admits, and between."""
    last = sum(band["resolution_angstrom"] >= d_min for band in bands) - 1
    chosen = sorted({0, last // 2, last}) if last >= 0 else []
    texts = [
        f"{bands[i]['resolution_angstrom']:.1f} Å: {bands[i]['gain_median']:.3g} "
        f"({bands[i]['gain_5_percent']:.3g} to {bands[i]['gain_95_percent']:.3g})"
        for i in chosen
    ]
    return [("gain, median (5–95 %)", "; ".join(texts))] if texts else []


def _falloff_rows(amplitudes: Record) -> Rows:
    """Slopes of the amplitudes."""
    slopes = amplitudes["falloff_b_square_angstrom"]
    texts = [f"{name} {value:.0f} Å²" for name, value in slopes.items() if value is not None]
    return [("fall-off as B, 10 Å to the limit", ", ".join(texts))] if texts else []


def timing_rows(record: Record) -> list[tuple[str, str, str]]:
    """Stage, seconds and memory, the sum last."""
    timings = record["timings"]
    rows = [
        (name, f"{cost['wall_seconds']:.1f}", f"{cost['peak_gib']:.2f}")
        for name, cost in timings.items()
    ]
    total = sum(cost["wall_seconds"] for cost in timings.values())
    peak = max((cost["peak_gib"] for cost in timings.values()), default=0.0)
    return [*rows, ("all", f"{total:.1f}", f"{peak:.2f}")]


def caveats(record: Record) -> list[str]:
    """List what to be careful about in this run; nothing that does not apply to it."""
    adp, b_floor = record["adp"], record["parameters"]["b_floor"]
    linear, looking = (PurePath(record["outputs"][name]).name for name in ("linear", "map"))
    said = [
        f"Measure and deposit {linear}, not {looking}. "
        f"{_sentence(record['scaling']['statement'])}.",
        f"B factors tell places apart; their common level is known to about "
        f"±{_LEVEL_OF_B} Å² only. If all of the map is too sharp or too smooth, change "
        f"the minimum B factor (here {b_floor:g} Å²).",
    ]
    if record["hybrid_model"]["pseudo_atoms"]:
        said.append(
            "Pseudo-atoms say how much scatters at a place and how ordered it is. They are "
            "no model: read no side chains from them and do not deposit them."
        )
    if record["observed"]["kind"] != "halves":
        said.append(
            "There was one map and no half maps: the resolution and the B factors are not "
            "validated, and noise is told from signal by the solvent or not at all."
        )
    elif _is_unjudged(record):
        said.append(_unjudged(record["update"]["earlier_validation"]))
    elif adp is not None:
        said.append(
            "The hybrid model was refined against both half maps, so its FSC with them is "
            "no validation; the work and free curves are."
        )
    said += _limits(record)
    if "sharpened_half1" in record["outputs"]:
        said.append(
            "The sharpened half maps share their gains, so their FSC is a diagnostic and "
            "no resolution."
        )
    return said


def _unjudged(earlier: Mapping[str, Any] | None) -> str:
    """Word the caveat of an update that was not validated on half map 2."""
    was = (
        ""
        if earlier is None
        else (
            f" The hybrid model that it began with had a work FSC of "
            f"{earlier['fsc_work']:.3f} and a free one of "
            f"{earlier['fsc_free']:.3f}."
        )
    )
    return (
        "This is an update: the hybrid model was refined against both half maps and was not "
        f"cross-validated. To validate it, set `validate` to True.{was}"
    )


def _limits(record: Record) -> list[str]:
    """Caveats of settings that few runs have."""
    asked, said = record["parameters"], []
    if record["resolution"]["origin"] == "given":
        said.append(
            f"The resolution of {record['resolution']['d_min_angstrom']:.2f} Å was given; "
            "compare it with the curves."
        )
    if record["adp"] is None:
        said.append(
            "The B factors are those of the model's file, which may have been refined "
            "against another map."
        )
    elif record["resolution"]["d_min_angstrom"] > COARSE:
        said.append(
            "At this resolution the order of single places is not refined; local "
            "differences come from the pattern of atoms alone."
        )
    if asked["point_group"] != "C1":
        said.append(
            f"{asked['point_group']} was imposed: what breaks this symmetry is averaged away."
        )
    if asked["model_resolution"] is not None:
        said.append(
            f"The reference ends at {asked['model_resolution']:g} Å; nothing finer was "
            "scaled to it."
        )
    if record["scaling"]["share_without_reference"] > 0:
        said.append(
            f"{record['scaling']['share_without_reference']:.1%} of the mask has no "
            "reference nearby: that part is sharpened as the map on average is."
        )
    return said


def _sentence(text: str) -> str:
    """Begin a text with a capital and drop its full stop."""
    return text[:1].upper() + text[1:].rstrip(".")


def _name(entry: Record) -> str:
    """Name of an input file."""
    return PurePath(entry["path"]).name


def _counted(n: int, what: str) -> str:
    """Format a number of things."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
