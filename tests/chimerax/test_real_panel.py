"""The panel with the real core: simulated half maps of a D2 particle, one of four chains known."""

import pytest
from chimerax_core import process_events
from panel_helpers import press


@pytest.fixture
def panel(run, window, tmp_path):
    """The panel, opened after the case."""
    from real_case import make_case

    for path in make_case(tmp_path).values():
        run(f'open "{path}"')
    return window()


def test_check_says_what_to_expect_and_offers_the_symmetry(session, panel, monkeypatch):
    from chimerax.locscale.panel import logic as logic_module

    monkeypatch.setattr(logic_module, "CHECK_AFTER", 0.0)

    def checked():
        panel._refresh()
        return panel.logic.is_checked and not panel.logic.check_running

    assert process_events(session, checked)
    covered = panel.logic.facts["coverage"]
    assert 0.1 < covered < 0.6, "one chain of four, a third of it left out"
    resolution = panel.logic.facts["resolution"]
    assert resolution == pytest.approx(3.4, abs=0.4)
    expected = f"Ready: {resolution:.1f} Å, model covers {covered:.0%}"
    assert panel.controls.ready_label.whole() == f"{expected}, C1"
    press(panel, "Use D2")
    assert panel.controls.command_line.text() == "locscale hybrid #1 #2 model #3 sym D2"
    assert process_events(session, checked)
    assert panel.logic.facts["coverage"] > 2 * covered, "with the other chains"
    panel.form.symmetry_entry.setText("C3")
    assert process_events(session, checked)
    press(panel, "Use D2")
    assert panel.form.symmetry_entry.text() == "D2"
