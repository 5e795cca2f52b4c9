"""A repair: under the service's lease, of what was found and of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from airflow.sdk.exceptions import AirflowSkipException

from rebake import tags
from rebake.estate.drift.finding import Finding, FindingKind
from rebake.operators.repair_drift import ReleaseLeaseOperator, RepairDriftOperator
from rebake.release import lease
from rebake.release.lease import LeaseRequest, RunKind
from rebake.stages.fleet import FleetTerraform
from tests.support.aws import BUCKET

RUN = "detect_drift/scheduled__1"
DELAY = Finding(
    FindingKind.INFRASTRUCTURE, "attribute", "webapp", "aws_lb_target_group.fleet", "deregistration_delay", "60", "5"
)


def _plan(delay: int) -> dict[str, Any]:
    change = {"actions": ["update"], "before": {"deregistration_delay": delay}, "after": {"deregistration_delay": 5}}
    return {"resource_changes": [{"address": DELAY.resource, "type": "aws_lb_target_group", "change": change}]}


pytestmark = pytest.mark.usefixtures("s3")


@pytest.fixture
def current() -> str:
    """Return the image of the current release."""
    ec2: Any = boto3.client("ec2", region_name="eu-west-1")
    ami_id: str = ec2.register_image(Name="webapp-1.0.0", RootDeviceName="/dev/sda1")["ImageId"]
    ec2.create_tags(Resources=[ami_id], Tags=[{"Key": tags.VERSION, "Value": "1.0.0"}])
    ssm: Any = boto3.client("ssm", region_name="eu-west-1")
    ssm.put_parameter(Name="/rebake/webapp/current", Value=ami_id, Type="String")
    return ami_id


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return what is applied, in the place of Terraform, which would plan to bring a delay of 60 back to 5."""
    calls: list[dict[str, Any]] = []

    def apply(self: Any, _context: Any, service: str, *, review: Callable[..., None], **options: Any) -> Any:
        review(_plan(60))
        calls.append({"service": service, **options})
        return {"launch_template_id": "lt-1", "launch_template_version": "2"}

    monkeypatch.setattr(FleetTerraform, "apply", apply)
    return calls


def _repair(*findings: Finding) -> tuple[Any, Mapping[str, Any]]:
    told: dict[str, Any] = {}
    ti = SimpleNamespace(
        dag_id="detect_drift", run_id="scheduled__1", xcom_push=lambda key, value: told.update({key: value})
    )
    context: Any = {"ti": ti}
    operator = RepairDriftOperator(
        task_id="repair_drift",
        service="webapp",
        auto_scaling_group_name="webapp-local",
        findings=[one.dump() for one in findings],
    )
    try:
        return operator.execute(context), told
    except AirflowSkipException:
        return None, told


def _take(s3: Any, kind: RunKind, *, minutes_ago: float = 5) -> LeaseRequest:
    asked = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    claim = LeaseRequest(f"{kind}_webapp/manual__1", kind, asked, timedelta(hours=1))
    assert lease.acquire(s3, BUCKET, "webapp", claim)
    return claim


def test_infrastructure_is_applied_with_the_image_and_version_of_the_current_release(
    current: str, applied: list[dict[str, Any]]
) -> None:
    outcome, told = _repair(DELAY)

    assert outcome == "repaired"
    assert applied == [{"service": "webapp", "ami_id": current, "version": "1.0.0"}]
    assert told["outcome"] == {"service": "webapp", "outcome": "repaired"}


def test_a_plan_that_would_change_more_than_was_found_is_not_applied(
    current: str, applied: list[dict[str, Any]]
) -> None:
    elsewhere = Finding(**{**vars(DELAY), "resource": "aws_lb.fleet"})

    outcome, told = _repair(elsewhere)

    assert outcome is None
    assert applied == []
    assert "would change more than may be repaired" in told["outcome"]["outcome"]


def test_what_has_drifted_further_since_it_was_approved_is_not_applied(
    current: str, applied: list[dict[str, Any]]
) -> None:
    approved = Finding(**{**vars(DELAY), "found": "30"})

    outcome, _ = _repair(approved)

    assert outcome is None
    assert applied == []


@pytest.mark.parametrize("kind", [RunKind.DEPLOY, RunKind.ROLLBACK])
def test_a_service_that_a_run_is_changing_is_left_alone(
    s3: Any, current: str, applied: list[dict[str, Any]], kind: RunKind
) -> None:
    claim = _take(s3, kind)

    outcome, told = _repair(DELAY)
    holder = lease.read(s3, BUCKET, "webapp")

    assert outcome is None
    assert applied == []
    assert "another run is changing webapp" in told["outcome"]["outcome"]
    assert holder is not None
    assert holder.holder == claim.run


def test_a_deployment_that_was_baking_meanwhile_gets_its_turn_afterwards(
    s3: Any, current: str, applied: list[dict[str, Any]]
) -> None:
    earlier = _take(s3, RunKind.DEPLOY, minutes_ago=60)
    lease.release(s3, BUCKET, "webapp", earlier.run)
    baking = LeaseRequest(
        "deploy_webapp/manual__2", RunKind.DEPLOY, datetime.now(UTC) - timedelta(minutes=5), timedelta(1)
    )

    _repair(DELAY)
    waits = lease.acquire(s3, BUCKET, "webapp", baking)
    lease.release(s3, BUCKET, "webapp", RUN)
    taken = lease.acquire(s3, BUCKET, "webapp", baking)

    assert waits is None
    assert taken is not None
    assert taken.holder == baking.run


def test_a_rollback_by_hand_takes_the_turn_from_a_repair(s3: Any, current: str, applied: list[dict[str, Any]]) -> None:
    _repair(DELAY)
    rollback = LeaseRequest("rollback_webapp/manual__1", RunKind.ROLLBACK, datetime.now(UTC), timedelta(hours=1))

    taken = lease.acquire(s3, BUCKET, "webapp", rollback)

    assert taken is not None
    assert taken.holder == rollback.run


def test_the_turn_is_given_back_and_only_by_the_run_that_has_it(s3: Any, current: str, applied: Any) -> None:
    _repair(DELAY)
    release = ReleaseLeaseOperator(task_id="release_lease", service="webapp")
    context: Any = {"ti": SimpleNamespace(dag_id="detect_drift", run_id="scheduled__1")}
    other: Any = {"ti": SimpleNamespace(dag_id="deploy_webapp", run_id="manual__1")}

    assert [release.execute(one) for one in (other, context, context)] == [False, True, False]


def test_a_door_that_was_found_open_is_closed_without_terraform(applied: list[dict[str, Any]]) -> None:
    ec2: Any = boto3.client("ec2", region_name="eu-west-1")
    group = ec2.create_security_group(GroupName="webapp-local-instance", Description="instances")["GroupId"]
    rules = [
        {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
        for port in (22, 8080)
    ]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rules)

    outcome, _ = _repair(Finding(FindingKind.POSTURE, "port-22", "webapp", group, "tcp 22 from 10.0.0.0/8"))
    (after,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]

    assert outcome == "repaired"
    assert [rule["FromPort"] for rule in after["IpPermissions"]] == [8080]
    assert applied == []
