"""Measures of a sharpened map of a simulated case against its truth; numpy and scipy alone.

cc       correlation with the truth within 3 Å of atoms: all, of those left out of the model
fsc_d    FSC with the truth at the nominal resolution, inside one soft mask; fsc: mean up to there
prof     mean |ln(P / P_truth)| of radial power in 25 Å windows, 10 Å to the resolution, after one
         scale for the whole map: all windows, those around removed atoms
step     mean ln ratio of the unmodelled windows less that of the modelled ones
shut     share of the voxels within 3 Å of atoms that are at 0 (below 1/1000 of the sd)
asym     rms difference of the map and its group mean, in sd (with a point group)
"""

import json
from dataclasses import dataclass
from pathlib import Path

import gemmi
import mrcfile
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

WINDOW, LATTICE, COARSEST = 25.0, 6.0, 10.0  # Å


@dataclass
class Truth:
    """A simulated case, ready to judge maps."""

    folder: Path
    point_group: str = "C1"

    def __post_init__(self) -> None:
        """Read the truth and lay out shells, regions and windows."""
        info = json.loads((self.folder / "case.json").read_text())
        self.d_min, self.voxel = info["resolution"], info["voxel_size"]
        self.values = read(self.folder / "truth.mrc")
        shape = self.values.shape
        self.full, b_iso = positions_of(self.folder / "model_full.cif")
        known, _ = positions_of(self.folder / "model_known.cif")
        self.b_iso = b_iso
        self.gone = cKDTree(known).query(self.full)[0] > 0.01
        modelled, removed = (self._distance(x) for x in (known, self.full[self.gone]))
        nearest = np.minimum(modelled, removed)
        self.region = {"all": nearest < 3, "unm": (removed < 3) & (modelled >= 3)}
        self.modelled = modelled < 3
        self.soft = 0.5 * (1 - np.tanh((nearest - 6) / 1.5))
        axes = [np.fft.fftfreq(n, self.voxel) for n in shape[:2]]
        axes.append(np.fft.rfftfreq(shape[2], self.voxel))
        self.s = np.sqrt(sum(a**2 for a in np.meshgrid(*axes, indexing="ij")))
        self.shell = np.rint(self.s * max(shape) * self.voxel).astype(int)
        self.weight = np.full(shape[2] // 2 + 1, 2.0)
        self.weight[[0, -1]] = 1, 1 if shape[2] % 2 == 0 else 2
        self.frequency = np.arange(max(shape) // 2) / (max(shape) * self.voxel)
        self.coefficients = self.masked(self.values)
        self._lay_out_windows()
        self.profiles = self._profiles(self.values)

    def judge(self, values: np.ndarray) -> dict[str, float]:
        """Take all measures of a map."""
        result = {}
        for name, region in self.region.items():
            if region.sum() > 10:
                pair = values[region], self.values[region]
                result[f"cc_{name}"] = float(np.corrcoef(*pair)[0, 1])
        fsc = self.fsc(values)
        inside = (self.frequency > 0.02) & (self.frequency <= 1 / self.d_min)
        result["fsc"] = float(fsc[inside].mean())
        result["fsc_d"] = float(np.interp(1 / self.d_min, self.frequency, fsc))
        ratio = self._profiles(values) - self.profiles
        ratio -= np.median(ratio)
        modelled = self.modelled[tuple(self.centres.T)]
        result["prof_all"] = float(np.abs(ratio).mean())
        if modelled.any() and not modelled.all():
            result["prof_unm"] = float(np.abs(ratio[~modelled]).mean())
            result["step"] = float(ratio[~modelled].mean() - ratio[modelled].mean())
        near = values[self.region["all"]]
        result["shut"] = float((np.abs(near) < 1e-3 * near.std()).mean())
        if self.point_group != "C1":
            difference = (values - self._group_mean(values))[self.region["all"]]
            result["asym"] = float(np.sqrt(np.mean(difference**2)) / near.std())
        return result

    def fsc(self, values: np.ndarray) -> np.ndarray:
        """FSC with the truth inside the soft mask."""
        given = self.masked(values)
        cross = self._shells((given * self.coefficients.conj()).real)
        power = self._shells(np.abs(given) ** 2) * self._shells(np.abs(self.coefficients) ** 2)
        return cross / np.sqrt(np.maximum(power, 1e-30))

    def masked(self, values: np.ndarray) -> np.ndarray:
        """Coefficients inside the soft mask, its mean taken off."""
        mean = (values * self.soft).sum() / self.soft.sum()
        return np.fft.rfftn((values - mean) * self.soft)

    def at_d_min(self, fsc: np.ndarray, beyond: float = 1.0) -> float:
        """Read a curve at the nominal resolution, or coarser by a factor."""
        return float(np.interp(1 / (beyond * self.d_min), self.frequency, fsc))

    def half_fsc(self, half_1: np.ndarray, half_2: np.ndarray) -> np.ndarray:
        """C_ref of the average of two halves, inside the soft mask."""
        first, second = self.masked(half_1), self.masked(half_2)
        cross = self._shells((first * second.conj()).real)
        power = self._shells(np.abs(first) ** 2) * self._shells(np.abs(second) ** 2)
        fsc = np.clip(cross / np.sqrt(np.maximum(power, 1e-30)), 0, 1)
        return np.sqrt(2 * fsc / (1 + fsc))

    def _group_mean(self, values: np.ndarray) -> np.ndarray:
        """Mean over the group about voxel n // 2, by cubic splines."""
        coefficients = ndimage.spline_filter(values, order=3, mode="grid-wrap")
        centre = np.array(values.shape) // 2
        turns = Rotation.create_group(self.point_group).as_matrix()[:, ::-1, ::-1]
        total = np.zeros_like(values)
        for turn in turns:
            total += ndimage.affine_transform(
                coefficients,
                turn,
                offset=centre - turn @ centre,
                order=3,
                mode="grid-wrap",
                prefilter=False,
            )
        return total / len(turns)

    def _shells(self, values: np.ndarray) -> np.ndarray:
        """Sum complete coefficients over shells."""
        n = len(self.frequency)
        return np.bincount(self.shell.ravel(), (values * self.weight).ravel(), n)[:n]

    def _distance(self, positions: np.ndarray) -> np.ndarray:
        """Distance in Å of every voxel to the nearest position."""
        if not len(positions):
            return np.full(self.values.shape, 1e3)
        index = np.rint(positions[:, ::-1] / self.voxel).astype(int) % self.values.shape
        free = np.ones(self.values.shape, dtype=bool)
        free[tuple(index.T)] = False
        return ndimage.distance_transform_edt(free) * self.voxel

    def _lay_out_windows(self) -> None:
        """Centres on a 6 Å lattice in the region; taper and shells of a window."""
        self.edge = edge = round(WINDOW / self.voxel) // 2 * 2
        step = max(1, round(LATTICE / self.voxel))
        axes = [np.arange(edge // 2, n - edge // 2 + 1, step) for n in self.values.shape]
        lattice = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
        self.centres = lattice[self.region["all"][tuple(lattice.T)]]
        arm = (np.arange(edge) - (edge - 1) / 2) / (edge / 2)
        r = np.sqrt(arm[:, None, None] ** 2 + arm[None, :, None] ** 2 + arm**2)
        self.taper = np.where(r < 1, 0.5 * (1 + np.cos(np.pi * np.clip(r, 0, 1))), 0)
        axes = [np.fft.fftfreq(edge)] * 2 + [np.fft.rfftfreq(edge)]
        s = np.sqrt(sum(a**2 for a in np.meshgrid(*axes, indexing="ij"))) / self.voxel
        self.window_shell = np.rint(s * edge * self.voxel).astype(int).ravel()
        frequency = np.arange(self.window_shell.max() + 1) / (edge * self.voxel)
        self.used = (frequency >= 0.999 / COARSEST) & (frequency <= 1 / self.d_min + 1e-6)

    def _profiles(self, values: np.ndarray) -> np.ndarray:
        """Ln of the radial power in each window, shape (windows, shells)."""
        half, rows = self.edge // 2, []
        for centre in self.centres:
            window = tuple(slice(i - half, i + half) for i in centre)
            taper = self.taper * self.soft[window]
            part = values[window]
            part = (part - (part * taper).sum() / taper.sum()) * taper
            power = np.abs(np.fft.rfftn(part)) ** 2
            rows.append(np.bincount(self.window_shell, power.ravel())[self.used])
        return np.log(np.maximum(np.array(rows), 1e-30))


def read(path: Path) -> np.ndarray:
    """Values of a map in float64."""
    with mrcfile.open(path) as file:
        return np.array(file.data, dtype=np.float64)


def positions_of(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Positions and B of all atoms of a model."""
    structure = gemmi.read_structure(str(path))
    atoms = [site.atom for site in structure[0].all()]
    return (
        np.array([atom.pos.tolist() for atom in atoms]).reshape(-1, 3),
        np.array([atom.b_iso for atom in atoms]),
    )
