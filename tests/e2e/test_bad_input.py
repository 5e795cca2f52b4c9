"""Bad input fails the run at its stage with one clear message, and leaves the fleet and the cloud as they were."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from examples.webapp.build import build
from stack import follow
from stack.api import error_of
from stack.errors import InputError
from stack.follow import RunOutcome
from stack.leaks import leaks
from stack.load import Load
from stack.up import Stack
from tests.e2e.support import Runs, webapp

pytestmark = [pytest.mark.engine, pytest.mark.e2e]

DAMAGED = "2.0.1"
"""The version whose artifact ends early."""


@pytest.fixture(scope="module")
def refused(stack: Stack, second: tuple[RunOutcome, Load], project: Path) -> Runs:
    """Run every deployment that must fail, all requested at once; the fleet serves on and nothing is left."""
    before, candidate = webapp(stack), _candidate(stack)
    runs, folder = Runs(stack), project / "build"

    def deploy(name: str, service: str, version: str, **conf: str) -> None:
        runs.start(name, f"deploy_{service}", {"version": version, **conf})

    with Load(f"{before['url']}version", rate=20) as load:
        too_long = "a-name-too-long-for-terraform"
        _write_artifact(folder / f"{too_long}-1.0.0.tar.gz", _minimal(too_long))
        deploy("too long", too_long, "1.0.0")
        build("2.0.4", folder, "healthz")
        deploy("probe", "webapp", "2.0.4")
        _write_artifact(folder / "orphan-1.0.0.tar.gz", _minimal("orphan"))
        deploy("orphan", "orphan", "1.0.0")
        deploy("typo", "typo", "1.0.0")
        deploy("missing", "webapp", "9.9.9")
        archive = build(DAMAGED, folder)
        archive.write_bytes(archive.read_bytes()[:-10])
        deploy("damaged", "webapp", DAMAGED)
        files = _minimal("webapp") | {"packages.txt": "no-such-package-anywhere\n"}
        _write_artifact(folder / "webapp-2.0.2.tar.gz", files)
        deploy("provisioner", "webapp", "2.0.2")
        build("2.0.3", folder, "self-test")
        deploy("self-test", "webapp", "2.0.3")
        deploy("no image", "webapp", "1.1.0", ami_id="ami-0123456789abcdef0")
        runs.wait()
    after = webapp(stack)

    assert load.result.failed == 0, load.result.reasons
    assert after["current"] == before["current"]
    assert after["versions"] == before["versions"]
    assert _candidate(stack) == candidate
    assert leaks(stack) == []
    return runs


def _failure(stack: Stack, refused: Runs, name: str) -> tuple[str, str]:
    """Return the stage at which a deployment has failed, and what its log says."""
    outcome = refused.outcome(name)
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


@pytest.mark.parametrize(
    ("name", "stage", "parts"),
    [
        ("missing", "bake", ["webapp-9.9.9.tar.gz does not exist", "make artifact SERVICE=webapp VERSION=9.9.9"]),
        ("orphan", "bake", ["amazon-linux-2023", "rebuild_base_image"]),
        ("typo", "service_file_is_valid", ["typo.yaml", "maximum_size"]),
        ("provisioner", "bake", ["install-artifact", "no-such-package-anywhere"]),
        ("self-test", "bake", ["self-test"]),
        ("probe", "test_image.probe", ["/healthz", "500"]),
        ("no image", "bake", ["ami-0123456789abcdef0"]),
        ("too long", "terraform_apply", ["Terraform", "at most 26"]),
    ],
)
def test_bad_input_fails_at_its_stage_and_is_named(
    stack: Stack, refused: Runs, name: str, stage: str, parts: list[str]
) -> None:
    failed, message = _failure(stack, refused, name)

    assert failed == stage
    assert [part for part in parts if part not in message] == []


def test_a_damaged_artifact_fails_the_bake_with_both_checksums(stack: Stack, refused: Runs, project: Path) -> None:
    archive = project / f"build/webapp-{DAMAGED}.tar.gz"
    expected = archive.with_name(f"{archive.name}.sha256").read_text().split()[0]

    stage, message = _failure(stack, refused, "damaged")

    assert stage == "bake"
    assert archive.name in message
    assert expected in message
    assert hashlib.sha256(archive.read_bytes()).hexdigest() in message


def _candidate(stack: Stack) -> str:
    ssm = stack.cloud.client("ssm")
    value: str = ssm.get_parameter(Name="/rebake/webapp/candidate")["Parameter"]["Value"]
    return value
