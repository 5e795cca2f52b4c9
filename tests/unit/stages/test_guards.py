"""What a stage checks before it changes a service."""

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from rebake.config import load_environment
from rebake.release import lease
from rebake.release.lease import LeaseRequest, RunKind
from rebake.stages.guards import LeaseGuard
from tests.support.aws import BUCKET
from tests.support.task import REQUESTED_AT, RUN_TAG, context

ROLLBACK = "rollback_webapp/c"
SPAN = timedelta(hours=2)


def test_a_stage_of_a_superseded_run_is_skipped_and_not_failed(s3: Any) -> None:
    guard = LeaseGuard("webapp", load_environment())
    lease.acquire(s3, BUCKET, "webapp", LeaseRequest(RUN_TAG, RunKind.DEPLOY, REQUESTED_AT, SPAN))
    guard.check(context())
    lease.acquire(s3, BUCKET, "webapp", LeaseRequest(ROLLBACK, RunKind.ROLLBACK, REQUESTED_AT + SPAN, SPAN))

    with pytest.raises(AirflowSkipException, match=f"superseded by {ROLLBACK}"):
        guard.check(context())
