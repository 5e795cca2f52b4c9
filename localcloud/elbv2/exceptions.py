"""The error that the embedded load balancer adds to moto's."""

from moto.elbv2.exceptions import ELBClientError


class NotEmulatedError(ELBClientError):
    """A request that moto would accept and that the embedded load balancer would then silently not honour."""

    code = "InvalidConfigurationRequest"

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(f"The embedded cloud's load balancer does not emulate {what}. {instead}")
