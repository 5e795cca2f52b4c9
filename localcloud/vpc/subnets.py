"""Addresses of subnets: drawn, counted, and free again when their network interface is gone."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from moto.ec2.exceptions import EC2ClientError, InvalidParameterValue
from moto.ec2.models.subnets import Subnet

RESERVED = 5
"""AWS keeps the first four addresses of a subnet and the last one."""


def subnet_full(subnet_id: str) -> EC2ClientError:
    """Return AWS's error for a subnet with fewer free addresses than are needed."""
    return EC2ClientError(
        "InsufficientFreeAddressesInSubnet",
        f"There are not enough free addresses in subnet '{subnet_id}' to satisfy the requested number of instances.",
    )


class LocalSubnet(Subnet):
    """A subnet whose addresses each have one owner; moto never frees an instance's, and hands others out twice.

    An address that was just given back is used again last: nobody mistakes a new instance for the old one.
    """

    _drawn = 0

    @property
    def available_ip_address_count(self) -> int:
        """How many addresses are free; moto counts every interface of the region for it."""
        return int(self._available_ip_addresses) - len(self._subnet_ips)

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        """Return what a filter compares; each name that EC2 takes for the zone's id."""
        name = "availability-zone-id" if filter_name == "availabilityZoneId" else filter_name
        return super().get_filter_value(name, method_name)

    def get_available_subnet_ip(self, instance: Any) -> str:
        """Return a free address, which is the owner's from now on."""
        size = self.cidr.num_addresses - RESERVED
        for _ in range(size if self.available_ip_address_count > 0 else 0):
            address = self.cidr.network_address + 4 + self._drawn % size
            self._drawn += 1
            if str(address) not in self._subnet_ips and address not in self._reserved_ips:
                self._subnet_ips[str(address)] = instance
                return str(address)
        raise subnet_full(self.id)

    def require_free(self, address: str) -> None:
        """Refuse an address that a request may not choose."""
        try:
            offset = int(ipaddress.IPv4Address(address)) - int(self.cidr.network_address)
        except ValueError:
            offset = -1
        if not 0 <= offset < self.cidr.num_addresses:
            raise InvalidParameterValue(f"Address {address} does not fall within the subnet's address range")
        if offset < RESERVED - 1 or offset == self.cidr.num_addresses - 1:
            raise InvalidParameterValue(f"Address {address} is in subnet's reserved address range")
        if address in self._subnet_ips:
            raise EC2ClientError("InvalidIPAddress.InUse", f"Address {address} is in use.")

    def request_ip(self, ip: str, instance: Any) -> None:
        """Give an address of the request's choice to its owner."""
        self.require_free(ip)
        self._subnet_ips[ip] = instance

    def take(self, owner: Any, wanted: Sequence[str | None]) -> list[str]:
        """Take addresses, all or none; one that is None is AWS's choice."""
        for address in filter(None, wanted):
            self.require_free(address)
        if self.available_ip_address_count < len(wanted):
            raise subnet_full(self.id)
        self._subnet_ips.update({address: owner for address in wanted if address})
        return [address or self.get_available_subnet_ip(owner) for address in wanted]

    def has(self, address: str | None) -> bool:
        """Return whether the address has an owner."""
        return address in self._subnet_ips

    def del_subnet_ip(self, ip: str) -> None:
        """Free an address; one without an owner is ignored."""
        self._subnet_ips.pop(ip, None)

    @property
    def in_use(self) -> bool:
        """Whether a network interface has an address of it."""
        return bool(self._subnet_ips)
