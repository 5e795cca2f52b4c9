"""Auto Scaling groups and their instances: moto's records, without moto's immediate launching and terminating."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.autoscaling.models import FakeAutoScalingGroup

from .activities import KEPT, ScalingActivity
from .refresh.models import Mark, RefreshLog

PENDING = "Pending"
IN_SERVICE = "InService"
STANDBY = "Standby"
TERMINATING = "Terminating"


@dataclass(eq=False)
class ManagedInstance:
    """An instance of a group; moto's `InstanceState`, knowing what it was launched from and when."""

    instance: Any
    auto_scaling_group: ManagedGroup
    launched_at: float
    launch_template: dict[str, str] | None = None
    launch_configuration_name: str | None = None
    lifecycle_state: str = PENDING
    health_status: str = "Healthy"
    protected_from_scale_in: bool | None = False
    in_service_at: float | None = None
    mark: Mark | None = None
    activity: ScalingActivity | None = None
    registered: set[str] = field(default_factory=set)  # target groups
    skip_draining: bool = False
    terminate_sent: bool = False

    def __post_init__(self) -> None:
        """Set what the API reports of it by other names."""
        self.instance_id: str = self.instance.id
        self.auto_scaling_group_name: str = self.auto_scaling_group.name
        self.availability_zone: str = self.instance.placement.zone

    @property
    def instance_type(self) -> str:
        """EC2's instance type."""
        return str(self.instance.instance_type)

    @property
    def image_id(self) -> str:
        """The image that it was launched from."""
        return str(self.instance.image_id)

    @property
    def is_alive(self) -> bool:
        """Whether it counts towards the group's capacity."""
        return self.lifecycle_state in {PENDING, IN_SERVICE}


class ManagedGroup(FakeAutoScalingGroup):
    """A group whose instances the reconciler launches and terminates; calls only change the desired state."""

    instance_states: list[ManagedInstance]  # type: ignore[assignment]
    autoscaling_backend: Any  # ours, whose module imports this one

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Set before moto's constructor, which ends by setting the capacity.
        self.scaling_activities: list[ScalingActivity] = []
        self.refreshes = RefreshLog()
        self.default_instance_warmup: int | None = None
        self.instance_maintenance_policy: dict[str, int] | None = None
        self.deleting = False
        self.launch_failures = 0
        self.launch_again_at = 0.0
        self.scaled_at: float | None = None
        super().__init__(*args, **kwargs)

    @property
    def status(self) -> str | None:
        """What DescribeAutoScalingGroups reports while the group is being deleted."""
        return "Delete in progress" if self.deleting else None

    def set_desired_capacity(self, new_capacity: int | None) -> None:
        """Set the number of desired instances."""
        self.desired_capacity = (self.min_size or 0) if new_capacity is None else new_capacity

    @property
    def instance_warmup(self) -> int:
        """Seconds that a new instance warms up in a refresh that does not set them."""
        if self.default_instance_warmup is not None:
            return self.default_instance_warmup
        return self.health_check_grace_period or 0

    @property
    def alive(self) -> list[ManagedInstance]:
        """The instances that count towards the capacity."""
        return [instance for instance in self.instance_states if instance.is_alive]

    @property
    def is_scaling(self) -> bool:
        """Whether a scaling activity is in progress, or about to begin."""
        if any(activity.end_time is None for activity in self.scaling_activities):
            return True
        waits = self.launch_failures or self.is_suspended("Launch")
        return len(self.alive) < (self.desired_capacity or 0) and not waits

    def instance_type_by(self, version: Any) -> str:
        """Return the type to launch a launch template version in: of the group's first override, or its own."""
        policy = (self.mixed_instances_policy or {}).get("LaunchTemplate") or {}
        overrides = [each["InstanceType"] for each in policy.get("Overrides") or () if each.get("InstanceType")]
        chosen: str = overrides[0] if overrides else version.instance_type
        return chosen

    def find(self, instance_id: str) -> ManagedInstance | None:
        """Return one of the group's instances."""
        return next((each for each in self.instance_states if each.instance_id == instance_id), None)

    def is_suspended(self, process: str) -> bool:
        """Return whether one of the group's processes is suspended."""
        return process in self._suspended_processes

    def record(self, description: str, why: str) -> ScalingActivity:
        """Begin a scaling activity."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        activity = ScalingActivity(self.name, description, f"At {now} {why}")
        self.scaling_activities.insert(0, activity)
        del self.scaling_activities[KEPT:]
        return activity

    def _set_launch_configuration(
        self, launch_config_name: str, launch_template: dict[str, Any], mixed_instances_policy: dict[str, Any] | None
    ) -> None:
        """Set what instances are launched from, instead of what was; moto would keep both."""
        if launch_config_name:
            self.ec2_launch_template = self.mixed_instances_policy = None
        if launch_template or mixed_instances_policy:
            self.launch_config = self.launch_configuration_name = None  # type: ignore[assignment]
        super()._set_launch_configuration(launch_config_name, launch_template, mixed_instances_policy)

    def save_template(self, template: dict[str, str]) -> None:
        """Make a launch template the group's own, as a successful refresh does."""
        spec = {"LaunchTemplateId": template["LaunchTemplateId"], "Version": template["Version"]}
        self._set_launch_configuration("", spec, None)
