"""Moves a refresh on: one step a tick, from what the group looks like then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from localcloud.autoscaling.group import IN_SERVICE, PENDING, STANDBY, TERMINATING

from .arithmetic import Fleet, next_step, percentage_complete
from .models import InstanceRefresh, Status

if TYPE_CHECKING:
    from localcloud.autoscaling.group import ManagedGroup, ManagedInstance
    from localcloud.autoscaling.templates import TemplateRef

    from .models import Mark

NO_PROGRESS_LIMIT = 3600.0  # seconds that AWS keeps trying without a further instance getting ready
TOTAL_LIMIT = 14 * 24 * 3600.0  # seconds


class Hands(Protocol):
    """What the engine can have done: the reconciler."""

    def is_available(self, instance: ManagedInstance) -> bool:
        """Say whether an instance is in service and healthy, at its target groups too if those count."""

    def launch(
        self, group: ManagedGroup, count: int, template: TemplateRef | None, why: str, mark: Mark | None
    ) -> None:
        """Launch instances."""

    def retire(self, instance: ManagedInstance, why: str) -> None:
        """Drain and terminate an instance."""

    def matches(self, instance: ManagedInstance, template: TemplateRef | None) -> bool:
        """Say whether an instance is of a template version, and of its instance type."""


class RefreshEngine:
    """The rules of a refresh.

    Args:
        hands: Launches and retires.
    """

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def step(self, refresh: InstanceRefresh, group: ManagedGroup, now: float) -> None:
        """Do what can be done now."""
        if refresh.status is Status.PENDING:
            self._begin(refresh, group, now)
        elif refresh.status is Status.CANCELLING:
            self._cancel(refresh, group, now)
        elif not group.is_suspended("InstanceRefresh"):
            self._roll(refresh, group, now)

    def roll_back(self, refresh: InstanceRefresh, now: float, reason: str) -> None:
        """Turn round: from here on instances return to the group's own template."""
        refresh.enter(Status.ROLLBACK_IN_PROGRESS, now, reason)

    def count(self, refresh: InstanceRefresh, group: ManagedGroup, now: float) -> None:
        """Bring the two counters up to date; they move at different moments."""
        old, new, _ = self._split(refresh, group)
        total = group.desired_capacity or 0
        if refresh.rolling_back:
            # InstancesToUpdate stays: instances that were never updated need no replacing in a rollback.
            left = [each for each in old if self._is_ready(refresh, each, now)]
            refresh.percentage_complete = min(percentage_complete(len(left), total), refresh.percentage_complete)
            return
        ready = [each for each in new if self._is_ready(refresh, each, now)]
        refresh.percentage_complete = percentage_complete(len(ready), total)
        refresh.instances_to_update = len([each for each in old if not self._is_ignored(refresh, each)])

    def _begin(self, refresh: InstanceRefresh, group: ManagedGroup, now: float) -> None:
        refresh.enter(Status.IN_PROGRESS, now)
        if refresh.preferences.skip_matching:
            refresh.skipped = {each.instance_id for each in group.alive if self._hands.matches(each, refresh.target)}
        self.count(refresh, group, now)
        self._roll(refresh, group, now)

    def _roll(self, refresh: InstanceRefresh, group: ManagedGroup, now: float) -> None:
        self.count(refresh, group, now)
        old, new, kept = self._split(refresh, group)
        replaceable = [each for each in old if not self._is_blocked(refresh, each)]
        blocked = [each for each in old if self._is_blocked(refresh, each)]
        waited_for = [each for each in blocked if not self._is_ignored(refresh, each)]
        ready = [each for each in new if self._is_ready(refresh, each, now)]
        standing = [each for each in [*kept, *blocked] if each.lifecycle_state != STANDBY]
        if len(ready) > refresh.most_ready:
            refresh.most_ready, refresh.progressed_at = len(ready), now
        if refresh.status is Status.BAKING:
            self._bake(refresh, group, ready, now)
            return
        leaving = [each for each in group.instance_states if each.lifecycle_state == TERMINATING]
        settled = len(ready) + len(standing) >= (group.desired_capacity or 0) and len(ready) == len(new)
        if not replaceable and not waited_for and settled and not leaving:
            self._complete(refresh, group, now)
            return
        if self._ran_out_of_time(refresh, waited_for, now):
            return
        refresh.status_reason = self._reason(refresh, new, ready, waited_for)
        self._replace(refresh, group, now)
        self.count(refresh, group, now)

    def _replace(self, refresh: InstanceRefresh, group: ManagedGroup, now: float) -> None:
        """Launch and retire what the arithmetic allows; leaving instances make room for launches at once."""
        bounds = refresh.preferences.bounds
        step = next_step(self._fleet(refresh, group, now), bounds)
        self._launch(refresh, group, step.launch)
        if not step.terminate:
            return
        old, _, _ = self._split(refresh, group)
        leavers = [each for each in old if not self._is_blocked(refresh, each)]
        leavers.sort(key=lambda each: (self._hands.is_available(each), each.launched_at))
        for instance in leavers[: step.terminate]:
            self._hands.retire(instance, "an instance was taken out of service in response to an instance refresh.")
        self._launch(refresh, group, next_step(self._fleet(refresh, group, now), bounds).launch)

    def _launch(self, refresh: InstanceRefresh, group: ManagedGroup, count: int) -> None:
        why = "an instance was launched in response to an instance refresh."
        self._hands.launch(group, count, refresh.source, why, refresh.mark)

    def _fleet(self, refresh: InstanceRefresh, group: ManagedGroup, now: float) -> Fleet:
        old, new, kept = self._split(refresh, group)
        blocked = [each for each in old if self._is_blocked(refresh, each)]
        standing = [each for each in [*kept, *blocked] if each.lifecycle_state != STANDBY]
        replaceable = [each for each in old if each not in blocked]
        return Fleet(
            desired=group.desired_capacity or 0,
            old=len(replaceable),
            old_available=len([each for each in replaceable if self._hands.is_available(each)]),
            new=len(new),
            new_ready=len([each for each in new if self._is_ready(refresh, each, now)]),
            kept=len(standing),
            kept_available=len([each for each in standing if self._hands.is_available(each)]),
        )

    def _complete(self, refresh: InstanceRefresh, group: ManagedGroup, now: float) -> None:
        if refresh.rolling_back:
            refresh.percentage_complete = 0
            refresh.enter(Status.ROLLBACK_SUCCESSFUL, now, refresh.status_reason)
        elif refresh.preferences.bake_time:
            refresh.bake_until = now + refresh.preferences.bake_time
            refresh.enter(Status.BAKING, now)
        else:
            self._succeed(refresh, group, now)

    def _bake(self, refresh: InstanceRefresh, group: ManagedGroup, ready: list[ManagedInstance], now: float) -> None:
        broken = len(ready) < (group.desired_capacity or 0)
        if broken:
            self._fail(refresh, now, "An instance became unhealthy during the bake time.")
        elif now >= refresh.bake_until:
            self._succeed(refresh, group, now)
        else:
            refresh.status_reason = (
                "Waiting for bake time to finish before continuing. "
                f"There are {int(refresh.bake_until - now)} seconds left."
            )

    def _succeed(self, refresh: InstanceRefresh, group: ManagedGroup, now: float) -> None:
        refresh.percentage_complete, refresh.instances_to_update = 100, 0
        refresh.enter(Status.SUCCESSFUL, now)
        if refresh.desired and refresh.target:
            group.save_template(refresh.target.describe())

    def _fail(self, refresh: InstanceRefresh, now: float, reason: str) -> None:
        if refresh.rolling_back:
            refresh.enter(Status.ROLLBACK_FAILED, now, reason)
        elif refresh.preferences.auto_rollback:
            self.roll_back(refresh, now, reason)
        else:
            refresh.enter(Status.FAILED, now, reason)

    def _ran_out_of_time(self, refresh: InstanceRefresh, waited_for: list[ManagedInstance], now: float) -> bool:
        if now - refresh.began_at >= TOTAL_LIMIT:
            self._fail(refresh, now, "The instance refresh did not complete within 14 days.")
            return True
        if now - refresh.progressed_at < NO_PROGRESS_LIMIT + refresh.preferences.instance_warmup:
            return False
        because = (
            f"For example: {waited_for[0].instance_id} is protected from scale in or on standby."
            if waited_for
            else "New instances did not become healthy."
        )
        self._fail(refresh, now, f"No instance was replaced within the last hour. {because}")
        return True

    def _cancel(self, refresh: InstanceRefresh, group: ManagedGroup, now: float) -> None:
        in_transition = [each for each in group.instance_states if each.lifecycle_state in {PENDING, TERMINATING}]
        if refresh.cancel_waits and in_transition:
            return
        refresh.enter(
            Status.CANCELLED, now,
            "Cancelled due to user request." if refresh.cancel_waits else
            "Cancelled without waiting for ongoing instance launches and terminations due to user request.",
        )  # fmt: skip

    # Which instance is what

    def _split(
        self, refresh: InstanceRefresh, group: ManagedGroup
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

    def _is_ready(self, refresh: InstanceRefresh, instance: ManagedInstance, now: float) -> bool:
        if not self._hands.is_available(instance):
            return False
        if instance.mark is None or instance.mark.refresh_id != refresh.id:
            return True  # it was there before; it warmed up long ago
        since = instance.in_service_at
        return since is not None and now - since >= refresh.preferences.instance_warmup

    @staticmethod
    def _is_blocked(refresh: InstanceRefresh, instance: ManagedInstance) -> bool:
        if instance.lifecycle_state == STANDBY:
            return refresh.preferences.standby != "Terminate"
        return bool(instance.protected_from_scale_in) and refresh.preferences.scale_in_protected != "Refresh"

    def _is_ignored(self, refresh: InstanceRefresh, instance: ManagedInstance) -> bool:
        if not self._is_blocked(refresh, instance):
            return False
        on_standby = instance.lifecycle_state == STANDBY
        choice = refresh.preferences.standby if on_standby else refresh.preferences.scale_in_protected
        return choice == "Ignore"

    def _reason(
        self,
        refresh: InstanceRefresh,
        new: list[ManagedInstance],
        ready: list[ManagedInstance],
        waited_for: list[ManagedInstance],
    ) -> str | None:
        if refresh.rolling_back:
            return refresh.status_reason
        unready = [each for each in new if each not in ready]
        for each in unready:
            if each.lifecycle_state == IN_SERVICE and self._hands.is_available(each):
                return (
                    "Waiting for instances to warm up before continuing. "
                    f"For example: {each.instance_id} is warming up."
                )
        if unready:
            return (
                "Waiting for remaining instances to be available. For example: "
                f"{unready[0].instance_id} has insufficient data to evaluate its health with Amazon EC2."
            )
        if waited_for:
            blocker = waited_for[0]
            hint = (
                "is on standby. Return it to service to continue."
                if blocker.lifecycle_state == STANDBY
                else "is protected. Remove instance scale-in protection to continue."
            )
            return f"Waiting for remaining instances to be available. For example: {blocker.instance_id} {hint}"
        return None
