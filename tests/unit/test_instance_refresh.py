"""Waiting for a refresh: what each answer of AWS comes to, and what the sensor makes of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from rebake import config
from rebake.exceptions import RolloutFailedError
from rebake.health_watch import LOOKS
from rebake.hooks.autoscaling import AlarmsHook, AutoScalingHook, TargetHealthHook
from rebake.hooks.instance import InstanceHook
from rebake.hooks.turns import TurnsHook
from rebake.refresh import FAILURE_STATES, FORWARD_STATES, REASON_OF_STATE, Fleet, Reason
from rebake.sensors.instance_refresh import NOT_NEEDED, InstanceRefreshSensor
from rebake.triggers import instance_refresh
from rebake.triggers.fleet_health import FleetHealthTrigger
from rebake.triggers.instance_refresh import LOST_AFTER, InstanceRefreshTrigger
from rebake.turn import Kind, Turn
from tests.unit.rollout_support import (
    CONNECTION,
    GROUP,
    RUN_TAG,
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
    """Return a function that sets what AWS's services answer; those that are not named must not be asked."""

    def set_answers(
        autoscaling: list[tuple[str, Any]], elbv2: list[tuple[str, Any]] | None = None, **others: list[tuple[str, Any]]
    ) -> Any:
        hooks = {
            "autoscaling": (AutoScalingHook, autoscaling),
            "elbv2": (TargetHealthHook, elbv2 or []),
            "ec2": (InstanceHook, others.get("ec2", [])),
            "cloudwatch": (AlarmsHook, others.get("cloudwatch", [])),
            "s3": (TurnsHook, others.get("s3", [])),
        }
        scripts = []
        for service, (hook, steps) in hooks.items():
            scripts.append(AsyncScript(service, *steps))
            monkeypatch.setattr(hook, "get_async_conn", scripts[-1].get_async_conn)
        return scripts[0], scripts[1]

    return set_answers


def _refresh_trigger(seconds: float = 30, **more: Any) -> InstanceRefreshTrigger:
    return InstanceRefreshTrigger(
        **{
            "auto_scaling_group_name": GROUP,
            "refresh_id": "r-1",
            "service": "",
            "run": RUN_TAG,
            "bucket": "rebake-local",
            "unhealthy_deadline": 60,
            "roll_back": True,
            "deadline": time.time() + seconds,
            "poll_seconds": 0.001,
            **CONNECTION,
            **more,
        }
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


NEW_ON_THE_WAY = group("1", instance("i-1", "1"), instance("i-2", "1"), instance("i-3", "2"))
LAUNCHED = datetime.now(UTC) - timedelta(minutes=5)


def _going(status: str = "InProgress", **more: Any) -> Any:
    return refresh(status, StartTime=LAUNCHED, percentage=40, **more)


def _instances(*names: str, state: str = "running") -> tuple[str, Any]:
    known = [{"InstanceId": name, "LaunchTime": LAUNCHED, "State": {"Name": state}} for name in names]
    return "describe_instances", {"Reservations": [{"Instances": known}]}


ASK_ROLLBACK = ("rollback_instance_refresh", {"InstanceRefreshId": "r-1"})
ASK_CANCEL = ("cancel_instance_refresh", {"InstanceRefreshId": "r-1"})
SICK = _health(i_1="healthy", i_2="healthy", i_3="unhealthy:Target.ResponseCodeMismatch")


@pytest.mark.parametrize(
    ("roll_back", "asked", "answers"),
    [
        pytest.param(True, "rollback", [ASK_ROLLBACK], id="rolled back"),
        pytest.param(
            True,
            "cancel",
            [("rollback_instance_refresh", "IrreversibleInstanceRefresh"), ASK_CANCEL],
            id="cancelled because AWS cannot",
        ),
        pytest.param(False, "cancel", [ASK_CANCEL], id="cancelled because the service wants no rollback"),
    ],
)
def test_new_instances_that_do_not_become_healthy_turn_the_refresh_round(
    script: Script, roll_back: bool, asked: str, answers: list[Any]
) -> None:
    script(
        [*[_refresh(_going()), _group(NEW_ON_THE_WAY)] * LOOKS, *answers, _group(NEW_ON_THE_WAY)],
        [SICK] * (LOOKS + 1),
        ec2=[_instances("i-1", "i-2", "i-3")] * LOOKS,
    )

    event = run_trigger(_refresh_trigger(roll_back=roll_back))

    assert (event["ok"], event["turning"], event["reason"]) == (False, True, "unhealthy")
    assert "i-3 is unhealthy Target.ResponseCodeMismatch" in event["message"]
    assert event["message"].endswith(f"asked AWS for {asked}")


def test_new_instances_are_not_looked_at_before_they_can_be_too_old(script: Script) -> None:
    script([_refresh(refresh("InProgress", StartTime=datetime.now(UTC))), _refresh(refresh("Successful"))])

    assert run_trigger(_refresh_trigger())["ok"]


def test_a_refresh_that_ends_well_just_before_it_is_turned_round_is_a_success(script: Script) -> None:
    script(
        [
            *[_refresh(_going()), _group(NEW_ON_THE_WAY)] * LOOKS,
            ("rollback_instance_refresh", "ActiveInstanceRefreshNotFound"),
            _refresh(refresh("Successful")),
        ],
        [SICK] * LOOKS,
        ec2=[_instances("i-3")] * LOOKS,
    )

    assert run_trigger(_refresh_trigger())["ok"]


def test_throttling_at_the_moment_of_the_request_only_delays_it(script: Script) -> None:
    script(
        [
            *[_refresh(_going()), _group(NEW_ON_THE_WAY)] * LOOKS,
            ("rollback_instance_refresh", "Throttling"),
            _refresh(_going()),
            ("describe_auto_scaling_groups", "Throttling"),
            _refresh(_going()),
            _group(NEW_ON_THE_WAY),
            ASK_ROLLBACK,
            _group(NEW_ON_THE_WAY),
        ],
        [SICK] * (LOOKS + 2),
        ec2=[_instances("i-3")] * (LOOKS + 1),
    )

    assert run_trigger(_refresh_trigger())["reason"] == "unhealthy"


def test_a_request_that_aws_refuses_ends_the_wait_and_says_that_the_refresh_goes_on(script: Script) -> None:
    script(
        [
            *[_refresh(_going()), _group(NEW_ON_THE_WAY)] * LOOKS,
            ("rollback_instance_refresh", "AccessDenied"),
            _group(NEW_ON_THE_WAY),
        ],
        [SICK] * (LOOKS + 1),
        ec2=[_instances("i-3")] * LOOKS,
    )

    event = run_trigger(_refresh_trigger())

    assert (event["reason"], event["turning"]) == ("unhealthy", False)
    assert "AWS refuses to end it" in event["message"]


@pytest.mark.parametrize("answer", [ASK_ROLLBACK, ("rollback_instance_refresh", "Throttling")], ids=["taken", "not"])
def test_a_refresh_that_does_not_end_in_time_is_turned_round(script: Script, answer: tuple[str, Any]) -> None:
    """Left alone it would go on, and the fleet stay mixed for as long."""
    script([_refresh(refresh("InProgress", percentage=40)), answer, _group(MIXED)], [_health(i_1="healthy")])

    event = run_trigger(_refresh_trigger(seconds=0))

    assert (event["reason"], event["status"], event["turning"]) == ("timeout", "InProgress", True)
    assert "40 %" in event["message"]


def _turned(seconds: float = 30) -> InstanceRefreshTrigger:
    return _refresh_trigger(seconds=seconds, cause="unhealthy", because="i-3 is ill; asked AWS for rollback")


@pytest.mark.parametrize("status", FAILURE_STATES)
def test_after_it_was_turned_round_the_end_keeps_the_reason_why(script: Script, status: str) -> None:
    script([_refresh(refresh("RollbackInProgress")), _refresh(refresh(status)), _group(HEALTHY)], [_health()])

    event = run_trigger(_turned())

    assert (event["reason"], event["status"], event["turning"]) == ("unhealthy", status, False)
    assert event["message"].startswith("i-3 is ill; asked AWS for rollback; ")


def test_a_request_that_aws_forgot_is_repeated(script: Script) -> None:
    script(
        [
            _refresh(refresh("InProgress")),
            ASK_ROLLBACK,
            _refresh(refresh("InProgress")),
            ("rollback_instance_refresh", "AccessDenied"),
            _refresh(refresh("RollbackSuccessful")),
            _group(HEALTHY),
        ],
        [_health()],
    )

    assert run_trigger(_turned())["status"] == "RollbackSuccessful"


def test_a_rollback_without_end_is_given_up_with_the_reason_that_began_it(script: Script) -> None:
    script([_refresh(refresh("RollbackInProgress")), _group(MIXED)], [_health()])

    event = run_trigger(_turned(seconds=0))

    assert (event["reason"], event["turning"]) == ("unhealthy", False)
    assert "still not over at the deadline" in event["message"]


ALARMED = {"Preferences": {"AlarmSpecification": {"Alarms": ["errors"]}}}


def _alarm(state: str) -> tuple[str, Any]:
    alarm = {"AlarmName": "errors", "StateValue": state, "StateReason": "Threshold crossed."}
    return "describe_alarms", {"MetricAlarms": [alarm]}


@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        ("RollbackInProgress", "ALARM", "alarm"),
        ("RollbackInProgress", "OK", "rolled_back"),
        ("Failed", "ALARM", "alarm"),
        ("RollbackSuccessful", "OK", "rolled_back"),
    ],
)
def test_an_alarm_that_went_off_is_the_reason(script: Script, status: str, state: str, reason: str) -> None:
    script([_refresh(refresh(status, **ALARMED)), _group(MIXED)], [_health()], cloudwatch=[_alarm(state)])

    event = run_trigger(_refresh_trigger())

    assert event["reason"] == reason
    assert event["turning"] == (status == "RollbackInProgress")
    assert ("alarm errors: Threshold crossed." in event["message"]) == (reason == "alarm")


def test_alarms_that_cannot_be_asked_do_not_hide_that_the_refresh_failed(script: Script) -> None:
    script(
        [_refresh(refresh("Failed", **ALARMED)), _group(MIXED)],
        [_health()],
        cloudwatch=[("describe_alarms", "AccessDenied")],
    )

    assert run_trigger(_refresh_trigger())["reason"] == "failed"


@pytest.mark.parametrize(("status", "reason"), [("Cancelling", "cancelled"), ("RollbackInProgress", "rolled_back")])
def test_a_refresh_that_somebody_turned_is_waited_for_with_that_reason(
    script: Script, status: str, reason: str
) -> None:
    script([_refresh(refresh(status)), _group(MIXED)], [_health()])

    event = run_trigger(_refresh_trigger())

    assert (event["reason"], event["turning"]) == (reason, True)


def _turn_of(holder: str) -> tuple[str, Any]:
    moment = datetime(2026, 11, 23, 20, tzinfo=UTC)
    body = Turn(holder, Kind.ROLLBACK, 2, moment, moment, moment).dump()

    class Body:
        async def read(self) -> bytes:
            return body

    return "get_object", {"Body": Body()}


@pytest.mark.parametrize("status", ["RollbackInProgress", "Cancelling", "Cancelled", "RollbackSuccessful"])
def test_a_refresh_that_a_rollback_by_hand_has_ended_is_superseded(script: Script, status: str) -> None:
    script([_refresh(refresh(status)), _group(MIXED)], [_health()], s3=[_turn_of("rollback_webapp/manual")])

    event = run_trigger(_refresh_trigger(service="webapp"))

    assert (event["reason"], event["turning"]) == ("superseded", False)
    assert "rollback_webapp/manual" in event["message"]


def test_a_turn_that_was_taken_is_noticed_while_the_refresh_goes_on(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance_refresh, "TURN_EVERY", 0.0)
    script(
        [_refresh(refresh("InProgress")), _refresh(refresh("InProgress")), _group(MIXED)],
        [_health()],
        s3=[_turn_of(RUN_TAG), ("get_object", "SlowDown"), _turn_of("rollback_webapp/manual")],
    )

    assert run_trigger(_refresh_trigger(service="webapp"))["reason"] == "superseded"


def test_progress_is_logged_when_it_changes_and_only_then(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    log = SimpleNamespace(info=lambda text, *arguments: lines.append(text % arguments))
    monkeypatch.setattr(InstanceRefreshTrigger, "log", log)
    same = _refresh(refresh("InProgress", percentage=33, InstancesToUpdate=2, StatusReason="Waiting for i-3."))
    script([same, same, same, _refresh(refresh("InProgress", percentage=66)), _refresh(refresh("Successful"))])

    run_trigger(_refresh_trigger())

    assert lines == [
        "instance refresh r-1: InProgress: 33 % complete, 2 instances to update: Waiting for i-3.",
        "instance refresh r-1: InProgress: 66 % complete",
        "instance refresh r-1: Successful: 0 % complete",
    ]


def test_every_reason_is_reached_by_a_test_of_this_file(project: Path) -> None:
    """Some by their state, which names them."""
    text = Path(__file__).read_text(encoding="utf-8")
    by_state = set(REASON_OF_STATE.values())

    assert {reason.value for reason in Reason if f'"{reason.value}"' not in text} <= {one.value for one in by_state}


def test_the_sensor_defers_with_the_services_own_deadline() -> None:
    with pytest.raises(TaskDeferred) as deferred:
        _sensor().execute(context())

    trigger = deferred.value.trigger
    assert isinstance(trigger, InstanceRefreshTrigger)
    assert trigger.deadline == pytest.approx(time.time() + 900, abs=30)  # rollout.timeout of the local environment
    assert deferred.value.method_name == "refresh_complete"
    assert deferred.value.timeout is not None
    assert deferred.value.timeout.total_seconds() > 900


WAIT = {"refresh_id": "r-1", "template_version": "2", "status": NOT_NEEDED}


def _event(reason: str = "", **more: Any) -> dict[str, Any]:
    event = {"ok": not reason, "reason": reason, "status": "Successful", "message": "", "turning": False}
    return {**event, "fleet": Fleet().dump(), **more}


def test_the_sensor_waits_for_health_after_a_successful_refresh_as_long_as_an_instance_may_take() -> None:
    with pytest.raises(TaskDeferred) as deferred:
        _sensor().refresh_complete(context(), _event(), wait=WAIT)

    trigger = deferred.value.trigger
    assert isinstance(trigger, FleetHealthTrigger)
    assert trigger.deadline == pytest.approx(time.time() + 60, abs=30)  # rollout.unhealthy_deadline, locally
    assert deferred.value.kwargs == {"wait": {**WAIT, "status": "Successful"}}
    assert trigger.template_version == "2"
    assert trigger.status == "Successful"


def test_without_a_refresh_the_sensor_only_waits_for_health() -> None:
    with pytest.raises(TaskDeferred) as deferred:
        _sensor(refresh_id="").execute(context())

    assert isinstance(deferred.value.trigger, FleetHealthTrigger)
    assert deferred.value.trigger.status == NOT_NEEDED


def test_the_sensor_returns_the_final_status() -> None:
    event = _event(message="3 instances are healthy")

    assert _sensor().execute_complete(context(), event, wait=WAIT) == "Successful"


def test_the_sensor_waits_on_for_the_end_of_a_refresh_that_was_turned_round() -> None:
    """What turned it is part of the deferral: a triggerer that is restarted knows it."""
    event = _event("unhealthy", turning=True, message="i-3 is ill", status="InProgress")

    with pytest.raises(TaskDeferred) as deferred:
        _sensor().refresh_complete(context(), event, wait=WAIT)

    _, arguments = deferred.value.trigger.serialize()
    assert (arguments["cause"], arguments["because"], arguments["refresh_id"]) == ("unhealthy", "i-3 is ill", "r-1")
    assert arguments["deadline"] == pytest.approx(time.time() + 900, abs=30)
    assert deferred.value.method_name == "refresh_complete"
    assert deferred.value.kwargs == {"wait": WAIT}


def test_a_run_that_was_superseded_is_skipped_and_no_failure() -> None:
    task = context()

    with pytest.raises(AirflowSkipException, match="rollback_webapp"):
        _sensor().refresh_complete(task, _event("superseded", message="by rollback_webapp/manual"), wait=WAIT)
    assert task["ti"].pushed["failure"]["reason"] == "superseded"


def test_a_service_without_auto_rollback_has_its_refresh_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    service = config.load_service("webapp")
    rollout = service.rollout.model_copy(update={"auto_rollback": False})
    monkeypatch.setattr(config, "load_service", lambda *_: service.model_copy(update={"rollout": rollout}))

    with pytest.raises(TaskDeferred) as deferred:
        _sensor().execute(context())

    assert deferred.value.trigger.serialize()[1]["roll_back"] is False


def test_the_sensor_fails_with_the_reason_the_refresh_and_the_instances() -> None:
    fleet = Fleet.of(MIXED, targets(i_1="unhealthy:Target.Timeout", i_2="healthy")["TargetHealthDescriptions"])
    event = _event("rolled_back", status="RollbackSuccessful", message="RollbackSuccessful: 0 %", fleet=fleet.dump())
    task = context()

    with pytest.raises(RolloutFailedError) as caught:
        _sensor().refresh_complete(task, event, wait=WAIT)

    for word in ("webapp", GROUP, "rolled_back", "r-1", "RollbackSuccessful", "i-1 is unhealthy Target.Timeout"):
        assert word in str(caught.value)
    assert task["ti"].pushed["failure"] == {
        "reason": "rolled_back",
        "status": "RollbackSuccessful",
        "message": "RollbackSuccessful: 0 %",
    }
