"""Faults on demand: what goes wrong in AWS now and then, made to go wrong when a test wants it.

A fault has a kind, says whom it is meant for, how often of all times it hits, how many times at most, and when it
ends. `Cloud.faults` holds them; the admin endpoint makes, lists and removes them.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from .fleet import disguise
from .instances import ServiceKiller
from .models import Faults

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

__all__ = ["FaultPart", "Faults", "install"]


class FaultPart:
    """What of the faults runs by itself.

    Args:
        cloud: Whose faults they are.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._killer = ServiceKiller(cloud)
        self._disguise = ExitStack()

    def start(self) -> None:
        """Begin."""
        self._disguise = disguise(self._cloud.faults)
        self._killer.start()

    def stop(self) -> None:
        """End, and give moto its answers back."""
        self._killer.stop()
        self._disguise.close()


def install(cloud: Cloud) -> FaultPart:
    """Return the part, to be started after Auto Scaling's and stopped before it."""
    return FaultPart(cloud)
