"""Errors of networks that moto does not raise, with AWS's codes and texts."""

from moto.ec2.exceptions import EC2ClientError


class SubnetFullError(EC2ClientError):
    """Raised when a subnet has fewer free addresses than are needed."""

    def __init__(self, subnet_id: str) -> None:
        super().__init__(
            "InsufficientFreeAddressesInSubnet",
            f"There are not enough free addresses in subnet '{subnet_id}' to satisfy the requested number of "
            "instances.",
        )


class AddressInUseError(EC2ClientError):
    """Raised when a request chooses an address that another network interface has."""

    def __init__(self, address: str) -> None:
        super().__init__("InvalidIPAddress.InUse", f"Address {address} is in use.")


class DifferentNetworksError(EC2ClientError):
    """Raised when an instance is launched with a security group of another VPC than its subnet's."""

    def __init__(self, group_id: str, subnet_id: str) -> None:
        super().__init__(
            "InvalidParameter", f"Security group {group_id} and subnet {subnet_id} belong to different networks."
        )
