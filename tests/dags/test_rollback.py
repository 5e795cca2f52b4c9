"""The DAG of a rollback: the order that must hold, its parameter, and what a broken service file does."""

import itertools
from collections.abc import Callable
from types import ModuleType

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError

from rebake.exceptions import ConfigError
from rebake.stages.dag_defaults import TAG_INVALID
from tests.dags.support import downstream, params

STAGES = ["choose_release", "stop_refresh", "terraform_apply", "start_refresh", "wait_for_refresh", "record_release"]

Load = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def dag(load_dag_file: Load) -> DAG:
    """Return the DAG of the sample service."""
    found: DAG = load_dag_file("rollback").rollback_webapp
    return found


def test_there_is_a_task_for_each_stage_and_no_bake(dag: DAG) -> None:
    assert sorted(dag.task_ids) == sorted([*STAGES, "finalize"])


@pytest.mark.parametrize(("earlier", "later"), list(itertools.pairwise(STAGES)))
def test_the_stages_run_in_this_order(dag: DAG, earlier: str, later: str) -> None:
    """In particular the lease is acquired before anything changes, and only after it is known where to return to."""
    assert later in downstream(dag, earlier)


def test_no_task_hides_a_failure_and_the_lease_is_released_however_the_run_ends(dag: DAG) -> None:
    finalize = dag.get_task("finalize")

    assert [task.task_id for task in dag.tasks if not task.is_teardown and task.trigger_rule != "all_success"] == []
    assert finalize.is_teardown
    assert not finalize.on_failure_fail_dagrun
    assert finalize.upstream_task_ids == {"record_release"}


def test_instances_that_run_the_image_already_are_left_alone(dag: DAG) -> None:
    assert dag.get_task("start_refresh").by_image is True


def test_the_record_says_that_it_was_a_rollback(dag: DAG) -> None:
    assert {task: dag.get_task(task).kind for task in ("record_release", "finalize")} == {
        "record_release": "rollback",
        "finalize": "rollback",
    }


@pytest.mark.parametrize("wanted", ["", "1.2.3", "ami-0123456789abcdef0", "webapp-20261123T183012-1.2.3-2"])
def test_a_release_is_named_by_its_id_its_version_its_image_or_not_at_all(dag: DAG, wanted: str) -> None:
    assert params(dag, release=wanted) == {"release": wanted}


@pytest.mark.parametrize("wanted", ["1.2.3; rm -rf /", "../webapp", "{{ 1 }}"])
def test_another_text_is_refused_before_anything_runs(dag: DAG, wanted: str) -> None:
    with pytest.raises(ParamValidationError, match="Invalid input for param release"):
        params(dag, release=wanted)


def test_a_broken_service_file_is_a_dag_that_says_what_is_wrong(broken_shop: None, load_dag_file: Load) -> None:
    made = load_dag_file("rollback")

    assert "choose_release" in made.rollback_webapp.task_ids
    assert TAG_INVALID in made.rollback_shop.tags
    with pytest.raises(ConfigError, match=r"fleet\.mini_size"):
        made.rollback_shop.tasks[0].python_callable()
