"""States, preferences and decisions of instance refreshes."""

from itertools import chain
from typing import Any

import botocore.session
import pytest

from rebake.config import RolloutConfig
from rebake.exceptions import RolloutFailedError
from rebake.rollout.refresh import (
    ACTIVE_STATES,
    BACKWARD_STATES,
    FAILURE_STATES,
    FORWARD_STATES,
    REASON_OF_STATE,
    SUCCESS_STATES,
    FleetHealth,
    Version,
    active_refresh,
    adopt,
    is_rolled_out,
    preferences,
    progress,
)
from tests.support.aws import stubbed
from tests.support.fleet import GROUP, TEMPLATE, group, instance, refresh, targets

WANTED = Version(TEMPLATE, "2")


def _shape(name: str) -> Any:
    return botocore.session.get_session().get_service_model("autoscaling").shape_for(name)


def test_every_status_that_aws_models_is_in_exactly_one_tuple() -> None:
    sorted_here = list(chain(SUCCESS_STATES, FAILURE_STATES, FORWARD_STATES, BACKWARD_STATES))

    assert sorted(sorted_here) == sorted(_shape("InstanceRefreshStatus").enum)
    assert set(ACTIVE_STATES) == {*FORWARD_STATES, *BACKWARD_STATES}


def test_every_failure_has_a_reason_of_its_own() -> None:
    assert set(REASON_OF_STATE) == set(FAILURE_STATES)
    assert len(set(REASON_OF_STATE.values())) == len(FAILURE_STATES)


def test_preferences_name_every_field_that_has_a_default_in_aws() -> None:
    """Checkpoints and alarms have none: left out, there are none."""
    without_default = {"CheckpointPercentages", "CheckpointDelay", "AlarmSpecification"}

    assert preferences(RolloutConfig())["AutoRollback"] is True
    assert set(preferences(RolloutConfig())) == set(_shape("RefreshPreferences").members) - without_default


def test_checkpoints_and_alarms_are_sent_where_there_are_some_and_the_service_model_accepts_them() -> None:
    chosen = preferences(
        RolloutConfig(
            checkpoints=(50, 100),
            checkpoint_delay=60,
            bake_time=30,
            alarms=("errors", "latency"),
            skip_matching=False,
            auto_rollback=False,
            min_healthy_percentage=90,
            max_healthy_percentage=150,
            instance_warmup=7,
        )
    )

    assert set(chosen) == set(_shape("RefreshPreferences").members)
    assert chosen["CheckpointPercentages"] == [50, 100]
    assert chosen["CheckpointDelay"] == 60
    assert (chosen["BakeTime"], chosen["InstanceWarmup"]) == (30, 7)
    assert (chosen["MinHealthyPercentage"], chosen["MaxHealthyPercentage"]) == (90, 150)
    assert chosen["AlarmSpecification"] == {"Alarms": ["errors", "latency"]}
    assert (chosen["SkipMatching"], chosen["AutoRollback"]) == (False, False)
    with stubbed("autoscaling") as (client, stubber):
        stubber.add_response("start_instance_refresh", {"InstanceRefreshId": "r-1"})
        client.start_instance_refresh(AutoScalingGroupName=GROUP, Preferences=chosen)


@pytest.mark.parametrize(
    ("status", "is_active"),
    [
        *((status, True) for status in ACTIVE_STATES),
        *((status, False) for status in SUCCESS_STATES + FAILURE_STATES),
        ("Rehearsing", True),
    ],
)
def test_a_refresh_is_active_until_a_known_end_also_in_a_status_that_is_not_known(status: str, is_active: bool) -> None:
    found = active_refresh([refresh("Failed"), refresh(status, refresh_id="r-2")])

    assert (found is not None and found["InstanceRefreshId"] == "r-2") == is_active


@pytest.mark.parametrize("status", FORWARD_STATES)
def test_an_active_refresh_to_the_wanted_version_is_adopted(status: str) -> None:
    assert adopt(refresh(status), WANTED, GROUP) == "r-1"


@pytest.mark.parametrize(
    ("active", "message"),
    [
        pytest.param(
            refresh("InProgress", version="9", percentage=33), "r-1 to version 9 is InProgress", id="elsewhere"
        ),
        pytest.param(refresh("Cancelling"), "r-1 to version 2 is Cancelling", id="cancelling"),
        pytest.param(refresh("RollbackInProgress"), "r-1 to version 2 is RollbackInProgress", id="rolling back"),
        pytest.param(
            {**refresh("InProgress"), "DesiredConfiguration": {}}, "a configuration that is not named", id="by hand"
        ),
    ],
)
def test_a_refresh_that_goes_elsewhere_is_named_and_not_adopted(active: dict[str, Any], message: str) -> None:
    with pytest.raises(RolloutFailedError, match=message) as caught:
        adopt(active, WANTED, GROUP)

    assert "cancel-instance-refresh" in str(caught.value)


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        pytest.param(group("2", instance("i-1", "2"), instance("i-2", "2")), True, id="all on it"),
        pytest.param(group("2"), True, id="just created"),
        pytest.param(group("2", instance("i-1", "2"), instance("i-2", "1")), False, id="mixed"),
        pytest.param(
            group("2", instance("i-1", "2"), instance("i-2", "1", "Terminating:Wait")), True, id="old one leaves"
        ),
        pytest.param(group("1", instance("i-1", "2")), False, id="group points elsewhere"),
        pytest.param(group("1"), False, id="empty group points elsewhere"),
    ],
)
def test_a_fleet_is_rolled_out_when_group_and_instances_are_on_the_version(of: Any, expected: bool) -> None:
    assert is_rolled_out(of, WANTED) is expected


def test_a_version_of_another_template_is_another_version() -> None:
    assert not WANTED.matches({"LaunchTemplateId": "lt-0fedcba9876543210", "Version": "2"})
    assert not WANTED.matches(None)


@pytest.mark.parametrize(
    ("of", "health", "problem"),
    [
        pytest.param(group("2", instance("i-1", "2")), {"i_1": "healthy"}, "1 of 2 instances are in service", id="few"),
        pytest.param(
            group("2", instance("i-1", "2"), instance("i-2", "2")),
            {"i_1": "healthy", "i_2": "unhealthy:Target.Timeout"},
            "i-2 is unhealthy Target.Timeout",
            id="unhealthy target",
        ),
        pytest.param(
            group("2", instance("i-1", "2"), instance("i-2", "2")),
            {"i_1": "healthy"},
            "i-2 is not registered with the load balancer",
            id="not registered",
        ),
        pytest.param(
            group("2", instance("i-1", "2"), instance("i-2", "1")),
            {"i_1": "healthy", "i_2": "healthy"},
            "i-2 runs launch template version 1",
            id="old version",
        ),
        pytest.param(
            group("2", instance("i-1", "2"), instance("i-2", "2", health="Unhealthy")),
            {"i_1": "healthy", "i_2": "healthy"},
            "i-2 is Unhealthy",
            id="unhealthy instance",
        ),
    ],
)
def test_a_fleet_names_what_keeps_it_from_being_well(of: Any, health: dict[str, str], problem: str) -> None:
    fleet = FleetHealth.of(of, targets(**health)["TargetHealthDescriptions"])

    assert problem in fleet.problems("2")


def test_an_old_instance_that_drains_is_no_problem() -> None:
    of = group("2", instance("i-1", "2"), instance("i-2", "2"), instance("i-0", "1", "Terminating"))
    health = targets(i_1="healthy", i_2="healthy", i_0="draining:Target.DeregistrationInProgress")

    assert FleetHealth.of(of, health["TargetHealthDescriptions"]).problems("2") == []


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (
            refresh("InProgress", percentage=33, InstancesToUpdate=2, StatusReason="Waiting for i-1."),
            "InProgress: 33 % complete, 2 instances to update: Waiting for i-1.",
        ),
        (
            refresh("RollbackInProgress", RollbackDetails={"RollbackReason": "Alarm errors went off."}),
            "RollbackInProgress: 0 % complete: Alarm errors went off.",
        ),
    ],
)
def test_progress_is_one_line_for_people(record: dict[str, Any], line: str) -> None:
    assert progress(record) == line
