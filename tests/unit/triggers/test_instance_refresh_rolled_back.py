"""Waiting for a refresh that goes wrong: who rolls it back or cancels it, when, why, and with which reason it ends."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rebake.release.lease import Lease, RunKind
from rebake.rollout.health_watch import READINGS
from rebake.rollout.refresh import FAILURE_STATES
from rebake.triggers import instance_refresh
from rebake.triggers.instance_refresh import InstanceRefreshTrigger
from tests.support.aws import Body
from tests.support.fleet import group, instance, refresh
from tests.support.task import RUN_TAG, run_trigger
from tests.unit.triggers.trigger_support import HEALTHY, MIXED, Script, group_is, health_is, refresh_is, refresh_trigger

NEW_ON_THE_WAY = group("1", instance("i-1", "1"), instance("i-2", "1"), instance("i-3", "2"))
LAUNCHED = datetime.now(UTC) - timedelta(minutes=5)
GOING = refresh_is(refresh("InProgress", StartTime=LAUNCHED, percentage=40))
UNDATED = refresh_is(refresh("InProgress", percentage=40))
NEW_INSTANCE = {"InstanceId": "i-3", "LaunchTime": LAUNCHED, "State": {"Name": "running"}}


ASK_ROLLBACK = ("rollback_instance_refresh", {"InstanceRefreshId": "r-1"})
ASK_CANCEL = ("cancel_instance_refresh", {"InstanceRefreshId": "r-1"})
SICK = health_is(i_1="healthy", i_2="healthy", i_3="unhealthy:Target.ResponseCodeMismatch")
LOOK = group_is(NEW_ON_THE_WAY)


def _unhealthy(script: Script, *answers: tuple[str, Any], readings: int = READINGS) -> None:
    """Let i-3 be unhealthy in each reading until the refresh is to be ended, and then answer so."""
    looks = READINGS + sum(answer is LOOK for answer in answers)
    found = "describe_instances", {"Reservations": [{"Instances": [NEW_INSTANCE]}]}
    script([*[GOING, LOOK] * READINGS, *answers], [SICK] * looks, ec2=[found] * readings)


def _ends(script: Script, status: str, **others: Any) -> None:
    """Let the refresh have this status, and the fleet be mixed."""
    script([refresh_is(refresh(status, **others.pop("record", {}))), group_is(MIXED)], [health_is()], **others)


@pytest.mark.parametrize(
    ("roll_back", "requested", "answers"),
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
def test_new_instances_that_do_not_become_healthy_end_the_refresh(
    script: Script, roll_back: bool, requested: str, answers: list[Any]
) -> None:
    _unhealthy(script, *answers, LOOK)

    event = run_trigger(refresh_trigger(roll_back=roll_back))

    assert (event["ok"], event["ending"], event["reason"]) == (False, True, "unhealthy")
    assert "i-3 is unhealthy Target.ResponseCodeMismatch" in event["message"]
    assert event["message"].endswith(f"requested {requested}")


def test_new_instances_are_not_checked_before_they_can_be_too_old(script: Script) -> None:
    script([refresh_is(refresh("InProgress", StartTime=datetime.now(UTC))), refresh_is(refresh("Successful"))])

    assert run_trigger(refresh_trigger())["ok"]


def test_a_refresh_that_succeeds_just_before_it_is_rolled_back_is_a_success(script: Script) -> None:
    answers = [("rollback_instance_refresh", "ActiveInstanceRefreshNotFound"), refresh_is(refresh("Successful"))]
    _unhealthy(script, *answers)

    assert run_trigger(refresh_trigger())["ok"]


def test_throttling_at_the_moment_of_the_request_only_delays_it(script: Script) -> None:
    throttled = [("rollback_instance_refresh", "Throttling"), GOING, ("describe_auto_scaling_groups", "Throttling")]
    _unhealthy(script, *throttled, GOING, LOOK, ASK_ROLLBACK, LOOK, readings=READINGS + 1)

    assert run_trigger(refresh_trigger())["reason"] == "unhealthy"


def test_a_request_that_aws_refuses_ends_the_wait_and_says_that_the_refresh_goes_on(script: Script) -> None:
    _unhealthy(script, ("rollback_instance_refresh", "AccessDenied"), LOOK)

    event = run_trigger(refresh_trigger())

    assert (event["reason"], event["ending"]) == ("unhealthy", False)
    assert "AWS refuses to end it" in event["message"]


@pytest.mark.parametrize("answer", [ASK_ROLLBACK, ("rollback_instance_refresh", "Throttling")], ids=["taken", "not"])
def test_a_refresh_that_does_not_end_in_time_is_rolled_back(script: Script, answer: tuple[str, Any]) -> None:
    """Left alone it would go on, and the fleet stay mixed for as long."""
    script([UNDATED, answer, group_is(MIXED)], [health_is(i_1="healthy")])

    event = run_trigger(refresh_trigger(seconds=0))

    assert (event["reason"], event["status"], event["ending"]) == ("timeout", "InProgress", True)
    assert "40 %" in event["message"]


def _rolled_back(seconds: float = 30) -> InstanceRefreshTrigger:
    return refresh_trigger(seconds=seconds, cause="unhealthy", because="i-3 is unhealthy; requested rollback")


@pytest.mark.parametrize("status", FAILURE_STATES)
def test_the_end_of_a_rollback_keeps_the_reason_that_began_it(script: Script, status: str) -> None:
    script([refresh_is(refresh("RollbackInProgress")), refresh_is(refresh(status)), group_is(HEALTHY)], [health_is()])

    event = run_trigger(_rolled_back())

    assert (event["reason"], event["status"], event["ending"]) == ("unhealthy", status, False)
    assert event["message"].startswith("i-3 is unhealthy; requested rollback; ")


def test_a_request_that_aws_forgot_is_repeated(script: Script) -> None:
    refused = ("rollback_instance_refresh", "AccessDenied")
    ended = refresh_is(refresh("RollbackSuccessful"))
    script([UNDATED, ASK_ROLLBACK, UNDATED, refused, ended, group_is(HEALTHY)], [health_is()])

    assert run_trigger(_rolled_back())["status"] == "RollbackSuccessful"


def test_a_rollback_without_end_is_given_up_with_the_reason_that_began_it(script: Script) -> None:
    _ends(script, "RollbackInProgress")

    event = run_trigger(_rolled_back(seconds=0))

    assert (event["reason"], event["ending"]) == ("unhealthy", False)
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
    _ends(script, status, record=ALARMED, cloudwatch=[_alarm(state)])

    event = run_trigger(refresh_trigger())

    assert event["reason"] == reason
    assert event["ending"] == (status == "RollbackInProgress")
    assert ("alarm errors: Threshold crossed." in event["message"]) == (reason == "alarm")


def test_alarms_that_cannot_be_asked_do_not_hide_that_the_refresh_failed(script: Script) -> None:
    _ends(script, "Failed", record=ALARMED, cloudwatch=[("describe_alarms", "AccessDenied")])

    assert run_trigger(refresh_trigger())["reason"] == "failed"


@pytest.mark.parametrize(("status", "reason"), [("Cancelling", "cancelled"), ("RollbackInProgress", "rolled_back")])
def test_a_refresh_that_somebody_else_ends_is_waited_for_with_that_reason(
    script: Script, status: str, reason: str
) -> None:
    _ends(script, status)

    event = run_trigger(refresh_trigger())

    assert (event["reason"], event["ending"]) == (reason, True)


def _lease_of(holder: str) -> tuple[str, Any]:
    moment = datetime(2026, 11, 23, 20, tzinfo=UTC)
    times = {"requested_at": moment, "since": moment, "until": moment}
    held = Lease(holder=holder, kind=RunKind.ROLLBACK, token=2, **times)
    return "get_object", {"Body": Body(held.model_dump_json().encode())}


@pytest.mark.parametrize("status", ["RollbackInProgress", "Cancelling", "Cancelled", "RollbackSuccessful"])
def test_a_refresh_that_a_rollback_by_hand_has_ended_is_superseded(script: Script, status: str) -> None:
    _ends(script, status, s3=[_lease_of("rollback_webapp/manual")])

    event = run_trigger(refresh_trigger(service="webapp"))

    assert (event["reason"], event["ending"]) == ("superseded", False)
    assert "rollback_webapp/manual" in event["message"]


def test_a_lease_that_another_run_acquired_is_noticed_while_the_refresh_goes_on(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance_refresh, "LEASE_CHECK_SECONDS", 0.0)
    leases = [_lease_of(RUN_TAG), ("get_object", "SlowDown"), _lease_of("rollback_webapp/manual")]
    script([UNDATED, UNDATED, group_is(MIXED)], [health_is()], s3=leases)

    assert run_trigger(refresh_trigger(service="webapp"))["reason"] == "superseded"
