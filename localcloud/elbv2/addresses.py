"""An address of its own for each load balancer."""

import hashlib
import ipaddress
import socket

from moto.elbv2.exceptions import ELBClientError

# A socket bound to this port, and never listening, holds an address for as long as its load balancer lives: another
# embedded cloud on this machine that derives the same address cannot bind it, and takes the next one.
HOLD_PORT = 65535


class AddressBook:
    """Hands out addresses of 127.0.0.0/8, derived from the cloud's name so that two clones rarely meet.

    Where the cloud itself is not bound to loopback (in a container of a compose stack), every load balancer has the
    container's own address, and differs from the others by its listeners' ports.
    """

    def __init__(self, name: str, bind: str) -> None:
        digest = hashlib.sha256(name.encode()).digest()
        self._prefix = f"127.{64 + digest[0] % 128}.{digest[1]}"
        self._shared = None if ipaddress.ip_address(bind).is_loopback else _outward_address(bind)
        self._held: dict[str, socket.socket] = {}

    def allocate(self) -> str:
        """Return an address for one load balancer.

        Raises:
            ELBClientError: All 254 addresses are taken.
        """
        if self._shared:
            return self._shared
        for last in range(1, 255):
            address = f"{self._prefix}.{last}"
            if address in self._held:
                continue
            holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                holder.bind((address, HOLD_PORT))
            except OSError:
                holder.close()
                continue
            self._held[address] = holder
            return address
        raise ELBClientError(
            "TooManyLoadBalancers",
            f"Every address from {self._prefix}.1 to {self._prefix}.254 is taken by a load balancer of the embedded "
            "cloud. Delete load balancers that are not needed, or stop the other embedded clouds on this machine.",
        )

    def release(self, address: str) -> None:
        """Free an address; one that was never allocated is ignored."""
        holder = self._held.pop(address, None)
        if holder:
            holder.close()

    def release_all(self) -> None:
        """Free every address."""
        for address in list(self._held):
            self.release(address)


def _outward_address(bind: str) -> str:
    if not ipaddress.ip_address(bind).is_unspecified:
        return bind
    # Connecting a datagram socket sends nothing: it only gets from the kernel which address it would send from.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:  # no route outside
            return socket.gethostbyname(socket.gethostname())
        address: str = probe.getsockname()[0]
    return address
