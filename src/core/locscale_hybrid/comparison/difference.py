"""Difference map: what the map shows and the model does not, and the reverse.

With F the data, Fc the model with its refined B factors and D the scale of a shell, the map is
``sum_k c_k(x) r_k(x)``, r_k a band of F - D Fc and c_k the local gain that sharpens the map.  It
is divided by its own noise: the same sum over half the difference of the half maps.  Shells
coarser than 12 Å (solvent) and finer than d_min are left out.
"""

from dataclasses import dataclass

import numpy as np

from ..fourier.resolution_range import Band
from ..fourier.space import FourierSpace, resize
from ..maps.given_mask import inside as inside_mask
from ..maps.grid import ComplexArray, FloatArray, Grid, Map
from ..maps.subvolume import Box
from ..model.hybrid_model import HybridModel
from ..refinement.likelihood import RefinementData, evaluate
from ..refinement.setup import scatterers_of
from ..scaling.band_filter import BandFilter, grid_of_box, number_of_bands, work_box
from ..scaling.band_tasks import BandOptions, BandPlan, BandWork
from ..scaling.gains import GainRules, number_of_low_bands
from ..scaling.local_power import LocalAverage
from ..symmetry.operators import Symmetry, average_map

_MARGIN = 0.64  # windows around the mask that are worked on, as in scaling
_BLOCK = 4  # voxels along the edge of a block of the power grid
_CAP = 4.0  # largest factor between local and global gain, as in scaling
_LEAST_SHARE = 1e-3  # of a window that the mask covers
_TYPICAL_SHARE = 0.5  # of the largest such share, from which a place counts as inside
_LEAST_VARIANCE = 0.1  # of the median: noise is not taken to be lower anywhere
_NOTHING = 1e-30


@dataclass(frozen=True, eq=False)
class DifferenceMap:
    """The difference map.

    Parameters
    ----------
    map : Map
        In standard deviations; 0 outside the mask's soft edge.
    from_halves : bool
        Whether the standard deviation is that of the noise, from the half maps; else that of the
        difference map itself inside the mask.
    """

    map: Map
    from_halves: bool


def difference_map(
    data: RefinementData,
    hybrid: HybridModel,
    reference: Map,
    mask: FloatArray,
    *,
    window: float,
    symmetry: Symmetry | None = None,
) -> DifferenceMap:
    """Subtract the model, without its pseudo-atoms, from the map, and sharpen what is left.

    Parameters
    ----------
    data : RefinementData
    hybrid : HybridModel
        With refined B.  Pseudo-atoms count for the scale of the model, and are not subtracted.
    reference : Map
        Of local scaling, on the grid of the maps.
    mask : array, shape grid.shape
        Soft, 0 to 1.
    window : float
        Å, of local scaling.
    symmetry : Symmetry, optional
        The map and its noise are averaged over it.
    """
    explained = explained_density(data, hybrid)
    grid = data.observed.average.grid
    box = work_box(mask > 0, int(np.ceil(_MARGIN * window / grid.step)), _BLOCK)
    work = _band_work(data, reference, mask, box, window)
    left, noise = _sharpened(work, work.filter.gather(explained.values[box]), data.band)

    def placed(values: FloatArray) -> FloatArray:
        """Values of the box in the whole map, averaged over the group."""
        full = np.zeros(grid.shape, dtype=np.float32)
        full[box] = values
        return full if symmetry is None else average_map(Map(full, grid), symmetry).values

    values = placed(left)
    if noise is None:
        values /= np.float32(max(float(values[inside_mask(mask)].std()), _NOTHING))
    else:
        local = LocalAverage(grid.shape, grid.voxel_size, work.options.sigma, _BLOCK)
        values /= _noise_sd(placed(noise), mask, local)
    values *= mask > 0
    return DifferenceMap(Map(values, grid, "difference map"), noise is not None)


def explained_density(data: RefinementData, hybrid: HybridModel) -> Map:
    """Return the density that a model without its pseudo-atoms explains, on the scale of the map.

    The scale of each shell is that of the whole hybrid model, which does not take what the model
    lacks for its disorder.
    """
    band, grid = data.band, data.observed.average.grid
    atoms = scatterers_of(hybrid, data)
    whole = atoms.coefficients(hybrid.b_iso, band)
    scale = evaluate(data.average, whole).scale
    if hybrid.n_pseudo:
        whole = atoms.coefficients(hybrid.b_iso, band, ~hybrid.is_pseudo)
    return band_map(band, whole * band.spread(scale), grid)


def band_map(band: Band, packed: ComplexArray, grid: Grid) -> Map:
    """Return a map on a grid from the coefficients of a band."""
    full = resize(band.unpack(packed), band.space.shape, grid.shape)
    return Map(FourierSpace(grid).backward(full), grid, "model")


def _band_work(
    data: RefinementData, reference: Map, mask: FloatArray, box: Box, window: float
) -> BandWork:
    """Return the bands of the maps in a box; the halves only where they are independent."""
    observed = data.observed
    grid = grid_of_box(observed.average.grid, box)
    n_bands = number_of_bands(grid, window)
    bands = BandFilter.of_grid(grid, window)
    coefficients = {
        "average": bands.gather(observed.average.values[box]),
        "reference": bands.gather(reference.values[box]),
    }
    if observed.kind == "halves" and observed.half_1 is not None and observed.half_2 is not None:
        half = observed.half_1.values[box] - observed.half_2.values[box]
        coefficients["difference"] = bands.gather(half * np.float32(0.5))
    options = BandOptions(
        window,
        _BLOCK,
        number_of_low_bands(window, n_bands),
        data.d_min,
        False,
        GainRules(_CAP, "difference" in coefficients),
    )
    local = LocalAverage(grid.shape, grid.voxel_size, options.sigma, _BLOCK)
    within = local.block_mean(inside_mask(mask[box]).astype(np.float32))
    powers = np.zeros((n_bands, 3, *local.coarse_shape), dtype=np.float32)
    return BandPlan(bands, options, within, coefficients).work({"powers": powers})


def _sharpened(
    work: BandWork, model: ComplexArray, limits: Band
) -> tuple[FloatArray, FloatArray | None]:
    """Return what the model leaves of the average, and the noise, with the local gains of the map."""
    bands, shape = work.filter, work.filter.grid.shape
    reach = work.options.window * float(limits.frequency[-1])
    room = np.empty((2 if work.has_noise else 1, *shape), dtype=np.float32)
    total = np.zeros_like(room)
    for band in range(work.options.n_low, bands.n_bands):
        if band - 1 > reach:
            break
        work.measure(band, room)
        gain = work.gain(band).gain
        if not gain.any():
            continue
        piece = bands.piece(band)
        hat = bands.hat(band) * (bands.position[piece] <= reach)
        spread = work.local.spread(gain)
        left = (work.coefficients["average"][piece] - model[piece]) * hat
        total[0] += spread * bands.backward(left, piece)
        if work.has_noise:
            noise = work.coefficients["difference"][piece] * hat
            total[1] += spread * bands.backward(noise, piece)
    return total[0], total[1] if work.has_noise else None


def _noise_sd(noise: FloatArray, mask: FloatArray, local: LocalAverage) -> FloatArray:
    """Local standard deviation of the noise, from what the mask covers alone."""
    covered = (mask > 0).astype(np.float32)
    share = np.maximum(local.mean(covered), np.float32(_LEAST_SHARE))
    variance = np.asarray(local.power(noise * covered) / share, dtype=np.float32)
    least = _LEAST_VARIANCE * float(np.median(variance[share > _TYPICAL_SHARE * share.max()]))
    return np.asarray(np.sqrt(np.maximum(local.spread(variance), np.float32(least + _NOTHING))))
