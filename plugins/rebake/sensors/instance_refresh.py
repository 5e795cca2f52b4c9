"""The stage `wait_for_refresh`: hold nothing, and fail on every end that is not a healthy fleet."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.amazon.aws.sensors.base_aws import AwsBaseSensor
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields

from rebake import config
from rebake.connection import EnvironmentConnection
from rebake.exceptions import RolloutFailedError
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.refresh import Fleet
from rebake.triggers.instance_refresh import FleetHealthTrigger, InstanceRefreshTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

NOT_NEEDED: Final = "NotNeeded"
"""The final status of a rollout that needed no refresh."""
_GRACE: Final = 120
"""Seconds after the trigger's own deadline at which Airflow ends the deferral, should the trigger not."""


class InstanceRefreshSensor(EnvironmentConnection, AwsBaseSensor[AutoScalingHook]):
    """Wait until the refresh is `Successful` and the fleet healthy; return the final status.

    Always deferred: it holds no worker slot. The service's `rollout.timeout` bounds both waits together. Without
    a refresh, as after the first deployment, only the fleet's health is waited for.

    Args:
        service: name of the service (templated).
        auto_scaling_group_name: the group (templated).
        refresh_id: the refresh; empty if nothing had to be refreshed (templated).
        launch_template_version: version that every instance must run at the end; empty for any (templated).
        **kwargs: those of `AwsBaseSensor`.
    """

    aws_hook_class = AutoScalingHook
    template_fields: Sequence[str] = aws_template_fields(
        "service", "auto_scaling_group_name", "refresh_id", "launch_template_version"
    )

    def __init__(
        self,
        *,
        service: str,
        auto_scaling_group_name: str,
        refresh_id: str,
        launch_template_version: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.auto_scaling_group_name = auto_scaling_group_name
        self.refresh_id = refresh_id
        self.launch_template_version = launch_template_version

    def execute(self, context: Context) -> None:
        """Defer to the refresh, or to the fleet's health when there is none."""
        deadline = time.time() + config.load_service(self.service, self.environment).rollout.timeout
        if not self.refresh_id:
            self.log.info("no refresh was needed; waiting until %s is healthy", self.auto_scaling_group_name)
            self._wait_for_health(deadline, NOT_NEEDED)
            return
        self.defer(
            trigger=InstanceRefreshTrigger(
                auto_scaling_group_name=self.auto_scaling_group_name,
                refresh_id=self.refresh_id,
                deadline=deadline,
                poll_seconds=self.environment.poll_seconds,
                **self.connection,
            ),
            method_name="refresh_complete",
            timeout=_until(deadline),
        )

    def refresh_complete(self, context: Context, event: dict[str, Any]) -> None:
        """Go on to the fleet's health.

        AWS counts an instance by its own checks and the warm-up; that requests reach it, the load balancer knows.

        Raises:
            RolloutFailedError: the refresh ended in anything but success, or not in time.
        """
        if not event["ok"]:
            raise RolloutFailedError(self._explain(event))
        self.log.info("instance refresh %s: %s", self.refresh_id, event["message"])
        self._wait_for_health(event["deadline"], event["status"])

    def _wait_for_health(self, deadline: float, status: str) -> None:
        self.defer(
            trigger=FleetHealthTrigger(
                auto_scaling_group_name=self.auto_scaling_group_name,
                template_version=self.launch_template_version,
                status=status,
                deadline=deadline,
                poll_seconds=self.environment.poll_seconds,
                **self.connection,
            ),
            method_name="execute_complete",
            timeout=_until(deadline),
        )

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Return the final status.

        Raises:
            RolloutFailedError: the fleet did not become healthy in time.
        """
        if not event["ok"]:
            raise RolloutFailedError(self._explain(event))
        self.log.info("%s", event["message"])
        status: str = event["status"]
        return status

    def _explain(self, event: dict[str, Any]) -> str:
        what = f"instance refresh {self.refresh_id}" if self.refresh_id else "no refresh was needed"
        problems = Fleet(**event["fleet"]).problems(self.launch_template_version)
        return (
            f"rollout of {self.service} to {self.auto_scaling_group_name}: {event['reason']}: "
            f"{what}: {event['message']}. The fleet: {'; '.join(problems) or 'nothing is wrong, or nothing is known'}"
        )


def _until(deadline: float) -> timedelta:
    return timedelta(seconds=max(deadline - time.time(), 0) + _GRACE)
