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


GOOD = _manifest(f"eu-west-1:{AMI}")


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
        work = Workspace(home / "work", os.open(home / "lock", os.O_RDWR | os.O_CREAT))
        environment = {"PRETENDED_HOME": str(home), "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", **pretended}
        packer = Packer(work, environment=environment, log=Silence(), poll_seconds=1)
        return packer.build("app", {"service": "webapp", "pipeline_cidrs": ["10.0.0.0/16"]})

    return run


def test_a_build_in_a_private_copy_returns_the_image_of_its_manifest(build: Callable[..., str], home: Path) -> None:
    assert build(manifest=GOOD) == AMI

    folder, written = home / "work", home / "variables"
    files = (home / "files").read_text(encoding="utf-8").split()
    assert {"./app/app.pkr.hcl", "./scripts/cleanup.sh", "./variables.pkrvars.json"} <= set(files)
    assert "plugins.pkr.hcl" not in " ".join(files), "Packer before plugins refuses it"
    assert not (home / "packer/manifest.json").exists(), "it works in a private copy"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert json.loads(written.read_text(encoding="utf-8")) == {
        "service": "webapp",
        "pipeline_cidrs": ["10.0.0.0/16"],
        "manifest_path": f"{home}/work/manifest.json",
    }
    assert {
        "AWS_ACCESS_KEY_ID=AKIDEXAMPLE",
        "AWS_POLL_DELAY_SECONDS=1",
        "AWS_MAX_ATTEMPTS=1800",
        "CHECKPOINT_DISABLE=1",
    } <= set((home / "environment").read_text(encoding="utf-8").splitlines())
    command = f"build -color=false -var-file={folder}/variables.pkrvars.json {folder}/app\n"
    assert (home / "commands").read_text(encoding="utf-8") == command


def test_packer_with_plugins_installs_them_first(
    build: Callable[..., str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = home / "packer-program"
    program.write_text(PRETENDED_PACKER.replace("1.6.6", "1.11.2"), encoding="utf-8")
    build(manifest=GOOD)

    commands = (home / "commands").read_text(encoding="utf-8").splitlines()
    assert commands[0] == f"init {home}/work/app"
    assert commands[1].startswith("build ")
    assert "plugins.pkr.hcl" in (home / "files").read_text(encoding="utf-8")


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


STEP_FAILED = """
==> amazon-ebs.app: Connected to SSH!
    amazon-ebs.app: ==> install-artifact
    amazon-ebs.app:     install-artifact: 1 s
    amazon-ebs.app: ==> self-test
    amazon-ebs.app: healthcheck: /healthz on port 44641 answered 500
    amazon-ebs.app: step self-test failed with exit status 1
==> amazon-ebs.app: Provisioning step had errors: Running the cleanup provisioner, if present...
--> amazon-ebs.app: Script exited with non-zero exit status: 1.Allowed exit codes are: [0]
"""
LAUNCH_FAILED = """
Build 'amazon-ebs.app' errored after 2 seconds: Error launching source instance: InvalidAMIID.NotFound

==> Some builds didn't complete successfully and had errors:
--> amazon-ebs.app: Error launching source instance: InvalidAMIID.NotFound
"""


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (STEP_FAILED, "step self-test failed with exit status 1\n  healthcheck: /healthz on port 44641 answered 500"),
        (LAUNCH_FAILED, "Error launching source instance: InvalidAMIID.NotFound"),
        ("Error: Unsupported attribute\n\n  on app.pkr.hcl line 3", ""),
    ],
    ids=["a step's output", "Packer's summary", "no known form"],
)
def test_the_reason_of_a_failure_is_found_in_the_output(output: str, reason: str) -> None:
    assert reason_in(output) == reason


@pytest.mark.parametrize(
    ("program", "settings", "error", "message"),
    [
        ("/nowhere/packer", {}, ToolMissingError, r"Packer .*\$REBAKE_PACKER is '/nowhere/packer'"),
        ("", {"status": "1", "manifest": GOOD}, ToolFailedError, r"Packer \(build\) failed with status 1"),
        ("", {"manifest": ""}, ToolFailedError, "is not readable"),
    ],
    ids=["missing", "failed, whatever the manifest says", "status zero, but nothing was made"],
)
def test_a_build_that_fails_is_a_failure(
    build: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    settings: dict[str, str],
    error: type[Exception],
    message: str,
) -> None:
    if program:
        monkeypatch.setenv("REBAKE_PACKER", program)

    with pytest.raises(error, match=message):
        build(**settings)
