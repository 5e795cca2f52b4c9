"""Pages of the Describe actions, with AWS's sizes: moto has them in two actions only, and with other sizes."""

from collections.abc import Callable
from typing import Any

from localcloud import pages

from . import exceptions

PAGES = {
    "DescribeAutoScalingGroups": ("AutoScalingGroups", 50, 100),
    "DescribeAutoScalingInstances": ("AutoScalingInstances", 50, 50),
    "DescribeInstanceRefreshes": ("InstanceRefreshes", 50, 100),
    "DescribeLaunchConfigurations": ("LaunchConfigurations", 50, 100),
    "DescribeLoadBalancerTargetGroups": ("LoadBalancerTargetGroups", 100, 100),
    "DescribeLoadBalancers": ("LoadBalancers", 100, 100),
    "DescribePolicies": ("ScalingPolicies", 50, 100),
    "DescribeScalingActivities": ("Activities", 100, 100),
    "DescribeScheduledActions": ("ScheduledUpdateGroupActions", 50, 100),
    "DescribeTags": ("Tags", 50, 100),
    "DescribeWarmPool": ("Instances", 50, 50),
}
"""For each action: where its answer has the list, and how much a page has by default and at most."""


def paged(whole: Callable[[Any], Any], key: str, usual: int, largest: int) -> Callable[[Any], Any]:
    """Return an action that returns one page of the whole list of another; see `PAGES`."""

    def size(requested: int | None) -> int:
        size = usual if requested is None else requested
        if not 1 <= size <= largest:
            bound = "greater than or equal to 1" if size < 1 else f"less than or equal to {largest}"
            raise exceptions.constraint_error("maxRecords", size, f"have value {bound}")
        return size

    return pages.paged(whole, key, "MaxRecords", size, exceptions.invalid_next_token)
