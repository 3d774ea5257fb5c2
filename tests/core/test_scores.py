"""Scores of residues: correlation by a plain loop, errors, tables, what a run writes (SIMULATED)."""

import csv
import dataclasses

import gemmi
import numpy as np
import pytest

from locscale_hybrid import HybridInputs, HybridParameters, output_paths, run_hybrid
from locscale_hybrid.comparison.scores import COLUMNS, Atoms, atoms_of, score_residues
from locscale_hybrid.files.json_objects import read_run_record
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.maps.mrc import write_map
from locscale_hybrid.model.structure import model_of
from tests.synthetic import box_centre, density, half_maps, small_model

SHAPE, VOXEL, ORIGIN, RESOLUTION = (48, 52, 50), 1.2, (-17.3, 40.0, 5.0), 3.2
GRID = Grid(SHAPE, (VOXEL,) * 3, ORIGIN)


@pytest.fixture(scope="module")
def structure():
    return small_model(54, centre=box_centre(SHAPE, VOXEL, ORIGIN))


@pytest.fixture(scope="module")
def result(structure, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scores")
    first, second, _ = half_maps(structure, SHAPE, VOXEL, RESOLUTION, 7, origin=ORIGIN)
    for name, volume in (("half1", first), ("half2", second)):
        write_map(folder / f"{name}.mrc", volume)
    structure.make_mmcif_document().write_file(str(folder / "model.cif"))
    inputs = HybridInputs(
        half_map_1=folder / "half1.mrc", half_map_2=folder / "half2.mrc", model=folder / "model.cif"
    )
    parameters = HybridParameters(
        resolution=RESOLUTION, outputs=frozenset({"scores"}), complete_model=False
    )
    paths = dataclasses.replace(output_paths(folder / "out.mrc"), report=True)
    return run_hybrid(inputs, parameters, paths)


def test_table_has_a_row_for_every_residue_and_the_record_has_the_same(result, structure):
    with open(result.files["scores"], encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    chain = structure[0][0]
    assert tuple(rows[0]) == COLUMNS
    assert [(r["chain"], r["residue"], r["number"]) for r in rows] == [
        ("A", residue.name, str(residue.seqid)) for residue in chain
    ]
    assert {row["atoms"] for row in rows} == {"8"}
    columns = read_run_record(result.record)["scores"]
    for name in COLUMNS[4:]:
        assert [float(row[name]) for row in rows] == pytest.approx(columns[name])


def test_sharpening_raises_q_and_the_error_is_small_beside_it(result):
    columns = read_run_record(result.record)["scores"]
    before, after, error = (np.array(columns[name]) for name in ("q_before", "q", "q_error"))
    assert after.mean() > before.mean() + 0.02
    assert 0.002 < np.median(error) < 0.1
    assert dict(result.summary)["Q-score"] == (
        f"mean {before.mean():.2f} before and {after.mean():.2f} after sharpening"
    )


def test_well_ordered_residues_have_low_b_and_high_q(result, structure):
    columns = read_run_record(result.record)["scores"]
    true_b = [np.mean([atom.b_iso for atom in residue]) for residue in structure[0][0]]
    assert np.corrcoef(columns["b_iso"], true_b)[0, 1] > 0.9
    assert np.corrcoef(columns["q_before"], true_b)[0, 1] < -0.3


def test_report_draws_every_residue_and_links_the_lowest(result):
    page = result.files["report"].read_text(encoding="utf-8")
    columns = read_run_record(result.record)["scores"]
    lowest = int(np.argmin(columns["q"]))
    assert page.count("<rect x=") >= len(columns["q"])
    assert f'<a href="#residue-{lowest}"><rect' in page
    assert f'<tr id="residue-{lowest}">' in page
    assert f"A {columns['residue'][lowest]} {columns['number'][lowest]}: Q " in page


def test_correlation_is_that_of_a_plain_loop(structure):
    model = model_of(structure.clone(), "model")
    atoms, _ = atoms_of(model)
    noise = np.random.default_rng(5).normal(size=SHAPE).astype(np.float32)
    scores = score_residues(atoms, Map(noise, GRID), d_min=RESOLUTION)
    other = structure.clone()
    for site in other[0].all():
        site.atom.b_iso = 40.0
    expected = band_limited(density(other, GRID))  # by gemmi
    voxels = GRID.position_of(np.stack(np.indices(SHAPE), axis=-1))
    for place in (3, 20):
        inside = np.zeros(SHAPE, dtype=bool)
        for atom in atoms.positions[atoms.residue == place]:
            inside |= ((voxels - atom) ** 2).sum(axis=-1) <= 2.0**2
        plain = np.corrcoef(noise[inside], expected[inside])[0, 1]
        assert scores.correlation[place] == pytest.approx(plain, abs=0.02)


def band_limited(values):
    """A map from 12 Å to the resolution."""
    axes = [np.fft.fftfreq(n, VOXEL) for n in SHAPE[:2]] + [np.fft.rfftfreq(SHAPE[2], VOXEL)]
    s = np.sqrt(sum(f**2 for f in np.meshgrid(*axes, indexing="ij")))
    kept = (s > 1 / 12.5) & (s < 1 / RESOLUTION)
    return np.fft.irfftn(np.fft.rfftn(values) * kept, SHAPE, axes=(0, 1, 2))


def test_error_of_q_is_half_the_difference_of_the_halves_over_neighbours_in_the_chain(structure):
    model = model_of(structure.clone(), "model")
    atoms, _ = atoms_of(model)
    rng = np.random.default_rng(3)
    halves = tuple(Map(rng.normal(size=SHAPE).astype(np.float32), GRID) for _ in range(2))
    average = Map((halves[0].values + halves[1].values) / 2, GRID)
    scores = score_residues(atoms, average, d_min=RESOLUTION, halves=halves)
    q = [score_residues(atoms, half, d_min=RESOLUTION).q for half in halves]
    for i in (0, 30):
        near = [j for j in range(i - 2, i + 3) if j >= 0]
        plain = np.sqrt(np.mean([((q[0][j] - q[1][j]) / 2) ** 2 for j in near]))
        assert scores.q_error[i] == pytest.approx(plain)


def test_of_alternative_conformations_the_first_is_scored():
    structure = small_model(4)
    residue = structure[0][0][1]
    for name in ("CG", "CD1"):
        second = residue[name][0].clone()
        residue[name][0].altloc, second.altloc = "A", "B"
        second.pos = gemmi.Position(second.pos.x + 2, second.pos.y, second.pos.z)
        residue.add_atom(second)
    atoms, which = atoms_of(model_of(structure, "model"))
    assert np.bincount(atoms.residue).tolist() == [8, 8, 8, 8]
    assert len(which) == 32


def test_without_halves_and_b_there_are_gaps_not_numbers():
    grid = Grid((24, 24, 24), (1.0, 1.0, 1.0))
    values = np.random.default_rng(1).normal(size=grid.shape).astype(np.float32)
    atoms = Atoms(
        np.array([[12.0, 12, 12], [500.0, 12, 12]]),
        np.array(["C", "C"]),
        np.array([0, 1]),
        (("A", "GLY", "1"), ("A", "GLY", "2A")),
    )
    scores = score_residues(atoms, Map(values, grid), d_min=3.0)
    first, second = scores.as_csv().splitlines()[1:]
    assert first.startswith("A,GLY,1,1,,")
    assert second == "A,GLY,2A,1,,,,,,"
    assert scores.as_columns()["q_error"] == [None, None]
    assert scores.means["q_before"] is None
