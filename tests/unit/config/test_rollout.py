"""A service's `rollout`: what it may say, and what it comes to for a fleet of some size."""

from typing import Any

import pytest
from pydantic import ValidationError

from rebake.config import FleetConfig, RolloutConfig, Service


def _service(fleet: dict[str, Any] | None = None, **rollout: Any) -> Service:
    sizes = {"min_size": 1, "max_size": 10, "desired_capacity": 3, **(fleet or {})}
    return Service(
        name="webapp",
        description="",
        artifact="{version}",
        base="debian-12",
        fleet=FleetConfig(**sizes),
        rollout=RolloutConfig(**rollout),
    )


@pytest.mark.parametrize(
    ("rollout", "message"),
    [
        pytest.param({"checkpoints": [50, 20, 100]}, r"checkpoints \[50, 20, 100\] must ascend", id="order"),
        pytest.param({"checkpoints": [50, 50, 100]}, "each percentage once", id="twice"),
        pytest.param({"checkpoints": [20, 50]}, "must be 100: .* leave 50 % of the fleet on the old", id="partial"),
        pytest.param({"checkpoints": [0, 100]}, "greater than or equal to 1", id="zero"),
        pytest.param({"checkpoint_delay": 172801}, "less than or equal to 172800", id="delay"),
        pytest.param({"bake_time": -1}, "greater than or equal to 0", id="bake time"),
        pytest.param({"alarms": [f"alarm-{number}" for number in range(11)]}, "at most 10 items", id="many alarms"),
        pytest.param({"alarms": ["errors", "errors"]}, "must be named once each", id="alarm twice"),
        pytest.param({"alarms": [""]}, "at least 1 character", id="alarm without a name"),
        pytest.param({"unhealthy_deadline": 3601}, "less than or equal to 3600", id="AWS gives up first"),
    ],
)
def test_a_value_that_aws_refuses_or_that_makes_no_sense_is_refused_with_the_rule(
    rollout: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        RolloutConfig(**rollout)


def test_checkpoints_alarms_and_times_are_accepted() -> None:
    rollout = RolloutConfig(checkpoints=(10, 50, 100), checkpoint_delay=60, bake_time=120, alarms=("errors",))

    assert rollout.checkpoints == (10, 50, 100)


def test_a_timeout_that_the_rollout_must_exceed_is_refused_with_the_sum() -> None:
    with pytest.raises(ValidationError) as caught:
        _service(
            {"deregistration_delay": 30},
            checkpoints=(33, 66, 100),
            checkpoint_delay=600,
            bake_time=300,
            instance_warmup=60,
            timeout=1770,
        )

    told = str(caught.value)
    assert "rollout.timeout (1770 s) must exceed the 1770 s that a rollout to 3 instances takes at least" in told
    assert "3 batches of instance_warmup 60 s and deregistration_delay 30 s" in told
    assert "2 pauses of checkpoint_delay 600 s" in told
    assert "bake_time 300 s" in told


def test_a_timeout_one_second_above_the_sum_is_accepted() -> None:
    assert _service({"deregistration_delay": 30}, instance_warmup=60, timeout=271).rollout.timeout == 271


def test_an_unhealthy_deadline_that_no_instance_can_meet_is_refused() -> None:
    fleet = {"health_check": {"interval": 30, "healthy_threshold": 3}}

    with pytest.raises(ValidationError, match=r"unhealthy_deadline \(89 s\) must be at least .* \(90 s\)"):
        _service(fleet, unhealthy_deadline=89)

    assert _service(fleet, unhealthy_deadline=90)


@pytest.mark.parametrize(
    ("minimum", "maximum", "desired", "at_once", "fewest"),
    [
        pytest.param(100, 125, 3, 1, 3, id="surge of a part of one is one"),
        pytest.param(100, 150, 3, 1, 3, id="4.5 is rounded down"),
        pytest.param(100, 200, 3, 3, 3, id="all beside all"),
        pytest.param(100, 100, 3, 1, 3, id="one launched before one is terminated"),
        pytest.param(75, 100, 3, 1, 3, id="2.25 is rounded up"),
        pytest.param(75, 100, 4, 1, 3, id="one may be missing"),
        pytest.param(66, 100, 3, 1, 2, id="1.98 is rounded up"),
        pytest.param(90, 120, 100, 30, 90, id="between 90 and 120"),
        pytest.param(0, 100, 4, 4, 0, id="all at once"),
        pytest.param(100, 125, 0, 1, 0, id="an empty fleet"),
    ],
)
def test_the_percentages_come_to_whole_instances_as_aws_rounds_them(
    minimum: int, maximum: int, desired: int, at_once: int, fewest: int
) -> None:
    rollout = RolloutConfig(min_healthy_percentage=minimum, max_healthy_percentage=maximum)

    assert (rollout.at_once(desired), rollout.fewest(desired)) == (at_once, fewest)


def test_a_rollout_that_may_dip_says_to_how_many() -> None:
    rollout = RolloutConfig(min_healthy_percentage=75)

    assert "3 of 4 may be all that serve meanwhile" in rollout.dip(4)
    assert "takes none from 3" in rollout.dip(3)
    assert RolloutConfig(min_healthy_percentage=100).dip(4) == ""
