"""When new instances have been unhealthy for too long: what counts, what is forgiven, what a restart forgets."""

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
    """Return what as many scans as are needed come to."""
    watch = watch or HealthWatch(PATIENCE)
    said = [watch.judge(seen, now) for _ in range(READINGS)]
    assert said[:-1] == [""] * (READINGS - 1), "one look is no proof"
    return said[-1]


@pytest.mark.parametrize(
    ("now", "seen", "said"),
    [
        pytest.param(159, [_ill("i-1", 100)], "", id="within the patience"),
        # What counts is AWS's time of the launch, not the time since the triggerer was started.
        pytest.param(
            160,
            [_ill("i-1", 100)],
            "new instances are not healthy after 60 s: i-1 is unhealthy Target.Timeout",
            id="never served",
        ),
        pytest.param(1000, [_well("i-1", 100), _well("i-2", 900)], "", id="all serve, however old"),
        # AWS replaces an instance that is not healthy before any of them is as old as the patience.
        pytest.param(
            161,
            [_gone("i-1", 100), _ill("i-2", 150)],
            "after 61 s, 1 were lost already (i-1): i-2 is unhealthy",
            id="a row of short lives counts from the first launch",
        ),
        pytest.param(170, [_gone("i-1", 100), _well("i-2", 130), _ill("i-3", 160)], "", id="one lost is forgiven"),
        # An application that dies some seconds after it was healthy always has one that serves.
        pytest.param(
            170,
            [_gone("i-1", 100), _gone("i-2", 130), _well("i-3", 150), _ill("i-4", 160)],
            "2 were lost already",
            id="several lost are not",
        ),
        pytest.param(500, [_gone("i-1", 100), _gone("i-2", 130), _well("i-3", 150)], "", id="lost, but all serve now"),
    ],
)
def test_new_instances_are_given_the_patience_from_the_first_launch_and_no_more(
    now: float, seen: list[Sighting], said: str
) -> None:
    judged = _judge(now, *seen)

    assert said in judged
    assert bool(said) == bool(judged)


def test_a_scan_that_finds_everything_well_begins_the_count_of_scans_anew() -> None:
    watch = HealthWatch(PATIENCE)
    watch.judge([_ill("i-1", 0)], 70)
    watch.judge([_ill("i-1", 0)], 71)

    assert watch.judge([_well("i-1", 0)], 72) == ""
    assert watch.judge([_ill("i-1", 60)], 121) == ""


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
def test_the_new_instances_are_distinguished_from_the_old_ones_and_from_those_that_are_gone(started: datetime) -> None:
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
