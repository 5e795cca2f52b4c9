"""The stage acquire_lease: it takes, waits deferred, or ends the run as superseded."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from rebake.exceptions import ConfigError
from rebake.operators.acquire_lease import AcquireLeaseOperator
from rebake.release import lease
from rebake.release import record as release
from rebake.release.lease import LeaseRequest, RunKind
from rebake.release.stage import Stage
from rebake.triggers.lease import LeaseTrigger
from tests.support.aws import BUCKET
from tests.support.releases import RESULTS, put_record, record, run_context
from tests.support.task import REQUESTED_AT, RUN_TAG

SPAN = timedelta(hours=2)


def _context() -> Any:
    return run_context(RESULTS, {Stage.BAKE: "success", Stage.ACQUIRE_LEASE: "running"})


def _take(kind: str = "deploy") -> int:
    return AcquireLeaseOperator(task_id="acquire_lease", service="webapp", kind=kind).execute(_context())


def _other(s3: Any, name: str, minutes: int) -> None:
    kind = RunKind.ROLLBACK if name.startswith("rollback") else RunKind.DEPLOY
    assert lease.acquire(
        s3, BUCKET, "webapp", LeaseRequest(name, kind, REQUESTED_AT + timedelta(minutes=minutes), SPAN)
    )


def test_a_free_turn_is_taken_for_the_rollout_and_an_hour_more(s3: Any) -> None:
    assert _take() == 1

    now = lease.read(s3, BUCKET, "webapp")
    assert now is not None
    assert (now.holder, now.kind, now.requested_at) == (RUN_TAG, RunKind.DEPLOY, REQUESTED_AT)
    assert now.until - now.since == timedelta(seconds=900) + lease.SLACK


def test_the_record_begins_with_what_the_bake_said(s3: Any) -> None:
    _take()

    key = release.progress_key("webapp", "webapp-20261123T183012-1.2.3")
    record = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    assert (record["outcome"], record["ami_id"], record["commit"]) == ("in_progress", "ami-01", "0a1b2c3")
    assert record["requested_by"] == "ada"


def test_a_turn_that_another_has_is_waited_for_until_it_is_void(s3: Any) -> None:
    _other(s3, "deploy_webapp/earlier", -5)

    with pytest.raises(TaskDeferred) as deferred:
        _take()

    trigger = deferred.value.trigger
    assert isinstance(trigger, LeaseTrigger)
    now = lease.read(s3, BUCKET, "webapp")
    assert now is not None
    assert (trigger.token, trigger.deadline) == (now.token, now.until.timestamp())
    assert deferred.value.timeout is not None
    assert deferred.value.timeout > timedelta(seconds=60)


def test_a_rollback_does_not_wait_for_a_deployment(s3: Any) -> None:
    _other(s3, "deploy_webapp/earlier", -5)

    assert _take("rollback") == 2


def test_a_run_that_comes_too_late_is_skipped_and_leaves_no_record(s3: Any) -> None:
    _other(s3, "rollback_webapp/later", 5)

    with pytest.raises(AirflowSkipException, match="rollback_webapp/later, which was requested later, holds the lease"):
        _take()

    assert [found["Key"] for found in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == [lease.key("webapp")]


def _release(s3: Any, number: int, outcome: str = "successful") -> str:
    return put_record(s3, record(number, outcome))


def test_a_release_that_is_the_current_one_still_may_be_replaced(s3: Any) -> None:
    replaces = _release(s3, 1)
    _release(s3, 2, outcome="failed")

    assert AcquireLeaseOperator(task_id="acquire_lease", service="webapp", replaces=replaces).execute(_context()) == 1


def test_a_run_that_was_to_replace_a_release_leaves_a_newer_one_alone(s3: Any) -> None:
    replaces, newer = _release(s3, 1), _release(s3, 2)
    task = _context()

    with pytest.raises(AirflowSkipException, match=f"superseded: {newer} is the current release of webapp"):
        AcquireLeaseOperator(task_id="acquire_lease", service="webapp", replaces=replaces).execute(task)

    assert task["ti"].pushed["failure"]["superseded_by"] == "deploy_webapp/manual__2"


def test_a_kind_outside_the_vocabulary_is_refused(s3: Any) -> None:
    with pytest.raises(ConfigError, match="kind 'redeploy' of a lease is none of deploy, rollback"):
        _take("redeploy")


def test_a_run_that_was_to_replace_a_release_that_is_gone_is_superseded_by_nobody_known(s3: Any) -> None:
    task = _context()

    with pytest.raises(AirflowSkipException, match="superseded: there is no release of webapp, and webapp-1"):
        AcquireLeaseOperator(task_id="acquire_lease", service="webapp", replaces="webapp-1").execute(task)

    assert task["ti"].pushed["failure"]["superseded_by"] == "unknown"
