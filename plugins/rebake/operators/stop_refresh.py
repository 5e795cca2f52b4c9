"""The stage `stop_refresh` of a rollback: acquire the lease, and end a refresh to another image."""

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context

from rebake.exceptions import RolloutFailedError
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.instance import InstanceHook
from rebake.release.lease import RunKind
from rebake.rollout.refresh import BACKWARD_STATES, FORWARD_STATES, Reason, Version, active_refresh, wanted_version
from rebake.stages.acquisition import LeaseAcquisition
from rebake.stages.waiting import RolloutWait


class StopRefreshOperator(RolloutWait, AwsBaseOperator[AutoScalingHook]):
    """Acquire the service's lease from whoever deploys, and end a refresh to another image; return the refresh's id.

    Where AWS's own rollback of the refresh leads to the image, it asks for that, which keeps the instances that still
    run it. Otherwise it cancels the refresh, and the next stages replace the other instances. It leaves a refresh that
    already goes to the image, as after a retry, to them. Waits deferred for the end; returns an empty id when there was
    nothing to stop.

    Args:
        service: name of the service (templated).
        auto_scaling_group_name: the group (templated).
        ami_id: the image to return to (templated).
    """

    aws_hook_class = AutoScalingHook
    template_fields: Sequence[str] = aws_template_fields("service", "auto_scaling_group_name", "ami_id")

    def __init__(self, *, service: str, auto_scaling_group_name: str, ami_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.auto_scaling_group_name = auto_scaling_group_name
        self.ami_id = ami_id

    def execute(self, context: Context) -> Any:
        """Return the id of the refresh that was ended; empty if there was none; or defer until it has ended.

        Raises:
            AirflowSkipException: a run that was requested later held the lease: this one is superseded.
        """
        LeaseAcquisition(self, self.service, RunKind.ROLLBACK).acquire(context)
        active = active_refresh(self.hook.refreshes(self.auto_scaling_group_name))
        if active is None:
            self.log.info("no instance refresh of %s is active", self.auto_scaling_group_name)
            return ""
        refresh_id, status = active["InstanceRefreshId"], active["Status"]
        goal = self._image_of(wanted_version(active))
        if goal == self.ami_id and status in FORWARD_STATES:
            self.log.info("instance refresh %s already goes to %s: it goes on", refresh_id, self.ami_id)
            return ""
        origin = self._image_of(self._saved(self.hook.group(self.auto_scaling_group_name)))
        leads_back = origin == self.ami_id
        self.log.info(
            "instance refresh %s to %s is %s; before it the fleet ran %s: %s",
            refresh_id,
            goal or "an unknown image",
            status,
            origin or "an unknown image",
            "waiting for its end"
            if status in BACKWARD_STATES
            else f"asking AWS to {'roll it back' if leads_back else 'cancel it'}",
        )
        return self.wait_for_refresh(
            context,
            {"refresh_id": refresh_id, "launch_template_version": "", "status": ""},
            cause=Reason.SUPERSEDED,
            because="a rollback by hand",
            roll_back=leads_back,
            method_name="refresh_ended",
        )

    def lease_ended(self, context: Context, event: dict[str, Any]) -> Any:
        """Try again, now that the lease of the other run has ended."""
        return self.execute(context)

    def refresh_ended(self, context: Context, event: dict[str, Any], wait: Mapping[str, str]) -> str:
        """Return the id of the refresh, now that it has ended.

        Raises:
            RolloutFailedError: it has not, within the service's `rollout.timeout`.
        """
        self.log_progress(event)
        refresh_id = wait["refresh_id"]
        active = active_refresh(self.hook.refreshes(self.auto_scaling_group_name))
        if active is not None and active["InstanceRefreshId"] == refresh_id:
            raise RolloutFailedError(
                f"instance refresh {refresh_id} of {self.auto_scaling_group_name} does not end: it is "
                f"{active['Status']} ({event['message']}); see what it waits for, then clear this task"
            )
        self.log.info("instance refresh %s has ended: %s", refresh_id, event["message"])
        return refresh_id

    @staticmethod
    def _saved(group: Mapping[str, Any]) -> Version | None:
        """Return the numbered version that the group points at: AWS's rollback returns to it."""
        template = group.get("LaunchTemplate") or {}
        number = str(template.get("Version", ""))
        return Version(template["LaunchTemplateId"], number) if number.isdecimal() else None

    def _image_of(self, version: Version | None) -> str:
        if version is None:
            return ""
        hook = InstanceHook(**self.connection)
        return hook.template_image(version.launch_template_id, version.number)
