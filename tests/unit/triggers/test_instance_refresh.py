"""Waiting for a refresh and for a fleet: what each answer of AWS comes to."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rebake.rollout.refresh import FAILURE_STATES, FORWARD_STATES, REASON_OF_STATE, FleetHealth, Reason
from rebake.triggers.instance_refresh import LOST_AFTER, InstanceRefreshTrigger
from tests.support.fleet import GROUP, refresh
from tests.support.task import run_trigger
from tests.unit.triggers.trigger_support import MIXED, Script, group_is, health_is, refresh_is, refresh_trigger


def test_a_refresh_is_waited_for_until_it_is_successful(script: Script) -> None:
    autoscaling, _ = script(
        [*(refresh_is(refresh(status)) for status in FORWARD_STATES), refresh_is(refresh("Successful"))]
    )

    event = run_trigger(refresh_trigger())

    assert event["ok"]
    assert event["status"] == "Successful"
    assert autoscaling.asked[0][1] == {"AutoScalingGroupName": GROUP, "InstanceRefreshIds": ["r-1"]}


def test_the_event_carries_each_step_of_the_refresh_once(script: Script) -> None:
    steps = [refresh_is(refresh("InProgress", percentage=percentage)) for percentage in (0, 33, 33)]
    script([*steps, refresh_is(refresh("Successful", percentage=100))])

    progress = run_trigger(refresh_trigger())["progress"]

    assert len(progress) == 3
    assert all(f" {step} %" in line for step, line in zip(("0", "33", "100"), progress, strict=True))


def test_hundred_percent_is_not_yet_success(script: Script) -> None:
    """AWS reports 100 % and an EndTime on refreshes that are still InProgress: only Status decides."""
    script(
        [
            refresh_is(refresh("InProgress", percentage=100)),
            refresh_is(refresh("Failed", percentage=100)),
            group_is(MIXED),
        ],
        [health_is(i_1="healthy", i_2="healthy")],
    )

    assert run_trigger(refresh_trigger())["reason"] == "failed"


@pytest.mark.parametrize("status", FAILURE_STATES)
def test_every_other_end_is_a_failure_with_its_reason_and_the_fleet(script: Script, status: str) -> None:
    script(
        [refresh_is(refresh(status, StatusReason="It did not work.")), group_is(MIXED)],
        [health_is(i_1="unhealthy:Target.Timeout", i_2="healthy")],
    )

    event = run_trigger(refresh_trigger())

    assert not event["ok"]
    assert event["reason"] == REASON_OF_STATE[status]
    assert "It did not work." in event["message"]
    assert FleetHealth(**event["fleet"]).problems("2") == [
        "i-1 is unhealthy Target.Timeout",
        "i-2 runs launch template version 1",
    ]


def test_a_refusal_ends_the_wait_at_once(script: Script) -> None:
    """Nothing is gained by asking for an hour what AWS does not allow."""
    script([("describe_instance_refreshes", "AccessDenied")])

    with pytest.raises(Exception, match="AccessDenied"):
        run_trigger(refresh_trigger())


def test_a_refresh_that_aws_no_longer_knows_is_lost(script: Script) -> None:
    script([refresh_is(refresh("InProgress", percentage=40)), *[refresh_is()] * LOST_AFTER, group_is(None)])

    event = run_trigger(refresh_trigger())

    assert event["reason"] == "lost"
    assert "40 %" in event["message"]


def test_not_knowing_the_fleet_does_not_hide_the_failure(script: Script) -> None:
    script([refresh_is(refresh("Failed")), ("describe_auto_scaling_groups", "AccessDenied")])

    assert run_trigger(refresh_trigger())["reason"] == "failed"


def test_progress_is_logged_when_it_changes_and_only_then(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    log = SimpleNamespace(info=lambda text, *arguments: lines.append(text % arguments))
    monkeypatch.setattr(InstanceRefreshTrigger, "log", log)
    same = refresh_is(refresh("InProgress", percentage=33, InstancesToUpdate=2, StatusReason="Waiting for i-3."))
    script([same, same, same, refresh_is(refresh("InProgress", percentage=66)), refresh_is(refresh("Successful"))])

    run_trigger(refresh_trigger())

    assert lines == [
        "instance refresh r-1: InProgress: 33 % complete, 2 instances to update: Waiting for i-3.",
        "instance refresh r-1: InProgress: 66 % complete",
        "instance refresh r-1: Successful: 0 % complete",
    ]


def test_the_countdown_of_a_bake_time_is_one_line_of_progress(script: Script) -> None:
    reason = "Waiting for bake time to finish before continuing. There are {} seconds left."
    counted = [refresh_is(refresh("Baking", percentage=100, StatusReason=reason.format(left))) for left in (3, 2, 1)]
    script([*counted, refresh_is(refresh("Successful", percentage=100))])

    first, last = run_trigger(refresh_trigger())["progress"]

    assert first.endswith("There are 3 seconds left.")
    assert "Successful" in last


def test_every_reason_is_reached_by_a_test_of_the_wait() -> None:
    """Some by their state, which names them."""
    files = Path(__file__).parent.glob("test_instance_refresh*.py")
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    by_state = set(REASON_OF_STATE.values())

    assert {reason.value for reason in Reason if f'"{reason.value}"' not in text} <= {one.value for one in by_state}


FAULTS = "Throttling", "RequestLimitExceeded", "InternalFailure", "ResourceContention"
SEEN_LATE = [*[refresh_is()] * (LOST_AFTER - 1), refresh_is(refresh("Pending")), refresh_is()]


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([refresh_is(refresh("Rehearsing"))], id="an unknown status"),
        pytest.param(SEEN_LATE, id="not seen at first"),
        *(pytest.param([("describe_instance_refreshes", code)] * 3, id=code) for code in FAULTS),
    ],
)
def test_what_will_pass_does_not_end_the_wait(script: Script, steps: list[Any]) -> None:
    script([*steps, refresh_is(refresh("Successful"))])

    assert run_trigger(refresh_trigger())["ok"]
