"""The figure and the table of packages in the manual are those of the source."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORE = ROOT / "src/core/locscale_hybrid"


def test_figure_and_table_are_current(tmp_path):
    figure, table = tmp_path / "figure.svg", tmp_path / "table.md"
    subprocess.run([sys.executable, ROOT / "docs/pictures/architecture.py", figure, table],
                   check=True)
    assert figure.read_text() == (ROOT / "docs/images/architecture.svg").read_text()
    assert table.read_text() == (ROOT / "docs/tables/packages.md").read_text()


def test_no_folder_holds_more_modules_than_a_reader_can_survey():
    folders = [path.parent for path in CORE.rglob("__init__.py")]
    assert len(folders) > 15
    crowded = {str(folder.relative_to(CORE)): count for folder in folders
               if (count := len([path for path in folder.glob("*.py")
                                 if path.name != "__init__.py"])) > MOST}
    assert crowded == {}


MOST = 13
