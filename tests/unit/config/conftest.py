"""Fixtures of the tests of configuration."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def files(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the project's configuration that a test may break."""
    shutil.copytree(project / "config", tmp_path / "config")
    monkeypatch.setenv("REBAKE_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"
