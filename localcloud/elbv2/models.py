"""moto's Elastic Load Balancing backend, with real listeners and real target health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from moto.elbv2.exceptions import (
    DuplicateListenerError,
    DuplicateLoadBalancerName,
    TargetGroupNotFoundError,
)
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeListener, FakeLoadBalancer, FakeTargetGroup

from .exceptions import NotEmulatedError
from .routing import require_emulated, routes_of
from .targets import HealthCheck, State, TargetPool, parse_matcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .addresses import AddressBook
    from .balancer import Balancer


class LocalELBv2Backend(ELBv2Backend):
    """Keeps moto's records, and the balancer in step with them."""

    balancer: ClassVar[Balancer]
    addresses: ClassVar[AddressBook]

    @property
    def _url_module(self) -> Any:
        from moto.elbv2 import urls

        return urls

    # Load balancers

    def create_load_balancer(self, name: str, *args: Any, **kwargs: Any) -> FakeLoadBalancer:
        """Create a load balancer with an address of its own, which is also its DNS name."""
        if any(known.name == name for known in self.load_balancers.values()):
            raise DuplicateLoadBalancerName
        address = self.addresses.allocate()
        try:
            balancer = super().create_load_balancer(name, *args, **kwargs)
        except Exception:
            self.addresses.release(address)
            raise
        balancer.dns_name = address
        return balancer

    def delete_load_balancer(self, arn: str) -> None:
        """Delete a load balancer and close its listeners."""
        balancer = self.load_balancers.get(arn)
        super().delete_load_balancer(arn)
        if balancer is None:
            return
        for listener_arn in balancer.listeners:
            self.balancer.unlisten(listener_arn)
        self.addresses.release(balancer.dns_name)
        self._follow_usage()

    # Listeners and rules

    def create_listener(
        self, load_balancer_arn: str, protocol: str, port: str, *args: Any, **kwargs: Any
    ) -> FakeListener:
        """Create a listener and open its socket."""
        balancer = self.load_balancers.get(load_balancer_arn)
        if balancer and any(str(known.port) == str(port) for known in balancer.listeners.values()):
            raise DuplicateListenerError
        _require_http(protocol)
        require_emulated([], kwargs.get("actions") or [])
        listener = super().create_listener(load_balancer_arn, protocol, port, *args, **kwargs)
        try:
            self._listen(listener)
        except Exception:
            self.delete_listener(listener.arn)
            raise
        self._follow_usage()
        return listener

    def modify_listener(
        self,
        arn: str,
        port: str | None = None,
        protocol: str | None = None,
        ssl_policy: str | None = None,
        certificates: list[dict[str, Any]] | None = None,
        actions: list[dict[str, Any]] | None = None,
    ) -> FakeListener:
        """Change a listener; a port that cannot be opened leaves it as it was."""
        _require_http(protocol or "HTTP")
        require_emulated([], actions or [])
        before = self.describe_listeners(load_balancer_arn=None, listener_arns=[arn])[0]
        old_port = before.port
        listener = super().modify_listener(arn, port, protocol, ssl_policy, certificates, actions or [])
        try:
            self._listen(listener)
        except Exception:
            listener.port = old_port
            raise
        self._follow_usage()
        return listener

    def delete_listener(self, listener_arn: str) -> FakeListener:
        """Delete a listener and close its socket."""
        listener = super().delete_listener(listener_arn)
        self.balancer.unlisten(listener_arn)
        self._follow_usage()
        return listener

    def create_rule(
        self,
        listener_arn: str,
        conditions: list[dict[str, Any]],
        priority: int,
        actions: list[dict[str, Any]],
        tags: list[dict[str, str]] | None = None,
    ) -> Any:
        """Create a rule and follow it."""
        require_emulated(conditions, actions)
        rule = super().create_rule(listener_arn, conditions, priority, actions, tags)
        self._reroute()
        return rule

    def modify_rule(self, rule_arn: str, conditions: list[dict[str, Any]], actions: list[dict[str, Any]]) -> Any:
        """Change a rule and follow it."""
        require_emulated(conditions or [], actions or [])
        rule = super().modify_rule(rule_arn, conditions, actions)
        self._reroute()
        return rule

    def delete_rule(self, arn: str) -> None:
        """Delete a rule and no longer follow it."""
        super().delete_rule(arn)
        self._reroute()

    def set_rule_priorities(self, rule_priorities: list[dict[str, Any]]) -> Any:
        """Reorder rules."""
        rules = super().set_rule_priorities(rule_priorities)
        self._reroute()
        return rules

    # Target groups and targets

    def create_target_group(self, name: str, **kwargs: Any) -> FakeTargetGroup:
        """Create a target group and its pool."""
        group = super().create_target_group(name, **kwargs)
        self.balancer.pools[group.arn] = TargetPool()
        self._follow_settings(group)
        return group

    def modify_target_group(self, arn: str, *args: Any, **kwargs: Any) -> FakeTargetGroup:
        """Change a target group's health check."""
        group = super().modify_target_group(arn, *args, **kwargs)
        if isinstance(group.health_check_enabled, str):  # moto stores the wire's string
            group.health_check_enabled = group.health_check_enabled.lower() == "true"
        self._follow_settings(group)
        return group

    def modify_target_group_attributes(self, target_group_arn: str, attributes: dict[str, Any]) -> None:
        """Change a target group's deregistration delay and the like."""
        super().modify_target_group_attributes(target_group_arn, attributes)
        self._follow_settings(self.target_groups[target_group_arn])

    def delete_target_group(self, target_group_arn: str) -> FakeTargetGroup:
        """Delete a target group and its pool."""
        group = super().delete_target_group(target_group_arn)
        self.balancer.pools.pop(target_group_arn, None)
        return group

    def register_targets(self, target_group_arn: str, instances: list[Any]) -> None:
        """Register targets and start to check them."""
        super().register_targets(target_group_arn, instances)
        group = self.target_groups[target_group_arn]
        for target in instances:
            self._pool(target_group_arn).register(target["Id"], int(target.get("Port") or group.port))

    def deregister_targets(self, target_group_arn: str, instances: list[dict[str, Any]]) -> None:
        """Deregister targets and drain them."""
        super().deregister_targets(target_group_arn, instances)
        for target in instances:
            self.balancer.drain(self._pool(target_group_arn), target["Id"])

    def notify_terminate_instances(self, instance_ids: list[str]) -> None:
        """Drain targets whose instances are being terminated."""
        for arn, group in self.target_groups.items():
            gone = [{"Id": target_id} for target_id in group.targets if target_id in instance_ids]
            if gone:
                self.deregister_targets(arn, gone)

    def describe_target_health(
        self, target_group_arn: str, targets: Sequence[dict[str, Any]]
    ) -> list[FakeHealthStatus]:
        """Return the health that the checks found."""
        group = self.target_groups.get(target_group_arn)
        if group is None:
            raise TargetGroupNotFoundError
        pool = self._pool(target_group_arn)
        requested = [target["Id"] for target in targets] or list(pool.targets)
        statuses = []
        for target_id in requested:
            known = pool.targets.get(target_id)
            port = str(known.port if known else group.port)
            health = pool.health(target_id)
            check_port = str(pool.check.port or port)
            statuses.append(
                FakeHealthStatus(target_id, port, check_port, health.state.value, health.reason, health.description)
            )
        return statuses

    def target_state(self, target_group_arn: str, target_id: str) -> State:
        """Return one target's state; that of a target in a group that is gone is `unused`."""
        pool = self.balancer.pools.get(target_group_arn)
        return pool.health(target_id).state if pool else State.UNUSED

    # Keeping the balancer in step

    def _pool(self, arn: str) -> TargetPool:
        pool = self.balancer.pools.get(arn)
        if pool is None:
            raise TargetGroupNotFoundError
        return pool

    def _listen(self, listener: FakeListener) -> None:
        address = self.load_balancers[listener.load_balancer_arn].dns_name
        routes = routes_of(listener, self.balancer.pools)
        self.balancer.listen(listener.arn, address, int(listener.port), routes)

    def _reroute(self) -> None:
        for balancer in self.load_balancers.values():
            for listener in balancer.listeners.values():
                self.balancer.route(listener.arn, routes_of(listener, self.balancer.pools))
        self._follow_usage()

    def _follow_usage(self) -> None:
        """Record which load balancers use each target group, which moto only ever adds to."""
        used: dict[str, list[str]] = {arn: [] for arn in self.target_groups}
        for balancer in self.load_balancers.values():
            for listener in balancer.listeners.values():
                for rule in listener.rules.values():
                    for action in rule.actions:
                        for arn in self._get_target_group_arns_from(action.data):
                            if arn in used and balancer.arn not in used[arn]:
                                used[arn].append(balancer.arn)
        for arn, balancers in used.items():
            self.target_groups[arn].load_balancer_arns = balancers
        self.balancer.mark_pools_in_use()

    def _follow_settings(self, group: FakeTargetGroup) -> None:
        pool = self._pool(group.arn)
        port = group.health_check_port
        matcher = getattr(group, "matcher", None) or {"HttpCode": "200"}
        pool.check = HealthCheck(
            protocol=group.health_check_protocol or "HTTP",
            path=group.health_check_path or "/",
            port=None if port in {None, "traffic-port"} else int(port),
            interval=float(group.health_check_interval_seconds),
            timeout=float(group.health_check_timeout_seconds),
            healthy_threshold=int(group.healthy_threshold_count),
            unhealthy_threshold=int(group.unhealthy_threshold_count),
            statuses=parse_matcher(matcher.get("HttpCode") or "200"),
            enabled=bool(group.health_check_enabled),
        )
        attributes = group.attributes
        pool.deregistration_delay = float(str(attributes["deregistration_delay.timeout_seconds"]))
        pool.least_outstanding = attributes["load_balancing.algorithm.type"] == "least_outstanding_requests"


def _require_http(protocol: str | None) -> None:
    if protocol and protocol.upper() != "HTTP":
        raise NotEmulatedError(f"{protocol} listeners", "Use an HTTP listener here, and HTTPS on AWS.")
