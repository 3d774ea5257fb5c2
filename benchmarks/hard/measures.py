"""Measures of a map against the truth of a harder case, beyond those of `truth`.

cc_mod      correlation with the truth within 3 Å of modelled atoms
fsc_near    FSC with the truth at 1.1 times the resolution: a program that ends its map at a limit of
            its own has nothing at the resolution itself
q_GROUP     mean correlation of the density around an atom with a Gaussian of 0.6 Å, out to 2 Å and
            over the points that are nearest to this atom, as in Q-scores; of a group of atoms
solvent     sd of the solvent over the level at the main chain of modelled atoms
belt        mean level in the belt, over the same
smoother    B factor in Å² by which the map is smoother than the truth, 10 Å to the resolution
prof_b, cc_b    profile error and correlation after that B has been taken off
"""

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree
from truth import COARSEST, Truth, read

Array = np.ndarray
GROUPS = ("mod", "unm", "flex", "part", "lig", "dna", "bent", "helix", "overfit")
RADII = np.arange(0, 2.01, 0.25)  # Å
DIRECTIONS, WIDTH = 24, 0.6  # points a shell; Å
MOST_ATOMS = 4000  # that the density around atoms is looked at for
SOLVENT = (5.0, 25.0)  # Å from atoms
RIM = 8  # voxels of the window's edge
NEAR_LIMIT = 1.1  # times the resolution


class HardTruth(Truth):
    """A harder case, ready to judge maps."""

    def __post_init__(self) -> None:
        """Read what the measures of this module need, too."""
        super().__post_init__()
        atoms = np.load(self.folder / "atoms.npz")
        self.positions, self.group = atoms["positions"], atoms["group"]
        self.backbone = atoms["backbone"]
        belt = self.folder / "belt.mrc"
        self.belt = read(belt) if belt.exists() else np.zeros(self.values.shape)
        self.core = "mod" if (self.group == "mod").any() else self.group[0]
        away = self._distance(self.positions)
        n = self.values.shape[0]
        place = np.arange(n) - n // 2
        radius = np.sqrt(place[:, None, None] ** 2 + place[:, None] ** 2 + place**2)
        peak = max(float(self.belt.max()), 1e-9)
        self.solvent = (radius < n / 2 - RIM) & (away > SOLVENT[0]) & (away < SOLVENT[1])
        self.solvent &= ndimage.gaussian_filter(self.belt, 2) < 0.02 * peak
        self.in_belt = (self.belt > 0.5 * peak) & (away > 4)
        self._place_points()

    def judge(self, values: Array) -> dict[str, float]:
        """Take all measures of a map."""
        result = super().judge(values)
        result["cc_mod"] = self._correlation(values, self.modelled)
        result["fsc_near"] = self.at_d_min(self.fsc(values), NEAR_LIMIT)
        quality = self.atom_quality(values)
        for name in GROUPS:
            if (chosen := self.looked_at == name).any():
                result[f"q_{name}"] = float(quality[chosen].mean())
        quiet = values[self.solvent]
        main = self.positions[self.backbone & (self.group == self.core)]
        level = self._at(values, main, order=1).mean() - quiet.mean()
        result["solvent"] = float(quiet.std() / level)
        if self.in_belt.any():
            result["belt"] = float((values[self.in_belt].mean() - quiet.mean()) / level)
        return result | self._with_level(values)

    def smoother(self, values: Array) -> float:
        """B factor in Å² by which a map is smoother than the truth."""
        power = [self._shells(np.abs(c) ** 2) for c in (self.masked(values), self.coefficients)]
        used = (self.frequency > 1 / COARSEST) & (self.frequency < 1 / self.d_min)
        ratio = np.log(np.maximum(power[0], 1e-30) / power[1])[used]
        return float(-2 * np.polyfit(self.frequency[used] ** 2, ratio, 1)[0])

    def _with_level(self, values: Array) -> dict[str, float]:
        """Measure the level, and what is left of the errors without it."""
        b = self.smoother(values)
        coefficients = np.fft.rfftn(values) * np.exp(
            b * np.minimum(self.s, 1 / self.d_min) ** 2 / 4
        )
        level = np.fft.irfftn(coefficients, values.shape, axes=(0, 1, 2))
        ratio = self._profiles(level) - self.profiles
        return {
            "smoother": b,
            "prof_b": float(np.abs(ratio - np.median(ratio)).mean()),
            "cc_b": self._correlation(level, self.region["all"]),
        }

    def _correlation(self, values: Array, region: Array) -> float:
        """Correlation with the truth in a region."""
        return float(np.corrcoef(values[region], self.values[region])[0, 1])

    def _at(self, values: Array, positions: Array, order: int) -> Array:
        """Interpolate at positions."""
        index = positions[..., ::-1].reshape(-1, 3).T / self.voxel
        found = ndimage.map_coordinates(values, index, order=order, mode="grid-wrap")
        return found.reshape(positions.shape[:-1])

    def _place_points(self) -> None:
        """Place points around atoms; keep those that no other atom is nearer to."""
        chosen = np.arange(0, len(self.positions), -(-len(self.positions) // MOST_ATOMS))
        self.looked_at = self.group[chosen]
        ways = np.random.default_rng(0).normal(size=(DIRECTIONS, 3))
        ways /= np.linalg.norm(ways, axis=1, keepdims=True)
        around = RADII[:, None, None] * ways
        self.points = self.positions[chosen][:, None, None] + around
        nearest = cKDTree(self.positions).query(self.points.reshape(-1, 3))[1]
        self.own = nearest.reshape(self.points.shape[:3]) == chosen[:, None, None]
        self.own[:, 0] = True
        ideal = np.exp(-0.5 * (RADII / WIDTH) ** 2)[None, :, None]
        self.ideal = self._centred(np.broadcast_to(ideal, self.own.shape))

    def _centred(self, values: Array) -> Array:
        """Take the mean of an atom's own points off; 0 at the others."""
        mean = (values * self.own).sum((1, 2)) / self.own.sum((1, 2))
        return (values - mean[:, None, None]) * self.own

    def atom_quality(self, values: Array) -> Array:
        """Correlation of the density around each atom with a Gaussian."""
        given = self._centred(self._at(values, self.points, order=3))
        power = (given**2).sum((1, 2)) * (self.ideal**2).sum((1, 2))
        return (given * self.ideal).sum((1, 2)) / np.sqrt(power + 1e-30)
