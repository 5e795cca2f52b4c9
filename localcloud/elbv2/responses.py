"""Actions whose requests moto reads wrongly, or whose answers it leaves incomplete, patched into its response class."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from moto.core.responses import ActionResult
from moto.elbv2.exceptions import ELBClientError, ValidationError
from moto.elbv2.responses import ELBV2Response
from moto.elbv2.ssl_policies import SSL_POLICIES, build_policy

from localcloud.adoption import replace

from .exceptions import NotEmulatedError

LARGEST_PAGE = 400


def describe_load_balancers(self: Any) -> ActionResult:
    """DescribeLoadBalancers; moto's pages have 50."""
    names = self._get_param("LoadBalancerArns", []), self._get_param("Names", [])
    return _page(self, "LoadBalancers", self.elbv2_backend.describe_load_balancers(*names))


def describe_target_groups(self: Any) -> ActionResult:
    """DescribeTargetGroups, in pages."""
    arns, names = self._get_param("TargetGroupArns", []), self._get_param("Names", [])
    found = self.elbv2_backend.describe_target_groups(self._get_param("LoadBalancerArn"), arns, names)
    return _page(self, "TargetGroups", found)


def describe_rules(self: Any) -> ActionResult:
    """DescribeRules; moto's pages have 50."""
    found = self.elbv2_backend.describe_rules(self._get_param("ListenerArn"), self._get_param("RuleArns"))
    return _page(self, "Rules", found)


def modify_target_group_attributes(self: Any) -> ActionResult:
    """ModifyTargetGroupAttributes, which answers with every attribute."""
    arn = self._get_param("TargetGroupArn")
    changes = {each.get("Key", ""): each.get("Value", "") for each in self._get_param("Attributes", [])}
    self.elbv2_backend.modify_target_group_attributes(arn, changes)
    return ActionResult({"Attributes": self.elbv2_backend.target_groups[arn].attributes})


def set_security_groups(self: Any) -> ActionResult:
    """SetSecurityGroups, whose answer moto gives another name."""
    groups = self._get_param("SecurityGroups", [])
    self.elbv2_backend.set_security_groups(self._get_param("LoadBalancerArn"), groups)
    return ActionResult({"SecurityGroupIds": groups})


def describe_ssl_policies(self: Any) -> ActionResult:
    """DescribeSSLPolicies, which refuses an unknown one."""
    names = self._get_param("Names", []) or list(SSL_POLICIES)
    for name in names:
        if name not in SSL_POLICIES:
            raise ELBClientError("SSLPolicyNotFound", f"SSL policy '{name}' not found")
    return ActionResult({"SslPolicies": [build_policy(name, SSL_POLICIES[name]) for name in names]})


def _refusing(action: str, parameter: str) -> Callable[[Any], ActionResult]:
    """Return moto's action, without a parameter that moto drops silently."""
    whole: Callable[[Any], ActionResult] = getattr(ELBV2Response, action)

    def refuse(self: Any) -> ActionResult:
        if self._get_param(parameter) not in (None, [], {}, {"Mode": "off"}):
            raise NotEmulatedError(parameter, "Leave it out.")
        return whole(self)

    refuse.__name__ = action
    return refuse


def _page(self: Any, key: str, found: Any) -> ActionResult:
    """Return one page; its marker is the ARN that the next one begins with, so that deletions between two skip none."""
    size, marker = self._get_int_param("PageSize", LARGEST_PAGE), self._get_param("Marker")
    items = list(found)
    starts = [index for index, item in enumerate(items) if item.arn == marker] if marker else [0]
    if not starts:
        raise ValidationError(f"Invalid marker '{marker}'")
    end = starts[0] + size
    return ActionResult({key: items[starts[0] : end], "NextMarker": items[end].arn if end < len(items) else None})


ACTIONS = (
    describe_load_balancers,
    describe_target_groups,
    describe_rules,
    modify_target_group_attributes,
    set_security_groups,
    describe_ssl_policies,
    _refusing("create_listener", "MutualAuthentication"),
    _refusing("modify_listener", "MutualAuthentication"),
    _refusing("create_rule", "Transforms"),
    _refusing("modify_rule", "Transforms"),
)


def patch_responses() -> ExitStack:
    """Patch the actions in; closing the result restores moto's."""
    stack = ExitStack()
    for action in ACTIONS:
        replace(stack, ELBV2Response, action.__name__, action)
    return stack
