import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from rebake.exceptions import ArtifactError
from rebake.image.artifact import fetch

GOOD: Mapping[str, int] = {"./webapp.service": 0o644, "./bin/healthcheck": 0o755}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REBAKE_HOME", str(tmp_path))
    (tmp_path / "build").mkdir()
    (tmp_path / "work").mkdir()
    return tmp_path


def _tar(members: Mapping[str, int] = GOOD) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, mode in members.items():
            member = tarfile.TarInfo(name)
            member.mode = mode
            archive.addfile(member, io.BytesIO())
    return buffer.getvalue()


def _no_client() -> Any:
    pytest.fail("a path needs no S3")


def _fetch(home: Path, data: bytes | None, checksum: str | None = None) -> Any:
    if data is not None:
        (home / "build/webapp-1.2.3.tar.gz").write_bytes(data)
    if checksum is not None:
        (home / "build/webapp-1.2.3.tar.gz.sha256").write_text(checksum, encoding="utf-8")
    return fetch("webapp", "build/webapp-{version}.tar.gz", "1.2.3", home / "work", _no_client)


def test_a_good_artifact_is_copied_to_the_work_folder_and_its_checksum_returned(home: Path) -> None:
    data = _tar()
    digest = hashlib.sha256(data).hexdigest()

    artifact = _fetch(home, data, f"{digest}  webapp-1.2.3.tar.gz\n")

    assert artifact.path == home / "work/webapp-1.2.3.tar.gz"
    assert artifact.path.read_bytes() == data
    assert artifact.sha256 == digest
    assert artifact.source == "build/webapp-1.2.3.tar.gz"
    (home / "build/webapp-1.2.3.tar.gz.sha256").unlink()
    assert _fetch(home, data).sha256 == digest


def test_a_missing_artifact_is_named_with_the_command_that_builds_it(home: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        _fetch(home, None)

    assert (
        str(caught.value) == f"{home}/build/webapp-1.2.3.tar.gz does not exist: build it and "
        "put it there; for an example: make artifact SERVICE=webapp VERSION=1.2.3"
    )


def test_a_checksum_that_does_not_match_names_the_file_and_both_sums(home: Path) -> None:
    expected = "0" * 64
    with pytest.raises(ArtifactError) as caught:
        _fetch(home, _tar(), f"{expected}  webapp-1.2.3.tar.gz\n")

    for part in ("build/webapp-1.2.3.tar.gz", expected, hashlib.sha256(_tar()).hexdigest(), "VERSION=1.2.3"):
        assert part in str(caught.value)


@pytest.mark.parametrize("text", ["", "not a sum  webapp-1.2.3.tar.gz"])
def test_a_checksum_file_that_holds_no_checksum_is_refused(home: Path, text: str) -> None:
    with pytest.raises(ArtifactError, match="must hold a SHA-256"):
        _fetch(home, _tar(), text)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"PK\x03\x04 a zip file", id="not gzip"),
        pytest.param(_tar()[:60], id="cut off"),
        pytest.param(gzip.compress(b"hello"), id="gzip, but no tar"),
    ],
)
def test_a_damaged_archive_is_named(home: Path, data: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"build/webapp-1\.2\.3\.tar\.gz is no readable tar\.gz: .+make artifact"):
        _fetch(home, data)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        pytest.param({"bin/healthcheck": 0o755}, r"has no webapp\.service \(the systemd unit\)", id="no unit"),
        pytest.param({"webapp.service": 0o644}, r"has no bin/healthcheck \(the health check\)", id="no health check"),
        pytest.param(
            {"webapp-1.2.3/webapp.service": 0o644, "webapp-1.2.3/bin/healthcheck": 0o755},
            r"has no webapp\.service .*at its root; it has: webapp-1\.2\.3/bin/healthcheck, ",
            id="not at the root",
        ),
        pytest.param(
            {"webapp.service": 0o644, "bin/healthcheck": 0o644}, "healthcheck is not executable", id="not executable"
        ),
        pytest.param({**GOOD, "../../etc/passwd": 0o644}, "outside its root: '../../etc/passwd'", id="escapes"),
    ],
)
def test_an_archive_that_breaks_the_convention_is_refused_by_what_it_lacks(
    home: Path, members: dict[str, int], message: str
) -> None:
    with pytest.raises(ArtifactError, match=message):
        _fetch(home, _tar(members))


@pytest.fixture
def bucket(s3: Any) -> Any:
    s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return s3


def _fetch_s3(home: Path, client: Any) -> Any:
    return fetch("webapp", "s3://artifacts/webapp/{version}.tar.gz", "1.2.3", home / "work", lambda: client)


def test_an_artifact_in_s3_is_downloaded_and_compared_with_its_checksum(home: Path, bucket: Any) -> None:
    digest = hashlib.sha256(_tar()).hexdigest()
    bucket.put_object(Bucket="artifacts", Key="webapp/1.2.3.tar.gz", Body=_tar())
    bucket.put_object(Bucket="artifacts", Key="webapp/1.2.3.tar.gz.sha256", Body=digest.encode())

    assert _fetch_s3(home, bucket).sha256 == digest

    bucket.put_object(Bucket="artifacts", Key="webapp/1.2.3.tar.gz.sha256", Body=b"0" * 64)
    with pytest.raises(ArtifactError, match=r"s3://artifacts/webapp/1\.2\.3\.tar\.gz does not match its checksum"):
        _fetch_s3(home, bucket)


def test_a_missing_artifact_in_s3_is_named(home: Path, bucket: Any) -> None:
    with pytest.raises(ArtifactError, match=r"s3://artifacts/webapp/1\.2\.3\.tar\.gz does not exist: build it and put"):
        _fetch_s3(home, bucket)


def test_an_artifact_that_may_not_be_read_names_the_permission(home: Path) -> None:
    client = boto3.client("s3", region_name="eu-west-1")
    with Stubber(client) as stub:
        stub.add_client_error("head_object", "403", "Forbidden", 403)

        with pytest.raises(ArtifactError, match=r"cannot be read: 403: Forbidden; .*s3:GetObject"):
            _fetch_s3(home, client)
