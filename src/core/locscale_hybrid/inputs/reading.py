"""Read what a run was given: maps, model, mask and weights, each hashed as it is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import InputError
from ..files.atomic import read_hashed, sha256
from ..findings import Finding
from ..maps.grid import Map
from ..maps.mrc import MapFrame
from ..maps.subvolume import beyond_the_map
from ..model.box_atoms import cut_to_box
from ..model.structure import AtomicModel, read_model
from ..parameters import WEIGHTS, HybridInputs, HybridParameters, without_effect
from ..symmetry.operators import Symmetry, symmetry_of
from .half_maps import ObservedMaps, read_companion, read_observed

_ROUNDED = 0.01  # beyond 0 to 1 by rounding
_RINGING = 0.1  # the same by interpolation


@dataclass(frozen=True, eq=False)
class RunInput:
    """Everything a run reads, in memory.

    Parameters
    ----------
    observed : ObservedMaps
    frame : MapFrame
        Of the first map; the output is written in it.
    symmetry : Symmetry
        About the centre of the box, or where it was asked for; C1 too.
    model : AtomicModel, optional
        What of it is in the box of the map.
    whole_model : AtomicModel, optional
        As its file has it; only the checks and the reference look outside the box.
    mask, weight : Map, optional
        The user's.
    findings : tuple of Finding
        Of reading; those of the model come with `check_inputs`.
    digests : mapping of str to str
        SHA-256 of what was read, by field of `HybridInputs`: files may be replaced meanwhile.
    """

    observed: ObservedMaps
    frame: MapFrame
    symmetry: Symmetry
    model: AtomicModel | None
    whole_model: AtomicModel | None
    mask: Map | None
    weight: Map | None
    findings: tuple[Finding, ...]
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def group(self) -> Symmetry | None:
        """The point group; None for C1."""
        return None if self.symmetry.is_trivial else self.symmetry

    def without_halves(self) -> "RunInput":
        """Drop the half maps to make room: writing needs none of them."""
        return replace(self, observed=replace(self.observed, half_1=None, half_2=None))


def read_run_input(inputs: HybridInputs, parameters: HybridParameters) -> RunInput:
    """Read the maps and the model.

    Raises
    ------
    InputError
        If a file cannot be used, or the point group is unknown.
    """
    observed, frame, findings = read_observed(inputs, parameters)
    symmetry = symmetry_of(
        observed.average.grid, parameters.point_group, parameters.symmetry_centre
    )
    model, whole, digests = None, None, dict(observed.digests)
    if inputs.model is not None:
        whole, digests["model"] = read_hashed(inputs.model, read_model)
        model = cut_to_box(whole, observed.average.grid)
    if inputs.monomer_library is not None:
        digests["monomer_library"] = sha256(inputs.monomer_library)
    beside = {}
    for name, path, what in (
        ("mask", inputs.mask, "mask"),
        ("weight_map", inputs.weight_map, "weight"),
    ):
        if path is not None:
            file = read_companion(path, observed.average, what, voxel_size=parameters.voxel_size)
            beside[name], digests[name] = file.map, file.sha256
    mask, weight = beside.get("mask"), beside.get("weight_map")
    if weight is not None:
        findings += require_weights(weight)
    findings += without_effect(inputs, parameters)
    if parameters.region is not None:
        findings += beyond_the_map(parameters.region, observed.average.grid)
    return RunInput(observed, frame, symmetry, model, whole, mask, weight, tuple(findings), digests)


def require_weights(given: Map) -> list[Finding]:
    """Refuse a map whose values are no weights; say where some will be cut off at 0 or 1.

    Raises
    ------
    InputError
        If they run beyond 0 to 1 by more than interpolation makes, or none reaches 1 %.
    """
    low, high = float(given.values.min()), float(given.values.max())
    if not np.isfinite([low, high]).all() or low < -_RINGING or high > 1 + _RINGING:
        raise InputError(
            f"weight {given.name} runs from {low:.4g} to {high:.4g}; a weight runs "
            f"from 0 to 1: give such a map, or one of {', '.join(sorted(WEIGHTS))}"
        )
    if high < _ROUNDED:
        raise InputError(
            f"weight {given.name} is empty: no voxel reaches {_ROUNDED:g}, so that "
            "nothing would be left of the map; give another one"
        )
    if low >= -_ROUNDED and high <= 1 + _ROUNDED:
        return []
    return [
        Finding(
            "weight-clipped",
            "note",
            f"weight {given.name} runs from {low:.3g} to {high:.3g}, as interpolation leaves it. It is "
            "cut off at 0 and 1",
            {"lowest": low, "highest": high},
        )
    ]
