"""A group's instances, sorted by their role in a refresh at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from localcloud.autoscaling.group import STANDBY, TERMINATING

from .arithmetic import FleetSize

if TYPE_CHECKING:
    from localcloud.autoscaling.group import ManagedGroup, ManagedInstance
    from localcloud.autoscaling.templates import TemplateRef

    from .models import InstanceRefresh, Mark


class Actuator(Protocol):
    """Actions and queries that the reconciler provides to the engine, which it imports."""

    def is_available(self, instance: ManagedInstance) -> bool:
        """Return whether an instance is in service and healthy, at its target groups too if those count."""

    def launch(
        self, group: ManagedGroup, count: int, template: TemplateRef | None, why: str, mark: Mark | None
    ) -> None:
        """Launch instances."""

    def retire(self, instance: ManagedInstance, why: str) -> None:
        """Drain and terminate an instance."""

    def matches(self, instance: ManagedInstance, template: TemplateRef | None) -> bool:
        """Return whether an instance is of a launch template version, and of its instance type."""

    def alarm_state(self, group: ManagedGroup, name: str) -> str | None:
        """Return the state of the CloudWatch alarm of that name beside a group; none without one."""


class Roster:
    """Every instance of a group by its role; the actuator knows which serve."""

    def __init__(self, refresh: InstanceRefresh, group: ManagedGroup, actuator: Actuator, now: float) -> None:
        self._actuator = actuator
        self.desired = group.desired_capacity or 0
        old, self.new, kept = _split(refresh, group)
        self.ready = [each for each in self.new if self._is_ready(refresh, each, now)]
        blocked = [each for each in old if _left_alone(refresh, each)]
        waited_for = [each for each in old if _left_alone(refresh, each) == "Wait"]
        self.standing = [each for each in [*kept, *blocked] if each.lifecycle_state != STANDBY]
        self.to_update = [each for each in old if _left_alone(refresh, each) != "Ignore"]
        self.returned = [each for each in old if self._is_ready(refresh, each, now)] if refresh.rolling_back else []
        self.terminating = [each for each in group.instance_states if each.lifecycle_state == TERMINATING]
        goal = self.desired
        if not refresh.rolling_back:
            goal = refresh.preferences.checkpoints.goal(refresh.checkpoints_passed, self.desired)
        # Those that do not serve leave first, then the oldest; the last ones stay until the next checkpoint is passed.
        leavers = [each for each in old if each not in blocked]
        leavers.sort(key=lambda each: (actuator.is_available(each), each.launched_at))
        hold = max(0, self.desired - goal - len(self.standing))
        leave = max(0, len(leavers) - hold)
        self.leaving_next, self.held = leavers[:leave], leavers[leave:]
        self.waited_for = [] if goal < self.desired and len(self.new) >= goal else waited_for

    @property
    def is_settled(self) -> bool:
        """Whether every replacement up to the next checkpoint, or the end, is done and warm."""
        if self.leaving_next or self.waited_for or self.terminating or len(self.ready) < len(self.new):
            return False
        return len(self.ready) + len(self.standing) + len(self.held) >= self.desired

    def fleet(self) -> FleetSize:
        """Return the counts that `arithmetic` decides by."""
        kept = [*self.standing, *self.held]
        return FleetSize(
            desired=self.desired,
            old=len(self.leaving_next),
            old_available=len([each for each in self.leaving_next if self._actuator.is_available(each)]),
            new=len(self.new),
            new_ready=len(self.ready),
            kept=len(kept),
            kept_available=len([each for each in kept if self._actuator.is_available(each)]),
        )

    def _is_ready(self, refresh: InstanceRefresh, instance: ManagedInstance, now: float) -> bool:
        if not self._actuator.is_available(instance):
            return False
        if instance.mark is None or instance.mark.refresh_id != refresh.id:
            return True  # not launched by this refresh: warm long ago
        since = instance.in_service_at
        return since is not None and now - since >= refresh.preferences.instance_warmup


def _split(
    refresh: InstanceRefresh, group: ManagedGroup
) -> tuple[list[ManagedInstance], list[ManagedInstance], list[ManagedInstance]]:
    """Return those to replace, those of this refresh, and those that count as neither."""
    old: list[ManagedInstance] = []
    new: list[ManagedInstance] = []
    kept: list[ManagedInstance] = []
    for each in group.instance_states:
        if not each.is_alive and each.lifecycle_state != STANDBY:
            continue
        updated = each.mark is not None and each.mark.refresh_id == refresh.id and not each.mark.rolling_back
        if refresh.rolling_back:
            (old if updated else new if each.is_alive else kept).append(each)
        elif updated or each.instance_id in refresh.skipped:
            (new if each.is_alive else kept).append(each)
        else:
            old.append(each)
    return old, new, kept


def _left_alone(refresh: InstanceRefresh, instance: ManagedInstance) -> str | None:
    """Return whether a refresh is to `Wait` for an instance or `Ignore` it; None if it replaces the instance."""
    choice = None
    if instance.lifecycle_state == STANDBY:
        choice = refresh.preferences.standby
    elif instance.protected_from_scale_in:
        choice = refresh.preferences.scale_in_protected
    return choice if choice in {"Wait", "Ignore"} else None
