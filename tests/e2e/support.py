"""What several end-to-end tests use: runs side by side, and the state of the sample service."""

from typing import Any

from stack import status
from stack.follow import Follower, RunOutcome
from stack.up import Stack

DEMANDING = "demanding"
"""The base family that is never as it declares."""


def webapp(stack: Stack) -> dict[str, Any]:
    """Return what `make status` knows of the sample service."""
    service: dict[str, Any] = status.collect(stack)["services"]["webapp"]
    return service


class Runs:
    """Runs that were started without waiting for them."""

    def __init__(self, stack: Stack) -> None:
        self._api = stack.api
        self._started: dict[str, tuple[str, str]] = {}
        self._ended: dict[str, RunOutcome] = {}

    def start(self, name: str, dag_id: str, conf: dict[str, Any]) -> None:
        """Start a run; Airflow queues it behind the DAG's earlier ones."""
        self._api.wait_for_dag(dag_id)
        self._api.unpause(dag_id)
        self.follow(name, dag_id, self._api.trigger(dag_id, conf))

    def follow(self, name: str, dag_id: str, run_id: str) -> None:
        """Add a run that another one has started."""
        self._started[name] = dag_id, run_id

    def outcome(self, name: str) -> RunOutcome:
        """Wait for the end of a run."""
        if name not in self._ended:
            self._ended[name] = Follower(self._api, *self._started[name]).follow()
        return self._ended[name]

    def wait(self) -> None:
        """Wait for the end of all of them."""
        for name in self._started:
            self.outcome(name)
