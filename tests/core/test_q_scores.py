"""Q-scores against the published values, a plain loop, and a Gaussian."""

import csv
import math
from pathlib import Path

import gemmi
import numpy as np
import pytest

from locscale_hybrid.comparison.q_scores import q_scores, sphere_points
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.maps.mrc import read_map

DATA = Path(__file__).parents[1] / "data"


def integrin():
    """REAL density: a piece of EMD-30342, and places and residues of PDB 7CEC in it."""
    structure = gemmi.read_structure(str(DATA / "30342_crop_model.pdb.gz"))
    sites = [(s.atom.pos.tolist(), str(s.residue.seqid)) for s in structure[0].all()]
    places, numbers = zip(*sites, strict=True)
    return read_map(DATA / "30342_crop.mrc.gz"), np.array(places), numbers


def test_q_of_residues_is_that_of_the_authors_program_on_the_same_map():
    volume, places, numbers = integrin()
    of_residue = {}
    for number, q in zip(numbers, q_scores(places, [volume])[0], strict=True):
        of_residue.setdefault(number, []).append(q)
    with open(DATA / "30342_q_scores.tsv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    published = np.array([float(row["q"]) for row in rows])
    ours = np.array([np.mean(of_residue[row["number"]]) for row in rows])
    assert len(rows) > 100
    assert ours.mean() == pytest.approx(published.mean(), abs=0.02)
    # the published map may have been moved onto another grid since: one residue is .053 off
    beyond = np.abs(ours - published)
    assert np.count_nonzero(beyond > 0.05) <= 1
    assert beyond.max() < 0.055


def plain_q(volume, positions, which):
    """Q of one atom as Pintilie et al. (2020) describe it, one point at a time."""
    centre = positions[which]
    others = [p for i, p in enumerate(positions) if i != which]
    measured, expected = [volume_at(volume, centre)], [1.0]
    for step in range(1, 21):
        radius = 0.1 * step
        for n in range(8, 108, 2):
            free = [
                point
                for point in centre + radius * sphere_points(n)
                if all(math.dist(point, other) >= 0.9 * radius for other in others)
            ]
            if len(free) >= 8:
                break
        measured += [volume_at(volume, point) for point in free]
        expected += [math.exp(-0.5 * (radius / 0.6) ** 2)] * len(free)
    return np.corrcoef(measured, expected)[0, 1]


def volume_at(volume, point):
    """Density by linear interpolation, corner by corner."""
    z, y, x = volume.grid.index_of(np.asarray(point))
    total = 0.0
    for k in (0, 1):
        for j in (0, 1):
            for i in (0, 1):
                weight = ((1 - abs(z - (int(z) + k))) * (1 - abs(y - (int(y) + j)))) * (
                    1 - abs(x - (int(x) + i))
                )
                total += weight * float(volume.values[int(z) + k, int(y) + j, int(x) + i])
    return total


def test_q_of_atoms_is_that_of_a_plain_loop():
    volume, places, _ = integrin()
    low, high = volume.grid.position_of(np.array([[4, 4, 4], [12, 12, 12]]))
    positions = places[((places > low) & (places < high)).all(axis=1)]
    assert len(positions) >= 15
    scores = q_scores(positions, [volume])[0]
    for which in (0, 7, 14):
        assert scores[which] == pytest.approx(plain_q(volume, positions, which), abs=1e-5)


def test_q_of_a_gaussian_of_0_6_angstrom_is_1():
    grid = Grid((41, 43, 45), (0.2, 0.2, 0.2), (-4.4, -4.2, -4.0))
    places = grid.position_of(np.stack(np.indices(grid.shape), axis=-1))
    values = np.exp(-0.5 * (places**2).sum(axis=-1) / 0.6**2).astype(np.float32)
    scores = q_scores(np.zeros((1, 3)), [Map(values, grid), Map(-values, grid)])
    assert scores[:, 0] == pytest.approx([1, -1], abs=2e-3)


def test_atom_at_the_face_of_the_map_has_no_score_and_neighbours_get_none():
    grid = Grid((20, 20, 20), (1.0, 1.0, 1.0))
    values = np.random.default_rng(1).normal(size=grid.shape).astype(np.float32)
    positions = np.array([[10.0, 10, 10], [1.0, 10, 10], [12.0, 10, 10]])
    scores = q_scores(positions, [Map(values, grid)], count=2)
    assert scores.shape == (1, 2)
    assert np.isfinite(scores[0]).tolist() == [True, False]


def test_points_on_the_sphere_are_unit_vectors_without_a_direction_in_common():
    points = sphere_points(60)
    assert np.linalg.norm(points, axis=1) == pytest.approx(np.ones(60))
    assert np.abs(points.mean(axis=0)).max() < 0.02
