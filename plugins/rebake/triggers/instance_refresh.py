"""Waiting for an instance refresh to end without a worker slot, and turning it round when it goes wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

from airflow.triggers.base import TriggerEvent

from rebake.aws_errors import error_code
from rebake.hooks.autoscaling import (
    AlarmsHook,
    AutoScalingHook,
    TargetHealthHook,
    alarms_that_went_off,
    describe_group,
    describe_instances,
    describe_refresh,
    describe_target_health,
    end_refresh,
)
from rebake.hooks.instance import InstanceHook
from rebake.hooks.lease import LeaseHook
from rebake.release import lease
from rebake.rollout.health_watch import HealthWatch, sightings
from rebake.rollout.refresh import (
    ACTIVE_STATES,
    BACKWARD_STATES,
    REASON_OF_STATE,
    SUCCESS_STATES,
    FleetHealth,
    Reason,
    progress,
    wanted_version,
)
from rebake.triggers.fleet_health import FleetTrigger

LOST_AFTER: Final = 5
"""Looks in a row that do not find it before a refresh counts as lost; the first looks may be early."""
TURN_EVERY: Final = 10.0
"""Seconds at least between two looks at who holds the lease: a rollback by hand does not come every second."""

_ALARM_WORTHY: Final = ("Failed", "RollbackInProgress", "RollbackSuccessful", "RollbackFailed")
"""States that an alarm may have brought about."""


@dataclass(frozen=True)
class _Verdict:
    """What the wait came to.

    Attributes:
        status: the refresh's, the last that was seen.
        message: what there is to say about it.
        reason: why it is no success; none if it is.
        is_turning: whether the refresh is still active, and on its way back or out: its end is still to come.
    """

    status: str
    message: str
    reason: Reason | None = None
    is_turning: bool = False


class InstanceRefreshTrigger(FleetTrigger):
    """Waits for the end of an instance refresh, decides on its Status alone, and watches its new instances.

    There are two phases, because what a trigger remembers is gone when its triggerer is. In the first, without a
    `cause`, the trigger turns the refresh round when the new instances are not healthy for too long, or at its
    deadline, and also notices when somebody else has turned it. Each ends the phase with an event that says
    `turning`; then it is built anew with that `cause` and waits, up to another deadline, for the refresh to end.

    A status that is not known is waited on: AWS may add one.

    Args:
        auto_scaling_group_name: the group.
        refresh_id: the refresh.
        service: who holds the lease; empty not to look.
        run: the run that holds the lease.
        bucket: where the leases are.
        unhealthy_deadline: seconds that a new instance may take to become healthy.
        roll_back: whether a refresh that goes wrong is rolled back; otherwise it is cancelled, and stays as it is.
        cause: why the refresh was turned round, a `Reason`; empty as long as it was not.
        because: the same, in words.
        **kwargs: those of `DeadlineTrigger`.
    """

    def __init__(
        self,
        *,
        auto_scaling_group_name: str,
        refresh_id: str,
        service: str,
        run: str,
        bucket: str,
        unhealthy_deadline: float,
        roll_back: bool,
        cause: str = "",
        because: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            auto_scaling_group_name=auto_scaling_group_name,
            fields={
                "refresh_id": refresh_id,
                "service": service,
                "run": run,
                "bucket": bucket,
                "unhealthy_deadline": unhealthy_deadline,
                "roll_back": roll_back,
                "cause": cause,
                "because": because,
            },
            **kwargs,
        )
        self.refresh_id = refresh_id
        self.service = service
        self.turn_of = run
        self.bucket = bucket
        self.roll_back = roll_back
        self.cause = Reason(cause) if cause else None
        self.because = because
        self._watch = HealthWatch(unhealthy_deadline)
        self._turn_seen = time.monotonic()  # the stage itself has just looked

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event."""
        async with AsyncExitStack() as stack:
            hooks: tuple[type[Any], ...] = (AutoScalingHook, TargetHealthHook, InstanceHook, AlarmsHook, LeaseHook)
            clients = [
                await stack.enter_async_context(await hook(**self.connection).get_async_conn()) for hook in hooks
            ]
            self._autoscaling, self._elbv2, self._ec2, self._cloudwatch, self._s3 = clients
            verdict = await self._wait()
            fleet: FleetHealth | None = None
            if verdict.reason is not None:
                try:
                    _, fleet = await self.survive(self.look(self._autoscaling, self._elbv2))
                except Exception as error:  # noqa: BLE001  # the reason is known, and must not be hidden
                    self.log.warning("the fleet's state is not known: %s", error)
        yield self.event(
            fleet, verdict.message, reason=verdict.reason, status=verdict.status, turning=verdict.is_turning
        )

    async def _wait(self) -> _Verdict:
        status, last, misses = "unknown", "no word of it yet", 0
        while True:
            other = await self._other_turn()
            if other:
                return _Verdict(status, other, Reason.SUPERSEDED)
            answered, refresh = await self.survive(self._describe())
            if answered and refresh is None:
                misses += 1
                if misses >= LOST_AFTER:
                    return self._ended(status, f"AWS no longer knows it; the last word was: {last}", Reason.LOST)
            if refresh is not None:
                misses, status, last = 0, refresh["Status"], progress(refresh)
                self.tell(f"instance refresh {self.refresh_id}: {last}")
                verdict = await self._decide(refresh, last)
                if verdict:
                    return verdict
            if self.is_over:
                if self.cause:
                    return self._ended(status, f"still not over at the deadline; the last word was: {last}", self.cause)
                why = f"not over within the rollout's timeout; the last word was: {last}"
                asked = await self._turn_round(status, Reason.TIMEOUT, why)
                # Nobody took the request: the phase that follows asks again, or finds that the refresh has ended.
                return asked or _Verdict(status, why, Reason.TIMEOUT, is_turning=True)
            await asyncio.sleep(self.poll_seconds)

    async def _decide(self, refresh: dict[str, Any], last: str) -> _Verdict | None:
        """Return what the refresh's status comes to; none if it is to be waited on."""
        status = refresh["Status"]
        if status in SUCCESS_STATES:
            return _Verdict(status, last)
        if status in BACKWARD_STATES or status in REASON_OF_STATE:
            return await self._decide_failure(refresh, last)
        if self.cause:
            # Nobody has taken the request yet. To ask twice does no harm.
            await self._ask_to_end(status, self.because)
            return None
        if status not in ACTIVE_STATES:
            self.tell(f"instance refresh {self.refresh_id}: status {status} is not known here, waiting on")
        answered, illness = await self.survive(self._illness(refresh))
        return await self._turn_round(status, Reason.UNHEALTHY, illness) if answered and illness else None

    async def _decide_failure(self, refresh: dict[str, Any], last: str) -> _Verdict | None:
        """Return why a refresh that goes back, or has failed, does so; none if its end is still to be waited for."""
        status = refresh["Status"]
        other = await self._other_turn(at_once=True)
        if other:
            return _Verdict(status, other, Reason.SUPERSEDED)
        is_over = status in REASON_OF_STATE
        if self.cause:
            return self._ended(status, last, self.cause) if is_over else None
        # An alarm is asked after as soon as the refresh turns: at its end the alarm may be quiet again.
        alarms = await self._alarms(refresh)
        reason = REASON_OF_STATE.get(status, Reason.CANCELLED if status == "Cancelling" else Reason.ROLLED_BACK)
        return _Verdict(status, last + alarms, Reason.ALARM if alarms else reason, is_turning=not is_over)

    def _ended(self, status: str, message: str, reason: Reason) -> _Verdict:
        """Return the verdict on a refresh that is over, or given up: what turned it round is the reason."""
        if self.cause is None:
            return _Verdict(status, message, reason)
        return _Verdict(status, f"{self.because}; {message}", self.cause)

    async def _turn_round(self, status: str, reason: Reason, why: str) -> _Verdict | None:
        """Ask for the refresh to be ended; none if it ended by itself meanwhile, or if it is to be asked again."""
        asked = await self._ask_to_end(status, why)
        if asked is None:
            return _Verdict(status, f"{why}; it goes on, because AWS refuses to end it", reason)
        return _Verdict(status, f"{why}; asked AWS for {asked}", reason, is_turning=True) if asked else None

    async def _ask_to_end(self, status: str, why: str) -> str | None:
        """Return what AWS was asked for; empty if it did not take the request, none if it never will."""
        try:
            call = end_refresh(self._autoscaling, self.auto_scaling_group_name, roll_back=self.roll_back)
            answered, asked = await self.survive(call)
        except Exception:
            self.log.exception("AWS refuses to end instance refresh %s, which is %s", self.refresh_id, status)
            return None
        if answered and asked:
            self.log.warning("instance refresh %s is %s: %s: asked for %s", self.refresh_id, status, why, asked)
        return asked if answered else ""

    async def _illness(self, refresh: dict[str, Any]) -> str:
        """Return what is wrong with the new instances for too long; empty while there is hope."""
        wanted, started = wanted_version(refresh), refresh.get("StartTime")
        if wanted is None or started is None or time.time() - started.timestamp() < self._watch.patience:
            return ""  # nothing that the refresh launched can be too old yet
        group = await describe_group(self._autoscaling, self.auto_scaling_group_name)
        if group is None:
            return ""
        targets = await describe_target_health(self._elbv2, group.get("TargetGroupARNs", []))
        described = await describe_instances(self._ec2, self.auto_scaling_group_name)
        fleet = FleetHealth.of(group, targets)
        return self._watch.judge(sightings(group, fleet, wanted, described, started), time.time())

    async def _alarms(self, refresh: dict[str, Any]) -> str:
        """Return which of the refresh's alarms went off, as the end of a message; empty if none did."""
        names = refresh.get("Preferences", {}).get("AlarmSpecification", {}).get("Alarms", [])
        if not names or refresh["Status"] not in _ALARM_WORTHY:
            return ""
        try:
            _, found = await self.survive(alarms_that_went_off(self._cloudwatch, names))
        except Exception as error:  # noqa: BLE001  # that it failed is known, and must not be hidden
            self.log.warning("whether an alarm went off is not known: %s", error)
            return ""
        return "".join(f"; {alarm}" for alarm in found or [])

    async def _other_turn(self, *, at_once: bool = False) -> str:
        """Return who has acquired the lease from this run; empty if nobody has, or if it is too early to look again."""
        if not self.service or (time.monotonic() - self._turn_seen < TURN_EVERY and not at_once):
            return ""
        self._turn_seen = time.monotonic()
        answered, other = await self.survive(lease.held_by_another(self._s3, self.bucket, self.service, self.turn_of))
        return str(lease.superseded(other)) if answered and other else ""

    async def _describe(self) -> dict[str, Any] | None:
        try:
            return await describe_refresh(self._autoscaling, self.auto_scaling_group_name, self.refresh_id)
        except Exception as error:
            # AWS models no error for a group that does not exist: it is a ValidationError that says "not found".
            if error_code(error) == "ValidationError" and "not found" in str(error):
                return None
            raise
