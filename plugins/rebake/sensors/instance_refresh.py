"""The stage `wait_for_refresh`: hold nothing, and fail on every end that is not a healthy fleet."""

from collections.abc import Sequence
from typing import Any, Final

from airflow.providers.amazon.aws.sensors.base_aws import AwsBaseSensor
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context

from rebake.hooks.autoscaling import AutoScalingHook
from rebake.stages.waiting import RolloutWait

NOT_NEEDED: Final = "NotNeeded"
"""The final status of a rollout that needed no refresh."""


class InstanceRefreshSensor(RolloutWait, AwsBaseSensor[AutoScalingHook]):
    """Wait until the refresh is `Successful` and the fleet healthy; return the final status.

    Always deferred: it holds no worker slot. The service's `rollout.timeout` bounds the refresh, its
    `unhealthy_deadline` each new instance in it and the fleet's health at the end. A refresh that breaks one of
    them is rolled back by AWS at our request, and its end is waited for before the task fails. Without a refresh,
    as after the first deployment, only the fleet's health is waited for.

    On failure the XCom `failure` holds `reason`, a `rebake.rollout.refresh.Reason`, and `message`.

    Args:
        service: name of the service (templated).
        auto_scaling_group_name: the group (templated).
        refresh_id: the refresh; empty if nothing had to be refreshed (templated).
        launch_template_version: version that every instance must run at the end; empty for any (templated).
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
        wait = {
            "refresh_id": self.refresh_id,
            "launch_template_version": self.launch_template_version,
            "status": NOT_NEEDED,
        }
        if self.refresh_id:
            self.wait_for_refresh(context, wait)
        self.log.info("no refresh was needed; waiting until %s is healthy", self.auto_scaling_group_name)
        self.wait_for_health(wait)
