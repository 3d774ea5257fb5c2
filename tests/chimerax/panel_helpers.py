"""What several tests of the panel do."""


def background(monkeypatch):
    """Have runs go on in the background, as with a window."""
    from chimerax.locscale.commands import start

    monkeypatch.setattr(start, "_waits", lambda session: False)


def press(panel, label):
    (button,) = [button for button in panel.notice_list.buttons if button.text() == label]
    button.click()


def findings_of(panel, monkeypatch, *findings):
    """Have a check find something."""
    panel.logic.findings, panel.logic._checked = list(findings), panel.logic._signature
    monkeypatch.setattr(panel.logic, "_start_check", lambda signature: None)
    panel._refresh()
