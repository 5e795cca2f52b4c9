"""Observes the fleet every second from outside, and turns that into moments and spans of a timeline."""

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from prove.result import Moment, Span
from rebake import tags
from stack.cloud import Cloud
from stack.settings import WATCHER_KEY

PAUSE = 1.0
TURNING = frozenset({"RollbackInProgress", "Cancelling"})
FORWARD = frozenset({"Pending", "InProgress", "Baking"})


@dataclass(frozen=True)
class Refresh:
    """An instance refresh at one moment."""

    id: str
    status: str
    percentage: int


@dataclass(frozen=True)
class Observation:
    """The fleet at one moment: each instance's state, and the newest refreshes."""

    at: float
    instances: Mapping[str, str]
    refreshes: Sequence[Refresh]


class Watcher:
    """Watches one group in a thread of its own, until `stop`; skips observations that fail.

    Args:
        cloud: Where the group is.
        group_name: The Auto Scaling group.
    """

    def __init__(self, cloud: Cloud, group_name: str) -> None:
        self._autoscaling = cloud.client("autoscaling", access_key=WATCHER_KEY)
        self._elbv2 = cloud.client("elbv2", access_key=WATCHER_KEY)
        self._ec2 = cloud.client("ec2", access_key=WATCHER_KEY)
        self._group_name = group_name
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self.observations: list[Observation] = []
        self.versions: dict[str, str] = {}

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopping.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stopping.wait(PAUSE):
            with contextlib.suppress(BotoCoreError, ClientError, LookupError):
                self.observations.append(self._observe())

    def _observe(self) -> Observation:
        named = {"AutoScalingGroupName": self._group_name}
        group = self._autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self._group_name])
        group = group["AutoScalingGroups"][0]
        answer = self._elbv2.describe_target_health(TargetGroupArn=group["TargetGroupARNs"][0])
        targets = {one["Target"]["Id"]: one["TargetHealth"]["State"] for one in answer["TargetHealthDescriptions"]}
        refreshes = self._autoscaling.describe_instance_refreshes(**named, MaxRecords=5)["InstanceRefreshes"]
        self._name([one["InstanceId"] for one in group["Instances"] if one["InstanceId"] not in self.versions])
        return Observation(
            time.time(),
            {one["InstanceId"]: state_of(one, targets) for one in group["Instances"]},
            [Refresh(one["InstanceRefreshId"], one["Status"], one.get("PercentageComplete", 0)) for one in refreshes],
        )

    def _name(self, ids: Sequence[str]) -> None:
        """Find out which version new instances run."""
        if not ids:
            return
        for reservation in self._ec2.describe_instances(InstanceIds=ids)["Reservations"]:
            for one in reservation["Instances"]:
                labels = tags.read(one)
                self.versions[one["InstanceId"]] = labels.get(tags.VERSION, "")


def state_of(instance: Mapping[str, Any], targets: Mapping[str, str]) -> str:
    """Return what an instance of a group does: `booting`, `healthy`, `unhealthy` or `leaving`."""
    if str(instance["LifecycleState"]).startswith("Terminat"):
        return "leaving"
    target = targets.get(instance["InstanceId"], "unused")
    return {"healthy": "healthy", "unhealthy": "unhealthy", "draining": "leaving"}.get(target, "booting")


def moments_of(observations: Sequence[Observation], began: float) -> list[Moment]:
    """Return how refreshes changed between the observations: started, progressed, changed status."""
    found: list[Moment] = []
    known = {refresh.id: refresh for refresh in observations[0].refreshes} if observations else {}
    for observation in observations[1:]:
        at = round(observation.at - began, 1)
        for refresh in reversed(observation.refreshes):
            before = known.get(refresh.id)
            known[refresh.id] = refresh
            if before is None:
                found.append(Moment(at, "refresh", f"refresh {refresh.id[:8]} {refresh.status}"))
            elif refresh.status != before.status:
                kind = "refresh" if refresh.status in FORWARD else "end" if refresh.status == "Successful" else "back"
                turned = f" at {refresh.percentage} %" if kind == "back" and refresh.status in TURNING else ""
                found.append(Moment(at, kind, f"refresh {refresh.status}{turned}"))
            elif refresh.percentage != before.percentage:
                found.append(Moment(at, "step", f"{refresh.percentage} %"))
    return found


def lives_of(spans: Sequence[Span]) -> list[Moment]:
    """Return when instances began to serve, fell ill, and left; not their states at the first observation."""
    words = {"healthy": "healthy", "unhealthy": "unhealthy", "leaving": "leaves"}
    first = min((span.start for span in spans), default=0.0)
    return [
        Moment(span.start, "instance", f"{span.lane.rpartition(' ')[2][:6]} {words[span.state]}")
        for span in spans
        if span.state in words and span.start > first
    ]


def spans_of(observations: Sequence[Observation], versions: Mapping[str, str], began: float) -> list[Span]:
    """Return for each instance the times in which it was in one state; its lane is its version and its id."""
    found: list[Span] = []
    now: dict[str, tuple[str, float]] = {}
    for observation in observations:
        at = round(observation.at - began, 1)
        for instance, (state, since) in list(now.items()):
            if observation.instances.get(instance) != state:
                found.append(Span(_lane(instance, versions), state, since, at))
                del now[instance]
        for instance, state in observation.instances.items():
            now.setdefault(instance, (state, at))
    end = round(observations[-1].at - began, 1) if observations else 0.0
    found += [Span(_lane(instance, versions), state, since, end) for instance, (state, since) in now.items()]
    return sorted(found, key=lambda span: (span.start, span.lane))


def _lane(instance: str, versions: Mapping[str, str]) -> str:
    return f"{versions.get(instance, '')} {instance[:10]}".strip()
