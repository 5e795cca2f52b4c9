"""Errors that the embedded load balancer adds to moto's."""

from moto.elbv2.exceptions import ELBClientError


class ListenFailedError(ELBClientError):
    """A listener's socket cannot be opened; AWS has no such failure, so the code of a bad configuration is used."""

    code = "InvalidConfigurationRequest"

    def __init__(self, address: str, port: int, error: OSError) -> None:
        super().__init__(
            f"The embedded cloud cannot listen on {address}:{port} ({error.strerror or error}). Give the listener "
            "another port, or stop the process that listens there; ports below 1024 need privileges."
        )


class NotEmulatedError(ELBClientError):
    """A request that moto would accept and that the embedded load balancer would then silently not honour."""

    code = "InvalidConfigurationRequest"

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(f"The embedded cloud's load balancer does not emulate {what}. {instead}")


class OperationNotPermittedError(ELBClientError):
    """What is protected, or belongs to its owner, cannot be changed or removed."""

    code = "OperationNotPermitted"


class NoAddressError(ELBClientError):
    """No loopback address is left for a new load balancer."""

    code = "TooManyLoadBalancers"

    def __init__(self, first: str, last: str) -> None:
        super().__init__(
            f"Every address from {first} to {last} is taken by a load balancer of the embedded cloud. "
            "Delete load balancers that are not needed, or stop the other embedded clouds on this machine."
        )
