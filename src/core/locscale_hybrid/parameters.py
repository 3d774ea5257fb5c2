"""What a run is asked to do: the same object for the command line, ChimeraX and JSON."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .errors import InputError
from .findings import Finding
from .remedies import do, give, leave_out, use

Scaling = Literal["bands", "windows"]
Refiner = Literal["own", "servalcat", "none"]
Taper = Literal["none", "hann"]

SCALINGS = ("bands", "windows")
WEIGHTS = ("adaptive", "smooth", "soft", "fdr", "none")
REFINERS = ("own", "servalcat", "none")
TAPERS = ("none", "hann")
OUTPUTS = (
    "linear",
    "halves",
    "localB",
    "gain",
    "resolution",
    "provenance",
    "mask",
    "reference",
    "model",
    "difference",
    "scores",
)
# What numbers may be, by field of `HybridParameters`: name, lowest, highest, unit.
RANGES = {
    "resolution": ("resolution", 1.0, 30.0, "Å"),
    "voxel_size": ("voxel size", 0.1, 20.0, "Å"),
    "model_resolution": ("model resolution", 1.0, 30.0, "Å"),
    "fdr": ("false discovery rate", 1e-6, 0.5, ""),
    "window": ("window", 5.0, 100.0, "Å"),
    "window_voxels": ("window", 5, 401, "voxels"),
    "stride": ("stride", 1, 8, "voxels"),
    "b_steps": ("B steps", 1, 100, ""),
    "b_floor": ("B floor", 0.0, 200.0, "Å²"),
    "seed": ("seed", 0, 10**9, ""),
    "neighbour_tau": ("neighbour tau", 0.5, 200.0, "Å²"),
}
_SHOWN = 1e100  # a number from here on is not written out


@dataclass(frozen=True)
class HybridInputs:
    """The files of a run: two half maps or one full map, and what belongs to them.

    The texts are also those of the command line's help, the manual and the Pipeliner: see
    `option_texts`.

    Parameters
    ----------
    half_map_1, half_map_2 : Path, optional
        Read two half maps that were not filtered, sharpened or masked.
    full_map : Path, optional
        Read one full map instead of two half maps. Use it only if you have no half maps,
        because nothing is cross-validated then.
    model : Path, optional
        Read an atomic model, PDB or mmCIF; it may be incomplete. Without a model, pseudo-atoms
        fill the whole mask.
    mask : Path, optional
        Read your own mask, with values from 0 to 1. Use it if the automatic mask is too large or
        too small, or if the maps are already masked.
    weight_map : Path, optional
        Read the weight of the display map from a file, with values from 0 to 1.
    monomer_library : Path, optional
        Refine the coordinates of the model first, by servalcat with the restraints in this folder
        (a CCP4 monomer library). They are kept only if half map 2 confirms them. Use it if the
        model was never refined against this map.
    previous_record : Path, optional
        Start from the hybrid model of the run with this record; take over no option of it.
    """

    half_map_1: Path | None = None
    half_map_2: Path | None = None
    full_map: Path | None = None
    model: Path | None = None
    mask: Path | None = None
    weight_map: Path | None = None
    monomer_library: Path | None = None
    previous_record: Path | None = None

    def __post_init__(self) -> None:
        """Two halves or one map, nothing else; a model where one is to be refined."""
        halves = [path for path in (self.half_map_1, self.half_map_2) if path is not None]
        if len(halves) == 1:
            raise InputError(
                "one half map given", give("half_maps", "both half maps"), give("full_map")
            )
        if bool(halves) == (self.full_map is not None):
            given = "both half maps and a full map" if halves else "no map"
            raise InputError(f"{given} given", give("half_maps"), give("full_map"))
        if self.monomer_library is not None and self.model is None:
            raise InputError(
                "coordinates are to be refined, but no model is given",
                give("model"),
                leave_out("monomer_library"),
            )

    @property
    def files(self) -> dict[str, Path]:
        """The files given, by field name."""
        pairs = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))
        return {name: path for name, path in pairs if path is not None}


@dataclass(frozen=True)
class HybridParameters:
    """Parameters that change the result.

    The texts are also those of the command line's help, the manual and the Pipeliner: see
    `option_texts`.  The command line alone completes the model only on request.

    Parameters
    ----------
    complete_model : bool, default True
        Add pseudo-atoms to density that the model does not explain. Turn it off only if the model
        is complete.
    point_group : str, default C1
        Set the point group of the reconstruction, for example C4, D2, T, O or I. Change it when
        the map was reconstructed with symmetry.
    symmetry_centre : three floats, x, y, z in voxels, default: the middle of the box
        Set the point at which the symmetry axes meet. Change it when the map was cropped around
        another point.
    resolution : float, 1 to 30 Å, default: measured
        Set the resolution of the map. Change it when you know it and distrust the measured value.
    voxel_size : float, 0.1 to 20 Å, default: from the header
        Set the voxel size. Change it when the header of the map is wrong.
    region : six floats, Å, default: the whole map
        Scale only a box, given by its low and its high corner (x, y, z) in the coordinates of the
        model. The map is 0 elsewhere. Change it when you want a quick look.
    model_resolution : float, 1 to 30 Å, default: no limit
        Cut off the reference map at this resolution. Change it when you trust the model only to
        that resolution.
    fdr : float, 1e-06 to 0.5, default 0.01
        Set the false discovery rate of the mask. Change it when the mask contains noise (lower)
        or lacks weak density (higher).
    scaling : {bands, windows}, default bands
        Choose how local amplitudes are measured: "bands" smooths the power of frequency bands,
        "windows" uses the moving cube of LocScale and is slower. Change it when you compare with
        LocScale.
    window : float, 5 to 100 Å, default 25
        Set the edge of the region that determines the gain in its middle. Change it when the gain
        should follow the map more closely (lower, but noisier) or be smoother (higher).
    window_voxels : int, 5 to 401 voxels, default: from `window`
        Set the same edge in voxels, an odd number. Change it when you repeat a run of another
        program.
    stride : int, 1 to 8 voxels, default 1
        Set the distance between windows; only with `scaling` windows. Change it when a run takes
        too long: 1 is exact, 3 differs by about 1%.
    taper : {none, hann}, default none
        Fade out windows near their edges; only with `scaling` windows. Change it when the edges
        of windows are visible in the map.
    weight : {adaptive, smooth, soft, fdr, none, file}, default adaptive
        Choose how noise is weighted down in the display map: "adaptive" by band (half maps only),
        "smooth" by local signal, "soft" by voxel, "fdr" by the mask, "none" not at all, or a map
        file with the weight. Change it when you compare display maps.
    noise_weight : bool, default True
        Weight each band by its signal in the half maps. Turn it off only to compare with LocScale
        of 2017, because that gain amplifies noise.
    refiner : {own, servalcat, none}, default own
        Choose what refines the B factors. Change it when they were already refined against this
        map ("none"), or when you compare with servalcat, which is installed separately.
    b_steps : int, 1 to 100, default 3
        Set the number of B-factor steps in the final fit. Change it when a warning says that B
        factors have not converged.
    b_floor : float, 0 to 200 Å², default 10
        Set the B factor of the best-ordered 1% of the model. Change it when the whole map looks
        too sharp (higher) or too smooth (lower).
    neighbour_tau : float, 0.5 to 200 Å², default: cross-validated
        Set the restraint weight: how much B factors of adjacent atoms may differ. Lower values are
        smoother. Change it when several runs must use the same restraint weight.
    seed : int, 0 to 1000000000, default 1
        Set the seed of the starting positions of the pseudo-atoms. Change it when you want to see
        what depends on chance.
    outputs : set of str, default: none
        Write further maps: linear, halves, localB, gain, resolution, provenance, mask, reference,
        model, difference, scores. Use it if you want to know why a region looks as it does.
    reseed_check : bool, default False
        Repeat the run with another seed and report how much the map changes. Use it before you
        interpret a weak feature.
    validate : bool, default False
        Cross-validate an update against half map 2, as every full run is. Use it before you rely
        on the result of an update.
    """

    complete_model: bool = True
    point_group: str = "C1"
    symmetry_centre: tuple[float, float, float] | None = None
    resolution: float | None = None
    voxel_size: float | None = None
    region: tuple[float, float, float, float, float, float] | None = None
    model_resolution: float | None = None
    fdr: float = 0.01
    scaling: Scaling = "bands"
    window: float = 25.0
    window_voxels: int | None = None
    stride: int = 1
    taper: Taper = "none"
    weight: str = "adaptive"
    noise_weight: bool = True
    refiner: Refiner = "own"
    b_steps: int = 3
    b_floor: float = 10.0
    neighbour_tau: float | None = None
    seed: int = 1
    outputs: frozenset[str] = frozenset()
    reseed_check: bool = False
    validate: bool = False

    def __post_init__(self) -> None:
        """Refuse what no run can do."""
        for field, (name, low, high, unit) in RANGES.items():
            _in_range(field, name, getattr(self, field), low, high, unit)
        _one_of("scaling", self.scaling, SCALINGS)
        _one_of("weight", self.weight, (*WEIGHTS, "file"))
        _one_of("refiner", self.refiner, REFINERS)
        _one_of("taper", self.taper, TAPERS)
        for name in sorted(self.outputs):
            _one_of("outputs", name, OUTPUTS)
        _box(self.region)

    def as_dict(self) -> dict[str, Any]:
        """Return the parameters as plain JSON values."""
        values = dataclasses.asdict(self)
        values["outputs"] = sorted(self.outputs)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "HybridParameters":
        """Read the parameters of a JSON object; unknown names are errors.

        Raises
        ------
        InputError
            If a name is unknown or a value is out of range.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - names)
        if unknown:
            raise InputError(
                f"unknown parameter {', '.join(unknown)}; "
                f"the parameters are {', '.join(sorted(names))}"
            )
        given = dict(values)
        if "outputs" in given:
            given["outputs"] = frozenset(given["outputs"])
        for name in ("symmetry_centre", "region"):
            if given.get(name) is not None:
                given[name] = tuple(given[name])
        try:
            return cls(**given)
        except TypeError as error:
            raise InputError(
                f"a parameter has a value of the wrong kind ({error})",
                do("give numbers for numbers, as in the record of a run"),
            ) from None

    def to_json(self) -> str:
        """Return the parameters as JSON text."""
        return json.dumps(self.as_dict(), indent=1, sort_keys=True)


def without_effect(inputs: HybridInputs, parameters: HybridParameters) -> list[Finding]:
    """Note what was asked for and changes nothing with the other parameters."""
    found, defaults = [], HybridParameters()
    if parameters.scaling == "bands":
        idle = [
            name
            for name in ("stride", "taper")
            if getattr(parameters, name) != getattr(defaults, name)
        ]
        if idle:
            found.append(
                Finding(
                    "windows-only",
                    "note",
                    f"{' and '.join(f'{name} {getattr(parameters, name)}' for name in idle)} "
                    f"{'has' if len(idle) == 1 else 'have'} no effect, because the map is scaled by "
                    "bands and not by windows",
                    remedies=(use("scaling", "windows"), *map(leave_out, idle)),
                )
            )
    if parameters.validate and inputs.previous_record is None:
        found.append(
            Finding(
                "validated-anyway",
                "note",
                "validation was asked for, which has an effect on updates only: a full run is always "
                "validated if there are two half maps",
                remedies=(leave_out("validate"),),
            )
        )
    return found


def _in_range(
    field: str, name: str, value: float | None, low: float, high: float, unit: str
) -> None:
    """Refuse a number outside low..high."""
    if value is not None and not low <= value <= high:
        text = f" {unit}" if unit else ""
        # a whole number may be too large for a float
        given = f"{value:g}" if abs(value) < _SHOWN else f"beyond {_SHOWN:g}"
        allowed = give(field, f"{low:g} to {high:.12g}{text}")
        raise InputError(f"{name} {given}{text} is out of range", allowed)


def _box(corners: tuple[float, ...] | None) -> None:
    """Refuse corners between which there is nothing."""
    if corners is None:
        return
    remedy = give("region", "x y z of the low corner, then of the high corner, in Å")
    if len(corners) != 6 or not all(map(math.isfinite, corners)):
        raise InputError("the region needs six numbers", remedy)
    for axis, low, high in zip("xyz", corners[:3], corners[3:], strict=True):
        if low >= high:
            raise InputError(
                f"the region ends at {axis} {high:g} Å and begins at {low:g} Å", remedy
            )


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a word that is not among the choices."""
    if value not in choices:
        what = name.removesuffix("s")
        raise InputError(f'{what} "{value}" is unknown', give(name, f"one of {', '.join(choices)}"))
