"""An update: the hybrid model of an earlier run, fitted to an edited model of the same maps.

Pseudo-atoms that still stand in the unmodelled region stay, those that the model has taken the
place of go, and density that the model has given up gets new ones by the rule of a full run.  All
move and all B are refined as in a full run, but from where the earlier run had them, so that fewer
steps do.  Half map 2 is not asked again unless that is wanted.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from ..findings import Finding, Number
from ..inputs.half_maps import Kind
from ..maps.grid import BoolArray, DoubleArray, Map
from ..model.hybrid_model import HybridModel
from ..model.placed_atoms import PlacedAtoms
from ..refinement.adp import BRefinement, RefinedAdps
from ..remedies import use
from ..resume.previous_run import PreviousRun
from .completion import Completion, Report, b_problem, settled
from .placement import atoms_per_unit, relaxed, sampled_density, start_jitter
from .region import MODELLED, Region
from .settling import N_ROUNDS

STILL_INSIDE = 1.0  # Å outside the region from which a pseudo-atom is brought back, not dropped
FEW_ADDED = 0.25  # share of the pseudo-atoms up to which one round settles them


@dataclass(frozen=True, eq=False)
class WarmAtoms:
    """Pseudo-atoms of an update.

    Parameters
    ----------
    atoms : PlacedAtoms
        Settled.
    kept, dropped, added : int
        Pseudo-atoms, images included.
    n_rounds : int
        Of coordinate steps.
    """

    atoms: PlacedAtoms
    kept: int
    dropped: int
    added: int
    n_rounds: int


@dataclass(frozen=True, eq=False)
class Update:
    """What an update started from, and what it did not do again.

    Parameters
    ----------
    previous : PreviousRun
    warm : WarmAtoms
    validated : bool
        Whether half map 2 was asked anew.
    """

    previous: PreviousRun
    warm: WarmAtoms
    validated: bool

    def finding(self, kind: Kind) -> Finding:
        """Return the statement as a finding."""
        values: dict[str, Number] = {
            "kept": self.warm.kept,
            "dropped": self.warm.dropped,
            "added": self.warm.added,
        }
        unjudged = kind == "halves" and not self.validated
        remedies = (use("validate", True, when="to validate it"),) if unjudged else ()
        return Finding("update", "note", self.statement(kind), values, remedies)

    def statement(self, kind: Kind) -> str:
        """Say what it was an update of, and what that means for its validation."""
        warm, previous = self.warm, self.previous
        text = (
            f"an update: of the earlier pseudo-atoms {warm.kept} stay and "
            f"{warm.dropped} go, {warm.added} are new"
        )
        if kind == "halves" and self.validated:
            text += "; it was cross-validated against half map 2"
        elif kind == "halves":
            text += "; this hybrid model was not cross-validated against half map 2"
            if previous.validation is not None:
                text += (
                    f" (the free FSC of {previous.validation.free:.3f} is that of the earlier one)"
                )
        return text

    def as_dict(self) -> dict[str, Any]:
        """Return the part of the record."""
        previous, warm = self.previous, self.warm
        earlier = previous.validation
        return {
            "record_sha256": previous.sha256,
            "updates_since_full_run": previous.n_updates + 1,
            "changed_since_full_run": round(previous.changed, 6),
            "pseudo_atoms": {"kept": warm.kept, "dropped": warm.dropped, "added": warm.added},
            "coordinate_rounds": warm.n_rounds,
            "model_shifted": previous.shifted and not self.validated,
            "validated_anew": self.validated,
            "earlier_validation": None
            if earlier is None
            else {
                "record_sha256": earlier.record_sha256,
                "fsc_work": earlier.work,
                "fsc_free": earlier.free,
            },
        }


def warm_pseudo_atoms(
    completion: Completion,
    previous: PreviousRun,
    density: Map,
    progress: Report = lambda done: None,
) -> WarmAtoms:
    """Fill the region from the pseudo-atoms of an earlier run.

    Parameters
    ----------
    completion : Completion
        With the edited model.
    previous : PreviousRun
    density : Map
        The average.
    """
    assembly, region = completion.assembly, completion.region
    hybrid = assembly.with_values(b_iso=previous.b_near(assembly.positions))
    standing = previous.positions[previous.is_pseudo]
    if region is None or region.n_atoms == 0:
        return WarmAtoms(PlacedAtoms.of(hybrid), 0, len(standing), 0, 0)
    unit = standing[: len(standing) // assembly.order]
    kept, added = _shared_out(
        completion, region, unit, previous.positions[~previous.is_pseudo], density
    )
    unit_now = np.concatenate([kept, added])
    hybrid = hybrid.with_pseudo_atoms(unit_now, previous.b_near(unit_now))
    n_rounds = 1 if len(added) <= FEW_ADDED * len(unit_now) else N_ROUNDS
    progress(0.1)
    hybrid = settled(
        completion,
        hybrid,
        completion.data.average,
        region,
        lambda done: progress(0.1 + 0.9 * done),
        n_rounds,
    )
    order = assembly.order
    return WarmAtoms(
        PlacedAtoms.of(hybrid),
        len(kept) * order,
        (len(unit) - len(kept)) * order,
        len(added) * order,
        n_rounds,
    )


def warm_refine(
    completion: Completion,
    hybrid: HybridModel,
    previous: PreviousRun,
    progress: Report = lambda done: None,
) -> RefinedAdps:
    """B of a hybrid model with the prior that half map 2 preferred in an earlier run.

    Parameters
    ----------
    completion : Completion
    hybrid : HybridModel
        With B near the earlier ones.
    previous : PreviousRun
        With a tau.
    progress : callable
    """
    refinement = BRefinement(
        b_problem(completion, hybrid), completion.parameters.b_steps, progress=progress
    )
    choice = refinement.choose_tau(hybrid.b_iso, previous.tau or None, shifts=previous.shifted)
    adps = refinement.fit(choice)
    if completion.kind != "halves" or completion.parameters.neighbour_tau is not None:
        return adps
    # tau was not given: half map 2 preferred it
    return replace(
        adps,
        findings=tuple(finding for finding in adps.findings if finding.code != "adp-not-validated"),
    )


def _shared_out(
    completion: Completion, region: Region, unit: DoubleArray, earlier: DoubleArray, density: Map
) -> tuple[DoubleArray, DoubleArray]:
    """Pseudo-atoms of a unit that stay, and those that begin where the earlier model was.

    Both parts of the region get the numbers of a full run, which shares them out by density.
    """
    symmetry = completion.assembly.symmetry
    rng = np.random.default_rng([completion.parameters.seed, 1])
    points, weights = sampled_density(
        region, density, d_min=completion.data.d_min, rng=rng, symmetry=symmetry
    )
    given_up = np.zeros(len(points), dtype=np.bool_)
    if len(earlier):
        given_up = np.asarray(cKDTree(earlier).query(points)[0] < MODELLED)
    number = max(atoms_per_unit(region, symmetry), 1)
    n_given_up = int(round(number * float(weights[given_up].sum() / weights.sum())))
    kept = _kept(unit, region, number - n_given_up)
    added = np.empty((0, 3))
    for n, in_gaps in ((n_given_up, False), (number - len(kept) - n_given_up, True)):
        if n > 0:
            standing = np.concatenate([kept, added])
            beside = standing if symmetry is None else symmetry.copies(standing).reshape(-1, 3)
            begin = _gaps(beside, points, n / number) if in_gaps else given_up
            added = np.concatenate(
                [
                    added,
                    relaxed(
                        points, weights, n, start_jitter(region), rng, begin=begin, beside=beside
                    ),
                ]
            )
    return kept, added


def _gaps(standing: DoubleArray, points: DoubleArray, share: float) -> BoolArray:
    """Mark the share of the points that is farthest from atoms in place."""
    if not len(standing):
        return np.ones(len(points), dtype=np.bool_)
    distance = np.asarray(cKDTree(standing).query(points)[0])
    return distance >= float(np.quantile(distance, 1 - min(share, 1.0)))


def _kept(unit: DoubleArray, region: Region, most: int) -> DoubleArray:
    """Pseudo-atoms that stay: in the region, at most its number, the most crowded go first."""
    brought = region.confined(unit)
    brought = brought[np.linalg.norm(brought - unit, axis=1) <= STILL_INSIDE]
    while len(brought) > most:
        found = cKDTree(brought).query(brought, k=2)
        distance, nearest = np.asarray(found[0])[:, 1], np.asarray(found[1])[:, 1]
        order = np.argsort(distance, kind="stable")
        first_of_pair = order[order < nearest[order]]
        brought = np.delete(brought, first_of_pair[: len(brought) - most], axis=0)
    return brought
