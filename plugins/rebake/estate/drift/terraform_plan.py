"""Terraform's view of drift: what a plan would change, attribute by attribute. Plain functions over `show -json`."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from rebake.estate.drift.finding import Finding, FindingKind

MASK: Final = "(sensitive)"
LONGEST: Final = 300
"""Characters that a report shows of one value."""

BY_HAND: Final = "changed outside Terraform"
NOT_APPLIED: Final = "declared, and not applied yet: the next deployment does"
NOTHING: Final = "nothing"

_IMAGE: Final = ("image_id", "tag_specifications")
"""What of a launch template follows from its image: the three-way view by image id reports it better."""
_SKIPPED: Final = (["no-op"], ["read"])
_IN_PLACE: Final = (["create"], ["update"])


def findings(service: str, plan: Mapping[str, Any]) -> list[Finding]:
    """Return what a plan would change: from what there is (`found`) to what is declared.

    A plan that would remove or replace something is not repaired by itself, and nothing of it is: a new load balancer
    has another address.

    Args:
        service: the fleet's service.
        plan: the plan as `terraform show -json` prints it; empty if it would change nothing.
    """
    outside = {one["address"]: one["change"] for one in plan.get("resource_drift", [])}
    changes = [one for one in plan.get("resource_changes", []) if one["change"]["actions"] not in _SKIPPED]
    harmless = all(one["change"]["actions"] in _IN_PLACE for one in changes)
    found = [finding for one in changes for finding in _of_resource(service, one, outside.get(one["address"]))]
    return [replace(finding, repairable=harmless) for finding in found]


def _of_resource(service: str, resource: Mapping[str, Any], outside: Mapping[str, Any] | None) -> Iterator[Finding]:
    address, change = resource["address"], resource["change"]
    whole = {
        ("create",): ("missing-resource", NOTHING, "there"),
        ("delete",): ("extra-resource", "there", NOTHING),
    }.get(tuple(change["actions"]))
    if whole:
        check, found, declared = whole
        note = BY_HAND if outside and outside["actions"] == ["delete"] else NOT_APPLIED
        yield Finding(FindingKind.INFRASTRUCTURE, check, service, address, found=found, declared=declared, note=note)
        return
    is_replaced = change["actions"] != ["update"]
    by_hand = {path for path, _, _ in differences(outside)} if outside else set()
    found_here = list(differences(change))
    if resource["type"] == "aws_launch_template" and any(path == "image_id" for path, _, _ in found_here):
        found_here = [one for one in found_here if not one[0].startswith(_IMAGE)]
    for path, found, declared in found_here:
        note = BY_HAND if path in by_hand else NOT_APPLIED
        yield Finding(
            FindingKind.INFRASTRUCTURE,
            "attribute",
            service,
            address,
            attribute=path,
            found=found,
            declared=declared,
            note=f"{note}; Terraform would replace the resource" if is_replaced else note,
        )


Difference = tuple[str, str, str]
"""A path, the value before and the value after."""


def differences(change: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield path, value before and value after of everything that a change of `show -json` changes.

    What AWS decides (known after the apply) is left out, and so is the difference between an empty value and none.
    Sensitive values are masked.
    """
    yield from _walk(
        "",
        change.get("before"),
        change.get("after"),
        change.get("after_unknown"),
        (change.get("before_sensitive"), change.get("after_sensitive")),
    )


def _walk(
    path: str, before: Any, after: Any, unknown: Any, sensitive: tuple[Any, Any]
) -> Iterator[tuple[str, str, str]]:
    if unknown is True or before == after or (_is_empty(before) and _is_empty(after)):
        return
    for key, name in _shared_parts(before, after):
        yield from _walk(
            f"{path}{name}".lstrip("."),
            _part(before, key),
            _part(after, key),
            _part(unknown, key),
            (_part(sensitive[0], key), _part(sensitive[1], key)),
        )
    if not _shared_parts(before, after):
        shown = [MASK if any(map(_has_true, sensitive)) else _text(value) for value in (before, after)]
        yield path, shown[0], shown[1]


def _shared_parts(before: Any, after: Any) -> list[tuple[Any, str]]:
    """Return the keys of two values that are compared part by part, with their names in a path."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [(key, f".{key}") for key in sorted({*before, *after})]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        are_blocks = all(isinstance(value, dict) for value in before)
        return [(index, f"[{index}]") for index in range(len(before))] if are_blocks else []
    return []


def _part(value: Any, key: Any) -> Any:
    if isinstance(value, dict):
        return value.get(key)
    if isinstance(value, list):
        return value[key] if isinstance(key, int) and key < len(value) else None
    return value if value is True else None


def _has_true(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_true, value.values()))
    return any(map(_has_true, value)) if isinstance(value, list) else value is True


def _is_empty(value: Any) -> bool:
    return value in (None, "", [], {})


def _text(value: Any) -> str:
    if _is_empty(value):
        return NOTHING
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
