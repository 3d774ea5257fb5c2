"""What decides whether CI accepts: the sum of pytest's reports."""

import subprocess
import sys
from pathlib import Path

import pytest

SUMMARY = Path(__file__).parents[2] / ".ci/summary.py"
PASSED = '<testcase classname="c" name="good"/>'
SKIPPED = (
    '<testcase classname="c" name="away"><skipped type="pytest.skip" message="no MPI"/></testcase>'
)
XFAILED = '<testcase classname="c" name="known"><skipped type="pytest.xfail"/></testcase>'
FAILED = '<testcase classname="c" name="bad"><failure message="assert 1 == 2&#10;more"/></testcase>'

pytestmark = pytest.mark.packaging


def summary(folder: Path, **reports: str) -> tuple[int, list[str]]:
    """Exit code and lines for reports with these test cases; those not named have one pass."""
    for name in ("core", "mpi", "packaging", "chimerax", "core-3.11"):
        cases = f"<testsuite>{reports.get(name, PASSED)}</testsuite>"
        (folder / f"{name}.xml").write_text(f"<testsuites>{cases}</testsuites>")
    ended = subprocess.run(
        [sys.executable, SUMMARY, folder], check=False, capture_output=True, text=True
    )
    return ended.returncode, ended.stdout.splitlines()


def test_five_reports_without_fault_are_accepted(tmp_path: Path) -> None:
    code, lines = summary(tmp_path)
    assert code == 0
    assert lines[-1] == "5 passed, 0 failed, 0 skipped"


def test_a_failure_is_named_in_one_line(tmp_path: Path) -> None:
    code, lines = summary(tmp_path, core=PASSED + FAILED)
    assert code == 1
    assert "    failed: c::bad: assert 1 == 2" in lines
    assert lines[-1] == "5 passed, 1 failed, 0 skipped"


@pytest.mark.parametrize("name", ["mpi", "chimerax"])
def test_skipped_tests_of_mpi_and_chimerax_are_not_accepted(tmp_path: Path, name: str) -> None:
    code, lines = summary(tmp_path, **{name: PASSED + SKIPPED})
    assert code == 1
    assert f"NOT ACCEPTED: 1 {name} tests were skipped" in lines
    assert lines[-1] == "5 passed, 0 failed, 1 skipped"


def test_a_skipped_test_of_the_core_is_accepted(tmp_path: Path) -> None:
    assert summary(tmp_path, core=PASSED + SKIPPED)[0] == 0


def test_an_expected_failure_counts_as_passed(tmp_path: Path) -> None:
    assert summary(tmp_path, mpi=XFAILED)[1][-1] == "5 passed, 0 failed, 0 skipped"


def test_tests_that_never_ran_are_not_accepted(tmp_path: Path) -> None:
    code, lines = summary(tmp_path, chimerax="")
    assert code == 1
    assert "NOT ACCEPTED: the chimerax tests did not run" in lines
