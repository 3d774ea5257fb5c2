"""The distributions of this tree, built once, and empty environments to install them in."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of this tree and the wheel made from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", folder, ROOT], check=True)
    return folder


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    (path,) = distributions.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def sdist(distributions: Path) -> Path:
    (path,) = distributions.glob("*.tar.gz")
    return path


@pytest.fixture(scope="session")
def bundle_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ChimeraX bundle, built by ChimeraX's own builder."""
    folder = tmp_path_factory.mktemp("bundle")
    python = ROOT / ".venv-chimerax/bin/python"
    if not python.exists():
        pytest.skip("ChimeraX's builder needs Python 3.11, which is not here")
    harness = ROOT / "tests/chimerax/harness/chimerax_core.py"
    subprocess.run([python, harness, "build", ROOT, folder], check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def new_environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make an environment with the given requirements; return its python."""

    def make(*requirements: str | Path, python: str | Path = sys.executable) -> Path:
        folder = tmp_path_factory.mktemp("env") / "with space"
        subprocess.run([ROOT / ".ci/make_venv", folder, python], check=True)
        inside = folder / "bin/python"
        subprocess.run([inside, "-m", "pip", "install", "--quiet", *requirements], check=True)
        return inside

    return make


def interpreter(version: str) -> str | None:
    """Path of a Python of this version that runs, if there is one."""
    return (
        subprocess.run(
            [ROOT / ".ci/find_python", version], check=True, capture_output=True, text=True
        ).stdout.strip()
        or None
    )
