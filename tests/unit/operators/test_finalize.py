"""The stage finalize: a final record for every run that did not succeed, and the lease is released."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from rebake.hooks.autoscaling import AutoScalingHook
from rebake.operators.finalize import FinalizeOperator
from rebake.release import lease
from rebake.release import record as release
from rebake.release.lease import LeaseRequest, RunKind
from tests.support.aws import BUCKET
from tests.support.fleet import TEMPLATE, group, instance, refresh
from tests.support.task import REQUESTED_AT, RUN_TAG, context

STAGES = (
    "bake",
    "test_image.launch",
    "test_image.probe",
    "acquire_lease",
    "promote_ami",
    "terraform_apply",
    "start_refresh",
    "wait_for_refresh",
    "roll_back",
    "record_release",
)
NAME = "webapp-20261123T183012-1.2.3"
HANDED_ON = {
    ("bake", "return_value"): "ami-01",
    ("bake", "version"): "1.2.3",
    ("bake", "commit"): "0a1b2c3",
    ("bake", "fingerprint"): "f" * 64,
    ("test_image.probe", "return_value"): {"instance_id": "i-9", "seconds": 1.5, "checks": []},
    ("terraform_apply", "return_value"): "2",
    ("terraform_apply", "launch_template_id"): TEMPLATE,
    ("terraform_apply", "auto_scaling_group_name"): "webapp-local",
    ("terraform_apply", "url"): "http://127.0.0.1:8080/",
    ("start_refresh", "return_value"): "r-1",
    ("start_refresh", "instances_before"): ["i-1", "i-2"],
}


@pytest.fixture
def s3(s3: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give an S3 client with the bucket, the run's lease in it, and a group whose refresh was rolled back."""
    fleet = group("1", instance("i-2", "1"), instance("i-1", "1"), instance("i-3", "2", "Terminating"))
    monkeypatch.setattr(AutoScalingHook, "group", lambda *_: fleet)
    monkeypatch.setattr(AutoScalingHook, "refreshes", lambda *_: [refresh("RollbackSuccessful")])
    lease.acquire(s3, BUCKET, "webapp", LeaseRequest(RUN_TAG, RunKind.DEPLOY, REQUESTED_AT, timedelta(hours=2)))
    return s3


def _conclude(told: dict[tuple[str, str], Any] | None = None, **states: str) -> str:
    """Conclude a run whose tasks have these states; those that are not named succeeded."""
    task = context()
    named = {name.replace("__", "."): state for name, state in states.items()}
    handed_on = {**HANDED_ON, **(told or {})}
    task["ti"].get_task_states = lambda **_: {task["ti"].run_id: dict.fromkeys(STAGES, "success") | named}
    task["ti"].xcom_pull = lambda task_ids, key: handed_on.get((task_ids, key))
    task["dag"] = SimpleNamespace(
        topological_sort=lambda: [SimpleNamespace(task_id=stage, is_teardown=False) for stage in STAGES]
    )
    task["params"] = {"version": "1.2.3"}
    return FinalizeOperator(task_id="finalize", service="webapp").execute(task)


NOTHING_AFTER_BAKE = {"bake": "failed"} | {stage.replace(".", "__"): "upstream_failed" for stage in STAGES[1:]}


def _records(s3: Any) -> dict[str, dict[str, Any]]:
    keys = [found["Key"] for found in s3.list_objects_v2(Bucket=BUCKET, Prefix="releases/").get("Contents", [])]
    return {key: json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) for key in keys}


def _record(s3: Any) -> dict[str, Any]:
    return _records(s3)[release.key("webapp", NAME)]


def _is_released_at(s3: Any) -> bool:
    now = lease.read(s3, BUCKET, "webapp")
    return now is not None and now.released_at is not None


def test_a_run_that_succeeded_has_its_record_already(s3: Any) -> None:
    assert _conclude(roll_back="skipped") == release.SUCCESSFUL

    assert _records(s3) == {}
    assert _is_released_at(s3)


def test_a_run_that_found_another_release_than_it_was_to_replace_is_superseded_by_that(s3: Any) -> None:
    told = {
        ("acquire_lease", "replaced"): {"by": "deploy_webapp/manual__2", "message": "webapp-2 is the current release"}
    }
    after = STAGES[STAGES.index("acquire_lease") :]

    assert _conclude(told, **dict.fromkeys(after, "skipped")) == release.SUPERSEDED

    found = _record(s3)
    assert (found["superseded_by"], found["explanation"]) == (
        "deploy_webapp/manual__2",
        "webapp-2 is the current release",
    )
    assert _is_released_at(s3)


def test_a_rollout_that_aws_rolled_back_is_recorded_with_its_reason_and_the_fleet(s3: Any) -> None:
    told = {("wait_for_refresh", "failure"): {"reason": "unhealthy", "message": "i-3 is unhealthy for 300 s"}}

    assert _conclude(told, wait_for_refresh="failed", record_release="upstream_failed") == release.ROLLED_BACK

    record = _record(s3)
    assert (record["stage"], record["reason"]) == ("wait_for_refresh", "unhealthy")
    assert record["explanation"] == "i-3 is unhealthy for 300 s"
    assert record["refresh"] == {"id": "r-1", "status": "RollbackSuccessful"}
    assert record["instances"] == {"before": ["i-1", "i-2"], "after": ["i-1", "i-2"]}
    assert record["channels"] is None
    assert record["commit"] == "0a1b2c3"
    assert _is_released_at(s3)


def test_a_fleet_that_is_still_mixed_is_a_failure(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AutoScalingHook, "refreshes", lambda *_: [refresh("Failed")])
    told = {("wait_for_refresh", "failure"): {"reason": "failed", "message": "AWS gave up"}}
    states = {"wait_for_refresh": "failed", "record_release": "upstream_failed"}

    assert _conclude(told, **states, roll_back="failed") == release.FAILED


def test_a_fleet_that_the_pipeline_returned_itself_is_rolled_back(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AutoScalingHook, "refreshes", lambda *_: [refresh("Failed")])

    assert _conclude(wait_for_refresh="failed", record_release="upstream_failed") == release.ROLLED_BACK


def test_a_run_that_failed_before_anything_was_made_says_where_and_why(s3: Any) -> None:
    told = {("bake", "error"): {"reason": "artifact", "message": "no such file: build/webapp-1.2.3.tar.gz"}}

    assert _conclude(told, **NOTHING_AFTER_BAKE) == release.FAILED

    record = _record(s3)
    assert (record["version"], record["ami_id"], record["launch_template"]) == ("1.2.3", None, None)
    assert (record["stage"], record["reason"]) == ("bake", "artifact")


def test_a_worker_that_was_lost_leaves_a_record_all_the_same(s3: Any) -> None:
    _conclude(terraform_apply="failed", start_refresh="upstream_failed", record_release="upstream_failed")

    record = _record(s3)
    assert (record["stage"], record["reason"]) == ("terraform_apply", "unknown")
    assert "no word of it came from the worker" in record["explanation"]
    assert record["refresh"] is None


def test_a_superseded_run_names_the_run_that_took_over_and_keeps_its_hands_off_the_turn(s3: Any) -> None:
    rollback = LeaseRequest(
        "rollback_webapp/x", RunKind.ROLLBACK, REQUESTED_AT + timedelta(minutes=5), timedelta(hours=2)
    )
    lease.acquire(s3, BUCKET, "webapp", rollback)

    outcome = _conclude(wait_for_refresh="skipped", roll_back="skipped", record_release="skipped")

    record = _record(s3)
    assert outcome == record["outcome"] == release.SUPERSEDED
    assert (record["superseded_by"], record["stage"]) == ("rollback_webapp/x", "wait_for_refresh")
    now = lease.read(s3, BUCKET, "webapp")
    assert now is not None
    assert now.released_at is None


def test_a_run_that_somebody_stopped_is_no_success(s3: Any) -> None:
    assert _conclude(start_refresh="skipped", wait_for_refresh="skipped", record_release="skipped") == release.FAILED

    assert _record(s3)["reason"] == "stopped"


def test_a_retry_finds_its_own_record(s3: Any) -> None:
    _conclude(**NOTHING_AFTER_BAKE)
    written = _records(s3)

    _conclude(**NOTHING_AFTER_BAKE)

    assert _records(s3) == written


def test_a_final_record_is_not_overwritten_by_what_the_run_came_to_when_it_was_cleared(s3: Any) -> None:
    _conclude(**NOTHING_AFTER_BAKE)

    _conclude(wait_for_refresh="failed", record_release="upstream_failed")

    assert [record["outcome"] for record in _records(s3).values()] == [release.ROLLED_BACK, release.FAILED]


def test_not_knowing_the_fleet_does_not_lose_the_record(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> Any:
        raise ConnectionResetError("gone")

    monkeypatch.setattr(AutoScalingHook, "refreshes", away)

    assert _conclude(wait_for_refresh="failed", roll_back="failed", record_release="upstream_failed") == release.FAILED
    assert _record(s3)["refresh"] == {"id": "r-1", "status": ""}
