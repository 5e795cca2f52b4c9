"""What a scaling policy would do to a group's desired capacity.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-simple-step.html
"""

import math
from collections.abc import Mapping
from typing import Any

from moto.autoscaling.exceptions import ValidationError

ADJUSTMENTS = frozenset({"ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity"})
REQUIRED = {
    "SimpleScaling": ("AdjustmentType", "ScalingAdjustment"),
    "StepScaling": ("AdjustmentType", "StepAdjustments"),
    "TargetTrackingScaling": ("TargetTrackingConfiguration",),
    "PredictiveScaling": ("PredictiveScalingConfiguration",),
}
"""Each type of policy, and what it cannot do without."""


def check_policy(request: Mapping[str, Any]) -> None:
    """Refuse a PutScalingPolicy that lacks what its type requires."""
    kind = request.get("PolicyType") or "SimpleScaling"
    if kind not in REQUIRED:
        raise ValidationError(f"Invalid policy type: {kind}")
    for name in REQUIRED[kind]:
        if request.get(name) in (None, [], {}):
            raise ValidationError(f"{name} is required for a policy of type {kind}.")
    adjustment = request.get("AdjustmentType")
    if "AdjustmentType" in REQUIRED[kind] and adjustment not in ADJUSTMENTS:
        raise ValidationError(f"Invalid adjustment type: {adjustment}")


def capacity_after(policy: Any, capacity: int, breach: float | None) -> int:
    """Return the desired capacity that a policy sets, before it is held within the group's sizes.

    A step policy needs the breach: how far its metric is above the alarm's threshold.
    """
    if policy.policy_type == "StepScaling":
        amount = _step(policy.step_adjustments, breach)
    elif policy.policy_type == "SimpleScaling":
        amount = int(policy.scaling_adjustment)
    else:
        raise ValidationError(f"A policy of type {policy.policy_type} cannot be executed.")
    if policy.adjustment_type == "ExactCapacity":
        return amount
    if policy.adjustment_type == "PercentChangeInCapacity":
        least = int(policy.min_adjustment_magnitude or 1)
        # Rounded towards zero, but never to less than one instance, or than the policy's least.
        change = max(math.floor(abs(capacity * amount) / 100), least if amount else 0)
        return capacity + (change if amount > 0 else -change)
    return capacity + amount


def _step(steps: Any, breach: float | None) -> int:
    if breach is None:
        raise ValidationError("MetricValue and BreachThreshold are required for a policy of type StepScaling.")
    for step in steps:
        lower = float(step.get("MetricIntervalLowerBound", -math.inf))
        upper = float(step.get("MetricIntervalUpperBound", math.inf))
        # The bound that is nearer to the threshold belongs to the step.
        if lower <= breach < upper if breach >= 0 else lower < breach <= upper:
            return int(step["ScalingAdjustment"])
    raise ValidationError("There is no step adjustment found for the given metric value and breach threshold.")
