"""Halves that do not stand in one place: shifted, mirrored, turned; and those that do."""

from pathlib import Path

import numpy as np
import pytest

from locscale_hybrid.errors import InputError
from locscale_hybrid.fourier.space import FourierSpace
from locscale_hybrid.inputs.half_alignment import align_halves, alignment_findings
from locscale_hybrid.maps.grid import Grid
from locscale_hybrid.model.structure import atom_positions, moved_structure, read_model
from tests.synthetic import box_centre, half_maps, small_model

SHAPE, VOXEL = (58, 60, 64), 1.1


@pytest.fixture(scope="module")
def halves():
    """Simulated from a real protein: a bundle of helices looks like its mirror image."""
    model = read_model(Path(__file__).parents[1] / "data/3J6B_9.pdb.gz")
    shift = np.array(box_centre(SHAPE, VOXEL)) - model.positions.mean(axis=0)
    structure = moved_structure(model.structure, atom_positions(model.structure) + shift)
    return half_maps(structure, SHAPE, VOXEL, 3.5, 1, solvent=0.35)[:2]


def moved(values, shift, voxel=VOXEL):
    """Values shifted by (x, y, z) Å, by the phases of numpy's transform."""
    frequencies = np.meshgrid(*(np.fft.fftfreq(n, voxel) for n in values.shape), indexing="ij")
    phase = sum(f * s for f, s in zip(frequencies, shift[::-1], strict=True))
    return np.fft.ifftn(np.fft.fftn(values) * np.exp(-2j * np.pi * phase)).real.astype(np.float32)


def alignment(one, two, voxel=VOXEL):
    space = FourierSpace(Grid(one.shape, (voxel,) * 3))
    return space.grid, align_halves(space, space.forward(one), space.forward(two))


def findings(one, two, voxel=VOXEL):
    return alignment_findings(("a.mrc", "b.mrc"), *alignment(one, two, voxel))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("resolution", [3.0, 4.5, 7.0])
def test_halves_of_one_reconstruction_are_in_place(seed, resolution):
    structure = small_model(54, centre=box_centre((48,) * 3, 1.4))
    one, two, _ = half_maps(structure, (48,) * 3, 1.4, resolution, seed, blur=90)
    _, found = alignment(one.values, two.values, 1.4)
    assert np.linalg.norm(found.shift) < 4 * found.deviation
    assert findings(one.values, two.values, 1.4) == []


@pytest.mark.parametrize("shift", [(0.6, 0.0, 0.0), (1.1, -2.2, 0.4), (0.0, 0.0, -14.7)])
def test_shift_of_half_map_2_is_found_with_its_sign(halves, shift):
    one, two = (half.values for half in halves)
    _, found = alignment(one, moved(two, shift))
    assert found.shift == pytest.approx(-np.array(shift), abs=0.1)
    assert found.best > found.fsc
    (told,) = findings(one, moved(two, shift))
    assert (told.code, told.level) == ("halves-shifted", "warning")
    assert told.values["shift_angstrom"] == pytest.approx(np.linalg.norm(shift), abs=0.1)
    assert told.message.startswith("b.mrc is shifted against a.mrc: moved by (")
    assert "or fit the second to the first and resample it onto its grid" in told.message


@pytest.mark.parametrize(("axes", "words"), [((0,), "z"), ((2,), "x"), ((0, 1, 2), "x, y and z")])
def test_half_map_of_the_other_hand_is_named(halves, axes, words):
    one, two = (half.values for half in halves)
    _, found = alignment(one, np.ascontiguousarray(np.flip(two, axes)))
    assert found.mirror == words
    (told,) = findings(one, np.ascontiguousarray(np.flip(two, axes)))
    assert told.code == "halves-mirrored"
    assert f"reversed along {words} their FSC between 25 and 10 Å is 1.00, and" in told.message


def test_turned_halves_and_noise_are_neither_shifted_nor_mirrored(halves):
    one, two = (half.values for half in halves)
    with pytest.raises(InputError, match=r"b.mrc is turned against a.mrc: turned by 180° about y"):
        findings(one, np.ascontiguousarray(two[::-1, :, ::-1]))
    noise = np.random.default_rng(4).normal(size=SHAPE).astype(np.float32)
    assert findings(one, noise) == []
