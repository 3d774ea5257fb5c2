"""Progress is one fraction that never falls."""

import sys
from types import SimpleNamespace

import pytest

from locscale_hybrid.errors import Cancelled
from locscale_hybrid.findings import Finding
from locscale_hybrid.progress import _WEIGHTS, STAGES, Progress, peak_memory_gib


class Recorder:
    def __init__(self):
        self.fractions, self.stages, self.findings = [], [], []

    def stage(self, name, index, of):
        self.stages.append((name, index, of))

    def fraction(self, done):
        self.fractions.append(done)

    def finding(self, finding):
        self.findings.append(finding)


def test_weights_cover_the_stages_and_add_up_to_one():
    assert len(_WEIGHTS) == len(STAGES)
    assert sum(_WEIGHTS) == pytest.approx(1.0)


def test_fraction_runs_from_0_to_1_and_never_falls():
    recorder = Recorder()
    progress = Progress(recorder)
    for name in STAGES:
        progress.start(name)
        for done in (0.2, 0.9, 0.4, 1.7):
            progress.update(done)
    assert recorder.fractions[0] == 0
    assert recorder.fractions[-1] == pytest.approx(1.0)
    assert recorder.fractions == sorted(recorder.fractions)


def test_stage_is_told_with_its_number():
    recorder = Recorder()
    Progress(recorder).start("mask")
    assert recorder.stages == [("mask", 2, len(STAGES))]


def test_part_maps_a_step_onto_its_share_of_the_stage():
    recorder = Recorder()
    progress = Progress(recorder)
    progress.start("checks")
    progress.part(0.5, 1.0)(0.5)
    assert recorder.fractions[-1] == pytest.approx(0.75 * _WEIGHTS[0])


def test_findings_are_passed_on():
    recorder = Recorder()
    finding = Finding("x", "note", "a fact")
    progress = Progress(recorder)
    progress.found(finding)
    assert recorder.findings == [finding]
    assert progress.findings == (finding,)


def test_a_stop_request_ends_the_run():
    with pytest.raises(Cancelled, match="stopped; nothing has been written"):
        Progress(stop_requested=lambda: True).start("checks")


@pytest.mark.skipif(sys.platform == "win32", reason="compares with what Unix says")
def test_peak_memory_is_what_the_system_says():
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
    assert peak_memory_gib() == pytest.approx(peak / 2**30, rel=0.01)


def test_peak_memory_on_windows_is_that_of_the_working_set(monkeypatch):
    """With a fake: no Windows is here."""
    import psutil

    told = SimpleNamespace(memory_info=lambda: SimpleNamespace(peak_wset=3 * 2**29))
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(psutil, "Process", lambda: told)
    assert peak_memory_gib() == 1.5
