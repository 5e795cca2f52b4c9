"""moto's Auto Scaling backend, where calls set the desired state and the reconciler acts on it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeLaunchConfiguration, FakeScalingPolicy, FakeScheduledAction

from localcloud.adoption import AdoptedBackend

from . import exceptions
from .group import IN_SERVICE, STANDBY, ManagedGroup, ManagedInstance
from .hooks import Hook
from .policies import capacity_after
from .refresh import actions
from .settings import check, check_sizes, check_tags

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .reconciler import Reconciler

BY_REQUEST = "an instance was taken out of service in response to a user request."


class LocalAutoScalingBackend(AdoptedBackend, AutoScalingBackend):
    """Keeps moto's records."""

    autoscaling_groups: dict[str, ManagedGroup]  # type: ignore[assignment]
    reconciler: ClassVar[Reconciler]

    def group(self, name: str) -> ManagedGroup:
        """Return a group that exists."""
        if name not in self.autoscaling_groups:
            raise exceptions.group_not_found(name)
        return self.autoscaling_groups[name]

    def managed(self, instance_id: str) -> ManagedInstance:
        """Return an instance of any group."""
        found = next(filter(None, (group.find(instance_id) for group in self.autoscaling_groups.values())), None)
        if found is None:
            raise exceptions.instance_not_found(instance_id)
        return found

    # Groups

    def create_auto_scaling_group(self, name: str, *args: Any, **kwargs: Any) -> ManagedGroup:
        """Record a group; its instances follow."""
        if name in self.autoscaling_groups:
            raise exceptions.group_exists(name)
        if ":" in name:
            raise ValidationError("The name of an Auto Scaling group must not contain a colon.")
        check_sizes(kwargs["min_size"] or 0, kwargs["max_size"] or 0, kwargs["desired_capacity"])
        check_tags(kwargs["tags"])
        check(self, kwargs)
        return super().create_auto_scaling_group(name, *args, **kwargs)  # type: ignore[return-value]

    def update_auto_scaling_group(self, name: str, *args: Any, **kwargs: Any) -> ManagedGroup:
        """Change a group's desired state."""
        group = self.group(name)
        templates = ("launch_config_name", "launch_template", "mixed_instances_policy")
        refresh = group.refreshes.active
        if refresh and refresh.desired and any(kwargs.get(option) for option in templates):
            raise exceptions.configuration_locked()
        minimum, maximum = kwargs.get("min_size"), kwargs.get("max_size")
        minimum = group.min_size or 0 if minimum is None else minimum
        maximum = group.max_size or 0 if maximum is None else maximum
        desired = kwargs.get("desired_capacity")
        if desired is None:
            # moto compares with the instances that exist; AWS moves the desired capacity.
            desired = min(max(group.desired_capacity or 0, minimum), maximum)
        check_sizes(minimum, maximum, desired)
        check(self, kwargs)
        kwargs["desired_capacity"] = desired
        policy = group.mixed_instances_policy
        super().update_auto_scaling_group(name, *args, **kwargs)
        if not any(kwargs.get(option) for option in templates):
            group.mixed_instances_policy = policy  # moto drops it
        return group

    def set_desired_capacity(self, group_name: str, desired_capacity: int | None) -> None:
        """Change the desired capacity within the group's sizes."""
        group = self.group(group_name)
        minimum, maximum = group.min_size or 0, group.max_size or 0
        desired = minimum if desired_capacity is None else desired_capacity
        if not minimum <= desired <= maximum:
            bound = f"above max value {maximum}" if desired > maximum else f"below min value {minimum}"
            raise ValidationError(f"New SetDesiredCapacity value {desired} is {bound} for the AutoScalingGroup.")
        group.set_desired_capacity(desired)

    def check_cooldown(self, group: ManagedGroup) -> None:
        """Refuse to scale during a scaling activity or the group's cooldown after it."""
        since = group.scaled_at
        if group.is_scaling or (since is not None and self.reconciler.clock() - since < group.default_cooldown):
            raise exceptions.scaling_in_progress(f"A scaling activity or cooldown of {group.name} is in progress.")

    def delete_auto_scaling_group(self, group_name: str, *, force: bool = False) -> None:
        """Delete a group; with force its instances go first, and until then it is described as being deleted.

        A refresh under way ends with it: the API names no error for that.
        """
        group = self.group(group_name)
        if not force and group.is_scaling:
            raise exceptions.scaling_in_progress(
                "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group."
            )
        if not force and group.instance_states:
            raise exceptions.group_in_use()
        group.deleting = True
        actions.end_with_group(group, self.reconciler.clock())
        group.min_size = 0
        group.set_desired_capacity(0)
        for instance in list(group.instance_states):
            self.reconciler.retire(instance, BY_REQUEST, drain=False)
        if not group.instance_states:
            self.forget(group_name)

    def forget(self, group_name: str) -> None:
        """Remove a group, and its policies, scheduled actions and hooks."""
        self.autoscaling_groups.pop(group_name, None)
        mine: tuple[dict[str, Any], ...] = (self.policies, self.scheduled_actions, self.lifecycle_hooks)
        for records in mine:
            for key, record in list(records.items()):
                if record.auto_scaling_group_name == group_name:
                    del records[key]

    # Launch configurations

    def create_launch_configuration(self, name: str, *args: Any, **kwargs: Any) -> FakeLaunchConfiguration:
        """Record a launch configuration; none is ever replaced."""
        if name in self.launch_configurations:
            raise exceptions.configuration_exists(name)
        return super().create_launch_configuration(name, *args, **kwargs)

    def delete_launch_configuration(self, launch_configuration_name: str) -> None:
        """Delete a launch configuration that no group uses."""
        if launch_configuration_name not in self.launch_configurations:
            raise exceptions.configuration_not_found(launch_configuration_name)
        for group in self.autoscaling_groups.values():
            if getattr(group.launch_config, "name", None) == launch_configuration_name:
                raise exceptions.configuration_in_use(launch_configuration_name, group.name)
        super().delete_launch_configuration(launch_configuration_name)

    # Policies and scheduled actions: moto keeps one of each name, where AWS has one in each group

    def put_scaling_policy(self, *args: Any, **kwargs: Any) -> FakeScalingPolicy:
        """Record a policy."""
        policy = super().put_scaling_policy(*args, **kwargs)
        self.policies[policy.arn] = self.policies.pop(policy.name)
        return policy

    def policy(self, name: str, group_name: str | None) -> FakeScalingPolicy | None:
        """Return the policy of that name or ARN, of a group if one is given."""
        for policy in self.policies.values():
            if name in {policy.name, policy.arn} and group_name in {None, policy.auto_scaling_group_name}:
                return policy
        return None

    def follow_policy(self, policy: FakeScalingPolicy, breach: float | None, *, honors_cooldown: bool) -> None:
        """Set the capacity that a policy wants, held within the group's sizes."""
        group = self.group(policy.auto_scaling_group_name)
        wanted = capacity_after(policy, group.desired_capacity or 0, breach)
        if honors_cooldown:
            self.check_cooldown(group)
        group.set_desired_capacity(min(max(wanted, group.min_size or 0), group.max_size or 0))

    def put_scheduled_update_group_action(self, name: str, **settings: Any) -> FakeScheduledAction:  # type: ignore[override] # called by keywords
        """Record a scheduled action."""
        sizes = [settings[size] for size in ("min_size", "max_size", "desired_capacity")]
        if all(size is None for size in sizes):
            raise ValidationError("At least one of MinSize, MaxSize and DesiredCapacity is required.")
        start = settings["start_time"]
        if isinstance(start, datetime) and start.astimezone(UTC) < datetime.now(UTC):
            raise ValidationError("Given start time is in the past")
        action = super().put_scheduled_update_group_action(name, **settings)
        key = action.scheduled_action_name
        self.scheduled_actions[f"{name}/{key}"] = self.scheduled_actions.pop(key)
        return action

    def delete_scheduled_action(self, auto_scaling_group_name: str, scheduled_action_name: str) -> None:
        """Delete a scheduled action."""
        if self.scheduled_actions.pop(f"{auto_scaling_group_name}/{scheduled_action_name}", None) is None:
            raise ValidationError("Scheduled action name not found")

    def put_hook(self, group_name: str, spec: Mapping[str, Any]) -> None:
        """Record a lifecycle hook, or change what is given of one."""
        key = f"{group_name}_{spec['LifecycleHookName']}"
        known = self.lifecycle_hooks.get(key)
        self.lifecycle_hooks[key] = Hook(group_name, {**getattr(known, "spec", {}), **spec})

    # Tags and processes

    def create_or_update_tags(self, tags: list[dict[str, str]]) -> None:
        """Tag groups, all or none of them."""
        for name in {tag.get("ResourceId") or "" for tag in tags}:
            if name not in self.autoscaling_groups:
                raise ValidationError(f"AutoScalingGroup not found - AutoScaling Group {name} not found")
            check_tags([tag for tag in tags if tag["ResourceId"] == name], self.autoscaling_groups[name].tags)
        super().create_or_update_tags(tags)

    def delete_tags(self, tags: list[dict[str, str]]) -> None:
        """Remove tags of groups that exist."""
        for tag in tags:
            self.group(tag.get("ResourceId") or "")
        super().delete_tags(tags)

    def describe_tags(self, filters: list[dict[str, Any]]) -> list[dict[str, str]]:
        """Return tags; moto compares whether they are propagated with Python's words."""
        for each in filters:
            if each["Name"] == "propagate-at-launch":
                each["Values"] = [value.capitalize() for value in each.get("Values", [])]
        return super().describe_tags(filters)

    # Instances

    def attach_instances(self, group_name: str, instance_ids: list[str]) -> None:
        """Attach running instances to a group, which raises its desired capacity."""
        group = self.group(group_name)
        wanted = (group.desired_capacity or 0) + len(instance_ids)
        if wanted > (group.max_size or 0):
            raise exceptions.sizes_forbid(group, "attach", len(instance_ids))
        instances = [self._free_instance(instance_id, group) for instance_id in instance_ids]
        for instance in instances:
            self.ec2_backend.create_tags([instance.id], {"aws:autoscaling:groupName": group.name})
            protects = group.new_instances_protected_from_scale_in
            managed = ManagedInstance(instance, group, self.reconciler.clock(), protected_from_scale_in=protects)
            group.instance_states.append(managed)
        group.set_desired_capacity(wanted)

    def _free_instance(self, instance_id: str, group: ManagedGroup) -> Any:
        """Return an instance that may be attached: it runs, in one of the group's zones and in no group."""
        instance = self.ec2_backend.get_instance_by_id(instance_id)
        if instance is None:
            raise ValidationError(f"Invalid Instance ID(s): [{instance_id}]")
        if instance.state != "running":
            raise ValidationError(f"Instance {instance_id} is not in the running state: it is {instance.state}.")
        if instance.placement.zone not in group.availability_zones:
            raise ValidationError(f"Instance {instance_id} is in {instance.placement.zone}, where the group is not.")
        for other in self.autoscaling_groups.values():
            if other.find(instance_id):
                raise ValidationError(f"Instance {instance_id} is already part of Auto Scaling group {other.name}.")
        return instance

    def detach_instances(self, group_name: str, instance_ids: list[str], should_decrement: bool) -> list[Any]:
        """Detach instances without terminating them."""
        group = self.group(group_name)
        instances = self._members(group, instance_ids, {IN_SERVICE, STANDBY})
        if should_decrement:
            _check_decrement(group, "detach", len([each for each in instances if each.lifecycle_state == IN_SERVICE]))
        done = []
        for instance in instances:
            instance_id = instance.instance_id
            for arn in sorted(instance.registered):
                self.reconciler.traffic.deregister(arn, instance_id)
            group.instance_states.remove(instance)
            self.ec2_backend.delete_tags([instance_id], {"aws:autoscaling:groupName": group.name})
            why = "an instance was detached in response to a user request."
            done.append(group.record(f"Detaching EC2 instance: {instance_id}", why).finish())
            if should_decrement and instance.lifecycle_state == IN_SERVICE:  # one on standby does not count
                group.set_desired_capacity((group.desired_capacity or 0) - 1)
        return done

    def terminate_instance(self, instance_id: str, should_decrement: bool) -> Any:
        """Drain and terminate an instance, which is replaced unless the capacity shrinks with it."""
        instance = self.managed(instance_id)
        group = instance.auto_scaling_group
        desired, minimum = group.desired_capacity or 0, group.min_size or 0
        if should_decrement and instance.lifecycle_state != STANDBY:
            if desired <= minimum:
                raise exceptions.minimum_forbids(minimum)
            group.set_desired_capacity(desired - 1)
        self.reconciler.retire(instance, BY_REQUEST)
        return instance.activity or {}

    def notify_terminate_instances(self, instance_ids: list[str]) -> None:
        """Leave instances that were terminated directly to the next health check."""

    def enter_standby_instances(self, group_name: str, instance_ids: list[str], should_decrement: bool) -> list[Any]:
        """Put instances aside: they get no traffic and no health check."""
        group = self.group(group_name)
        if should_decrement:
            _check_decrement(group, "place into standby", len(instance_ids))
        return self._move(group, instance_ids, STANDBY, -1 if should_decrement else 0)

    def exit_standby_instances(self, group_name: str, instance_ids: list[str]) -> list[Any]:
        """Return instances to service."""
        group = self.group(group_name)
        if (group.desired_capacity or 0) + len(instance_ids) > (group.max_size or 0):
            raise exceptions.sizes_forbid(group, "take out of standby", len(instance_ids))
        return self._move(group, instance_ids, IN_SERVICE, 1)

    def _move(self, group: ManagedGroup, instance_ids: list[str], state: str, change: int) -> list[Any]:
        moved = []
        for instance in self._members(group, instance_ids, {STANDBY if state == IN_SERVICE else IN_SERVICE}):
            instance_id = instance.instance_id
            instance.lifecycle_state = state
            group.set_desired_capacity((group.desired_capacity or 0) + change)
            where = "to StandBy" if state == STANDBY else "out of StandBy"
            why = f"instance {instance_id} was moved {where.lower()} in response to a user request."
            moved.append(group.record(f"Moving EC2 instance {where}: {instance_id}", why).finish())
        return moved

    def set_instance_protection(
        self, group_name: str, instance_ids: list[str], protected_from_scale_in: bool | None
    ) -> None:
        """Protect instances of the group, all or none of them."""
        self._members(self.group(group_name), instance_ids)
        super().set_instance_protection(group_name, instance_ids, protected_from_scale_in)

    def _members(
        self, group: ManagedGroup, instance_ids: list[str], states: Collection[str] = ()
    ) -> list[ManagedInstance]:
        """Return instances of a group."""
        members = []
        for instance_id in instance_ids:
            instance = group.find(instance_id)
            if instance is None:
                raise exceptions.not_a_member(instance_id, group.name)
            if states and instance.lifecycle_state not in states:
                raise ValidationError(
                    f"The instance {instance_id} is not in {' or '.join(sorted(states))}: it is "
                    f"{instance.lifecycle_state}."
                )
            members.append(instance)
        return members

    # Target groups: the reconciler registers and deregisters

    def update_attached_target_groups(self, group_name: str) -> None:
        """Leave registration to the reconciler."""

    def detach_load_balancer_target_groups(self, group_name: str, target_group_arns: list[str]) -> None:
        """Note that a group no longer belongs to target groups."""
        group = self.group(group_name)
        group.target_group_arns = [arn for arn in group.target_group_arns if arn not in target_group_arns]


def _check_decrement(group: ManagedGroup, what: str, count: int) -> None:
    if (group.desired_capacity or 0) - count < (group.min_size or 0):
        raise exceptions.sizes_forbid(group, what, count)
