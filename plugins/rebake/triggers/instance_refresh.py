"""Waiting for an instance refresh to end, and for a fleet to be healthy, without a worker slot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Final, TypeVar

from airflow.triggers.base import TriggerEvent

from rebake.faults import error_code, is_transient
from rebake.hooks.autoscaling import (
    AutoScalingHook,
    TargetHealthHook,
    describe_group,
    describe_refresh,
    describe_target_health,
)
from rebake.refresh import ACTIVE_STATES, REASON_OF_STATE, SUCCESS_STATES, Fleet, Reason, progress
from rebake.triggers.base import DeadlineTrigger

LOST_AFTER: Final = 5
"""Looks in a row that do not find it before a refresh counts as lost; the first looks may be early."""

_Result = TypeVar("_Result")


class _FleetTrigger(DeadlineTrigger):
    """What both triggers share: looking at the fleet, living through faults, and the shape of the event.

    The event is `{"ok": bool, "reason": code or "", "status": str, "message": str, "deadline": float, "fleet":
    {...}}`.
    """

    def __init__(self, *, auto_scaling_group_name: str, fields: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(fields={"auto_scaling_group_name": auto_scaling_group_name, **fields}, **kwargs)
        self.auto_scaling_group_name = auto_scaling_group_name
        self._told = ""

    def tell(self, line: str) -> None:
        """Log `line` if it is not what was logged last: a wait of an hour is not a log of an hour."""
        if line != self._told:
            self.log.info("%s", line)
            self._told = line

    async def survive(self, call: Awaitable[_Result]) -> tuple[bool, _Result | None]:
        """Return whether AWS answered, and the answer. A fault that may pass is logged; others are raised."""
        try:
            return True, await call
        except Exception as error:
            if not is_transient(error):
                raise
            self.tell(f"AWS does not answer, asking again: {error}")
            return False, None

    async def look(self, autoscaling: Any, elbv2: Any) -> Fleet | None:
        """Return the fleet; none if the group does not exist."""
        group = await describe_group(autoscaling, self.auto_scaling_group_name)
        if group is None:
            return None
        return Fleet.of(group, await describe_target_health(elbv2, group.get("TargetGroupARNs", [])))

    def event(self, fleet: Fleet | None, message: str, *, reason: Reason | None = None, status: str) -> TriggerEvent:
        """Return the one event; without a reason it means success."""
        return TriggerEvent(
            {
                "ok": reason is None,
                "reason": reason.value if reason else "",
                "status": status,
                "message": message,
                "deadline": self.deadline,
                "fleet": (fleet or Fleet()).dump(),
            }
        )


class InstanceRefreshTrigger(_FleetTrigger):
    """Waits for the end of an instance refresh and decides on its Status alone.

    A status that is not known is waited on: AWS may add one. When the refresh does not end well the event tells
    how the fleet is at that moment.

    Args:
        auto_scaling_group_name: the group.
        refresh_id: the refresh.
        **kwargs: those of `DeadlineTrigger`.
    """

    def __init__(self, *, auto_scaling_group_name: str, refresh_id: str, **kwargs: Any) -> None:
        super().__init__(auto_scaling_group_name=auto_scaling_group_name, fields={"refresh_id": refresh_id}, **kwargs)
        self.refresh_id = refresh_id

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event."""
        async with (
            await AutoScalingHook(**self.connection).get_async_conn() as autoscaling,
            await TargetHealthHook(**self.connection).get_async_conn() as elbv2,
        ):
            status, message, reason = await self._wait(autoscaling)
            fleet: Fleet | None = None
            if reason is not None:
                # How the fleet is explains the failure; not knowing it must not replace the failure.
                try:
                    fleet = await self.look(autoscaling, elbv2)
                except Exception as error:  # noqa: BLE001
                    self.log.warning("the fleet's state is not known: %s", error)
        yield self.event(fleet, message, reason=reason, status=status)

    async def _wait(self, autoscaling: Any) -> tuple[str, str, Reason | None]:
        status, last, misses = "unknown", "no word of it yet", 0
        while True:
            answered, refresh = await self.survive(self._describe(autoscaling))
            if answered and refresh is None:
                misses += 1
                if misses >= LOST_AFTER:
                    return status, f"AWS no longer knows it; the last word was: {last}", Reason.LOST
            if refresh is not None:
                misses, status, last = 0, refresh["Status"], progress(refresh)
                self.tell(f"instance refresh {self.refresh_id}: {last}")
                if status in SUCCESS_STATES:
                    return status, last, None
                if status in REASON_OF_STATE:
                    return status, last, REASON_OF_STATE[status]
                if status not in ACTIVE_STATES:
                    self.tell(f"instance refresh {self.refresh_id}: status {status} is not known here, waiting on")
            if self.is_over:
                return status, f"still not over at the deadline; the last word was: {last}", Reason.TIMEOUT
            await asyncio.sleep(self.poll_seconds)

    async def _describe(self, autoscaling: Any) -> dict[str, Any] | None:
        try:
            return await describe_refresh(autoscaling, self.auto_scaling_group_name, self.refresh_id)
        except Exception as error:
            # AWS models no error for a group that does not exist: it is a ValidationError that says "not found".
            if error_code(error) == "ValidationError" and "not found" in str(error):
                return None
            raise


class FleetHealthTrigger(_FleetTrigger):
    """Waits until every instance of the group is in service, healthy at the load balancer and on the right version.

    Args:
        auto_scaling_group_name: the group.
        template_version: launch template version that instances must run; empty for any.
        status: the refresh's final status, handed on in the event.
        **kwargs: those of `DeadlineTrigger`.
    """

    def __init__(self, *, auto_scaling_group_name: str, template_version: str, status: str, **kwargs: Any) -> None:
        super().__init__(
            auto_scaling_group_name=auto_scaling_group_name,
            fields={"template_version": template_version, "status": status},
            **kwargs,
        )
        self.template_version = template_version
        self.status = status

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event."""
        async with (
            await AutoScalingHook(**self.connection).get_async_conn() as autoscaling,
            await TargetHealthHook(**self.connection).get_async_conn() as elbv2,
        ):
            fleet, problems = await self._wait(autoscaling, elbv2)
        if fleet is None:
            message = f"group {self.auto_scaling_group_name} does not exist, or AWS did not answer"
            yield self.event(fleet, message, reason=Reason.LOST, status=self.status)
        elif problems:
            yield self.event(fleet, "; ".join(problems), reason=Reason.UNHEALTHY, status=self.status)
        else:
            yield self.event(fleet, f"{fleet.desired} instances are healthy", status=self.status)

    async def _wait(self, autoscaling: Any, elbv2: Any) -> tuple[Fleet | None, list[str]]:
        fleet, problems = None, ["AWS has not answered"]
        while True:
            answered, seen = await self.survive(self.look(autoscaling, elbv2))
            if answered:
                fleet = seen
                problems = fleet.problems(self.template_version) if fleet else ["the group does not exist"]
                self.tell(f"fleet {self.auto_scaling_group_name}: {'; '.join(problems) or 'healthy'}")
            if not problems or self.is_over:
                return fleet, problems
            await asyncio.sleep(self.poll_seconds)
