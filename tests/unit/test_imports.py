"""No module imports, by any way round, a module that imports it: not for its types, and not inside a function."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGES = ("plugins/rebake", "localcloud", "prove", "stack")


def modules(project: Path) -> dict[str, Path]:
    """Return the file of every module, by its dotted name."""
    found = {}
    for package in PACKAGES:
        root = (project / package).parent
        for file in (project / package).rglob("*.py"):
            parts = file.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imported(module: str, file: Path, known: dict[str, Path]) -> Iterator[str]:
    """Yield the names of the known modules that a module imports anywhere in its file."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            above = parents[: len(parents) + 1 - node.level] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                member = f"{source}.{alias.name}"
                yield from [member] if member in known else [source] if source in known else []


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules of an import circle, or an empty list."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other_in_a_circle(project: Path) -> None:
    known = modules(project)
    graph = {module: set(imported(module, file, known)) - {module} for module, file in known.items()}

    assert sum(len(targets) for targets in graph.values()) > 300
    assert circle(graph) == []


@pytest.mark.parametrize("package", ["", "p."])
@pytest.mark.parametrize(
    "text", ["import {}a", "from {}a import x", "def f():\n    import {}a", "if X:\n    import {}a"]
)
def test_every_kind_of_import_counts(tmp_path: Path, text: str, package: str) -> None:
    file = tmp_path / "b.py"
    file.write_text(text.format(package))
    known = {f"{package}a": file, f"{package}b": file}

    assert list(imported(f"{package}b", file, known)) == [f"{package}a"]


def test_relative_imports_count(tmp_path: Path) -> None:
    file = tmp_path / "b.py"
    file.write_text("from . import a\nfrom .a import x\nfrom ..p.a import y\n")
    known = {"p.a": file, "p.b": file}

    assert list(imported("p.b", file, known)) == ["p.a", "p.a", "p.a"]
