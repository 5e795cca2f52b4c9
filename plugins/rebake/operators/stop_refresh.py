"""The stage `stop_refresh` of a rollback: acquire the lease, and let no refresh go on to another image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rebake.exceptions import RolloutFailedError
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.instance import InstanceHook
from rebake.operators.acquire_lease import AcquireLeaseOperator
from rebake.release.lease import RunKind
from rebake.rollout.refresh import BACKWARD_STATES, FORWARD_STATES, Reason, Version, active_refresh, wanted_version
from rebake.stages.waiting import RolloutWait

if TYPE_CHECKING:
    from airflow.sdk import Context


class StopRefreshOperator(RolloutWait, AcquireLeaseOperator):
    """Acquire the service's lease from whoever deploys, and end a refresh to another image; return the refresh's id.

    Where AWS's own rollback of the refresh leads to the image, it is asked for: that keeps the instances that still
    run it. Otherwise the refresh is cancelled, and the stages that follow replace what is left. A refresh that goes
    to the image already, as after a retry, is left to them. Its end is waited for, deferred; returns an empty id when
    nothing was to be stopped.

    Args:
        auto_scaling_group_name: the group (templated).
        ami_id: the image to return to (templated).
        **kwargs: those of `AcquireLeaseOperator`.
    """

    template_fields: Sequence[str] = (*AcquireLeaseOperator.template_fields, "auto_scaling_group_name", "ami_id")

    def __init__(
        self, *, auto_scaling_group_name: str, ami_id: str, kind: str = RunKind.ROLLBACK, **kwargs: Any
    ) -> None:
        super().__init__(kind=kind, **kwargs)
        self.auto_scaling_group_name = auto_scaling_group_name
        self.ami_id = ami_id

    def execute(self, context: Context) -> Any:
        """Return the id of the refresh that was ended; empty if there was none; or defer until it has ended.

        Raises:
            ConfigError: the environment's bucket does not exist.
            CloudUnreachableError: the AWS API does not answer.
            AirflowSkipException: a run that was asked for later held the lease: this one is superseded.
        """
        super().execute(context)
        hook = AutoScalingHook(**self.connection)
        active = active_refresh(hook.refreshes(self.auto_scaling_group_name))
        if active is None:
            self.log.info("no instance refresh of %s is active", self.auto_scaling_group_name)
            return ""
        refresh_id, status = active["InstanceRefreshId"], active["Status"]
        goal = self._image_of(wanted_version(active))
        if goal == self.ami_id and status in FORWARD_STATES:
            self.log.info("instance refresh %s already goes to %s: it goes on", refresh_id, self.ami_id)
            return ""
        origin = self._image_of(self._saved(hook.group(self.auto_scaling_group_name)))
        leads_back = origin == self.ami_id
        self.log.info(
            "instance refresh %s to %s is %s; before it the fleet ran %s: %s",
            refresh_id,
            goal or "an image that cannot be told",
            status,
            origin or "an image that cannot be told",
            "waiting for its end"
            if status in BACKWARD_STATES
            else f"asking AWS to {'roll it back' if leads_back else 'cancel it'}",
        )
        return self.wait_for_refresh(
            context,
            {"refresh_id": refresh_id, "template_version": "", "status": ""},
            cause=Reason.SUPERSEDED,
            because="a rollback by hand",
            roll_back=leads_back,
            method_name="refresh_ended",
        )

    def execute_complete(self, context: Context, event: dict[str, Any], wait: dict[str, str] | None = None) -> Any:
        """Try again, now that the lease that was waited for is over."""
        return self.execute(context)

    def refresh_ended(self, context: Context, event: dict[str, Any], wait: Mapping[str, str]) -> str:
        """Return the id of the refresh, now that it has ended.

        Raises:
            RolloutFailedError: it has not, within the service's `rollout.timeout`.
        """
        self.log_progress(event)
        refresh_id = wait["refresh_id"]
        hook = AutoScalingHook(**self.connection)
        active = active_refresh(hook.refreshes(self.auto_scaling_group_name))
        if active is not None and active["InstanceRefreshId"] == refresh_id:
            raise RolloutFailedError(
                f"instance refresh {refresh_id} of {self.auto_scaling_group_name} does not end: it is "
                f"{active['Status']} ({event['message']}); see what it waits for, then clear this task"
            )
        self.log.info("instance refresh %s has ended: %s", refresh_id, event["message"])
        return refresh_id

    @staticmethod
    def _saved(group: Mapping[str, Any]) -> Version | None:
        """Return the numbered version that the group points at: what AWS's rollback leads to."""
        template = group.get("LaunchTemplate") or {}
        number = str(template.get("Version", ""))
        return Version(template["LaunchTemplateId"], number) if number.isdecimal() else None

    def _image_of(self, version: Version | None) -> str:
        if version is None:
            return ""
        hook = InstanceHook(**self.connection)
        return hook.template_image(version.launch_template_id, version.number)
