"""moto's Elastic Load Balancing backend, with real listeners and real target health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from moto.ec2.exceptions import InvalidSubnetIdError
from moto.elbv2.exceptions import (
    DuplicateListenerError,
    DuplicateLoadBalancerName,
    DuplicatePriorityError,
    ELBClientError,
    InvalidConfigurationRequest,
    InvalidLoadBalancerActionException,
    ListenerNotFoundError,
    LoadBalancerNotFoundError,
    PriorityInUseError,
    ValidationError,
)
from moto.elbv2.models import FakeListener, FakeLoadBalancer
from moto.elbv2.ssl_policies import SSL_POLICIES

from localcloud.adoption import AdoptedBackend
from localcloud.vpc.load_balancers import connect, disconnect, regroup, require_room

from .attributes import defaults, require_valid
from .certificates import find_certificate
from .checks import require_name, require_protocol, require_tags, settings_of
from .routing import Redirect, Rule, routes_of, rule_of
from .target_groups import TargetGroupRules
from .tls import Tls
from .undo import undone_on_failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from localcloud.vpc.firewall import Firewall

    from .addresses import AddressBook

DEFAULT_POLICY = "ELBSecurityPolicy-2016-08"
MOST_DESCRIBED = 20  # resources whose tags one request may ask for


class LocalELBv2Backend(AdoptedBackend, TargetGroupRules):
    """Keeps moto's records, and the balancer in step with them."""

    addresses: ClassVar[AddressBook]
    load_balancers: dict[str, Any]
    firewall: ClassVar[Firewall | None] = None
    """Has the addresses that load balancers connect from; without it, that is left to the kernel."""

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
        require_room(self.ec2_backend, subnets)
        address = self.addresses.allocate()
        try:
            balancer: Any = super().create_load_balancer(
                name, security_groups, subnets, None, scheme, loadbalancer_type, ip_address_type, tags
            )
        except Exception:
            self.addresses.release(address)
            raise
        balancer.dns_name = address
        balancer.source = self.firewall.take_source() if self.firewall else None
        connect(balancer, self.ec2_backend)
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
            raise ELBClientError(
                "OperationNotPermitted",
                f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled",
            )
        super().delete_load_balancer(arn)
        for listener_arn in balancer.listeners:
            self.balancer.unlisten(listener_arn)
        self.addresses.release(balancer.dns_name)
        disconnect(balancer)
        if balancer.source and self.firewall:
            self.firewall.release_source(balancer.source)
        self._follow_usage()

    def modify_load_balancer_attributes(self, arn: str, attrs: dict[str, Any]) -> dict[str, Any]:
        """Change attributes of a load balancer, which moto does not check."""
        require_valid("LoadBalancerAttribute", "Load balancer", attrs)
        return super().modify_load_balancer_attributes(arn, attrs)

    def set_security_groups(self, arn: str, sec_groups: list[str]) -> None:
        """Change the groups of a load balancer, and so of its network interfaces."""
        super().set_security_groups(arn, sec_groups)
        regroup(self.load_balancers[arn], self.ec2_backend)

    def set_subnets(self, arn: str, *args: Any, **kwargs: Any) -> Any:
        """Move a load balancer into other subnets, with its network interfaces."""
        zones = super().set_subnets(arn, *args, **kwargs)
        disconnect(self.load_balancers[arn])
        connect(self.load_balancers[arn], self.ec2_backend)
        return zones

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
        with undone_on_failure(listener):
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
            raise ELBClientError("OperationNotPermitted", f"Default rule '{arn}' cannot be {done}")
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
            raise ELBClientError(
                "OperationNotPermitted", f"Default certificate '{listener.certificate}' cannot be removed"
            )
        listener.more_certificates = [each for each in listener.more_certificates if each not in removed]
        self._listen(listener)

    def balancers_using(self, certificate: str) -> list[str]:
        """Return the ARNs of the load balancers that serve a certificate."""
        using = (each for each in self._every_listener() if certificate in _certificates_of(each))
        return list(dict.fromkeys(each.load_balancer_arn for each in using))

    def renew(self, certificate: str) -> None:
        """Serve a certificate as it is now, to new connections."""
        for listener in self._every_listener():
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

    # Keeping the balancer in step

    def _every_listener(self) -> list[Any]:
        return [listener for balancer in self.load_balancers.values() for listener in balancer.listeners.values()]

    def _listen(self, listener: Any) -> None:
        balancer = self.load_balancers[listener.load_balancer_arn]
        routes = routes_of(listener, self.balancer.pools)
        found = [find_certificate(self.account_id, self.region_name, arn) for arn in _certificates_of(listener)]
        tls = Tls(listener.ssl_policy, tuple(found)) if found else None
        self.balancer.listen(listener.arn, balancer.dns_name, int(listener.port), routes, tls, balancer.source)

    def _reroute(self) -> None:
        for listener in self._every_listener():
            self.balancer.route(listener.arn, routes_of(listener, self.balancer.pools))
        self._follow_usage()

    def _follow_usage(self) -> None:
        """Record which load balancers use each target group, which moto only ever adds to."""
        used: dict[str, list[str]] = {arn: [] for arn in self.target_groups}
        for listener in self._every_listener():
            for action in (each for rule in listener.rules.values() for each in rule.actions):
                for arn in self._get_target_group_arns_from(action.data):
                    if arn in used and listener.load_balancer_arn not in used[arn]:
                        used[arn].append(listener.load_balancer_arn)
        for arn, balancers in used.items():
            self.target_groups[arn].load_balancer_arns = balancers
            if pool := self.balancer.pools.get(arn):
                pool.source = next((self.load_balancers[each].source for each in balancers), None)
        self.balancer.mark_pools_in_use()


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
