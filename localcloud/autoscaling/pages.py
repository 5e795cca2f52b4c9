"""Pages of the Describe actions, with AWS's sizes: moto has them in two actions only, and with other sizes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult

from localcloud.pages import page

from . import exceptions

PAGES = {
    "describe_auto_scaling_groups": ("AutoScalingGroups", 50, 100),
    "describe_auto_scaling_instances": ("AutoScalingInstances", 50, 50),
    "describe_instance_refreshes": ("InstanceRefreshes", 50, 100),
    "describe_launch_configurations": ("LaunchConfigurations", 50, 100),
    "describe_load_balancer_target_groups": ("LoadBalancerTargetGroups", 100, 100),
    "describe_load_balancers": ("LoadBalancers", 100, 100),
    "describe_policies": ("ScalingPolicies", 50, 100),
    "describe_scaling_activities": ("Activities", 100, 100),
    "describe_scheduled_actions": ("ScheduledUpdateGroupActions", 50, 100),
    "describe_tags": ("Tags", 50, 100),
    "describe_warm_pool": ("Instances", 50, 50),
}
"""For each action: where its answer has the list, and how much a page has by default and at most."""


def paged(whole: Callable[[Any], ActionResult], key: str, usual: int, largest: int) -> Callable[[Any], ActionResult]:
    """Return an action that returns one page of another action's whole list.

    Args:
        whole: The action, which returns the whole list here.
        key: Where its answer has the list.
        usual: The size of a page of a request that names none.
        largest: The largest size.
    """

    def one_page(self: Any) -> ActionResult:
        size = self._get_int_param("MaxRecords", usual)
        if not 1 <= size <= largest:
            bound = "greater than or equal to 1" if size < 1 else f"less than or equal to {largest}"
            raise exceptions.constraint_error("maxRecords", size, f"have value {bound}")
        token = self._get_param("NextToken")
        self.params.pop("NextToken", None)
        self.params["MaxRecords"] = sys.maxsize
        answer: Any = whole(self).result
        shown, following = page(answer[key], size, token, exceptions.invalid_next_token)
        return ActionResult({**answer, key: shown, "NextToken": following})

    return one_page
