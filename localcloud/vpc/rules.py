"""What security groups admit, as rules of nftables and as networks; nothing here touches a network."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

TABLE = "rebake"
METADATA = "169.254.169.254"
NUMBERS = {"icmp": "1", "tcp": "6", "udp": "17", "icmpv6": "58"}
"""Of protocols: an instance's image need not have the file that lists them."""
ANY = ipaddress.IPv4Network("0.0.0.0/0")


@dataclass(frozen=True)
class Rule:
    """One permission of a security group: from, or to, a network or the members of a group."""

    protocol: str
    first: int | None
    last: int | None
    cidr: str = ""
    group: str = ""

    @classmethod
    def of(cls, rule: Any) -> Rule:
        """Return moto's rule as one of ours; what it says of IPv6 and prefix lists admits nothing here."""
        return cls(
            rule.ip_protocol,
            rule.from_port,
            rule.to_port,
            (rule.ip_range or {}).get("CidrIp", ""),
            (rule.source_group or {}).get("GroupId", ""),
        )

    def admits_port(self, port: int) -> bool:
        """Return whether the rule is about that port of TCP."""
        if self.protocol == "-1":
            return True
        return self.protocol in ("tcp", "6") and (self.first or 0) <= port <= (self.last or 0)


@dataclass(frozen=True)
class Peer:
    """An instance or a load balancer: whatever security groups apply to.

    Args:
        address: Where it is in the containers' network.
        subnet_addresses: Where it is in its VPC, by the records.
        groups: Ids of its security groups.
        ingress: What these let in.
        egress: What these let out.
        is_balancer: A load balancer is in the cloud's own process, and cannot filter for itself what it sends.
    """

    address: str
    subnet_addresses: tuple[str, ...]
    groups: frozenset[str]
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]
    is_balancer: bool = False


def networks(rule: Rule, peers: Iterable[Peer]) -> list[ipaddress.IPv4Network]:
    """Return where the other side of a rule is in the containers' network.

    A network is itself, and whoever has an address in it by the records: a rule that names a subnet's means those.
    """
    if rule.group:
        return [ipaddress.IPv4Network(peer.address) for peer in peers if rule.group in peer.groups]
    if not rule.cidr:
        return []
    named = ipaddress.IPv4Network(rule.cidr, strict=False)
    inside = [
        ipaddress.IPv4Network(peer.address)
        for peer in peers
        if any(ipaddress.IPv4Address(address) in named for address in peer.subnet_addresses)
    ]
    return list(ipaddress.collapse_addresses([named, *inside]))


def table(peer: Peer, peers: Sequence[Peer], cloud: str, metadata_port: int) -> str:
    """Return what nftables is to do in an instance's own network namespace.

    Args:
        peer: The instance.
        peers: Everybody.
        cloud: The address of the embedded cloud itself, which looks whether instances answer.
        metadata_port: Where the instance metadata service is, at that address.
    """
    to_metadata = f"ip daddr {METADATA} tcp dport 80 dnat ip to {cloud}:{metadata_port}"
    return "\n".join([
        f"table inet {TABLE}",
        f"delete table inet {TABLE}",
        f"table inet {TABLE} {{",
        *_chain("input", "filter hook input priority 0; policy drop", [
            "iif lo accept",
            "ct state established,related accept",
            f"meta l4proto {NUMBERS['icmpv6']} accept",
            f"ip saddr {cloud} accept",
            *(_held_back(other, peer, peers) for other in peers if other.is_balancer),
            *_accepted("saddr", peer.ingress, peers),
        ]),
        *_chain("output", "filter hook output priority 0; policy drop", [
            "oif lo accept",
            "ct state established,related accept",
            f"meta l4proto {NUMBERS['icmpv6']} accept",
            f"ip daddr {cloud} tcp dport {metadata_port} accept",
            # As on AWS, groups do not filter the name service; where that is depends on the engine.
            f"meta l4proto {{ {NUMBERS['tcp']}, {NUMBERS['udp']} }} th dport 53 accept",
            *_accepted("daddr", peer.egress, peers),
        ]),
        *_chain("metadata", "nat hook output priority -100", [to_metadata]),
        *_chain("metadata_of_containers", "nat hook prerouting priority -100", [to_metadata]),
        "}",
    ])  # fmt: skip


def admitted(balancer: Peer, port: int, peers: Iterable[Peer]) -> list[ipaddress.IPv4Network]:
    """Return from where a load balancer's port is reached."""
    rules = [rule for rule in balancer.ingress if rule.admits_port(port)]
    return list(ipaddress.collapse_addresses(each for rule in rules for each in networks(rule, peers)))


def _chain(name: str, kind: str, lines: Iterable[str]) -> list[str]:
    return [f"chain {name} {{", f"type {kind};", *filter(None, lines), "}"]


def _accepted(side: str, rules: Iterable[Rule], peers: Sequence[Peer]) -> Iterable[str]:
    for rule in rules:
        where = networks(rule, peers)
        if where:
            yield f"{_at(side, where)}{_protocol(rule)}accept"


def _at(side: str, where: Sequence[ipaddress.IPv4Network]) -> str:
    return "" if ANY in where else f"ip {side} {{ {', '.join(map(str, where))} }} "


def _protocol(rule: Rule) -> str:
    everything = rule.first in (None, -1) or (rule.first, rule.last) == (0, 65535)
    if rule.protocol in ("-1", ""):
        return ""
    if rule.protocol in ("tcp", "udp") and not everything:
        return f"{rule.protocol} dport {rule.first}-{rule.last} "
    if rule.protocol == "icmp" and not everything:
        return f"icmp type {rule.first} "
    return f"meta l4proto {NUMBERS.get(rule.protocol, rule.protocol)} "


def _held_back(balancer: Peer, peer: Peer, peers: Sequence[Peer]) -> str:
    """Drop what a load balancer's own groups do not let out to the instance."""
    target = ipaddress.IPv4Network(peer.address)
    allowed = [
        "0-65535" if rule.protocol == "-1" else f"{rule.first}-{rule.last}"
        for rule in balancer.egress
        if rule.protocol in ("-1", "tcp") and any(target.subnet_of(where) for where in networks(rule, peers))
    ]
    if "0-65535" in allowed:
        return ""
    ports = f"tcp dport != {{ {', '.join(dict.fromkeys(allowed))} }} " if allowed else ""
    return f"ip saddr {balancer.address} {ports}drop"
