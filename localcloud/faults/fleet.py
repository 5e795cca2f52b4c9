"""Faults of target groups and of instance refreshes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from localcloud.adoption import replace

if TYPE_CHECKING:
    from localcloud.autoscaling.refresh.models import InstanceRefresh
    from localcloud.elbv2.targets import HealthCheck

    from .models import Fault, Faults

FORWARD = frozenset({"Pending", "InProgress", "Baking"})
"""The states that a refresh stalls in. It can still be cancelled or rolled back."""
UNDER_WAY = FORWARD | {"Cancelling", "RollbackInProgress"}


def flaps(faults: Faults, target_group: str, target_id: str, check: HealthCheck) -> bool:
    """Return whether a fault makes this health check of a target fail.

    Args:
        faults: The cloud's.
        target_group: The ARN.
        target_id: The target.
        check: Its thresholds are the default number of failing, then passing, checks.
    """
    names = {target_group, *target_group.split("/")[1:2]}

    def suits(fault: Fault) -> bool:
        settings = fault.settings
        return settings.get("target_group", target_group) in names and settings.get("instance", target_id) == target_id

    for fault in faults.active("health-flaps", suits):
        bad = fault.settings.get("checks", check.unhealthy_threshold)
        good = fault.settings.get("checks", check.healthy_threshold)
        subject = f"{target_group} {target_id}"
        position = fault.memory.get(subject, 0)
        fault.memory[subject] = position + 1
        if position % (bad + good) < bad:
            return bool(faults.fire("health-flaps", target_id, fault))
    return False


def stalls(faults: Faults, refresh: InstanceRefresh) -> bool:
    """Return whether a fault stalls the refresh now."""
    return refresh.status.value in FORWARD and bool(
        faults.fire("refresh-stalls", refresh.id, partial(_is_for, refresh.group_name), once=True)
    )


def patch_statuses(faults: Faults) -> ExitStack:
    """Patch DescribeInstanceRefreshes to return unknown statuses while a fault requires it.

    Returns:
        Restores the original response when closed.
    """
    from moto.autoscaling.responses import AutoScalingResponse

    answers: Any = AutoScalingResponse
    describe: Callable[[Any], Any] = answers.describe_instance_refreshes

    def describe_instance_refreshes(self: Any) -> Any:
        """DescribeInstanceRefreshes, as a later AWS might answer it."""
        answer = describe(self)
        for record in answer.result["InstanceRefreshes"]:
            if record["Status"] in UNDER_WAY:
                group = record["AutoScalingGroupName"]
                fault = faults.fire("unknown-status", group, partial(_is_for, group))
                record["Status"] = fault.settings["shows"] if fault else record["Status"]
        return answer

    stack = ExitStack()
    replace(stack, answers, "describe_instance_refreshes", describe_instance_refreshes)
    return stack


def _is_for(group: str, fault: Fault) -> bool:
    return fault.settings.get("group", group) == group
