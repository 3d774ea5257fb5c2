"""Whole runs on real density; sources in examples/data/README.md and tests/data/README.md.

None of these maps comes with half maps, so nothing here says anything about validation.
"""

import gzip
from pathlib import Path

import gemmi
import mrcfile
import numpy as np
import pytest
from scipy.spatial import cKDTree

from locscale_hybrid import HybridInputs, HybridParameters, output_paths, run_hybrid
from locscale_hybrid.maps.mrc import read_frame, read_map
from locscale_hybrid.model.structure import read_model

ROOT = Path(__file__).parents[2]
EXAMPLES, DATA = ROOT / "examples/data", ROOT / "tests/data"


def run(folder, full_map, model, **parameters):
    given = HybridParameters(outputs=frozenset({"model", "mask"}), **parameters)
    return run_hybrid(
        HybridInputs(full_map=full_map, model=model), given, output_paths(folder / "out.mrc")
    )


def codes(result):
    return {finding.code for finding in result.findings}


def asymmetry(path, *turns):
    """Largest rms difference of a map and its images, in sd of the map."""
    values = read_map(path).values.astype(np.float64)
    images = [turn(values) for turn in turns]
    return max(np.sqrt(np.mean((image - values) ** 2)) for image in images) / values.std()


def turned(axes):
    """Two-fold turn about voxel n // 2 of an even box: index i goes to -i mod n."""
    return lambda values: np.roll(np.flip(values, axes), 1, axes)


def quarter_turn(values):
    """Four-fold turn about z through voxel n // 2 of an even cubic box."""
    return np.roll(np.flip(values.swapaxes(1, 2), 2), 1, 2)


def cyclic_turn(values):
    """Three-fold turn about the diagonal."""
    return values.transpose(1, 2, 0)


@pytest.fixture(scope="module")
def haemoglobin(tmp_path_factory):
    return run(
        tmp_path_factory.mktemp("haemoglobin"),
        EXAMPLES / "emd_3488.mrc.gz",
        EXAMPLES / "modelangelo_in_emd3488.cif.gz",
        resolution=3.2,
    )


def test_emd_3488_is_said_to_be_sharpened_and_masked(haemoglobin):
    assert {"sharpened-input", "masked-input", "adp-not-validated"} <= codes(haemoglobin)


def test_each_haem_that_the_model_lacks_gets_ten_pseudo_atoms(haemoglobin):
    built = read_model(haemoglobin.files["model"], keep_pseudo_atoms=True)
    pseudo = cKDTree(built.positions[built.is_pseudo])
    with gzip.open(EXAMPLES / "5ni1.cif.gz", "rt") as file:
        deposited = gemmi.make_structure_from_block(gemmi.cif.read_string(file.read())[0])
    haems = [residue for chain in deposited[0] for residue in chain if residue.name == "HEM"]
    assert len(haems) == 4
    for haem in haems:
        near = pseudo.query_ball_point([atom.pos.tolist() for atom in haem], 3.0)
        assert len(set().union(*near)) >= 10


def test_frame_of_emd_3488_is_kept(haemoglobin):
    given = read_frame(EXAMPLES / "emd_3488.mrc.gz")
    assert read_frame(haemoglobin.output) == given


def test_betagalactosidase_with_two_of_four_chains_is_completed_and_exactly_d2(tmp_path):
    with gzip.open(DATA / "5a1a_in_betaGal.cif.gz", "rt") as file:
        model = gemmi.make_structure_from_block(gemmi.cif.read_string(file.read())[0])
    for name in [chain.name for chain in model[0]][2:]:
        model[0].remove_chain(name)
    model.make_mmcif_document().write_file(str(tmp_path / "two.cif"))
    result = run(
        tmp_path, DATA / "betaGal.mrc.gz", tmp_path / "two.cif", point_group="D2", resolution=8.8
    )
    (assembly,) = (finding for finding in result.findings if finding.code == "assembly")
    assert assembly.values["copies"] == 2
    assert "sharpened-input" not in codes(result)
    assert asymmetry(result.output, turned((1, 2)), turned((0, 1))) < 1e-4
    assert read_frame(result.output) == read_frame(DATA / "betaGal.mrc.gz")


@pytest.mark.long
def test_apoferritin_with_one_of_24_chains_is_completed_and_exactly_o(tmp_path):
    result = run(
        tmp_path,
        DATA / "emd20026_O_1.3A.mrc.gz",
        DATA / "3ajo_chainA.pdb.gz",
        point_group="O",
        resolution=2.9,
    )
    (assembly,) = (finding for finding in result.findings if finding.code == "assembly")
    assert assembly.values["copies"] == 23
    assert asymmetry(result.output, quarter_turn, cyclic_turn) < 1e-4
    with mrcfile.open(DATA / "emd20026_O_1.3A.mrc.gz") as given:
        assert read_map(result.output).grid.shape == given.data.shape
