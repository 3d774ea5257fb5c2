"""What local scaling starts from: maps, mask and options, and the box that is worked on."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import InputError
from ..inputs.half_maps import ObservedMaps
from ..maps.grid import FloatArray, Map
from ..maps.subvolume import Box, grown, within
from ..parameters import HybridParameters
from ..symmetry.operators import Symmetry
from .band_filter import fade_out, work_box
from .gains import GainRules
from .viewing_weight import chosen_policy
from .windows import window_edge

BLOCK = 4  # voxels along the edge of a block of the power grid; 1: the whole box, exactly symmetric
CAP: float | None = 4.0  # largest factor between local and global gain

_MARGIN = 0.64  # windows around the mask that are worked on
_REGION_MARGIN = 1.0  # windows around a region: density goes on there
_FADE = 0.32  # windows in which maps end at the faces of the box


@dataclass(frozen=True, eq=False)
class ScalingInput:
    """Maps, mask and options of local scaling.

    Parameters
    ----------
    observed : ObservedMaps
        Solvent mean subtracted.
    reference : Map
        On the same grid.
    mask : array, shape grid.shape
        Soft, 0 to 1; bounds the work.
    resolution : float
        d_min, Å.
    parameters : HybridParameters
        `scaling`, `window`, `window_voxels`, `stride`, `taper`, `weight`, `noise_weight` and
        `outputs` are used.
    symmetry : Symmetry, optional
        The final maps are averaged over it, unless there is a region.
    weight_map : Map, optional
        For the policy "file".
    region : three slices, optional
        Only these voxels are scaled, the others are 0.  Global curves and weights are then those
        of the region and a window around it.
    """

    observed: ObservedMaps
    reference: Map
    mask: FloatArray
    resolution: float
    parameters: HybridParameters
    symmetry: Symmetry | None = None
    weight_map: Map | None = None
    region: Box | None = None

    @cached_property
    def window(self) -> float:
        """Edge of the window, Å."""
        return window_edge(self.observed.average.grid, self.parameters)

    @cached_property
    def policy(self) -> str:
        """Weight policy that is used."""
        return chosen_policy(self.parameters.weight, self.observed.kind, self.weight_map)

    @property
    def block(self) -> int:
        """Voxels along the edge of a block of the power grid."""
        return BLOCK

    @property
    def rules(self) -> GainRules:
        """How a gain is made of powers."""
        return GainRules(CAP, self.parameters.noise_weight and self.observed.half_1 is not None)

    @cached_property
    def box(self) -> Box:
        """The part of the map that is worked on."""
        if self.block == 1:
            nz, ny, nx = self.observed.average.grid.shape
            return slice(0, nz), slice(0, ny), slice(0, nx)
        inside, margin = self.mask > 0, _MARGIN
        if self.region is not None:
            inside, margin = within(inside, self.region), _REGION_MARGIN
        step = self.observed.average.grid.step
        return work_box(inside, int(np.ceil(margin * self.window / step)), self.block)

    @cached_property
    def mask_in_box(self) -> FloatArray:
        """The mask in the box; of a region without the rim where the maps fade out."""
        return self.part(self.mask)

    @property
    def fade(self) -> int:
        """Voxels in which maps end at the faces of the box."""
        return int(_FADE * self.window / self.observed.average.grid.step)

    def part(self, values: FloatArray) -> FloatArray:
        """Cut a map to the box; where a region cuts through density it fades out at the faces."""
        if self.region is None:
            return values[self.box]
        cut = np.array(values[self.box], dtype=np.float32)
        fade_out(cut[None], self.box, values.shape, self.fade)
        return cut

    def asked(self, values: FloatArray, around: float = 0.0) -> FloatArray:
        """Set values in the box to 0 farther than `around` Å from where they are asked for."""
        if self.region is None:
            return values
        wanted = grown(self.region, self.observed.average.grid, around)
        inner = [
            slice(max(wanted.start - part.start, 0), max(wanted.stop - part.start, 0))
            for wanted, part in zip(wanted, self.box, strict=True)
        ]
        return within(values, (inner[0], inner[1], inner[2]))

    @property
    def half_difference(self) -> FloatArray | None:
        """Half the difference of the half maps in the box."""
        first, second = self.observed.half_1, self.observed.half_2
        if first is None or second is None:
            return None
        difference = np.subtract(self.part(first.values), self.part(second.values))
        difference *= np.float32(0.5)
        return difference

    def check(self) -> None:
        """Refuse what cannot be scaled.

        Raises
        ------
        InputError
            If the window is longer than half the box, the mask is empty, or a map is missing or
            on another grid.
        """
        grid = self.observed.average.grid
        _ = self.window, self.policy  # refuse a window or a weight that cannot be
        for given in (self.reference, self.weight_map):
            if given is not None and not grid.same_as(given.grid):
                raise InputError(
                    f"{given.name} has {given.grid.shape} voxels of {given.grid.step:.4g} Å and the "
                    f"map {grid.shape} of {grid.step:.4g} Å, or their origins differ; resample it "
                    "onto the map's grid"
                )
        if self.mask.shape != grid.shape:
            raise InputError(
                f"the mask has {self.mask.shape} voxels and the map {grid.shape}; resample it "
                "onto the map's grid"
            )
        if not (self.mask > 0).any():
            raise InputError("the mask is empty: there is nothing to scale; give another mask")
