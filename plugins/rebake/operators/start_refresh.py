"""The stage `start_refresh`: start the instance refresh to a template version, unless one goes or went there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from botocore.exceptions import ClientError

from rebake import config
from rebake.connection import EnvironmentConnection
from rebake.exceptions import RolloutFailedError
from rebake.faults import error_code
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.instance import InstanceHook
from rebake.refresh import (
    SUCCESS_STATES,
    Version,
    active_refresh,
    adopt,
    desired_template,
    is_rolled_out,
    leaves_the_group,
    preferences,
)
from rebake.tooling import reachable

if TYPE_CHECKING:
    from airflow.sdk import Context


class StartRefreshOperator(EnvironmentConnection, AwsBaseOperator[AutoScalingHook]):
    """Start the instance refresh to a numbered template version; return its id, empty if there is nothing to do.

    In this order: a refresh that is active and goes to that version is adopted; a fleet that runs it already
    needs none (as when Terraform has just created the group with it); else a refresh is started. The XCom
    `instances_before` holds the ids of the instances that it replaces. The id is empty and not `None`, because
    Airflow keeps no result that is `None` and logs an error for each task that looks for one.

    Args:
        service: name of the service (templated).
        auto_scaling_group_name: the group (templated).
        launch_template_id: the template (templated).
        launch_template_version: its version, a number (templated).
        ami_id: the image that this version must hold (templated).
        **kwargs: those of `AwsBaseOperator`.
    """

    aws_hook_class = AutoScalingHook
    template_fields: Sequence[str] = aws_template_fields(
        "service", "auto_scaling_group_name", "launch_template_id", "launch_template_version", "ami_id"
    )

    def __init__(
        self,
        *,
        service: str,
        auto_scaling_group_name: str,
        launch_template_id: str,
        launch_template_version: str,
        ami_id: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.auto_scaling_group_name = auto_scaling_group_name
        self.launch_template_id = launch_template_id
        self.launch_template_version = launch_template_version
        self.ami_id = ami_id

    def execute(self, context: Context) -> str:
        """Return the id of the refresh to wait for; empty if there is none.

        Raises:
            RolloutFailedError: the version is not what it should be, or a refresh to something else is active.
            CloudUnreachableError: the AWS API does not answer.
        """
        wanted = Version(self.launch_template_id, str(self.launch_template_version))
        service = config.load_service(self.service, self.environment)
        with reachable(self.hook):
            group = self.hook.group(self.auto_scaling_group_name)
        self._check_version(wanted)
        serving = [one for one in group["Instances"] if not leaves_the_group(one)]
        before = sorted(one["InstanceId"] for one in serving if not wanted.matches(one.get("LaunchTemplate")))
        context["ti"].xcom_push(key="instances_before", value=before)

        refreshes = self.hook.refreshes(self.auto_scaling_group_name)
        active = active_refresh(refreshes)
        if active:
            refresh_id = adopt(active, wanted, self.auto_scaling_group_name)
            self.log.info("instance refresh %s already goes to %s", refresh_id, wanted)
            return refresh_id
        if is_rolled_out(group, wanted):
            finished = self._finished_by_this_run(refreshes, wanted, context)
            if not finished:
                self.log.info(
                    "every instance of %s already runs %s: nothing to do", group["AutoScalingGroupName"], wanted
                )
            return finished
        return self._start(wanted, preferences(service.rollout))

    def _check_version(self, wanted: Version) -> None:
        """Make sure that what is rolled out is the image that was tested, by number and by a literal AMI id."""
        if not wanted.number.isdecimal():
            raise RolloutFailedError(
                f"launch template version {wanted.number!r} is not a number: AWS cannot roll back from it"
            )
        image = InstanceHook(**self.connection).template_image(wanted.launch_template_id, wanted.number)
        if image != self.ami_id:
            raise RolloutFailedError(
                f"{wanted} holds image {image}, not {self.ami_id}: was Terraform applied for another?"
            )

    def _start(self, wanted: Version, chosen: dict[str, Any]) -> str:
        name = self.auto_scaling_group_name
        try:
            refresh_id = self.hook.start_refresh(name, wanted, chosen)
        except ClientError as error:
            if error_code(error) != "InstanceRefreshInProgress":
                raise
            # Someone was faster between our look and our request: it is theirs now, or it is ours all the same.
            active = active_refresh(self.hook.refreshes(name))
            if active is None:
                raise
            return adopt(active, wanted, name)
        self.log.info("started instance refresh %s of %s to %s with %s", refresh_id, name, wanted, chosen)
        return refresh_id

    def _finished_by_this_run(self, refreshes: Sequence[dict[str, Any]], wanted: Version, context: Context) -> str:
        """Return the refresh that an earlier try of this run started and that has ended well since, if there is one.

        Only runs of this DAG refresh the group, one at a time, so one that began after the run was asked for is
        the run's own.
        """
        asked: datetime = context["dag_run"].run_after
        for refresh in refreshes:
            ours = wanted.matches(desired_template(refresh)) and refresh["Status"] in SUCCESS_STATES
            if ours and refresh.get("StartTime", datetime.min.replace(tzinfo=UTC)) >= asked:
                refresh_id: str = refresh["InstanceRefreshId"]
                self.log.info("instance refresh %s of an earlier try has ended well", refresh_id)
                return refresh_id
        return ""
