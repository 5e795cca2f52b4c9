"""Network interfaces: each owns its addresses and its security groups, and an instance has those of its first one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moto.ec2.exceptions import (
    DependencyViolationError,
    EC2ClientError,
    InvalidParameterCombination,
    InvalidParameterValue,
)
from moto.ec2.models.elastic_network_interfaces import NetworkInterface

from localcloud.ec2.security_groups import GroupRules
from localcloud.vpc.subnets import subnet_full


class LocalInterface(NetworkInterface):
    """A network interface; moto adds the groups of its instance to its own, so that none can be taken away."""

    subnet_addresses: tuple[str, ...] = ()
    """Those that it has in its subnet; an instance that is a container is reported with the container's address."""

    @property
    def network_interface_id(self) -> str:
        """Its id, by the name that the API gives it."""
        return str(self.id)

    @property
    def group_set(self) -> list[Any]:
        """Its security groups."""
        return list(self._group_set)

    def delete(self) -> None:
        """Delete it, also along with its instance, and free its addresses."""
        self.ec2_backend.enis.pop(self.id, None)
        for address in self.subnet_addresses:
            self.subnet.del_subnet_ip(address)
        self.subnet_addresses = ()


class VpcRules(GroupRules):
    """A part of the EC2 backend: what it does with networks."""

    def place(self, count: int, names: list[str], template: Mapping[str, Any], options: dict[str, Any]) -> None:
        """Complete a launch's network by the template and the default VPC; refuse what AWS refuses, changing nothing.

        Args:
            count: How many instances are launched.
            names: Names of security groups.
            template: The launch template's data; its network interfaces count where the request names none.
            options: moto's arguments of RunInstances, which are changed.
        """
        interfaces = options.get("nics") or []
        groups = list(options.get("security_group_ids") or [])
        if interfaces and (groups or names):
            raise InvalidParameterCombination(
                "Network interfaces and an instance-level security groups may not be specified on the same request"
            )
        if not interfaces:
            interfaces = [{"DeviceIndex": 0, **each} for each in template.get("NetworkInterfaces") or []]
        options["nics"] = interfaces
        first: Mapping[str, Any] = next((each for each in interfaces if int(each.get("DeviceIndex") or 0) == 0), {})
        if existing := first.get("NetworkInterfaceId"):
            options["subnet_id"] = self.get_network_interface(existing).subnet.id
            options["private_ip"] = None
            return
        subnet_id = options.get("subnet_id") or first.get("SubnetId") or self._default_subnet_id(options)
        if not subnet_id:
            return
        options["subnet_id"] = subnet_id
        subnet: Any = self.get_subnet(subnet_id)
        groups += first.get("Groups") or []
        groups += [group.id for group in map(self.get_security_group_by_name_or_id, names) if group]
        for group_id in groups:
            if self.known_group(group_id).vpc_id != subnet.vpc_id:
                message = f"Security group {group_id} and subnet {subnet_id} belong to different networks."
                raise EC2ClientError("InvalidParameter", message)
        requested = options.get("private_ip") or first.get("PrivateIpAddress")
        if requested:
            subnet.require_free(requested)
        if subnet.available_ip_address_count < count:
            raise subnet_full(subnet_id)

    def _default_subnet_id(self, options: Mapping[str, Any]) -> str | None:
        defaults = self.get_default_subnets()
        zone = options.get("placement") or min(defaults, default="")
        return defaults[zone].id if zone in defaults else None

    def create_network_interface(
        self,
        subnet: Any,
        private_ip_address: Any,
        private_ip_addresses: Iterable[Any] | None = None,
        group_ids: list[str] | None = None,
        *args: Any,
        secondary_ips_count: Any = None,
        **options: Any,
    ) -> Any:
        """Create an interface with addresses of its subnet's, which moto draws at random, in groups that exist.

        Raises:
            EC2ClientError: of `LocalSubnet`.
            InvalidSecurityGroupNotFoundError: there is no such group; moto makes it up.
        """
        subnet = self.get_subnet(subnet) if isinstance(subnet, str) else subnet
        group_ids = list(dict.fromkeys(group_ids or []))
        for group_id in group_ids:
            self.known_group(group_id)
        primary = next(iter(private_ip_address), None) if isinstance(private_ip_address, list) else private_ip_address
        entries = [{"PrivateIpAddress": each} if isinstance(each, str) else each for each in private_ip_addresses or []]
        primary = primary or next((each["PrivateIpAddress"] for each in entries if each.get("Primary")), None)
        others = [each["PrivateIpAddress"] for each in entries if each["PrivateIpAddress"] != primary]
        others += [None] * int(secondary_ips_count or 0)
        # A launch has drawn the primary address before, in the name of the instance.
        taken = [primary] if "device_index" in options and subnet.has(primary) else subnet.take(self, [primary])
        addresses = [*taken, *subnet.take(self, others)]
        interface: Any = super().create_network_interface(
            subnet,
            addresses[0],
            [{"Primary": each == addresses[0], "PrivateIpAddress": each} for each in addresses],
            group_ids,
            *args,
            **options,
        )
        interface.subnet_addresses = tuple(addresses)
        return interface

    def delete_network_interface(self, eni_id: str) -> None:
        """DeleteNetworkInterface, but not while an instance or a load balancer has it."""
        interface: Any = self.get_network_interface(eni_id)
        if interface.status == "in-use":
            raise InvalidParameterValue(f"Network interface '{eni_id}' is currently in use.")
        interface.delete()

    def assign_private_ip_addresses(
        self, eni_id: str, private_ip_addresses: list[str] | None = None, secondary_ips_count: int | None = None
    ) -> Any:
        """AssignPrivateIpAddresses, from the interface's subnet."""
        interface: Any = self.get_network_interface(eni_id)
        known = interface.subnet_addresses
        wanted: list[str | None] = [each for each in private_ip_addresses or [] if each not in known]
        added = interface.subnet.take(self, wanted + [None] * (secondary_ips_count or 0))
        interface.private_ip_addresses.extend({"Primary": False, "PrivateIpAddress": each} for each in added)
        interface.subnet_addresses = (*known, *added)
        return interface

    def unassign_private_ip_addresses(self, eni_id: str, private_ip_address: list[str] | None = None) -> Any:
        """UnassignPrivateIpAddresses: they are free again."""
        interface: Any = super().unassign_private_ip_addresses(eni_id, private_ip_address)
        for address in private_ip_address or []:
            if address in interface.subnet_addresses:
                interface.subnet.del_subnet_ip(address)
        interface.subnet_addresses = tuple(
            each for each in interface.subnet_addresses if each not in (private_ip_address or [])
        )
        return interface

    def delete_subnet(self, subnet_id: str) -> Any:
        """DeleteSubnet, but not with network interfaces in it, which moto does not check."""
        subnet: Any = self.get_subnet(subnet_id)
        if subnet.in_use:
            raise DependencyViolationError(f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")
        return super().delete_subnet(subnet_id)

    def delete_vpc(self, vpc_id: str) -> Any:
        """DeleteVpc, but not with groups of its own or an internet gateway, which moto does not check."""
        self.get_vpc(vpc_id)
        groups = [group for group in self.groups.get(vpc_id, {}).values() if group.name != "default"]
        gateways = self.describe_internet_gateways(filters={"attachment.vpc-id": [vpc_id]})
        if groups or gateways:
            raise DependencyViolationError(f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
        default = self.groups.pop(vpc_id, {})  # it goes with its VPC, and no other way
        try:
            return super().delete_vpc(vpc_id)
        except DependencyViolationError:
            self.groups[vpc_id] = default
            raise
