"""The engine of the metadata-only mode: instances and images are records, and nothing runs.

For tests of scale and of policies, where thousands of instances are looked at and none is used.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Iterator, Mapping, Sequence

from localcloud import network
from localcloud.engine import Completed, Engine
from localcloud.exceptions import EngineError

CIDR = "10.64.0.0/16"
"""Addresses for some 65,000 instances; nothing is ever sent to one."""


class Records(Engine):
    """Does at once, and to no machine, what the container engine does.

    Args:
        name: The cloud's name.
    """

    runs_machines = False

    def __init__(self, name: str) -> None:
        super().__init__("", name)
        self._up: set[str] = set()

    def connect(self) -> None:
        """Reach nothing."""

    def create_network(self, cidr: str | None = None) -> None:
        """Have addresses to hand out."""
        self.cidr = cidr or CIDR
        self.addresses = network.Addresses(ipaddress.IPv4Network(self.cidr))

    def create(self, instance_id: str, image: str, address: str, hostname: str, files: Mapping[str, bytes]) -> None:
        """Make no container."""

    def start(self, instance_id: str) -> None:
        """Note that the instance is up."""
        self._up.add(instance_id)

    def stop(self, instance_id: str) -> None:
        """Note that the instance is down."""
        self._up.discard(instance_id)

    def remove(self, instance_id: str) -> None:
        """Forget the instance."""
        self._up.discard(instance_id)

    def is_up(self, instance_id: str) -> bool:
        """Say whether the instance was started and not stopped since."""
        return instance_id in self._up

    def up(self) -> set[str]:
        """Return the ids of all instances that are up."""
        return set(self._up)

    def answers(self, address: str) -> bool:
        """Say that whatever was started has booted."""
        return True

    def deaths(self) -> Iterator[str]:
        """Wait for ever: no record goes down by itself."""
        threading.Event().wait()
        yield from ()

    def run(self, instance_id: str, argv: Sequence[str]) -> Completed:
        """Refuse.

        Raises:
            EngineError: always.
        """
        raise EngineError(f"{argv[0]} cannot run in {instance_id}: with --metadata-only an instance is a record only")

    def has_file(self, instance_id: str, path: str) -> bool:
        """Say that there is no disk with a file."""
        return False

    def image_id(self, reference: str) -> str | None:
        """Take every image for one that exists, and that of no name too."""
        return reference or "record"

    def commit(self, instance_id: str, ami_id: str) -> str:
        """Keep no disk, and return the reference that it would have."""
        return self.reference(ami_id)

    def tag(self, image: str, ami_id: str) -> str:
        """Return the reference of an image that is a copy."""
        return self.reference(ami_id)

    def remove_image(self, reference: str) -> None:
        """Remove nothing."""

    def clean_up(self) -> None:
        """Leave nothing behind, as there is nothing."""
