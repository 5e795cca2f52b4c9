"""The stage `roll_back` of a failed deployment: return to the image before, where AWS has not done so."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from rebake import config, tags
from rebake.exceptions import RolloutFailedError
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.image import ImageHook
from rebake.hooks.instance import InstanceHook
from rebake.hooks.network import NetworkHook
from rebake.hooks.registry import RegistryHook
from rebake.hooks.revocation import RevocationHook
from rebake.image.channels import CURRENT, service_name
from rebake.rollout.refresh import Reason, Version, active_refresh, wanted_version
from rebake.stages.fleet import FleetTerraform
from rebake.stages.guards import LeaseGuard
from rebake.stages.tooling import reachable
from rebake.stages.waiting import STILL_THERE, RolloutWait


class RollBackOperator(RolloutWait, AwsBaseOperator[NetworkHook]):
    """Bring the fleet back to the service's current release after a failed rollout; return the final status.

    A failed run never moves `current`, so that channel names the image to return to. AWS returns to it by itself while
    the refresh is active. Where AWS could not, because the refresh had ended or was cancelled, the fleet is mixed or
    unhealthy: then this stage applies that image and rolls it out like any other.

    It first ends a refresh that still goes to the failed image. A fleet that then runs the image before needs nothing;
    otherwise Terraform makes a launch template version with that image, and a refresh goes to it. Skipped if nothing
    was rolled out, if the service has no release yet, if the failed image is the current one, or if the service's
    file says `auto_rollback: false`.

    Rolls back even to a revoked image, and logs an error: that image serves, and a mixed fleet may not. AWS's own
    rollback does not check revocations either. Whoever revoked the image has to release another one.

    Args:
        service: name of the service (templated).
        ami_id: the failed image (templated).
        auto_scaling_group_name: the group; empty if none was provisioned (templated).
    """

    aws_hook_class = NetworkHook
    template_fields: Sequence[str] = aws_template_fields("service", "ami_id", "auto_scaling_group_name")

    def __init__(self, *, service: str, ami_id: str, auto_scaling_group_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.ami_id = ami_id
        self.auto_scaling_group_name = auto_scaling_group_name

    lease = cached_property(lambda self: LeaseGuard(self.service, self.environment))
    fleet = cached_property(FleetTerraform)

    def on_kill(self) -> None:
        """Stop Terraform."""
        self.fleet.stop()

    def execute(self, context: Context) -> str:
        """Return the final status; or defer until the fleet is healthy.

        Raises:
            AirflowSkipException: there is nothing to roll back, or another run has acquired the service's lease.
            RolloutFailedError: a refresh to something else is active.
            ToolFailedError: Terraform failed.
        """
        if not self.auto_scaling_group_name:
            raise AirflowSkipException("nothing was provisioned, so nothing was rolled out: nothing to roll back")
        with reachable(self.hook):
            self.lease.check(context)
            target = self._target()
        active = active_refresh(self._autoscaling.refreshes(self.auto_scaling_group_name))
        goes_to = self._goes_to(active) if active else ""
        if active and goes_to not in {self.ami_id, target}:
            raise RolloutFailedError(
                f"instance refresh {active['InstanceRefreshId']} of {self.auto_scaling_group_name} to "
                f"{goes_to or 'an unknown image'} is {active['Status']}: it is not this run's, so "
                f"nothing is rolled back to {target}. Wait for its end, inspect the fleet, clear this task if need be"
            )
        if active and goes_to == self.ami_id:
            refresh_id = active["InstanceRefreshId"]
            self.log.warning("instance refresh %s to %s is %s: ending it", refresh_id, self.ami_id, active["Status"])
            self.wait_for_refresh(
                context,
                {"refresh_id": refresh_id, "launch_template_version": "", "status": ""},
                cause=Reason.FAILED,
                because="the deployment failed",
                method_name="refresh_ended",
            )
        return self._return_to(context, target)

    def refresh_ended(self, context: Context, event: dict[str, Any], wait: Mapping[str, str]) -> str:
        """Go on when the refresh to the failed image has ended, however it ended; see `execute`."""
        self.log_progress(event)
        self.log.info("instance refresh %s: %s", wait["refresh_id"], event["message"])
        self.lease.check(context)
        return self._return_to(context, self._target())

    def _target(self) -> str:
        """Return the image to return to."""
        if not config.load_service(self.service, self.environment).rollout.auto_rollback:
            raise AirflowSkipException(
                f"config/services/{self.service}.yaml says auto_rollback: false: the fleet stays as it is; "
                f"inspect it, then deploy or roll back by hand"
            )
        registry = RegistryHook(**self.connection)
        current = registry.read(service_name(self.service), CURRENT)
        if current is None:
            raise AirflowSkipException(f"{self.service} has no release before this one: nothing to return to")
        if current.ami_id == self.ami_id:
            raise AirflowSkipException(
                f"{self.ami_id} is the image of {self.service}'s current release: there is no other to return to"
            )
        return current.ami_id

    def _return_to(self, context: Context, ami_id: str) -> str:
        """Roll the image out, unless the fleet already runs it."""
        self._warn_if_revoked(ami_id)
        rollout = self.rollout(context, self._autoscaling, ami_id, Version("", ""), by_image=True)
        if rollout.runs_the_image(self._autoscaling.group(self.auto_scaling_group_name)):
            self.log.info("every instance runs %s already, as after a rollback by AWS: nothing is left to do", ami_id)
            self.wait_for_health({"refresh_id": "", "launch_template_version": "", "status": STILL_THERE})
        version = ImageHook(**self.connection).available(ami_id, "the image to return to").tags.get(tags.VERSION, "")
        self.log.warning(
            "AWS has not rolled back, or could not: applying %s (version %s) again and rolling it out", ami_id, version
        )
        applied = self.fleet.apply(context, self.service, ami_id=ami_id, version=version)
        wanted = Version(applied.launch_template_id, applied.launch_template_version)
        self.lease.check(context)
        self.return_to(context, self._autoscaling, ami_id, wanted)

    def _warn_if_revoked(self, ami_id: str) -> None:
        mark = RevocationHook(**self.connection).mark_of(ami_id)
        if mark is not None:
            self.log.error(
                "%s runs %s, which %s. A deployment that failed leaves nothing better: release another one now",
                self.service,
                ami_id,
                mark.message_for(ami_id),
            )

    @property
    def _autoscaling(self) -> AutoScalingHook:
        return AutoScalingHook(**self.connection)

    def _goes_to(self, refresh: Mapping[str, Any]) -> str:
        """Return the image that a refresh goes to; empty if it names none."""
        wanted = wanted_version(refresh)
        if wanted is None:
            return ""
        hook = InstanceHook(**self.connection)
        return hook.template_image(wanted.launch_template_id, wanted.number)
