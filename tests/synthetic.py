"""The one maker of models and half maps for the tests: small, seeded, with known truth.

Everything made here is simulated; no figure from it is evidence about real data.
"""

import gemmi
import numpy as np
from scipy import ndimage

from locscale_hybrid.maps.grid import Grid, Map

# One leucine of an ideal alpha helix: radius Å, angle in degrees, height Å, element.
_RESIDUE = {
    "N": (1.55, -28.0, -0.89, "N"),
    "CA": (2.29, 0.0, 0.0, "C"),
    "C": (1.66, 27.0, 1.10, "C"),
    "O": (2.02, 22.0, 2.30, "O"),
    "CB": (3.29, -17.0, -0.72, "C"),
    "CG": (4.30, -8.0, 0.30, "C"),
    "CD1": (5.20, -22.0, 0.95, "C"),
    "CD2": (4.85, 8.0, -0.70, "C"),
}
_RISE, _TURN, _SPACING, _LONGEST = 1.5, 100.0, 10.8, 18


def small_model(
    n_residues: int = 54,
    *,
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0),
    b_iso: tuple[float, float] = (20.0, 90.0),
    chain: str = "A",
) -> gemmi.Structure:
    """A bundle of short helices, 0.05 atoms per Å^3 inside, 8 atoms per residue.

    Every seventh residue has a sulphur; B rises smoothly from b_iso[0] at the centre to b_iso[1]
    at the farthest atom.  The mean of the atoms is at `centre`, Å.  It has no symmetry.
    """
    structure = gemmi.Structure()
    structure.name = "synthetic"
    structure.spacegroup_hm = "P 1"
    structure.add_model(_first_model())
    structure[0].add_chain(gemmi.Chain(chain))
    positions = []
    for number in range(n_residues):
        bundle, place = divmod(number, _LONGEST)
        residue = gemmi.Residue()
        residue.name = "MET" if number % 7 == 6 else "LEU"
        residue.seqid = gemmi.SeqId(str(number + 1))
        for name, (radius, angle, height, element) in _RESIDUE.items():
            atom = gemmi.Atom()
            sulphur = residue.name == "MET" and name == "CD1"
            atom.name = "SD" if sulphur else name
            atom.element = gemmi.Element("S" if sulphur else element)
            residue.add_atom(atom)
            phi = np.deg2rad(angle + _TURN * place + 60 * bundle)
            axis = _lattice(bundle)
            positions.append(
                (
                    axis[0] + radius * np.cos(phi),
                    axis[1] + radius * np.sin(phi),
                    height + _RISE * place + 2.1 * (bundle % 2),
                )
            )
        structure[0][0].add_residue(residue)
    xyz = np.array(positions)
    xyz += np.array(centre) - xyz.mean(axis=0)
    radius = np.linalg.norm(xyz - centre, axis=1)
    field = b_iso[0] + (b_iso[1] - b_iso[0]) * (radius / radius.max()) ** 2
    atoms = [site.atom for site in structure[0].all()]
    for atom, position, b in zip(atoms, xyz, field, strict=True):
        atom.pos = gemmi.Position(*position)
        atom.b_iso = float(b)
    structure.setup_entities()
    return structure


def box_centre(
    shape: tuple[int, int, int], voxel: float, origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> tuple[float, float, float]:
    """Position in Å of voxel n // 2 of a box (nz, ny, nx)."""
    x, y, z = (n // 2 * voxel + start for n, start in zip(shape[::-1], origin, strict=True))
    return x, y, z


def density(structure: gemmi.Structure, grid: Grid, *, blur: float = 0.0) -> np.ndarray:
    """Density of a structure on a grid by gemmi, [z, y, x] float32, B raised by `blur`."""
    extra = 20.0 + 8 * grid.step**2
    calculator = gemmi.DensityCalculatorE()
    calculator.grid.set_unit_cell(gemmi.UnitCell(*grid.cell, 90, 90, 90))
    calculator.grid.spacegroup = gemmi.SpaceGroup("P 1")
    calculator.grid.set_size(*grid.shape[::-1])
    calculator.blur = extra
    calculator.cutoff = 1e-7
    calculator.d_min = 2 * grid.step
    model = structure[0].clone()
    shift = gemmi.Position(*(-start for start in grid.origin))
    for site in model.all():
        site.atom.pos = site.atom.pos + shift
    calculator.add_model_density_to_grid(model)
    values = np.array(calculator.grid.array, dtype=np.float64).transpose(2, 1, 0)
    return _filtered(
        values, grid, lambda s2: np.exp((extra - blur) * s2 / 4) * (s2 < (0.5 / grid.step) ** 2)
    )


def half_maps(
    structure: gemmi.Structure,
    shape: tuple[int, int, int],
    voxel: float,
    resolution: float,
    seed: int,
    *,
    blur: float = 60.0,
    solvent: float = 0.0,
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> tuple[Map, Map, Map]:
    """Two half maps and the truth: model density, blurred, plus white noise of its own each.

    Parameters
    ----------
    structure : gemmi.Structure
        In the frame of the map: see `box_centre`.
    shape : (nz, ny, nx)
    voxel : float
        Å.
    resolution : float
        Å, where the FSC of the halves inside the particle crosses 0.143.
    seed : int
    blur : float
        Å^2, B by which the halves, and not the truth, are blurred.
    solvent : float
        Level of a flat bulk solvent in units of the mean density within 2.5 Å of an atom.
    origin : (x, y, z)
        Å, centre of voxel [0, 0, 0].
    """
    grid = Grid(shape, (voxel, voxel, voxel), origin)
    truth = density(structure, grid)
    distance = _distance_to_atoms(structure, grid)
    if solvent:
        inside = distance < 2.5
        flat = np.where(inside, 0.0, solvent * truth[inside].mean())
        truth += _filtered(flat, grid, lambda s2: np.exp(-30 * s2))
    signal = _filtered(truth, grid, lambda s2: np.exp(-blur * s2 / 4))
    sigma = np.sqrt(_noise_variance(signal, distance, grid, resolution))
    rng = np.random.default_rng(seed)
    halves = [signal + rng.normal(0.0, sigma, shape) for _ in range(2)]
    return (
        Map(halves[0].astype(np.float32), grid, "half 1"),
        Map(halves[1].astype(np.float32), grid, "half 2"),
        Map(truth.astype(np.float32), grid, "truth"),
    )


def _noise_variance(
    signal: np.ndarray, distance: np.ndarray, grid: Grid, resolution: float
) -> float:
    """Variance of white noise for which the masked FSC is 0.143 at `resolution`."""
    mask = ndimage.gaussian_filter((distance < 8.0).astype(float), 2 / grid.step)
    outside = signal[distance > 8.0]
    level = outside.mean() if outside.size else 0.0
    coefficients = np.fft.rfftn((signal - level) * mask)
    shell = np.abs(np.sqrt(_s_squared(grid)) - 1 / resolution) < max(0.01, 1.5 / min(grid.cell))
    power = (np.abs(coefficients[shell]) ** 2).mean()
    return float(power * (1 - 0.143) / 0.143 / (mask**2).mean() / grid.size)


def _distance_to_atoms(structure: gemmi.Structure, grid: Grid) -> np.ndarray:
    """Distance in Å of every voxel to the nearest atom."""
    free = np.ones(grid.shape, dtype=bool)
    xyz = np.array([site.atom.pos.tolist() for site in structure[0].all()])
    free[grid.nearest_voxels(xyz)] = False
    return ndimage.distance_transform_edt(free, grid.voxel_size[::-1])


def _filtered(values: np.ndarray, grid: Grid, transfer) -> np.ndarray:
    """The values times a function of |s|^2 in Fourier space, float64."""
    return np.fft.irfftn(
        np.fft.rfftn(values) * transfer(_s_squared(grid)), grid.shape, axes=(0, 1, 2)
    )


def _s_squared(grid: Grid) -> np.ndarray:
    """|s|^2 of every rfft coefficient, 1/Å^2."""
    (nz, ny, nx), (dx, dy, dz) = grid.shape, grid.voxel_size
    sz, sy, sx = np.fft.fftfreq(nz, dz), np.fft.fftfreq(ny, dy), np.fft.rfftfreq(nx, dx)
    return sz[:, None, None] ** 2 + sy[None, :, None] ** 2 + sx[None, None, :] ** 2


def _lattice(number: int) -> tuple[float, float]:
    """Axis of a helix of the bundle: hexagonal packing, nearest first, no symmetry."""
    points = sorted((x + 0.5 * (y % 2), y * 0.866) for x in range(-4, 5) for y in range(-4, 5))
    ranked = sorted(points, key=lambda p: (round((p[0] - 0.3) ** 2 + (p[1] - 0.21) ** 2, 6), p))
    return _SPACING * ranked[number][0], _SPACING * ranked[number][1]


def _first_model() -> gemmi.Model:
    """A gemmi model numbered 1: versions before 0.7 want a name."""
    try:
        return gemmi.Model(1)
    except TypeError:
        return gemmi.Model("1")
