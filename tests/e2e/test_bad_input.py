"""What is wrong fails the run at its stage, says so in one message, and leaves the fleet and the cloud as they were."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.webapp.build import build
from stack import follow, status
from stack.api import error_of
from stack.errors import InputError
from stack.follow import RunOutcome
from stack.leaks import leaks
from stack.load import Load
from stack.up import Stack

pytestmark = [pytest.mark.engine, pytest.mark.e2e]


def _fleet(stack: Stack) -> dict[str, Any]:
    service: dict[str, Any] = status.collect(stack)["services"]["webapp"]
    return service


@pytest.fixture(autouse=True)
def untouched(stack: Stack, second: tuple[RunOutcome, Load]) -> Iterator[None]:
    """Hold every test of this file to it: the fleet serves on, `current` stays, and nothing temporary is left."""
    before = _fleet(stack)
    with Load(f"{before['url']}version", rate=20) as load:
        yield
    after = _fleet(stack)

    assert load.result.failed == 0, load.result.reasons
    assert after["current"] == before["current"]
    assert after["versions"] == before["versions"]
    assert leaks(stack) == []


def _failure(stack: Stack, service: str, version: str, **conf: Any) -> tuple[str, str]:
    """Run a deployment that must fail; return the stage at which it did, and what its log says."""
    outcome = follow.run(stack.api, f"deploy_{service}", {"version": version, **conf})
    assert outcome.state == "failed"
    failed = [task for task in stack.api.tasks(outcome.dag_id, outcome.run_id) if task.state == "failed"]
    assert len(failed) == 1
    return failed[0].name, error_of(stack.api.log(outcome.dag_id, outcome.run_id, failed[0]))


def _minimal(service: str) -> dict[str, str]:
    """Return the files of the smallest artifact that the pipeline accepts."""
    return {
        f"{service}.service": "[Service]\nExecStart=/usr/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n",
        "bin/healthcheck": "#!/bin/sh\nexit 0\n",
    }


def _write_artifact(path: Path, files: dict[str, str]) -> None:
    """Write an artifact of these files, with its checksum; those in bin/ are executable."""
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), 0o755 if name.startswith("bin/") else 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n")


def test_a_version_that_breaks_the_pattern_is_refused_before_anything_runs(stack: Stack) -> None:
    with pytest.raises(InputError, match="latest"):
        follow.check("webapp", "latest")
    with pytest.raises(InputError, match="latest"):
        stack.api.trigger("deploy_webapp", {"version": "latest"})


def test_a_missing_artifact_fails_the_bake_and_names_the_command_that_builds_it(stack: Stack) -> None:
    stage, message = _failure(stack, "webapp", "9.9.9")

    assert stage == "bake"
    assert "webapp-9.9.9.tar.gz does not exist" in message
    assert "make artifact VERSION=9.9.9" in message


def test_a_damaged_artifact_fails_the_bake_with_both_checksums(stack: Stack, project: Path) -> None:
    archive = build("2.0.1", project / "build")
    expected = hashlib.sha256(archive.read_bytes()).hexdigest()
    archive.write_bytes(archive.read_bytes()[:-10])

    stage, message = _failure(stack, "webapp", "2.0.1")

    assert stage == "bake"
    assert "webapp-2.0.1.tar.gz" in message
    assert expected in message
    assert hashlib.sha256(archive.read_bytes()).hexdigest() in message


def test_a_base_family_without_an_image_fails_the_bake_and_names_the_dag_that_makes_one(
    stack: Stack, project: Path
) -> None:
    _write_artifact(project / "build" / "orphan-1.0.0.tar.gz", _minimal("orphan"))

    stage, message = _failure(stack, "orphan", "1.0.0")

    assert stage == "bake"
    assert "amazon-linux-2023" in message
    assert "rebuild_base_image" in message


def test_a_misspelt_field_fails_its_own_service_alone_and_is_named(stack: Stack) -> None:
    stage, message = _failure(stack, "typo", "1.0.0")

    assert stage == "service_file_is_valid"
    assert "typo.yaml" in message
    assert "maximum_size" in message


def test_a_provisioner_that_fails_is_quoted(stack: Stack, project: Path) -> None:
    files = _minimal("webapp") | {"packages.txt": "no-such-package-anywhere\n"}
    _write_artifact(project / "build" / "webapp-2.0.2.tar.gz", files)

    stage, message = _failure(stack, "webapp", "2.0.2")

    assert stage == "bake"
    assert "install-artifact" in message
    assert "no-such-package-anywhere" in message


def test_a_self_test_that_fails_ends_the_bake(stack: Stack, project: Path) -> None:
    build("2.0.3", project / "build", "self-test")

    stage, message = _failure(stack, "webapp", "2.0.3")

    assert stage == "bake"
    assert "self-test" in message


def test_an_image_whose_probe_fails_is_not_promoted(stack: Stack, project: Path) -> None:
    candidate = _candidate(stack)
    build("2.0.4", project / "build", "healthz")

    stage, message = _failure(stack, "webapp", "2.0.4")

    assert stage == "test_image.probe"
    assert "/healthz" in message
    assert "500" in message
    assert _candidate(stack) == candidate


def test_an_image_that_does_not_exist_cannot_be_deployed(stack: Stack) -> None:
    stage, message = _failure(stack, "webapp", "1.1.0", ami_id="ami-0123456789abcdef0")

    assert stage == "bake"
    assert "ami-0123456789abcdef0" in message


def test_what_terraform_refuses_is_told_in_its_own_words(stack: Stack, project: Path) -> None:
    service = "a-name-too-long-for-terraform"
    _write_artifact(project / "build" / f"{service}-1.0.0.tar.gz", _minimal(service))

    stage, message = _failure(stack, service, "1.0.0")

    assert stage == "terraform_apply"
    assert "Terraform" in message
    assert "at most 26" in message


def _candidate(stack: Stack) -> str:
    ssm = stack.cloud.client("ssm")
    value: str = ssm.get_parameter(Name="/rebake/webapp/candidate")["Parameter"]["Value"]
    return value
