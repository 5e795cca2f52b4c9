"""What every task does when it fails: whether it is retried, and what it logs and leaves for the release record."""

from typing import Any

import pytest
from airflow.sdk import RetryAction

from rebake import exceptions
from rebake.stages.dag_defaults import RETRY_POLICY, log_failure


def _every_error() -> list[type[exceptions.RebakeError]]:
    found = [item for item in vars(exceptions).values() if isinstance(item, type)]
    return [item for item in found if issubclass(item, exceptions.RebakeError)]


PASSING = {
    exceptions.RebakeError,
    exceptions.ToolKilledError,
    exceptions.ToolStoppedError,
    exceptions.CloudUnreachableError,
    exceptions.EstateError,
}
"""Errors that another try can help."""


@pytest.mark.parametrize("error", _every_error(), ids=lambda error: error.__name__)
def test_what_another_try_cannot_help_fails_at_once(error: type[exceptions.RebakeError]) -> None:
    decision = RETRY_POLICY.evaluate(error("message"), 1, 3)

    assert (decision.action is RetryAction.FAIL) == (error not in PASSING)
    assert decision.action is not RetryAction.FAIL or decision.reason


def test_a_failed_task_leaves_one_line_with_the_run_the_stage_and_the_error(caplog: pytest.LogCaptureFixture) -> None:
    class Task:
        dag_id, run_id, task_id = "deploy_webapp", "manual__1", "bake"

    shown: Any = {"ti": Task(), "exception": exceptions.ArtifactError("no such file:\n  build/webapp-1.2.3.tar.gz")}

    log_failure(shown)

    (record,) = caplog.records
    assert record.getMessage() == (
        "run manual__1 of deploy_webapp failed at bake: ArtifactError: no such file: build/webapp-1.2.3.tar.gz"
    )
