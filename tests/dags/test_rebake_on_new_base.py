"""The DAG that follows a new base: what starts it, the order that must hold, and how services stay apart."""

import itertools
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetAny
from airflow.serialization.serialized_objects import DagSerialization

from rebake import config
from tests.dags.support import downstream

STAGES = ["choose_version", "bake", "test_image.launch", "test_image.probe", "deploy"]


@pytest.fixture(scope="module")
def dag(load_dag_file: Callable[[str], ModuleType]) -> DAG:
    found: DAG = load_dag_file("rebake_on_new_base").dag
    return found


def test_there_is_a_task_for_each_stage_and_no_other(dag: DAG) -> None:
    besides = ["find_dependents", "report", "rebake.test_image.terminate"]

    assert sorted(dag.task_ids) == sorted([*(f"rebake.{stage}" for stage in STAGES), *besides])


@pytest.mark.parametrize(("earlier", "later"), list(itertools.pairwise(STAGES)))
def test_the_stages_of_a_service_run_in_this_order(dag: DAG, earlier: str, later: str) -> None:
    """In particular no deployment begins with an image that has not passed."""
    assert f"rebake.{later}" in downstream(dag, f"rebake.{earlier}")


def test_the_base_of_any_family_starts_it(dag: DAG) -> None:
    condition: Any = dag.timetable.asset_condition

    assert isinstance(condition, AssetAny)
    assert list(condition.objects) == [Asset(f"rebake://bases/{family}") for family in config.base_names()]


def test_every_stage_runs_once_for_each_service(dag: DAG) -> None:
    for stage in STAGES:
        groups = [group.group_id for group in dag.get_task(f"rebake.{stage}").iter_mapped_task_groups()]
        assert groups == ["rebake"]


def test_each_service_takes_the_results_of_its_own_tasks(dag: DAG) -> None:
    """By default Airflow pulls those of all services, as a list."""
    results = {("rebake.choose_version", 1): {"version": "1.1.0"}, ("rebake.bake", 1): {"ami_id": "ami-01"}}
    ti = SimpleNamespace(map_index=1, xcom_pull=lambda task_ids, map_indexes: results[task_ids, map_indexes])
    bake: Any = dag.get_task("rebake.bake")
    launch: Any = dag.get_task("rebake.test_image.launch")

    rendered = [bake.render_template(template, {"ti": ti}) for template in (bake.version, launch.ami_id)]

    assert rendered == ["1.1.0", "ami-01"]


def test_only_bakes_are_bounded_by_the_pool(dag: DAG) -> None:
    assert [task.task_id for task in dag.tasks if task.pool == "rebake_bakes"] == ["rebake.bake"]


def test_the_report_hides_no_failure_and_its_own_is_one(dag: DAG) -> None:
    """As a teardown it runs however the services ended, and the services decide what becomes of the run."""
    report = dag.get_task("report")

    assert report.is_teardown
    assert report.on_failure_fail_dagrun
    assert "rebake.deploy" in report.upstream_task_ids
    assert {task.trigger_rule for task in dag.tasks if not task.is_teardown} == {"all_success"}


def test_every_parameter_is_described_and_none_is_required(dag: DAG) -> None:
    assert dag.params.validate() == {"base": ""}
    assert all(dag.params.get_param(name).description for name in dag.params)


# Airflow 3.3 itself asks pathspec for the pattern style that pathspec has since renamed.
@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")
def test_the_scheduler_can_read_it(dag: DAG) -> None:
    again = DagSerialization.from_dict(DagSerialization.to_dict(dag))

    assert sorted(again.task_dict) == sorted(dag.task_ids)
