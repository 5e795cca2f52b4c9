"""Addresses: which network the instances live in, and which address each gets."""

import hashlib
import ipaddress
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from localcloud.exceptions import LocalCloudError

POOL = ipaddress.IPv4Network("10.64.0.0/10")
PREFIX_LENGTH = 24
PODMANS = ipaddress.IPv4Network("10.88.0.0/16")
"""Of Podman's default network: it is refused to others even while Podman does not list it."""


def host_routes(table: str | None = None) -> list[ipaddress.IPv4Network]:
    """Return the networks that this host routes to, the default route left out.

    Args:
        table: The text of `/proc/net/route`; read from there when None.
    """
    if table is None:
        path = Path("/proc/net/route")
        table = path.read_text() if path.exists() else ""
    routes = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        destination, mask = (int.from_bytes(bytes.fromhex(fields[i]), "little") for i in (1, 7))
        if mask:
            routes.append(ipaddress.IPv4Network((destination, mask.bit_count())))
    return routes


def choose(name: str, taken: Iterable[ipaddress.IPv4Network]) -> ipaddress.IPv4Network:
    """Return a /24 of 10.64.0.0/10 for the cloud of that name: the same one each time, unless it is taken."""
    taken = [PODMANS, *taken]
    count = 2 ** (PREFIX_LENGTH - POOL.prefixlen)
    first = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    for step in range(count):
        base = int(POOL.network_address) + ((first + step) % count) * 2 ** (32 - PREFIX_LENGTH)
        candidate = ipaddress.IPv4Network((base, PREFIX_LENGTH))
        if not any(candidate.overlaps(other) for other in taken):
            return candidate
    raise LocalCloudError(f"every network in {POOL} is routed by this host: name a free one with --network-cidr")


def interface_name(cloud: str) -> str:
    """Return a bridge's name, within the kernel's 15 characters and unlike that of any other cloud."""
    return f"rb-{hashlib.sha256(cloud.encode()).hexdigest()[:12]}"


def subnets_of(details: Mapping[str, Any]) -> list[ipaddress.IPv4Network]:
    """Return the IPv4 subnets of a network, from the engine's NetworkInspect."""
    return _in_pools(details, "Subnet")


def reserved_in(details: Mapping[str, Any]) -> ipaddress.IPv4Network | None:
    """Return the part of a network from which the engine takes addresses itself, if it has one."""
    return next(iter(_in_pools(details, "IPRange")), None)


def _in_pools(details: Mapping[str, Any], name: str) -> list[ipaddress.IPv4Network]:
    pools = (details.get("IPAM") or {}).get("Config") or []
    found = (ipaddress.ip_network(pool[name], strict=False) for pool in pools if pool.get(name))
    return [each for each in found if isinstance(each, ipaddress.IPv4Network)]


class Addresses:
    """Hands out the addresses of a network, from the top down.

    The engine's own address management counts from the bottom up, so the two do not meet in a shared network. An
    address that was just given back is used again last: nobody mistakes a new instance for the old one.
    """

    def __init__(self, network: ipaddress.IPv4Network, reserved: ipaddress.IPv4Network | None = None) -> None:
        self.network = network
        hosts = list(network.hosts())[:0:-1]  # without the first: the gateway
        self._hosts = [str(host) for host in hosts if reserved is None or host not in reserved]
        self._lock = threading.Lock()
        self._next = 0
        self._used: set[str] = set()

    def take(self) -> str | None:
        """Return a free address, or None when all are in use."""
        with self._lock:
            for _ in self._hosts:
                address = self._hosts[self._next % len(self._hosts)]
                self._next += 1
                if address not in self._used:
                    self._used.add(address)
                    return address
        return None

    def release(self, address: str) -> None:
        """Make the address free again; unknown ones are ignored."""
        with self._lock:
            self._used.discard(address)

    def count_free(self) -> int:
        """Return how many addresses are free."""
        with self._lock:
            return len(self._hosts) - len(self._used)
