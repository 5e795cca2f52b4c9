"""The stage `roll_back` of a deployment that failed: the image before, where AWS has not returned to it by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
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
from rebake.operators.terraform_apply import RETURNED, FleetStage
from rebake.rollout.refresh import Reason, Version, active_refresh, wanted_version
from rebake.stages.rollout import Rollout
from rebake.stages.tooling import reachable
from rebake.stages.waiting import RolloutWait

if TYPE_CHECKING:
    from airflow.sdk import Context

STILL_THERE: Final = "StillThere"
"""The status where AWS had returned to the image before; no refresh of ours had an end."""


class RollBackOperator(RolloutWait, FleetStage, AwsBaseOperator[NetworkHook]):
    """Bring the fleet back to the service's current release after a rollout that failed; return the final status.

    A run that failed never moves `current`, so that channel names the image to return to. AWS returns to it by
    itself while the refresh is active. Where it could not, because the refresh had ended or was cancelled, or
    could not end, the fleet is mixed or unhealthy: then the image before is applied and rolled out like any other.

    In this order: a refresh that still goes to the image that failed is ended; a fleet that runs the image before
    needs nothing; else Terraform makes a template version with it and a refresh goes there. Skipped where there is
    nothing to do it for: nothing was rolled out, the service has no release yet, the image that failed is the
    current one, or the service's file says `auto_rollback: false`.

    An image before that was revoked is returned to all the same, and loudly: it serves, and the fleet that is left
    otherwise may not. AWS's own rollback asks nobody either. Whoever revoked it has to release something else.

    Args:
        service: name of the service (templated).
        ami_id: the image that failed (templated).
        auto_scaling_group_name: the group; empty if none was provisioned (templated).
        **kwargs: those of `AwsBaseOperator`.
    """

    aws_hook_class = NetworkHook
    template_fields: Sequence[str] = aws_template_fields("service", "ami_id", "auto_scaling_group_name")

    def __init__(self, *, service: str, ami_id: str, auto_scaling_group_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.ami_id = ami_id
        self.auto_scaling_group_name = auto_scaling_group_name

    def execute(self, context: Context) -> str:
        """Return the final status; by deferring, where there is something to wait for.

        Raises:
            AirflowSkipException: there is nothing to roll back, or another run has acquired the service's lease.
            RolloutFailedError: a refresh to something else is active.
            ToolFailedError: Terraform failed.
            CloudUnreachableError: the AWS API does not answer.
        """
        if not self.auto_scaling_group_name:
            raise AirflowSkipException("nothing was provisioned, so nothing was rolled out: nothing to roll back")
        with reachable(self.hook):
            self.check_lease(self.service, context)
            target = self._target()
        active = active_refresh(self._autoscaling.refreshes(self.auto_scaling_group_name))
        goes_to = self._goes_to(active) if active else ""
        if active and goes_to not in {self.ami_id, target}:
            raise RolloutFailedError(
                f"instance refresh {active['InstanceRefreshId']} of {self.auto_scaling_group_name} to "
                f"{goes_to or 'an image that is not named'} is {active['Status']}: it is none of this run's, so "
                f"nothing is rolled back to {target}. Wait for its end, look at the fleet, clear this task if need be"
            )
        if active and goes_to == self.ami_id:
            refresh_id = active["InstanceRefreshId"]
            self.log.warning("instance refresh %s to %s is %s: ending it", refresh_id, self.ami_id, active["Status"])
            self.wait_for_refresh(
                context,
                {"refresh_id": refresh_id, "template_version": "", "status": ""},
                cause=Reason.FAILED,
                because="the deployment failed",
                method_name="refresh_ended",
            )
        return self._return_to(context, target)

    def refresh_ended(self, context: Context, event: dict[str, Any], wait: Mapping[str, str]) -> str:
        """Go on when the refresh to the image that failed has ended, whichever way.

        Raises:
            AirflowSkipException: another run has acquired the service's lease.
            RolloutFailedError: it has not ended.
        """
        self.log_progress(event)
        self.log.info("instance refresh %s: %s", wait["refresh_id"], event["message"])
        self.check_lease(self.service, context)
        return self._return_to(context, self._target())

    def _target(self) -> str:
        """Return the image to return to."""
        if not config.load_service(self.service, self.environment).rollout.auto_rollback:
            raise AirflowSkipException(
                f"config/services/{self.service}.yaml says auto_rollback: false: the fleet stays as it is; "
                f"look at it, then deploy or roll back by hand"
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
        """Roll the image out, unless the fleet runs it."""
        self._warn_if_revoked(ami_id)
        if self._rollout(context, ami_id, Version("", "")).runs_the_image(self._group()):
            self.log.info("every instance runs %s already, as after a rollback by AWS: nothing is left to do", ami_id)
            self.wait_for_health({"refresh_id": "", "template_version": "", "status": STILL_THERE})
        version = ImageHook(**self.connection).available(ami_id, "the image to return to").tags.get(tags.VERSION, "")
        self.log.warning(
            "AWS has not rolled back, or could not: applying %s (version %s) again and rolling it out", ami_id, version
        )
        outputs = self.apply_fleet(context, self.service, ami_id=ami_id, version=version)
        wanted = Version(str(outputs["launch_template_id"]), str(outputs[RETURNED]))
        self.check_lease(self.service, context)
        begun = self._rollout(context, ami_id, wanted).begin()
        wait = {"refresh_id": begun.refresh_id, "template_version": begun.version, "status": STILL_THERE}
        if not begun.refresh_id:
            self.wait_for_health(wait)
        self.wait_for_refresh(context, wait)

    def _warn_if_revoked(self, ami_id: str) -> None:
        mark = RevocationHook(**self.connection).mark_of(ami_id)
        if mark is not None:
            self.log.error(
                "%s runs %s, which %s. A deployment that failed leaves nothing better: release another one now",
                self.service,
                ami_id,
                mark.message_for(ami_id),
            )

    def _rollout(self, context: Context, ami_id: str, wanted: Version) -> Rollout:
        return Rollout(
            autoscaling=self._autoscaling,
            instances=InstanceHook(**self.connection),
            service=config.load_service(self.service, self.environment),
            group_name=self.auto_scaling_group_name,
            wanted=wanted,
            ami_id=ami_id,
            by_image=True,
            asked=context["dag_run"].run_after,
            log=self.log,
        )

    @property
    def _autoscaling(self) -> AutoScalingHook:
        return AutoScalingHook(**self.connection)

    def _group(self) -> dict[str, Any]:
        return self._autoscaling.group(self.auto_scaling_group_name)

    def _goes_to(self, refresh: Mapping[str, Any]) -> str:
        """Return the image that a refresh goes to; empty if that cannot be told."""
        wanted = wanted_version(refresh)
        if wanted is None:
            return ""
        hook = InstanceHook(**self.connection)
        return hook.template_image(wanted.launch_template_id, wanted.number)
