"""What becomes of a run of the deployment in which a stage fails, by Airflow's own rules."""

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import pytest
from airflow.models.dagrun import DagRun
from airflow.sdk import DAG
from airflow.utils.state import State


@pytest.fixture(scope="module")
def dag(load_dag_file: Callable[[str], ModuleType]) -> DAG:
    """Return the DAG of the sample service."""
    found: DAG = load_dag_file("deploy").deploy_webapp
    return found


def _outcomes(dag: DAG, failing: str, skipping: Iterable[str] = ()) -> dict[str, str]:
    """Return the end of every task when the tasks do what their trigger rules make of `failing` being failed.

    The rules: `all_success`, the default, waits for all and takes over a failure or a skip; `one_failed` runs when
    one before it failed or could not run. Teardowns run always here.
    """
    ends: dict[str, str] = {}
    for task in dag.topological_sort():
        before = {ends[name] for name in task.upstream_task_ids}
        failed_before = bool(before & {"failed", "upstream_failed"})
        if task.task_id == failing:
            ends[task.task_id] = "failed"
        elif task.task_id in skipping:
            ends[task.task_id] = "skipped"
        elif task.is_teardown:
            ends[task.task_id] = "success"
        elif task.trigger_rule == "one_failed":
            ends[task.task_id] = "success" if failed_before else "skipped"
        elif failed_before:
            ends[task.task_id] = "upstream_failed"
        else:
            ends[task.task_id] = "skipped" if "skipped" in before else "success"
    return ends


def _run_fails(dag: DAG, ends: dict[str, str]) -> bool:
    """Return whether the run has failed: whether one of the tasks that Airflow decides by has."""
    instances = [_Instance(name, end) for name, end in ends.items()]
    decisive: Any = DagRun._tis_for_dagrun_state(DagRun(), dag=dag, tis=instances)
    return any(one.state in State.failed_states for one in decisive)


class _Instance:
    def __init__(self, task_id: str, state: str) -> None:
        self.task_id = task_id
        self.state = state


def test_the_rollback_runs_after_a_rollout_that_failed_and_the_run_has_failed_all_the_same(dag: DAG) -> None:
    """A rollback that goes well must not make a success of the deployment that it takes back."""
    ends = _outcomes(dag, "wait_for_refresh")

    assert (ends["roll_back"], ends["record_release"]) == ("success", "upstream_failed")
    assert _run_fails(dag, ends)


@pytest.mark.parametrize("failing", ["bake", "test_image.probe", "terraform_apply", "start_refresh", "record_release"])
def test_the_run_fails_whichever_stage_fails(dag: DAG, failing: str) -> None:
    assert _run_fails(dag, _outcomes(dag, failing))


def test_a_failed_rollback_is_a_failed_run(dag: DAG) -> None:
    ends = _outcomes(dag, "wait_for_refresh") | {"roll_back": "failed"}

    assert _run_fails(dag, ends)


def test_the_rollback_is_skipped_when_all_goes_well_and_the_run_succeeds(dag: DAG) -> None:
    ends = _outcomes(dag, "")

    assert ends.pop("roll_back") == "skipped"
    assert set(ends.values()) == {"success"}
    assert not _run_fails(dag, ends | {"roll_back": "skipped"})


@pytest.mark.parametrize("stage", ["start_refresh", "wait_for_refresh"])
def test_a_superseded_run_is_skipped_from_there_on_and_has_not_failed(dag: DAG, stage: str) -> None:
    """Nobody is paged for a deployment that a rollback by hand took over, and nothing is rolled back under it."""
    ends = _outcomes(dag, "", skipping=[stage])

    assert (ends["roll_back"], ends["record_release"]) == ("skipped", "skipped")
    assert not _run_fails(dag, ends)


def test_the_rollback_waits_for_the_rollout_alone(dag: DAG) -> None:
    """An arrow from another stage, such as an XCom of it makes, would be one more failure to run after."""
    assert dag.get_task("roll_back").upstream_task_ids == {"wait_for_refresh"}


def test_the_rollback_gets_nothing_from_stages_that_did_not_run(dag: DAG) -> None:
    """It decides by that: no group, nothing was rolled out."""
    roll_back = dag.get_task("roll_back")
    templates = [getattr(roll_back, name) for name in ("ami_id", "auto_scaling_group_name")]

    class NothingPushed:
        map_index = -1

        def xcom_pull(self, task_ids: str, map_indexes: int) -> None:
            return None

    rendered = [roll_back.render_template(template, {"ti": NothingPushed()}) for template in templates]

    assert rendered == ["", ""]
