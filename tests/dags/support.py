"""What the tests of several DAG files ask of a DAG."""

import copy
from datetime import datetime
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG
from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.timetables.base import DataInterval, TimeRestriction


def downstream(dag: DAG, task_id: str) -> set[str]:
    """Return the tasks that come after a task, next to it or further on."""
    return {task.task_id for task in dag.get_task(task_id).get_flat_relatives(upstream=False)}


def params(dag: DAG, **conf: Any) -> dict[str, Any]:
    """Return the parameters of a run that is triggered with `conf`, validated as Airflow validates them."""
    found = copy.deepcopy(dag.params)
    found.update(conf)
    return found.validate()


def next_run(dag: DAG, monkeypatch: pytest.MonkeyPatch, now: datetime, last: datetime | None = None) -> datetime:
    """Return when the scheduler runs the DAG next, if it is `now` and the last run was at `last`."""
    monkeypatch.setattr("airflow.timetables.trigger.utcnow", lambda: pendulum.instance(now))
    info = coerce_to_core_timetable(dag.timetable).next_dagrun_info(
        last_automated_data_interval=DataInterval.exact(pendulum.instance(last)) if last else None,
        restriction=TimeRestriction(earliest=None, latest=None, catchup=False),
    )
    assert info is not None
    return info.run_after
