"""The artifact of the sample site: what is in it, and what its health check refuses."""

import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from examples.artifact import BuildError
from examples.pages.build import build


def unpack(folder: Path, version: str = "1.2.3", fault: str = "") -> Path:
    with tarfile.open(build(version, folder / "build", fault)) as artifact:
        artifact.extractall(folder / "opt", filter="data")
    return folder / "opt"


@pytest.fixture
def nginx(tmp_path: Path) -> Path:
    """Return a folder with a web server that notes how it is called and accepts every configuration."""
    tool = tmp_path / "tools" / "nginx"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/called\n', encoding="utf-8")
    tool.chmod(0o755)
    return tool


def self_test(root: Path, nginx: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [root / "bin" / "healthcheck", *(arguments or ("--self-test",))],
        env={**os.environ, "PATH": f"{nginx.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_root_holds_what_the_convention_asks_for(tmp_path: Path) -> None:
    with tarfile.open(build("1.2.3", tmp_path)) as artifact:
        found = {entry.name: entry.mode for entry in artifact}

    assert {"pages.service", "packages.txt", "VERSION", "nginx.conf", "bin/healthcheck"} <= set(found)
    assert found["bin/healthcheck"] == 0o755


def test_the_same_version_gives_the_same_bytes_and_another_one_other_bytes(tmp_path: Path) -> None:
    first = build("1.2.3", tmp_path / "first").read_bytes()

    assert build("1.2.3", tmp_path / "second").read_bytes() == first
    assert build("1.2.4", tmp_path / "third").read_bytes() != first


def test_the_site_shows_its_version_and_that_it_is_well(tmp_path: Path) -> None:
    site = unpack(tmp_path) / "site"

    assert json.loads((site / "version").read_text(encoding="utf-8")) == {"service": "pages", "version": "1.2.3"}
    assert (site / "healthz").read_text(encoding="utf-8") == "ok\n"
    assert "Pages 1.2.3" in (site / "index.html").read_text(encoding="utf-8")


def test_a_version_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"version 'latest': must be three numbers"):
        build("latest", tmp_path)


def test_the_self_test_asks_nginx_of_the_artifacts_own_configuration(tmp_path: Path, nginx: Path) -> None:
    root = unpack(tmp_path)

    result = self_test(root, nginx)

    assert (result.returncode, result.stdout) == (0, "healthcheck: pages 1.2.3 works\n")
    called = (tmp_path / "called").read_text(encoding="utf-8")
    assert called.startswith("-t -q ")
    assert f"-c {root}/nginx.conf" in called


def test_a_configuration_that_nginx_refuses_fails_the_self_test(tmp_path: Path, nginx: Path) -> None:
    nginx.write_text('#!/bin/sh\necho "unknown directive" >&2\nexit 1\n', encoding="utf-8")

    result = self_test(unpack(tmp_path), nginx)

    assert result.returncode == 1
    assert result.stderr == "unknown directive\nhealthcheck: pages: nginx refuses nginx.conf\n"


def test_a_site_without_its_front_page_fails_the_self_test(tmp_path: Path, nginx: Path) -> None:
    result = self_test(unpack(tmp_path, fault="self-test"), nginx)

    assert (result.returncode, result.stderr) == (1, "healthcheck: pages: site/index.html is missing or empty\n")


def test_a_site_of_another_version_fails_the_self_test(tmp_path: Path, nginx: Path) -> None:
    root = unpack(tmp_path)
    (root / "VERSION").write_text("9.9.9\n", encoding="utf-8")

    result = self_test(root, nginx)

    assert result.returncode == 1
    assert "but 9.9.9 is installed here" in result.stderr


def test_the_health_check_says_how_it_is_called(tmp_path: Path, nginx: Path) -> None:
    result = self_test(unpack(tmp_path), nginx, "--help")

    assert (result.returncode, result.stderr) == (1, "healthcheck: pages: usage: healthcheck --self-test\n")
