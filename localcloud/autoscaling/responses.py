# ruff: noqa: SLF001 - moto's response class gives its parameters by private methods
"""Actions that moto lacks, and parameters that it drops, patched into moto's response class."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from moto.autoscaling import models as moto_models
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from .exceptions import InvalidNextTokenError, ValidationError
from .group import ManagedGroup
from .models import LocalAutoScalingBackend

LARGEST_PAGE = 100

_moto_create: Callable[[Any], ActionResult] = AutoScalingResponse.create_auto_scaling_group
_moto_update: Callable[[Any], ActionResult] = AutoScalingResponse.update_auto_scaling_group


def _backend(response: Any) -> LocalAutoScalingBackend:
    backend: LocalAutoScalingBackend = response.autoscaling_backend
    return backend


def _group_name(response: Any) -> str:
    return str(response._get_param("AutoScalingGroupName") or "")


def start_instance_refresh(self: Any) -> ActionResult:
    """StartInstanceRefresh."""
    refresh = _backend(self).start_instance_refresh(
        _group_name(self),
        self._get_param("Strategy"),
        self._get_param("DesiredConfiguration"),
        self._get_param("Preferences") or {},
    )
    return ActionResult({"InstanceRefreshId": refresh.id})


def describe_instance_refreshes(self: Any) -> ActionResult:
    """DescribeInstanceRefreshes."""
    records, token = _backend(self).describe_instance_refreshes(
        _group_name(self),
        self._get_param("InstanceRefreshIds", []),
        self._get_param("NextToken"),
        self._get_int_param("MaxRecords"),
    )
    return ActionResult({"InstanceRefreshes": records, "NextToken": token})


def cancel_instance_refresh(self: Any) -> ActionResult:
    """CancelInstanceRefresh."""
    wait = self._get_bool_param("WaitForTransitioningInstances", True)
    return ActionResult({"InstanceRefreshId": _backend(self).cancel_instance_refresh(_group_name(self), wait=wait).id})


def rollback_instance_refresh(self: Any) -> ActionResult:
    """RollbackInstanceRefresh."""
    return ActionResult({"InstanceRefreshId": _backend(self).rollback_instance_refresh(_group_name(self)).id})


def describe_scaling_activities(self: Any) -> ActionResult:
    """DescribeScalingActivities, which moto leaves empty."""
    activities = _backend(self).describe_scaling_activities(
        self._get_param("AutoScalingGroupName"), self._get_param("ActivityIds", [])
    )
    size = min(self._get_int_param("MaxRecords") or LARGEST_PAGE, LARGEST_PAGE)
    first = 0
    token = self._get_param("NextToken")
    if token:
        known = [activity["ActivityId"] for activity in activities]
        if token not in known:
            raise InvalidNextTokenError(token)
        first = known.index(token)
    following = activities[first + size]["ActivityId"] if len(activities) > first + size else None
    return ActionResult({"Activities": activities[first : first + size], "NextToken": following})


def delete_auto_scaling_group(self: Any) -> ActionResult:
    """DeleteAutoScalingGroup, with ForceDelete."""
    force = bool(self._get_bool_param("ForceDelete", False))
    _backend(self).delete_auto_scaling_group(_group_name(self), force=force)
    return EmptyResult()


def set_instance_health(self: Any) -> ActionResult:
    """SetInstanceHealth, with ShouldRespectGracePeriod."""
    backend = _backend(self)
    status = self._get_param("HealthStatus")
    if status not in {"Healthy", "Unhealthy"}:
        raise ValidationError("Valid instance health states are: [Healthy, Unhealthy].")
    instance = backend.managed(self._get_param("InstanceId"))
    respects_grace = self._get_bool_param("ShouldRespectGracePeriod", True)
    if status == "Unhealthy" and respects_grace and backend.in_grace(instance):
        return EmptyResult()
    backend.set_instance_health(instance.instance_id, status)
    return EmptyResult()


def create_auto_scaling_group(self: Any) -> ActionResult:
    """CreateAutoScalingGroup, keeping what moto drops."""
    result: ActionResult = _moto_create(self)
    group = _backend(self).group(_group_name(self))
    # moto turns an absent, and an explicit zero, period into 300; the API's default is 0.
    group.health_check_grace_period = self._get_int_param("HealthCheckGracePeriod") or 0
    _keep_settings(self, group)
    return result


def update_auto_scaling_group(self: Any) -> ActionResult:
    """UpdateAutoScalingGroup, keeping what moto drops."""
    result: ActionResult = _moto_update(self)
    group = _backend(self).group(_group_name(self))
    _keep_settings(self, group)
    cooldown = self._get_int_param("DefaultCooldown")
    if cooldown is not None:
        group.default_cooldown = cooldown
    group.termination_policies = self._get_param("TerminationPolicies") or group.termination_policies
    return result


def _keep_settings(response: Any, group: ManagedGroup) -> None:
    warmup = response._get_int_param("DefaultInstanceWarmup")
    if warmup is not None:
        group.default_instance_warmup = None if warmup < 0 else warmup
    policy = response._get_param("InstanceMaintenancePolicy")
    if policy:
        group.instance_maintenance_policy = dict(policy)


ACTIONS = (
    start_instance_refresh,
    describe_instance_refreshes,
    cancel_instance_refresh,
    rollback_instance_refresh,
    describe_scaling_activities,
    delete_auto_scaling_group,
    set_instance_health,
    create_auto_scaling_group,
    update_auto_scaling_group,
)


def patch_responses() -> ExitStack:
    """Patch the actions in; closing the result restores moto's."""
    stack = ExitStack()
    for action in ACTIONS:
        _replace(stack, AutoScalingResponse, action.__name__, action)
    _replace(stack, moto_models, "FakeAutoScalingGroup", ManagedGroup)
    return stack


def _replace(stack: ExitStack, owner: Any, name: str, value: Any) -> None:
    if name in vars(owner):
        stack.callback(setattr, owner, name, vars(owner)[name])
    else:
        stack.callback(delattr, owner, name)
    setattr(owner, name, value)
