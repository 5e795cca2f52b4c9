"""Fault injection: hits a run once in every stage, while a call that changes something is in flight."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import requests

from stack.api import RUN_ENDS, Task
from stack.errors import StackError
from stack.processes import kill, session, titled

if TYPE_CHECKING:
    from prove.tcp_proxy import TcpProxy
    from stack.airflow import Airflow
    from stack.up import Stack

HELD_SECONDS: Final = 4
"""How long the embedded cloud holds the call of an injection point. It then carries the call out, even if the caller
is dead by then: as in AWS, where the response is lost and not the effect."""
CUT_SECONDS: Final = 10
PATIENCE: Final = 180
"""Seconds for which Airflow may be unreachable."""
_IDLE_WORKER: Final = "LocalExecutor: <idle>"
"""The process title of an idle worker."""
_BUSY: Final = frozenset({"queued", "running", "deferred"})
_POLL: Final = 0.1


@dataclass(frozen=True)
class InjectionPoint:
    """The call of a stage during which a fault is injected.

    Args:
        stage: The task.
        action: The call, such as `ec2:CreateImage`.
        deferred: Whether the triggerer makes the call.
        after: Seconds to wait after the stage begins.
    """

    stage: str
    action: str
    deferred: bool = False
    after: float = 0


POINTS: Final = (
    InjectionPoint("bake", "ec2:CreateImage"),
    InjectionPoint("test_image.launch", "ec2:RunInstances"),
    InjectionPoint("test_image.probe", "ssm:SendCommand", deferred=True),
    InjectionPoint("test_image.terminate", "ec2:TerminateInstances"),
    InjectionPoint("acquire_lease", "s3:PutObject"),
    InjectionPoint("promote_ami", "ssm:PutParameter"),
    InjectionPoint("terraform_apply", "ec2:CreateLaunchTemplateVersion"),
    InjectionPoint("start_refresh", "autoscaling:StartInstanceRefresh"),
    InjectionPoint("wait_for_refresh", "autoscaling:DescribeInstanceRefreshes", deferred=True, after=15),
    InjectionPoint("record_release", "ec2:CreateTags"),
    InjectionPoint("finalize", "s3:PutObject"),
)

Inject = Callable[[Task], None]


@dataclass(frozen=True)
class Fault:
    """A fault that can be injected into a task.

    Args:
        name: What is killed or cut.
        inject: Kills or cuts it, and restarts what an init system would restart.
        spares_triggers: Whether it cannot hit the triggerer; a deferrable stage is then hit before it defers.
    """

    name: str
    inject: Inject
    spares_triggers: bool = False


def worker() -> Fault:
    """Return the fault that kills a worker: the task's process and its supervisor."""

    def inject(task: Task) -> None:
        found = titled(task.id)
        if not found:
            raise StackError(f"{task.name} has no process to kill")
        for pid in found:
            kill(pid, signal.SIGKILL)

    return Fault("worker", inject, spares_triggers=True)


def triggerer(airflow: Airflow) -> Fault:
    """Return the fault that kills the triggerer with all its processes, and starts it again at once."""

    def inject(_task: Task) -> None:
        airflow.processes["triggerer"].kill()
        airflow.start()

    return Fault("triggerer", inject)


def scheduler(airflow: Airflow) -> Fault:
    """Return the fault that kills the scheduler and starts it again at once.

    Busy workers outlive it and finish their tasks. Idle ones would wait for ever: the next injection kills them, as an
    init system would.
    """
    gone: list[int] = []

    def inject(_task: Task) -> None:
        for pid in titled(_IDLE_WORKER):
            if any(pid in session(leader) for leader in gone):
                kill(pid, signal.SIGKILL)
        process = airflow.processes["scheduler"]
        gone.extend([process.pid] if process.pid else [])
        process.kill(alone=True)
        airflow.start()

    return Fault("scheduler", inject)


def connection(proxy: TcpProxy) -> Fault:
    """Return the fault that makes the embedded cloud unreachable for a while."""

    def inject(_task: Task) -> None:
        proxy.cut()
        time.sleep(CUT_SECONDS)
        proxy.restore()

    return Fault("connection", inject)


class Injector:
    """Injects a fault into each stage of a run.

    Args:
        stack: Where the run is.
        fault: The fault to inject.
        points: Where to inject it.
        times: How often to hit each stage, once per try.
    """

    def __init__(self, stack: Stack, fault: Fault, points: Sequence[InjectionPoint] = POINTS, times: int = 1) -> None:
        self._stack = stack
        self._fault = fault
        self._faults_url = f"{stack.settings.cloud_url}/_localcloud/faults"
        self._points = {point.stage: point for point in points}
        self._times = times
        self._held: dict[str, str] = {}
        self._seen: dict[str, float] = {}
        self.hits: dict[str, list[float]] = {point.stage: [] for point in points}
        """When each stage was hit, in seconds after `follow` began."""
        self._tries: set[str] = set()

    def follow(self, dag_id: str, run_id: str, report: Callable[[str], None]) -> str:
        """Inject the fault until the run ends; return its state.

        Raises:
            StackError: Airflow is unreachable for `PATIENCE` seconds.
        """
        api, began, answered = self._stack.api, time.monotonic(), time.monotonic()
        while True:
            try:
                state, tasks = api.run_state(dag_id, run_id), api.tasks(dag_id, run_id)
                answered = time.monotonic()
            except StackError:  # Airflow has just been started, or is busy
                if time.monotonic() - answered > PATIENCE:
                    raise
                continue
            for task in tasks:
                if self._is_due(task) and self._is_time(self._points[task.name], task):
                    self.hits[task.name].append(time.monotonic() - began)
                    self._tries.add(task.id)
                    self._fault.inject(task)
                    report(f"{self._fault.name} hit in {task.name} ({task.state}, try {task.try_number})")
                    self._release(task.name)
            if state in RUN_ENDS:
                return state
            time.sleep(_POLL)

    def _is_due(self, task: Task) -> bool:
        hits = self.hits.get(task.name)
        return hits is not None and len(hits) < self._times and task.id not in self._tries

    def _is_time(self, point: InjectionPoint, task: Task) -> bool:
        if task.state not in _BUSY:
            return False
        if point.deferred and self._fault.spares_triggers:
            return task.state == "running" and bool(titled(task.id))
        if point.deferred and task.state != "deferred":
            return False
        seen = self._seen.setdefault(point.stage, time.monotonic())
        if time.monotonic() - seen < point.after:
            return False
        if point.stage not in self._held:
            hold = {"kind": "latency", "action": point.action, "seconds": HELD_SECONDS, "limit": 1}
            self._held[point.stage] = requests.post(self._faults_url, json=hold, timeout=10).json()["id"]
            return False
        return self._has_fired(self._held[point.stage])

    def _has_fired(self, fault_id: str) -> bool:
        return any(one["id"] == fault_id and one["fired"] for one in requests.get(self._faults_url, timeout=10).json())

    def _release(self, stage: str) -> None:
        if fault_id := self._held.pop(stage, ""):
            requests.delete(self._faults_url, params={"id": fault_id}, timeout=10)
