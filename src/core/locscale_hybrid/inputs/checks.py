"""Stage 1: what is wrong or odd about the input, found in seconds, before the work.

A check never repairs and never prints: it gives a `Finding`, or raises an `InputError` where no
result could make sense.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..findings import Finding
from ..fourier.space import FourierSpace
from ..maps.grid import ComplexArray, DoubleArray, Grid, Vector
from ..model.plausibility import FEW_ATOMS, check_content
from ..model.structure import AtomicModel
from ..parameters import HybridInputs
from ..remedies import do, flip, give, invert, leave_out, move
from ..scattering.fringe import in_box
from ..symmetry.operators import Symmetry
from .half_alignment import APART, explained
from .half_maps import ObservedMaps
from .half_names import check_names
from .model_fit import CHANCE, CoarseMap, ModelFit, best_magnification, fit_model, span
from .quality import check_quality, spectra_of
from .symmetry_check import check_symmetry, suggested_symmetry

COARSEST_RESOLUTION = 12.0  # Å, beyond which there is nothing to scale against
_POOR_RESOLUTION = 8.0
_CUT = 1.5  # times the resolution of the map, where a reference may end
_OVERLAPS = 0.3  # share of the best correlation that a model has where it belongs
_SHIFTED = 0.8
_FINE_BAND = 6.5  # Å
_LEAST_SCALE = 0.01  # of the voxel size, that is told at all
_LEAST_COARSE_SCALE = 0.025  # the same by the envelope, which solvent and contrast change
_SCALE_ERROR = 0.05  # of the same, for a band as fine as the radius of gyration
_CERTAIN = 3.0  # times its error, gain in correlation that is no chance …
_CERTAIN_SMALL = 2.5  # … and so much more for each radius of gyration of the finest band
_UNKNOWN_BAND = 8.0  # Å, fine end of the band where the resolution is unknown


def check_inputs(
    observed: ObservedMaps,
    model: AtomicModel | None = None,
    symmetry: Symmetry | None = None,
    *,
    resolution: float | None = None,
    inputs: HybridInputs | None = None,
    suggest: bool = False,
) -> list[Finding]:
    """Everything about the input that the user must know.

    Parameters
    ----------
    observed : ObservedMaps
    model : AtomicModel, optional
    symmetry : Symmetry, optional
    resolution : float, optional
        Å, where it is known; it bounds the frequencies that are compared.  Else the unmasked FSC
        of the halves says.
    inputs : HybridInputs, optional
        For what can be told by the names of the files.
    suggest : bool
        Without a symmetry, look for one that the map shows.

    Returns
    -------
    list of Finding
        Warnings first.

    Raises
    ------
    InputError
        If halves are opposed, the resolution is beyond 12 Å, the model is not in the map, or the
        symmetry is not there.
    """
    grid = observed.average.grid
    space = FourierSpace(grid)
    average = space.forward(observed.average.values)
    spectra = spectra_of(observed, space, average)
    findings = check_quality(observed, spectra, resolution=resolution)
    if resolution is not None:
        findings += check_resolution(resolution)
    known = resolution if resolution is not None else spectra.resolution
    if inputs is not None:
        findings += check_names(inputs)
    with explained(findings):
        if model is not None:
            findings += [*model.findings, *check_content(model)]
            findings += check_fit(grid, average, model, resolution=known)
        if symmetry is not None:
            findings += check_symmetry(grid, average, symmetry, resolution=known)
    if suggest and symmetry is None and not any(finding.code in APART for finding in findings):
        findings += suggested_symmetry(grid, average, resolution=known)
    return sorted(findings, key=lambda finding: finding.level != "warning")


def check_resolution(resolution: float, of_reference: float | None = None) -> list[Finding]:
    """Check that a resolution in Å makes sense, and that of the reference if it is given.

    Raises
    ------
    InputError
        Beyond 12 Å.
    """
    if resolution > COARSEST_RESOLUTION:
        raise InputError(
            f"the resolution is {resolution:.1f} Å, and beyond "
            f"{COARSEST_RESOLUTION:g} Å a model says nothing about local sharpness",
            give("resolution", when="if it is better than that"),
        )
    findings = _cut_reference(resolution, of_reference)
    if resolution <= _POOR_RESOLUTION:
        return findings
    return [
        *findings,
        Finding(
            "poor-resolution",
            "warning",
            f"the resolution is {resolution:.1f} Å: at worse than {_POOR_RESOLUTION:g} Å little "
            "secondary structure shows. The result shows domains at one scale, and its B factors mean "
            "nothing",
            {"resolution_angstrom": resolution},
        ),
    ]


def _cut_reference(resolution: float, of_reference: float | None) -> list[Finding]:
    """Report a reference that ends long before the map does."""
    if of_reference is None or of_reference <= _CUT * resolution:
        return []
    return [
        Finding(
            "reference-cut",
            "warning",
            f"the reference ends at {of_reference:g} Å and the map at {resolution:.1f} Å: what is "
            "finer than the reference is removed from the map",
            {"reference_angstrom": of_reference, "resolution_angstrom": resolution},
            (leave_out("model_resolution", when="to keep it"),),
        )
    ]


def check_fit(
    grid: Grid, average: ComplexArray, model: AtomicModel, *, resolution: float | None = None
) -> list[Finding]:
    """Check whether the model fits the map, its hand and its magnification.

    Parameters
    ----------
    grid : Grid
    average : array
        Coefficients of the map on that grid.
    model : AtomicModel
    resolution : float, optional
        Å.

    Raises
    ------
    InputError
        If the model is outside the box, or in the wrong place; with the shift that puts it right.
    """
    coarse = CoarseMap(grid, average, _finest_band(grid, resolution))
    inside = model.positions[in_box(grid, model.positions)]
    fit = _fit_inside(coarse, model, inside)
    if fit is not None:
        scale = _scale(grid, coarse, inside, fit)
        return [
            *_outside(model, len(inside)),
            *_place_findings(grid, model, fit, scale),
            *_scale_findings(model, scale),
        ]
    _refuse_larger_than_box(grid, model)
    fit = fit_model(coarse, model.positions)
    if not fit.is_found and fit.negative > CHANCE * max(fit.best, fit.mirrored):
        raise InputError(
            f"the contrast of the map is inverted: {model.name} fits its negative "
            f"(correlation {fit.negative:.2f}) and not the map as it is (at best "
            f"{fit.best:.2f})",
            invert(),
        )
    if not fit.is_found and fit.mirrored > CHANCE * fit.best:
        return [
            Finding(
                "hand-inverted",
                "warning",
                f"the hand of the map looks inverted: {model.name} fits its mirror image along "
                f"{fit.mirror} (correlation {fit.mirrored:.2f}) and not the map as it is (at best "
                f"{fit.best:.2f})",
                {"correlation": fit.best, "mirrored": fit.mirrored},
                (flip("".join(axis for axis in "xyz" if axis in fit.mirror)),),
            )
        ]
    scale = _scale(grid, coarse, model.positions, fit)
    _refuse_displaced(grid, model, fit, scale)
    return [
        *_outside(model, len(inside)),
        *_place_findings(grid, model, fit, scale),
        *_scale_findings(model, scale),
    ]


def _fit_inside(coarse: CoarseMap, model: AtomicModel, inside: DoubleArray) -> ModelFit | None:
    """Measure how the atoms in the box fit if others are outside; None if these do not."""
    if not FEW_ATOMS <= len(inside) < len(model):
        return None
    fit = fit_model(coarse, inside)
    return fit if fit.is_found and fit.correlation >= _SHIFTED * fit.best else None


def _outside(model: AtomicModel, inside: int) -> list[Finding]:
    """Atoms outside the box."""
    outside = len(model) - inside
    if not outside:
        return []
    return [
        Finding(
            "atoms-outside",
            "note" if inside > 0.99 * len(model) else "warning",
            f"{outside} of {len(model)} atoms of {model.name} are outside the box of the map and are "
            "left out",
            {"atoms": outside},
            (
                do(
                    "check the origin and the voxel size of the map",
                    when="if it was not cut out of a larger one",
                ),
            ),
        )
    ]


@dataclass(frozen=True)
class _Scale:
    """A magnification at which the model fits clearly better than at 1."""

    factor: float
    correlation: float
    fact: str


def _finest_band(grid: Grid, resolution: float | None) -> float:
    """Fine end of the band in Å: the resolution, coarser for boxes that would take long."""
    wanted = max(1.1 * (resolution or _UNKNOWN_BAND), max(grid.cell) / 64)
    return float(np.clip(wanted, 5.0, COARSEST_RESOLUTION))


def _scale(grid: Grid, coarse: CoarseMap, positions: DoubleArray, fit: ModelFit) -> _Scale | None:
    """Find the better magnification, if there is one beyond the error."""
    found = best_magnification(coarse, positions, everywhere=not fit.is_found)
    radius = float(np.sqrt(np.square(positions - positions.mean(axis=0)).sum(axis=1).mean()))
    least = _LEAST_SCALE if coarse.finest < _FINE_BAND else _LEAST_COARSE_SCALE
    fineness = coarse.finest / max(radius, 1e-9)
    # a part that is small for the band fits here and there as if it had another scale
    if (
        abs(found.factor - 1) < max(least, _SCALE_ERROR * fineness)
        or found.gain < _CERTAIN * (1 + _CERTAIN_SMALL * fineness)
        or found.correlation < CHANCE * fit.mirrored
    ):
        return None
    fact = (
        f"magnified by {found.factor:.3f} it fits (correlation {found.correlation:.2f}, "
        f"{found.unchanged:.2f} as it is): the voxel size seems to be "
        f"{grid.step / found.factor:.4g} Å and not {grid.step:.4g} Å"
    )
    return _Scale(found.factor, found.correlation, fact)


def _refuse_larger_than_box(grid: Grid, model: AtomicModel) -> None:
    """Refuse a model that no shift brings into the box."""
    low, high = span(model.positions)
    extent = high - low
    inside = float(in_box(grid, model.positions).mean())
    # a crop may hold part of a model; half of it outside on every side is no crop
    if (extent > np.array(grid.cell)).sum() >= 2 and inside < 0.5:
        raise InputError(
            f"{model.name} is larger than the map: it measures {_triple(extent)} Å and the box "
            f"{_triple(grid.cell)} Å, {100 * inside:.0f} % of the atoms are inside",
            give("voxel_size", when=f"if it is not {grid.step:.4g} Å"),
            do("cut the model to the map"),
        )


def _refuse_displaced(grid: Grid, model: AtomicModel, fit: ModelFit, scale: _Scale | None) -> None:
    """Refuse a model that does not lie in its map; say where or how large it would."""
    if scale is not None:
        better, remedy = scale.fact, give("voxel_size")
    elif fit.is_found:
        better = f"shifted by {_shift_text(fit)} it fits (correlation {fit.best:.2f})"
        remedy = move(fit.shift)
    else:
        better = "no shift makes it fit"
        remedy = do(
            "check that map and model belong together, and the hand and voxel size of the map"
        )
    if fit.inside < 0.5:
        low, high = span(model.positions)
        end = np.add(grid.origin, grid.cell)
        raise InputError(
            f"{model.name} lies outside the map: {100 * fit.inside:.0f} % of its "
            f"atoms are in the box; it spans {_triple(low)} to {_triple(high)} Å, "
            f"the box {_triple(grid.origin)} to {_triple(end)} Å; {better}",
            remedy,
        )
    displaced = fit.is_found and fit.correlation < _OVERLAPS * fit.best
    nowhere = not fit.is_found and fit.correlation < 0.25 * fit.mirrored
    if displaced or nowhere:
        raise InputError(
            f"{model.name} does not overlap the map where it lies (correlation "
            f"{fit.correlation:.2f}); {better}",
            remedy,
        )


def _place_findings(
    grid: Grid, model: AtomicModel, fit: ModelFit, scale: _Scale | None
) -> list[Finding]:
    """Report a model that is nearly in place, or no better placed than by chance."""
    findings: list[Finding] = []
    length = float(np.linalg.norm(fit.shift))
    values = {
        "correlation": fit.correlation,
        "best": fit.best,
        "mirrored": fit.mirrored,
        "shift_angstrom": length,
    }
    if scale is not None:
        return findings
    if not fit.is_found and fit.correlation < _SHIFTED * fit.best:
        findings.append(
            Finding(
                "model-fit-poor",
                "warning",
                f"{model.name} does not clearly fit the map: its correlation is {fit.correlation:.2f} "
                f"as it is, {fit.best:.2f} at best and {fit.mirrored:.2f} for its mirror image",
                values,
                (do("check that map and model belong together"),),
            )
        )
    elif fit.correlation < _SHIFTED * fit.best and length > max(1.0, 0.7 * grid.step):
        findings.append(
            Finding(
                "model-shifted",
                "warning",
                f"{model.name} fits better when shifted by {_shift_text(fit)}: correlation "
                f"{fit.best:.2f} in place of {fit.correlation:.2f}",
                values,
                (move(fit.shift), do("check the origin of the map")),
            )
        )
    return findings


def _scale_findings(model: AtomicModel, scale: _Scale | None) -> list[Finding]:
    """Report a voxel size that is off."""
    if scale is None:
        return []
    return [
        Finding(
            "magnification",
            "warning",
            f"{model.name}: {scale.fact}",
            {"factor": scale.factor, "correlation": scale.correlation},
            (give("voxel_size"),),
        )
    ]


def _shift_text(fit: ModelFit) -> str:
    """Format a shift and its length, for a message."""
    return f"{_triple(fit.shift, 1)} Å ({np.linalg.norm(fit.shift):.1f} Å in all)"


def _triple(values: Vector | DoubleArray, digits: int = 0) -> str:
    """Three numbers for a message."""
    return "({})".format(", ".join(f"{value + 0.0:.{digits}f}" for value in values))
