"""The change between two seeds, as a number and as a sentence."""

import numpy as np
import pytest

from locscale_hybrid.results.seed_check import SeedChange, nothing_to_reseed, seed_change


def test_change_is_its_rms_over_the_sd_inside_the_mask():
    rng = np.random.default_rng(1)
    first = rng.standard_normal((12, 13, 14)).astype(np.float32)
    inside = first > -1
    second = first + np.where(inside, np.float32(0.05), np.float32(9))
    change = seed_change(first, second, inside, 4)
    assert change.rms_over_sd == pytest.approx(0.05 / first[inside].std(), rel=1e-4)


def test_change_does_not_depend_on_the_scale_of_the_map():
    rng = np.random.default_rng(2)
    first, second = rng.standard_normal((2, 6, 6, 6)).astype(np.float32)
    inside = np.ones(first.shape, dtype=bool)
    assert seed_change(first, second, inside, 2).rms_over_sd == pytest.approx(
        seed_change(1000 * first, 1000 * second, inside, 2).rms_over_sd
    )


def test_a_constant_map_has_no_change():
    flat = np.zeros((4, 4, 4), dtype=np.float32)
    assert seed_change(flat, flat, flat == 0, 2).rms_over_sd == 0


def test_two_percent_are_a_warning_and_less_is_none():
    assert not SeedChange(2, 0.0199).findings
    (finding,) = SeedChange(2, 0.0312).findings
    assert finding.level == "warning"
    assert "seed 2 the output changes by 3.1% of its sd" in finding.message


def test_without_pseudo_atoms_it_says_why_there_is_no_number():
    assert "there are no pseudo-atoms" in nothing_to_reseed().message
