"""Load balancers in their subnets: a network interface in each, and an address to connect from."""

from __future__ import annotations

from typing import Any

from moto.elbv2.exceptions import ELBClientError

NEEDED = 8
"""Free addresses that AWS demands of each subnet of a load balancer."""


def require_room(ec2: Any, subnet_ids: list[str]) -> None:
    """Refuse subnets that are nearly full."""
    for subnet_id in subnet_ids:
        if ec2.get_subnet(subnet_id).available_ip_address_count < NEEDED:
            raise ELBClientError(
                "InvalidSubnet",
                f"Not enough IP space available in {subnet_id}. "
                f"ELB requires at least {NEEDED} free IP addresses in each subnet.",
            )


def connect(balancer: Any, ec2: Any) -> None:
    """Give a load balancer its network interfaces."""
    name = balancer.arn.partition("loadbalancer/")[2]
    balancer.interfaces = [
        ec2.create_network_interface(subnet, None, group_ids=list(balancer.security_groups), description=f"ELB {name}")
        for subnet in balancer.subnets
    ]
    for interface in balancer.interfaces:
        interface.status, interface.requester_managed = "in-use", True


def regroup(balancer: Any, ec2: Any) -> None:
    """Put the network interfaces into the groups that the load balancer has now."""
    groups = [ec2.get_security_group_from_id(group_id) for group_id in balancer.security_groups]
    for interface in balancer.interfaces:
        interface._group_set = groups  # noqa: SLF001 # moto has no seam here


def disconnect(balancer: Any) -> None:
    """Delete the network interfaces."""
    for interface in balancer.interfaces:
        interface.delete()
    balancer.interfaces = []
