"""Start a run of a DAG and watch it: a line for each change of a task's state."""

import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rebake import config
from rebake.exceptions import ConfigError
from stack.api import RUN_ENDS, Api, Task, error_of
from stack.console import detail, step
from stack.errors import InputError, StackError
from stack.settings import ENVIRONMENT

QUIET = frozenset({"none", "scheduled", "queued", "removed", "upstream_failed"})
"""States that are not printed: not started, or never to start because of a failure that has been printed."""
BAD = frozenset({"failed", "up_for_retry"})


@dataclass
class RunOutcome:
    """How a run ended, and how long each of its stages took."""

    dag_id: str
    run_id: str
    state: str
    seconds: float
    stages: dict[str, float] = field(default_factory=dict)


class Follower:
    """Watches one run.

    Args:
        api: Airflow.
        dag_id: The run's DAG.
        run_id: The run.
        note: Called for each line; what it returns is added to the line, such as a load's figures.
    """

    def __init__(self, api: Api, dag_id: str, run_id: str, note: Callable[[], str] = str) -> None:
        self._api = api
        self._dag_id = dag_id
        self._run_id = run_id
        self._note = note
        self._began = time.monotonic()
        self._printed: dict[str, tuple[str, int]] = {}
        self._starts: dict[str, dt.datetime] = {}

    def follow(self, poll_seconds: float = 0.5) -> RunOutcome:
        """Watch until the run ends. An interrupt leaves the run as it is."""
        while True:
            # The run's state first: once it has ended, the tasks are in their last states.
            state = self._api.run_state(self._dag_id, self._run_id)
            tasks = self._api.tasks(self._dag_id, self._run_id)
            for task in tasks:
                self._print(task)
            if state in RUN_ENDS:
                ran = [task for task in tasks if task.end and task.name in self._starts and task.state != "skipped"]
                stages = {task.name: self._seconds(task) for task in ran}
                return RunOutcome(self._dag_id, self._run_id, state, time.monotonic() - self._began, stages)
            time.sleep(poll_seconds)

    def _print(self, task: Task) -> None:
        if task.start:
            # A task that was deferred starts anew: what counts is when it started first.
            self._starts[task.name] = min(task.start, self._starts.get(task.name, task.start))
        now = (task.state, task.try_number)
        if task.state in QUIET or self._printed.get(task.name) == now:
            return
        self._printed[task.name] = now
        took = f" after {self._seconds(task):.1f} s" if task.state in RUN_ENDS and task.name in self._starts else ""
        again = f" (try {task.try_number})" if task.try_number > 1 else ""
        note = self._note()
        seconds = time.monotonic() - self._began
        detail(f"[{seconds:5.1f} s] {task.name:<22} {task.state}{again}{took}{'  | ' + note if note else ''}")
        if task.state in BAD:
            for line in error_of(self._api.log(self._dag_id, self._run_id, task)).splitlines():
                detail(f"          {line}")

    def _seconds(self, task: Task) -> float:
        return (task.end - self._starts[task.name]).total_seconds() if task.end else 0.0


def started_since(api: Api, dag_id: str, earlier: Sequence[str], seconds: float = 60) -> str:
    """Wait for a run that something else starts, such as an asset's event, and return its id.

    Args:
        api: Airflow.
        dag_id: The run's DAG.
        earlier: The ids of the runs that there were before.
        seconds: How long the scheduler may take.

    Raises:
        StackError: no run began.
    """
    deadline = time.monotonic() + seconds
    while not (found := [run for run in api.runs(dag_id) if run not in earlier]):
        if time.monotonic() > deadline:
            raise StackError(f"no run of {dag_id} began within {seconds:.0f} s")
        time.sleep(0.5)
    return found[0]


def check(service: str, version: str) -> None:
    """Check that a run could deploy the version.

    Raises:
        InputError: the service is unknown, its file is wrong, or the version is missing or does not match its pattern.
    """
    if not version:
        raise InputError("give a version: make deploy VERSION=1.2.3")
    try:
        config.load_service(service, config.load_environment(ENVIRONMENT)).check_version(version)
    except ConfigError as error:
        raise InputError(str(error)) from error


def run(api: Api, dag_id: str, conf: dict[str, Any], note: Callable[[], str] = str) -> RunOutcome:
    """Start a run of a DAG and watch it until it ends.

    Raises:
        InputError: Airflow knows no such DAG, or refuses the configuration.
    """
    api.wait_for_dag(dag_id)
    api.unpause(dag_id)
    run_id = api.trigger(dag_id, conf)
    step(f"{dag_id} {' '.join(f'{key}={value}' for key, value in conf.items())}".rstrip())
    try:
        return Follower(api, dag_id, run_id, note).follow()
    except KeyboardInterrupt:
        step(f"no longer watching; the run {run_id} of {dag_id} goes on: see Airflow's UI, or `make status`")
        raise
