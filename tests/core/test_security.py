"""What SECURITY.md promises about the source."""

import ast
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "src/core/locscale_hybrid"
SOURCES = sorted(CORE.rglob("*.py"))
assert len(SOURCES) > 100  # all packages, not the top folder alone
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "system", "popen", "mktemp"}
FORBIDDEN_MODULES = {
    "pickle",
    "cPickle",
    "marshal",
    "shelve",
    "dill",
    "joblib",
    "requests",
    "urllib",
    "http",
    "ftplib",
    "xmlrpc",
}


def calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            of_module = (
                isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "re"
            )
            yield name if not of_module else f"re.{name}", node


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_nothing_is_evaluated_unpickled_or_given_to_a_shell(path):
    tree = ast.parse(path.read_text())
    assert {name.partition(".")[0] for name in imported(tree)} & FORBIDDEN_MODULES == set()
    for name, call in calls(tree):
        assert name not in FORBIDDEN_CALLS, f"{path.name}:{call.lineno} {name}"
        words = {keyword.arg: getattr(keyword.value, "value", None) for keyword in call.keywords}
        assert not words.get("shell"), f"{path.name}:{call.lineno} shell"
        assert not words.get("allow_pickle"), f"{path.name}:{call.lineno} allow_pickle"


def test_arrays_in_files_are_never_objects():
    """numpy's own default is allow_pickle=False since 1.16.3; nobody turns it on."""
    assert not [path.name for path in SOURCES if "allow_pickle=True" in path.read_text()]
