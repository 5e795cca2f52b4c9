"""The tests mirror `plugins/rebake`, and share nothing but what is in support modules and fixtures."""

import ast
from collections.abc import Iterator
from pathlib import Path

# Modules without a test of their own, and why. A test takes a module off this list.
COVERED_BY_USERS = {
    # They only declare: models, names, exceptions.
    *("config/probe.py", "config/strict.py", "exceptions.py", "paths.py", "release/stage.py", "estate/tasks.py"),
    # They only give a client to functions that are tested where they are.
    *("hooks/bucket.py", "hooks/lease.py"),
}
WHOLE_FOLDER = {"stages/test_stages.py"}
"""Tests of what holds for all modules, in the folder of what they share."""


def _modules(project: Path) -> Iterator[Path]:
    """Yield the modules, relative to `plugins/rebake`."""
    root = project / "plugins" / "rebake"
    yield from (file.relative_to(root) for file in root.rglob("*.py") if file.name != "__init__.py")


def _covers(test: str, module: Path) -> bool:
    return test == f"test_{module.stem}.py" or test.startswith(f"test_{module.stem}_")


def test_every_module_has_a_test_at_its_address(project: Path) -> None:
    unit = project / "tests" / "unit"

    without = {
        str(module)
        for module in _modules(project)
        if not any(_covers(test.name, module) for test in (unit / module.parent).glob("test_*.py"))
    }

    assert without - COVERED_BY_USERS == set(), "give each a tests/unit/<folder>/test_<module>.py"
    assert COVERED_BY_USERS - without == set(), "these have a test now, or are gone: take them off the list"


def test_every_test_in_a_folder_of_the_plugins_has_its_module(project: Path) -> None:
    unit, modules = project / "tests" / "unit", list(_modules(project))
    folders = {module.parent for module in modules} - {Path()}

    without = {
        str(test.relative_to(unit))
        for folder in folders
        for test in (unit / folder).glob("test_*.py")
        if not any(_covers(test.name, module) for module in modules if module.parent == folder)
    }

    assert without == WHOLE_FOLDER


def test_no_file_of_the_tests_imports_a_test(project: Path) -> None:
    imported = {
        f"{file.relative_to(project)}:{node.lineno}"
        for file in (project / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for name in _names(node)
        if name.startswith("tests.") and ".test_" in name
    }

    assert imported == set(), "move what they share to a fixture or to tests/support"


def _names(node: ast.AST) -> list[str]:
    """Return the modules, and what could be one, that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []
