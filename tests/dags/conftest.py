"""What the tests of several DAG files use."""

import importlib.util
import shutil
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


@pytest.fixture
def broken_shop(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add a service `shop` whose file has a typo to a copy of the configuration."""
    shutil.copytree(project / "config", tmp_path / "config")
    good = tmp_path / "config/services/webapp.yaml"
    typo = good.read_text(encoding="utf-8").replace("name: webapp", "name: shop").replace("min_size", "mini_size")
    (tmp_path / "config/services/shop.yaml").write_text(typo, encoding="utf-8")
    monkeypatch.setenv("REBAKE_CONFIG", str(tmp_path / "config"))
