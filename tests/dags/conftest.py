"""What the tests of several DAG files use."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def load_dag_file(project: Path) -> Callable[[str], ModuleType]:
    """Return a function that runs a file of `dags/` anew and returns it as a module."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"{name}_under_test", project / "dags" / f"{name}.py")
        if spec is None or spec.loader is None:
            pytest.fail(f"dags/{name}.py cannot be loaded")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
