import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rebake.config import Network, load_environment, load_service
from rebake.exceptions import ConfigError, ToolFailedError, ToolMissingError
from rebake.tools import terraform
from rebake.tools.process import Silence
from rebake.tools.terraform import Terraform
from rebake.tools.workspace import Workspace

ENDPOINT = "http://127.0.0.1:4566"

PRETENDED_TERRAFORM = """#!/bin/sh
if [ "$1" = version ]; then echo "Terraform v1.11.4"; exit; fi
echo "$@" >> "$PRETENDED_HOME/commands"
env > "$PRETENDED_HOME/environment"
find . -type f | sort > "$PRETENDED_HOME/files"
cp backend.tfbackend.json terraform.tfvars.json "$PRETENDED_HOME/"
[ -f endpoint_override.tf.json ] && cp endpoint_override.tf.json "$PRETENDED_HOME/"
case $1 in
  plan) exit ${PRETENDED_PLAN:-2};;
  apply) [ -z "$PRETENDED_ERROR" ] || { echo "$PRETENDED_ERROR" >&2; exit 1; };;
  output) echo "${PRETENDED_OUTPUT}";;
esac
"""

OUTPUT = json.dumps({"launch_template_version": {"sensitive": False, "type": "string", "value": "7"}})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with a fleet module, and a pretended Terraform that notes how it is called."""
    module = tmp_path / "infrastructure/fleet"
    for name in ("main.tf", "tests/fleet.tftest.hcl", ".terraform/x", "terraform.tfstate", "endpoint_override.tf"):
        (module / name).parent.mkdir(parents=True, exist_ok=True)
        (module / name).touch()
    program = tmp_path / "terraform-program"
    program.write_text(PRETENDED_TERRAFORM, encoding="utf-8")
    program.chmod(0o755)
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("REBAKE_HOME", str(tmp_path))
    monkeypatch.setenv("REBAKE_TERRAFORM", str(program))
    return tmp_path


@pytest.fixture
def apply(home: Path) -> Callable[..., dict[str, Any]]:
    def run(endpoint: str = "", **settings: str) -> dict[str, Any]:
        pretended = {f"PRETENDED_{name.upper()}": value for name, value in {"output": OUTPUT, **settings}.items()}
        work = Workspace(home / "work", os.open(home / "lock", os.O_RDWR | os.O_CREAT))
        environment = {"PRETENDED_HOME": str(home), **pretended}
        tool = Terraform(work, environment=environment, log=Silence(), endpoint=endpoint)
        return tool.apply({"bucket": "state"}, {"service": "webapp"})

    return run


def _commands(home: Path) -> list[str]:
    return (home / "commands").read_text(encoding="utf-8").splitlines()


def test_a_fleet_is_initialised_planned_applied_and_read(apply: Callable[..., Any], home: Path) -> None:
    assert apply() == {"launch_template_version": "7"}
    assert _commands(home) == [
        "init -input=false -no-color -reconfigure -backend-config=backend.tfbackend.json",
        "plan -input=false -no-color -detailed-exitcode -lock-timeout=300s -out=fleet.tfplan",
        "apply -input=false -no-color -lock-timeout=300s fleet.tfplan",
        "output -json -no-color",
    ]


def test_a_plan_without_changes_is_not_applied(apply: Callable[..., Any], home: Path) -> None:
    assert apply(plan="0") == {"launch_template_version": "7"}
    assert [command.split()[0] for command in _commands(home)] == ["init", "plan", "output"]


def test_terraform_works_in_a_copy_without_a_developers_files_and_gets_settings_by_files_of_its_own_form(
    apply: Callable[..., Any], home: Path
) -> None:
    apply()

    assert json.loads((home / "backend.tfbackend.json").read_text(encoding="utf-8")) == {"bucket": "state"}
    assert json.loads((home / "terraform.tfvars.json").read_text(encoding="utf-8")) == {"service": "webapp"}
    assert not (home / "endpoint_override.tf.json").exists()
    files = (home / "files").read_text(encoding="utf-8").split()
    assert "./main.tf" in files
    unwanted = ("tftest", ".terraform/x", "tfstate", "override")
    assert [name for name in files if any(part in name for part in unwanted)] == []
    environment = (home / "environment").read_text(encoding="utf-8").splitlines()
    assert {"TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1"} <= set(environment)
    assert not [line for line in environment if line.startswith("AWS_ENDPOINT_URL")]


def test_in_the_embedded_cloud_provider_and_backend_are_sent_there(apply: Callable[..., Any], home: Path) -> None:
    apply(endpoint=ENDPOINT)

    override = json.loads((home / "endpoint_override.tf.json").read_text(encoding="utf-8"))
    provider = override["provider"]["aws"]
    assert provider["endpoints"] == [dict.fromkeys(["autoscaling", "ec2", "elb", "iam", "sts"], ENDPOINT)]
    assert provider["skip_credentials_validation"] is True
    assert f"AWS_ENDPOINT_URL={ENDPOINT}" in (home / "environment").read_text(encoding="utf-8").splitlines()


BOX = """\
aws_lb.fleet: Creating...
╷
│ Warning: Deprecated attribute
│
╵
╷
│ Error: error creating LB: DuplicateLoadBalancerName: it exists
│ \x20
│   with aws_lb.fleet,
│   on load_balancer.tf line 1, in resource "aws_lb" "fleet":
│    1: resource "aws_lb" "fleet" {
│ \x20
╵"""


def test_a_failed_apply_is_reported_in_terraforms_own_errors(apply: Callable[..., Any]) -> None:
    with pytest.raises(ToolFailedError) as caught:
        apply(error=BOX)

    message = str(caught.value)
    assert message.startswith("Terraform (apply) failed with status 1. Error: error creating LB: Duplicate")
    assert "on load_balancer.tf line 1" in message
    assert "Deprecated" not in message
    assert "│" not in message


def test_a_failed_plan_is_not_applied(apply: Callable[..., Any], home: Path) -> None:
    with pytest.raises(ToolFailedError, match=r"Terraform \(plan\) failed with status 1"):
        apply(plan="1")

    assert [command.split()[0] for command in _commands(home)] == ["init", "plan"]


def test_the_backend_is_one_object_a_service_and_environment() -> None:
    settings = terraform.backend_settings("webapp", load_environment("local"), "")

    assert settings == {
        "bucket": "rebake-local",
        "key": "terraform/webapp-local.tfstate",
        "region": "eu-west-1",
        "max_retries": 10,
    }


def test_the_backend_in_the_embedded_cloud_asks_it_alone() -> None:
    settings = terraform.backend_settings("webapp", load_environment("local"), ENDPOINT)

    assert settings["endpoints"] == {"iam": ENDPOINT, "s3": ENDPOINT, "sts": ENDPOINT}
    assert settings["use_path_style"] is True
    assert settings["skip_requesting_account_id"] is True


def test_every_variable_that_the_pipeline_sends_is_one_of_the_module(project: Path) -> None:
    environment = load_environment("local")
    network = Network(vpc_id="vpc-1", subnet_ids=("subnet-1", "subnet-2"))
    service = load_service("webapp", environment)
    sent = terraform.fleet_variables(service, environment, network, ami_id="ami-1", version="1.2.3")
    declared = (project / "infrastructure/fleet/variables.tf").read_text(encoding="utf-8")

    assert [name for name in sent if f'variable "{name}"' not in declared] == []
    assert sent["ami_id"] == "ami-1"
    assert sent["version_label"] == "1.2.3"
    assert sent["health_check_grace_period"] > service.rollout.instance_warmup, "an instance boots first"
    assert sent["subnet_ids"] == ["subnet-1", "subnet-2"]


LOCKED = "╷\n│ Error: Error acquiring the state lock\n│\n│   Path: state/terraform/webapp.tfstate\n╵"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"error": LOCKED}, r"delete the \.tflock object .* and clear this task"),
        ({"error": "panic: nil map"}, r"The end of its output:\npanic: nil map"),
        ({"output": "no outputs"}, r"`output -json` is not readable.*\nno outputs"),
    ],
    ids=["a lock", "no box", "no JSON"],
)
def test_a_failure_is_explained_or_shown(apply: Callable[..., Any], settings: dict[str, str], message: str) -> None:
    with pytest.raises(ToolFailedError, match=message):
        apply(**settings)


@pytest.mark.parametrize(
    ("setting", "error", "message"),
    [
        ("REBAKE_HOME", ConfigError, r"infrastructure/fleet does not exist: .*check REBAKE_HOME"),
        ("REBAKE_TERRAFORM", ToolMissingError, r"Terraform .*\$REBAKE_TERRAFORM is '/nowhere'"),
    ],
)
def test_a_missing_module_or_program_names_the_setting_that_leads_there(
    apply: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, setting: str, error: type[Exception], message: str
) -> None:
    monkeypatch.setenv(setting, "/nowhere")

    with pytest.raises(error, match=message):
        apply()
