"""The stage `start_refresh`: start the instance refresh to a launch template version, unless one goes or went there."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from rebake.exceptions import RolloutFailedError
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.rollout.refresh import Reason, Version, active_refresh
from rebake.stages.guards import LeaseGuard, RevocationGuard
from rebake.stages.rendered import as_bool
from rebake.stages.tooling import reachable
from rebake.stages.waiting import RolloutWait


class StartRefreshOperator(RolloutWait, AwsBaseOperator[AutoScalingHook]):
    """Start the instance refresh to a numbered launch template version, if one is needed; return a `RefreshResult`.

    A refresh that is being cancelled or rolled back, as by the run that held the lease before, blocks every other: the
    stage waits for its end, deferred.

    Then it adopts an active refresh to that version; or does nothing for a fleet that runs it already (as when
    Terraform has just created the group with it); or starts a refresh.

    Args:
        service: name of the service (templated).
        auto_scaling_group_name: the group (templated).
        launch_template_id: the template (templated).
        launch_template_version: its version, a number (templated).
        ami_id: the image that this version must hold (templated).
        by_image: whether to keep instances that run the image with another launch template version, as a
            rollback does (templated).
    """

    aws_hook_class = AutoScalingHook
    template_fields: Sequence[str] = aws_template_fields(
        "service", "auto_scaling_group_name", "launch_template_id", "launch_template_version", "ami_id", "by_image"
    )

    def __init__(
        self,
        *,
        service: str,
        auto_scaling_group_name: str,
        launch_template_id: str,
        launch_template_version: str,
        ami_id: str,
        by_image: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.auto_scaling_group_name = auto_scaling_group_name
        self.launch_template_id = launch_template_id
        self.launch_template_version = launch_template_version
        self.ami_id = ami_id
        self.by_image = by_image

    lease = cached_property(lambda self: LeaseGuard(self.service, self.environment))
    revocations = cached_property(RevocationGuard)

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the refresh to wait for, a `RefreshResult`; or defer until a blocking one has ended.

        Raises:
            RevokedError: the image was revoked, perhaps since it was promoted.
            RolloutFailedError: the version does not hold the image, or a refresh to something else is active.
            AirflowSkipException: another run has acquired the service's lease; a refresh that was started is cancelled.
        """
        try:
            return self._start(context)
        except RolloutFailedError as error:
            if not error.ending:
                raise
            self.log.info("waiting for the end of instance refresh %s: %s", error.ending, error)
            wait = {"refresh_id": error.ending, "launch_template_version": "", "status": ""}
            because = "it was ending before this run could start its own"
            self.wait_for_refresh(context, wait, cause=Reason.CANCELLED, because=because, method_name="refresh_ended")

    def refresh_ended(self, context: Context, event: dict[str, Any], wait: Mapping[str, str]) -> dict[str, Any]:
        """Try again, now that the blocking refresh has ended; fail if another one blocks; see `execute`."""
        self.log_progress(event)
        self.log.info("instance refresh %s: %s", wait["refresh_id"], event["message"])
        return self._start(context)

    def _start(self, context: Context) -> dict[str, Any]:
        with reachable(self.hook):
            self.lease.check(context)
            self.revocations.refuse(self.ami_id, f"rolling out {self.service}", service=self.service)
            wanted = Version(self.launch_template_id, str(self.launch_template_version))
            begun = self.rollout(
                context, self.hook, self.ami_id, wanted, by_image=as_bool(self.by_image, "by_image")
            ).begin()
            self._check_again(context, begun.refresh_id)
        return begun.model_dump(mode="json")

    def _check_again(self, context: Context, refresh_id: str) -> None:
        """Cancel the refresh if a rollback acquired the lease while it was started.

        The rollback acquires the lease and then searches for a refresh; this starts one and then checks the lease. So
        one of the two sees the other, whichever was faster.
        """
        if not refresh_id:
            return
        try:
            self.lease.check(context)
        except AirflowSkipException:
            active = active_refresh(self.hook.refreshes(self.auto_scaling_group_name))
            if active is not None and active["InstanceRefreshId"] == refresh_id:
                self.log.warning("superseded while instance refresh %s was started: cancelling it", refresh_id)
                self.hook.cancel_refresh(self.auto_scaling_group_name)
            raise
