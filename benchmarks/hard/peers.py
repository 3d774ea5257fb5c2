"""Other programs on the same half maps.

relion_like   one B factor for the whole map, as RELION's postprocess does it: a soft mask, its FSC
              corrected by randomised phases, a weight of sqrt(2 FSC / (1 + FSC)), a Guinier fit
              from 10 Å to the resolution.  A plain implementation, not RELION.
locscale      LocScale 2.4.1, by its own program
servalcat     the normalised expected map of `servalcat util nemap`
"""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from child import run_command
from scipy import ndimage
from simulated import basic
from truth import read

Array = np.ndarray
ATOM_VOLUME = 13.5 * 1.21 * 1.4  # Å³ in the mask: Da of an atom, Å³ of a Da, room
GROWN, EDGE = 3.0, 8.0  # Å, of the mask
COARSE = 15.0  # Å, low-pass of the mask
RANDOM_BELOW, LIMIT = 0.8, 0.143  # FSC
COARSEST = 10.0  # Å, of the Guinier fit


@dataclass
class Postprocessed:
    """A globally sharpened map.

    Parameters
    ----------
    values : array
    mask : array
    resolution : float
        Å.
    b_factor : float
        Å², negative: what was taken off.
    """

    values: Array
    mask: Array
    resolution: float
    b_factor: float


class Shells:
    """Sums over shells of the coefficients of a cubic box."""

    def __init__(self, box: int, voxel: float) -> None:
        axes = [np.fft.fftfreq(box, voxel)] * 2 + [np.fft.rfftfreq(box, voxel)]
        self.s = np.sqrt(sum(a**2 for a in np.meshgrid(*axes, indexing="ij")))
        self.edge, self.count = box * voxel, box // 2
        self.index = np.rint(self.s * self.edge).astype(int)
        self.weight = np.full(box // 2 + 1, 2.0)
        self.weight[0] = 1
        if box % 2 == 0:
            self.weight[-1] = 1
        self.frequency = np.arange(self.count) / self.edge

    def sum(self, values: Array) -> Array:
        """Sum over complete shells."""
        given = (values * self.weight).ravel()
        return np.bincount(self.index.ravel(), given, self.count)[: self.count]

    def mean_power(self, coefficients: Array) -> Array:
        """Mean power of each shell."""
        return self.sum(np.abs(coefficients) ** 2) / np.maximum(self.sum(np.ones(self.s.shape)), 1)

    def fsc(self, first: Array, second: Array) -> Array:
        """FSC of two sets of coefficients."""
        power = self.sum(np.abs(first) ** 2) * self.sum(np.abs(second) ** 2)
        return self.sum((first * second.conj()).real) / np.sqrt(np.maximum(power, 1e-30))


def relion_like(half_1: Array, half_2: Array, voxel: float, atoms: int) -> Postprocessed:
    """Sharpen the mean of two half maps by one B factor."""
    shells = Shells(half_1.shape[0], voxel)
    full = np.fft.rfftn((half_1 + half_2) / 2)
    mask = _soft_mask(full, shells, voxel, half_1.shape, atoms * ATOM_VOLUME)
    fsc = _corrected_fsc(half_1, half_2, mask, shells)
    below = np.flatnonzero((fsc < LIMIT) & (shells.frequency > 0.05))
    last = int(below[0]) if len(below) else shells.count - 1
    reach = np.clip((fsc[last - 1] - LIMIT) / max(fsc[last - 1] - fsc[last], 1e-9), 0, 1)
    limit = shells.frequency[last - 1] + reach / shells.edge
    clipped = np.clip(fsc, 0, 0.9999)
    weight = np.sqrt(2 * clipped / (1 + clipped))
    weight[last:] = 0
    amplitude = np.sqrt(shells.mean_power(full)) * weight
    used = (shells.frequency > 1 / COARSEST) & (shells.frequency < limit) & (amplitude > 0)
    b_factor = 4 * np.polyfit(shells.frequency[used] ** 2, np.log(amplitude[used]), 1)[0]
    rolls = np.clip((shells.s - limit) * shells.edge / 2 + 0.5, 0, 1)
    spread = np.interp(shells.s, shells.frequency, weight, right=0)
    factor = spread * np.exp(-b_factor * shells.s**2 / 4) * (0.5 + 0.5 * np.cos(np.pi * rolls))
    values = np.fft.irfftn(full * factor, half_1.shape, axes=(0, 1, 2))
    return Postprocessed(values, mask, float(1 / limit), float(b_factor))


def _soft_mask(full: Array, shells: Shells, voxel: float, shape: tuple, volume: float) -> Array:
    """Enclose the densest connected volume, with a soft edge."""
    low = np.fft.irfftn(full * np.exp(-((shells.s * COARSE) ** 2)), shape, axes=(0, 1, 2))
    inside = min(int(volume / voxel**3), low.size // 2)
    solid = low > np.partition(low.ravel(), -inside)[-inside]
    pieces, count = ndimage.label(solid)
    largest = 1 + np.argmax(ndimage.sum_labels(solid, pieces, range(1, count + 1)))
    outside = ndimage.distance_transform_edt(pieces != largest) * voxel
    return 0.5 + 0.5 * np.cos(np.pi * np.clip((outside - GROWN) / EDGE, 0, 1))


def _corrected_fsc(half_1: Array, half_2: Array, mask: Array, shells: Shells) -> Array:
    """FSC inside a mask, less what the mask alone makes of randomised phases."""
    whole = [np.fft.rfftn(half) for half in (half_1, half_2)]
    masked = shells.fsc(*(np.fft.rfftn(half * mask) for half in (half_1, half_2)))
    low = np.flatnonzero(shells.fsc(*whole)[1:] < RANDOM_BELOW)
    start = int(low[0]) + 1 if len(low) else shells.count
    rng, random = np.random.default_rng(0), []
    for coefficients in whole:
        far = shells.index >= start
        coefficients[far] = np.abs(coefficients[far]) * np.exp(2j * np.pi * rng.random(far.sum()))
        random.append(np.fft.rfftn(np.fft.irfftn(coefficients, mask.shape, axes=(0, 1, 2)) * mask))
    by_mask = np.minimum(shells.fsc(*random), 0.99)
    beyond = np.arange(shells.count) >= start + 2
    return np.where(beyond, (masked - by_mask) / (1 - by_mask), masked)


def locscale(
    program: Path, folder: Path, halves: tuple[Path, Path], resolution: float, group: str
) -> Array:
    """Run LocScale 2.4.1 on half maps and the given model; return its map."""
    with tempfile.TemporaryDirectory() as place:
        command = [str(program), "-hm", *map(str, halves)]
        command += ["-mc", str(folder / "model_partial.cif"), "--complete_model"]
        command += ["-res", f"{resolution}", "-o", f"{place}/out.mrc", "-op", place]
        command += ["-np", "1", "-v"] + (["-sym", group] if group != "C1" else [])
        run_command(command)
        return read(Path(place) / "out.mrc")


def servalcat(program: Path, halves: tuple[Path, Path], like: Postprocessed, voxel: float) -> Array:
    """Run servalcat's normalised expected map in the mask and to the resolution of `like`."""
    with tempfile.TemporaryDirectory() as place:
        mask = Path(place) / "mask.mrc"
        basic.write_map(mask, like.mask, voxel)
        command = [str(program.resolve()), "util", "nemap", "--halfmaps"]
        command += [*(str(half.resolve()) for half in halves), "-m", str(mask)]
        command += ["-d", f"{like.resolution:.3f}", "-o", f"{place}/out"]
        subprocess.run(command, cwd=place, check=True, capture_output=True)
        reflections = gemmi.read_mtz_file(f"{place}/out_maps.mtz")
    sizes = list(like.values.shape[::-1])
    grid = reflections.transform_f_phi_to_map("FWT", "PHWT", exact_size=sizes)
    return np.array(grid.array, dtype=float).transpose(2, 1, 0)
