"""The DAG that rebuilds a base image: when it runs, the order that must hold, and what it emits."""

import copy
import inspect
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, Context
from airflow.sdk.exceptions import AirflowSkipException, ParamValidationError

from rebake import config
from rebake.operators.assert_base import AssertBaseOperator
from tests.dags.support import downstream, next_run, params

STAGES = ["bake", "test_image.launch", "test_image.probe", "record_base", "promote_ami"]
FAN_OUT = ["families", "rebuild_each"]


@pytest.fixture(scope="module")
def module(load_dag_file: Callable[[str], ModuleType]) -> ModuleType:
    return load_dag_file("rebuild_base_image")


@pytest.fixture(scope="module")
def dag(module: ModuleType) -> DAG:
    found: DAG = module.dag
    return found


def test_there_is_a_task_for_each_stage_and_no_other(dag: DAG) -> None:
    assert sorted(dag.task_ids) == sorted([*STAGES, *FAN_OUT, "test_image.terminate"])


@pytest.mark.parametrize(("earlier", "later"), list(itertools.pairwise(STAGES)))
def test_the_stages_run_in_this_order(dag: DAG, earlier: str, later: str) -> None:
    """In particular no base is promoted before it has passed its checks."""
    assert later in downstream(dag, earlier)


def test_promotion_needs_the_record_which_needs_the_probe_and_not_the_teardown(dag: DAG) -> None:
    record_base, promote_ami = dag.get_task("record_base"), dag.get_task("promote_ami")

    assert "test_image.probe" in record_base.upstream_task_ids
    assert "test_image.terminate" not in record_base.upstream_task_ids
    assert "record_base" in promote_ami.upstream_task_ids
    assert {record_base.trigger_rule, promote_ami.trigger_rule} == {"all_success"}


def test_the_probe_holds_the_image_against_the_familys_assertions(dag: DAG) -> None:
    assert isinstance(dag.get_task("test_image.probe"), AssertBaseOperator)


def test_the_image_that_was_tested_is_the_one_that_is_promoted_for_the_family(dag: DAG) -> None:
    promote_ami: Any = dag.get_task("promote_ami")
    launch: Any = dag.get_task("test_image.launch")

    record_base: Any = dag.get_task("record_base")
    ami_id = "{{ ti.xcom_pull(task_ids='bake', map_indexes=ti.map_index)['ami_id'] }}"
    assert {task.ami_id for task in (launch, record_base, promote_ami)} == {ami_id}
    assert promote_ami.name == "/rebake/bases/{{ params.base }}"
    assert promote_ami.channel == "current"


def test_without_parameters_it_rebuilds_all_families_and_reuses_what_is_the_same(dag: DAG) -> None:
    assert params(dag) == {"base": "*", "force_bake": False}


@pytest.mark.parametrize("force", ["True", "False"])
def test_a_run_for_all_families_starts_one_run_for_each(module: ModuleType, dag: DAG, force: str) -> None:
    families: Any = dag.get_task("families")

    started = families.python_callable(module.ALL, force, "scheduled__2027-01-01T03:00:00+00:00")

    assert [one["conf"] for one in started] == [
        {"base": name, "force_bake": force == "True"} for name in config.base_names()
    ]
    assert started[0]["trigger_run_id"] == "amazon-linux-2023__scheduled__2027-01-01T03:00:00+00:00"


def test_airflow_accepts_the_names_of_the_functions_arguments(dag: DAG) -> None:
    """It refuses those of its own context, and only when the task runs."""
    families: Any = dag.get_task("families")

    assert set(inspect.signature(families.python_callable).parameters) & set(Context.__annotations__) == set()


def test_a_run_for_one_family_starts_no_other(dag: DAG) -> None:
    families: Any = dag.get_task("families")

    assert families.python_callable("debian-12", "False", "manual__1") == []


def test_a_run_for_all_families_bakes_nothing_itself(module: ModuleType) -> None:
    module.skip_unless_one_family({"params": {"base": "debian-12"}})
    with pytest.raises(AirflowSkipException, match="rebuild_each"):
        module.skip_unless_one_family({"params": {"base": module.ALL}})


def test_no_familys_run_waits_for_another_and_each_is_started_once(dag: DAG) -> None:
    rebuild_each: Any = dag.get_task("rebuild_each")

    assert rebuild_each.downstream_task_ids == set()
    assert rebuild_each.partial_kwargs["trigger_dag_id"] == dag.dag_id
    assert rebuild_each.partial_kwargs["skip_when_already_exists"]
    assert not rebuild_each.partial_kwargs.get("wait_for_completion"), "with one active run, it would wait for ever"


@pytest.mark.parametrize("base", config.base_names())
def test_every_family_that_has_a_file_is_accepted(dag: DAG, base: str) -> None:
    assert params(dag, base=base)["base"] == base


def test_an_unknown_family_is_refused_before_anything_runs(dag: DAG) -> None:
    with pytest.raises(ParamValidationError, match="windows-95"):
        params(dag, base="windows-95")


@pytest.mark.parametrize(
    ("force_bake", "run_type", "expected"),
    [(False, "manual", "False"), (True, "manual", "True"), (False, "scheduled", "True")],
)
def test_the_quarterly_run_bakes_always_and_a_run_by_hand_on_request(
    dag: DAG, force_bake: bool, run_type: str, expected: str
) -> None:
    bake: Any = copy.copy(dag.get_task("bake"))
    bake.render_template_fields(
        {"params": {"base": "debian-12", "force_bake": force_bake}, "dag_run": SimpleNamespace(run_type=run_type)}
    )

    assert bake.base == "debian-12"
    assert bake.force == expected


def _tick(year: int, month: int) -> datetime:
    return datetime(year, month, 1, 3, tzinfo=UTC)


def test_the_dag_gives_the_scheduler_no_start_date_to_catch_up_from(dag: DAG) -> None:
    """With one, Airflow runs the last missed tick when the DAG is unpaused, whatever `catchup` says."""
    assert dag.start_date is None
    assert not dag.catchup
    assert dag.is_paused_upon_creation
    assert [task.task_id for task in dag.tasks if task.start_date is not None] == []


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(datetime(2026, 11, 23, 12, tzinfo=UTC), _tick(2027, 1), id="in the middle of a quarter"),
        pytest.param(datetime(2026, 10, 1, 3, 11, tzinfo=UTC), _tick(2027, 1), id="soon after a tick"),
        pytest.param(datetime(2026, 10, 1, 2, 59, tzinfo=UTC), _tick(2026, 10), id="a minute before a tick"),
    ],
)
def test_a_fresh_install_waits_for_the_next_quarter(
    dag: DAG, monkeypatch: pytest.MonkeyPatch, now: datetime, expected: datetime
) -> None:
    assert next_run(dag, monkeypatch, now) == expected


def test_the_first_tick_is_not_lost_when_the_file_is_read_again_before_the_run_is_made(
    dag: DAG, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seconds in (0, 30, 300):
        now = _tick(2027, 1) + timedelta(seconds=seconds)
        assert next_run(dag, monkeypatch, now) == _tick(2027, 1)


def test_it_runs_at_three_on_the_first_day_of_each_quarter(dag: DAG, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [_tick(2027, 1)]
    for _ in range(4):
        runs.append(next_run(dag, monkeypatch, runs[-1] + timedelta(minutes=1), last=runs[-1]))

    assert runs[1:] == [_tick(2027, 4), _tick(2027, 7), _tick(2027, 10), _tick(2028, 1)]


def test_only_the_asset_of_the_family_that_was_rebuilt_gets_an_event(module: ModuleType) -> None:
    added: list[tuple[Asset, dict[str, Any]]] = []
    events = SimpleNamespace(add=lambda asset, extra: added.append((asset, extra)))
    pulled = {
        "bake": {"ami_id": "ami-2"},
        "record_base": {"record": "bases/amazon-linux-2023/2.json", "previous_ami": "ami-1"},
    }
    context = {
        "params": {"base": "amazon-linux-2023"},
        "ti": SimpleNamespace(xcom_pull=lambda task_ids: pulled[task_ids]),
        "outlet_events": {module.REBUILT_BASES: events},
    }

    module.emit_rebuilt_base(context, 7)

    extra = {
        "ami_id": "ami-2",
        "previous_ami_id": "ami-1",
        "parameter_version": 7,
        "record": "bases/amazon-linux-2023/2.json",
    }
    assert added == [(Asset("rebake://bases/amazon-linux-2023"), extra)]
