"""moto's Elastic Load Balancing backend, with real listeners and real target health."""

from __future__ import annotations

from contextlib import contextmanager
from copy import copy
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, ClassVar

from moto.ec2.exceptions import InvalidSubnetIdError
from moto.elbv2.exceptions import (
    DuplicateListenerError,
    DuplicateLoadBalancerName,
    DuplicatePriorityError,
    DuplicateTargetGroupName,
    ELBClientError,
    InvalidConfigurationRequest,
    InvalidLoadBalancerActionException,
    InvalidTargetError,
    ListenerNotFoundError,
    LoadBalancerNotFoundError,
    PriorityInUseError,
    TargetGroupNotFoundError,
    TargetNotRunning,
    ValidationError,
)
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeListener, FakeLoadBalancer, FakeTargetGroup
from moto.elbv2.ssl_policies import SSL_POLICIES

from .attributes import defaults, require_valid
from .certificates import find_certificate
from .checks import health_check, require_name, require_protocol, require_tags, settings_of
from .exceptions import OperationNotPermittedError
from .routing import Redirect, Rule, routes_of, rule_of
from .targets import Key, TargetPool
from .tls import Tls

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from ipaddress import IPv4Address, IPv6Address

    from localcloud.cloud import Cloud

    from .addresses import AddressBook
    from .balancer import Balancer

DEFAULT_POLICY = "ELBSecurityPolicy-2016-08"
DELAY = "deregistration_delay.timeout_seconds"
MOST_DESCRIBED = 20  # resources whose tags one request may ask for
SETTINGS_OF_GROUPS = (
    "vpc_id", "protocol", "protocol_version", "port", "target_type", "ip_address_type", "health_check_protocol",
    "health_check_port", "health_check_path", "health_check_interval_seconds", "health_check_timeout_seconds",
    "healthy_threshold_count", "unhealthy_threshold_count", "health_check_enabled", "matcher",
)  # fmt: skip
"""What CreateTargetGroup sets, by moto's names."""


class LocalELBv2Backend(ELBv2Backend):
    """Keeps moto's records, and the balancer in step with them."""

    cloud: ClassVar[Cloud]
    balancer: ClassVar[Balancer]
    addresses: ClassVar[AddressBook]

    @property
    def _url_module(self) -> Any:
        from moto.elbv2 import urls

        return urls

    # Load balancers

    def create_load_balancer(
        self,
        name: str,
        security_groups: list[str],
        subnet_ids: list[str],
        subnet_mappings: list[dict[str, str]] | None = None,
        scheme: str | None = None,
        loadbalancer_type: str | None = None,
        ip_address_type: str = "ipv4",
        tags: list[dict[str, str]] | None = None,
    ) -> FakeLoadBalancer:
        """Create a load balancer with an address of its own, which is also its DNS name.

        One that exists with the same settings is returned: the action is idempotent.
        """
        require_name(name)
        require_tags(tags or [], {})
        subnets = [*subnet_ids, *(mapping.get("SubnetId", "") for mapping in subnet_mappings or [])]
        vpc_id = self._require_zones(subnets, 2 if loadbalancer_type in {None, "application"} else 1)
        scheme, loadbalancer_type = scheme or "internet-facing", loadbalancer_type or "application"
        self._require_security_groups(security_groups)
        if not security_groups and loadbalancer_type == "application":
            default = self.ec2_backend.get_security_group_from_name("default", vpc_id)
            security_groups = [default.id] if default else []
        known = next((each for each in self.load_balancers.values() if each.name == name), None)
        if known:
            before = (known.scheme, known.type, known.ip_address_type, set(known.security_groups))
            wanted = (scheme, loadbalancer_type, ip_address_type, set(security_groups))
            if before != wanted or {subnet.id for subnet in known.subnets} != set(subnets):
                raise DuplicateLoadBalancerName(
                    f"A load balancer with the same name '{name}' exists, but with different settings"
                )
            return known
        address = self.addresses.allocate()
        try:
            balancer = super().create_load_balancer(
                name, security_groups, subnets, None, scheme, loadbalancer_type, ip_address_type, tags
            )
        except Exception:
            self.addresses.release(address)
            raise
        balancer.dns_name = address
        if loadbalancer_type == "application":
            balancer.attrs = balancer.attrs | defaults("LoadBalancerAttribute")
        return balancer

    def describe_load_balancers(self, arns: list[str] | None, names: list[str] | None) -> list[FakeLoadBalancer]:
        """Return load balancers; moto leaves out those of several that are unknown."""
        every, wanted = super().describe_load_balancers(None, None), {*(arns or []), *(names or [])}
        found = [each for each in every if not wanted or {each.arn, each.name} & wanted]
        unknown = wanted - {name for each in found for name in (each.arn, each.name)}
        if unknown:
            raise LoadBalancerNotFoundError(f"Load balancers '[{', '.join(sorted(unknown))}]' not found")
        return found

    def delete_load_balancer(self, arn: str) -> None:
        """Delete a load balancer and close its listeners."""
        balancer = self.load_balancers.get(arn)
        if balancer is None:
            return
        if balancer.attrs.get("deletion_protection.enabled") == "true":
            raise OperationNotPermittedError(
                f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
            )
        super().delete_load_balancer(arn)
        for listener_arn in balancer.listeners:
            self.balancer.unlisten(listener_arn)
        self.addresses.release(balancer.dns_name)
        self._follow_usage()

    def modify_load_balancer_attributes(self, arn: str, attrs: dict[str, Any]) -> dict[str, Any]:
        """Change attributes of a load balancer, which moto does not check."""
        require_valid("LoadBalancerAttribute", "Load balancer", attrs)
        return super().modify_load_balancer_attributes(arn, attrs)

    # Listeners and rules

    def create_listener(
        self,
        load_balancer_arn: str,
        protocol: str,
        port: str,
        ssl_policy: str | None,
        certificate: str | None,
        actions: list[dict[str, Any]],
        alpn_policy: list[str] | None = None,
        tags: list[dict[str, str]] | None = None,
    ) -> FakeListener:
        """Create a listener and open its socket; one that exists with the same settings is returned."""
        balancer = self.load_balancers.get(load_balancer_arn)
        if balancer is None:
            raise LoadBalancerNotFoundError
        require_tags(tags or [], {})
        self._validate_port_and_protocol(balancer.type, port, protocol)
        require_protocol(protocol)
        self._compile(balancer.arn, protocol, [], actions)
        ssl_policy = ssl_policy if protocol == "HTTPS" else None
        if protocol == "HTTPS":
            self._require_certificate(certificate, ssl_policy)
        elif certificate:
            raise ValidationError("A certificate cannot be specified for HTTP listeners")
        for known in balancer.listeners.values():
            if str(known.port) == str(port):
                before = (known.protocol, known.ssl_policy, known.certificate)
                before_actions = [settings_of(action.data) for action in known.default_actions]
                if (*before, before_actions) != (protocol, ssl_policy, certificate, [settings_of(a) for a in actions]):
                    raise DuplicateListenerError(
                        f"A listener already exists on this port for this load balancer '{load_balancer_arn}'"
                    )
                return known
        listener = super().create_listener(
            load_balancer_arn, protocol, port, ssl_policy or "", None, actions, alpn_policy, tags
        )
        _certify(listener, ssl_policy, certificate)
        try:
            self._listen(listener)
        except Exception:
            self.delete_listener(listener.arn)
            raise
        self._follow_usage()
        return listener

    def describe_listeners(self, load_balancer_arn: str | None, listener_arns: list[str]) -> list[FakeListener]:
        """Return listeners; moto leaves out those of several that are unknown."""
        found = super().describe_listeners(load_balancer_arn, listener_arns)
        if not load_balancer_arn and {each.arn for each in found} != set(listener_arns):
            raise ListenerNotFoundError
        return found

    def modify_listener(
        self,
        arn: str,
        port: str | None = None,
        protocol: str | None = None,
        ssl_policy: str | None = None,
        certificates: list[dict[str, Any]] | None = None,
        actions: list[dict[str, Any]] | None = None,
    ) -> FakeListener:
        """Change a listener; what cannot be done leaves it as it was."""
        listener = self.describe_listeners(load_balancer_arn=None, listener_arns=[arn])[0]
        protocol = protocol or listener.protocol
        require_protocol(protocol)
        others = self.load_balancers[listener.load_balancer_arn].listeners.values()
        if port and any(str(each.port) == str(port) for each in others if each is not listener):
            raise DuplicateListenerError
        if actions:
            self._compile(listener.load_balancer_arn, protocol, [], actions)
        certificate = _arns(certificates)[0] if certificates else listener.certificate
        ssl_policy = ssl_policy or listener.ssl_policy or DEFAULT_POLICY
        if protocol == "HTTPS":
            self._require_certificate(certificate, ssl_policy)
        elif certificates:
            raise ValidationError("A certificate cannot be specified for HTTP listeners")
        with _undone_on_failure(listener):
            super().modify_listener(arn, port, protocol if protocol != "HTTPS" else None, None, [], actions or [])
            listener.protocol = protocol
            _certify(listener, ssl_policy, certificate)
            self._listen(listener)
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
        listener = self.describe_listeners(None, [listener_arn])[0]
        require_tags(tags or [], {})
        if not conditions:
            raise ValidationError("A condition must be specified")
        self._compile(listener.load_balancer_arn, listener.protocol, conditions, actions)
        rule = super().create_rule(listener_arn, conditions, priority, actions, tags)
        self._reroute()
        return rule

    def modify_rule(self, rule_arn: str, conditions: list[dict[str, Any]], actions: list[dict[str, Any]]) -> Any:
        """Change a rule and follow it."""
        rule = self._changeable_rule(rule_arn, "modified")
        listener = self.describe_listeners(None, [rule.listener_arn])[0]
        known = [action.data for action in rule.actions]
        self._compile(listener.load_balancer_arn, listener.protocol, conditions or rule.conditions, actions or known)
        rule = super().modify_rule(rule_arn, conditions, actions)
        self._reroute()
        return rule

    def delete_rule(self, arn: str) -> None:
        """Delete a rule and no longer follow it."""
        self._changeable_rule(arn, "deleted")
        super().delete_rule(arn)
        self._reroute()

    def set_rule_priorities(self, rule_priorities: list[dict[str, Any]]) -> Any:
        """Reorder rules; moto refuses to swap two."""
        wanted = {pair.get("RuleArn", ""): pair.get("Priority") for pair in rule_priorities}
        if None in wanted.values():
            raise ValidationError("A priority must be specified")
        rules = [self._changeable_rule(arn, "reordered") for arn in wanted]
        for rule in rules:
            others = self.describe_listeners(None, [rule.listener_arn])[0].rules.values()
            taken = [wanted.get(each.arn, each.priority) for each in others if each.arn != rule.arn]
            if wanted[rule.arn] in taken:
                both = list(wanted.values()).count(wanted[rule.arn]) > 1
                raise DuplicatePriorityError(str(wanted[rule.arn])) if both else PriorityInUseError
        for rule in rules:
            rule.priority = wanted[rule.arn]
        self._reroute()
        return rules

    def _changeable_rule(self, arn: str, done: str) -> Any:
        rule = self.describe_rules(listener_arn=None, rule_arns=[arn])[0]
        if rule.is_default:
            raise OperationNotPermittedError(f"Default rule '{arn}' cannot be {done}")
        return rule

    def _compile(
        self,
        load_balancer_arn: str,
        protocol: str,
        conditions: Sequence[dict[str, Any]],
        actions: Sequence[dict[str, Any]],
    ) -> Rule:
        """Read a rule before it is stored: one that could not be read later would break every other rule."""
        self._validate_conditions(list(conditions))
        rule = rule_of(conditions, actions, self.balancer.pools)
        if isinstance(rule.action, Redirect) and (protocol, rule.action.protocol) == ("HTTPS", "HTTP"):
            raise InvalidLoadBalancerActionException("You can't redirect HTTPS to HTTP")
        for action in actions:
            for arn in self._get_target_group_arns_from(action):
                group = self._group(arn)
                if set(group.load_balancer_arns) - {load_balancer_arn}:
                    raise ELBClientError(
                        "TargetGroupAssociationLimit",
                        f"The following target groups cannot be associated with more than one load balancer: {arn}",
                    )
        return rule

    # Certificates

    def add_listener_certificates(self, arn: str, certificates: list[dict[str, Any]]) -> list[str]:
        """Add certificates to those that clients choose from by the host's name."""
        listener = self._secure_listener(arn)
        added = _arns(certificates)
        for each in added:
            self._require_certificate(each, listener.ssl_policy)
        listener.more_certificates = list(dict.fromkeys([*listener.more_certificates, *added]))
        self._listen(listener)
        return added

    def describe_listener_certificates(self, arn: str) -> list[str]:
        """Return the default certificate and the others."""
        listener = self._secure_listener(arn)
        return [listener.certificate, *listener.more_certificates]

    def remove_listener_certificates(self, arn: str, certificates: list[dict[str, Any]]) -> None:
        """Remove certificates, but never the default one."""
        listener = self._secure_listener(arn)
        removed = set(_arns(certificates))
        if removed - set(listener.more_certificates) >= {listener.certificate}:
            raise OperationNotPermittedError(f"Default certificate '{listener.certificate}' cannot be removed")
        listener.more_certificates = [each for each in listener.more_certificates if each not in removed]
        self._listen(listener)

    def balancers_using(self, certificate: str) -> list[str]:
        """Return the ARNs of the load balancers that serve a certificate."""
        return [
            balancer.arn
            for balancer in self.load_balancers.values()
            if any(certificate in _certificates_of(listener) for listener in balancer.listeners.values())
        ]

    def renew(self, certificate: str) -> None:
        """Serve a certificate as it is now, to new connections."""
        for balancer in self.load_balancers.values():
            for listener in balancer.listeners.values():
                if certificate in _certificates_of(listener):
                    self._listen(listener)

    def _secure_listener(self, arn: str) -> Any:
        listener = self.describe_listeners(load_balancer_arn=None, listener_arns=[arn])[0]
        if listener.protocol != "HTTPS":
            raise ValidationError("Certificates belong to HTTPS listeners")
        return listener

    def _require_certificate(self, arn: str | None, ssl_policy: str | None) -> None:
        if not arn:
            raise ValidationError("A certificate must be specified for HTTPS listeners")
        find_certificate(self.account_id, self.region_name, arn)
        if ssl_policy not in SSL_POLICIES:
            raise ELBClientError("SSLPolicyNotFound", f"SSL policy '{ssl_policy}' not found")

    # Target groups and targets

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
        with _undone_on_failure(self._group(arn)):
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

    # Tags

    def add_tags(self, resource_arns: list[str], tags: list[dict[str, str]]) -> None:
        """Tag resources; moto's limit is too low."""
        for arn in resource_arns:
            self._get_resource_by_arn(arn)
            require_tags(tags, self.tagging_service.get_tag_dict_for_resource(arn))
        for arn in resource_arns:
            self.tagging_service.tag_resource(arn, tags)

    def describe_tags(self, resource_arns: list[str]) -> dict[str, dict[str, str]]:
        """Return the tags of resources that exist."""
        if len(resource_arns) > MOST_DESCRIBED:
            raise ValidationError(f"Cannot have more than {MOST_DESCRIBED} resources described")
        for arn in resource_arns:
            self._get_resource_by_arn(arn)
        return super().describe_tags(resource_arns)

    # What requests refer to

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

    def _require_zones(self, subnet_ids: Iterable[str], least: int) -> str:
        """Require subnets in so many zones, one in each, and return their VPC."""
        zones, vpc_id = [], ""
        for subnet_id in subnet_ids:
            try:
                subnet = self.ec2_backend.get_subnet(subnet_id)
            except InvalidSubnetIdError as error:
                raise ELBClientError("SubnetNotFound", f"The subnet ID '{subnet_id}' does not exist") from error
            zones.append(subnet.availability_zone)
            vpc_id = subnet.vpc_id
        if len(set(zones)) < least:
            raise ValidationError("At least two subnets in two different Availability Zones must be specified")
        if len(set(zones)) < len(zones):
            raise InvalidConfigurationRequest(
                "A load balancer cannot be attached to multiple subnets in the same Availability Zone"
            )
        return vpc_id

    def _require_security_groups(self, groups: Iterable[str]) -> None:
        for group in groups:
            if self.ec2_backend.get_security_group_from_id(group) is None:
                raise ELBClientError("InvalidSecurityGroup", f"The security group '{group}' does not exist")

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

    # Keeping the balancer in step

    def _listen(self, listener: Any) -> None:
        address = self.load_balancers[listener.load_balancer_arn].dns_name
        routes = routes_of(listener, self.balancer.pools)
        found = [find_certificate(self.account_id, self.region_name, arn) for arn in _certificates_of(listener)]
        tls = Tls(listener.ssl_policy, tuple(found)) if found else None
        self.balancer.listen(listener.arn, address, int(listener.port), routes, tls)

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

    def _follow_attributes(self, group: FakeTargetGroup) -> None:
        pool, attributes = self._pool(group.arn), group.attributes
        pool.deregistration_delay = float(str(attributes[DELAY]))
        pool.least_outstanding = attributes["load_balancing.algorithm.type"] == "least_outstanding_requests"


def _key(group: FakeTargetGroup, target: dict[str, Any]) -> Key:
    return str(target["Id"]), int(target.get("Port") or group.port or 0)


def _certify(listener: Any, ssl_policy: str | None, certificate: str | None) -> None:
    """Give a listener its policy and default certificate, or none of both where it speaks HTTP."""
    secure = listener.protocol == "HTTPS"
    listener.ssl_policy = ssl_policy if secure else None
    listener.certificate = certificate if secure else None
    listener.certificates = [certificate] if secure else []
    listener.more_certificates = getattr(listener, "more_certificates", []) if secure else []


def _arns(certificates: Iterable[dict[str, Any]]) -> list[str]:
    return [str(each.get("CertificateArn") or "") for each in certificates]


def _certificates_of(listener: Any) -> list[str]:
    return [*listener.certificates, *listener.more_certificates]


@contextmanager
def _undone_on_failure(record: Any) -> Iterator[None]:
    """Restore a record of moto's, which changes one attribute after another, when a change is refused."""
    before = {name: copy(value) for name, value in vars(record).items()}
    try:
        yield
    except Exception:
        vars(record).clear()
        vars(record).update(before)
        if isinstance(record, FakeListener):
            record.rules[0].actions = record.default_actions
        raise
