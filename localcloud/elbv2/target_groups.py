"""Target groups: moto's records, and the pools of targets in step with them."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, ClassVar

from moto.elbv2.exceptions import (
    DuplicateTargetGroupName,
    InvalidTargetError,
    TargetGroupNotFoundError,
    TargetNotRunning,
    ValidationError,
)
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeTargetGroup

from .attributes import defaults, require_valid
from .checks import health_check, require_tags
from .targets import Key, TargetPool
from .undo import undone_on_failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from ipaddress import IPv4Address, IPv6Address

    from localcloud.cloud import Cloud

    from .balancer import Balancer

DELAY = "deregistration_delay.timeout_seconds"
SETTINGS_OF_GROUPS = (
    "vpc_id", "protocol", "protocol_version", "port", "target_type", "ip_address_type", "health_check_protocol",
    "health_check_port", "health_check_path", "health_check_interval_seconds", "health_check_timeout_seconds",
    "healthy_threshold_count", "unhealthy_threshold_count", "health_check_enabled", "matcher",
)  # fmt: skip
"""What CreateTargetGroup sets, by moto's names."""


class TargetGroupRules(ELBv2Backend):
    """A part of the backend: what it does with target groups and targets."""

    cloud: ClassVar[Cloud]
    balancer: ClassVar[Balancer]

    def create_target_group(self, name: str, **kwargs: Any) -> FakeTargetGroup:
        """Create a target group and its pool; one that exists with the same settings is returned."""
        require_tags(kwargs.get("tags") or [], {})
        known = next((group for group in self.target_groups.values() if group.name == name), None)
        if known:
            del self.target_groups[known.arn]
        try:
            group = super().create_target_group(name, **kwargs)
            del self.target_groups[group.arn]
            if kwargs.get("healthcheck_enabled") is False:  # moto expects the wire's string
                group.health_check_enabled = False
        finally:
            if known:
                self.target_groups[known.arn] = known
        check = health_check(group)
        if known:
            if any(str(getattr(known, each, None)) != str(getattr(group, each, None)) for each in SETTINGS_OF_GROUPS):
                raise DuplicateTargetGroupName(
                    f"A target group with the same name '{name}' exists, but with different settings"
                )
            return known
        if group.protocol in {"HTTP", "HTTPS"}:
            group.attributes = defaults("TargetGroupAttribute") | group.attributes
        self.target_groups[group.arn] = group
        self.balancer.pools[group.arn] = TargetPool(check, scheme=(group.protocol or "HTTP").lower())
        self._follow_attributes(group)
        return group

    def modify_target_group(self, arn: str, *args: Any, **kwargs: Any) -> FakeTargetGroup:
        """Change a target group's health check."""
        with undone_on_failure(self._group(arn)):
            group = super().modify_target_group(arn, *args, **kwargs)
            self._pool(arn).check = health_check(group)
        return group

    def modify_target_group_attributes(self, target_group_arn: str, attributes: dict[str, Any]) -> None:
        """Change a target group's deregistration delay and the like."""
        require_valid("TargetGroupAttribute", "Target group", attributes)
        group = self._group(target_group_arn)
        checked_by_moto = {name: value for name, value in attributes.items() if name != DELAY}  # it refuses 3600 s
        super().modify_target_group_attributes(target_group_arn, checked_by_moto)
        group.attributes.update(attributes)
        self._follow_attributes(group)

    def delete_target_group(self, target_group_arn: str) -> FakeTargetGroup:
        """Delete a target group and its pool."""
        group = super().delete_target_group(target_group_arn)
        self.balancer.pools.pop(target_group_arn, None)
        return group

    def register_targets(self, target_group_arn: str, instances: list[Any]) -> None:
        """Register targets, each an id and a port, and start to check them."""
        group = self._group(target_group_arn)
        keys = [_key(group, target) for target in instances]
        self._require_targets(group, {target_id for target_id, _ in keys}, running=True)
        if group.target_type == "ip":
            self._require_addresses(group, instances)
        for key in keys:
            self._pool(target_group_arn).register(key)

    def deregister_targets(self, target_group_arn: str, instances: list[dict[str, Any]]) -> None:
        """Deregister targets and drain them; those that are not registered are ignored, as at AWS."""
        group = self._group(target_group_arn)
        for target in instances:
            self.balancer.drain(self._pool(target_group_arn), _key(group, target))

    def notify_terminate_instances(self, instance_ids: list[str]) -> None:
        """Drain targets whose instances are being terminated."""
        for arn in self.target_groups:
            pool = self._pool(arn)
            for key in [key for key in pool.targets if key[0] in instance_ids]:
                self.balancer.drain(pool, key)

    def describe_target_health(
        self, target_group_arn: str, targets: Sequence[dict[str, Any]]
    ) -> list[FakeHealthStatus]:
        """Return the health that the checks found."""
        group, pool = self._group(target_group_arn), self._pool(target_group_arn)
        requested: list[Key] = [_key(group, target) for target in targets] or list(pool.targets)
        self._require_targets(group, {key[0] for key in requested if key not in pool.targets})
        statuses = []
        for key in requested:
            health, port = pool.health(key), str(key[1])
            check_port = str(pool.check.port or port)
            statuses.append(
                FakeHealthStatus(key[0], port, check_port, health.state.value, health.reason, health.description)
            )
        return statuses

    def _group(self, arn: str) -> FakeTargetGroup:
        group = self.target_groups.get(arn)
        if group is None:
            raise TargetGroupNotFoundError
        return group

    def _pool(self, arn: str) -> TargetPool:
        pool = self.balancer.pools.get(arn)
        if pool is None:
            raise TargetGroupNotFoundError
        return pool

    def _require_targets(self, group: FakeTargetGroup, ids: Iterable[str], *, running: bool = False) -> None:
        for target_id in ids if group.target_type == "instance" else ():
            if not target_id.startswith("i-"):
                raise ValidationError(f"Instance ID '{target_id}' is not valid")
            instance = self.ec2_backend.get_instance_by_id(target_id)
            if instance is None:
                raise InvalidTargetError(f"The following instances do not exist: '{target_id}'")
            if running and instance.state != "running":
                raise TargetNotRunning(target_id)
            if instance.vpc_id != group.vpc_id:
                raise InvalidTargetError(
                    f"The following targets are not in the target group VPC '{group.vpc_id}': '{target_id}'"
                )

    def _require_addresses(self, group: FakeTargetGroup, targets: Iterable[dict[str, Any]]) -> None:
        for target in targets:
            try:
                address = ip_address(target["Id"])
            except ValueError as error:
                raise ValidationError(f"The IP address '{target['Id']}' is not valid") from error
            if not target.get("AvailabilityZone") and not self._is_in_vpc(address, group.vpc_id):
                raise ValidationError(
                    f"The Availability Zone is required for IP address '{address}' because it is not in the VPC"
                )

    def _is_in_vpc(self, address: IPv4Address | IPv6Address, vpc_id: str | None) -> bool:
        """Return whether it is in one of the VPC's ranges, or in the containers' network, where instances live."""
        vpc: Any = self.ec2_backend.vpcs.get(vpc_id or "")
        associations = [*vpc.cidr_block_association_set, *vpc.ipv6_cidr_block_association_set] if vpc else []
        ranges = [str(each["cidr_block"]) for each in associations]
        return any(address in ip_network(each) for each in [*ranges, self.cloud.engine.cidr])

    def _follow_attributes(self, group: FakeTargetGroup) -> None:
        pool, attributes = self._pool(group.arn), group.attributes
        pool.deregistration_delay = float(str(attributes[DELAY]))
        pool.least_outstanding = attributes["load_balancing.algorithm.type"] == "least_outstanding_requests"


def _key(group: FakeTargetGroup, target: dict[str, Any]) -> Key:
    return str(target["Id"]), int(target.get("Port") or group.port or 0)
