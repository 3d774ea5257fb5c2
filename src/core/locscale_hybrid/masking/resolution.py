"""The resolution that every stage works to, and how it was found."""

from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..findings import Finding
from ..fourier.fsc import (
    HALF_MAP_CRITERION,
    MODEL_CRITERION,
    FscCurve,
    MaskedFsc,
    corrected_fsc,
    fourier_shell_correlation,
    masked_coefficients,
)
from ..fourier.space import FourierSpace, squared_modulus
from ..inputs.half_maps import ObservedMaps
from ..inputs.quality import filter_edge, sharpened
from ..maps.grid import ComplexArray, FloatArray, Map
from ..maps.morphology import distance_within, voxels_near
from ..model.structure import AtomicModel
from ..remedies import do, give
from ..scattering.scatterers import Scatterers
from .anisotropy import find_anisotropy

VOXELS_PER_RESOLUTION = 2.2  # where nothing tells the resolution

_COARSEST = 12.0  # Å, of a first estimate
_WORST_MODEL_FIT = 20.0  # Å; a model that agrees no further tells nothing
_MODEL_RADIUS = (3.0, 2)  # Å and voxels, the larger: what the model-map FSC sees around an atom
_MODEL_EDGE = (6.0, 6)  # Å and voxels, the larger: cosine edge of that
_MODEL_B = 50.0  # Å^2, any: the same for all atoms leaves the FSC alone


@dataclass(frozen=True)
class Resolution:
    """A resolution and where it comes from.

    Parameters
    ----------
    d_min : float
        Å.
    origin : str
        How it was found, for the log and the record.
    curves : MaskedFsc, optional
        Of the half maps, once there is a mask.
    findings : tuple of Finding
    """

    d_min: float
    origin: str
    curves: MaskedFsc | None = None
    findings: tuple[Finding, ...] = ()

    def check(self) -> None:
        """Refuse what is not a resolution with a ValueError."""
        if not 0 < self.d_min < float("inf"):
            raise ValueError(f"the resolution is {self.d_min} Å")


def find_resolution(
    observed: ObservedMaps,
    *,
    asked: float | None = None,
    mask: FloatArray | None = None,
    model: AtomicModel | None = None,
) -> Resolution:
    """Resolution of the observed maps.

    Parameters
    ----------
    observed : ObservedMaps
    asked : float, optional
        Å, what the user gave: taken as it is.
    mask : array, optional
        Soft mask; without it the half-map FSC is the unmasked one, good enough to make a mask.
    model : AtomicModel, optional
        Estimates the resolution of a single map whose solvent does not.

    Returns
    -------
    Resolution

    Raises
    ------
    InputError
        If the half maps do not correlate inside the mask and no resolution was given.
    """
    first, second = observed.half_1, observed.half_2
    if observed.kind == "halves" and first is not None and second is not None:
        if mask is not None:
            return _masked(first, second, mask, asked)
        return Resolution(asked, "given") if asked is not None else _unmasked(first, second)
    if asked is not None:
        return Resolution(asked, "given")
    estimate = None if mask is None else _against_solvent(observed, mask)
    if estimate is None and model is not None:
        estimate = _against_model(observed.average, model)
    if estimate is None:
        return _from_sampling(observed.average)
    return replace(estimate, findings=(*estimate.findings, *_sharpness(observed, estimate.d_min)))


def _sharpness(observed: ObservedMaps, d_min: float) -> list[Finding]:
    """Check whether one map was sharpened: that takes its resolution, known only now."""
    space = FourierSpace(observed.average.grid)
    power = space.power(space.forward(observed.average.values)) / np.maximum(space.count, 1)
    edge = filter_edge(space.frequency, power)
    if observed.noise is not None:
        power = np.maximum(power - observed.noise, 0)
    return sharpened(
        observed.average.name,
        space.frequency,
        power,
        d_min if edge is None else max(d_min, 1 / edge),
    )


def _unmasked(half_1: Map, half_2: Map) -> Resolution:
    """Find where the plain half-map FSC crosses; 12 Å if it never rises."""
    space = FourierSpace(half_1.grid)
    curve = fourier_shell_correlation(
        space, space.forward(half_1.values), space.forward(half_2.values)
    )
    d_min = min(curve.resolution(HALF_MAP_CRITERION), _COARSEST)
    return Resolution(d_min, f"unmasked half-map FSC {HALF_MAP_CRITERION:g}")


def _masked(half_1: Map, half_2: Map, mask: FloatArray, asked: float | None) -> Resolution:
    """Find where the half-map FSC crosses, inside the mask and corrected for it."""
    curves = corrected_fsc(FourierSpace(half_1.grid), half_1.values, half_2.values, mask)
    if asked is not None:
        return Resolution(
            asked, "given", curves, _by_direction(half_1, half_2, mask, curves, asked)
        )
    d_min = curves.corrected.resolution(HALF_MAP_CRITERION)
    if not np.isfinite(d_min):
        raise InputError(
            f"the half maps {half_1.name} and {half_2.name} do not correlate: their FSC inside "
            f"the mask is below {HALF_MAP_CRITERION:g} from the coarsest shells on",
            do("check that they are halves of one reconstruction"),
            give("resolution"),
        )
    how = "inside the mask, corrected for it by phase randomisation"
    origin = f"half-map FSC {HALF_MAP_CRITERION:g} {how}"
    if not curves.corrected.falls(HALF_MAP_CRITERION):
        origin = (
            f"the finest that the voxels show: the half-map FSC {how}, stays "
            f"above {HALF_MAP_CRITERION:g}"
        )
    findings = _by_direction(half_1, half_2, mask, curves, d_min)
    return Resolution(d_min, origin, curves, findings)


def _by_direction(
    half_1: Map, half_2: Map, mask: FloatArray, curves: MaskedFsc, d_min: float
) -> tuple[Finding, ...]:
    """Warn if the resolution depends on the direction."""
    found = find_anisotropy(half_1, half_2, mask, curves, d_min)
    return () if found is None else found.findings()


def _against_solvent(observed: ObservedMaps, mask: FloatArray) -> Resolution | None:
    """Find where the signal inside a mask fades into the solvent's noise; None if it does not.

    A map whose solvent was flattened never comes down to the noise of that solvent, so what is
    found has been found in a map whose particle and solvent have the same noise.
    """
    curve = solvent_fsc(observed, mask)
    d_min = None if curve is None else curve.finest(HALF_MAP_CRITERION)
    if curve is None or d_min is None:
        return None
    name = observed.average.name
    finding = Finding(
        "resolution-estimated",
        "note",
        f"the resolution is an estimate, {d_min:.2f} Å, where the signal of {name} falls below "
        "a third of the noise in its solvent",
        {"resolution_angstrom": round(d_min, 3)},
        (give("resolution", when="if you know it"),),
    )
    return Resolution(
        d_min, f"estimated: signal of {name} over the noise of its solvent", None, (finding,)
    )


def solvent_fsc(observed: ObservedMaps, mask: FloatArray) -> FscCurve | None:
    """FSC that two halves of a single map would have inside a mask, by the noise of its solvent.

    Parameters
    ----------
    observed : ObservedMaps
    mask : array, shape (nz, ny, nx)
        Soft.

    Returns
    -------
    FscCurve or None
        Up to where a filter ends the map; None without a noise spectrum.
    """
    if observed.noise is None:
        return None
    values = observed.average.values
    space = FourierSpace(observed.average.grid)
    count = np.maximum(space.count, 1)
    edge = filter_edge(space.frequency, space.power(space.forward(values)) / count)
    power = space.power(masked_coefficients(space, values, mask)) / count
    noise = observed.noise * float(np.square(mask).mean(dtype=np.float64))
    # of the average of two halves signal / noise is 2 FSC / (1 - FSC)
    ratio = np.divide(power, noise, out=np.ones_like(power), where=noise > 0) - 1
    fsc = ratio / np.maximum(ratio + 2, 1e-6)
    kept = slice(None) if edge is None else space.frequency < edge
    return FscCurve(space.frequency[kept], fsc[kept])


def _against_model(density: Map, model: AtomicModel) -> Resolution | None:
    """Find where the FSC of map and model crosses, around the model; None if that says nothing."""
    curve = model_map_fsc(density, model)
    d_min = curve.resolution(MODEL_CRITERION)
    if not d_min < _WORST_MODEL_FIT:
        return None
    text = f"estimated: FSC {MODEL_CRITERION:g} of {density.name} with {model.name}"
    last = float(curve.correlation[-1])
    where = (
        f"where the FSC of the map with {model.name} falls below {MODEL_CRITERION:g}"
        if curve.falls(MODEL_CRITERION)
        else f"the finest that its voxels show: the FSC of the map with {model.name} is still "
        f"{last:.2f} there"
    )
    finding = Finding(
        "resolution-estimated",
        "note",
        f"the resolution is an estimate, {d_min:.2f} Å, {where}",
        {"resolution_angstrom": round(d_min, 3), "fsc_at_nyquist": round(last, 3)},
        (give("resolution", when="if you know it"),),
    )
    return Resolution(d_min, text, None, (finding,))


def model_map_fsc(density: Map, model: AtomicModel) -> FscCurve:
    """FSC of a map with a model of one B, inside a soft mask around the model.

    Both are brought to equal power in all shells first, so that what the mask carries from
    strong shells into weak ones is small.

    Parameters
    ----------
    density : Map
    model : AtomicModel
    """
    grid = density.grid
    space = FourierSpace(grid)
    radius, edge = (max(least, n * grid.step) for least, n in (_MODEL_RADIUS, _MODEL_EDGE))
    distance = distance_within(voxels_near(grid, model.positions, radius), grid.voxel_size, edge)
    mask = 0.5 + 0.5 * np.cos(np.float32(np.pi) * np.minimum(distance / np.float32(edge), 1))
    atoms = Scatterers(grid, model.positions, model.elements, model.occupancies)
    pair = (
        atoms.structure_factors(np.full(len(model), _MODEL_B), space),
        space.forward(density.values),
    )
    first, second = (
        masked_coefficients(space, space.backward(_even(space, part)), mask) for part in pair
    )
    return fourier_shell_correlation(space, first, second)


def _even(space: FourierSpace, coefficients: ComplexArray) -> ComplexArray:
    """Scale the coefficients to unit power in every shell up to Nyquist."""
    power = space.shell_mean(squared_modulus(coefficients))
    scale = np.divide(1.0, np.sqrt(power), out=np.zeros_like(power), where=power > 0)
    return np.asarray(coefficients * space.spread(scale))


def _from_sampling(density: Map) -> Resolution:
    """Return what the voxel size allows, if nothing else is known."""
    voxel = max(density.grid.voxel_size)
    d_min = VOXELS_PER_RESOLUTION * voxel
    finding = Finding(
        "resolution-unknown",
        "warning",
        f"the resolution of {density.name} is unknown: {d_min:.2f} Å is used, "
        f"{VOXELS_PER_RESOLUTION:g} voxels of {voxel:.4g} Å",
        {"resolution_angstrom": round(d_min, 3), "voxel_angstrom": round(voxel, 4)},
        (give("resolution"),),
    )
    return Resolution(d_min, f"{VOXELS_PER_RESOLUTION:g} voxels", None, (finding,))
