"""The DAG that retires images: when it runs, and what its form asks for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG
from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.timetables.base import DataInterval, TimeRestriction


@pytest.fixture(scope="module")
def dag(load_dag_file: Callable[[str], Any]) -> DAG:
    found: DAG = load_dag_file("retire_images").dag
    return found


@pytest.mark.parametrize(("asked", "expected"), [(None, ""), (True, "True"), (False, "False")])
def test_the_form_overrides_the_policy_only_where_it_says_something(
    dag: DAG, asked: bool | None, expected: str
) -> None:
    task: Any = copy.copy(dag.get_task("retire_images"))
    params = copy.deepcopy(dag.params)
    params.update({"dry_run": asked} if asked is not None else {})

    task.render_template_fields({"params": params.validate(), "dag_run": SimpleNamespace()})

    assert task.dry == expected


@pytest.mark.parametrize(
    ("now", "last", "expected"),
    [
        pytest.param((12, 0), None, datetime(2026, 6, 2, 4, 30, tzinfo=UTC), id="a fresh install waits for tomorrow"),
        pytest.param((4, 0), None, datetime(2026, 6, 1, 4, 30, tzinfo=UTC), id="before half past four, for today"),
        pytest.param((4, 31), (4, 30), datetime(2026, 6, 2, 4, 30, tzinfo=UTC), id="once a day"),
    ],
)
def test_it_runs_every_day_and_not_at_once_where_it_is_new(
    dag: DAG,
    monkeypatch: pytest.MonkeyPatch,
    now: tuple[int, int],
    last: tuple[int, int] | None,
    expected: datetime,
) -> None:
    moment = pendulum.datetime(2026, 6, 1, *now)
    monkeypatch.setattr("airflow.timetables.trigger.utcnow", lambda: moment)
    before = DataInterval.exact(pendulum.datetime(2026, 6, 1, *last)) if last else None

    info = coerce_to_core_timetable(dag.timetable).next_dagrun_info(
        last_automated_data_interval=before,
        restriction=TimeRestriction(earliest=None, latest=None, catchup=False),
    )

    assert info is not None
    assert info.run_after == expected
    assert dag.start_date is None
    assert dag.is_paused_upon_creation
