"""The DAG that detects drift: when it runs, the order that must hold, and what it emits."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException

from rebake.operators.repair_drift import ApproveRepairsOperator
from tests.dags.support import downstream, next_run


@pytest.fixture(scope="module")
def module(load_dag_file: Callable[[str], ModuleType]) -> ModuleType:
    return load_dag_file("detect_drift")


@pytest.fixture(scope="module")
def dag(module: ModuleType) -> DAG:
    found: DAG = module.dag
    return found


def test_a_fresh_install_does_not_run_the_hour_that_has_begun(dag: DAG, monkeypatch: pytest.MonkeyPatch) -> None:
    first = next_run(dag, monkeypatch, now=datetime(2026, 11, 23, 12, 50, tzinfo=UTC))

    assert first == datetime(2026, 11, 23, 13, 23, tzinfo=UTC)


@pytest.mark.parametrize("repair", ["at_once.repair_drift", "after_approval.repair_drift"])
def test_nothing_is_repaired_before_it_is_reported(dag: DAG, repair: str) -> None:
    assert repair in downstream(dag, "report_drift")


def test_what_needs_an_approval_is_repaired_after_it_and_after_what_needs_none(dag: DAG) -> None:
    assert "after_approval.repair_drift" in downstream(dag, "approve")
    assert "after_approval.repair_drift" in downstream(dag, "at_once.repair_drift")
    assert "at_once.repair_drift" not in downstream(dag, "approve")


@pytest.mark.parametrize("group", ["at_once", "after_approval"])
def test_the_lease_is_released_however_a_repair_ends(dag: DAG, group: str) -> None:
    release = dag.get_task(f"{group}.release_lease")

    assert release.is_teardown
    assert f"{group}.repair_drift" in release.upstream_task_ids


def test_a_report_is_written_although_no_fleet_could_be_planned(dag: DAG) -> None:
    assert dag.get_task("report_drift").trigger_rule == "none_failed"


def test_a_repair_that_failed_fails_the_run_whatever_comes_after_it(dag: DAG) -> None:
    report_repairs = dag.get_task("report_repairs")

    assert report_repairs.on_failure_fail_dagrun
    assert report_repairs.upstream_task_ids == {"at_once.repair_drift", "after_approval.repair_drift"}


@pytest.mark.parametrize(
    ("answer", "count"),
    [({"chosen_options": ["Approve"]}, 1), ({"chosen_options": ["Reject"]}, 0), (None, 0)],
    ids=["approved", "rejected or no answer in time", "never asked"],
)
def test_only_what_a_person_approved_is_repaired(module: ModuleType, answer: Any, count: int) -> None:
    assert len(module.approved.function({"approve": [{"service": "webapp"}]}, answer)) == count


def test_without_an_answer_in_time_nothing_is_done(dag: DAG) -> None:
    approve: Any = dag.get_task("approve")

    assert approve.defaults == [ApproveRepairsOperator.REJECT]


def test_nobody_is_asked_when_there_is_nothing_to_approve() -> None:
    with pytest.raises(AirflowSkipException):
        ApproveRepairsOperator(task_id="approve", subject="Repair?", body="").execute({})


class _Outlets(dict[Any, Any]):
    def __missing__(self, alias: Any) -> Any:
        self[alias] = SimpleNamespace(events=[])
        self[alias].add = lambda asset, extra: self[alias].events.append((asset.uri, extra))
        return self[alias]


@pytest.mark.parametrize("change", [{"new": ["a"], "fixed": []}, {"new": [], "fixed": ["b"]}], ids=["new", "fixed"])
def test_a_change_of_the_findings_emits_an_event_with_what_changed(module: ModuleType, change: Any) -> None:
    outlets = _Outlets()

    module.emit_change({"outlet_events": outlets}, {"changed": change, "report": "reports/drift/1.json"})

    assert outlets[module.DRIFT].events == [("rebake://local/drift", {**change, "report": "reports/drift/1.json"})]


def test_findings_that_are_the_same_as_before_emit_none(module: ModuleType) -> None:
    outlets = _Outlets()

    module.emit_change({"outlet_events": outlets}, {"changed": None, "report": "reports/drift/1.json"})

    assert outlets == {}
