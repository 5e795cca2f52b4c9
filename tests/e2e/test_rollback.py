"""Automatic and manual rollbacks lose no request, on real instances under load."""

from typing import Any

import pytest

from stack import fault, follow, lineage
from stack.api import error_of
from stack.follow import RunOutcome
from stack.load import Load
from stack.up import Stack
from tests.e2e.support import webapp

pytestmark = [pytest.mark.engine, pytest.mark.e2e]


def _other_version(service: dict[str, Any]) -> str:
    (running,) = service["versions"]
    return "1.0.0" if running == "1.1.0" else "1.1.0"


def test_an_image_that_never_serves_is_rolled_back_and_the_run_says_why(
    stack: Stack, second: tuple[RunOutcome, Load]
) -> None:
    before = webapp(stack)
    version = _other_version(before)
    # Instances of the fleet alone: the temporary one passes its checks, as if the fault showed in production only.
    fault.run(stack.cloud, {"KIND": "never-serves", "TAGS": f"rebake:kind=fleet,rebake:version={version}"})
    with Load(f"{before['url']}version", rate=30) as load:
        outcome = follow.run(stack.api, "deploy_webapp", {"version": version}, load.line)
    fault.run(stack.cloud, {"CLEAR": "1"})
    after = webapp(stack)
    (waited,) = [task for task in stack.api.tasks(outcome.dag_id, outcome.run_id) if task.name == "wait_for_refresh"]

    assert outcome.state == "failed"
    assert "unhealthy" in error_of(stack.api.log(outcome.dag_id, outcome.run_id, waited))
    assert load.result.failed == 0, load.result.reasons
    assert (after["current"], after["versions"]) == (before["current"], before["versions"])


def test_a_rollback_by_hand_brings_the_release_before_back(stack: Stack, second: tuple[RunOutcome, Load]) -> None:
    before = webapp(stack)
    version = _other_version(before)
    with Load(f"{before['url']}version", rate=30) as load:
        outcome = follow.run(stack.api, "rollback_webapp", {}, load.line)
    after = webapp(stack)

    assert outcome.state == "success"
    assert load.result.failed == 0, load.result.reasons
    assert after["versions"] == {version: 3}
    assert after["current"] != before["current"]


def test_a_release_is_found_from_its_commit_and_from_its_instances(stack: Stack, first: RunOutcome) -> None:
    (instance, *_) = webapp(stack)["instances"]
    by_instance = lineage.run(stack, instance["instance"], "webapp", "text")
    by_commit = lineage.run(stack, "0123abc", "webapp", "text")

    assert stack.api.xcom(first.dag_id, first.run_id, "bake")["ami_id"] in by_commit
    assert instance["ami"] in by_instance
