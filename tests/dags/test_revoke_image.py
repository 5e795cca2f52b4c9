"""The DAG of a revocation: its parameters, and that it asks for them before anything runs."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError

from tests.dags.support import params


@pytest.fixture(scope="module")
def dag(load_dag_file: Callable[[str], ModuleType]) -> DAG:
    """Return the DAG."""
    found: DAG = load_dag_file("revoke_image").dag
    return found


def test_an_image_and_a_reason_are_all_that_is_given(dag: DAG) -> None:
    given = {"ami": "ami-0123456789abcdef0", "reason": "CVE-2026-1: {{ 1 }}"}

    assert params(dag, **given) == {**given, "undo": False}


def test_an_undo_needs_no_reason(dag: DAG) -> None:
    assert params(dag, ami="ami-0123456789abcdef0", undo=True)["reason"] is None


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"ami": "latest", "reason": "bad"}, id="no image id"),
        pytest.param({"ami": "ami-0123456789abcdef0", "reason": "x" * 257}, id="too long a reason"),
    ],
)
def test_what_cannot_be_a_revocation_is_refused_before_anything_runs(dag: DAG, given: dict[str, Any]) -> None:
    with pytest.raises(ParamValidationError):
        params(dag, **given)


def test_it_never_runs_by_itself(dag: DAG) -> None:
    assert dag.timetable.can_be_scheduled is False
