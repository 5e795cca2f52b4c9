"""Preferences of a refresh: checks, and defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from localcloud.autoscaling.exceptions import ValidationError, constraint_errors

from .arithmetic import Bounds
from .checkpoints import DEFAULT_DELAY, Checkpoints

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_MINIMUM = 90
MOST_ALARMS = 10
LONGEST_ALARM_NAME = 255
RANGES = {
    "MinHealthyPercentage": (0, 100),
    "MaxHealthyPercentage": (100, 200),
    "InstanceWarmup": (0, None),
    "BakeTime": (0, 172800),
    "CheckpointDelay": (0, 172800),
}
CHOICES = {
    "ScaleInProtectedInstances": ("Ignore", "Wait", "Refresh"),
    "StandbyInstances": ("Terminate", "Ignore", "Wait"),
}


@dataclass(frozen=True)
class Preferences:
    """The preferences that are in effect; times in seconds."""

    bounds: Bounds
    instance_warmup: int
    skip_matching: bool = False
    auto_rollback: bool = False
    bake_time: int = 0
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    alarms: tuple[str, ...] = ()
    scale_in_protected: str = "Wait"
    standby: str = "Wait"
    wire: dict[str, Any] = field(default_factory=dict)  # as DescribeInstanceRefreshes echoes them


def effective(requested: Mapping[str, Any], warmup: int, policy: Mapping[str, int]) -> Preferences:
    """Check the preferences of a request and fill in the defaults.

    Args:
        requested: As in the request.
        warmup: The group's own warm-up, in seconds.
        policy: The group's instance maintenance policy; empty when it has none.
    """
    _check_values(requested)
    checkpoints = _checkpoints(requested)
    alarms = tuple((requested.get("AlarmSpecification") or {}).get("Alarms") or ())
    bounds = _bounds(requested, policy)
    warmup = requested["InstanceWarmup"] if requested.get("InstanceWarmup") is not None else warmup
    wire = {name: value for name, value in requested.items() if name in {*RANGES, *CHOICES}}
    wire |= {
        "MinHealthyPercentage": bounds.minimum,
        "InstanceWarmup": warmup,
        "SkipMatching": bool(requested.get("SkipMatching")),
        "AutoRollback": bool(requested.get("AutoRollback")),
        "AlarmSpecification": {"Alarms": list(alarms)} if alarms else {},
    }
    if checkpoints.percentages:
        wire |= {"CheckpointPercentages": list(checkpoints.percentages), "CheckpointDelay": checkpoints.delay}
    if bounds.maximum is not None:
        wire["MaxHealthyPercentage"] = bounds.maximum
    return Preferences(
        bounds=bounds,
        instance_warmup=warmup,
        skip_matching=wire["SkipMatching"],
        auto_rollback=wire["AutoRollback"],
        bake_time=requested.get("BakeTime") or 0,
        checkpoints=checkpoints,
        alarms=alarms,
        scale_in_protected=requested.get("ScaleInProtectedInstances") or "Wait",
        standby=requested.get("StandbyInstances") or "Wait",
        wire=wire,
    )


def _bounds(requested: Mapping[str, Any], policy: Mapping[str, int]) -> Bounds:
    minimum, maximum = requested.get("MinHealthyPercentage"), requested.get("MaxHealthyPercentage")
    if maximum is not None and minimum is None:
        raise ValidationError("MaxHealthyPercentage requires MinHealthyPercentage.")
    # A value of -1 in a policy means that it was removed.
    policy = {name: value for name, value in policy.items() if value >= 0}
    if minimum is None:
        minimum = policy.get("MinHealthyPercentage", DEFAULT_MINIMUM)
    if maximum is None:
        maximum = policy.get("MaxHealthyPercentage")
    if maximum is not None and maximum - minimum > 100:
        raise ValidationError(
            f"The difference between MaxHealthyPercentage ({maximum}) and MinHealthyPercentage ({minimum}) "
            "cannot be greater than 100."
        )
    return Bounds(minimum, maximum)


def _checkpoints(requested: Mapping[str, Any]) -> Checkpoints:
    percentages = tuple(requested.get("CheckpointPercentages") or ())
    delay = requested.get("CheckpointDelay")
    if not percentages:
        if delay is not None:
            raise ValidationError("CheckpointDelay requires CheckpointPercentages.")
        return Checkpoints()
    if list(percentages) != sorted(set(percentages)):
        raise ValidationError(f"CheckpointPercentages must be unique and in ascending order, not {list(percentages)}.")
    return Checkpoints(percentages, DEFAULT_DELAY if delay is None else delay)


def _check_values(requested: Mapping[str, Any]) -> None:
    violations: list[tuple[str, object, str]] = []
    for name, (least, most) in RANGES.items():
        value = requested.get(name)
        if value is None:
            continue
        if value < least:
            violations.append((_member(name), value, f"have value greater than or equal to {least}"))
        elif most is not None and value > most:
            violations.append((_member(name), value, f"have value less than or equal to {most}"))
    for name, choices in CHOICES.items():
        value = requested.get(name)
        if value is not None and value not in choices:
            violations.append((_member(name), value, f"satisfy enum value set: [{', '.join(choices)}]"))
    violations += _list_violations(requested)
    if violations:
        raise constraint_errors(*violations)


def _list_violations(requested: Mapping[str, Any]) -> list[tuple[str, object, str]]:
    violations: list[tuple[str, object, str]] = []
    percentages = requested.get("CheckpointPercentages") or []
    if any(not 1 <= each <= 100 for each in percentages):
        violations.append(_of_members("checkpointPercentages", percentages, "value", 100))
    alarms = (requested.get("AlarmSpecification") or {}).get("Alarms") or []
    if any(not 1 <= len(each) <= LONGEST_ALARM_NAME for each in alarms):
        violations.append(_of_members("alarmSpecification.alarms", alarms, "length", LONGEST_ALARM_NAME))
    if len(alarms) > MOST_ALARMS:
        listed = f"[{', '.join(alarms)}]"
        must = f"have length less than or equal to {MOST_ALARMS}"
        violations.append(("preferences.alarmSpecification.alarms", listed, must))
    return violations


def _of_members(name: str, values: list[Any], what: str, most: int) -> tuple[str, object, str]:
    written = ", ".join(str(value) for value in values)
    musts = f"Member must have {what} less than or equal to {most}, Member must have {what} greater than or equal to 1"
    return f"preferences.{name}", f"[{written}]", f"satisfy constraint: [{musts}]"


def _member(name: str) -> str:
    return f"preferences.{name[0].lower()}{name[1:]}"
