"""moto's Auto Scaling backend, where calls set the desired state and the reconciler acts on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from moto.autoscaling.models import AutoScalingBackend

from .exceptions import (
    CapacityOutOfBoundsError,
    ConfigurationLockedError,
    GroupExistsError,
    GroupInUseError,
    GroupNotFoundError,
    InstanceNotFoundError,
    ValidationError,
)
from .group import IN_SERVICE, STANDBY, ManagedGroup, ManagedInstance
from .refresh import actions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .activities import ScalingActivity
    from .reconciler import Reconciler
    from .refresh.models import InstanceRefresh

BY_REQUEST = "an instance was taken out of service in response to a user request."


class LocalAutoScalingBackend(AutoScalingBackend):
    """Keeps moto's records."""

    autoscaling_groups: dict[str, ManagedGroup]  # type: ignore[assignment]
    reconciler: ClassVar[Reconciler]
    clock: ClassVar[Callable[[], float]]

    @property
    def _url_module(self) -> Any:
        from moto.autoscaling import urls

        return urls

    def group(self, name: str) -> ManagedGroup:
        """Return a group.

        Raises:
            GroupNotFoundError: There is none of that name.
        """
        group = self.autoscaling_groups.get(name)
        if group is None:
            raise GroupNotFoundError(name)
        return group

    def managed(self, instance_id: str) -> ManagedInstance:
        """Return an instance of any group.

        Raises:
            InstanceNotFoundError: No group has it.
        """
        for group in self.autoscaling_groups.values():
            found = group.find(instance_id)
            if found:
                return found
        raise InstanceNotFoundError(instance_id)

    # Groups

    def create_auto_scaling_group(self, name: str, *args: Any, **kwargs: Any) -> ManagedGroup:
        """Record a group; its instances follow."""
        if name in self.autoscaling_groups:
            raise GroupExistsError(name)
        minimum, maximum = int(kwargs.get("min_size") or 0), int(kwargs.get("max_size") or 0)
        desired = kwargs.get("desired_capacity")
        if desired is not None and not minimum <= int(desired) <= maximum:
            raise ValidationError(
                f"Desired capacity:{desired} must be between the specified min size:{minimum} and max size:{maximum}"
            )
        return super().create_auto_scaling_group(name, *args, **kwargs)  # type: ignore[return-value]

    def update_auto_scaling_group(self, name: str, *args: Any, **kwargs: Any) -> ManagedGroup:
        """Change a group's desired state.

        Raises:
            ConfigurationLockedError: The template is to change while a refresh to a desired configuration is active.
        """
        group = self.group(name)
        templates = ("launch_config_name", "launch_template", "mixed_instances_policy")
        refresh = group.refreshes.active if group.refreshes else None
        if refresh and refresh.locks_configuration and any(kwargs.get(option) for option in templates):
            raise ConfigurationLockedError
        minimum, maximum = kwargs.get("min_size"), kwargs.get("max_size")
        minimum = group.min_size or 0 if minimum is None else minimum
        maximum = group.max_size or 0 if maximum is None else maximum
        desired = kwargs.get("desired_capacity")
        if desired is None:
            # moto compares with the instances that exist; AWS moves the desired capacity.
            desired = min(max(group.desired_capacity or 0, minimum), maximum)
        if not minimum <= desired <= maximum:
            raise ValidationError(
                f"Desired capacity:{desired} must be between the specified min size:{minimum} and max size:{maximum}"
            )
        kwargs["desired_capacity"] = desired
        return super().update_auto_scaling_group(name, *args, **kwargs)  # type: ignore[return-value]

    def set_desired_capacity(self, group_name: str, desired_capacity: int | None) -> None:
        """Change the desired capacity within the group's sizes."""
        group = self.group(group_name)
        minimum, maximum = group.min_size or 0, group.max_size or 0
        desired = minimum if desired_capacity is None else desired_capacity
        if not minimum <= desired <= maximum:
            raise CapacityOutOfBoundsError(desired, minimum, maximum)
        group.set_desired_capacity(desired)

    def delete_auto_scaling_group(self, group_name: str, *, force: bool = False) -> None:
        """Delete a group; with force its instances go first, and until then it is described as being deleted.

        A refresh under way ends with it: the API names no error for that.

        Raises:
            GroupInUseError: It has instances, or wants some, and force was not requested.
        """
        group = self.group(group_name)
        if not force and (group.instance_states or group.desired_capacity):
            raise GroupInUseError
        group.deleting = True
        actions.end_with_group(group, type(self).clock())
        group.min_size = 0
        group.set_desired_capacity(0)
        for instance in list(group.instance_states):
            self.reconciler.retire(instance, BY_REQUEST, drain=False)
        if not group.instance_states:
            group.forget()

    # Instances

    def attach_instances(self, group_name: str, instance_ids: list[str]) -> None:
        """Attach running instances to a group, which raises its desired capacity."""
        group = self.group(group_name)
        wanted = (group.desired_capacity or 0) + len(instance_ids)
        if wanted > (group.max_size or 0):
            raise CapacityOutOfBoundsError(wanted, group.min_size or 0, group.max_size or 0)
        for instance_id in instance_ids:
            instance = self.ec2_backend.get_instance(instance_id)
            self.ec2_backend.create_tags([instance_id], {"aws:autoscaling:groupName": group.name})
            group.instance_states.append(ManagedInstance(instance, group, launched_at=type(self).clock()))
        group.set_desired_capacity(wanted)

    def detach_instances(self, group_name: str, instance_ids: list[str], should_decrement: bool) -> list[Any]:
        """Detach instances without terminating them."""
        group = self.group(group_name)
        done: list[ScalingActivity] = []
        for instance_id in instance_ids:
            instance = self._member(group, instance_id)
            for arn in sorted(instance.registered):
                self.reconciler.traffic.deregister(arn, instance_id)
            group.instance_states.remove(instance)
            self.ec2_backend.delete_tags([instance_id], {"aws:autoscaling:groupName": group.name})
            activity = group.record(
                f"Detaching EC2 instance: {instance_id}", "an instance was detached in response to a user request."
            )
            activity.finish()
            done.append(activity)
            if should_decrement:
                group.set_desired_capacity((group.desired_capacity or 0) - 1)
        return [activity.describe() for activity in done]

    def terminate_instance(self, instance_id: str, should_decrement: bool) -> Any:
        """Drain and terminate an instance, which is replaced unless the capacity shrinks with it."""
        instance = self.managed(instance_id)
        group = instance.auto_scaling_group
        if should_decrement:
            self.set_desired_capacity(group.name, (group.desired_capacity or 0) - 1)
        self.reconciler.retire(instance, BY_REQUEST)
        return instance.activity.describe() if instance.activity else {}

    def set_instance_health(self, instance_id: str, health_status: str) -> None:
        """Overrule an instance's health; an unhealthy one is replaced."""
        self.managed(instance_id).health_status = health_status

    def in_grace(self, instance: ManagedInstance) -> bool:
        """Return whether an instance's health check grace period is still running."""
        return not self.reconciler.grace_is_over(instance.auto_scaling_group, instance)

    def notify_terminate_instances(self, instance_ids: list[str]) -> None:
        """Leave instances that were terminated directly to the next health check."""

    def enter_standby_instances(self, group_name: str, instance_ids: list[str], should_decrement: bool) -> list[Any]:
        """Put instances aside: they get no traffic and no health check."""
        return self._move(group_name, instance_ids, STANDBY, -1 if should_decrement else 0)

    def exit_standby_instances(self, group_name: str, instance_ids: list[str]) -> list[Any]:
        """Return instances to service."""
        return self._move(group_name, instance_ids, IN_SERVICE, 1)

    def _move(self, group_name: str, instance_ids: list[str], state: str, change: int) -> list[Any]:
        group = self.group(group_name)
        moved = []
        for instance_id in instance_ids:
            instance = self._member(group, instance_id)
            instance.lifecycle_state = state
            group.set_desired_capacity((group.desired_capacity or 0) + change)
            where = "to StandBy" if state == STANDBY else "out of StandBy"
            activity = group.record(
                f"Moving EC2 instance {where}: {instance_id}",
                f"instance {instance_id} was moved {where.lower()} in response to a user request.",
            )
            activity.finish()
            moved.append(activity.describe())
        return moved

    def _member(self, group: ManagedGroup, instance_id: str) -> ManagedInstance:
        instance = group.find(instance_id)
        if instance is None:
            raise InstanceNotFoundError(instance_id)
        return instance

    # Target groups: the reconciler registers and deregisters

    def update_attached_target_groups(self, group_name: str) -> None:
        """Leave registration to the reconciler."""

    def detach_load_balancer_target_groups(self, group_name: str, target_group_arns: list[str]) -> None:
        """Note that a group no longer belongs to target groups."""
        group = self.group(group_name)
        group.target_group_arns = [arn for arn in group.target_group_arns if arn not in target_group_arns]

    # Activities and refreshes

    def describe_scaling_activities(self, group_name: str | None, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return what groups launched and terminated, newest first."""
        groups = [self.group(group_name)] if group_name else list(self.autoscaling_groups.values())
        found = [each for group in groups for each in group.scaling_activities if not ids or each.activity_id in ids]
        found.sort(key=lambda activity: activity.start_time, reverse=True)
        return [activity.describe() for activity in found]

    def start_instance_refresh(
        self,
        group_name: str,
        strategy: str | None,
        desired: Mapping[str, Any] | None,
        preferences: Mapping[str, Any],
    ) -> InstanceRefresh:
        """Begin a refresh; see `refresh.actions`."""
        engine = self.reconciler.refreshes
        return actions.start(self.group(group_name), strategy, desired, preferences, engine, type(self).clock())

    def describe_instance_refreshes(
        self, group_name: str, ids: Sequence[str], token: str | None, page: int | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return refreshes, newest first; see `refresh.actions`."""
        return actions.describe(self.group(group_name), ids, token, page, type(self).clock())

    def cancel_instance_refresh(self, group_name: str, *, wait: bool) -> InstanceRefresh:
        """Cancel the active refresh; see `refresh.actions`."""
        return actions.cancel(self.group(group_name), type(self).clock(), wait=wait)

    def rollback_instance_refresh(self, group_name: str) -> InstanceRefresh:
        """Roll the active refresh back; see `refresh.actions`."""
        return actions.roll_back(self.group(group_name), self.reconciler.refreshes, type(self).clock())
