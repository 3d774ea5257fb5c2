"""The Slurm script of the manual, with a stand-in for srun."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs/slurm/locscale.sbatch"

pytestmark = pytest.mark.packaging


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A folder on PATH with an srun that writes down its arguments, and an empty environment."""
    srun = tmp_path / "bin/srun"
    srun.parent.mkdir()
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$ASKED"\n')
    srun.chmod(0o755)
    (tmp_path / "bin/activate").touch()
    return {
        "PATH": f"{srun.parent}:{os.environ['PATH']}",
        "LOCSCALE_ENV": str(tmp_path),
        "ASKED": str(tmp_path / "asked"),
    }


def test_script_is_valid_shell() -> None:
    subprocess.run(["bash", "-n", SCRIPT], check=True)


def test_script_hands_names_with_spaces_to_srun(
    environment: dict[str, str], tmp_path: Path
) -> None:
    subprocess.run(
        ["bash", SCRIPT, "half 1.mrc", "half 2.mrc", "my model.cif", "out.mrc", "-sym", "D2"],
        env=environment,
        check=True,
    )
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == [
        "--cpu-bind=none",
        "locscale",
        "-hm",
        "half 1.mrc",
        "half 2.mrc",
        "-mc",
        "my model.cif",
        "-o",
        "out.mrc",
        "--complete_model",
        "-mpi",
        "-op",
        "out_locscale",
        "--resume",
        "-sym",
        "D2",
    ]


def test_script_without_its_four_files_asks_for_nothing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    ended = subprocess.run(
        ["bash", SCRIPT, "half1.mrc"], env=environment, check=False, capture_output=True
    )
    assert ended.returncode != 0
    assert not (tmp_path / "asked").exists()
