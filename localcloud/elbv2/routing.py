"""What a listener does with a request: its rules, as immutable data that the load balancer's thread may read.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-listeners.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from typing import TYPE_CHECKING, Any

from .exceptions import NotEmulatedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .targets import TargetPool

CONDITIONS = ("path-pattern", "host-header", "http-request-method")


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


@dataclass(frozen=True)
class Rule:
    """Conditions that must all hold, and what is done then."""

    paths: re.Pattern[str] | None
    hosts: re.Pattern[str] | None
    methods: frozenset[str]
    action: Forward | Fixed | Redirect

    def matches(self, method: str, host: str, path: str) -> bool:
        """Return whether the rule is the one for such a request."""
        return (
            (self.paths is None or self.paths.match(path) is not None)
            and (self.hosts is None or self.hosts.match(host.lower()) is not None)
            and (not self.methods or method in self.methods)
        )


@dataclass(frozen=True)
class Routes:
    """All rules of a listener, by priority, the default one last."""

    rules: tuple[Rule, ...]

    def action(self, method: str, host: str, path: str) -> Forward | Fixed | Redirect:
        """Return what to do with a request."""
        for rule in self.rules[:-1]:
            if rule.matches(method, host, path):
                return rule.action
        return self.rules[-1].action

    def pools(self) -> set[int]:
        """Return the identities of the pools that some rule forwards to."""
        return {id(pool) for rule in self.rules if isinstance(rule.action, Forward) for pool, _ in rule.action.pools}


def require_emulated(conditions: list[dict[str, Any]], actions: list[dict[str, Any]]) -> None:
    """Refuse settings that would be stored but not honoured.

    Raises:
        NotEmulatedError: A condition or an action of another kind.
    """
    for condition in conditions:
        if condition.get("Field") not in CONDITIONS:
            raise NotEmulatedError(f"the condition {condition.get('Field')!r}", f"Use one of {', '.join(CONDITIONS)}.")
    for action in actions:
        if action.get("Type") not in {"forward", "fixed-response", "redirect"}:
            raise NotEmulatedError(
                f"the action {action.get('Type')!r}", "Use one of forward, fixed-response, redirect."
            )


def routes_of(listener: Any, pools: Mapping[str, TargetPool]) -> Routes:
    """Read a moto listener and its rules."""
    ordered = sorted(
        (rule for rule in listener.rules.values() if not rule.is_default), key=lambda rule: int(rule.priority)
    )
    rules = [_rule(rule.conditions, rule.actions, pools) for rule in ordered]
    return Routes((*rules, _rule([], listener.default_actions, pools)))


def _rule(conditions: list[dict[str, Any]], actions: list[Any], pools: Mapping[str, TargetPool]) -> Rule:
    values: dict[str, list[str]] = {}
    for condition in conditions:
        config: dict[str, Any] = next((found for name, found in condition.items() if name.endswith("Config")), {})
        values[condition["Field"]] = condition.get("Values") or config.get("Values", [])
    return Rule(
        paths=_any_of(values.get("path-pattern")),
        hosts=_any_of([value.lower() for value in values.get("host-header", [])]),
        methods=frozenset(values.get("http-request-method", ())),
        action=_action(actions[-1].data, pools),
    )


def _any_of(patterns: list[str] | None) -> re.Pattern[str] | None:
    return re.compile("|".join(translate(pattern) for pattern in patterns)) if patterns else None


def _action(data: dict[str, Any], pools: Mapping[str, TargetPool]) -> Forward | Fixed | Redirect:
    if data["Type"] == "fixed-response":
        fixed = data["FixedResponseConfig"]
        return Fixed(int(fixed["StatusCode"]), fixed.get("ContentType") or "text/plain", fixed.get("MessageBody") or "")
    if data["Type"] == "redirect":
        config = data["RedirectConfig"]
        return Redirect(
            int(config["StatusCode"].removeprefix("HTTP_")),
            config.get("Protocol") or "#{protocol}",
            config.get("Host") or "#{host}",
            str(config.get("Port") or "#{port}"),
            config.get("Path") or "/#{path}",
            config.get("Query") or "#{query}",
        )
    groups = data.get("ForwardConfig", {}).get("TargetGroups") or [{"TargetGroupArn": data["TargetGroupArn"]}]
    return Forward(
        tuple(
            (pools[group["TargetGroupArn"]], int(group.get("Weight", 1)))
            for group in groups
            if group["TargetGroupArn"] in pools
        )
    )
