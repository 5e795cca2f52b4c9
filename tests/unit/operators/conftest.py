"""What the tests of the bake stages need."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from examples.webapp.build import build as build_artifact
from rebake import tags
from rebake.tools import packer as packer_tool
from tests.support.releases import put_record, record
from tests.unit.operators.bake_support import Cloud, PretendedPacker


@pytest.fixture
def cloud(account: None) -> Cloud:
    made = Cloud()
    vendors = made.image("debian-12-amd64", {})
    made.point("/vendor/debian-12", vendors)
    base = made.image("rebake-debian-12", {tags.KIND: tags.KIND_BASE_IMAGE, tags.SERVICE: "debian-12"})
    made.point("/rebake/bases/debian-12/current", base)
    return made


@pytest.fixture
def aws(s3: Any, ssm: Any) -> SimpleNamespace:
    """Return clients of an account with a release on an old base, and a newer base."""
    put_record(s3, record(1))
    ssm.put_parameter(Name="/rebake/bases/debian-12/current", Value="ami-0new", Type="String")
    return SimpleNamespace(s3=s3, ssm=ssm)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the project's configuration and templates, with an artifact of version 1.2.3."""
    for name in ("config", "packer"):
        shutil.copytree(project / name, tmp_path / name)
    for name in ("debian-12", "amazon-linux-2023"):  # moto lets nobody write below /aws, as AWS does
        path = tmp_path / f"config/bases/{name}.yaml"
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"/aws/service/\S+", f"/vendor/{name}", text), encoding="utf-8")
    build_artifact("1.2.3", tmp_path / "build")
    monkeypatch.setenv("REBAKE_HOME", str(tmp_path))
    monkeypatch.setenv("REBAKE_WORK", str(tmp_path / "work"))
    return tmp_path


@pytest.fixture
def packer(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> PretendedPacker:
    pretended = PretendedPacker(cloud)
    monkeypatch.setattr(packer_tool, "Packer", pretended)
    return pretended
