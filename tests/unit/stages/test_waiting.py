"""A wait for a rollout: what it defers to, and what it makes of the answer."""

import time
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from rebake import config
from rebake.exceptions import RolloutFailedError
from rebake.rollout.refresh import FleetHealth
from rebake.sensors.instance_refresh import NOT_NEEDED, InstanceRefreshSensor
from rebake.stages.dag_defaults import push_error
from rebake.triggers.fleet_health import FleetHealthTrigger
from tests.support.fleet import GROUP, targets
from tests.support.task import context, deferral
from tests.unit.triggers.trigger_support import MIXED


def _waiting() -> InstanceRefreshSensor:
    return InstanceRefreshSensor(task_id="wait", service="webapp", auto_scaling_group_name=GROUP, refresh_id="r-1")


WAIT = {"refresh_id": "r-1", "launch_template_version": "2", "status": NOT_NEEDED}


def _event(reason: str = "", **more: Any) -> dict[str, Any]:
    event = {"ok": not reason, "reason": reason, "status": "Successful", "message": "", "ending": False}
    return {**event, "fleet": asdict(FleetHealth()), "progress": [], **more}


def test_what_the_trigger_saw_is_in_the_tasks_own_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow begins the trigger's log anew when the task defers again."""
    event = _event(progress=["10:00:01 instance refresh r-1: 33 %", "10:00:31 instance refresh r-1: 66 %"])
    logged: list[str] = []
    log = SimpleNamespace(info=lambda text, *arguments: logged.append(text % arguments))
    monkeypatch.setattr(InstanceRefreshSensor, "log", log)

    with pytest.raises(TaskDeferred):
        _waiting().refresh_complete(context(), event, wait=WAIT)

    assert logged[:2] == event["progress"]


def test_it_waits_for_health_after_a_successful_refresh_as_long_as_an_instance_may_take() -> None:
    deferred = deferral(_waiting().refresh_complete, context(), _event(), wait=WAIT)

    trigger = deferred.trigger
    assert isinstance(trigger, FleetHealthTrigger)
    assert trigger.deadline == pytest.approx(time.time() + 60, abs=30)  # rollout.unhealthy_deadline, locally
    assert deferred.kwargs == {"wait": {**WAIT, "status": "Successful"}}
    assert trigger.launch_template_version == "2"
    assert trigger.status == "Successful"


def test_the_final_status_is_returned() -> None:
    event = _event(message="3 instances are healthy")

    assert _waiting().execute_complete(context(), event, wait=WAIT) == "Successful"


def test_the_end_of_a_refresh_that_is_rolled_back_is_waited_for() -> None:
    """The cause is part of the deferral: a triggerer that is restarted knows it."""
    event = _event("unhealthy", ending=True, message="i-3 is unhealthy", status="InProgress")

    deferred = deferral(_waiting().refresh_complete, context(), event, wait=WAIT)

    _, arguments = deferred.trigger.serialize()
    assert (arguments["cause"], arguments["because"], arguments["refresh_id"]) == (
        "unhealthy",
        "i-3 is unhealthy",
        "r-1",
    )
    assert arguments["deadline"] == pytest.approx(time.time() + 900, abs=30)
    assert deferred.method_name == "refresh_complete"
    assert deferred.kwargs == {"wait": WAIT}


def test_a_run_that_was_superseded_is_skipped_and_no_failure() -> None:
    task = context()

    with pytest.raises(AirflowSkipException, match="rollback_webapp"):
        _waiting().refresh_complete(task, _event("superseded", message="by rollback_webapp/manual"), wait=WAIT)
    assert task["ti"].pushed["failure"]["reason"] == "superseded"


def test_a_service_without_auto_rollback_has_its_refresh_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    service = config.load_service("webapp")
    rollout = service.rollout.model_copy(update={"auto_rollback": False})
    monkeypatch.setattr(config, "load_service", lambda *_: service.model_copy(update={"rollout": rollout}))

    deferred = deferral(_waiting().wait_for_refresh, context(), WAIT)

    assert deferred.trigger.serialize()[1]["roll_back"] is False


def test_the_wait_fails_with_the_reason_the_refresh_and_the_instances() -> None:
    fleet = FleetHealth.of(MIXED, targets(i_1="unhealthy:Target.Timeout", i_2="healthy")["TargetHealthDescriptions"])
    event = _event("rolled_back", status="RollbackSuccessful", message="RollbackSuccessful: 0 %", fleet=asdict(fleet))
    task = context()

    with pytest.raises(RolloutFailedError) as caught:
        _waiting().refresh_complete(task, event, wait=WAIT)

    for word in ("webapp", GROUP, "rolled_back", "r-1", "RollbackSuccessful", "i-1 is unhealthy Target.Timeout"):
        assert word in str(caught.value)
    push_error({**task, "exception": caught.value})
    assert task["ti"].pushed["failure"] == {
        "reason": "rolled_back",
        "message": "RollbackSuccessful: 0 %",
        "superseded_by": None,
    }
