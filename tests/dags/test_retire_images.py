"""The DAG that retires images: when it runs, and what its form asks for."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from tests.dags.support import next_run, params


@pytest.fixture(scope="module")
def dag(load_dag_file: Callable[[str], Any]) -> DAG:
    found: DAG = load_dag_file("retire_images").dag
    return found


@pytest.mark.parametrize(("requested", "expected"), [(None, ""), (True, "True"), (False, "False")])
def test_the_form_overrides_the_policy_only_where_it_says_something(
    dag: DAG, requested: bool | None, expected: str
) -> None:
    task: Any = copy.copy(dag.get_task("retire_images"))
    given = params(dag) if requested is None else params(dag, dry_run=requested)

    task.render_template_fields({"params": given, "dag_run": SimpleNamespace()})

    assert task.dry == expected


def _at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 6, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "last", "expected"),
    [
        pytest.param(_at(1, 12), None, _at(2, 4, 30), id="a fresh install waits for tomorrow"),
        pytest.param(_at(1, 4), None, _at(1, 4, 30), id="before half past four, for today"),
        pytest.param(_at(1, 4, 31), _at(1, 4, 30), _at(2, 4, 30), id="once a day"),
    ],
)
def test_it_runs_every_day_and_not_at_once_where_it_is_new(
    dag: DAG, monkeypatch: pytest.MonkeyPatch, now: datetime, last: datetime | None, expected: datetime
) -> None:
    assert next_run(dag, monkeypatch, now, last) == expected
    assert dag.start_date is None
    assert dag.is_paused_upon_creation
