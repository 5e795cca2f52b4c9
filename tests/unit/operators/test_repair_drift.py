"""A repair: under the service's lease, of what was found and of nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from rebake import tags
from rebake.estate.drift.finding import Finding, FindingKind
from rebake.operators.repair_drift import ReleaseLeaseOperator, RepairDriftOperator
from rebake.release import lease
from rebake.release.lease import LeaseRequest, RunKind
from rebake.release.results import ApplyResult
from rebake.release.stage import Stage
from rebake.stages.fleet import FleetTerraform
from tests.support.aws import BUCKET
from tests.support.releases import RESULTS, acquire_lease, lease_now

RUN = "detect_drift/scheduled__1"
DELAY = Finding(
    FindingKind.INFRASTRUCTURE, "attribute", "webapp", "aws_lb_target_group.fleet", "deregistration_delay", "60", "5"
)


def _plan(delay: int) -> dict[str, Any]:
    change = {"actions": ["update"], "before": {"deregistration_delay": delay}, "after": {"deregistration_delay": 5}}
    return {"resource_changes": [{"address": DELAY.resource, "type": "aws_lb_target_group", "change": change}]}


pytestmark = pytest.mark.usefixtures("s3")


@pytest.fixture
def current(ec2: Any, ssm: Any) -> str:
    """Return the image of the current release."""
    ami_id: str = ec2.register_image(Name="webapp-1.0.0", RootDeviceName="/dev/sda1")["ImageId"]
    ec2.create_tags(Resources=[ami_id], Tags=[{"Key": tags.VERSION, "Value": "1.0.0"}])
    ssm.put_parameter(Name="/rebake/webapp/current", Value=ami_id, Type="String")
    return ami_id


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return what is applied, in the place of Terraform, which would plan to bring a delay of 60 back to 5."""
    calls: list[dict[str, Any]] = []

    def apply(self: Any, _context: Any, service: str, *, review: Callable[..., None], **options: Any) -> Any:
        review(_plan(60))
        calls.append({"service": service, **options})
        return ApplyResult(**{**RESULTS[Stage.TERRAFORM_APPLY], "launch_template_id": "lt-1"})

    monkeypatch.setattr(FleetTerraform, "apply", apply)
    return calls


def _repair(*findings: Finding) -> tuple[Any, Mapping[str, Any]]:
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(
        dag_id="detect_drift", run_id="scheduled__1", xcom_push=lambda key, value: pushed.update({key: value})
    )
    context: Any = {"ti": ti}
    operator = RepairDriftOperator(
        task_id="repair_drift",
        service="webapp",
        auto_scaling_group_name="webapp-local",
        findings=[asdict(one) for one in findings],
    )
    try:
        return operator.execute(context), pushed
    except AirflowSkipException:
        return None, pushed


def test_infrastructure_is_applied_with_the_image_and_version_of_the_current_release(
    current: str, applied: list[dict[str, Any]]
) -> None:
    outcome, pushed = _repair(DELAY)

    assert outcome == "repaired"
    assert applied == [{"service": "webapp", "ami_id": current, "version": "1.0.0"}]
    assert pushed["outcome"] == {"service": "webapp", "outcome": "repaired"}


@pytest.mark.parametrize("kind", [RunKind.DEPLOY, RunKind.ROLLBACK])
def test_a_service_that_a_run_is_changing_is_left_alone(
    s3: Any, current: str, applied: list[dict[str, Any]], kind: RunKind
) -> None:
    run = f"{kind}_webapp/manual__1"
    acquire_lease(s3, run, -5, since=datetime.now(UTC))

    outcome, pushed = _repair(DELAY)

    assert outcome is None
    assert applied == []
    assert "another run is changing webapp" in pushed["outcome"]["outcome"]
    assert lease_now(s3).holder == run


def test_a_deployment_that_was_baking_meanwhile_gets_the_lease_afterwards(
    s3: Any, current: str, applied: list[dict[str, Any]]
) -> None:
    acquire_lease(s3, "deploy_webapp/manual__1", -60, since=datetime.now(UTC))
    lease.release(s3, BUCKET, "webapp", "deploy_webapp/manual__1")
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


def test_a_rollback_by_hand_takes_the_lease_from_a_repair(s3: Any, current: str, applied: list[dict[str, Any]]) -> None:
    _repair(DELAY)

    assert acquire_lease(s3, "rollback_webapp/manual__1", since=datetime.now(UTC)) is not None
    assert lease_now(s3).holder == "rollback_webapp/manual__1"


def test_the_lease_is_released_and_only_by_the_run_that_holds_it(s3: Any, current: str, applied: Any) -> None:
    _repair(DELAY)
    release = ReleaseLeaseOperator(task_id="release_lease", service="webapp")
    context: Any = {"ti": SimpleNamespace(dag_id="detect_drift", run_id="scheduled__1")}
    other: Any = {"ti": SimpleNamespace(dag_id="deploy_webapp", run_id="manual__1")}

    assert [release.execute(one) for one in (other, context, context)] == [False, True, False]


def test_a_port_that_was_found_open_is_closed_without_terraform(ec2: Any, applied: list[dict[str, Any]]) -> None:
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


@pytest.mark.parametrize(
    "change", [{"resource": "aws_lb.fleet"}, {"found": "30"}], ids=["more than was found", "drifted further since then"]
)
def test_a_plan_that_differs_from_what_was_approved_is_not_applied(
    current: str, applied: list[dict[str, Any]], change: dict[str, str]
) -> None:
    outcome, pushed = _repair(Finding(**{**vars(DELAY), **change}))

    assert outcome is None
    assert applied == []
    assert "would change more than may be repaired" in pushed["outcome"]["outcome"]
