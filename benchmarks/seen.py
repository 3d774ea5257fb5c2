"""Looks at the weight of one band while the scaling works: no map file holds it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from locscale_hybrid.scaling import band_tasks, scaling_input


@dataclass
class SeenWeight:
    """The adaptive weight of one band, in the box that was worked on.

    Parameters
    ----------
    resolution : float
        Å; the band nearest to it.
    """

    resolution: float
    band: int = -1
    box: tuple[slice, slice, slice] | None = None
    values: dict[int, np.ndarray] = field(default_factory=dict)

    def whole(self, shape: tuple[int, ...], window: float) -> np.ndarray:
        """Put the weight into the whole map; 1 if the band was not weighted, 0 outside the box."""
        result = np.zeros(shape, dtype=np.float32)
        result[self.box] = self.values.get(round(window / self.resolution), 1.0)
        return result


@contextmanager
def seen_weight(resolution: float) -> Iterator[SeenWeight]:
    """Keep the weights that a scaling in this block computes."""
    seen = SeenWeight(resolution)
    weigh, weight, box = band_tasks.weigh_band, band_tasks.adaptive_weight, scaling_input.work_box

    def weigh_band(work, slot):
        seen.band = work.bands[slot]
        weigh(work, slot)

    def adaptive_weight(*given):
        result = weight(*given)
        if seen.band == round(work_window / resolution):
            seen.values[seen.band] = result.copy()
        return result

    def work_box(*given):
        seen.box = box(*given)
        return seen.box

    work_window = 25.0
    band_tasks.weigh_band, band_tasks.adaptive_weight = weigh_band, adaptive_weight
    scaling_input.work_box = work_box
    try:
        yield seen
    finally:
        band_tasks.weigh_band, band_tasks.adaptive_weight = weigh, weight
        scaling_input.work_box = box
