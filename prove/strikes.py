"""Faults that strike a run once in every stage, where it hurts: while a call that changes something is under way."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import requests

from rebake.release.stage import Stage
from stack.api import RUN_ENDS, Task
from stack.errors import StackError
from stack.processes import kill, session, titled

if TYPE_CHECKING:
    from prove.cable import Cable
    from stack.airflow import Airflow
    from stack.up import Stack

HELD_SECONDS: Final = 4
"""How long the embedded cloud holds the call in which a stage is struck. The call is carried out after that, though
whoever made it may be gone by then: as in AWS, where the answer is lost and not the effect."""
CUT_SECONDS: Final = 10
PATIENCE: Final = 180
"""Seconds for which Airflow may not answer."""
_IDLE_WORKER: Final = "LocalExecutor: <idle>"
"""In the title of such a process."""
_BUSY: Final = frozenset({"queued", "running", "deferred"})
_POLL: Final = 0.1


@dataclass(frozen=True)
class Moment:
    """When a stage is struck: while a call of it is held.

    Args:
        stage: The task.
        action: The call, such as `ec2:CreateImage`.
        deferred: Whether the triggerer makes it.
        after: Seconds in which the stage is left alone first.
    """

    stage: str
    action: str
    deferred: bool = False
    after: float = 0


MOMENTS: Final = (
    Moment(Stage.BAKE, "ec2:CreateImage"),
    Moment(Stage.LAUNCH_PROBE, "ec2:RunInstances"),
    Moment(Stage.PROBE, "ssm:SendCommand", deferred=True),
    Moment(Stage.TERMINATE_PROBE, "ec2:TerminateInstances"),
    Moment(Stage.ACQUIRE_LEASE, "s3:PutObject"),
    Moment(Stage.PROMOTE_AMI, "ssm:PutParameter"),
    Moment(Stage.TERRAFORM_APPLY, "ec2:CreateLaunchTemplateVersion"),
    Moment(Stage.START_REFRESH, "autoscaling:StartInstanceRefresh"),
    Moment(Stage.WAIT_FOR_REFRESH, "autoscaling:DescribeInstanceRefreshes", deferred=True, after=15),
    Moment(Stage.RECORD_RELEASE, "ec2:CreateTags"),
    Moment(Stage.FINALIZE, "s3:PutObject"),
)

Strike = Callable[[Task], None]


@dataclass(frozen=True)
class Fault:
    """Something that strikes.

    Args:
        name: What is killed or cut.
        strike: Does it, and brings back what has to be brought back from outside, as an init system would.
        spares_triggers: Whether it cannot hit what the triggerer does; such a stage is struck before it defers.
    """

    name: str
    strike: Strike
    spares_triggers: bool = False


def worker() -> Fault:
    """Return the fault of a worker that is killed: the task's process and the one that supervises it."""

    def strike(task: Task) -> None:
        found = titled(task.id)
        if not found:
            raise StackError(f"{task.name} has no process to kill")
        for pid in found:
            kill(pid, signal.SIGKILL)

    return Fault("worker", strike, spares_triggers=True)


def triggerer(airflow: Airflow) -> Fault:
    """Return the fault of a triggerer that is killed, with all its processes, and started again at once."""

    def strike(_task: Task) -> None:
        airflow.processes["triggerer"].kill()
        airflow.start()

    return Fault("triggerer", strike)


def scheduler(airflow: Airflow) -> Fault:
    """Return the fault of a scheduler that is killed and started again at once.

    Its workers outlive it, and finish what they are at without it. Those that have nothing to do would wait for ever:
    they are ended before the next strike, as an init system does.
    """
    gone: list[int] = []

    def strike(_task: Task) -> None:
        for pid in titled(_IDLE_WORKER):
            if any(pid in session(leader) for leader in gone):
                kill(pid, signal.SIGKILL)
        process = airflow.processes["scheduler"]
        gone.extend([process.pid] if process.pid else [])
        process.kill(alone=True)
        airflow.start()

    return Fault("scheduler", strike)


def connection(cable: Cable) -> Fault:
    """Return the fault of a cloud that cannot be reached for a while."""

    def strike(_task: Task) -> None:
        cable.pull()
        time.sleep(CUT_SECONDS)
        cable.plug()

    return Fault("connection", strike)


class Striker:
    """Lets a fault strike each stage of a run once.

    Args:
        stack: Where the run is.
        fault: What strikes.
        moments: When.
        times: How often each stage is struck, in a try of its own each time.
    """

    def __init__(self, stack: Stack, fault: Fault, moments: Sequence[Moment] = MOMENTS, times: int = 1) -> None:
        self._stack = stack
        self._fault = fault
        self._faults_url = f"{stack.settings.cloud_url}/_localcloud/faults"
        self._moments = {moment.stage: moment for moment in moments}
        self._times = times
        self._held: dict[str, str] = {}
        self._seen: dict[str, float] = {}
        self.struck: dict[str, list[float]] = {moment.stage: [] for moment in moments}
        """When each stage was struck, in seconds after `follow` began."""
        self._tries: set[str] = set()

    def follow(self, dag_id: str, run_id: str, tell: Callable[[str], None]) -> str:
        """Strike until the run ends; return its state.

        Raises:
            StackError: Airflow does not answer for minutes.
        """
        api, began, heard = self._stack.api, time.monotonic(), time.monotonic()
        while True:
            try:
                state, tasks = api.run_state(dag_id, run_id), api.tasks(dag_id, run_id)
                heard = time.monotonic()
            except StackError:  # it has just been started, or has much to do
                if time.monotonic() - heard > PATIENCE:
                    raise
                continue
            for task in tasks:
                if self._is_due(task) and self._is_time(self._moments[task.name], task):
                    self.struck[task.name].append(time.monotonic() - began)
                    self._tries.add(task.id)
                    self._fault.strike(task)
                    tell(f"{self._fault.name} struck in {task.name} ({task.state}, try {task.try_number})")
                    self._release(task.name)
            if state in RUN_ENDS:
                return state
            time.sleep(_POLL)

    def _is_due(self, task: Task) -> bool:
        struck = self.struck.get(task.name)
        return struck is not None and len(struck) < self._times and task.id not in self._tries

    def _is_time(self, moment: Moment, task: Task) -> bool:
        if task.state not in _BUSY:
            return False
        if moment.deferred and self._fault.spares_triggers:
            return task.state == "running" and bool(titled(task.id))
        if moment.deferred and task.state != "deferred":
            return False
        seen = self._seen.setdefault(moment.stage, time.monotonic())
        if time.monotonic() - seen < moment.after:
            return False
        if moment.stage not in self._held:
            hold = {"kind": "latency", "action": moment.action, "seconds": HELD_SECONDS, "limit": 1}
            self._held[moment.stage] = requests.post(self._faults_url, json=hold, timeout=10).json()["id"]
            return False
        return self._has_fired(self._held[moment.stage])

    def _has_fired(self, fault_id: str) -> bool:
        return any(one["id"] == fault_id and one["fired"] for one in requests.get(self._faults_url, timeout=10).json())

    def _release(self, stage: str) -> None:
        if fault_id := self._held.pop(stage, ""):
            requests.delete(self._faults_url, params={"id": fault_id}, timeout=10)
