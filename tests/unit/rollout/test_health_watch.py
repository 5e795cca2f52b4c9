"""When new instances have been unhealthy for too long: what counts, what is forgiven, what a restart forgets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rebake.rollout.health_watch import READINGS, HealthWatch, Sighting, sightings
from rebake.rollout.refresh import FleetHealth, Version
from tests.support.fleet import TEMPLATE, group, instance, targets
from tests.support.task import REQUESTED_AT

PATIENCE = 60.0


def _ill(name: str, launched: float) -> Sighting:
    return Sighting(name, launched, (f"{name} is unhealthy Target.Timeout",))


def _well(name: str, launched: float) -> Sighting:
    return Sighting(name, launched)


def _gone(name: str, launched: float) -> Sighting:
    return Sighting(name, launched, is_gone=True)


def _judge(now: float, *seen: Sighting, watch: HealthWatch | None = None) -> str:
    """Return what as many looks as are needed come to."""
    watch = watch or HealthWatch(PATIENCE)
    said = [watch.judge(seen, now) for _ in range(READINGS)]
    assert said[:-1] == [""] * (READINGS - 1), "one look is no proof"
    return said[-1]


def test_an_instance_that_never_serves_is_given_the_patience_from_its_launch_and_no_more() -> None:
    assert _judge(159.0, _ill("i-1", 100)) == ""
    assert _judge(160.0, _ill("i-1", 100)) == (
        "new instances are not healthy after 60 s: i-1 is unhealthy Target.Timeout"
    )


def test_a_watch_that_was_built_anew_comes_to_the_same_answer() -> None:
    """What counts is AWS's time of the launch, not the time since the triggerer was started."""
    assert _judge(1000.0, _ill("i-1", 100), watch=HealthWatch(PATIENCE)) != ""


def test_instances_that_serve_are_no_reason_however_old() -> None:
    assert _judge(1000.0, _well("i-1", 100), _well("i-2", 900)) == ""


def test_a_look_that_finds_everything_well_begins_the_count_of_looks_anew() -> None:
    watch = HealthWatch(PATIENCE)
    watch.judge([_ill("i-1", 0)], 70)
    watch.judge([_ill("i-1", 0)], 71)

    assert watch.judge([_well("i-1", 0)], 72) == ""
    assert watch.judge([_ill("i-1", 60)], 121) == ""


def test_a_row_of_short_lives_counts_from_the_first_launch() -> None:
    """AWS replaces an instance that is not healthy before any of them is as old as the patience."""
    told = _judge(161.0, _gone("i-1", 100), _ill("i-2", 150))

    assert "after 61 s, 1 were lost already (i-1): i-2 is unhealthy" in told


def test_one_lost_instance_is_forgiven_when_a_later_one_serves() -> None:
    assert _judge(170.0, _gone("i-1", 100), _well("i-2", 130), _ill("i-3", 160)) == ""


def test_several_lost_instances_are_not_forgiven_for_one_that_serves_for_a_while() -> None:
    """An application that dies some seconds after it was healthy always has one that serves."""
    told = _judge(170.0, _gone("i-1", 100), _gone("i-2", 130), _well("i-3", 150), _ill("i-4", 160))

    assert "2 were lost already" in told


def test_lost_instances_are_no_reason_when_all_that_are_there_serve() -> None:
    assert _judge(500.0, _gone("i-1", 100), _gone("i-2", 130), _well("i-3", 150)) == ""


def test_an_instance_that_has_served_for_long_is_given_the_patience_again() -> None:
    watch = HealthWatch(PATIENCE)
    watch.judge([_well("i-1", 0)], 100)

    assert _judge(200.0, _ill("i-1", 0), watch=watch) == ""
    assert watch.judge([_ill("i-1", 0)], 259.0) == ""
    assert _judge(260.0, _ill("i-1", 0), watch=watch) != ""


def test_an_instance_that_had_served_for_long_and_is_gone_is_an_accident() -> None:
    watch = HealthWatch(PATIENCE)
    watch.judge([_well("i-1", 0)], 100)

    assert _judge(200.0, _gone("i-1", 0), _ill("i-2", 190), watch=watch) == ""


STARTED = REQUESTED_AT + timedelta(minutes=1)


def _described(name: str, seconds: float, state: str = "running") -> dict[str, Any]:
    launched = (STARTED + timedelta(seconds=seconds)).replace(microsecond=0)
    return {"InstanceId": name, "LaunchTime": launched, "State": {"Name": state}}


@pytest.mark.parametrize("started", [STARTED, STARTED.astimezone(UTC)])
def test_the_new_instances_are_told_from_the_old_ones_and_from_those_that_are_gone(started: datetime) -> None:
    of = group(
        "1",
        instance("i-old", "1"),
        instance("i-well", "2"),
        instance("i-ill", "2"),
        instance("i-booting", "2", "Pending"),
        instance("i-leaving", "2", "Terminating:Wait"),
        instance("i-old-leaving", "1", "Terminating"),
        instance("i-parked", "2", "Standby"),
    )
    fleet = FleetHealth.of(
        of, targets(i_old="healthy", i_well="healthy", i_ill="unhealthy:Target.Timeout")["TargetHealthDescriptions"]
    )
    described = [
        _described("i-old", -500),
        _described("i-old-leaving", -500),
        _described("i-old-gone", -500, "terminated"),
        _described("i-well", 0),
        _described("i-ill", 10),
        _described("i-booting", 20),
        _described("i-leaving", 5),
        _described("i-gone", 6, "terminated"),
        _described("i-parked", 7),
    ]

    found = {one.instance_id: one for one in sightings(of, fleet, Version(TEMPLATE, "2"), described, started)}

    assert set(found) == {"i-well", "i-ill", "i-booting", "i-leaving", "i-gone"}
    assert found["i-well"].ailments == ()
    assert found["i-ill"].ailments == ("i-ill is unhealthy Target.Timeout",)
    assert found["i-booting"].ailments == ("i-booting is Pending",)
    assert {name for name, one in found.items() if one.is_gone} == {"i-leaving", "i-gone"}
