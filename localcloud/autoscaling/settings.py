"""What AWS refuses of a group's settings, before anything changes. Keys are moto's names of the API's parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from moto.autoscaling.exceptions import ValidationError
from moto.core.exceptions import ServiceException

from . import exceptions
from .templates import check_launchable, find_template

if TYPE_CHECKING:
    from moto.autoscaling.models import AutoScalingBackend

HEALTH_CHECKS = frozenset({"EC2", "EBS", "ELB", "VPC_LATTICE"})
PROCESSES = frozenset(
    {"Launch", "Terminate", "AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck", "InstanceRefresh"}
    | {"ReplaceUnhealthy", "ScheduledActions"}
)
POLICIES = frozenset(
    {"Default", "AllocationStrategy", "ClosestToNextInstanceHour", "NewestInstance", "OldestInstance"}
    | {"OldestLaunchConfiguration", "OldestLaunchTemplate"}
)
"""Of termination."""
NOT_EMULATED = ("AvailabilityZoneIds", "InstanceLifecyclePolicy", "MaxInstanceLifetime", "TrafficSources")
"""Parameters that moto drops, although a caller would count on them."""
MOST_TAGS = 50
NO_TARGETS = "Provided {} may not be valid. Please ensure they exist and try again."
MOST_INSTANCES = {"attach_instances": 20, "detach_instances": 20, "describe_auto_scaling_instances": 50}
"""Instances that one request may name."""
FILTERS = {
    "describe_auto_scaling_groups": {"tag-key", "tag-value", "tag:"},
    "describe_scaling_activities": {"StartTimeLowerBound", "StartTimeUpperBound", "Status"},
    "describe_tags": {"auto-scaling-group", "key", "propagate-at-launch", "value"},
}
"""What lists are filtered by."""


def check(backend: AutoScalingBackend, settings: dict[str, Any]) -> None:
    """Refuse settings of a group that name what does not exist; subnets may have blanks beside their commas."""
    subnets = settings["vpc_zone_identifier"]
    settings["vpc_zone_identifier"] = subnets and ",".join(subnet.strip() for subnet in subnets.split(","))
    _check_source(backend, settings)
    _check_zones_and_subnets(backend, settings)
    unknown = set((settings.get("health_check_type") or "EC2").split(",")) - HEALTH_CHECKS
    if unknown:
        raise ValidationError(f"Invalid Health Check Type: {', '.join(sorted(unknown))}")


def check_sizes(minimum: int, maximum: int, desired: int | None) -> None:
    """Refuse sizes that contradict each other."""
    sizes = (("minSize", minimum), ("maxSize", maximum), ("desiredCapacity", desired or 0))
    for name, size in sizes:
        if size < 0:
            raise exceptions.constraint_error(name, size, "have value greater than or equal to 0")
    if minimum > maximum:
        raise ValidationError(f"Max bound, {maximum}, must be greater than or equal to min bound, {minimum}")
    if desired is not None and not minimum <= desired <= maximum:
        raise ValidationError(
            f"Desired capacity:{desired} must be between the specified min size:{minimum} and max size:{maximum}"
        )


def check_request(backend: AutoScalingBackend, action: str, request: Mapping[str, Any]) -> None:
    """Refuse parameters that would be dropped, and what does not exist, where any action names it."""
    _check_emulated(request)
    processes = set(request.get("ScalingProcesses", [])) - PROCESSES
    if processes:
        raise ValidationError(f"Invalid process: {', '.join(sorted(processes))}")
    named, most = len(request.get("InstanceIds", [])), MOST_INSTANCES.get(action)
    if most and named > most:
        raise ValidationError(f"At most {most} instances may be specified, not {named}.")
    if action in FILTERS:
        _check_filters(FILTERS[action], request.get("Filters", []))
    if action.startswith(("attach", "create")):
        groups = backend.elbv2_backend.target_groups
        for arn in request.get("TargetGroupARNs", []):
            if arn not in groups or groups[arn].target_type != "instance":
                raise ValidationError(NO_TARGETS.format("Target Groups"))
        if not set(request.get("LoadBalancerNames", [])) <= set(backend.elb_backend.load_balancers):
            raise ValidationError(NO_TARGETS.format("Load Balancers"))


def _check_filters(allowed: set[str], filters: Sequence[Mapping[str, Any]]) -> None:
    for name in (str(each.get("Name")) for each in filters):
        if name not in allowed and not ("tag:" in allowed and name.startswith("tag:")):
            raise ValidationError(
                f"Filter type {name} is not correct. Allowed Filter types are: {' '.join(sorted(allowed))}"
            )


def _check_emulated(request: Mapping[str, Any]) -> None:
    for name in NOT_EMULATED:
        if request.get(name):
            raise exceptions.not_emulated(name)
    if request.get("DeletionProtection", "none") != "none":
        raise exceptions.not_emulated("DeletionProtection")
    unknown = [policy for policy in request.get("TerminationPolicies") or () if policy not in POLICIES]
    if any(policy.startswith("arn:") for policy in unknown):
        raise exceptions.not_emulated("a termination policy of your own")
    if unknown:
        raise ValidationError(f"Invalid termination policy: {', '.join(unknown)}")


def check_tags(tags: Sequence[Mapping[str, Any]], present: Sequence[Mapping[str, Any]] = ()) -> None:
    """Refuse tags that a group cannot have, beside those that it has."""
    for tag in tags:
        if str(tag["Key"]).lower().startswith("aws:"):
            raise ValidationError(f"Tag keys that begin with aws: are reserved: {tag['Key']}")
        if tag.get("ResourceType") not in {None, "auto-scaling-group"}:
            raise ValidationError(f"{tag['ResourceType']} is not a valid resource type.")
    if len({tag["Key"] for tag in (*tags, *present)}) > MOST_TAGS:
        raise exceptions.limit_exceeded(f"A group may have at most {MOST_TAGS} tags.")


def _check_source(backend: AutoScalingBackend, settings: Mapping[str, Any]) -> None:
    configuration = settings.get("launch_config_name")
    if configuration and configuration not in backend.launch_configurations:
        raise exceptions.configuration_not_found(configuration)
    policy = (settings.get("mixed_instances_policy") or {}).get("LaunchTemplate") or {}
    spec = settings.get("launch_template") or policy.get("LaunchTemplateSpecification")
    if spec:
        check_launchable(find_template(spec, backend.ec2_backend), backend.ec2_backend)


def _check_zones_and_subnets(backend: AutoScalingBackend, settings: Mapping[str, Any]) -> None:
    known = {zone.name for zone in backend.ec2_backend.describe_availability_zones()}
    unknown = set(settings.get("availability_zones") or ()) - known
    if unknown:
        raise ValidationError(f"Invalid availability zones: [{', '.join(sorted(unknown))}]")
    if settings.get("vpc_zone_identifier"):
        try:
            backend.ec2_backend.describe_subnets(subnet_ids=settings["vpc_zone_identifier"].split(","))
        except ServiceException as error:
            raise ValidationError(str(error.message)) from error
