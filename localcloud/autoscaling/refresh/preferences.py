"""Preferences of a refresh: checks, and defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.autoscaling.exceptions import ValidationError

from localcloud.autoscaling import exceptions

from .arithmetic import Bounds
from .checkpoints import DEFAULT_DELAY, Checkpoints

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_MINIMUM = 90
MOST_ALARMS = 10


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
    """Check the preferences of a request and fill in the defaults: the group's warm-up and maintenance policy."""
    checkpoints = _checkpoints(requested)
    alarms = tuple((requested.get("AlarmSpecification") or {}).get("Alarms") or ())
    if len(alarms) > MOST_ALARMS:  # which the model does not say
        must = f"have length less than or equal to {MOST_ALARMS}"
        raise exceptions.constraint_error("preferences.alarmSpecification.alarms", list(alarms), must)
    bounds = _bounds(requested, policy)
    warmup = requested["InstanceWarmup"] if requested.get("InstanceWarmup") is not None else warmup
    wire = {
        **{name: value for name, value in requested.items() if value != []},
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
