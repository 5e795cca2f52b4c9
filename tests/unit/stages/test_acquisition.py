"""Acquiring a lease to replace a release: only if that is still the current one."""

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from rebake.operators.acquire_lease import AcquireLeaseOperator
from tests.support.releases import put_record, record, run_context


def _acquire(replaces: str, task: Any) -> int:
    return AcquireLeaseOperator(task_id="acquire_lease", service="webapp", replaces=replaces).execute(task)


def test_a_release_that_is_the_current_one_still_may_be_replaced(s3: Any) -> None:
    replaces = put_record(s3, record(1))
    put_record(s3, record(2, "failed"))

    assert _acquire(replaces, run_context({}, {})) == 1


def test_a_run_that_was_to_replace_a_release_leaves_a_newer_one_alone(s3: Any) -> None:
    replaces, newer = put_record(s3, record(1)), put_record(s3, record(2))
    task = run_context({}, {})

    with pytest.raises(AirflowSkipException, match=f"superseded: {newer} is the current release of webapp"):
        _acquire(replaces, task)

    assert task["ti"].pushed["failure"]["superseded_by"] == "deploy_webapp/manual__2"


def test_a_run_that_was_to_replace_a_release_that_is_gone_is_superseded_by_nobody_known(s3: Any) -> None:
    task = run_context({}, {})

    with pytest.raises(AirflowSkipException, match="superseded: there is no release of webapp, and webapp-1"):
        _acquire("webapp-1", task)

    assert task["ti"].pushed["failure"]["superseded_by"] == "unknown"
