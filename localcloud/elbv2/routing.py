"""What a listener does with a request: its rules, as immutable data that the load balancer's thread may read.

Reading a rule refuses what AWS refuses and what this load balancer does not do, so it is read before it is stored.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-listeners.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from moto.elbv2.exceptions import (
    ActionTargetGroupNotFoundError,
    InvalidActionTypeError,
    InvalidConditionValueError,
    InvalidLoadBalancerActionException,
    ValidationError,
)

from .exceptions import NotEmulatedError

if TYPE_CHECKING:
    from .targets import TargetPool

ROUTING = ("forward", "fixed-response", "redirect")
OTHER = ("authenticate-cognito", "authenticate-oidc", "jwt-validation")
CONTENT_TYPES = ("text/plain", "text/css", "text/html", "application/javascript", "application/json")
LARGEST_WEIGHT = 999
MOST_TARGET_GROUPS = 5
LONGEST_STICKINESS = 7 * 24 * 3600  # seconds
LARGEST_PORT = 65535


@dataclass(frozen=True)
class Forward:
    """Send the request to one of these pools, by weight."""

    pools: tuple[tuple[TargetPool, int], ...]


@dataclass(frozen=True)
class Fixed:
    """Answer without forwarding to a target."""

    status: int
    content_type: str
    body: str


@dataclass(frozen=True)
class Redirect:
    """Answer with another address; `#{host}` and the like stand for the request's own parts."""

    status: int
    protocol: str
    host: str
    port: str
    path: str
    query: str


Action = Forward | Fixed | Redirect


@dataclass(frozen=True)
class RoutedRequest:
    """What rules match of a request."""

    method: str
    host: str
    path: str
    headers: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    client: str


Condition = Callable[[RoutedRequest], bool]


@dataclass(frozen=True)
class Rule:
    """Conditions that must all hold, and what is done then."""

    conditions: tuple[Condition, ...]
    action: Action

    def matches(self, request: RoutedRequest) -> bool:
        """Return whether the rule is the one for such a request."""
        return all(holds(request) for holds in self.conditions)


@dataclass(frozen=True)
class Routes:
    """All rules of a listener, by priority, the default one last."""

    rules: tuple[Rule, ...]

    def action(self, request: RoutedRequest) -> Action:
        """Return what to do with a request."""
        return next(rule.action for rule in self.rules if rule.matches(request))

    def pools(self) -> set[int]:
        """Return the identities of the pools that some rule forwards to."""
        return {id(pool) for rule in self.rules if isinstance(rule.action, Forward) for pool, _ in rule.action.pools}


def routes_of(listener: Any, pools: Mapping[str, TargetPool]) -> Routes:
    """Read a moto listener and its rules."""
    ordered = sorted(
        (rule for rule in listener.rules.values() if not rule.is_default), key=lambda rule: int(rule.priority)
    )
    rules = [rule_of(rule.conditions, [each.data for each in rule.actions], pools) for rule in ordered]
    default = rule_of([], [each.data for each in listener.default_actions], pools)
    return Routes((*rules, default))


def rule_of(
    conditions: Sequence[Mapping[str, Any]], actions: Sequence[Mapping[str, Any]], pools: Mapping[str, TargetPool]
) -> Rule:
    """Read a rule.

    Raises:
        ELBClientError: AWS would not accept it, or this load balancer would not follow it.
    """
    return Rule(tuple(_condition(each) for each in conditions), _action(actions, pools))


def _condition(condition: Mapping[str, Any]) -> Condition:
    field = condition.get("Field")
    config: Mapping[str, Any] = next((found for name, found in condition.items() if name.endswith("Config")), {})
    values = condition.get("Values") or config.get("Values")
    if condition.get("RegexValues") or config.get("RegexValues"):
        raise NotEmulatedError("regular expressions in conditions", "Use * and ?.")
    if not values:
        raise InvalidConditionValueError("A condition value must be specified")
    if field == "http-request-method":
        methods = frozenset(values)
        return lambda request: request.method in methods
    if field == "source-ip":
        networks = [_network(value) for value in values]
        return lambda request: any(ip_address(request.client) in network for network in networks)
    if field == "query-string":
        exact = partial(_any_of, flags=re.IGNORECASE)
        pairs = [(exact([each.get("Key") or "*"]), exact([each.get("Value", "")])) for each in values]
        return lambda request: any(
            key.fullmatch(name) and value.fullmatch(found) for name, found in request.query for key, value in pairs
        )
    pattern = _any_of(values, re.NOFLAG if field == "path-pattern" else re.IGNORECASE)
    if field == "path-pattern":
        return lambda request: pattern.fullmatch(request.path) is not None
    if field == "host-header":
        return lambda request: pattern.fullmatch(request.host.partition(":")[0]) is not None
    if field == "http-header":
        name = str(config.get("HttpHeaderName"))
        return lambda request: pattern.fullmatch(request.headers.get(name, "")) is not None and name in request.headers
    raise InvalidConditionValueError(f"Condition field '{field}' is not valid")


def _network(value: str) -> Any:
    try:
        return ip_network(value)
    except ValueError as error:
        raise InvalidConditionValueError(f"The 'source-ip' value '{value}' is not a valid CIDR block") from error


def _any_of(patterns: Sequence[str], flags: re.RegexFlag) -> re.Pattern[str]:
    """Return an expression for patterns in which * stands for any characters and ? for one."""
    escaped = (re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".") for pattern in patterns)
    return re.compile("|".join(escaped), flags | re.DOTALL)


def _action(actions: Sequence[Mapping[str, Any]], pools: Mapping[str, TargetPool]) -> Action:
    for index, each in enumerate(actions, start=1):
        if each.get("Type") in OTHER:
            raise NotEmulatedError(f"the action {each['Type']!r}", f"Use one of {', '.join(ROUTING)}.")
        if each.get("Type") not in ROUTING:
            raise InvalidActionTypeError(each.get("Type"), index)
    if len(actions) != 1:
        raise InvalidLoadBalancerActionException(f"A rule has exactly one of the actions {', '.join(ROUTING)}")
    (action,) = actions
    if action["Type"] == "fixed-response":
        return _fixed(_config(action, "FixedResponseConfig"))
    if action["Type"] == "redirect":
        return _redirect(_config(action, "RedirectConfig"))
    return _forward(action, pools)


def _config(action: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    config: Mapping[str, Any] = action.get(name) or {}
    if not config:
        raise InvalidLoadBalancerActionException(
            f"For actions of type '{action['Type']}', you must specify the following fields: '{name}'"
        )
    return config


def _fixed(config: Mapping[str, Any]) -> Fixed:
    status = str(config.get("StatusCode"))
    if not re.fullmatch(r"[245]\d\d", status):
        raise ValidationError(f"The status code '{status}' of a fixed response must be 2XX, 4XX or 5XX")
    content_type = config.get("ContentType") or "text/plain"
    if content_type not in CONTENT_TYPES:
        raise InvalidLoadBalancerActionException(f"The ContentType must be one of: {', '.join(CONTENT_TYPES)}")
    return Fixed(int(status), content_type, config.get("MessageBody") or "")


def _redirect(config: Mapping[str, Any]) -> Redirect:
    status = str(config.get("StatusCode"))
    if status not in {"HTTP_301", "HTTP_302"}:
        raise ValidationError(f"The status code '{status}' of a redirect must be one of HTTP_301, HTTP_302")
    names = ("protocol", "host", "port", "path", "query")
    unchanged = ("#{protocol}", "#{host}", "#{port}", "/#{path}", "#{query}")
    parts = {name: str(config.get(name.title()) or same) for name, same in zip(names, unchanged, strict=True)}
    if parts["protocol"] not in {"HTTP", "HTTPS", "#{protocol}"}:
        raise ValidationError(f"The protocol '{parts['protocol']}' of a redirect must be HTTP, HTTPS or #{{protocol}}")
    port = parts["port"]
    if port != "#{port}" and not (port.isdecimal() and 1 <= int(port) <= LARGEST_PORT):
        raise InvalidLoadBalancerActionException("The Port parameter must be a port from 1 to 65535, or '#{port}'.")
    if not parts["path"].startswith("/"):
        raise InvalidLoadBalancerActionException(
            "The Path parameter must be a valid path, should start with a '/', and may contain up to one of each of "
            "these placeholders: '#{path}', '#{host}', '#{port}'."
        )
    if tuple(parts.values())[:-1] == unchanged[:-1]:
        raise InvalidLoadBalancerActionException("The redirect configuration is not valid because it creates a loop.")
    return Redirect(int(status.removeprefix("HTTP_")), **parts)


def _forward(action: Mapping[str, Any], pools: Mapping[str, TargetPool]) -> Forward:
    config = action.get("ForwardConfig") or {}
    single = action.get("TargetGroupArn")
    groups = config.get("TargetGroups") or [{"TargetGroupArn": each} for each in [single] if each]
    if not groups:
        _config(action, "TargetGroupArn")
    if single and [each.get("TargetGroupArn") for each in groups] != [single]:
        raise ValidationError("The target group of TargetGroupArn must be the only one of ForwardConfig")
    if len(groups) > MOST_TARGET_GROUPS:
        raise InvalidLoadBalancerActionException(f"A rule can forward to {MOST_TARGET_GROUPS} target groups at most")
    stickiness = config.get("TargetGroupStickinessConfig") or {}
    if stickiness.get("Enabled") and not 1 <= int(stickiness.get("DurationSeconds") or 0) <= LONGEST_STICKINESS:
        raise ValidationError(f"Target group stickiness duration must be between 1 and {LONGEST_STICKINESS} seconds")
    return Forward(tuple((_pool(each.get("TargetGroupArn"), pools), _weight(each.get("Weight", 1))) for each in groups))


def _pool(arn: Any, pools: Mapping[str, TargetPool]) -> TargetPool:
    if arn not in pools:
        raise ActionTargetGroupNotFoundError(str(arn))
    return pools[arn]


def _weight(value: Any) -> int:
    weight = int(value)
    if not 0 <= weight <= LARGEST_WEIGHT:
        raise ValidationError(f"Target group weight '{weight}' must be between '0-{LARGEST_WEIGHT}' inclusive")
    return weight
