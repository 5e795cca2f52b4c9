"""The engine of the metadata-only mode: instances and images are records, and nothing runs.

For tests of scale and of policies, where thousands of instances are listed and none is used.
"""

import ipaddress
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from localcloud import network
from localcloud.engine import Completed, Engine
from localcloud.exceptions import EngineError

CIDR = "172.31.0.0/16"
"""The default VPC's; an instance has the address that it has in its subnet, and nothing is ever sent there."""


class _NoAddresses(network.Addresses):
    """Stands in for the containers' network, which has no addresses because there are no containers."""

    def take(self) -> str:
        """Return no address: the subnet's will do."""
        return ""

    def count_free(self) -> int:
        """Return that there is room for any number."""
        return sys.maxsize


def _nothing(*_: Any, **__: Any) -> None:
    """Do nothing: there is no engine to connect to, and no container, image or network."""


class Records(Engine):
    """Stands in for the container engine: every operation succeeds at once, and nothing runs."""

    runs_machines = False
    connect = create = remove_image = remove_images = clean_up = _nothing

    def __init__(self, name: str) -> None:
        super().__init__("", name)
        self._up: set[str] = set()

    def create_network(self, cidr: str | None = None) -> None:
        """Make no network."""
        self.cidr = cidr or CIDR
        self.addresses = _NoAddresses(ipaddress.IPv4Network("0.0.0.0/32"))

    def start(self, instance_id: str) -> None:
        """Mark the instance as up."""
        self._up.add(instance_id)

    def stop(self, instance_id: str) -> None:
        """Mark the instance as down."""
        self._up.discard(instance_id)

    remove = stop

    def is_up(self, instance_id: str) -> bool:
        """Return whether the instance was started and not stopped since."""
        return instance_id in self._up

    def up(self) -> set[str]:
        """Return the ids of all instances that are up."""
        return set(self._up)

    def answers(self, address: str) -> bool:
        """Return True: records boot at once."""
        return True

    def deaths(self) -> Iterator[str]:
        """Yield nothing, for ever: records never exit by themselves."""
        threading.Event().wait()
        yield from ()

    def run(self, instance_id: str, argv: Sequence[str]) -> Completed:
        """Refuse: there is nothing to run a program in."""
        raise EngineError(f"{argv[0]} cannot run in {instance_id}: with --metadata-only an instance is a record only")

    def has_file(self, instance_id: str, path: str) -> bool:
        """Return False: a record has no disk."""
        return False

    def image_id(self, reference: str) -> str | None:
        """Return an id for any reference, as if every image existed."""
        return reference or "record"

    def commit(self, instance_id: str, ami_id: str) -> str:
        """Return the reference that the image would have; there is no disk to keep."""
        return self.reference(ami_id)

    def tag(self, image: str, ami_id: str) -> str:
        """Return the reference of an image that is a copy."""
        return self.reference(ami_id)
