"""What a person looks at after a run, beside the map: the report, and maps on request."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...maps.grid import Map
from ...maps.subvolume import box_of, within
from ..local_maps import local_b_factors, provenance
from ..record import RunFacts
from .page import report_page, write_report
from .slices import Panel, slices_table


def local_b_map(facts: RunFacts) -> Map:
    """Local B above that of the best-ordered region, Å^2, as far as the mask's soft edge."""
    hybrid, mask = facts.hybrid, facts.mask
    values = local_b_factors(mask.grid, hybrid.positions, hybrid.b_iso, mask.soft > 0)
    return Map(values, mask.grid, "local B")


def provenance_map(facts: RunFacts) -> Map:
    """Mark where the reference comes from: 1 model, 2 pseudo-atoms, 0 neither."""
    hybrid, mask = facts.hybrid, facts.mask
    values = provenance(mask.grid, hybrid.positions, hybrid.is_pseudo, mask.solid)
    return Map(values, mask.grid, "provenance")


def write_run_report(
    path: Path, record: Mapping[str, Any], facts: RunFacts, observed: Map, reference: Map
) -> None:
    """Write the report of a run.

    Parameters
    ----------
    path : Path
    record : mapping
        With its outputs.
    facts : RunFacts
    observed, reference : Map
    """
    mask = facts.mask
    seen = mask.solid
    if facts.parameters.region is not None:
        seen = within(seen, box_of(facts.parameters.region, mask.grid))
    panels = [
        Panel("input", observed.values),
        Panel("reference", reference.values),
        Panel("output", facts.scaled.output.values, note="the display map"),
        Panel("mask", mask.soft, "mask"),
    ]
    if len(facts.hybrid):
        values = np.where(mask.solid, local_b_map(facts).values, np.float32(-1))
        panels.append(Panel("local B", values, "local B", "above the best-ordered region"))
    write_report(path, report_page(record, slices_table(panels, mask.grid, seen)))
