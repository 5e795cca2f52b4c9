"""Waiting for a refresh: what each answer of AWS comes to, and what the sensor makes of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from rebake.exceptions import RolloutFailedError
from rebake.hooks.autoscaling import AutoScalingHook, TargetHealthHook
from rebake.refresh import FAILURE_STATES, FORWARD_STATES, REASON_OF_STATE, Fleet
from rebake.sensors.instance_refresh import NOT_NEEDED, InstanceRefreshSensor
from rebake.triggers.instance_refresh import LOST_AFTER, FleetHealthTrigger, InstanceRefreshTrigger
from tests.unit.rollout_support import (
    CONNECTION,
    GROUP,
    AsyncScript,
    context,
    group,
    instance,
    refresh,
    run_trigger,
    targets,
)

Script = Callable[..., tuple[AsyncScript, AsyncScript]]

HEALTHY = group("2", instance("i-1", "2"), instance("i-2", "2"))
MIXED = group("1", instance("i-1", "2"), instance("i-2", "1"))


def _group(of: Any) -> tuple[str, Any]:
    return "describe_auto_scaling_groups", {"AutoScalingGroups": [of] if of else []}


def _refresh(*records: Any) -> tuple[str, Any]:
    return "describe_instance_refreshes", {"InstanceRefreshes": list(records)}


def _health(**states: str) -> tuple[str, Any]:
    return "describe_target_health", targets(**states)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Return a function that sets what Auto Scaling and the load balancer answer."""

    def set_answers(autoscaling: list[tuple[str, Any]], elbv2: list[tuple[str, Any]] | None = None) -> Any:
        scripts = AsyncScript("autoscaling", *autoscaling), AsyncScript("elbv2", *(elbv2 or []))
        monkeypatch.setattr(AutoScalingHook, "get_async_conn", scripts[0].get_async_conn)
        monkeypatch.setattr(TargetHealthHook, "get_async_conn", scripts[1].get_async_conn)
        return scripts

    return set_answers


def _refresh_trigger(seconds: float = 30) -> InstanceRefreshTrigger:
    return InstanceRefreshTrigger(
        auto_scaling_group_name=GROUP,
        refresh_id="r-1",
        deadline=time.time() + seconds,
        poll_seconds=0.001,
        **CONNECTION,
    )


def _health_trigger(seconds: float = 30, template_version: str = "2") -> FleetHealthTrigger:
    return FleetHealthTrigger(
        auto_scaling_group_name=GROUP,
        template_version=template_version,
        status="Successful",
        deadline=time.time() + seconds,
        poll_seconds=0.001,
        **CONNECTION,
    )


def test_a_refresh_is_waited_for_until_it_is_successful(script: Script) -> None:
    autoscaling, _ = script(
        [*(_refresh(refresh(status)) for status in FORWARD_STATES), _refresh(refresh("Successful"))]
    )

    event = run_trigger(_refresh_trigger())

    assert event["ok"]
    assert event["status"] == "Successful"
    assert autoscaling.asked[0][1] == {"AutoScalingGroupName": GROUP, "InstanceRefreshIds": ["r-1"]}


def test_hundred_percent_is_not_yet_success(script: Script) -> None:
    """AWS reports 100 % and an EndTime on refreshes that are still InProgress: only Status decides."""
    script(
        [_refresh(refresh("InProgress", percentage=100)), _refresh(refresh("Failed", percentage=100)), _group(MIXED)],
        [_health(i_1="healthy", i_2="healthy")],
    )

    assert run_trigger(_refresh_trigger())["reason"] == "failed"


@pytest.mark.parametrize("status", FAILURE_STATES)
def test_every_other_end_is_a_failure_with_its_reason_and_the_fleet(script: Script, status: str) -> None:
    script(
        [_refresh(refresh(status, StatusReason="It did not work.")), _group(MIXED)],
        [_health(i_1="unhealthy:Target.Timeout", i_2="healthy")],
    )

    event = run_trigger(_refresh_trigger())

    assert not event["ok"]
    assert event["reason"] == REASON_OF_STATE[status]
    assert "It did not work." in event["message"]
    assert Fleet(**event["fleet"]).problems("2") == ["i-1 is unhealthy Target.Timeout", "i-2 runs template version 1"]


def test_an_unknown_status_is_waited_on(script: Script) -> None:
    script([_refresh(refresh("Rehearsing")), _refresh(refresh("Successful"))])

    assert run_trigger(_refresh_trigger())["ok"]


@pytest.mark.parametrize("code", ["Throttling", "RequestLimitExceeded", "InternalFailure", "ResourceContention"])
def test_faults_that_pass_do_not_end_the_wait(script: Script, code: str) -> None:
    script([("describe_instance_refreshes", code)] * 3 + [_refresh(refresh("Successful"))])

    assert run_trigger(_refresh_trigger())["ok"]


def test_a_refusal_ends_the_wait_at_once(script: Script) -> None:
    """Nothing is gained by asking for an hour what AWS does not allow."""
    script([("describe_instance_refreshes", "AccessDenied")])

    with pytest.raises(Exception, match="AccessDenied"):
        run_trigger(_refresh_trigger())


def test_a_refresh_that_aws_no_longer_knows_is_lost(script: Script) -> None:
    script([_refresh(refresh("InProgress", percentage=40)), *[_refresh()] * LOST_AFTER, _group(None)])

    event = run_trigger(_refresh_trigger())

    assert event["reason"] == "lost"
    assert "40 %" in event["message"]


def test_a_refresh_that_is_not_seen_at_first_is_not_lost(script: Script) -> None:
    script(
        [*[_refresh()] * (LOST_AFTER - 1), _refresh(refresh("Pending")), _refresh(), _refresh(refresh("Successful"))]
    )

    assert run_trigger(_refresh_trigger())["ok"]


def test_a_refresh_that_does_not_end_is_a_timeout_and_not_a_failure_of_aws(script: Script) -> None:
    script([_refresh(refresh("InProgress", percentage=40)), _group(MIXED)], [_health(i_1="healthy", i_2="healthy")])

    event = run_trigger(_refresh_trigger(seconds=0))

    assert event["reason"] == "timeout"
    assert event["status"] == "InProgress"
    assert "40 %" in event["message"]


def test_not_knowing_the_fleet_does_not_hide_the_failure(script: Script) -> None:
    script([_refresh(refresh("Failed")), ("describe_auto_scaling_groups", "AccessDenied")])

    assert run_trigger(_refresh_trigger())["reason"] == "failed"


def test_a_restarted_trigger_keeps_the_deadline() -> None:
    trigger = _refresh_trigger(seconds=30)
    _, arguments = trigger.serialize()

    assert InstanceRefreshTrigger(**arguments).deadline == trigger.deadline


def test_a_fleet_is_waited_for_until_it_is_healthy(script: Script) -> None:
    booting = group("2", instance("i-1", "2"), instance("i-2", "2", "Pending"))
    script(
        [_group(group("2")), _group(booting), _group(HEALTHY), _group(HEALTHY)],
        [
            ("describe_target_health", targets()),
            _health(i_1="initial"),
            _health(i_1="healthy", i_2="initial:Elb.RegistrationInProgress"),
            _health(i_1="healthy", i_2="healthy"),
        ],
    )

    event = run_trigger(_health_trigger())

    assert event["ok"]
    assert event["message"] == "2 instances are healthy"


def test_a_fleet_that_does_not_become_healthy_says_which_instance_and_why(script: Script) -> None:
    script([_group(HEALTHY)], [_health(i_1="healthy", i_2="unhealthy:Target.ResponseCodeMismatch")])

    event = run_trigger(_health_trigger(seconds=0))

    assert event["reason"] == "unhealthy"
    assert event["message"] == "i-2 is unhealthy Target.ResponseCodeMismatch"


def test_an_empty_fleet_that_wants_no_instance_is_healthy(script: Script) -> None:
    script([_group(group("2", desired=0))], [("describe_target_health", targets())])

    assert run_trigger(_health_trigger())["ok"]


def test_a_group_that_is_gone_is_lost(script: Script) -> None:
    script([_group(None)])

    assert run_trigger(_health_trigger(seconds=0))["reason"] == "lost"


def _sensor(refresh_id: str = "r-1") -> InstanceRefreshSensor:
    return InstanceRefreshSensor(
        task_id="wait_for_refresh",
        service="webapp",
        auto_scaling_group_name=GROUP,
        refresh_id=refresh_id,
        launch_template_version="2",
    )


def test_the_sensor_defers_with_the_services_own_deadline() -> None:
    with pytest.raises(TaskDeferred) as deferred:
        _sensor().execute(context())

    trigger = deferred.value.trigger
    assert isinstance(trigger, InstanceRefreshTrigger)
    assert trigger.deadline == pytest.approx(time.time() + 900, abs=30)  # rollout.timeout of the local environment
    assert deferred.value.method_name == "refresh_complete"
    assert deferred.value.timeout is not None
    assert deferred.value.timeout.total_seconds() > 900


def test_the_sensor_waits_for_health_after_a_successful_refresh_with_the_same_deadline() -> None:
    with pytest.raises(TaskDeferred) as deferred:
        _sensor().refresh_complete(context(), {"ok": True, "status": "Successful", "message": "", "deadline": 99.0})

    trigger = deferred.value.trigger
    assert isinstance(trigger, FleetHealthTrigger)
    assert trigger.deadline == 99.0
    assert trigger.template_version == "2"
    assert trigger.status == "Successful"


def test_without_a_refresh_the_sensor_only_waits_for_health() -> None:
    with pytest.raises(TaskDeferred) as deferred:
        _sensor(refresh_id="").execute(context())

    assert isinstance(deferred.value.trigger, FleetHealthTrigger)
    assert deferred.value.trigger.status == NOT_NEEDED


def test_the_sensor_returns_the_final_status() -> None:
    event = {"ok": True, "message": "3 instances are healthy", "status": "Successful"}

    assert _sensor().execute_complete(context(), event) == "Successful"


def test_the_sensor_fails_with_the_reason_the_refresh_and_the_instances() -> None:
    fleet = Fleet.of(MIXED, targets(i_1="unhealthy:Target.Timeout", i_2="healthy")["TargetHealthDescriptions"])
    event = {"ok": False, "reason": "rolled_back", "message": "RollbackSuccessful: 0 %", "fleet": fleet.dump()}

    with pytest.raises(RolloutFailedError) as caught:
        _sensor().refresh_complete(context(), event)

    for told in ("webapp", GROUP, "rolled_back", "r-1", "RollbackSuccessful", "i-1 is unhealthy Target.Timeout"):
        assert told in str(caught.value)
