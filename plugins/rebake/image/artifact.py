"""The application's artifact: found, fetched, and checked before anything is baked."""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from rebake import paths
from rebake.exceptions import ArtifactError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

HEALTH_CHECK: Final = "bin/healthcheck"
_EXECUTABLE: Final = 0o111
_ABSENT: Final = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NotFound"})


@dataclass(frozen=True)
class Artifact:
    """An artifact that was checked, as a file on this worker."""

    path: Path
    source: str
    """Where it came from, as the service file gives it with the version filled in."""
    sha256: str


def fetch(service: str, template: str, version: str, folder: Path, s3: Callable[[], S3Client]) -> Artifact:
    """Copy the artifact of `version` into `folder` and check it.

    It must be a tar.gz whose root has `<service>.service` and an executable `bin/healthcheck`. Where a file of the
    same name plus `.sha256` lies beside it, the artifact must match it.

    Args:
        service: the service's name.
        template: path in the project or s3:// address, with `{version}`.
        version: the application version.
        folder: where the copy goes; the original may be rebuilt while it is baked.
        s3: makes the client for an s3:// address (S3 API, GetObject); it is not called for a path.

    Raises:
        ArtifactError: missing or damaged; the message names the file and the way out.
    """
    source = template.replace("{version}", version)
    copy = folder / PurePosixPath(source).name
    checksum_copy = copy.with_name(copy.name + ".sha256")
    remedy = f"build it and put it there; for an example: make artifact SERVICE={service} VERSION={version}"
    if source.startswith("s3://"):
        client = s3()
        if not _download(client, source, copy):
            raise ArtifactError(f"{source} does not exist: {remedy}")
        has_checksum = _download(client, f"{source}.sha256", checksum_copy)
    else:
        original = paths.home() / source
        if not original.is_file():
            raise ArtifactError(f"{original} does not exist: {remedy}")
        shutil.copyfile(original, copy)
        beside = original.with_name(original.name + ".sha256")
        has_checksum = beside.is_file()
        if has_checksum:
            shutil.copyfile(beside, checksum_copy)
    found = digest(copy)
    if has_checksum:
        _compare(source, checksum_copy, found, remedy)
    _check_contents(copy, source, service, remedy)
    return Artifact(copy, source, found)


def digest(path: Path) -> str:
    """Return the SHA-256 of the file's bytes in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(client: S3Client, address: str, target: Path) -> bool:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    try:
        with target.open("wb") as file:
            client.download_fileobj(bucket, key, file)
    except ClientError as error:
        target.unlink(missing_ok=True)
        problem = error.response.get("Error", {})
        if problem.get("Code") in _ABSENT:
            return False
        raise ArtifactError(
            f"{address} cannot be read: {problem.get('Code')}: {problem.get('Message')}; the pipeline's role "
            "needs s3:GetObject on it, and s3:ListBucket to distinguish a missing file from a forbidden one"
        ) from error
    return True


def _compare(source: str, checksum: Path, found: str, remedy: str) -> None:
    text = checksum.read_text(encoding="utf-8", errors="replace").strip()
    expected = text.split()[0].lower() if text else ""
    if not re.fullmatch(r"[0-9a-f]{64}", expected):
        raise ArtifactError(f"{source}.sha256 must hold a SHA-256 in hexadecimal digits, found {text[:80]!r}; {remedy}")
    if expected != found:
        raise ArtifactError(
            f"{source} does not match its checksum: {source}.sha256 has {expected}, the file is {found}; {remedy}"
        )


def _check_contents(path: Path, source: str, service: str, remedy: str) -> None:
    try:
        with tarfile.open(path, "r:gz") as archive:
            members = {str(PurePosixPath(member.name)): member for member in archive}
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ArtifactError(f"{source} is no readable tar.gz: {error}; {remedy}") from error
    for name in members:
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise ArtifactError(f"{source} has a member outside its root: {name!r}; {remedy}")
    unit = f"{service}.service"
    for needed, what in ((unit, "the systemd unit"), (HEALTH_CHECK, "the health check")):
        if needed not in members or not members[needed].isfile():
            top = ", ".join(sorted(members)[:10]) or "nothing"
            raise ArtifactError(f"{source} has no {needed} ({what}) at its root; it has: {top}")
    if not members[HEALTH_CHECK].mode & _EXECUTABLE:
        raise ArtifactError(f"{source}: {HEALTH_CHECK} is not executable; {remedy}")
