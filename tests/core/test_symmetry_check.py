"""Symmetry that is there, is not, or lies otherwise; on real density of known groups."""

from pathlib import Path

import numpy as np
import pytest

from locscale_hybrid.errors import InputError
from locscale_hybrid.fourier.space import FourierSpace
from locscale_hybrid.inputs.half_maps import without_solvent_mean
from locscale_hybrid.inputs.symmetry_check import (
    check_symmetry,
    dense_region,
    low_passed,
    suggested_symmetry,
)
from locscale_hybrid.maps.mrc import read_map
from locscale_hybrid.symmetry.operators import symmetry_of

DATA = Path(__file__).parents[1] / "data"
EXAMPLES = Path(__file__).parents[2] / "examples" / "data"
BETAGAL, TRPML1, HAEMOGLOBIN = (
    DATA / "betaGal.mrc.gz",
    DATA / "emd_6824.mrc.gz",
    EXAMPLES / "emd_3488.mrc.gz",
)
APOFERRITIN = DATA / "emd20026_O_1.3A.mrc.gz"


def check(path, symbol, resolution, centre=None):
    volume = without_solvent_mean(read_map(path))
    coefficients = FourierSpace(volume.grid).forward(volume.values)
    symmetry = symmetry_of(volume.grid, symbol, centre)
    return check_symmetry(volume.grid, coefficients, symmetry, resolution=resolution)


@pytest.mark.parametrize(
    ("path", "symbol", "resolution"),
    [
        (BETAGAL, "D2", 8.8),
        (BETAGAL, "C2", None),
        (BETAGAL, "C1", 8.8),
        (TRPML1, "C4", 5.8),
        (HAEMOGLOBIN, "C2", 3.2),
        (APOFERRITIN, "O", 2.6),
        (APOFERRITIN, "T222", 2.6),
    ],
)
def test_symmetry_that_is_there_raises_no_alarm(path, symbol, resolution):
    assert check(path, symbol, resolution) == []


@pytest.mark.parametrize(
    ("path", "symbol", "resolution", "words"),
    [
        (
            HAEMOGLOBIN,
            "D2",
            3.2,
            r"not look D2-symmetric about voxel \(50, 50, 50\).*to 0\.0\d at "
            r"worst, and 0\.9.*C2 fits \(correlation 1\.00\)",
        ),
        (BETAGAL, "C4", 8.8, r"D2 fits \(correlation 1\.00\)\. Set `point_group` to D2"),
        (APOFERRITIN, "I1", 2.6, r"O fits"),
        (APOFERRITIN, "T", 2.6, r"O fits"),
    ],
)
def test_symmetry_that_is_not_there_is_refused_and_the_one_that_fits_named(
    path, symbol, resolution, words
):
    with pytest.raises(InputError, match=words):
        check(path, symbol, resolution)


def test_weak_symmetry_is_a_warning_that_names_the_one_that_fits():
    (found,) = check(TRPML1, "C5", 5.8)
    assert (found.code, found.level) == ("symmetry-weak", "warning")
    assert 0.5 < found.values["correlation"] < 0.9
    assert "C4 fits" in found.message


def test_wrong_centre_is_refused_and_the_right_one_named():
    with pytest.raises(InputError, match=r"voxel \(47, 51, 50\).*symmetry center 50 50 50"):
        check(HAEMOGLOBIN, "C2", 3.2, (47, 51, 50))


def test_map_without_any_symmetry_is_told_to_leave_it_out():
    with pytest.raises(InputError, match=r"none of C2 to C8.*Leave out `point_group`"):
        check(DATA / "6272_crop.mrc.gz", "C2", 3.0)


@pytest.mark.parametrize(
    ("path", "symbol", "resolution"),
    [(BETAGAL, "D2", 8.8), (TRPML1, "C4", 5.8), (HAEMOGLOBIN, "C2", None), (APOFERRITIN, "O", 2.6)],
)
def test_symmetry_that_the_map_shows_is_suggested(path, symbol, resolution):
    volume = without_solvent_mean(read_map(path))
    (found,) = suggested_symmetry(
        volume.grid, FourierSpace(volume.grid).forward(volume.values), resolution=resolution
    )
    assert (found.code, found.level) == ("symmetry-suggested", "note")
    assert found.values["point_group"] == symbol and found.values["correlation"] >= 0.9
    assert f"the map looks {symbol}-symmetric about voxel (" in found.message
    assert found.remedies[0].value == symbol


def test_nothing_is_suggested_for_a_map_without_symmetry():
    volume = without_solvent_mean(read_map(DATA / "6272_crop.mrc.gz"))
    assert suggested_symmetry(volume.grid, FourierSpace(volume.grid).forward(volume.values)) == []


def test_low_pass_halves_the_amplitude_at_its_resolution():
    volume = read_map(HAEMOGLOBIN)
    space = FourierSpace(volume.grid)
    coefficients = space.forward(volume.values)
    low = low_passed(volume.grid, coefficients, 10.5)
    coarse = FourierSpace(low.grid)
    assert low.grid.cell == pytest.approx(volume.grid.cell)
    shell = 10  # 105 Å box: 10.5 Å
    ratio = (
        coarse.power(coarse.forward(low.values))[shell]
        / coarse.count[shell]
        / (space.power(coefficients)[shell] / space.count[shell])
    )
    scale = (low.values.size / volume.values.size) ** 2
    assert np.sqrt(ratio / scale) == pytest.approx(0.5, abs=0.02)


def test_dense_region_holds_the_particle_and_not_the_solvent():
    volume = without_solvent_mean(read_map(BETAGAL))
    low = low_passed(volume.grid, FourierSpace(volume.grid).forward(volume.values), 17.6)
    region = dense_region(low)
    assert 0.01 < region.mean() < 0.1
    assert region[low.values > 0.5 * low.values.max()].all()
