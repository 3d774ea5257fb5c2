"""The cost of a stage."""

import numpy as np
import pytest

from locscale_hybrid.progress import Timings, peak_memory_gib


def test_a_stage_that_runs_twice_is_added_up():
    timings = Timings()
    for _ in range(2):
        with timings.stage("mask"):
            np.linalg.svd(np.random.default_rng(0).standard_normal((150, 150)))
    cost = timings.stages["mask"]
    assert cost.wall_seconds > 0
    assert timings.total_cpu_seconds == pytest.approx(cost.cpu_seconds)


def test_cost_is_kept_when_the_stage_fails():
    timings = Timings()
    with pytest.raises(ZeroDivisionError), timings.stage("adp"):
        _ = 1 / 0
    assert "adp" in timings.stages


def test_peak_memory_holds_an_array_of_a_tenth_of_a_gib():
    before = peak_memory_gib()
    block = np.ones(int(0.1 * 2**30), dtype=np.uint8)
    assert peak_memory_gib() >= min(before, 0.1)
    assert peak_memory_gib() > 0.1
    assert block.all()
