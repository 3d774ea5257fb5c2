"""The bundle as ChimeraX sees it: what it declares, what it ships, how it is installed."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[2]
COMMANDS = {
    f"locscale {word}" for word in ("hybrid", "check", "info", "scores", "adjust", "peak", "stop")
}

INSTALL = """
import sys
sys.path.insert(0, {harness!r})
from chimerax_core import run, start_session
streams = sys.stdout
session = start_session({home!r})
run(session, 'devel install "{source}" noDeps true')
sys.stdout = streams
print(session.log.text("info", "warning", "error", "bug"))
"""


def bundle_info(session):
    return session.toolshed.find_bundle("ChimeraX-LocScale", session.logger)


def test_bundle_offers_commands_tool_and_button(session):
    info = bundle_info(session)
    assert {command.name for command in info.commands} == COMMANDS
    assert [tool.name for tool in info.tools] == ["LocScale Hybrid"]
    assert set(info.providers) == {
        "toolbar/LocScale Hybrid",
        "data formats/LocScale run",
        "open command/LocScale run",
    }
    icon = os.path.join(info.get_path("icons"), "locscale.png")
    assert os.path.getsize(icon) > 500


def test_bundle_has_the_version_of_the_core(session):
    from locscale_hybrid import __version__

    assert str(bundle_info(session).version) == __version__


def test_bundle_declares_what_the_core_needs_and_an_mpi_for_every_system(session):
    declared = list(map(Requirement, importlib.metadata.requires("ChimeraX-LocScale")))
    for system in ("linux", "darwin", "win32"):
        names = {
            each.name
            for each in declared
            if each.marker is None or each.marker.evaluate({"sys_platform": system})
        }
        assert {"numpy", "scipy", "mrcfile", "gemmi", "cattrs"} <= names
        assert {"psutil", "filelock", "threadpoolctl", "mpi4py"} <= names
        assert names & {"mpich", "impi-rt"} == {"impi-rt" if system == "win32" else "mpich"}


def test_nothing_heavy_is_imported_before_a_command_is_used(tmp_path):
    """In a fresh process: the toolshed reads the bundle, and neither core nor Qt comes with it."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from chimerax_core import start_session;"
        "out = sys.stdout; session = start_session(sys.argv[2]); sys.stdout = out;"
        "import chimerax.locscale;"
        "print([name for name in sys.modules if name.split('.')[0] in "
        "('locscale_hybrid', 'mpi4py', 'PyQt6', 'Qt')])"
    )
    done = run_python(script, str(Path(__file__).parent / "harness"), str(tmp_path))
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr


def test_devel_install_puts_shell_core_and_pages_in_the_user_folder(tmp_path):
    source, home = tmp_path / "source tree", tmp_path / "home"
    shutil.copytree(
        PROJECT,
        source,
        ignore=shutil.ignore_patterns(
            ".*", "tests", "examples", "benchmarks", "build", "dist", "*.egg-info", "__pycache__"
        ),
    )
    done = run_python(
        INSTALL.format(
            harness=str(Path(__file__).parent / "harness"), home=str(home), source=source
        )
    )
    assert "Installed ChimeraX-LocScale" in done.stdout, done.stdout + done.stderr
    (installed,) = home.glob("user/data/*/lib/python*/site-packages")
    for name in (
        "chimerax/locscale/commands/commands.py",
        "locscale_hybrid/parameters.py",
        "chimerax/locscale/docs/user/commands/locscale.html",
        "chimerax/locscale/docs/user/tools/locscalehybrid.html",
        "chimerax/locscale/icons/locscale.png",
    ):
        assert (installed / name).is_file(), name
    assert not (installed / "core").exists() and not (installed / "chimerax/locscale/core").exists()


def run_python(script, *arguments):
    """Run a script in this environment's Python."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
