"""When a rollout's new instances have been unhealthy for too long, judged from what AWS itself remembers.

AWS retries for an hour with an image that never becomes healthy. It also replaces each such instance after its
grace period, so no single one need be old: an image that never works is seen as a row of short lives.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from rebake.rollout.refresh import FleetHealth, Version, leaves_the_group

READINGS: Final = 3
"""Readings in a row that must agree: target health changes from moment to moment, and answers may be stale."""
_GONE: Final = ("shutting-down", "terminated", "stopping", "stopped")


@dataclass(frozen=True)
class Sighting:
    """One instance of the wanted version, in one reading.

    Attributes:
        instance_id: which.
        launched: when EC2 launched it, in seconds since the epoch.
        ailments: what keeps it from serving, each a phrase; empty when it serves.
        is_gone: whether it was terminated, or is about to be.
    """

    instance_id: str
    launched: float
    ailments: tuple[str, ...] = ()
    is_gone: bool = False


@dataclass
class HealthWatch:
    """Decides when the new instances of a refresh have been unhealthy for too long.

    What counts is EC2's launch time, so a triggerer that is restarted comes to the same answer. Only that an
    instance has served for long and is ill since a moment ago is remembered here, and lost with a restart.

    Attributes:
        patience: seconds that a new instance may take to serve.
    """

    patience: float
    _proven: set[str] = field(default_factory=set)
    _ill_since: dict[str, float] = field(default_factory=dict)
    _readings: int = 0

    def judge(self, sightings: Sequence[Sighting], now: float) -> str:
        """Return why the rollout must not go on; empty while there is hope.

        * An instance that does not serve counts from its launch; one that has served for as long as the
          patience counts from when it was seen to fail.
        * Instances that were lost count from the first one's launch, while a replacement is not serving: one
          of them, if none that was launched after it serves; any number of more.

        Args:
            sightings: the refresh's new instances, those that are gone too.
            now: seconds since the epoch.
        """
        well = [one for one in sightings if not one.ailments and not one.is_gone]
        ill = [one for one in sightings if one.ailments and not one.is_gone]
        self._proven |= {one.instance_id for one in well if now - one.launched >= self.patience}
        seen = {one.instance_id: self._ill_since.get(one.instance_id, now) for one in ill}
        self._ill_since = seen
        lost = [one for one in sightings if one.is_gone and one.instance_id not in self._proven]
        if len(lost) == 1 and any(one.launched > lost[0].launched for one in well):
            lost = []
        since = [seen[one.instance_id] if one.instance_id in self._proven else one.launched for one in ill]
        if ill:
            since += [one.launched for one in lost]
        if not since or now - min(since) < self.patience:
            self._readings = 0
            return ""
        self._readings += 1
        if self._readings < READINGS:
            return ""
        message = f"new instances are not healthy after {now - min(since):.0f} s"
        if lost:
            message += f", {len(lost)} were lost already ({', '.join(one.instance_id for one in lost)})"
        return f"{message}: {'; '.join(phrase for one in ill for phrase in one.ailments)}"


def new_instances(group: Mapping[str, Any], wanted: Version) -> list[str]:
    """Return the ids of a group's instances that run the wanted version and are meant to serve."""
    return [
        one["InstanceId"]
        for one in group.get("Instances", [])
        if wanted.matches(one.get("LaunchTemplate"))
        and not leaves_the_group(one)
        and not one["LifecycleState"].startswith(("Standby", "EnteringStandby"))
    ]


def sightings(
    group: Mapping[str, Any],
    fleet: FleetHealth,
    wanted: Version,
    described: Iterable[Mapping[str, Any]],
    started: datetime,
) -> list[Sighting]:
    """Return the new instances of a refresh.

    Args:
        group: of DescribeAutoScalingGroups.
        fleet: how its instances are.
        wanted: the version that the refresh goes to.
        described: instances of the group that EC2 knows, also the terminated ones that it still knows.
        started: when the refresh began. What a group launches from then on is of the wanted version, so those
            that came and went since are known by their launch.
    """
    serving = set(new_instances(group, wanted))
    leaving = {one["InstanceId"] for one in group.get("Instances", []) if leaves_the_group(one)}
    begin = started.replace(microsecond=0)  # EC2 keeps whole seconds
    found = []
    for one in described:
        name, launched = one["InstanceId"], one["LaunchTime"]
        if name in serving:
            found.append(Sighting(name, launched.timestamp(), tuple(fleet.ailments(name))))
        elif launched >= begin and (name in leaving or one["State"]["Name"] in _GONE):
            found.append(Sighting(name, launched.timestamp(), is_gone=True))
    return found
