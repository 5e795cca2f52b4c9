"""What Airflow hands to a task, and what a task or trigger hands back."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow.triggers.base import BaseTrigger

DAG_ID = "deploy_webapp"
RUN_ID = "manual__2026-11-23T18:30:12+00:00"
RUN_TAG = f"{DAG_ID}/{RUN_ID}"
REQUESTED_AT = datetime(2026, 11, 23, 18, 30, 12, 345678, tzinfo=UTC)


class FakeTaskInstance:
    """The few things that operators ask of a task instance."""

    def __init__(self, try_number: int = 1) -> None:
        self.dag_id = DAG_ID
        self.run_id = RUN_ID
        self.task_id = "stage"
        self.try_number = try_number
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep what is pushed, for the test to look at."""
        self.pushed[key] = value


def context(try_number: int = 1, user: str | None = "ada") -> Any:
    """Return the context of a task of the run `RUN_ID`."""
    run = SimpleNamespace(dag_id=DAG_ID, run_id=RUN_ID, run_after=REQUESTED_AT, triggering_user_name=user)
    return {"ti": FakeTaskInstance(try_number), "dag_run": run, "outlet_events": {}}


def message(entry: Mapping[str, Any]) -> str:
    """Return the line that a log entry captured by structlog comes to."""
    arguments = entry.get("positional_args", ())
    return str(entry["event"]) % arguments if arguments else str(entry["event"])


def deferral(call: Callable[..., Any], *arguments: Any, **options: Any) -> TaskDeferred:
    """Return the deferral that a call of an operator's method ends in."""
    with pytest.raises(TaskDeferred) as deferred:
        call(*arguments, **options)
    return deferred.value


def run_trigger(trigger: BaseTrigger) -> dict[str, Any]:
    """Return the payload of the one event that a trigger yields."""

    async def first() -> Any:
        events = [event async for event in trigger.run()]
        assert len(events) == 1
        return events[0].payload

    payload: dict[str, Any] = asyncio.run(first())
    return payload
