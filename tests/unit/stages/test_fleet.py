"""Terraform for a service's fleet: what it is given, its outputs, its lock and its bucket."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from rebake.exceptions import ConfigError, ToolFailedError, ToolKilledError
from rebake.operators.terraform_apply import TerraformApplyOperator
from rebake.release.results import ApplyResult
from rebake.stages import fleet

OUTPUTS = {
    "launch_template_id": "lt-1",
    "launch_template_version": 7,
    "auto_scaling_group_name": "webapp-local",
    "target_group_arn": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/webapp-local-8080/1",
    "load_balancer_dns_name": "127.1.2.3",
    "url": "http://127.1.2.3:8080",
}


class PretendedTerraform:
    """Notes what it is given, and returns outputs."""

    def __init__(self) -> None:
        self.outputs: dict[str, Any] = dict(OUTPUTS)
        self.options: dict[str, Any] = {}
        self.effect: Callable[[], None] = lambda: None
        self.applied: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []

    def __call__(self, _place: Any, **options: Any) -> PretendedTerraform:
        self.options = options
        return self

    def apply(self, backend: Mapping[str, Any], variables: Mapping[str, Any], _review: Any) -> dict[str, Any]:
        self.applied.append((backend, variables))
        self.effect()
        return self.outputs


@pytest.fixture
def terraform(monkeypatch: pytest.MonkeyPatch) -> PretendedTerraform:
    pretended = PretendedTerraform()
    monkeypatch.setattr(fleet.terraform, "Terraform", pretended)
    return pretended


@pytest.fixture(autouse=True)
def work(account: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REBAKE_WORK", str(tmp_path / "work"))


@pytest.fixture
def execute() -> Callable[[], dict[str, Any]]:
    def run() -> dict[str, Any]:
        ti = SimpleNamespace(dag_id="deploy_webapp", run_id="manual__1", task_id="terraform_apply")
        context: Any = {"ti": ti}
        operator = TerraformApplyOperator(task_id="terraform_apply", service="webapp", ami_id="ami-1", version="1.2.3")
        return operator.execute(context)

    return run


Execute = Callable[[], dict[str, Any]]


def test_the_outputs_of_the_fleet_are_returned(terraform: PretendedTerraform, s3: Any, execute: Execute) -> None:
    assert execute() == {**OUTPUTS, "launch_template_version": "7"}


def test_the_fleet_goes_to_the_default_vpc_with_the_image_and_its_version(
    terraform: PretendedTerraform, s3: Any, execute: Execute
) -> None:
    vpc = boto3.client("ec2", region_name="eu-west-1").describe_vpcs()["Vpcs"][0]["VpcId"]

    execute()

    ((backend, variables),) = terraform.applied
    assert backend["key"] == "terraform/webapp-local.tfstate"
    assert variables["ami_id"] == "ami-1"
    assert variables["version_label"] == "1.2.3"
    assert variables["vpc_id"] == vpc
    assert len(variables["subnet_ids"]) == 3


def test_terraform_gets_the_connections_credentials_by_the_environment_alone(
    terraform: PretendedTerraform, s3: Any, execute: Execute
) -> None:
    execute()

    assert terraform.options["environment"]["AWS_ACCESS_KEY_ID"] == "AKID"
    assert terraform.options["environment"]["AWS_SECRET_ACCESS_KEY"] == "not-a-secret"
    assert terraform.options["secrets"] == ("not-a-secret",)
    assert "not-a-secret" not in repr(terraform.applied)


@pytest.mark.parametrize(
    ("who", "age", "cleans_up", "stays"),
    [
        (f"airflow@{socket.gethostname()}", timedelta(), False, False),
        ("airflow@another-worker", timedelta(), False, True),
        (f"airflow@{socket.gethostname()}", timedelta(minutes=1), False, True),
        (f"airflow@{socket.gethostname()}", timedelta(), True, True),
    ],
    ids=["its own", "another host's", "an older one", "its own, which it still releases"],
)
def test_the_lock_of_a_killed_terraform_is_removed_and_no_other(
    terraform: PretendedTerraform, s3: Any, execute: Execute, *, who: str, age: timedelta, cleans_up: bool, stays: bool
) -> None:
    def lock_and_die() -> None:
        lock = {"ID": "1", "Who": who, "Created": f"{datetime.now(UTC) - age:%Y-%m-%dT%H:%M:%S.%f}123Z"}
        s3.put_object(Bucket="rebake-local", Key="terraform/webapp-local.tfstate.tflock", Body=json.dumps(lock))
        raise ToolKilledError("killed", cleans_up=cleans_up)

    terraform.effect = lock_and_die
    with pytest.raises(ToolKilledError):
        execute()

    assert (s3.list_objects_v2(Bucket="rebake-local")["KeyCount"] == 1) is stays


def test_a_missing_bucket_is_named_with_what_makes_it(terraform: PretendedTerraform, execute: Execute) -> None:
    with pytest.raises(ConfigError) as caught:
        execute()

    for part in ("bucket rebake-local does not exist", "infrastructure/pipeline", "`bucket` in the environment's file"):
        assert part in str(caught.value)
    assert terraform.applied == []


@pytest.mark.parametrize("name", list(OUTPUTS))
def test_an_output_that_the_module_lacks_is_named(
    terraform: PretendedTerraform, s3: Any, execute: Execute, name: str
) -> None:
    del terraform.outputs[name]

    with pytest.raises(ToolFailedError, match=f"infrastructure/fleet has no output {name}; it has "):
        execute()


def test_the_modules_outputs_are_those_that_the_pipeline_reads(project: Path) -> None:
    declared = (project / "infrastructure/fleet/outputs.tf").read_text(encoding="utf-8")

    assert [name for name in ApplyResult.model_fields if f'output "{name}"' not in declared] == []
