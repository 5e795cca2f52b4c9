"""Instance refreshes: their states, their preferences, what a deployment does next, and how a fleet fares.

Plain functions over what the Auto Scaling and Elastic Load Balancing APIs return.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from rebake.config import RolloutConfig
from rebake.exceptions import RolloutFailedError

SUCCESS_STATES: Final = ("Successful",)
FAILURE_STATES: Final = ("Failed", "Cancelled", "RollbackSuccessful", "RollbackFailed")
"""A refresh that was rolled back is a failed deployment, however well the rollback went."""
FORWARD_STATES: Final = ("Pending", "InProgress", "Baking")
"""Still on the way to the desired configuration."""
BACKWARD_STATES: Final = ("Cancelling", "RollbackInProgress")
"""Still active, so it blocks another refresh, but it no longer goes where it was sent."""
ACTIVE_STATES: Final = FORWARD_STATES + BACKWARD_STATES


class Reason(StrEnum):
    """Why a rollout did not end well; machines read it, so a value is never renamed."""

    TIMEOUT = "timeout"
    """The service's `rollout.timeout` is over and the refresh is still active."""
    FAILED = "failed"
    """AWS gave up on the refresh; the fleet may be mixed."""
    CANCELLED = "cancelled"
    """Someone cancelled the refresh; the fleet may be mixed."""
    ROLLED_BACK = "rolled_back"
    """The fleet is back on the version before."""
    ROLLBACK_FAILED = "rollback_failed"
    """AWS tried to roll back and could not; the fleet may be mixed."""
    UNHEALTHY = "unhealthy"
    """New instances were not healthy within the service's `rollout.unhealthy_deadline`."""
    ALARM = "alarm"
    """One of the service's `rollout.alarms` went off."""
    LOST = "lost"
    """AWS no longer knows the refresh, or the group."""
    SUPERSEDED = "superseded"
    """Someone else acquired the service's lease, as a rollback by hand does: not a failure to page anyone for."""


REASON_OF_STATE: Final = {
    "Failed": Reason.FAILED,
    "Cancelled": Reason.CANCELLED,
    "RollbackSuccessful": Reason.ROLLED_BACK,
    "RollbackFailed": Reason.ROLLBACK_FAILED,
}


@dataclass(frozen=True)
class Version:
    """A numbered version of a launch template."""

    launch_template_id: str
    number: str

    def __str__(self) -> str:
        return f"version {self.number} of {self.launch_template_id}"

    def matches(self, specification: Mapping[str, Any] | None) -> bool:
        """Return whether a LaunchTemplateSpecification, of a group, an instance or a refresh, names this version."""
        named = specification or {}
        same_template = named.get("LaunchTemplateId", self.launch_template_id) == self.launch_template_id
        return same_template and named.get("Version") == self.number


def preferences(rollout: RolloutConfig) -> dict[str, Any]:
    """Return RefreshPreferences for StartInstanceRefresh, whole: no field with a default in AWS is left to it.

    * With MaxHealthyPercentage left out AWS terminates and launches together, so the fleet dips.
    * AutoRollback goes back to the version that the group had, also when the pipeline is down by then.
    * SkipMatching keeps instances that already run the wanted version: a rollout that follows one that was
      broken off replaces only the rest. It compares launch template versions, as `is_rolled_out` does.
    * Instances that are protected from scale-in are replaced: a deployment that leaves an old version serving
      is none, and waiting for them, AWS's default, fails after an hour. Instances on standby serve nothing
      and someone parked them on purpose: they are left alone.
    * Checkpoints and alarms have no default: where there are none, AWS wants the fields left out.
    """
    chosen: dict[str, Any] = {
        "MinHealthyPercentage": rollout.min_healthy_percentage,
        "MaxHealthyPercentage": rollout.max_healthy_percentage,
        "InstanceWarmup": rollout.instance_warmup,
        "SkipMatching": rollout.skip_matching,
        "AutoRollback": rollout.auto_rollback,
        "ScaleInProtectedInstances": "Refresh",
        "StandbyInstances": "Ignore",
        "BakeTime": rollout.bake_time,
    }
    if rollout.checkpoints:
        chosen |= {"CheckpointPercentages": list(rollout.checkpoints), "CheckpointDelay": rollout.checkpoint_delay}
    if rollout.alarms:
        chosen["AlarmSpecification"] = {"Alarms": list(rollout.alarms)}
    return chosen


def desired_template(refresh: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the LaunchTemplateSpecification that a refresh goes to; none if it was started without one."""
    template: Mapping[str, Any] | None = refresh.get("DesiredConfiguration", {}).get("LaunchTemplate")
    return template


def wanted_version(refresh: Mapping[str, Any]) -> Version | None:
    """Return the numbered version that a refresh goes to; none if it was started without one."""
    template = desired_template(refresh) or {}
    known = template.get("LaunchTemplateId") and template.get("Version")
    return Version(template["LaunchTemplateId"], template["Version"]) if known else None


def active_refresh(refreshes: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the refresh that is active, of which a group has at most one.

    A status that no tuple above knows counts as active: AWS adds some, and an active refresh that is missed
    costs more than one too many.
    """
    done = SUCCESS_STATES + FAILURE_STATES
    return next((refresh for refresh in refreshes if refresh["Status"] not in done), None)


def adopt(refresh: Mapping[str, Any], wanted: Version, group_name: str) -> str:
    """Return the id of an active refresh that goes to the wanted version.

    Raises:
        RolloutFailedError: it goes elsewhere, or it no longer goes forward; `ending` names it then.
    """
    refresh_id: str = refresh["InstanceRefreshId"]
    template = desired_template(refresh)
    if wanted.matches(template) and refresh["Status"] not in BACKWARD_STATES:
        return refresh_id
    goal = f"version {template.get('Version')}" if template else "a configuration that is not named"
    raise RolloutFailedError(
        f"group {group_name}: instance refresh {refresh_id} to {goal} is {refresh['Status']} "
        f"({refresh.get('PercentageComplete', 0)} %), so none to {wanted} can start. Wait for it to end, or end it by "
        f"`aws autoscaling cancel-instance-refresh --auto-scaling-group-name {group_name}`; then clear this task.",
        ending=refresh_id if refresh["Status"] in BACKWARD_STATES else "",
    )


def leaves_the_group(instance: Mapping[str, Any]) -> bool:
    """Return whether an instance is leaving its group (Auto Scaling's LifecycleState)."""
    return str(instance["LifecycleState"]).startswith(("Terminat", "Detach"))


def is_rolled_out(group: Mapping[str, Any], wanted: Version) -> bool:
    """Return whether the group points at the wanted version and none of its instances runs another.

    A group that was just created may not have launched yet: what it launches will be right.
    """
    if not wanted.matches(group.get("LaunchTemplate")):
        return False
    serving = [instance for instance in group.get("Instances", []) if not leaves_the_group(instance)]
    return all(wanted.matches(instance.get("LaunchTemplate")) for instance in serving)


def progress(refresh: Mapping[str, Any]) -> str:
    """Return one line on how far a refresh is, for people: decisions are made on Status alone."""
    line = f"{refresh['Status']}: {refresh.get('PercentageComplete', 0)} % complete"
    if "InstancesToUpdate" in refresh:
        line += f", {refresh['InstancesToUpdate']} instances to update"
    reasons = [refresh.get("StatusReason"), refresh.get("RollbackDetails", {}).get("RollbackReason")]
    return ": ".join([line, *dict.fromkeys(filter(None, reasons))])


@dataclass
class FleetHealth:
    """How the instances of a group are, by Auto Scaling and by the load balancer.

    Attributes:
        desired: the group's desired capacity.
        instances: `{"instance_id", "lifecycle", "health", "launch_template_version"}` of each.
        targets: `{"instance_id", "state", "reason"}` of each registration with a target group.
        has_load_balancer: whether the group registers its instances with a target group.
    """

    desired: int = 0
    instances: list[dict[str, Any]] = field(default_factory=list)
    targets: list[dict[str, Any]] = field(default_factory=list)
    has_load_balancer: bool = False

    @classmethod
    def of(cls, group: Mapping[str, Any], target_health: Sequence[Mapping[str, Any]]) -> FleetHealth:
        """Return the fleet that DescribeAutoScalingGroups and DescribeTargetHealth describe."""
        return cls(
            desired=group["DesiredCapacity"],
            instances=[
                {
                    "instance_id": instance["InstanceId"],
                    "lifecycle": instance["LifecycleState"],
                    "health": instance["HealthStatus"],
                    "launch_template_version": (instance.get("LaunchTemplate") or {}).get("Version", ""),
                }
                for instance in group.get("Instances", [])
                if not leaves_the_group(instance)
            ],
            targets=[
                {
                    "instance_id": one["Target"]["Id"],
                    "state": one["TargetHealth"]["State"],
                    "reason": one["TargetHealth"].get("Reason", ""),
                    "description": one["TargetHealth"].get("Description", ""),
                }
                for one in target_health
            ],
            has_load_balancer=bool(group.get("TargetGroupARNs")),
        )

    def problems(self, launch_template_version: str = "") -> list[str]:
        """Return what keeps the fleet from being well, each a phrase; empty when it is.

        Args:
            launch_template_version: launch template version that each instance must run, if given.
        """
        found = []
        in_service = [one for one in self.instances if one["lifecycle"] == "InService"]
        if len(in_service) < self.desired:
            found.append(f"{len(in_service)} of {self.desired} instances are in service")
        for instance in in_service:
            if launch_template_version and instance["launch_template_version"] != launch_template_version:
                version = instance["launch_template_version"] or "unknown"
                found.append(f"{instance['instance_id']} runs launch template version {version}")
            found.extend(self.ailments(instance["instance_id"]))
        return found

    def ailments(self, instance_id: str) -> list[str]:
        """Return what keeps one instance from serving, each a phrase; empty when it serves."""
        found = []
        for instance in self.instances:
            if instance["instance_id"] != instance_id:
                continue
            if instance["lifecycle"] != "InService":
                return [f"{instance_id} is {instance['lifecycle']}"]
            if instance["health"] != "Healthy":
                found.append(f"{instance_id} is {instance['health']}")
        targets = [one for one in self.targets if one["instance_id"] == instance_id]
        if self.has_load_balancer and not targets:
            found.append(f"{instance_id} is not registered with the load balancer")
        found.extend(
            " ".join(f"{instance_id} is {one['state']} {one['reason']} {one['description']}".split())
            for one in targets
            if one["state"] != "healthy"
        )
        return found
