"""The embedded cloud's Auto Scaling: groups that keep real instances, and instance refreshes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from moto.autoscaling.models import autoscaling_backends

from localcloud.adoption import adopted
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
        self.reconciler = Reconciler(
            groups=self._groups,
            compute=compute or MotoCompute(cloud),
            traffic=traffic or MotoTraffic(cloud),
            alarm_state=self._alarm_state,
            clock=cloud.clock,
            lock=cloud.lock,
            stalls=partial(stalls, cloud.faults),
        )
        LocalAutoScalingBackend.reconciler, LocalAutoScalingBackend.clock = self.reconciler, cloud.clock
        self._patches = patch_responses()
        self._patches.enter_context(adopted(autoscaling_backends, LocalAutoScalingBackend))

    def _groups(self) -> Iterable[ManagedGroup]:
        return [
            group for backend in self._cloud.backends("autoscaling") for group in backend.autoscaling_groups.values()
        ]

    def _alarm_state(self, group: ManagedGroup, name: str) -> str | None:
        alarm = self._cloud.backend("cloudwatch", group.account_id, group.region).alarms.get(name)
        return alarm.state_value if alarm else None

    def start(self) -> None:
        """Start the reconciler."""
        self.reconciler.start()

    def stop(self) -> None:
        """Stop the reconciler and restore moto's backends; instances stay."""
        self.reconciler.stop()
        self._patches.close()

    def reset(self) -> None:
        """Do nothing: groups are moto's records."""

    def tick(self) -> None:
        """Reconcile every group once, as the thread does twice a second."""
        self.reconciler.tick()


def install(cloud: Cloud, compute: Compute | None = None, traffic: Traffic | None = None) -> AutoScaling:
    """Extend moto's Auto Scaling; the result is started and stopped by the caller."""
    return AutoScaling(cloud, compute, traffic)
