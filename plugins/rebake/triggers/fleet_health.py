"""Waiting for a fleet to be healthy, and what that shares with waiting for its instance refresh."""

import abc
import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from airflow.triggers.base import TriggerEvent

from rebake.aws_errors import is_transient
from rebake.hooks.autoscaling import AutoScalingHook, TargetHealthHook, describe_group, describe_target_health
from rebake.rollout.refresh import FleetHealth, Reason
from rebake.triggers.base import DeadlineTrigger

PROGRESS_LINES: Final = 200
"""How many of the last lines that a trigger logged go with its event: Airflow keeps that in its database."""
_COUNTDOWN: Final = re.compile(r"\d+ seconds? left")
_Result = TypeVar("_Result")


class FleetTrigger(DeadlineTrigger, abc.ABC):
    """What both triggers share: describing the fleet, polling through transient errors, the shape of the event.

    The event is `{"ok": bool, "reason": code or "", "status": str, "message": str, "fleet": {...}, "progress":
    [lines with their time]}`, and what each trigger adds.
    """

    def __init__(self, *, auto_scaling_group_name: str, fields: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(fields={"auto_scaling_group_name": auto_scaling_group_name, **fields}, **kwargs)
        self.auto_scaling_group_name = auto_scaling_group_name
        self._last_logged = ""
        self._progress: deque[str] = deque(maxlen=PROGRESS_LINES)

    def log_progress(self, line: str) -> None:
        """Log `line` if it differs from the last one, so that an hour of waiting does not fill the log.

        AWS's reason counts down the seconds of a bake time; that alone is no difference.
        """
        without_countdown = _COUNTDOWN.sub("", line)
        if without_countdown != self._last_logged:
            self.log.info("%s", line)
            self._last_logged = without_countdown
            self._progress.append(f"{datetime.now(UTC):%H:%M:%S} {line}")

    async def poll(self, call: Awaitable[_Result]) -> tuple[bool, _Result | None]:
        """Return whether AWS answered, and the answer. Log a transient error, so that the next poll asks again."""
        try:
            return True, await call
        except Exception as error:
            if not is_transient(error):
                raise
            self.log_progress(f"AWS did not answer; trying again: {error}")
            return False, None

    async def describe_fleet(self, autoscaling: Any, elbv2: Any) -> FleetHealth | None:
        """Return the fleet; none if the group does not exist."""
        group = await describe_group(autoscaling, self.auto_scaling_group_name)
        if group is None:
            return None
        return FleetHealth.of(group, await describe_target_health(elbv2, group.get("TargetGroupARNs", [])))

    def event(
        self, fleet: FleetHealth | None, message: str, *, reason: Reason | None = None, status: str, **more: Any
    ) -> TriggerEvent:
        """Return the one event; without a reason it means success."""
        return TriggerEvent(
            {
                "ok": reason is None,
                "reason": reason.value if reason else "",
                "status": status,
                "message": message,
                "fleet": asdict(fleet or FleetHealth()),
                "progress": list(self._progress),
                **more,
            }
        )


class FleetHealthTrigger(FleetTrigger):
    """Waits until every instance of the group is in service, healthy at the load balancer and on the right version.

    Args:
        auto_scaling_group_name: the group.
        launch_template_version: what instances must run; empty for any.
        status: the refresh's final status, which the event carries on.
    """

    def __init__(
        self, *, auto_scaling_group_name: str, launch_template_version: str, status: str, **kwargs: Any
    ) -> None:
        super().__init__(
            auto_scaling_group_name=auto_scaling_group_name,
            fields={"launch_template_version": launch_template_version, "status": status},
            **kwargs,
        )
        self.launch_template_version = launch_template_version
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

    async def _wait(self, autoscaling: Any, elbv2: Any) -> tuple[FleetHealth | None, list[str]]:
        fleet, problems = None, ["AWS has not answered"]
        while True:
            answered, described = await self.poll(self.describe_fleet(autoscaling, elbv2))
            if answered:
                fleet = described
                problems = fleet.problems(self.launch_template_version) if fleet else ["the group does not exist"]
                self.log_progress(f"fleet {self.auto_scaling_group_name}: {'; '.join(problems) or 'healthy'}")
            if not problems or self.is_over:
                return fleet, problems
            await asyncio.sleep(self.poll_seconds)
