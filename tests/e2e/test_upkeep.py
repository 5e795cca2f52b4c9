"""A new base image rebakes the services that depend on it."""

import pytest

from rebake.config import load_environment
from rebake.estate.report import REBAKE, latest
from stack import follow, lineage
from stack.follow import Follower, RunOutcome
from stack.load import Load
from stack.up import Stack
from tests.e2e.support import webapp

pytestmark = [pytest.mark.engine, pytest.mark.e2e]

DAG = "rebake_on_new_base"


def test_the_event_of_a_new_base_rebakes_a_service_without_losing_a_request(stack: Stack, first: RunOutcome) -> None:
    before = webapp(stack)
    stack.api.wait_for_dag(DAG)
    stack.api.unpause(DAG)
    earlier = stack.api.runs(DAG)

    with Load(f"{before['url']}version", rate=30) as load:
        rebuilt = follow.run(stack.api, "rebuild_base_image", {"base": "debian-12", "force_bake": True}, load.line)
        new = stack.api.xcom(rebuilt.dag_id, rebuilt.run_id, "bake")["ami_id"]
        outcome = Follower(stack.api, DAG, follow.started_since(stack.api, DAG, earlier), load.line).follow()
    after = webapp(stack)

    assert (rebuilt.state, outcome.state) == ("success", "success")
    assert load.result.failed == 0, load.result.reasons
    assert before["base"]["base_ami"] != new == after["base"]["base_ami"]
    assert (after["versions"], after["current"] != before["current"]) == (before["versions"], True)
    assert f"new base {new}" in lineage.run(stack, after["current"], "webapp", "text")
    report = latest(stack.cloud.client("s3"), load_environment("local").bucket, REBAKE)
    assert report is not None
    assert report["summary"] | {"deployed": 1} == report["summary"], report["summary"]
