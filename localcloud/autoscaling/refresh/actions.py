"""The four actions of the API: checks before anything changes, in AWS's codes and texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException

from localcloud.autoscaling.exceptions import (
    AutoRollbackWithoutTargetError,
    IrreversibleRefreshError,
    NotEmulatedError,
    RefreshInProgressError,
    RefreshNotFoundError,
    ValidationError,
    constraint_errors,
)
from localcloud.autoscaling.templates import template_of_desired, template_of_group

from .models import CAN_CANCEL, CAN_ROLL_BACK, InstanceRefresh, RefreshLog, Status
from .preferences import effective

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localcloud.autoscaling.group import ManagedGroup

    from .engine import RefreshEngine

STRATEGIES = ("Rolling", "ReplaceRootVolume")


def start(
    group: ManagedGroup,
    strategy: str | None,
    desired: Mapping[str, Any] | None,
    preferences: Mapping[str, Any],
    engine: RefreshEngine,
    now: float,
) -> InstanceRefresh:
    """Begin a refresh of a group.

    Args:
        group: The group.
        strategy: `Rolling`, or None for it.
        desired: What instances are replaced by; None for the group's own configuration.
        preferences: As in the request.
        engine: Knows the alarms.
        now: The clock.
    """
    strategy = strategy or "Rolling"
    _check_strategy(strategy)
    in_effect = effective(preferences, group.instance_warmup, group.instance_maintenance_policy or {})
    original = template_of_group(group)
    target = template_of_desired(desired, group.ec2_backend) if desired else original
    if in_effect.auto_rollback:
        if not desired:
            raise AutoRollbackWithoutTargetError
        obstacle = _obstacle_to_rollback(group)
        if obstacle:
            raise ValidationError(f"AutoRollback cannot be enabled: {obstacle}")
    if in_effect.skip_matching and target is None:
        raise ValidationError("SkipMatching cannot be used with a launch configuration.")
    _check_alarms(in_effect.alarms, group, engine)
    if group.refreshes is None:
        group.refreshes = RefreshLog()
    if group.refreshes.active:
        raise RefreshInProgressError
    refresh = InstanceRefresh(group.name, in_effect, strategy, desired, target, original, now)
    refresh.instances_to_update = len(group.alive)
    group.refreshes.add(refresh)
    return refresh


def describe(group: ManagedGroup, ids: Sequence[str], now: float) -> list[dict[str, Any]]:
    """Return a group's refreshes, newest first."""
    return [record.describe() for record in group.refreshes.records(now, ids)] if group.refreshes else []


def cancel(group: ManagedGroup, now: float, *, wait: bool) -> InstanceRefresh:
    """Cancel the active refresh or rollback.

    Args:
        group: The group.
        now: The clock.
        wait: Whether launches and terminations under way are waited for.
    """
    refresh = group.refreshes.active if group.refreshes else None
    if refresh is None:
        raise RefreshNotFoundError("in progress, baking, pending, or cancelling", group.name)
    if refresh.status in CAN_CANCEL:  # one that is already cancelling continues
        refresh.cancel_waits = wait
        refresh.enter(Status.CANCELLING, now, "Cancelling due to user request.")
    return refresh


def roll_back(group: ManagedGroup, engine: RefreshEngine, now: float) -> InstanceRefresh:
    """Roll the active refresh back."""
    refresh = group.refreshes.active if group.refreshes else None
    if refresh is None or refresh.status not in CAN_ROLL_BACK:
        raise RefreshNotFoundError("in progress or baking", group.name)
    obstacle = (
        "it was started without a desired configuration." if not refresh.desired else _obstacle_to_rollback(group)
    )
    if obstacle:
        raise IrreversibleRefreshError(obstacle)
    engine.roll_back(refresh, now, "Rollback triggered due to user request.")
    return refresh


def end_with_group(group: ManagedGroup, now: float) -> None:
    """Cancel the active refresh, if any, of a group that is being deleted."""
    refresh = group.refreshes.active if group.refreshes else None
    if refresh is None:
        return
    reason = "Cancelled because the Auto Scaling group is being deleted."
    if refresh.status in CAN_CANCEL:
        refresh.enter(Status.CANCELLING, now, reason)
    refresh.enter(Status.CANCELLED, now, reason)


def _check_strategy(strategy: str) -> None:
    if strategy not in STRATEGIES:
        raise constraint_errors(("strategy", strategy, f"satisfy enum value set: [{', '.join(STRATEGIES)}]"))
    if strategy != "Rolling":
        raise NotEmulatedError(f"Strategy {strategy}")


def _check_alarms(names: Sequence[str], group: ManagedGroup, engine: RefreshEngine) -> None:
    # What AWS does with an unknown name is not documented; accepting it would leave the refresh unguarded.
    unknown = [name for name in names if engine.alarm_state(group, name) is None]
    if unknown:
        raise ValidationError(f"There is no CloudWatch alarm {', '.join(unknown)} to guard the instance refresh.")


def _obstacle_to_rollback(group: ManagedGroup) -> str | None:
    """Return why the group's saved template could not be returned to, or None when it could."""
    saved = template_of_group(group)
    if saved is None:
        return "the Auto Scaling group uses a launch configuration."
    if not saved.is_pinned:
        return f"the Auto Scaling group's launch template version is {saved.version}, not a version number."
    try:
        image = str(saved.resolve(group.ec2_backend).image_id)
    except ServiceException as error:
        return str(error.message)
    if image.startswith("resolve:ssm:"):
        return "the Auto Scaling group's launch template names an SSM parameter instead of an AMI ID."
    return None
