"""What the result of every stage depends on, as one hash for each.

Every parameter and every input belongs to the first stage that uses it.  The key of a stage is the
hash of what belongs to it and of the key of the stage before, so a change reaches that stage and
all that follow, and none before.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .._version import __version__
from ..files.atomic import sha256
from ..inputs.half_maps import Kind
from ..parameters import HybridInputs, HybridParameters
from .store import StageKey

KEPT_STAGES = ("mask", "pseudo-atoms", "adp", "validation", "scaling", "reseed")

_FIRST_USED = {
    "voxel_size": "mask",
    "resolution": "mask",
    "fdr": "mask",
    "complete_model": "pseudo-atoms",
    "point_group": "pseudo-atoms",
    "symmetry_centre": "pseudo-atoms",
    "seed": "pseudo-atoms",
    "refiner": "adp",
    "b_steps": "adp",
    "neighbour_tau": "adp",
    "validate": "adp",
    "region": "scaling",
    "b_floor": "scaling",
    "model_resolution": "scaling",
    "scaling": "scaling",
    "window": "scaling",
    "window_voxels": "scaling",
    "stride": "scaling",
    "taper": "scaling",
    "weight": "scaling",
    "noise_weight": "scaling",
    "scaling outputs": "scaling",
}
_ELSEWHERE = ("outputs", "reseed_check")  # see _of_parameters
_SCALED_OUTPUTS = ("gain", "resolution")  # what scaling makes only when it is asked for
_FILES = {
    "half_map_1": "mask",
    "half_map_2": "mask",
    "full_map": "mask",
    "mask": "mask",
    "model": "pseudo-atoms",
    "monomer_library": "pseudo-atoms",
    "previous_record": "pseudo-atoms",
    "weight_map": "scaling",
}
_LIBRARIES = ("numpy", "scipy", "gemmi")


def stage_keys(
    inputs: HybridInputs,
    parameters: HybridParameters,
    kind: Kind,
    digests: Mapping[str, str] | None = None,
) -> dict[str, StageKey]:
    """Keys of the stages of KEPT_STAGES.

    Parameters
    ----------
    inputs : HybridInputs
    parameters : HybridParameters
    kind : {"halves", "pseudo-halves", "single"}
        What the maps are: from one map the noise is drawn with the seed, and the model helps to
        find the resolution.
    digests : mapping of str to str, optional
        SHA-256 of the inputs as they were read, by field; what is missing is read for it.
    digests : mapping of str to str, optional
        SHA-256 of the inputs as they were read, by field; what is missing is read for it.
    """
    own: dict[str, dict[str, Any]] = {stage: {} for stage in KEPT_STAGES}
    known = digests or {}
    for name, path in inputs.files.items():
        stage = _FILES[name]
        early = name == "model" and kind != "halves"
        own["mask" if early else stage][f"file {name}"] = (
            known[name] if name in known else sha256(path)
        )
    for name, value in _of_parameters(inputs, parameters, kind).items():
        early = name == "seed" and kind != "halves"
        own["mask" if early else _FIRST_USED.get(name, "mask")][name] = value
    digest, keys = _digest(_program(inputs, parameters)), {}
    for stage, values in own.items():
        digest = _digest({"before": digest, "stage": stage, **values})
        keys[stage] = StageKey(stage, digest)
    return keys


def parameters_before_scaling() -> list[str]:
    """Names of the parameters on which the hybrid model depends."""
    names = [field.name for field in dataclasses.fields(HybridParameters)]
    return [
        name
        for name in names
        if name not in (*_ELSEWHERE, "validate") and _FIRST_USED.get(name, "mask") != "scaling"
    ]


def _of_parameters(
    inputs: HybridInputs, parameters: HybridParameters, kind: Kind
) -> dict[str, Any]:
    """Return the parameters as JSON values, without those that change no kept result."""
    values = {
        field.name: getattr(parameters, field.name)
        for field in dataclasses.fields(parameters)
        if field.name not in _ELSEWHERE
    }
    if parameters.window_voxels is not None:
        del values["window"]
    if kind == "halves" and inputs.model is not None and not parameters.complete_model:
        del values["seed"]
    if inputs.previous_record is None:
        del values["validate"]
    values["scaling outputs"] = [name for name in _SCALED_OUTPUTS if name in parameters.outputs]
    return values


def _program(inputs: HybridInputs, parameters: HybridParameters) -> dict[str, str]:
    """Return the versions of what computes: others may round differently."""
    versions = {"program": __version__}
    other_engine = parameters.refiner == "servalcat" or inputs.monomer_library is not None
    for library in (*_LIBRARIES, *(["servalcat"] if other_engine else [])):
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            versions[library] = "unknown"
    return versions


def _digest(values: Mapping[str, Any]) -> str:
    """SHA-256 of JSON values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
