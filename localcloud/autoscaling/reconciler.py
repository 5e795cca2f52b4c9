"""Reconciles groups: launches, registers, watches, drains and terminates instances, and steps refreshes."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from moto.core.exceptions import ServiceException

from localcloud.exceptions import LocalCloudError
from localcloud.faults.fleet import stalls

from .compute import GONE, Compute, Traffic
from .group import IN_SERVICE, PENDING, TERMINATING, ManagedGroup, ManagedInstance
from .refresh.engine import RefreshEngine
from .templates import template_of_group

if TYPE_CHECKING:
    from contextlib import ExitStack

    from localcloud.cloud import Cloud

    from .refresh.models import Mark
    from .templates import TemplateRef

log = logging.getLogger(__name__)

PERIOD = 0.5  # seconds between two rounds
FIRST_RETRY = 5.0  # seconds after a launch that failed; doubled each time
LONGEST_RETRY = 60.0
TAKES_TRAFFIC = frozenset({"healthy", "unused", "unavailable"})  # unused: no load balancer checks it

GONE_BY_ITSELF = (
    "an instance was taken out of service in response to an EC2 health check indicating it has been terminated or "
    "stopped."
)
FAILED_TARGET = "an instance was taken out of service in response to an ELB system health check failure."
SET_UNHEALTHY = "an instance was taken out of service in response to a user health-check."


def _by_version(instance: ManagedInstance) -> tuple[float, float]:
    """AWS's default policy, as far as it is emulated: the oldest launch template version, then the oldest."""
    version = int(instance.launch_template["Version"]) if instance.launch_template else 0
    return version, instance.launched_at


ORDERS: dict[str, Callable[[ManagedInstance], tuple[float, float]]] = {
    "NewestInstance": lambda instance: (-instance.launched_at, 0),
    "OldestInstance": lambda instance: (instance.launched_at, 0),
}
"""Which instance leaves first, for the termination policies that are no other way of saying the default."""


class Reconciler:
    """One thread that compares each group with its desired state and takes the next step."""

    def __init__(self, cloud: Cloud, compute: Compute, patches: ExitStack) -> None:
        self._cloud = cloud
        self._compute = compute
        self._patches = patches
        self.traffic = Traffic(cloud)
        self.clock = cloud.clock
        self._refreshes = RefreshEngine(self)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, name="auto-scaling", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and restore moto's backends; instances stay as they are."""
        self._ended.set()
        if self._thread:
            self._thread.join()
        self._patches.close()

    def reset(self) -> None:
        """Do nothing: groups are moto's records."""

    def alarm_state(self, group: ManagedGroup, name: str) -> str | None:
        """Return the state of the CloudWatch alarm of that name beside a group, or None without one."""
        alarm = self._cloud.backend("cloudwatch", group.account_id, group.region).alarms.get(name)
        return alarm.state_value if alarm else None

    def _run(self) -> None:
        while not self._ended.wait(PERIOD):
            try:
                self.tick()
            except Exception:
                log.exception("reconciling a group failed; continuing")

    def tick(self) -> None:
        """Reconcile every group once; one that fails does not keep the others waiting."""
        failed: list[Exception] = []
        with self._cloud.lock:
            for backend in self._cloud.backends("autoscaling"):
                for group in list(backend.autoscaling_groups.values()):
                    try:
                        self._tend(group)
                    except Exception as error:  # noqa: BLE001 -- raised below
                        failed.append(error)
        if failed:
            raise ExceptionGroup("groups were not reconciled", failed)

    def _tend(self, group: ManagedGroup) -> None:
        for instance in list(group.instance_states):
            if instance.lifecycle_state == TERMINATING:
                self._see_out(group, instance)
            elif instance.lifecycle_state == PENDING:
                self._see_in(group, instance)
            else:
                self._check_health(group, instance)
                self._follow_target_groups(group, instance)
        if group.deleting:
            if not group.instance_states:
                group.autoscaling_backend.forget(group.name)
            return
        refresh = group.refreshes.active
        if refresh and not stalls(self._cloud.faults, refresh):
            self._refreshes.step(refresh, group, self.clock())
        if refresh is None or refresh.replaces_nothing:
            source = refresh.source if refresh else template_of_group(group)
            self._balance(group, source, refresh.mark if refresh else None)

    # Capacity

    def _balance(self, group: ManagedGroup, template: TemplateRef | None, mark: Mark | None) -> None:
        alive = group.alive
        desired = group.desired_capacity or 0
        if len(alive) < desired:
            self.launch(
                group,
                desired - len(alive),
                template,
                "an instance was started in response to a difference between desired and actual capacity, "
                f"increasing the capacity from {len(alive)} to {desired}.",
                mark,
            )
        for instance in self._leaving_next(group, len(alive) - desired):
            self.retire(
                instance,
                "an instance was taken out of service in response to a difference between desired and actual "
                f"capacity, shrinking the capacity from {len(alive)} to {desired}.",
            )

    def _leaving_next(self, group: ManagedGroup, count: int) -> list[ManagedInstance]:
        """Return the instances to scale in: those that do not serve, else of the zone with the most, by its policy."""
        removable = [each for each in group.alive if not each.protected_from_scale_in]
        zones = Counter(each.availability_zone for each in group.alive)
        serves = {each.instance_id: self.is_available(each) for each in removable} if count > 0 else {}
        order = ORDERS.get(group.termination_policies[0], _by_version)
        leaving: list[ManagedInstance] = []
        while removable and len(leaving) < count:
            leaving.append(
                min(removable, key=lambda one: (serves[one.instance_id], -zones[one.availability_zone], order(one)))
            )
            removable.remove(leaving[-1])
            zones[leaving[-1].availability_zone] -= 1
        return leaving

    def launch(
        self, group: ManagedGroup, count: int, template: TemplateRef | None, why: str, mark: Mark | None
    ) -> None:
        """Launch instances; after a failure, only once its pause is over."""
        if group.is_suspended("Launch") or self.clock() < group.launch_again_at:
            return
        for _ in range(count):
            activity = group.record("Launching a new EC2 instance", why)
            try:
                instance = self._compute.launch(group, template)
            except (ServiceException, LocalCloudError, KeyError, ValueError) as error:
                message = getattr(error, "message", None) or str(error)
                self._launch_failed(group)
                activity.finish("Failed", f"{message} Launching EC2 instance failed.")
                log.warning("group %s cannot launch: %s", group.name, message)
                return
            activity.description = f"Launching a new EC2 instance: {instance.id}"
            activity.advance("PreInService", 30)
            managed = ManagedInstance(
                instance=instance,
                auto_scaling_group=group,
                launched_at=self.clock(),
                launch_configuration_name=None if template else group.launch_config.name,
                protected_from_scale_in=group.new_instances_protected_from_scale_in,
                mark=mark,
                activity=activity,
            )
            if template:
                number = str(template.resolve(group.ec2_backend).number)
                managed.launch_template = {**template.describe(), "Version": number}
            instance.autoscaling_group = group
            group.instance_states.append(managed)
            self._see_in(group, managed)  # one that is a record runs already

    def _launch_failed(self, group: ManagedGroup) -> None:
        pause = min(LONGEST_RETRY, FIRST_RETRY * 2**group.launch_failures)
        group.launch_failures += 1
        group.launch_again_at = self.clock() + pause

    def _see_in(self, group: ManagedGroup, instance: ManagedInstance) -> None:
        state = self._compute.state(instance.instance_id)
        if state == "pending":
            return
        if state != "running":
            if instance.activity:
                instance.activity.finish(
                    "Failed",
                    "Instance failed to complete user's Lifecycle Action: it became unhealthy while waiting to be in "
                    f"service ({state}).",
                )
                instance.activity = None
            self._launch_failed(group)
            self.retire(instance, GONE_BY_ITSELF)
            return
        group.launch_failures = 0
        instance.lifecycle_state = IN_SERVICE
        instance.in_service_at = self.clock()
        self._follow_target_groups(group, instance)
        self._finish(group, instance)

    def _finish(self, group: ManagedGroup, instance: ManagedInstance) -> None:
        group.scaled_at = self.clock()
        if instance.activity:
            instance.activity.finish()
            instance.activity = None

    # Health

    def _check_health(self, group: ManagedGroup, instance: ManagedInstance) -> None:
        if group.is_suspended("HealthCheck") or instance.lifecycle_state != IN_SERVICE:
            return
        why = SET_UNHEALTHY
        if self._compute.state(instance.instance_id) != "running":
            instance.health_status, why = "Unhealthy", GONE_BY_ITSELF
        elif (
            self._checks_targets(group)
            and self.grace_is_over(instance)
            and "unhealthy" in self._target_states(instance)
        ):
            instance.health_status, why = "Unhealthy", FAILED_TARGET
        if instance.health_status == "Unhealthy" and not group.is_suspended("ReplaceUnhealthy"):
            self.retire(instance, why)

    def grace_is_over(self, instance: ManagedInstance) -> bool:
        """Return whether the health check grace period of an instance has passed."""
        since, grace = instance.in_service_at, instance.auto_scaling_group.health_check_grace_period or 0
        return since is not None and self.clock() - since >= grace

    @staticmethod
    def _checks_targets(group: ManagedGroup) -> bool:
        return "ELB" in str(group.health_check_type).split(",")

    def _target_states(self, instance: ManagedInstance) -> list[str]:
        return [self.traffic.state(arn, instance.instance_id) for arn in sorted(instance.registered)]

    def is_available(self, instance: ManagedInstance) -> bool:
        """Return whether an instance serves: in service, healthy and, with ELB health checks, taking traffic."""
        if instance.lifecycle_state != IN_SERVICE or instance.health_status != "Healthy":
            return False
        if self._compute.state(instance.instance_id) != "running":
            return False
        group = instance.auto_scaling_group
        return not self._checks_targets(group) or TAKES_TRAFFIC.issuperset(self._target_states(instance))

    def matches(self, instance: ManagedInstance, template: TemplateRef | None) -> bool:
        """Return whether an instance is of a launch template version, and of its instance type."""
        group, launched_from = instance.auto_scaling_group, instance.launch_template
        if template is None or launched_from is None:
            return False
        try:
            version = template.resolve(group.ec2_backend)
        except ServiceException:  # it was deleted meanwhile
            return False
        wanted = {"LaunchTemplateId": template.template_id, "Version": str(version.number)}
        return wanted.items() <= launched_from.items() and group.instance_type_by(version) == instance.instance_type

    # Target groups and leaving

    def _follow_target_groups(self, group: ManagedGroup, instance: ManagedInstance) -> None:
        wanted = set(group.target_group_arns) if instance.lifecycle_state == IN_SERVICE else set()
        for arn in sorted(instance.registered - wanted):
            self.traffic.deregister(arn, instance.instance_id)
            instance.registered.discard(arn)
        if group.is_suspended("AddToLoadBalancer"):
            return
        for arn in sorted(wanted - instance.registered):
            if self.traffic.register(arn, instance.instance_id):
                instance.registered.add(arn)

    def retire(self, instance: ManagedInstance, why: str, *, drain: bool = True) -> None:
        """Take an instance out of its target groups; it is terminated once it has drained."""
        group = instance.auto_scaling_group
        if instance.lifecycle_state == TERMINATING or group.is_suspended("Terminate"):
            return
        if instance.activity:
            instance.activity.finish("Cancelled")
        instance.activity = group.record(f"Terminating EC2 instance: {instance.instance_id}", why)
        instance.activity.advance("InProgress", 0)
        instance.lifecycle_state = TERMINATING
        instance.skip_draining = not drain
        for arn in sorted(instance.registered):
            self.traffic.deregister(arn, instance.instance_id)
        self._see_out(group, instance)

    def _see_out(self, group: ManagedGroup, instance: ManagedInstance) -> None:
        state = self._compute.state(instance.instance_id)
        if state == GONE:
            self._finish(group, instance)
            group.instance_states.remove(instance)
            return
        if state == "running" and not instance.skip_draining and "draining" in self._target_states(instance):
            if instance.activity:
                instance.activity.advance("WaitingForELBConnectionDraining", 50)
            return
        if not instance.terminate_sent:
            instance.terminate_sent = True
            if instance.activity:
                instance.activity.advance("InProgress", 60)
            self._compute.terminate(instance.instance_id)
