"""Fault injection: makes the embedded cloud fail on demand the way AWS fails now and then.

A fault has a kind, a target, a rate, a limit and an expiry. `Cloud.faults` holds them; the admin endpoint makes, lists
and removes them.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from .fleet import patch_statuses
from .instances import ServiceKiller
from .models import Faults

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

__all__ = ["FaultPart", "Faults", "install"]


class FaultPart:
    """The threads and patches of fault injection."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._killer = ServiceKiller(cloud)
        self._patches = ExitStack()

    def start(self) -> None:
        """Begin."""
        self._patches = patch_statuses(self._cloud.faults)
        self._killer.start()

    def stop(self) -> None:
        """End, and restore moto's responses."""
        self._killer.stop()
        self._patches.close()

    def reset(self) -> None:
        """Do nothing: faults are no state of AWS, and stay until they are removed or expire."""


def install(cloud: Cloud) -> FaultPart:
    """Return the part, to be started after Auto Scaling's and stopped before it."""
    return FaultPart(cloud)
