"""How many instances a refresh may launch and terminate at a time: numbers in, numbers out.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html and the API's documentation of
MinHealthyPercentage and MaxHealthyPercentage.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """The healthy percentages; a maximum that was omitted is None, and is not the same as 100."""

    minimum: int
    maximum: int | None

    def floor(self, desired: int) -> int:
        """Return how many instances must stay available, rounded up."""
        return -(-desired * self.minimum // 100)

    def cap(self, desired: int) -> int:
        """Return how many instances there may be, rounded down; one more than desired where none may be missing."""
        if self.maximum is None:
            return desired
        cap = desired * self.maximum // 100
        return max(cap, desired + 1) if self.floor(desired) >= desired else cap

    def batch(self, desired: int) -> int:
        """Return how many are replaced at a time when the maximum was omitted: one at least, even below the floor."""
        return max(1, desired - self.floor(desired))


@dataclass(frozen=True)
class FleetSize:
    """A group in the middle of a refresh, as counts of instances that are not terminating.

    Args:
        desired: The desired capacity.
        old: To be replaced.
        old_available: Of those, in service and healthy.
        new: Already of the target.
        new_ready: Of those, in service, healthy and warmed up.
        kept: Neither: protected or on standby, and so left alone for now.
        kept_available: Of those, in service and healthy.
    """

    desired: int
    old: int
    old_available: int
    new: int
    new_ready: int
    kept: int = 0
    kept_available: int = 0

    @property
    def alive(self) -> int:
        """All of them."""
        return self.old + self.new + self.kept

    @property
    def available(self) -> int:
        """Those that serve."""
        return self.old_available + self.new_ready + self.kept_available


@dataclass(frozen=True)
class Step:
    """What may be done now."""

    launch: int = 0
    terminate: int = 0


def next_step(fleet: FleetSize, bounds: Bounds) -> Step:
    """Return how many instances to launch, and how many old ones to terminate, right now.

    With a maximum, instances are launched up to it and old ones leave as soon as the floor allows. Without one, a
    batch is terminated and launched together, and the next waits until it has warmed up.
    """
    if fleet.old == 0:
        return Step(launch=max(0, fleet.desired - fleet.alive))
    if bounds.maximum is None:
        return _terminate_and_launch(fleet, bounds.batch(fleet.desired))
    room = bounds.cap(fleet.desired) - fleet.alive
    wanted = fleet.desired - fleet.kept - fleet.new
    spare = fleet.available - bounds.floor(fleet.desired)
    # Old instances that do not serve may leave beyond that, once others stand in for them.
    stood_in_for = fleet.old + fleet.new_ready + fleet.kept - fleet.desired
    broken = min(fleet.old - fleet.old_available, max(0, stood_in_for))
    return Step(launch=max(0, min(room, wanted)), terminate=min(fleet.old, max(0, spare, broken)))


def _terminate_and_launch(fleet: FleetSize, batch: int) -> Step:
    missing = max(0, fleet.desired - fleet.alive)
    if missing or fleet.new_ready < fleet.new:
        return Step(launch=missing)
    healthy = batch - (fleet.desired - fleet.available)
    broken = min(batch, fleet.old - fleet.old_available)
    leaving = min(fleet.old, max(0, healthy, broken))
    surplus = max(0, fleet.alive - fleet.desired)
    return Step(launch=max(0, leaving - surplus), terminate=leaving)


def percentage_complete(ready: int, total: int) -> int:
    """Return PercentageComplete: new instances that are healthy and warm, of all; nothing to do is all done."""
    return min(100, 100 * ready // total) if total else 100
