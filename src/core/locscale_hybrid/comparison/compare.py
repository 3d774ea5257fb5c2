"""What a run compares its model with, where that was asked for: difference map, peaks, scores."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from ..findings import Finding
from ..maps.grid import FloatArray, Map
from ..model.hybrid_model import HybridModel
from ..refinement.likelihood import RefinementData
from ..remedies import do, give
from ..scaling.scaled_maps import ScaledMaps
from ..symmetry.operators import Symmetry
from .difference import DifferenceMap, difference_map
from .peaks import LEVEL, Peak, strongest_peaks
from .scores import ResidueScores, atoms_of, score_residues

COMPARED = ("difference", "scores")  # among `parameters.OUTPUTS`


@dataclass(frozen=True, eq=False)
class Comparison:
    """The model compared with the map.

    Parameters
    ----------
    difference : DifferenceMap, optional
    peaks : tuple of Peak
        The strongest, in the order of their heights.
    scores : ResidueScores, optional
    """

    difference: DifferenceMap | None = None
    peaks: tuple[Peak, ...] = ()
    scores: ResidueScores | None = None

    @property
    def findings(self) -> list[Finding]:
        """What a person must know to read the difference map."""
        if self.difference is None or self.difference.from_halves:
            return []
        return [
            Finding(
                "difference-unit",
                "note",
                "the difference map is in units of its own standard deviation inside the mask, "
                "because its noise is unknown without two half maps",
                remedies=(do("compare its peaks with each other only"), give("half_maps")),
            )
        ]


def compare(
    asked: Collection[str],
    data: RefinementData,
    hybrid: HybridModel,
    reference: Map,
    mask: FloatArray,
    scaled: ScaledMaps,
    *,
    window: float,
    symmetry: Symmetry | None = None,
) -> Comparison:
    """Compare a model with the map, as far as that is asked for.

    Parameters
    ----------
    asked : collection of str
        Of COMPARED.
    data : RefinementData
    hybrid : HybridModel
        With refined B.
    reference : Map
    mask : array, shape grid.shape
        Soft, 0 to 1, of what was scaled.
    scaled : ScaledMaps
    window : float
        Å, of local scaling.
    symmetry : Symmetry, optional
    """
    difference, peaks, scores = None, list[Peak](), None
    if "difference" in asked:
        difference = difference_map(data, hybrid, reference, mask, window=window, symmetry=symmetry)
        peaks = strongest_peaks(difference.map, hybrid)
    if "scores" in asked:
        scores = _scores(data, hybrid, scaled)
    return Comparison(difference, tuple(peaks), scores)


def _scores(data: RefinementData, hybrid: HybridModel, scaled: ScaledMaps) -> ResidueScores:
    """Scores of the given model; its symmetry copies are neighbours alone."""
    assert hybrid.source is not None
    atoms, which = atoms_of(hybrid.source)
    first, second = scaled.half_1, scaled.half_2
    return score_residues(
        atoms,
        scaled.linear,
        d_min=data.d_min,
        before=data.observed.average,
        halves=None if first is None or second is None else (first, second),
        b_iso=np.asarray(hybrid.b_iso[which]),
        others=hybrid.positions[hybrid.n_model : hybrid.n_atoms],
    )


def nothing_to_compare() -> Finding:
    """Say why there is no difference map and no scores."""
    return Finding(
        "no-model-to-compare",
        "note",
        "there are no difference map and no scores, because they compare a model with the map",
        remedies=(give("model"),),
    )


def peaks_text(peaks: Collection[Peak]) -> str:
    """Return the peaks in a few words: "20 peaks of 4 sd or more, the strongest +21.0 sd near A HIS 87"."""
    if not peaks:
        return f"no peak of {LEVEL:g} sd or more"
    strongest = next(iter(peaks))
    number = f"{len(peaks)} peak{'' if len(peaks) == 1 else 's'} of {LEVEL:g} sd or more"
    near = f" near {strongest.residue}" if strongest.residue else ""
    return f"{number}, the strongest {strongest.height:+.1f} sd{near}"
