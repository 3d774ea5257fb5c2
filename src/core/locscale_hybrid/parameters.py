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
    """The files of a run: two half maps or one full map, and what goes with them.

    Parameters
    ----------
    half_map_1, half_map_2 : Path, optional
        Two unfiltered half maps; both or neither.
    full_map : Path, optional
        One map in place of the two.
    model : Path, optional
        Atomic model, PDB or mmCIF; without it the whole mask is filled with pseudo-atoms.
    mask : Path, optional
        Bounds the work in place of the confidence mask.
    weight_map : Path, optional
        Weight of the output, 0 to 1, for the policy FILE.
    monomer_library : Path, optional
        Folder of restraints; where it is given, the coordinates of the model are refined first.
    previous_record : Path, optional
        Record of an earlier run on the same maps, whose hybrid model the run starts from.
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
            raise InputError("one half map given: give both half maps, or the full map instead")
        if bool(halves) == (self.full_map is not None):
            given = "both half maps and a full map" if halves else "no map"
            raise InputError(f"{given} given: give two half maps, or one full map")
        if self.monomer_library is not None and self.model is None:
            raise InputError(
                "coordinates are to be refined, but no model is given: give one with "
                "-mc, or leave out --refine_coordinates"
            )

    @property
    def files(self) -> dict[str, Path]:
        """The files given, by field name."""
        pairs = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))
        return {name: path for name, path in pairs if path is not None}


@dataclass(frozen=True)
class HybridParameters:
    """Parameters that change the result.

    Parameters carry their unit in the comment beside them; everything has the default that a
    command line without options uses.
    """

    complete_model: bool = True  # fill what the model leaves out with pseudo-atoms
    point_group: str = "C1"  # Schoenflies symbol: C1, C4, D2, T, O, I, I1, ...
    symmetry_centre: tuple[float, float, float] | None = None  # voxels (x, y, z); None: n // 2
    resolution: float | None = None  # Å, None: measured
    voxel_size: float | None = None  # Å, overrides the header
    # Å in the frame of the map, x y z of the low and the high corner; None: all is scaled
    region: tuple[float, float, float, float, float, float] | None = None
    model_resolution: float | None = None  # Å, the reference is cut off there
    fdr: float = 0.01  # false discovery rate of the mask
    scaling: Scaling = "bands"
    window: float = 25.0  # Å, edge of the cubic scaling window
    window_voxels: int | None = None  # voxels, in place of window; odd
    stride: int = 1  # voxels between windows, 1 is exact
    taper: Taper = "none"
    weight: str = "adaptive"  # one of WEIGHTS, or "file" with HybridInputs.weight_map
    noise_weight: bool = True  # C_k in the gain
    refiner: Refiner = "own"
    b_steps: int = 3  # B steps of the final fit
    b_floor: float = 10.0  # Å^2, B of the best-ordered 1 % of the model
    neighbour_tau: float | None = None  # Å^2, None: chosen on half map 2
    seed: int = 1
    outputs: frozenset[str] = frozenset()
    reseed_check: bool = False
    validate: bool = False  # half map 2 judges an update too, as it does every full run

    def __post_init__(self) -> None:
        """Refuse what no run can do."""
        for field, (name, low, high, unit) in RANGES.items():
            _in_range(name, getattr(self, field), low, high, unit)
        _one_of("scaling", self.scaling, SCALINGS)
        _one_of("weight", self.weight, (*WEIGHTS, "file"))
        _one_of("refiner", self.refiner, REFINERS)
        _one_of("taper", self.taper, TAPERS)
        for name in sorted(self.outputs):
            _one_of("output", name, OUTPUTS)
        _box("region", self.region)

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
                f"a parameter has a value of the wrong kind ({error}): give numbers "
                "for numbers, as in the record of a run"
            ) from None

    def to_json(self) -> str:
        """Return the parameters as JSON text."""
        return json.dumps(self.as_dict(), indent=1, sort_keys=True)


def without_effect(inputs: HybridInputs, parameters: HybridParameters) -> list[Finding]:
    """Note what was asked for and changes nothing with the other parameters."""
    found = []
    if parameters.scaling == "bands":
        idle = [
            f"{option} {value}"
            for option, value, default in (
                ("--stride", parameters.stride, 1),
                ("--taper", parameters.taper, "none"),
            )
            if value != default
        ]
        if idle:
            found.append(
                Finding(
                    "windows-only",
                    "note",
                    f"{' and '.join(idle)} without effect: the map is scaled by bands, and only "
                    "windows have that; give --scaling windows too, or leave it out",
                )
            )
    if parameters.validate and inputs.previous_record is None:
        found.append(
            Finding(
                "validated-anyway",
                "note",
                "--validate without effect: it is for an update, and a run that starts from the maps "
                "is always judged by half map 2 where there are two; leave it out",
            )
        )
    return found


def _in_range(name: str, value: float | None, low: float, high: float, unit: str) -> None:
    """Refuse a number outside low..high."""
    if value is not None and not low <= value <= high:
        text = f" {unit}" if unit else ""
        # a whole number may be too large for a float
        given = f"{value:g}" if abs(value) < _SHOWN else f"beyond {_SHOWN:g}"
        raise InputError(f"{name} {given}{text} is out of range: give {low:g} to {high:.12g}{text}")


def _box(name: str, corners: tuple[float, ...] | None) -> None:
    """Refuse corners between which there is nothing."""
    if corners is None:
        return
    if len(corners) != 6 or not all(map(math.isfinite, corners)):
        raise InputError(f"{name} needs six numbers, Å: x y z of the low corner, then of the high")
    for axis, low, high in zip("xyz", corners[:3], corners[3:], strict=True):
        if low >= high:
            raise InputError(
                f"{name} ends at {axis} {high:g} Å and begins at {low:g}: give x y z "
                "of the low corner, then of the high"
            )


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a word that is not among the choices."""
    if value not in choices:
        raise InputError(f'{name} "{value}" is unknown: give one of {", ".join(choices)}')
