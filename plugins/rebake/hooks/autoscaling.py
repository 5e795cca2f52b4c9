"""Auto Scaling groups, their instance refreshes, and the health of their targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore.exceptions import ClientError

from rebake.aws_errors import error_code, retry_transient
from rebake.exceptions import RolloutFailedError
from rebake.rollout.refresh import Version, active_refresh

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient

NO_REFRESH: Final = "ActiveInstanceRefreshNotFound"
"""The answer when there is no refresh to cancel or to roll back."""
IRREVERSIBLE: Final = "IrreversibleInstanceRefresh"
"""The answer when AWS has no version that it could return to."""


class AutoScalingHook(AwsBaseHook):
    """Thin wrapper around `boto3.client("autoscaling")`: groups and instance refreshes, all pages of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "autoscaling"
        super().__init__(*args, **kwargs)

    @property
    def autoscaling(self) -> AutoScalingClient:
        """The typed client."""
        client: AutoScalingClient = self.conn
        return client

    @retry_transient
    def group(self, name: str) -> dict[str, Any]:
        """Return the group (DescribeAutoScalingGroups).

        Raises:
            RolloutFailedError: there is no group of that name.
        """
        found = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        if not found:
            raise RolloutFailedError(f"Auto Scaling group {name} does not exist in {self.region_name}")
        return dict(found[0])

    @retry_transient
    def groups(self) -> list[dict[str, Any]]:
        """Return all groups of the account, whoever made them (DescribeAutoScalingGroups)."""
        pages = self.autoscaling.get_paginator("describe_auto_scaling_groups").paginate(
            PaginationConfig={"PageSize": 100}
        )
        return [dict(group) for page in pages for group in page["AutoScalingGroups"]]

    @retry_transient
    def active_refresh(self, name: str) -> dict[str, Any] | None:
        """Return the group's active instance refresh, if there is one (DescribeInstanceRefreshes).

        One request is enough: none can start while one is active, so that is the newest, and the newest come first.
        """
        page = self.autoscaling.describe_instance_refreshes(AutoScalingGroupName=name, MaxRecords=10)
        found = active_refresh(page["InstanceRefreshes"])
        return dict(found) if found else None

    @retry_transient
    def refreshes(self, name: str) -> list[dict[str, Any]]:
        """Return the group's instance refreshes of the last six weeks, newest first (DescribeInstanceRefreshes).

        boto3 has no paginator for this call.
        """
        found: list[dict[str, Any]] = []
        token: dict[str, str] = {}
        while True:
            page = self.autoscaling.describe_instance_refreshes(AutoScalingGroupName=name, **token)  # type: ignore[arg-type]
            found.extend(dict(refresh) for refresh in page["InstanceRefreshes"])
            if not page.get("NextToken"):
                return found
            token = {"NextToken": page["NextToken"]}

    @retry_transient
    def start_refresh(self, name: str, version: Version, preferences: dict[str, Any]) -> str:
        """Start an instance refresh to a numbered launch template version and return its id (StartInstanceRefresh)."""
        answer = self.autoscaling.start_instance_refresh(
            AutoScalingGroupName=name,
            Strategy="Rolling",
            DesiredConfiguration={
                "LaunchTemplate": {"LaunchTemplateId": version.launch_template_id, "Version": version.number}
            },
            Preferences=preferences,  # type: ignore[arg-type]
        )
        return answer["InstanceRefreshId"]

    @retry_transient
    def cancel_refresh(self, name: str) -> None:
        """Cancel the active refresh, if there is one (CancelInstanceRefresh); what it replaced stays replaced."""
        try:
            self.autoscaling.cancel_instance_refresh(AutoScalingGroupName=name)
        except ClientError as error:
            if error_code(error) != NO_REFRESH:
                raise


class TargetHealthHook(AwsBaseHook):
    """Thin wrapper around `boto3.client("elbv2")`, used for its asynchronous client."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "elbv2"
        super().__init__(*args, **kwargs)


class AlarmsHook(AwsBaseHook):
    """Thin wrapper around `boto3.client("cloudwatch")`, used for its asynchronous client."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "cloudwatch"
        super().__init__(*args, **kwargs)


async def describe_group(autoscaling: Any, name: str) -> dict[str, Any] | None:
    """Return the group, by an aiobotocore client; none if there is no such group."""
    answer = await autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    return next(iter(answer["AutoScalingGroups"]), None)


async def describe_refresh(autoscaling: Any, name: str, refresh_id: str) -> dict[str, Any] | None:
    """Return one instance refresh, by an aiobotocore client; none if AWS does not know it."""
    arguments: dict[str, Any] = {"AutoScalingGroupName": name, "InstanceRefreshIds": [refresh_id]}
    while True:
        page = await autoscaling.describe_instance_refreshes(**arguments)
        if page["InstanceRefreshes"]:
            found: dict[str, Any] = page["InstanceRefreshes"][0]
            return found
        if not page.get("NextToken"):
            return None
        arguments["NextToken"] = page["NextToken"]


async def end_refresh(autoscaling: Any, name: str, *, roll_back: bool) -> str:
    """End the active refresh, by an aiobotocore client, and return the request that was made.

    Args:
        autoscaling: the client.
        name: the group.
        roll_back: whether AWS shall roll back the instances that were replaced already. Where the group's own template
            prevents that, the refresh is cancelled instead.

    Returns:
        `rollback` (RollbackInstanceRefresh), `cancel` (CancelInstanceRefresh), or nothing when none is active.
    """
    if roll_back:
        try:
            await autoscaling.rollback_instance_refresh(AutoScalingGroupName=name)
        except ClientError as error:
            if error_code(error) == NO_REFRESH:
                return ""
            if error_code(error) != IRREVERSIBLE:
                raise
        else:
            return "rollback"
    try:
        await autoscaling.cancel_instance_refresh(AutoScalingGroupName=name)
    except ClientError as error:
        if error_code(error) == NO_REFRESH:
            return ""
        raise
    return "cancel"


async def describe_instances(ec2: Any, name: str) -> list[dict[str, Any]]:
    """Return the group's instances, by an aiobotocore client (EC2, DescribeInstances).

    Those that were terminated are among them for as long as EC2 knows them, about an hour.
    """
    found: list[dict[str, Any]] = []
    pages = ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": "tag:aws:autoscaling:groupName", "Values": [name]}]
    )
    async for page in pages:
        found.extend(one for reservation in page["Reservations"] for one in reservation["Instances"])
    return found


async def alarms_that_went_off(cloudwatch: Any, names: Sequence[str]) -> list[str]:
    """Return each of the alarms that is in ALARM, with its reason, by an aiobotocore client (DescribeAlarms)."""
    answer = await cloudwatch.describe_alarms(AlarmNames=list(names), AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    alarms = [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]
    return [
        f"alarm {one['AlarmName']}: {one.get('StateReason', 'no reason given')}"
        for one in alarms
        if one["StateValue"] == "ALARM"
    ]


async def describe_target_health(elbv2: Any, target_group_arns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the health of all targets of the groups, by an aiobotocore client (DescribeTargetHealth)."""
    found: list[dict[str, Any]] = []
    for arn in target_group_arns:
        answer = await elbv2.describe_target_health(TargetGroupArn=arn)
        found.extend(answer["TargetHealthDescriptions"])
    return found
