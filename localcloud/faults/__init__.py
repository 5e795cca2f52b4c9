"""Fault injection: makes the embedded cloud fail on demand the way AWS fails now and then.

A fault has a kind, a target, a rate, a limit and an expiry. `Cloud.faults` holds them; the admin endpoint makes, lists
and removes them.
"""

from .fleet import patch_statuses
from .instances import ServiceKiller
from .models import Faults

__all__ = ["FaultPart", "Faults", "install"]


class FaultPart(ServiceKiller):
    """The threads and patches of fault injection, to be started after Auto Scaling's and stopped before them."""

    def start(self) -> None:
        """Begin."""
        self._patches = patch_statuses(self._cloud.faults)
        super().start()

    def stop(self) -> None:
        """End, and restore moto's responses."""
        super().stop()
        self._patches.close()

    def reset(self) -> None:
        """Do nothing: faults are no state of AWS, and stay until they are removed or expire."""


install = FaultPart
