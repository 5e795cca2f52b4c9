"""A real application goes through the whole pipeline: real Packer, real Terraform, real requests."""

import json

import pytest
import requests

from rebake import tags
from stack.follow import RunOutcome
from stack.leaks import leaks
from stack.load import Load
from stack.up import Stack
from tests.e2e.support import webapp

pytestmark = [pytest.mark.engine, pytest.mark.e2e]

STAGES = [
    "bake",
    "test_image.launch",
    "test_image.probe",
    "test_image.terminate",
    "acquire_lease",
    "promote_ami",
    "terraform_apply",
    "start_refresh",
    "wait_for_refresh",
    "record_release",
    "finalize",
]


def test_every_stage_of_a_deployment_runs(first: RunOutcome) -> None:
    assert sorted(first.stages) == sorted(STAGES)


def test_a_rollout_under_load_loses_no_request(second: tuple[RunOutcome, Load]) -> None:
    _, load = second

    assert load.result.failed == 0, load.result.reasons
    assert load.result.sent > 100


def test_a_worker_killed_in_the_bake_costs_a_try_and_nothing_else(
    stack: Stack, second: tuple[RunOutcome, Load]
) -> None:
    outcome, _ = second
    fingerprint = stack.api.xcom(outcome.dag_id, outcome.run_id, "bake")["fingerprint"]
    images = stack.cloud.client("ec2").describe_images(
        Owners=["self"], Filters=[{"Name": f"tag:{tags.FINGERPRINT}", "Values": [fingerprint]}]
    )["Images"]

    assert {task.name: task.try_number for task in stack.api.tasks(outcome.dag_id, outcome.run_id)}["bake"] == 2
    assert len(images) == 1
    assert leaks(stack) == []


def test_clients_see_the_old_version_and_then_the_new_one(second: tuple[RunOutcome, Load]) -> None:
    _, load = second

    assert {json.loads(body)["version"] for body in load.result.answers} == {"1.0.0", "1.1.0"}


def test_after_a_rollout_every_instance_runs_the_image_that_was_baked(
    stack: Stack, second: tuple[RunOutcome, Load]
) -> None:
    outcome, _ = second
    service = webapp(stack)
    ami = stack.api.xcom(outcome.dag_id, outcome.run_id, "bake")["ami_id"]

    assert service["versions"] == {"1.1.0": 3}
    assert {instance["ami"] for instance in service["instances"]} == {ami}
    assert service["current"] == ami
    assert requests.get(f"{service['url']}version", timeout=10).json()["version"] == "1.1.0"
