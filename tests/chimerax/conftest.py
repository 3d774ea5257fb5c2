"""One session of the real ChimeraX core for all tests of this folder."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "harness")]


def pytest_collection_modifyitems(items):
    """Mark the tests; warnings of ChimeraX's own old code are no errors of ours."""
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker("chimerax")
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session")
def chimerax_session(tmp_path_factory):
    """The session; ChimeraX keeps its commands in module globals, so there is one a process."""
    from chimerax_core import start_session
    from closed_chains import watch

    streams = sys.stdout, sys.stderr, sys.excepthook
    session = start_session(str(tmp_path_factory.mktemp("chimerax home")))
    sys.stdout, sys.stderr, sys.excepthook = streams
    watch()
    return session


@pytest.fixture
def session(chimerax_session):
    """An empty session with an empty log; nothing of a test is left to the next."""
    from chimerax_core import process_events, run
    from closed_chains import take_left

    chimerax_session.log.messages.clear()
    chimerax_session.log.statuses.clear()
    yield chimerax_session
    run(chimerax_session, "close session")
    process_events(chimerax_session)
    assert take_left() == [], "a later garbage collection would crash"


@pytest.fixture
def run(session):
    """Run a command and return its value."""
    from chimerax_core import run as run_command

    return lambda text: run_command(session, text)


@pytest.fixture
def refused(run):
    """Run a command that must end in a UserError; return its text."""

    def refuse(text):
        from chimerax.core.errors import UserError

        with pytest.raises(UserError) as error:
            run(text)
        return str(error.value)

    return refuse


@pytest.fixture
def fake_core(monkeypatch, tmp_path):
    """Start the fake in place of the core; returns a function that sets how it behaves."""
    from locscale_hybrid.parallel import processes

    def start(job, *, python, application=None, errors=None, scratch=None, hold=False):
        with open(errors, "wb") as stream:
            return subprocess.Popen(
                [sys.executable, str(HERE / "fake_core.py"), "--job", str(job)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                start_new_session=True,
            )

    monkeypatch.setattr(processes, "start_core", start)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return lambda behaviour: monkeypatch.setenv("FAKE_CORE", behaviour)


_APPLICATION = []  # for as long as the process


@pytest.fixture(scope="module")
def application():
    """Qt's application, which has to outlive all widgets, as in ChimeraX."""
    widgets = pytest.importorskip(
        "PyQt6.QtWidgets", exc_type=ImportError, reason="PyQt6 or its Debian libraries are missing"
    )
    if not _APPLICATION:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("QT_QPA_PLATFORM", "offscreen")
            _APPLICATION.append(widgets.QApplication(["test"]))
    return _APPLICATION[0]


@pytest.fixture
def window(session, application, monkeypatch):
    """Make panels: returns a function; ChimeraX's widgets are doubles."""
    import doubles

    doubles.install(monkeypatch)
    from chimerax.locscale.panel.tool import LocScalePanel

    made = []

    def make():
        made.append(LocScalePanel(session, "LocScale Hybrid"))
        return made[-1]

    yield make
    for tool in made:
        tool.delete()
    from chimerax.locscale.settings import settings

    settings(session).reset()


@pytest.fixture
def panel(opened, window):
    """The panel, opened after two half maps and a model."""
    return window()


@pytest.fixture
def opened(run, tmp_path, fake_core):
    """Two half maps as #1 and #2 and a model as #3."""
    from helpers import write_map, write_model

    run("open " + write_map(tmp_path / "half1.mrc", seed=1))
    run("open " + write_map(tmp_path / "half2.mrc", seed=2))
    run("open " + write_model(tmp_path / "model.pdb"))
    run("volume #1 level 3")
