"""The stage acquire_lease: it takes, waits deferred, or ends the run as superseded."""

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from rebake.exceptions import ConfigError
from rebake.operators.acquire_lease import AcquireLeaseOperator
from rebake.release import lease
from rebake.release import record as release
from rebake.release.lease import RunKind
from rebake.release.stage import Stage
from rebake.triggers.lease import LeaseTrigger
from tests.support.aws import object_keys, read_json
from tests.support.releases import RESULTS, acquire_lease, lease_now, run_context
from tests.support.task import REQUESTED_AT, RUN_TAG, deferral


def _context() -> Any:
    return run_context(RESULTS, {Stage.BAKE: "success", Stage.ACQUIRE_LEASE: "running"})


def _take(kind: str = "deploy") -> int:
    return AcquireLeaseOperator(task_id="acquire_lease", service="webapp", kind=kind).execute(_context())


def test_a_free_lease_is_acquired_for_the_rollout_and_an_hour_more(s3: Any) -> None:
    assert _take() == 1

    now = lease_now(s3)
    assert (now.holder, now.kind, now.requested_at) == (RUN_TAG, RunKind.DEPLOY, REQUESTED_AT)
    assert now.until - now.since == timedelta(seconds=900) + lease.SLACK


def test_the_record_begins_with_the_result_of_the_bake(s3: Any) -> None:
    _take()

    key = release.progress_key("webapp", "webapp-20261123T183012-1.2.3")
    begun = read_json(s3, key)
    assert (begun["outcome"], begun["ami_id"], begun["commit"]) == ("in_progress", "ami-01", "0a1b2c3")
    assert begun["requested_by"] == "ada"


def test_a_lease_that_another_run_holds_is_waited_for_until_it_is_void(s3: Any) -> None:
    acquire_lease(s3, "deploy_webapp/earlier", -5)

    deferred = deferral(_take)

    assert isinstance(deferred.trigger, LeaseTrigger)
    now = lease_now(s3)
    assert (deferred.trigger.token, deferred.trigger.deadline) == (now.token, now.until.timestamp())
    assert deferred.timeout is not None
    assert deferred.timeout > timedelta(seconds=60)


def test_a_rollback_does_not_wait_for_a_deployment(s3: Any) -> None:
    acquire_lease(s3, "deploy_webapp/earlier", -5)

    assert _take("rollback") == 2


def test_a_run_that_comes_too_late_is_skipped_and_leaves_no_record(s3: Any) -> None:
    acquire_lease(s3, "rollback_webapp/later", 5)

    with pytest.raises(AirflowSkipException, match="rollback_webapp/later, which was requested later, holds the lease"):
        _take()

    assert object_keys(s3) == [lease.key("webapp")]


def test_a_kind_outside_the_vocabulary_is_refused(s3: Any) -> None:
    with pytest.raises(ConfigError, match="kind 'redeploy' of a lease is none of deploy, rollback"):
        _take("redeploy")
