"""The tasks of a rebake: what they find, what they wait for, what they start, and what they report."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DagRunTriggerException
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
from airflow.sdk.execution_time.task_runner import TaskRunnerMarker

from rebake import config
from rebake.exceptions import ConfigError, DeploymentFailedError
from rebake.operators.choose_version import ChooseVersionOperator
from rebake.operators.deploy_dependent import DeployDependentOperator
from rebake.operators.find_dependents import FindDependentsOperator
from rebake.operators.report_rebakes import ReportRebakesOperator
from rebake.release import lease
from rebake.release import record as release
from rebake.release.lease import LeaseRequest, RunKind
from rebake.stages import pool
from rebake.stages.tooling import run_tag
from rebake.triggers.lease import LeaseTrigger
from tests.support.aws import BUCKET
from tests.support.releases import record
from tests.support.task import REQUESTED_AT, RUN_ID, RUN_TAG, context

RUN = f"rebake__{RUN_ID}"


@pytest.fixture
def aws(s3: Any, ssm: Any) -> SimpleNamespace:
    """Return clients of an account with the bucket, a release on an old base, and a newer base."""
    found = SimpleNamespace(s3=s3, ssm=ssm)
    _write(found, record(1))
    _promote(found, "ami-0new")
    return found


def _write(aws: Any, one: dict[str, Any]) -> None:
    key = release.key("webapp", one["release_id"])
    aws.s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(one).encode())


def _promote(aws: Any, ami_id: str) -> None:
    aws.ssm.put_parameter(Name="/rebake/bases/debian-12/current", Value=ami_id, Type="String", Overwrite=True)


def _choose(task: Any) -> str:
    return ChooseVersionOperator(task_id="choose_version", service="webapp").execute(task)


def test_the_version_of_the_current_release_is_what_moves_to_the_new_base(aws: Any) -> None:
    _write(aws, record(2, outcome="rolled_back"))
    task = context()

    assert _choose(task) == "1.1.0"
    assert task["ti"].pushed == {
        "commit": record(1)["commit"],
        "build_id": "77",
        "release_id": "webapp-20261123T183001-1.1.0",
        "base_ami": "ami-0new",
    }


def test_after_a_rollback_it_is_the_version_that_was_rolled_back_to(aws: Any) -> None:
    _write(aws, record(2))
    back = record(3, kind="rollback", restores=record(1)["release_id"], version="1.1.0", ami_id="ami-01")
    _write(aws, back)

    assert _choose(context()) == "1.1.0"


def test_a_service_on_the_newest_base_is_skipped_with_the_reason(aws: Any) -> None:
    _promote(aws, "ami-0ba5e")
    task = context()

    with pytest.raises(AirflowSkipException, match="is baked on ami-0ba5e, the newest of debian-12"):
        _choose(task)

    assert "is baked on ami-0ba5e" in task["ti"].pushed["word"]


def test_a_service_that_was_never_released_is_skipped(aws: Any) -> None:
    with pytest.raises(AirflowSkipException, match="pages was never released"):
        ChooseVersionOperator(task_id="choose_version", service="pages").execute(context())


def test_a_run_that_is_changing_the_service_is_waited_for(aws: Any) -> None:
    lease.acquire(
        aws.s3,
        BUCKET,
        "webapp",
        LeaseRequest("rollback_webapp/x", RunKind.ROLLBACK, REQUESTED_AT, timedelta(days=999)),
    )

    with pytest.raises(TaskDeferred) as deferred:
        _choose(context())

    assert isinstance(deferred.value.trigger, LeaseTrigger)
    lease.release(aws.s3, BUCKET, "webapp", "rollback_webapp/x")
    operator = ChooseVersionOperator(task_id="choose_version", service="webapp")
    assert operator.lease_ended(context(), {"token": 1}) == "1.1.0"


def test_the_families_of_the_events_are_looked_at_and_no_other() -> None:
    event = SimpleNamespace(extra={"ami_id": "ami-0new"})
    task = context() | {"triggering_asset_events": {Asset("rebake://bases/amazon-linux-2023"): [event]}}

    assert FindDependentsOperator(task_id="find_dependents").execute(task) == []
    assert task["ti"].pushed["families"] == ["amazon-linux-2023"]


@pytest.mark.parametrize(("base", "names"), [("", ["pages", "webapp"]), ("debian-12", ["pages", "webapp"])])
def test_by_hand_a_family_is_named_or_all_are_looked_at(base: str, names: list[str]) -> None:
    assert FindDependentsOperator(task_id="find_dependents", base=base).execute(context()) == names


def test_a_broken_service_file_is_reported_and_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    read = config.load_service

    def load(name: str, environment: Any) -> config.Service:
        if name == "pages":
            raise ConfigError("pages.yaml: fleet: Field required")
        return read(name, environment)

    monkeypatch.setattr(config, "load_service", load)
    task = context()

    assert FindDependentsOperator(task_id="find_dependents").execute(task) == ["webapp"]
    (left,) = task["ti"].pushed["skipped"]
    assert (left["service"], left["outcome"], left["why"]) == ("pages", "invalid", "pages.yaml: fleet: Field required")


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
    with pytest.raises(TaskDeferred) as deferred:
        _deploy().execute(_task(runs=1))

    assert deferred.value.trigger.serialize()[1]["run_ids"] == [RUN]


def test_a_service_that_only_bakes_is_not_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    baking = config.load_service("webapp").model_copy(update={"on_new_base": "bake"})
    monkeypatch.setattr(config, "load_service", lambda *_: baking)

    with pytest.raises(AirflowSkipException, match="webapp waits for its next deployment"):
        _deploy("webapp").execute(_task())


def test_each_service_has_a_tag_of_its_own_for_what_it_makes_and_cleans_up() -> None:
    """With one for the whole run, the bake of one service would remove the builder of another."""
    first, second = context(), context()
    first["ti"].map_index, second["ti"].map_index = 0, 1

    assert run_tag(first) == f"{RUN_TAG}/0"
    assert run_tag(second) == f"{RUN_TAG}/1"
    assert run_tag(context()) == RUN_TAG


def _event(state: str) -> tuple[str, dict[str, Any]]:
    return "trigger", {"run_ids": [RUN], RUN: state}


def test_the_release_that_it_came_to_is_returned() -> None:
    task = _task(finalize="successful", record_release="pages-2")

    assert _deploy().execute_complete(task, _event("success")) == "pages-2"


def test_a_deployment_that_fails_fails_the_service_and_is_not_tried_again() -> None:
    with pytest.raises(DeploymentFailedError, match="of deploy_pages failed: its log"):
        _deploy().execute_complete(_task(), _event("failed"))


def test_a_deployment_that_a_release_on_the_newest_base_superseded_was_not_needed(aws: Any) -> None:
    _write(aws, record(2, base_ami="ami-0new"))
    task = _task(finalize="superseded")

    with pytest.raises(AirflowSkipException, match="superseded: release webapp-20261123T183002-1"):
        _deploy("webapp").execute_complete(task, _event("success"))

    assert task["ti"].pushed["word"].startswith("release webapp-20261123T183002-1.2.0")


def test_a_deployment_that_a_release_on_an_old_base_superseded_is_told_as_a_failure(aws: Any) -> None:
    _write(aws, record(2))

    with pytest.raises(DeploymentFailedError, match="trigger rebake_on_new_base with base=debian-12 again"):
        _deploy("webapp").execute_complete(_task(finalize="superseded"), _event("success"))


def test_the_report_tells_of_every_service(aws: Any) -> None:
    states = {
        "find_dependents": "success",
        "rebake.choose_version_0": "success",
        "rebake.bake_0": "failed",
        "rebake.choose_version_1": "skipped",
    }
    handed_on = {
        ("find_dependents", "return_value", -1): ["webapp", "pages"],
        ("find_dependents", "families", -1): ["debian-12"],
        ("find_dependents", "skipped", -1): [
            {"service": "typo", "on_new_base": "", "outcome": "invalid", "version": "", "ami_id": "", "why": "x"}
        ],
        ("rebake.choose_version", "return_value", 0): "1.1.0",
        ("rebake.bake", "error", 0): {"reason": "artifact", "message": "no such file"},
        ("rebake.choose_version", "word", 1): "pages was never released",
    }
    task = context()
    task["ti"].get_task_states = lambda **_: {RUN_ID: states}
    task["ti"].xcom_pull = lambda task_ids, key, map_indexes: handed_on.get((task_ids, key, map_indexes))

    key = ReportRebakesOperator(task_id="report", found_by="find_dependents", group="rebake").execute(task)

    told = json.loads(aws.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    assert told["title"] == "New base debian-12: 1 failed, 1 not needed, 1 invalid"
    assert told["tables"][0]["rows"] == [
        ["webapp", "deploy", "failed", "1.1.0", "", "bake: no such file"],
        ["pages", "deploy", "not needed", "", "", "pages was never released"],
        ["typo", "", "invalid", "", "", "x"],
    ]


class Job:
    """Stands for Airflow's own, which writes to its database."""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Note which pools are made."""
    pools: list[dict[str, Any]] = []
    monkeypatch.setattr("airflow.models.pool.Pool.create_or_update_pool", lambda **pool: pools.append(pool))
    return pools


def test_the_pool_has_the_slots_of_the_policy(made: list[dict[str, Any]]) -> None:
    pool.on_starting(Job())

    assert [(one["name"], one["slots"]) for one in made] == [("rebake_bakes", 4)]


def test_a_tasks_process_leaves_the_database_alone(made: list[dict[str, Any]]) -> None:
    pool.on_starting(TaskRunnerMarker())

    assert made == []


def test_the_pool_is_there_even_if_the_environments_file_is_wrong(
    made: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REBAKE_ENVIRONMENT", "nowhere")

    pool.on_starting(Job())

    assert [one["slots"] for one in made] == [4]
