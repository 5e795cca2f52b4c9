from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rebake.exceptions import ConfigError, ToolFailedError, ToolMissingError
from rebake.tools.packer import Packer, ami_of_manifest, reason_in, resource_in, template_version
from rebake.tools.process import Silence
from rebake.tools.workspace import Workspace

AMI = "ami-0123456789abcdef0"

PRETENDED_PACKER = """#!/bin/sh
if [ "$1" = version ]; then echo "Packer v${PRETENDED_VERSION:-1.6.6}"; exit; fi
echo "$@" >> "$PRETENDED_HOME/commands"
env > "$PRETENDED_HOME/environment"
find . -type f | sort > "$PRETENDED_HOME/files"
for argument; do case $argument in -var-file=*) cp -p "${argument#-var-file=}" "$PRETENDED_HOME/variables";; esac; done
[ "$1" = build ] && printf '%s' "$PRETENDED_MANIFEST" > manifest.json
exit ${PRETENDED_STATUS:-0}
"""


def _manifest(*ids: str, last_run: str = "run-1") -> str:
    builds = [{"name": "app", "artifact_id": one, "packer_run_uuid": "run-1"} for one in ids]
    return json.dumps({"builds": builds, "last_run_uuid": last_run})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with one template, and a pretended Packer on PATH that notes how it is called."""
    (tmp_path / "packer/app").mkdir(parents=True)
    (tmp_path / "packer/scripts").mkdir()
    for name in ("app/app.pkr.hcl", "app/plugins.pkr.hcl", "scripts/cleanup.sh"):
        (tmp_path / "packer" / name).touch()
    (tmp_path / "packer/app/VERSION").write_text("1.4.0\n", encoding="utf-8")
    program = tmp_path / "packer-program"
    program.write_text(PRETENDED_PACKER, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("REBAKE_HOME", str(tmp_path))
    monkeypatch.setenv("REBAKE_PACKER", str(program))
    return tmp_path


@pytest.fixture
def build(home: Path) -> Callable[..., str]:
    (home / "work").mkdir()

    def run(**settings: str) -> str:
        pretended = {f"PRETENDED_{name.upper()}": value for name, value in settings.items()}
        place = Workspace(home / "work", os.open(home / "lock", os.O_RDWR | os.O_CREAT))
        environment = {"PRETENDED_HOME": str(home), "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", **pretended}
        packer = Packer(place, environment=environment, log=Silence(), poll_seconds=1)
        return packer.build("app", {"service": "webapp", "pipeline_cidrs": ["10.0.0.0/16"]})

    return run


def test_a_build_returns_the_image_that_its_manifest_proves(build: Callable[..., str], home: Path) -> None:
    assert build(manifest=_manifest(f"eu-west-1:{AMI}")) == AMI

    folder = home / "work"
    command = f"build -color=false -var-file={folder}/variables.pkrvars.json {folder}/app\n"
    assert (home / "commands").read_text(encoding="utf-8") == command


def test_packer_works_in_a_private_copy_of_template_and_scripts(build: Callable[..., str], home: Path) -> None:
    build(manifest=_manifest(f"eu-west-1:{AMI}"))

    files = (home / "files").read_text(encoding="utf-8").split()
    assert {"./app/app.pkr.hcl", "./scripts/cleanup.sh", "./variables.pkrvars.json"} <= set(files)
    assert not (home / "packer/manifest.json").exists()


def test_the_variables_go_by_a_file_that_only_the_worker_can_read(build: Callable[..., str], home: Path) -> None:
    build(manifest=_manifest(f"eu-west-1:{AMI}"))

    written = home / "variables"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert json.loads(written.read_text(encoding="utf-8")) == {
        "service": "webapp",
        "pipeline_cidrs": ["10.0.0.0/16"],
        "manifest_path": f"{home}/work/manifest.json",
    }


def test_credentials_and_polling_go_by_the_environment(build: Callable[..., str], home: Path) -> None:
    build(manifest=_manifest(f"eu-west-1:{AMI}"))

    seen = (home / "environment").read_text(encoding="utf-8").splitlines()
    assert {
        "AWS_ACCESS_KEY_ID=AKIDEXAMPLE",
        "AWS_POLL_DELAY_SECONDS=1",
        "AWS_MAX_ATTEMPTS=1800",
        "CHECKPOINT_DISABLE=1",
    } <= set(seen)


def test_packer_before_plugins_is_not_given_the_file_that_it_refuses(build: Callable[..., str], home: Path) -> None:
    build(manifest=_manifest(f"eu-west-1:{AMI}"), version="1.6.6")

    assert "plugins.pkr.hcl" not in (home / "files").read_text(encoding="utf-8")


def test_packer_with_plugins_installs_them_first(
    build: Callable[..., str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = home / "packer-program"
    program.write_text(PRETENDED_PACKER.replace("1.6.6", "1.11.2"), encoding="utf-8")
    build(manifest=_manifest(f"eu-west-1:{AMI}"))

    commands = (home / "commands").read_text(encoding="utf-8").splitlines()
    assert commands[0] == f"init {home}/work/app"
    assert commands[1].startswith("build ")
    assert "plugins.pkr.hcl" in (home / "files").read_text(encoding="utf-8")


def test_a_missing_packer_is_named(build: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REBAKE_PACKER", "/nowhere/packer")

    with pytest.raises(ToolMissingError, match=r"Packer .*\$REBAKE_PACKER is '/nowhere/packer'"):
        build()


def test_a_failed_build_is_a_failure_whatever_the_manifest_says(build: Callable[..., str]) -> None:
    with pytest.raises(ToolFailedError, match=r"Packer \(build\) failed with status 1"):
        build(status="1", manifest=_manifest(f"eu-west-1:{AMI}"))


def test_a_build_that_made_nothing_is_a_failure_although_its_status_is_zero(build: Callable[..., str]) -> None:
    with pytest.raises(ToolFailedError, match="is not readable"):
        build(manifest="")


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(_manifest(), id="no build"),
        pytest.param(_manifest(""), id="a build without an image"),
        pytest.param(_manifest("eu-west-1:snap-1"), id="no image id"),
        pytest.param(_manifest(f"eu-west-1:{AMI}", f"eu-west-1:{AMI}"), id="two builds"),
        pytest.param(_manifest(f"eu-west-1:{AMI},us-east-1:{AMI}"), id="two regions"),
        pytest.param(_manifest(f"eu-west-1:{AMI}", last_run="run-2"), id="of another run"),
    ],
)
def test_a_manifest_that_does_not_prove_one_image_of_this_run_is_refused(tmp_path: Path, manifest: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(manifest, encoding="utf-8")

    with pytest.raises(ToolFailedError, match="must name exactly one image of this run"):
        ami_of_manifest(path)


def test_a_missing_manifest_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ToolFailedError, match=r"wrote no manifest \(manifest\.json\)"):
        ami_of_manifest(tmp_path / "manifest.json")


def test_a_failed_step_is_told_with_what_it_printed() -> None:
    output = """
==> amazon-ebs.app: Connected to SSH!
    amazon-ebs.app: ==> install-artifact
    amazon-ebs.app:     install-artifact: 1 s
    amazon-ebs.app: ==> self-test
    amazon-ebs.app: healthcheck: /healthz on port 44641 answered 500
    amazon-ebs.app: step self-test failed with exit status 1
==> amazon-ebs.app: Provisioning step had errors: Running the cleanup provisioner, if present...
--> amazon-ebs.app: Script exited with non-zero exit status: 1.Allowed exit codes are: [0]
"""

    assert reason_in(output) == (
        "step self-test failed with exit status 1\n  healthcheck: /healthz on port 44641 answered 500"
    )


def test_a_failure_without_a_step_is_told_in_packers_summary() -> None:
    output = """
Build 'amazon-ebs.app' errored after 2 seconds: Error launching source instance: InvalidAMIID.NotFound

==> Some builds didn't complete successfully and had errors:
--> amazon-ebs.app: Error launching source instance: InvalidAMIID.NotFound
"""

    assert reason_in(output) == "Error launching source instance: InvalidAMIID.NotFound"


def test_an_output_without_a_known_form_gives_no_reason() -> None:
    assert not reason_in("Error: Unsupported attribute\n\n  on app.pkr.hcl line 3")


@pytest.mark.parametrize(
    ("line", "made"),
    [
        ("==> amazon-ebs.app: Creating temporary keypair: packer_61-a", ("key_pair", "packer_61-a")),
        (
            "==> amazon-ebs.app: Creating temporary security group for this instance: packer_62-b",
            ("security_group", "packer_62-b"),
        ),
        ("==> amazon-ebs.app: Launching a source AWS instance...", None),
    ],
)
def test_what_packer_makes_is_read_from_its_output(line: str, made: Any) -> None:
    assert resource_in(line) == made


def test_the_templates_version_is_read_from_its_file(home: Path) -> None:
    assert template_version("app") == "1.4.0"
    with pytest.raises(ConfigError, match=r"packer/none/VERSION does not exist"):
        template_version("none")
