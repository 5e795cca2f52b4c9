"""The pool that limits how many images are baked at the same time."""

from typing import Any

import pytest
from airflow.sdk.execution_time.task_runner import TaskRunnerMarker

from rebake.stages import pool


class Job:
    """Stands for Airflow's own, which writes to its database."""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Note which pools are made."""
    pools: list[dict[str, Any]] = []
    monkeypatch.setattr("airflow.models.pool.Pool.create_or_update_pool", lambda **pool: pools.append(pool))
    return pools


def test_the_pool_has_the_slots_of_the_policy(made: list[dict[str, Any]]) -> None:
    pool.on_starting(Job())

    assert [(one["name"], one["slots"]) for one in made] == [("rebake_bakes", 4)]


def test_a_tasks_process_leaves_the_database_alone(made: list[dict[str, Any]]) -> None:
    pool.on_starting(TaskRunnerMarker())

    assert made == []


def test_the_pool_is_there_even_if_the_environments_file_is_wrong(
    made: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REBAKE_ENVIRONMENT", "nowhere")

    pool.on_starting(Job())

    assert [one["slots"] for one in made] == [4]
