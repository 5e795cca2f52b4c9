"""A real application goes through the whole pipeline: real Packer, real Terraform, real requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from examples.webapp.build import build
from stack import follow, status
from stack.errors import InputError
from stack.follow import Outcome
from stack.load import Load
from stack.up import Stack

pytestmark = [pytest.mark.engine, pytest.mark.e2e]

STAGES = [
    "bake",
    "test_image.launch",
    "test_image.probe",
    "test_image.terminate",
    "take_turn",
    "promote_ami",
    "terraform_apply",
    "start_refresh",
    "wait_for_refresh",
    "record_release",
    "conclude",
]


@pytest.fixture(scope="module")
def base(stack: Stack) -> Outcome:
    """Return the run that baked, tested and promoted the base image."""
    outcome = follow.run(stack.api, "rebuild_base_image", {"base": "debian-12"})
    assert outcome.state == "success"
    return outcome


@pytest.fixture(scope="module")
def first(stack: Stack, base: Outcome, project: Path) -> Outcome:
    """Return the run that deployed 1.0.0 to a fleet that did not exist before."""
    build("1.0.0", project / "build")
    outcome = follow.run(stack.api, "deploy_webapp", {"version": "1.0.0", "commit": "0123abc"})
    assert outcome.state == "success"
    return outcome


@pytest.fixture(scope="module")
def second(stack: Stack, first: Outcome, project: Path) -> tuple[Outcome, Load]:
    """Return the run that replaced 1.0.0 by 1.1.0, and the load that ran meanwhile."""
    build("1.1.0", project / "build")
    url = stack.api.xcom(first.dag_id, first.run_id, "terraform_apply", "url").rstrip("/")
    with Load(f"{url}/version", rate=30) as load:
        outcome = follow.run(stack.api, "deploy_webapp", {"version": "1.1.0"}, load.line)
    assert outcome.state == "success"
    return outcome, load


def _service(stack: Stack) -> dict[str, Any]:
    service: dict[str, Any] = status.collect(stack)["services"]["webapp"]
    return service


def test_every_stage_of_a_deployment_runs(first: Outcome) -> None:
    assert sorted(first.stages) == sorted(STAGES)


def test_a_rollout_under_load_loses_no_request(second: tuple[Outcome, Load]) -> None:
    _, load = second

    assert load.result.failed == 0, load.result.reasons
    assert load.result.sent > 100


def test_clients_see_the_old_version_and_then_the_new_one(second: tuple[Outcome, Load]) -> None:
    _, load = second

    assert {json.loads(body)["version"] for body in load.result.answers} == {"1.0.0", "1.1.0"}


def test_after_a_rollout_every_instance_runs_the_image_that_was_baked(
    stack: Stack, second: tuple[Outcome, Load]
) -> None:
    outcome, _ = second
    service = _service(stack)
    ami = stack.api.xcom(outcome.dag_id, outcome.run_id, "bake")

    assert service["versions"] == {"1.1.0": 3}
    assert {instance["ami"] for instance in service["instances"]} == {ami}
    assert service["current"] == ami
    assert requests.get(f"{service['url']}version", timeout=10).json()["version"] == "1.1.0"


def test_a_version_that_breaks_the_pattern_is_refused_before_anything_runs(stack: Stack) -> None:
    with pytest.raises(InputError, match="latest"):
        follow.check("webapp", "latest")
    with pytest.raises(InputError, match="latest"):
        stack.api.trigger("deploy_webapp", {"version": "latest"})


def test_a_missing_artifact_fails_the_bake_and_leaves_the_fleet_alone(
    stack: Stack, second: tuple[Outcome, Load]
) -> None:
    before = _service(stack)
    outcome = follow.run(stack.api, "deploy_webapp", {"version": "9.9.9"})
    after = _service(stack)

    assert outcome.state == "failed"
    assert next(iter(outcome.stages)) == "bake"
    assert (after["current"], after["versions"]) == (before["current"], before["versions"])
