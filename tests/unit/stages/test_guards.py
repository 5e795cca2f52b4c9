"""What a stage checks before it changes a service."""

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from rebake.config import load_environment
from rebake.stages.guards import LeaseGuard
from tests.support.releases import acquire_lease
from tests.support.task import RUN_TAG, context


def test_a_stage_of_a_superseded_run_is_skipped_and_not_failed(s3: Any) -> None:
    guard = LeaseGuard("webapp", load_environment())
    acquire_lease(s3, RUN_TAG)
    guard.check(context())
    acquire_lease(s3, "rollback_webapp/c", minutes=120)

    with pytest.raises(AirflowSkipException, match="superseded by rollback_webapp/c"):
        guard.check(context())
