"""Drift made by hand is found and repaired: by Terraform after approval, and at once where policy says so."""

import json
import time
from collections.abc import Iterator

import pytest
import yaml

from rebake.config import load_environment
from rebake.estate.drift import report as drift_report
from stack.api import Api
from stack.follow import Follower, RunOutcome
from stack.load import Load
from stack.up import Stack

pytestmark = [pytest.mark.engine, pytest.mark.e2e]

DAG = "detect_drift"
BY_HAND = {"/deregistration_delay", "/tcp 22 from 0.0.0.0/0"}
"""The ends of the ids of the findings that `_drift` causes."""


@pytest.fixture
def policy(stack: Stack) -> Iterator[None]:
    """Let infrastructure be repaired after approval, and posture at once."""
    path = stack.layout.state / "config/environments/local.yaml"
    before = path.read_text(encoding="utf-8")
    remediate = {"infrastructure": "approve", "posture": "auto"}
    changed = {**yaml.safe_load(before), "policy": {"drift": {"remediate": remediate}}}
    path.write_text(yaml.safe_dump(changed), encoding="utf-8")
    yield
    path.write_text(before, encoding="utf-8")


def _target_group(stack: Stack) -> str:
    found = stack.cloud.client("elbv2").describe_target_groups(Names=["webapp-local-8080"])
    arn: str = found["TargetGroups"][0]["TargetGroupArn"]
    return arn


def _delay(stack: Stack) -> str:
    answer = stack.cloud.client("elbv2").describe_target_group_attributes(TargetGroupArn=_target_group(stack))
    attributes = {one["Key"]: one["Value"] for one in answer["Attributes"]}
    delay: str = attributes["deregistration_delay.timeout_seconds"]
    return delay


def _ports(stack: Stack) -> set[int]:
    filters = [{"Name": "group-name", "Values": ["webapp-local-instance"]}]
    (group,) = stack.cloud.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
    return {rule["FromPort"] for rule in group["IpPermissions"]}


def _drift(stack: Stack) -> None:
    """Change the estate by hand, as in a hurry."""
    stack.cloud.client("elbv2").modify_target_group_attributes(
        TargetGroupArn=_target_group(stack), Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "60"}]
    )
    ec2 = stack.cloud.client("ec2")
    filters = [{"Name": "group-name", "Values": ["webapp-local-instance"]}]
    (group,) = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[ssh])


def _scan(stack: Stack, *, approve: bool) -> tuple[RunOutcome, set[str]]:
    """Run a scan, approve its repairs if wanted, and return it with its report's findings about webapp."""
    stack.api.unpause(DAG)
    run_id = stack.api.trigger(DAG, {})
    if approve:
        _approve(stack.api, run_id)
    outcome = Follower(stack.api, DAG, run_id).follow()
    key = stack.api.xcom(DAG, run_id, "report_drift")["report"]
    bucket = load_environment("local").bucket
    report = json.loads(stack.cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    (findings,) = [table["rows"] for table in report["tables"] if table["title"] == drift_report.FINDINGS]
    return outcome, {row[0] for row in findings if row[1] == "webapp"}


def _approve(api: Api, run_id: str) -> None:
    """Approve as the form in the UI does, some seconds after the question appears.

    Before the scheduler knows that the task waits, an answer makes it take the task for lost and run it again.
    """
    deadline = time.monotonic() + 300
    while not any(task.name == "approve" and task.state == "awaiting_input" for task in api.tasks(DAG, run_id)):
        assert time.monotonic() < deadline, "nobody was asked"
        time.sleep(0.5)
    time.sleep(5)
    path = f"/dags/{DAG}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    answer = api._call("PATCH", path, {"chosen_options": ["Approve"], "params_input": {}})
    assert answer.ok, answer.text


def test_drift_made_by_hand_is_found_and_repaired_and_the_next_scan_finds_nothing(
    stack: Stack, second: tuple[RunOutcome, Load], policy: None
) -> None:
    delay, ports = _delay(stack), _ports(stack)
    _drift(stack)

    scan, found = _scan(stack, approve=True)
    after, left = _scan(stack, approve=False)

    assert scan.state == after.state == "success"
    assert {one for one in BY_HAND if any(found_id.endswith(one) for found_id in found)} == BY_HAND
    assert (_delay(stack), _ports(stack)) == (delay, ports)
    assert left == set()
