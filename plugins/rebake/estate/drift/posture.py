"""Posture of fleets: open ports, metadata that answers without a token, instances that nobody declared."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from rebake import tags
from rebake.config import Service
from rebake.config.policy import Drift
from rebake.estate.drift.finding import Finding, FindingKind
from rebake.estate.inventory import Estate, Fleet, Instance, Tags

SSH: Final = 22
WORLD: Final = frozenset({"0.0.0.0/0", "::/0"})
ALL_PROTOCOLS: Final = "-1"
_OPEN_PORTS: Final = ("port-22", "open-to-world")


@dataclass(frozen=True)
class Opening:
    """An ingress rule of a security group, for one source."""

    protocol: str
    """`-1` for all."""
    from_port: int
    to_port: int
    source: str
    """A network, a security group or a prefix list."""

    @property
    def ports(self) -> str:
        """The ports, for people, and as the attribute of a finding."""
        if self.protocol == ALL_PROTOCOLS:
            return "everything"
        many = self.from_port != self.to_port
        return f"{self.protocol} {self.from_port}{f'-{self.to_port}' if many else ''}"

    @property
    def lets_ssh_in(self) -> bool:
        """Whether port 22 is among the ports."""
        return self.protocol == ALL_PROTOCOLS or (self.protocol == "tcp" and self.from_port <= SSH <= self.to_port)


@dataclass(frozen=True)
class SecurityGroup:
    """A security group with what it lets in."""

    id: str
    name: str
    tags: Tags
    openings: tuple[Opening, ...]


def findings(
    estate: Estate,
    groups: Collection[SecurityGroup],
    fleets: Mapping[str, Fleet],
    services: Mapping[str, Service],
    *,
    environment: str,
    drift: Drift,
    now: datetime,
) -> Iterator[Finding]:
    """Yield every violation of posture in the environment.

    Args:
        estate: what there is.
        groups: every security group there is.
        fleets: the environment's, by service.
        services: those whose files can be read, by name.
        environment: its name.
        drift: what counts as too old.
        now: UTC.
    """
    members = {one: fleet.service for fleet in fleets.values() for one in fleet.instance_ids}
    ours = {group.id: group.tags.get(tags.SERVICE, "") for group in groups if _is_ours(group.tags, environment)}
    users: dict[str, str] = {}
    for instance in estate.instances:
        service = members.get(instance.id)
        if service is not None:
            users.update(dict.fromkeys(instance.security_group_ids, service))
            yield from _instance(instance, service, drift, now)
        elif _is_ours(instance.tags, environment) or ours.keys() & set(instance.security_group_ids):
            yield from _undeclared(instance, ours, {fleet.group_name for fleet in fleets.values()})
    for group in sorted(groups, key=lambda one: one.id):
        owner = ours.get(group.id)
        service = owner or users.get(group.id)
        if service is not None:
            is_balancers = owner is not None and group.name == f"{owner}-{environment}-load-balancer"
            declared = services.get(service)
            ports = {declared.fleet.listener_port} if declared else None
            yield from _open_ports(group, service, ports if is_balancers else set(), repairable=owner in services)


def _is_ours(labels: Tags, environment: str) -> bool:
    return labels.get(tags.KIND) == tags.KIND_FLEET and labels.get(tags.ENVIRONMENT) == environment


def _instance(instance: Instance, service: str, drift: Drift, now: datetime) -> Iterator[Finding]:
    def posture(check: str, **fields: Any) -> Finding:
        return Finding(FindingKind.POSTURE, check, service, instance.id, **fields)

    if instance.http_tokens != "required":
        yield posture("imdsv1", found=f"http_tokens {instance.http_tokens}", declared="required", repairable=True)
    if instance.public_ip:
        yield posture("public-address", found=instance.public_ip, declared="none", note="replace the instance")
    if now - instance.launched > timedelta(days=drift.max_instance_age_days):
        yield posture(
            "old-instance",
            found=f"launched {instance.launched:%Y-%m-%d}",
            declared=f"at most {drift.max_instance_age_days:g} days",
            note="deploy the service, on a new base if there is one",
        )


def _undeclared(instance: Instance, ours: Mapping[str, str], group_names: Collection[str]) -> Iterator[Finding]:
    """Yield an instance that is in no fleet; one that its group is launching or ending is not meant."""
    if instance.group_name in group_names:
        return
    inside = [ours[one] for one in instance.security_group_ids if one in ours]
    service = instance.tags.get(tags.SERVICE) or next(iter(inside), "")
    where = "in the fleet's security group" if inside else "with the fleet's tags"
    yield Finding(
        *(FindingKind.POSTURE, "undeclared-instance", service, instance.id),
        found=f"{instance.state}, {where}, of {instance.ami_id}",
        declared="a member of the fleet's group",
        note="nobody declared it: find out what it does before you end it",
    )


def _open_ports(
    group: SecurityGroup, service: str, listeners: set[int] | None, *, repairable: bool
) -> Iterator[Finding]:
    """Yield the openings that no group of a fleet may have.

    Args:
        group: the group.
        service: whose it is.
        listeners: ports that may be open to the world; none where the service has no readable file: then any one may.
        repairable: whether it is for Rebake to close them.
    """
    for opening in group.openings:
        is_one = opening.from_port == opening.to_port
        is_listener = is_one and (listeners is None or opening.from_port in listeners)
        check = (
            _OPEN_PORTS[0]
            if opening.lets_ssh_in
            else _OPEN_PORTS[1]
            if opening.source in WORLD and not is_listener
            else ""
        )
        if check:
            yield Finding(
                *(FindingKind.POSTURE, check, service, group.id),
                attribute=f"{opening.ports} from {opening.source}",
                found=f"open in {group.name}",
                declared="closed",
                note="" if repairable else "not a fleet of ours, or one without a file: close it by hand",
                repairable=repairable,
            )


def to_close(group: SecurityGroup, findings: Collection[Finding]) -> list[Opening]:
    """Return the openings of a group that are to be closed, by the findings."""
    wanted = {one.attribute for one in findings if one.check in _OPEN_PORTS and one.resource == group.id}
    return [opening for opening in group.openings if f"{opening.ports} from {opening.source}" in wanted]
