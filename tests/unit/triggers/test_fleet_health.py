"""The trigger that waits until every instance of a fleet is healthy."""

from tests.support.fleet import group, instance, targets
from tests.support.task import run_trigger
from tests.unit.triggers.trigger_support import HEALTHY, Script, group_is, health_is, health_trigger


def test_a_fleet_is_waited_for_until_it_is_healthy(script: Script) -> None:
    booting = group("2", instance("i-1", "2"), instance("i-2", "2", "Pending"))
    script(
        [group_is(group("2")), group_is(booting), group_is(HEALTHY), group_is(HEALTHY)],
        [
            ("describe_target_health", targets()),
            health_is(i_1="initial"),
            health_is(i_1="healthy", i_2="initial:Elb.RegistrationInProgress"),
            health_is(i_1="healthy", i_2="healthy"),
        ],
    )

    event = run_trigger(health_trigger())

    assert event["ok"]
    assert event["message"] == "2 instances are healthy"


def test_a_fleet_that_does_not_become_healthy_says_which_instance_and_why(script: Script) -> None:
    script([group_is(HEALTHY)], [health_is(i_1="healthy", i_2="unhealthy:Target.ResponseCodeMismatch")])

    event = run_trigger(health_trigger(seconds=0))

    assert event["reason"] == "unhealthy"
    assert event["message"] == "i-2 is unhealthy Target.ResponseCodeMismatch"


def test_an_empty_fleet_that_wants_no_instance_is_healthy(script: Script) -> None:
    script([group_is(group("2", desired=0))], [("describe_target_health", targets())])

    assert run_trigger(health_trigger())["ok"]


def test_a_group_that_is_gone_is_lost(script: Script) -> None:
    script([group_is(None)])

    assert run_trigger(health_trigger(seconds=0))["reason"] == "lost"
