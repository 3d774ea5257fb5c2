"""What is given to users: the pip wheel, the sdist and the ChimeraX bundle."""

import re
import subprocess
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from email.parser import BytesParser
from pathlib import Path

import pytest
from packaging.metadata import Metadata

from tests.packaging.conftest import interpreter

pytestmark = pytest.mark.packaging

EXPECTED_VERSION = r'__version__ = "([0-9.]+)"'


def version_in(path: Path, pattern: str) -> str:
    found = re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
    assert found, f"no version in {path}"
    return found[1]


def files_of(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def metadata_of(wheel: Path) -> bytes:
    (text,) = [
        content for name, content in files_of(wheel).items() if name.endswith(".dist-info/METADATA")
    ]
    return text


def core_modules(wheel: Path) -> dict[str, bytes]:
    return {
        name: content
        for name, content in files_of(wheel).items()
        if name.startswith("locscale_hybrid/") and name.endswith(".py")
    }


def output_of(*words: str | Path, folder: Path) -> str:
    ended = subprocess.run(
        [str(word) for word in words], cwd=folder, check=True, capture_output=True, text=True
    )
    return ended.stdout.strip()


def test_the_version_is_the_same_in_all_four_places(root: Path) -> None:
    versions = {
        version_in(root / "src/core/locscale_hybrid/_version.py", EXPECTED_VERSION),
        version_in(root / "bundle_info.xml", r'<BundleInfo[^>]*\bversion="([^"]+)"'),
        version_in(root / "CITATION.cff", r"^version: (\S+)"),
        tomllib.loads((root / "pyproject.toml").read_text())["tool"]["poetry"]["version"],
    }
    assert len(versions) == 1, versions


def test_pyproject_has_no_table_that_breaks_the_bundle(root: Path) -> None:
    tables = tomllib.loads((root / "pyproject.toml").read_text())
    assert "project" not in tables
    assert "setuptools" not in tables["tool"]


def test_wheel_holds_every_module_of_the_core_and_nothing_else(root: Path, wheel: Path) -> None:
    source = root / "src/core"
    modules = {str(path.relative_to(source)) for path in source.rglob("*.py")}
    assert set(core_modules(wheel)) == modules
    others = {name for name in files_of(wheel) if ".dist-info/" not in name} - modules
    assert others == {"locscale_hybrid/py.typed", "locscale_hybrid/record_schema.json"}


def test_wheel_metadata_is_valid(root: Path, wheel: Path) -> None:
    metadata = Metadata.from_email(metadata_of(wheel), validate=True)
    assert metadata.name == "locscale-hybrid"
    assert metadata.description is not None
    assert metadata.description.strip() == (root / "README.md").read_text("utf-8").strip()
    assert metadata.provides_extra == ["mpi", "pipeliner", "servalcat"]


@pytest.mark.parametrize(
    ("platform", "runtime"), [("linux", "mpich"), ("darwin", "mpich"), ("win32", "impi-rt")]
)
def test_extra_mpi_brings_the_runtime_of_the_platform(
    wheel: Path, platform: str, runtime: str
) -> None:
    metadata = Metadata.from_email(metadata_of(wheel))
    assert metadata.requires_dist
    where = {"sys_platform": platform, "extra": "mpi", "python_version": "3.11"}
    wanted = {
        requirement.name
        for requirement in metadata.requires_dist
        if requirement.marker and requirement.marker.evaluate(where)
    }
    base = {"numpy", "scipy", "mrcfile", "gemmi", "cattrs", "psutil", "filelock", "threadpoolctl"}
    assert wanted - base == {"mpi4py", runtime}


def test_wheel_announces_the_job_of_the_pipeliner(wheel: Path) -> None:
    (text,) = [
        content.decode()
        for name, content in files_of(wheel).items()
        if name.endswith("/entry_points.txt")
    ]
    assert (
        "[ccpem_pipeliner.jobs]\nlocscale_hybrid.postprocess.local_sharpening="
        "locscale_hybrid.pipeliner.job:HybridLocScaleJob\n"
    ) in text


def test_dependencies_have_lower_bounds_only_except_the_pipeliner(wheel: Path) -> None:
    metadata = Metadata.from_email(metadata_of(wheel))
    assert metadata.requires_dist
    capped = {
        requirement.name
        for requirement in metadata.requires_dist
        if any(part.operator not in (">=",) for part in requirement.specifier)
    }
    assert capped == {"ccpem-pipeliner"}


def test_sdist_holds_licence_readme_and_changelog(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml"} <= names


def test_bundle_carries_the_same_core_as_the_wheel(wheel: Path, bundle_wheel: Path) -> None:
    assert core_modules(bundle_wheel) == core_modules(wheel)


def test_bundle_is_named_and_versioned_as_the_wheel(wheel: Path, bundle_wheel: Path) -> None:
    bundle = BytesParser().parsebytes(metadata_of(bundle_wheel))
    assert bundle["Name"] == "ChimeraX-LocScale"
    assert bundle["Version"] == BytesParser().parsebytes(metadata_of(wheel))["Version"]


def test_import_loads_neither_mpi4py_nor_chimerax(wheel: Path, tmp_path: Path) -> None:
    probe = (
        "import sys, locscale_hybrid\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}\n"
        "             & {'mpi4py', 'chimerax', 'pipeliner', 'servalcat', 'matplotlib'}))"
    )
    assert output_of(".venv/bin/python", "-c", probe, folder=Path(__file__).parents[2]) == "[]"


def check_installed(python: Path, folder: Path) -> None:
    """The three ways to start the program, from an empty folder."""
    version = output_of(python, "-m", "locscale_hybrid", "--version", folder=folder)
    assert re.fullmatch(r"locscale-hybrid [0-9.]+", version)
    assert output_of(python.with_name("locscale"), "--version", folder=folder) == version
    assert output_of(python.with_name("locscale-hybrid"), "--version", folder=folder) == version
    assert list(folder.iterdir()) == []


def test_wheel_runs_from_an_empty_folder(
    wheel: Path, tmp_path: Path, new_environment: Callable[..., Path]
) -> None:
    check_installed(new_environment(wheel), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_wheel_runs_on_newer_python(
    version: str, wheel: Path, tmp_path: Path, new_environment: Callable[..., Path]
) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    check_installed(new_environment(wheel, python=python), tmp_path)


def test_oldest_versions_tested_are_the_lower_bounds(root: Path) -> None:
    bounds = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["poetry"]["dependencies"]
    optional = {name for name, entry in bounds.items() if isinstance(entry, dict)}
    tested = (root / "tests/requirements-oldest.txt").read_text()
    for name in bounds.keys() - {"python"} - optional:
        assert re.search(
            rf"^{name}=={bounds[name].removeprefix('>=')}(\.\d+)?$", tested, re.MULTILINE
        ), name
