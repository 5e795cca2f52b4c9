"""Auto Scaling's and the load balancer's records of a fleet, as boto3 returns them."""

from typing import Any

from botocore.stub import Stubber

from rebake.config import load_service
from rebake.rollout.refresh import preferences
from tests.support.task import REQUESTED_AT

GROUP = "webapp-local"
AMI = "ami-0123456789abcdef0"
TEMPLATE = "lt-0123456789abcdef0"


def refresh(
    status: str, *, refresh_id: str = "r-1", version: str = "2", percentage: int = 0, **more: Any
) -> dict[str, Any]:
    """Return a record of DescribeInstanceRefreshes."""
    return {
        "InstanceRefreshId": refresh_id,
        "AutoScalingGroupName": GROUP,
        "Status": status,
        "PercentageComplete": percentage,
        "DesiredConfiguration": {"LaunchTemplate": {"LaunchTemplateId": TEMPLATE, "Version": version}},
        **more,
    }


def instance(instance_id: str, version: str, lifecycle: str = "InService", health: str = "Healthy") -> dict[str, Any]:
    """Return an instance of DescribeAutoScalingGroups."""
    return {
        "InstanceId": instance_id,
        "AvailabilityZone": "eu-west-1a",
        "LifecycleState": lifecycle,
        "HealthStatus": health,
        "ProtectedFromScaleIn": False,
        "LaunchTemplate": {"LaunchTemplateId": TEMPLATE, "LaunchTemplateName": GROUP, "Version": version},
    }


def group(
    version: str, *instances: dict[str, Any], desired: int = 2, target_groups: tuple[str, ...] = ("arn:tg",)
) -> Any:
    """Return a group of DescribeAutoScalingGroups."""
    return {
        "AutoScalingGroupName": GROUP,
        "LaunchTemplate": {"LaunchTemplateId": TEMPLATE, "LaunchTemplateName": GROUP, "Version": version},
        "MinSize": 1,
        "MaxSize": 4,
        "DesiredCapacity": desired,
        "DefaultCooldown": 300,
        "AvailabilityZones": ["eu-west-1a"],
        "HealthCheckType": "ELB",
        "CreatedTime": REQUESTED_AT,
        "TargetGroupARNs": list(target_groups),
        "Instances": list(instances),
    }


OLD = group("1", instance("i-1", "1"), instance("i-2", "1"))
NEW = group("2", instance("i-3", "2"), instance("i-4", "2"))


def answer_group(stubber: Stubber, of: Any, *refreshes: Any) -> None:
    """Expect that the group is read, and then its refreshes."""
    stubber.add_response(
        "describe_auto_scaling_groups", {"AutoScalingGroups": [of]}, {"AutoScalingGroupNames": [GROUP]}
    )
    stubber.add_response(
        "describe_instance_refreshes", {"InstanceRefreshes": list(refreshes)}, {"AutoScalingGroupName": GROUP}
    )


def expect_start(stubber: Stubber, version: str = "2") -> None:
    """Expect that a refresh to the version is started as the service's file has it."""
    stubber.add_response(
        "start_instance_refresh",
        {"InstanceRefreshId": "r-new"},
        {
            "AutoScalingGroupName": GROUP,
            "Strategy": "Rolling",
            "DesiredConfiguration": {"LaunchTemplate": {"LaunchTemplateId": TEMPLATE, "Version": version}},
            "Preferences": preferences(load_service("webapp").rollout),
        },
    )


def targets(**states: str) -> dict[str, Any]:
    """Return an answer of DescribeTargetHealth; `i_1="healthy"` stands for instance i-1."""
    return {
        "TargetHealthDescriptions": [
            {
                "Target": {"Id": name.replace("_", "-"), "Port": 8080},
                "TargetHealth": {"State": state.split(":")[0], **_reason(state)},
            }
            for name, state in states.items()
        ]
    }


def _reason(state: str) -> dict[str, str]:
    _, _, reason = state.partition(":")
    return {"Reason": reason} if reason else {}
