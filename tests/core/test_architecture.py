"""What a reader of the source relies on: the figure and table of packages, public names, rooms."""

import subprocess
import sys
from pathlib import Path

import pytest

import locscale_hybrid

ROOT = Path(__file__).parents[2]
CORE = ROOT / "src/core/locscale_hybrid"
MOST = 12  # modules of a folder


def test_figure_and_table_are_current(tmp_path):
    figure, table = tmp_path / "figure.svg", tmp_path / "table.md"
    subprocess.run(
        [sys.executable, ROOT / "docs/pictures/architecture.py", figure, table], check=True
    )
    assert figure.read_text() == (ROOT / "docs/images/architecture.svg").read_text()
    assert table.read_text() == (ROOT / "docs/tables/packages.md").read_text()


@pytest.mark.parametrize("name", locscale_hybrid.__all__)
def test_public_name_is_there(name):
    assert getattr(locscale_hybrid, name) is not None


def test_no_folder_holds_more_modules_than_a_reader_can_survey():
    folders = [path.parent for path in CORE.rglob("__init__.py")]
    assert len(folders) > 15
    crowded = {
        str(folder.relative_to(CORE)): count
        for folder in folders
        if (count := len([path for path in folder.glob("*.py") if path.name != "__init__.py"]))
        > MOST
    }
    assert crowded == {}
