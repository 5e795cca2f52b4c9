"""Waiting for an instance refresh without a worker slot, and rolling it back or cancelling it when it goes wrong."""

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
"""Polls in a row that do not find a refresh before it counts as lost; the first polls may be too early."""
LEASE_CHECK_SECONDS: Final = 10.0
"""Least time between two checks of who holds the lease: a rollback by hand is rare."""

_ALARM_STATES: Final = ("Failed", "RollbackInProgress", "RollbackSuccessful", "RollbackFailed")
"""States that an alarm may have caused."""


@dataclass(frozen=True)
class _Verdict:
    """How the wait ended.

    Attributes:
        status: the refresh's last known status.
        message: explains it.
        reason: why the rollout failed; none if it succeeded.
        is_ending: whether the refresh is still active, but being rolled back or cancelled: its end is still to come.
    """

    status: str
    message: str
    reason: Reason | None = None
    is_ending: bool = False


class InstanceRefreshTrigger(FleetTrigger):
    """Waits for the end of an instance refresh, decides on its Status alone, and watches its new instances.

    There are two phases, because a trigger loses its memory when its triggerer ends. In the first, without a `cause`,
    the trigger asks AWS to roll back or cancel the refresh when new instances stay unhealthy for too long, or at its
    deadline; it also notices when somebody else has done so. Each ends the phase with an event that has `ending` set.
    Then the trigger is built anew with that `cause` and waits, up to another deadline, for the refresh to end.

    An unknown status is waited on: AWS may add one.

    Args:
        auto_scaling_group_name: the group.
        refresh_id: the refresh.
        service: whose lease the run must hold; empty to skip that check.
        holder: the run that holds the lease.
        bucket: where the leases are.
        unhealthy_deadline: seconds that a new instance may take to become healthy.
        roll_back: whether to roll back a refresh that goes wrong; otherwise it is cancelled and the fleet stays mixed.
        cause: why the refresh is being rolled back or cancelled, a `Reason`; empty while it goes forward.
        because: the same, in words.
    """

    def __init__(
        self,
        *,
        auto_scaling_group_name: str,
        refresh_id: str,
        service: str,
        holder: str,
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
                "holder": holder,
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
        self.holder = holder
        self.bucket = bucket
        self.roll_back = roll_back
        self.cause = Reason(cause) if cause else None
        self.because = because
        self._watch = HealthWatch(unhealthy_deadline)
        self._lease_checked_at = time.monotonic()  # by the stage itself

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
                    _, fleet = await self.poll(self.describe_fleet(self._autoscaling, self._elbv2))
                except Exception as error:  # noqa: BLE001  # must not hide the reason
                    self.log.warning("the fleet's state is unknown: %s", error)
        yield self.event(fleet, verdict.message, reason=verdict.reason, status=verdict.status, ending=verdict.is_ending)

    async def _wait(self) -> _Verdict:
        status, last, misses = "unknown", "not seen yet", 0
        while True:
            other = await self._superseded_by()
            if other:
                return _Verdict(status, other, Reason.SUPERSEDED)
            answered, refresh = await self.poll(self._describe())
            if answered and refresh is None:
                misses += 1
                if misses >= LOST_AFTER:
                    return self._final(status, f"AWS no longer knows it; last seen: {last}", Reason.LOST)
            if refresh is not None:
                misses, status, last = 0, refresh["Status"], progress(refresh)
                self.log_progress(f"instance refresh {self.refresh_id}: {last}")
                verdict = await self._decide(refresh, last)
                if verdict:
                    return verdict
            if self.is_over:
                if self.cause:
                    return self._final(status, f"still not over at the deadline; last seen: {last}", self.cause)
                why = f"not over within the rollout's timeout; last seen: {last}"
                verdict = await self._end(status, Reason.TIMEOUT, why)
                # Where AWS did not take the request, the next phase asks again, or finds that the refresh has ended.
                return verdict or _Verdict(status, why, Reason.TIMEOUT, is_ending=True)
            await asyncio.sleep(self.poll_seconds)

    async def _decide(self, refresh: dict[str, Any], last: str) -> _Verdict | None:
        """Return the verdict on the refresh's status; none to wait on."""
        status = refresh["Status"]
        if status in SUCCESS_STATES:
            return _Verdict(status, last)
        if status in BACKWARD_STATES or status in REASON_OF_STATE:
            return await self._decide_failure(refresh, last)
        if self.cause:
            # AWS has not taken the request yet. Asking twice does no harm.
            await self._request_end(status, self.because)
            return None
        if status not in ACTIVE_STATES:
            self.log_progress(f"instance refresh {self.refresh_id}: unknown status {status}, waiting on")
        answered, unhealthy = await self.poll(self._find_unhealthy(refresh))
        return await self._end(status, Reason.UNHEALTHY, unhealthy) if answered and unhealthy else None

    async def _decide_failure(self, refresh: dict[str, Any], last: str) -> _Verdict | None:
        """Return why a refresh is being rolled back or cancelled, or has failed; none to wait for its end."""
        status = refresh["Status"]
        other = await self._superseded_by(at_once=True)
        if other:
            return _Verdict(status, other, Reason.SUPERSEDED)
        is_over = status in REASON_OF_STATE
        if self.cause:
            return self._final(status, last, self.cause) if is_over else None
        # Alarms are read as soon as AWS begins to roll back: when it has ended, they may be OK again.
        alarms = await self._alarms(refresh)
        reason = REASON_OF_STATE.get(status, Reason.CANCELLED if status == "Cancelling" else Reason.ROLLED_BACK)
        return _Verdict(status, last + alarms, Reason.ALARM if alarms else reason, is_ending=not is_over)

    def _final(self, status: str, message: str, reason: Reason) -> _Verdict:
        """Return the verdict on a refresh that is over, or given up; what made us end it is the reason."""
        if self.cause is None:
            return _Verdict(status, message, reason)
        return _Verdict(status, f"{self.because}; {message}", self.cause)

    async def _end(self, status: str, reason: Reason, why: str) -> _Verdict | None:
        """Ask AWS to roll back or cancel the refresh; none if it has ended, or the request must be repeated."""
        requested = await self._request_end(status, why)
        if requested is None:
            return _Verdict(status, f"{why}; it goes on, because AWS refuses to end it", reason)
        return _Verdict(status, f"{why}; requested {requested}", reason, is_ending=True) if requested else None

    async def _request_end(self, status: str, why: str) -> str | None:
        """Return what was requested of AWS; empty if it did not take the request, none if it refuses."""
        try:
            call = end_refresh(self._autoscaling, self.auto_scaling_group_name, roll_back=self.roll_back)
            answered, requested = await self.poll(call)
        except Exception:
            self.log.exception("AWS refuses to end instance refresh %s, which is %s", self.refresh_id, status)
            return None
        if answered and requested:
            self.log.warning("instance refresh %s is %s: %s: requested %s", self.refresh_id, status, why, requested)
        return requested if answered else ""

    async def _find_unhealthy(self, refresh: dict[str, Any]) -> str:
        """Return which new instances have been unhealthy for too long, and why; empty if none has."""
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
        if not names or refresh["Status"] not in _ALARM_STATES:
            return ""
        try:
            _, found = await self.poll(alarms_that_went_off(self._cloudwatch, names))
        except Exception as error:  # noqa: BLE001  # must not hide that the refresh failed
            self.log.warning("the state of the alarms is unknown: %s", error)
            return ""
        return "".join(f"; {alarm}" for alarm in found or [])

    async def _superseded_by(self, *, at_once: bool = False) -> str:
        """Return which run has acquired the lease from this one; empty if none has, or if the last check is recent."""
        if not self.service or (time.monotonic() - self._lease_checked_at < LEASE_CHECK_SECONDS and not at_once):
            return ""
        self._lease_checked_at = time.monotonic()
        answered, other = await self.poll(lease.held_by_another(self._s3, self.bucket, self.service, self.holder))
        return str(lease.superseded(other)) if answered and other else ""

    async def _describe(self) -> dict[str, Any] | None:
        try:
            return await describe_refresh(self._autoscaling, self.auto_scaling_group_name, self.refresh_id)
        except Exception as error:
            # AWS models no error for a group that does not exist: it is a ValidationError that says "not found".
            if error_code(error) == "ValidationError" and "not found" in str(error):
                return None
            raise
