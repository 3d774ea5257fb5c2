"""How far the reference is from the truth, in windows around what was left out of the model."""

import numpy as np
from scipy.spatial import cKDTree
from truth import Truth

EDGE, COARSEST = 25.0, 11.0  # Å
MOSTLY = 0.6  # of a window's atoms that are missing


def reference_error(truth: Truth, reference: np.ndarray) -> dict[str, float]:
    """Rms of ln(amplitude of the reference / of the truth) over windows and shells.

    One scale and one B, fitted in the windows of the modelled part, are taken off first: the
    absolute level is not what is judged.
    """
    removed, modelled = _centres(truth)
    n = int(round(EDGE / truth.voxel)) | 1
    centres = np.concatenate([modelled, removed])
    given, wanted = (_profiles(values, centres, n) for values in (reference, truth.values))
    frequency = np.arange(given.shape[1]) / (n * truth.voxel)
    shells = (frequency >= 1 / COARSEST) & (frequency < 0.36)
    ratio, s_squared = np.log(given / wanted)[:, shells], frequency[shells] ** 2
    common = np.polyfit(s_squared, ratio[: len(modelled)].mean(axis=0), 1)
    ratio = ratio - np.polyval(common, s_squared)
    ratio = ratio[:, frequency[shells] <= 1 / truth.d_min + 0.01]
    rms = {}
    for name, rows in (("mod", ratio[: len(modelled)]), ("unm", ratio[len(modelled) :])):
        if len(rows):
            rms[f"reference_{name}"] = float(np.sqrt(np.mean(rows**2)))
    return rms


def _centres(truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    """Voxels in the removed part and in the modelled part."""
    tree = cKDTree(truth.full)
    chosen = []
    for which, every, share in ((truth.gone, 12, MOSTLY), (~truth.gone, 20, 0.8)):
        points = truth.full[which][::every]
        near = tree.query_ball_point(points, EDGE / 2)
        own = np.array([which[list(members)].mean() for members in near])
        points = points[own > share] if len(points) else points
        chosen.append(np.rint(points[:, ::-1] / truth.voxel).astype(int))
    return chosen[0], chosen[1]


def _profiles(values: np.ndarray, centres: np.ndarray, n: int) -> np.ndarray:
    """Mean amplitude in shells of cubes around voxels."""
    arm = np.arange(n) - n // 2
    full, half = np.fft.fftfreq(n) * n, np.fft.rfftfreq(n) * n
    shell = np.rint(np.sqrt(full[:, None, None] ** 2 + full[None, :, None] ** 2 + half**2))
    shell = shell.astype(int)
    weight = np.where(np.arange(n // 2 + 1) == 0, 1.0, 2.0) * np.ones(shell.shape)
    size = n // 2 + 1
    count = np.bincount(shell.ravel(), weight.ravel())[:size]
    rows = []
    for centre in centres:
        index = [(c + arm) % edge for c, edge in zip(centre, values.shape, strict=True)]
        amplitude = np.abs(np.fft.rfftn(values[np.ix_(*index)])) * weight
        rows.append(np.bincount(shell.ravel(), amplitude.ravel())[:size] / count)
    return np.array(rows)
