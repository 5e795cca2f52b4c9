"""The artifact of the sample application: what is in it, and that the same input gives the same bytes."""

import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from examples.webapp import build

PROJECT = Path(build.__file__).resolve().parents[2]


def entries(archive: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(archive) as artifact:
        return {entry.name: entry for entry in artifact}


def run(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "examples.webapp.build", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_same_version_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the time, nor the mask of new files, nor how the checkout's files are marked, shows in the artifact."""
    first = build.build("1.2.3", tmp_path / "first").read_bytes()
    copy = tmp_path / "copy"
    for path in build.ROOT.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            target = copy / path.relative_to(build.ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
            target.chmod(0o600)
            os.utime(target, (1_000_000_000, 1_000_000_000))
    (copy / "webapp" / "__pycache__").mkdir()
    (copy / "webapp" / "__pycache__" / "server.pyc").write_bytes(b"not part of it")
    monkeypatch.setattr(build, "ROOT", copy)

    assert build.build("1.2.3", tmp_path / "second").read_bytes() == first


def test_another_version_gives_other_bytes(tmp_path: Path) -> None:
    assert build.build("1.2.3", tmp_path).read_bytes() != build.build("1.2.4", tmp_path).read_bytes()


def test_every_entry_belongs_to_root_and_carries_no_time(tmp_path: Path) -> None:
    found = entries(build.build("1.2.3", tmp_path))

    assert {(entry.uid, entry.gid, entry.uname, entry.gname, entry.mtime) for entry in found.values()} == {
        (0, 0, "root", "root", 0)
    }
    assert list(found) == sorted(name for name in found if found[name].isdir()) + sorted(
        name for name in found if not found[name].isdir()
    )


def test_the_root_holds_what_the_convention_asks_for(tmp_path: Path) -> None:
    found = entries(build.build("1.2.3", tmp_path))

    assert {"webapp.service", "packages.txt", "VERSION", "bin/healthcheck", "bin/webapp"} <= set(found)
    assert found["bin/healthcheck"].mode == 0o755
    assert found["webapp.service"].mode == 0o644
    assert "FAULT" not in found


def test_the_checksum_is_that_of_the_archive(tmp_path: Path) -> None:
    archive = build.build("1.2.3", tmp_path)

    written = (tmp_path / "webapp-1.2.3.tar.gz.sha256").read_text(encoding="utf-8")
    assert written == f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  webapp-1.2.3.tar.gz\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["webapp-1.2.3.tar.gz", "webapp-1.2.3.tar.gz.sha256"]


def test_the_command_writes_to_build_and_prints_the_path(tmp_path: Path) -> None:
    result = run(tmp_path, "1.2.3")

    assert (result.returncode, result.stdout) == (0, "build/webapp-1.2.3.tar.gz\n")
    assert (tmp_path / "build" / "webapp-1.2.3.tar.gz").is_file()


def test_the_time_of_the_entries_can_be_chosen(tmp_path: Path) -> None:
    result = run(tmp_path, "1.2.3", "--output", ".", SOURCE_DATE_EPOCH="1700000000")

    assert result.returncode == 0
    assert {entry.mtime for entry in entries(tmp_path / "webapp-1.2.3.tar.gz").values()} == {1_700_000_000}


@pytest.mark.parametrize("version", ["1.2", "v1.2.3", "1.2.3-rc1", "1.2.3/../x", "", "1.2.3\n"])
def test_a_version_that_is_none_is_refused(tmp_path: Path, version: str) -> None:
    with pytest.raises(build.BuildError) as caught:
        build.build(version, tmp_path)

    assert str(caught.value) == f"version {version!r}: must be three numbers separated by dots, such as 1.2.3"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        (("1.2",), {}, "error: version '1.2': must be three numbers separated by dots, such as 1.2.3\n"),
        (("1.2.3", "--break", "all"), {}, "error: fault 'all': must be one of self-test, healthz, late\n"),
        (
            ("1.2.3",),
            {"SOURCE_DATE_EPOCH": "today"},
            "error: SOURCE_DATE_EPOCH='today': must be a whole number of seconds since 1970\n",
        ),
    ],
)
def test_the_command_ends_bad_input_with_one_line(
    tmp_path: Path, arguments: tuple[str, ...], environ: dict[str, str], message: str
) -> None:
    result = run(tmp_path, *arguments, **environ)

    assert (result.returncode, result.stderr) == (2, message)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_build_says_in_the_artifact_how_it_is_broken(tmp_path: Path) -> None:
    archive = build.build("1.2.3", tmp_path, fault="healthz")

    with tarfile.open(archive) as artifact:
        fault = artifact.extractfile("FAULT")
        assert fault is not None
        assert fault.read() == b"healthz\n"
