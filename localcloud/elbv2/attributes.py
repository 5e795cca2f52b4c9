"""Attributes of load balancers and target groups: names, values and defaults, as the API's model documents them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from moto.core.utils import get_service_model
from moto.elbv2.exceptions import ValidationError

SECTION = re.compile(r"The following attributes? (?:is|are) (?:only )?supported (.*?)</p>")
ITEM = re.compile(r"<li> <p> <code>([a-z0-9_]+(?:\.[a-z0-9_]+)+)</code>")
VALUES = re.compile(r"(?:value is|values(?: for the attribute)? are) (<code>.*?)\. ?")
BOUNDS = re.compile(r"range is (\d+)(?:-| second to 1 week \()(\d+)")
DEFAULT = re.compile(r"default(?: value)?(?: for Application Load Balancers)? is (?:1 day \()?(?:<code>)?(\w+)")


@dataclass(frozen=True)
class Attribute:
    """What is documented of one attribute.

    Args:
        values: The values that it can have; empty when any will do.
        bounds: The range of a number.
        default: The default, which may lie outside the range.
        is_basic: Whether an Application Load Balancer with instances or addresses has it.
    """

    values: tuple[str, ...]
    bounds: tuple[int, int] | None
    default: str | None
    is_basic: bool

    def problem(self, value: str) -> str | None:
        """Return what is wrong with a value."""
        if value == self.default:
            return None
        if self.bounds and not (value.isdecimal() and self.bounds[0] <= int(value) <= self.bounds[1]):
            return f"must be between '{self.bounds[0]}-{self.bounds[1]}' inclusive"
        if self.values and value not in self.values:
            return f"must be one of [{', '.join(self.values)}]"
        return None


@cache
def documented(shape: str) -> dict[str, Attribute]:
    """Return the attributes of `LoadBalancerAttribute` or `TargetGroupAttribute`, by name."""
    structure: Any = get_service_model("elbv2").shape_for(shape)
    text = structure.members["Key"].documentation
    found = {}
    sections = SECTION.split(text)[1:]
    for heading, items in zip(sections[::2], sections[1::2], strict=True):
        is_basic = "Lambda" not in heading and ("all load balancers" in heading or "Application" in heading)
        parts = ITEM.split(items)[1:]
        for name, about in zip(parts[::2], parts[1::2], strict=True):
            values, bounds, default = VALUES.search(about), BOUNDS.search(about), DEFAULT.search(about)
            listed = values[1] if values and "integer" not in values[1] else ""
            found[name] = Attribute(
                tuple(re.findall(r"<code>(.*?)</code>", listed)),
                (int(bounds[1]), int(bounds[2])) if bounds else None,
                default[1] if default else None,
                is_basic,
            )
    return found


def defaults(shape: str) -> dict[str, str]:
    """Return what a new Application Load Balancer, or a target group of instances or addresses, has."""
    every = documented(shape).items()
    return {name: one.default for name, one in every if one.is_basic and one.default is not None}


def require_valid(shape: str, what: str, changes: Mapping[str, str]) -> None:
    """Refuse unknown names and values."""
    for name, value in changes.items():
        known = documented(shape).get(name)
        if known is None:
            raise ValidationError(f"{what} attribute key '{name}' is not recognized")
        problem = known.problem(str(value))
        if problem:
            raise ValidationError(f"'{name}' value '{value}' {problem}")
