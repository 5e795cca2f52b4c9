"""The stage deploy_dependent: it starts the deployment of a dependent, once, and reports its result."""

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DagRunTriggerException
from airflow.sdk.exceptions import AirflowSkipException

from rebake import config
from rebake.exceptions import DeploymentFailedError
from rebake.operators.deploy_dependent import DeployDependentOperator
from tests.support.releases import put_record, record
from tests.support.task import RUN_ID, context, deferral

RUN = f"rebake__{RUN_ID}"


def _deploy(service: str = "pages") -> DeployDependentOperator:
    return DeployDependentOperator(
        task_id="deploy",
        service=service,
        version="1.1.0",
        commit="0a1b2c3",
        build_id="",
        replaces="pages-1",
        base_ami="ami-0new",
    )


def _task(runs: int = 0, **xcoms: Any) -> Any:
    """Return a context in which so many runs of the name exist already."""
    task = context()
    task["ti"].get_dr_count = lambda **_: runs
    task["ti"].get_dag = lambda _: SimpleNamespace(is_paused=False)
    task["ti"].xcom_pull = lambda task_ids, **_: xcoms.get(task_ids)
    return task


def test_the_deployment_gets_the_version_whom_it_replaces_and_for_whom_it_is() -> None:
    with pytest.raises(DagRunTriggerException) as asked:
        _deploy().execute(_task())

    assert (asked.value.trigger_dag_id, asked.value.dag_run_id) == ("deploy_pages", RUN)
    assert asked.value.logical_date is not None  # Airflow's home page counts only runs that have one
    assert asked.value.wait_for_completion
    assert asked.value.deferrable
    assert asked.value.conf == {
        "version": "1.1.0",
        "commit": "0a1b2c3",
        "replaces": "pages-1",
        "requested_by": "new base ami-0new",
    }


def test_a_retry_finds_the_deployment_that_it_has_started_and_starts_no_second_one() -> None:
    deferred = deferral(_deploy().execute, _task(runs=1))

    assert deferred.trigger.serialize()[1]["run_ids"] == [RUN]


def test_a_service_that_only_bakes_is_not_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    baking = config.load_service("webapp").model_copy(update={"on_new_base": "bake"})
    monkeypatch.setattr(config, "load_service", lambda *_: baking)

    with pytest.raises(AirflowSkipException, match="webapp waits for its next deployment"):
        _deploy("webapp").execute(_task())


def _event(state: str) -> tuple[str, dict[str, Any]]:
    return "trigger", {"run_ids": [RUN], RUN: state}


def test_the_release_that_it_came_to_is_returned() -> None:
    task = _task(finalize="successful", record_release="pages-2")

    assert _deploy().execute_complete(task, _event("success")) == "pages-2"


def test_a_deployment_that_fails_fails_the_service_and_is_not_tried_again() -> None:
    with pytest.raises(DeploymentFailedError, match="of deploy_pages failed: see its log"):
        _deploy().execute_complete(_task(), _event("failed"))


def test_a_deployment_that_a_release_on_the_newest_base_superseded_was_not_needed(aws: Any) -> None:
    put_record(aws.s3, record(2, base_ami="ami-0new"))
    task = _task(finalize="superseded")

    with pytest.raises(AirflowSkipException, match="superseded: release webapp-20261123T183002-1"):
        _deploy("webapp").execute_complete(task, _event("success"))

    assert task["ti"].pushed["failure"]["message"].startswith("release webapp-20261123T183002-1.2.0")


def test_a_deployment_that_a_release_on_an_old_base_superseded_is_reported_as_a_failure(aws: Any) -> None:
    put_record(aws.s3, record(2))

    with pytest.raises(DeploymentFailedError, match="trigger rebake_on_new_base with base=debian-12 again"):
        _deploy("webapp").execute_complete(_task(finalize="superseded"), _event("success"))
