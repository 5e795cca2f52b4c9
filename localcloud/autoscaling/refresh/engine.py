"""Steps a refresh: one step a tick, from the group's state at that moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.autoscaling.group import IN_SERVICE, PENDING, STANDBY, TERMINATING

from .arithmetic import next_step, percentage_complete
from .models import InstanceRefresh, Status
from .roster import Actuator, Roster

if TYPE_CHECKING:
    from localcloud.autoscaling.group import ManagedGroup, ManagedInstance

NO_PROGRESS_LIMIT = 3600.0  # seconds that AWS keeps trying without a further instance getting ready
TOTAL_LIMIT = 14 * 24 * 3600.0  # seconds of replacing, pauses at checkpoints not counted


class RefreshEngine:
    """The rules of a refresh; the actuator launches and retires instances."""

    def __init__(self, actuator: Actuator) -> None:
        self._actuator = actuator

    def step(self, refresh: InstanceRefresh, group: ManagedGroup, now: float) -> None:
        """Take the next step of the refresh, if there is one now."""
        if refresh.status is Status.PENDING:
            self._begin(refresh, group, now)
        elif refresh.status is Status.CANCELLING:
            self._cancel(refresh, group, now)
        elif not group.is_suspended("InstanceRefresh"):
            self._roll(refresh, group, now)

    def count(self, refresh: InstanceRefresh, group: ManagedGroup, now: float) -> Roster:
        """Update the two counters, which change at different moments; return the roster that they come from."""
        roster = Roster(refresh, group, self._actuator, now)
        if refresh.rolling_back:
            # InstancesToUpdate stays: instances that were never updated need no replacing in a rollback.
            left = percentage_complete(len(roster.returned), roster.desired)
            refresh.percentage_complete = min(left, refresh.percentage_complete)
        else:
            refresh.percentage_complete = percentage_complete(len(roster.ready), roster.desired)
            refresh.instances_to_update = len(roster.to_update)
        return roster

    def _begin(self, refresh: InstanceRefresh, group: ManagedGroup, now: float) -> None:
        refresh.enter(Status.IN_PROGRESS, now)
        refresh.capacity = group.desired_capacity or 0
        if refresh.preferences.skip_matching:
            refresh.skipped = {each.instance_id for each in group.alive if self._actuator.matches(each, refresh.target)}
            # Nothing was replaced to reach these checkpoints, so there is nothing to observe: pass without a pause.
            refresh.checkpoints_passed = refresh.preferences.checkpoints.reached(len(refresh.skipped), refresh.capacity)
        self._roll(refresh, group, now)

    def _roll(self, refresh: InstanceRefresh, group: ManagedGroup, now: float) -> None:
        roster = self.count(refresh, group, now)
        if not refresh.rolling_back:
            firing = [name for name in refresh.preferences.alarms if self._actuator.alarm_state(group, name) == "ALARM"]
            if firing:
                self._fail(refresh, now, f"The CloudWatch alarm {firing[0]} is in the ALARM state.")
                return
        if len(roster.ready) > refresh.most_ready:
            refresh.most_ready, refresh.progressed_at = len(roster.ready), now
        if refresh.status is Status.BAKING:
            self._bake(refresh, group, now)
            return
        if self._falls_back(refresh, roster, now):
            roster = self.count(refresh, group, now)
        if self._is_pausing(refresh, now):
            return
        if roster.is_settled:
            self._arrive(refresh, group, roster, now)
            return
        if self._ran_out_of_time(refresh, roster.waited_for, now):
            return
        refresh.status_reason = self._reason(refresh, roster)
        self._replace(refresh, group, roster, now)
        self.count(refresh, group, now)

    def _replace(self, refresh: InstanceRefresh, group: ManagedGroup, roster: Roster, now: float) -> None:
        """Launch and retire what the arithmetic allows; leaving instances make room for launches at once."""
        bounds = refresh.preferences.bounds
        step = next_step(roster.fleet(), bounds)
        self._launch(refresh, group, step.launch)
        if not step.terminate:
            return
        for instance in roster.leaving_next[: step.terminate]:
            self._actuator.retire(instance, "an instance was taken out of service in response to an instance refresh.")
        after = Roster(refresh, group, self._actuator, now)
        self._launch(refresh, group, next_step(after.fleet(), bounds).launch)

    def _launch(self, refresh: InstanceRefresh, group: ManagedGroup, count: int) -> None:
        why = "an instance was launched in response to an instance refresh."
        self._actuator.launch(group, count, refresh.source, why, refresh.mark)

    # Checkpoints

    def _falls_back(self, refresh: InstanceRefresh, roster: Roster, now: float) -> bool:
        """Return whether the group grew so much that a checkpoint must be reached again."""
        grown, refresh.capacity = roster.desired > refresh.capacity, roster.desired
        reached = refresh.preferences.checkpoints.reached(len(roster.ready), roster.desired)
        if not grown or reached >= refresh.checkpoints_passed:
            return False
        refresh.checkpoints_passed = reached
        refresh.resume(now)
        return True

    def _is_pausing(self, refresh: InstanceRefresh, now: float) -> bool:
        """Return whether the refresh waits at a checkpoint; the reconciler keeps the capacity meanwhile."""
        if refresh.paused_until is None:
            return False
        if now >= refresh.paused_until:
            refresh.resume(now)
            return False
        percentage = refresh.preferences.checkpoints.percentages[refresh.checkpoints_passed - 1]
        refresh.status_reason = (
            f"Waiting at the checkpoint of {percentage} percent before continuing. "
            f"There are {int(refresh.paused_until - now)} seconds left."
        )
        return True

    def _arrive(self, refresh: InstanceRefresh, group: ManagedGroup, roster: Roster, now: float) -> None:
        """Pause at a checkpoint, or complete at the last one or where nothing is left to replace."""
        checkpoints = refresh.preferences.checkpoints
        if roster.held:
            refresh.checkpoints_passed = checkpoints.reached(len(roster.ready), roster.desired)
            if refresh.checkpoints_passed < len(checkpoints.percentages):
                refresh.pause(now)
                return
        if refresh.rolling_back:
            refresh.percentage_complete = 0
            refresh.enter(Status.ROLLBACK_SUCCESSFUL, now, refresh.status_reason)
        elif refresh.preferences.bake_time:
            refresh.bake_until = now + refresh.preferences.bake_time
            refresh.baking = roster.ready
            refresh.enter(Status.BAKING, now)
        else:
            self._succeed(refresh, group, now)

    # Ends

    def _bake(self, refresh: InstanceRefresh, group: ManagedGroup, now: float) -> None:
        broken = [each for each in refresh.baking if self._is_broken(group, each)]
        if broken:
            self._fail(refresh, now, f"Instance {broken[0].instance_id} became unhealthy during the bake time.")
        elif now >= refresh.bake_until:
            self._succeed(refresh, group, now)
        else:
            refresh.status_reason = (
                "Waiting for bake time to finish before continuing. "
                f"There are {int(refresh.bake_until - now)} seconds left."
            )

    def _is_broken(self, group: ManagedGroup, instance: ManagedInstance) -> bool:
        # An instance removed by a scale-in or a person is not broken.
        if instance.health_status == "Unhealthy":
            return True
        serves = instance in group.instance_states and instance.lifecycle_state == IN_SERVICE
        return serves and not self._actuator.is_available(instance)

    def _succeed(self, refresh: InstanceRefresh, group: ManagedGroup, now: float) -> None:
        if not refresh.preferences.checkpoints.stop_early:
            refresh.percentage_complete, refresh.instances_to_update = 100, 0
        refresh.enter(Status.SUCCESSFUL, now)
        if refresh.desired and refresh.target:
            group.save_template(refresh.target.describe())

    def _fail(self, refresh: InstanceRefresh, now: float, reason: str) -> None:
        if refresh.rolling_back:
            refresh.enter(Status.ROLLBACK_FAILED, now, reason)
        elif refresh.preferences.auto_rollback:
            refresh.enter(Status.ROLLBACK_IN_PROGRESS, now, reason)
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

    def _reason(self, refresh: InstanceRefresh, roster: Roster) -> str | None:
        if refresh.rolling_back:
            return refresh.status_reason
        unready = [each for each in roster.new if each not in roster.ready]
        for each in unready:
            if each.lifecycle_state == IN_SERVICE and self._actuator.is_available(each):
                return (
                    "Waiting for instances to warm up before continuing. "
                    f"For example: {each.instance_id} is warming up."
                )
        if unready:
            return (
                "Waiting for remaining instances to be available. For example: "
                f"{unready[0].instance_id} has insufficient data to evaluate its health with Amazon EC2."
            )
        if roster.waited_for and not roster.leaving_next:
            blocker = roster.waited_for[0]
            hint = (
                "is on standby. Return it to service to continue."
                if blocker.lifecycle_state == STANDBY
                else "is protected. Remove instance scale-in protection to continue."
            )
            return f"Waiting for remaining instances to be available. For example: {blocker.instance_id} {hint}"
        return None
