"""What requests to load balancers may contain, beyond the constraints of the API's model."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from moto.elbv2.exceptions import (
    DuplicateTagKeysError,
    InvalidConfigurationRequest,
    TooManyTagsError,
    ValidationError,
)

from .exceptions import NotEmulatedError
from .routing import LARGEST_PORT
from .targets import HealthCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moto.elbv2.models import FakeTargetGroup

LONGEST_NAME = 32
MOST_TAGS = 50


def require_name(name: str) -> None:
    """Refuse a load balancer's name that AWS would not accept."""
    text = f"The load balancer name '{name}'"
    if len(name) > LONGEST_NAME:
        raise ValidationError(f"{text} cannot be longer than '{LONGEST_NAME}' characters")
    if not re.fullmatch(r"[A-Za-z0-9-]+", name):
        raise ValidationError(f"{text} can only contain characters that are alphanumeric characters or hyphens(-)")
    if name.startswith(("-", "internal-")) or name.endswith("-"):
        raise ValidationError(f"{text} cannot begin or end with '-', or begin with 'internal-'")


def require_protocol(protocol: str) -> None:
    """Refuse listeners that are not emulated."""
    if protocol not in {"HTTP", "HTTPS"}:
        raise NotEmulatedError(f"{protocol} listeners", "Use an application load balancer with HTTP or HTTPS.")


def require_tags(tags: Sequence[dict[str, str]], known: dict[str, str]) -> None:
    """Refuse tags that a resource, with the tags it has, cannot have."""
    keys = [tag["Key"] for tag in tags]
    for key in keys:
        if keys.count(key) > 1:
            raise DuplicateTagKeysError(key)
    if len({*known, *keys}) > MOST_TAGS:
        raise TooManyTagsError


def settings_of(action: dict[str, Any]) -> Any:
    """Return an action without what moto and AWS add to it."""
    config = {name: value for name, value in action.items() if name.endswith("Config") and name != "ForwardConfig"}
    forward = action.get("ForwardConfig") or {}
    groups = forward.get("TargetGroups") or [{"TargetGroupArn": action.get("TargetGroupArn")}]
    weights = [(each["TargetGroupArn"], each.get("Weight", 1)) for each in groups]
    sticky = forward.get("TargetGroupStickinessConfig") or {"Enabled": False}
    return action["Type"], config, weights, sticky


def health_check(group: FakeTargetGroup) -> HealthCheck:
    """Read a target group's health check."""
    port, path = str(group.health_check_port or "traffic-port"), group.health_check_path or "/"
    if port != "traffic-port" and not (port.isdecimal() and 1 <= int(port) <= LARGEST_PORT):
        raise ValidationError(f"Health check port '{port}' must be a port from 1 to {LARGEST_PORT}, or 'traffic-port'")
    if not path.startswith("/"):
        raise ValidationError(f"Health check path '{path}' must begin with a '/' character")
    if not group.health_check_enabled and group.target_type != "lambda":
        raise InvalidConfigurationRequest(
            f'Health check enabled must be true with groups with target type "{group.target_type}"'
        )
    interval, timeout = int(group.health_check_interval_seconds), int(group.health_check_timeout_seconds)
    if timeout >= interval and group.protocol in {"HTTP", "HTTPS"}:
        raise ValidationError("Health check interval must be greater than the timeout.")
    codes = (getattr(group, "matcher", None) or {}).get("HttpCode") or "200"
    return HealthCheck(
        protocol=group.health_check_protocol or "HTTP",
        path=path,
        port=None if port == "traffic-port" else int(port),
        interval=interval,
        timeout=timeout,
        healthy_threshold=int(group.healthy_threshold_count),
        unhealthy_threshold=int(group.unhealthy_threshold_count),
        statuses=_parse_matcher(codes, 499 if group.protocol in {"HTTP", "HTTPS"} else 599),
        enabled=bool(group.health_check_enabled),
    )


def _parse_matcher(codes: str, highest: int) -> frozenset[int]:
    """Turn a matcher such as `200`, `200,202` or `200-299` into the set of statuses it admits."""
    admitted: set[int] = set()
    for part in codes.split(","):
        found = re.fullmatch(r"(\d{3})(?:-(\d{3}))?", part.strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 200 <= first <= last <= highest:
            raise ValidationError(f"Health check matcher HTTP code '{part}' must be within '200-{highest}' inclusive")
        admitted.update(range(first, last + 1))
    return frozenset(admitted)
