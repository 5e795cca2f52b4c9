"""What the API does with refreshes: checks before anything changes, in AWS's codes and texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.autoscaling.exceptions import ValidationError
from moto.core.exceptions import ServiceException
from moto.core.utils import get_service_model

from localcloud.autoscaling import exceptions
from localcloud.autoscaling.templates import find_template, template_of_group
from localcloud.validation import sentences, violations

from .models import CAN_CANCEL, CAN_ROLL_BACK, InstanceRefresh, Status
from .preferences import effective

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.autoscaling.group import ManagedGroup


def start(group: ManagedGroup, request: Mapping[str, Any]) -> InstanceRefresh:
    """Begin a refresh of a group, by the parameters of StartInstanceRefresh."""
    shape = get_service_model("autoscaling").shape_for("StartInstanceRefreshType")
    if broken := list(violations(shape, request)):
        raise ValidationError(sentences(broken))
    if request.get("Strategy", "Rolling") != "Rolling":
        raise exceptions.not_emulated(f"Strategy {request['Strategy']}")
    policy = group.instance_maintenance_policy or {}
    in_effect = effective(request.get("Preferences") or {}, group.instance_warmup, policy)
    desired = request.get("DesiredConfiguration")
    original = template_of_group(group)
    if desired and desired.get("MixedInstancesPolicy"):
        raise exceptions.not_emulated("DesiredConfiguration.MixedInstancesPolicy")
    target = find_template(desired.get("LaunchTemplate") or {}, group.ec2_backend) if desired else original
    if in_effect.auto_rollback:
        if not desired:
            raise exceptions.auto_rollback_without_target()
        obstacle = _obstacle_to_rollback(group)
        if obstacle:
            raise ValidationError(f"AutoRollback cannot be enabled: {obstacle}")
    if in_effect.skip_matching and target is None:
        raise ValidationError("SkipMatching cannot be used with a launch configuration.")
    # What AWS does with an unknown name is not documented; accepting it would leave the refresh unguarded.
    unknown = [
        name for name in in_effect.alarms if group.autoscaling_backend.reconciler.alarm_state(group, name) is None
    ]
    if unknown:
        raise ValidationError(f"There is no CloudWatch alarm {', '.join(unknown)} to guard the instance refresh.")
    if group.refreshes.active:
        raise exceptions.refresh_in_progress()
    refresh = InstanceRefresh(group.name, in_effect, desired, target, original)
    refresh.instances_to_update = len(group.alive)
    group.refreshes.add(refresh)
    return refresh


def cancel(group: ManagedGroup, now: float, *, wait: bool) -> InstanceRefresh:
    """Cancel the active refresh or rollback, once launches and terminations under way are over if that is to wait."""
    refresh = group.refreshes.active
    if refresh is None:
        raise exceptions.refresh_not_found("in progress, baking, pending, or cancelling", group.name)
    if refresh.status in CAN_CANCEL:  # one that is already cancelling continues
        refresh.cancel_waits = wait
        refresh.enter(Status.CANCELLING, now, "Cancelling due to user request.")
    return refresh


def roll_back(group: ManagedGroup, now: float) -> InstanceRefresh:
    """Roll the active refresh back."""
    refresh = group.refreshes.active
    if refresh is None or refresh.status not in CAN_ROLL_BACK:
        raise exceptions.refresh_not_found("in progress or baking", group.name)
    obstacle = (
        "it was started without a desired configuration." if not refresh.desired else _obstacle_to_rollback(group)
    )
    if obstacle:
        raise exceptions.irreversible_refresh(obstacle)
    refresh.enter(Status.ROLLBACK_IN_PROGRESS, now, "Rollback triggered due to user request.")
    return refresh


def end_with_group(group: ManagedGroup, now: float) -> None:
    """Cancel the active refresh, if any, of a group that is being deleted."""
    refresh = group.refreshes.active
    if refresh is None:
        return
    reason = "Cancelled because the Auto Scaling group is being deleted."
    if refresh.status in CAN_CANCEL:
        refresh.enter(Status.CANCELLING, now, reason)
    refresh.enter(Status.CANCELLED, now, reason)


def _obstacle_to_rollback(group: ManagedGroup) -> str | None:
    """Return why the group's saved template could not be returned to, or None when it could."""
    saved = template_of_group(group)
    if saved is None:
        return "the Auto Scaling group uses a launch configuration."
    if not saved.version.isdecimal():
        return f"the Auto Scaling group's launch template version is {saved.version}, not a version number."
    try:
        image = str(saved.resolve(group.ec2_backend).image_id)
    except ServiceException as error:
        return str(error.message)
    if image.startswith("resolve:ssm:"):
        return "the Auto Scaling group's launch template names an SSM parameter instead of an AMI ID."
    return None
