"""A simulated case, and one finished job for all tests that only look at it."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from tests.program import make_case

HERE = Path(__file__).parent
CHEAP = {"resolution": "3.4", "processes": "1"}


def pytest_collection_modifyitems(items):
    """Mark the tests; warnings of the Pipeliner's own code are no errors of ours."""
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker("pipeliner")
            item.add_marker(pytest.mark.filterwarnings("default"))
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))  # runs detached


@pytest.fixture(scope="session", autouse=True)
def settings(tmp_path_factory):
    """Settings in a temporary folder, and the programs of this environment on PATH."""
    if importlib.util.find_spec("pipeliner") is None:
        pytest.skip("ccpem-pipeliner is not installed: make test-pipeliner")
    with pytest.MonkeyPatch.context() as patch:
        home = str(tmp_path_factory.mktemp("home"))
        patch.setenv("HOME", home)
        patch.setenv("XDG_CONFIG_HOME", home)
        patch.setenv("PATH", os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
        yield


@pytest.fixture(scope="session")
def case(tmp_path_factory):
    """Simulated half maps and a model of two thirds of them."""
    return make_case(tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="session")
def given(case):
    """The options that name the inputs of the case, and make it quick."""
    return {
        "input_halfmap1": str(case.inputs.half_map_1),
        "input_halfmap2": str(case.inputs.half_map_2),
        "input_model": str(case.inputs.model),
        **CHEAP,
    }


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A new project in the current folder, whose name has a space and a letter beyond ASCII."""
    from tests.pipeliner.project import Project

    folder = tmp_path / "my projét"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Project()


@pytest.fixture(scope="session")
def finished_in(tmp_path_factory, given):
    """The folder of a project, and its one job, which wrote everything it can."""
    from tests.pipeliner.project import Project

    folder = tmp_path_factory.mktemp("finished projét")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = Project().run(
            **given, output_halves="Yes", output_diagnostics="Yes", output_reference="Yes"
        )
    return folder, done


@pytest.fixture
def finished(finished_in, monkeypatch):
    """The finished job, in the folder of its project."""
    folder, done = finished_in
    monkeypatch.chdir(folder)
    return done
