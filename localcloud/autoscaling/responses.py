# ruff: noqa: SLF001 - moto's response class gives its parameters by private methods
"""Actions that moto lacks, and parameters that it drops, patched into moto's response class."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from moto.autoscaling import models as moto_models
from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import camelcase_to_underscores, get_service_model

from localcloud.adoption import answers, replace

from . import exceptions
from .activities import ScalingActivity
from .group import ManagedGroup
from .hooks import Hook
from .models import LocalAutoScalingBackend
from .pages import PAGES, paged
from .policies import check_policy
from .refresh import actions
from .settings import check_request

_moto_create: Callable[[Any], ActionResult] = AutoScalingResponse.create_auto_scaling_group
_moto_update: Callable[[Any], ActionResult] = AutoScalingResponse.update_auto_scaling_group
_moto_set_desired_capacity: Callable[[Any], ActionResult] = AutoScalingResponse.set_desired_capacity
_moto_put_scaling_policy: Callable[[Any], ActionResult] = AutoScalingResponse.put_scaling_policy


def _backend(response: Any) -> LocalAutoScalingBackend:
    backend: LocalAutoScalingBackend = response.autoscaling_backend
    return backend


def _group(response: Any) -> ManagedGroup:
    return _backend(response).group(response._get_param("AutoScalingGroupName"))


def _now(response: Any) -> float:
    return _backend(response).reconciler.clock()


def start_instance_refresh(self: Any) -> ActionResult:
    """StartInstanceRefresh."""
    return ActionResult({"InstanceRefreshId": actions.start(_group(self), self._get_params()).id})


def describe_instance_refreshes(self: Any) -> ActionResult:
    """DescribeInstanceRefreshes, newest first."""
    records = _group(self).refreshes.records(_now(self), self._get_param("InstanceRefreshIds", []))
    return ActionResult({"InstanceRefreshes": [record.describe() for record in records]})


def cancel_instance_refresh(self: Any) -> ActionResult:
    """CancelInstanceRefresh."""
    wait = self._get_bool_param("WaitForTransitioningInstances", True)
    return ActionResult({"InstanceRefreshId": actions.cancel(_group(self), _now(self), wait=wait).id})


def rollback_instance_refresh(self: Any) -> ActionResult:
    """RollbackInstanceRefresh."""
    return ActionResult({"InstanceRefreshId": actions.roll_back(_group(self), _now(self)).id})


def describe_scaling_activities(self: Any) -> ActionResult:
    """DescribeScalingActivities, newest first; moto leaves it empty."""
    backend, ids = _backend(self), self._get_param("ActivityIds", [])
    groups = [_group(self)] if self._get_param("AutoScalingGroupName") else backend.autoscaling_groups.values()
    found = [each for group in groups for each in group.scaling_activities if not ids or each.activity_id in ids]
    for one in self._get_param("Filters", []):
        found = [each for each in found if _passes(each, one["Name"], one["Values"])]
    found.sort(key=lambda activity: activity.start_time, reverse=True)
    return ActionResult({"Activities": found})


def _passes(activity: ScalingActivity, name: str, values: list[str]) -> bool:
    """Return whether an activity passes a filter of DescribeScalingActivities."""
    if name == "Status":
        return activity.status_code in values
    bound, start = datetime.fromisoformat(values[0]), activity.start_time
    return start >= bound if name == "StartTimeLowerBound" else start <= bound


def describe_auto_scaling_groups(self: Any) -> ActionResult:
    """DescribeAutoScalingGroups; moto's own pages cannot be turned off."""
    groups = _backend(self).describe_auto_scaling_groups(
        self._get_param("AutoScalingGroupNames", []), self._get_param("Filters", [])
    )
    return ActionResult({"AutoScalingGroups": groups})


def set_desired_capacity(self: Any) -> ActionResult:
    """SetDesiredCapacity, with HonorCooldown."""
    if self._get_bool_param("HonorCooldown", False):
        _backend(self).check_cooldown(_group(self))
    return _moto_set_desired_capacity(self)


def put_lifecycle_hook(self: Any) -> ActionResult:
    """PutLifecycleHook, which keeps what is given; moto invents a role and a target."""
    spec = {name: value for name, value in self._get_params().items() if name != "AutoScalingGroupName"}
    _backend(self).put_hook(self._get_param("AutoScalingGroupName"), spec)
    return EmptyResult()


def put_scaling_policy(self: Any) -> ActionResult:
    """PutScalingPolicy, with what each type requires."""
    check_policy(self._get_params())
    return _moto_put_scaling_policy(self)


def execute_policy(self: Any) -> ActionResult:
    """ExecutePolicy, for one group, with the steps of a step policy."""
    backend, name = _backend(self), self._get_param("PolicyName")
    policy = backend.policy(name, self._get_param("AutoScalingGroupName"))
    if policy is None:
        raise ValidationError(f"Policy {name} not found")
    metric, threshold = self._get_param("MetricValue"), self._get_param("BreachThreshold")
    breach = None if metric is None or threshold is None else float(metric) - float(threshold)
    backend.follow_policy(policy, breach, honors_cooldown=bool(self._get_bool_param("HonorCooldown", False)))
    return EmptyResult()


def delete_policy(self: Any) -> ActionResult:
    """DeletePolicy, of one group."""
    backend = _backend(self)
    policy = backend.policy(self._get_param("PolicyName"), self._get_param("AutoScalingGroupName"))
    if policy:
        backend.delete_policy(policy.arn)
    return EmptyResult()


def delete_auto_scaling_group(self: Any) -> ActionResult:
    """DeleteAutoScalingGroup, with ForceDelete."""
    force = bool(self._get_bool_param("ForceDelete", False))
    _backend(self).delete_auto_scaling_group(self._get_param("AutoScalingGroupName"), force=force)
    return EmptyResult()


def set_instance_health(self: Any) -> ActionResult:
    """SetInstanceHealth, with ShouldRespectGracePeriod."""
    backend = _backend(self)
    status = self._get_param("HealthStatus")
    if status not in {"Healthy", "Unhealthy"}:
        raise ValidationError("Valid instance health states are: [Healthy, Unhealthy].")
    instance = backend.managed(self._get_param("InstanceId"))
    respects_grace = self._get_bool_param("ShouldRespectGracePeriod", True)
    if status == "Healthy" or not respects_grace or backend.reconciler.grace_is_over(instance):
        instance.health_status = status  # an unhealthy one is replaced
    return EmptyResult()


def create_auto_scaling_group(self: Any) -> ActionResult:
    """CreateAutoScalingGroup, keeping what moto drops."""
    hooks = self._get_param("LifecycleHookSpecificationList", [])
    for hook in hooks:
        Hook("", hook)  # refuses a bad one before there is a group
    result: ActionResult = _moto_create(self)
    group = _group(self)
    for hook in hooks:
        _backend(self).put_hook(group.name, hook)
    # moto turns an absent, and an explicit zero, period into 300; the API's default is 0.
    group.health_check_grace_period = self._get_int_param("HealthCheckGracePeriod") or 0
    _keep_settings(self, group)
    return result


def update_auto_scaling_group(self: Any) -> ActionResult:
    """UpdateAutoScalingGroup, keeping what moto drops."""
    result: ActionResult = _moto_update(self)
    group = _group(self)
    _keep_settings(self, group)
    group.termination_policies = self._get_param("TerminationPolicies") or group.termination_policies
    return result


def _keep_settings(response: Any, group: ManagedGroup) -> None:
    cooldown = response._get_int_param("DefaultCooldown")
    if cooldown is not None:
        group.default_cooldown = cooldown
    group.capacity_rebalance = response._get_bool_param("CapacityRebalance", group.capacity_rebalance)
    warmup = response._get_int_param("DefaultInstanceWarmup")
    if warmup is not None:
        group.default_instance_warmup = None if warmup < 0 else warmup
    policy = response._get_param("InstanceMaintenancePolicy")
    if policy:
        group.instance_maintenance_policy = dict(policy)


def patch_responses() -> ExitStack:
    """Patch the actions in; closing the result restores moto's."""
    stack = ExitStack()
    for name, action in answers(sys.modules[__name__], AutoScalingResponse, "autoscaling").items():
        replace(stack, AutoScalingResponse, name, action)
    for action, page in PAGES.items():
        name = camelcase_to_underscores(action)
        replace(stack, AutoScalingResponse, name, paged(vars(AutoScalingResponse)[name], *page))
    for name, is_on_a_group in _every_action():
        replace(stack, AutoScalingResponse, name, _checked(name, vars(AutoScalingResponse)[name], is_on_a_group))
    replace(stack, moto_models, "FakeAutoScalingGroup", ManagedGroup)
    return stack


def _every_action() -> Iterator[tuple[str, bool]]:
    """Yield the method of each action, and whether the API's model requires the name of a group that exists."""
    model = get_service_model("autoscaling")
    for action in model.operation_names:
        name = camelcase_to_underscores(action)
        required = getattr(model.operation_model(action).input_shape, "required_members", ())
        if name in vars(AutoScalingResponse):
            yield name, "AutoScalingGroupName" in required and action != "CreateAutoScalingGroup"


def _checked(name: str, action: Callable[[Any], ActionResult], is_on_a_group: bool) -> Callable[[Any], ActionResult]:
    """Return an action that needs its group to exist and to stay, and whose errors are Auto Scaling's, not EC2's."""

    def checked(self: Any) -> ActionResult:
        if is_on_a_group:
            group = _group(self)
            if group.deleting and not name.startswith(("describe", "delete")):
                raise exceptions.group_in_deletion()
        check_request(_backend(self), name, self._get_params())
        try:
            return action(self)
        except AutoscalingClientError:
            raise
        except ServiceException as error:
            raise ValidationError(str(error.message)) from error

    return checked
