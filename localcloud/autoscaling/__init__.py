"""The embedded cloud's Auto Scaling: groups that keep real instances, and instance refreshes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from localcloud.faults.fleet import stalls

from .compute import Compute, MotoCompute, MotoTraffic, Traffic
from .models import LocalAutoScalingBackend
from .reconciler import Reconciler
from .responses import patch_responses

if TYPE_CHECKING:
    from collections.abc import Iterable

    from localcloud.cloud import Cloud

    from .group import ManagedGroup

__all__ = ["AutoScaling", "install"]


class AutoScaling:
    """The Auto Scaling of one cloud.

    Args:
        cloud: The cloud whose moto backend is extended.
        compute: Launches and terminates instances; the cloud's EC2 by default.
        traffic: Registers them with target groups; the cloud's Elastic Load Balancing by default.
    """

    def __init__(self, cloud: Cloud, compute: Compute | None = None, traffic: Traffic | None = None) -> None:
        self._cloud = cloud
        self._backend = cloud.autoscaling
        self.reconciler = Reconciler(
            groups=self._groups,
            forget=self._forget,
            compute=compute or MotoCompute(cloud),
            traffic=traffic or MotoTraffic(cloud),
            alarm_state=self._alarm_state,
            clock=cloud.clock,
            lock=cloud.lock,
            stalls=partial(stalls, cloud.faults),
        )
        LocalAutoScalingBackend.adopt(self._backend, self.reconciler, cloud.clock)
        self._patches = patch_responses()

    def _groups(self) -> Iterable[ManagedGroup]:
        # Read each time: a reset replaces the backend's dictionary.
        groups: Iterable[ManagedGroup] = self._backend.autoscaling_groups.values()
        return groups

    def _forget(self, group: ManagedGroup) -> None:
        self._backend.forget(group)

    def _alarm_state(self, name: str) -> str | None:
        alarm = self._cloud.cloudwatch.alarms.get(name)
        return alarm.state_value if alarm else None

    def start(self) -> None:
        """Start the reconciler."""
        self.reconciler.start()

    def stop(self) -> None:
        """Stop the reconciler and restore moto's backend; instances stay."""
        self.reconciler.stop()
        self._patches.close()
        self._backend.release()

    def tick(self) -> None:
        """Reconcile every group once, as the thread does twice a second."""
        self.reconciler.tick()


def install(cloud: Cloud, compute: Compute | None = None, traffic: Traffic | None = None) -> AutoScaling:
    """Extend moto's Auto Scaling; the result is started and stopped by the caller."""
    return AutoScaling(cloud, compute, traffic)
