"""The DAG of a deployment: the order that must hold, its parameters, and what a broken service file does."""

import itertools
from collections.abc import Callable
from types import ModuleType

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError

from rebake.exceptions import ConfigError
from rebake.stages.dag_defaults import TAG_INVALID
from tests.dags.support import downstream, params

Load = Callable[[str], ModuleType]

STAGES = [
    "bake",
    "test_image.launch",
    "test_image.probe",
    "acquire_lease",
    "promote_ami",
    "terraform_apply",
    "start_refresh",
    "wait_for_refresh",
    "record_release",
]
BESIDES = ["finalize", "roll_back", "test_image.terminate"]
"""Tasks that clean up, or that run only when a stage has failed."""


@pytest.fixture(scope="module")
def dag(load_dag_file: Load) -> DAG:
    """Return the DAG of the sample service."""
    found: DAG = load_dag_file("deploy").deploy_webapp
    return found


def test_there_is_a_task_for_each_stage_and_no_other(dag: DAG) -> None:
    assert sorted(dag.task_ids) == sorted([*STAGES, *BESIDES])


@pytest.mark.parametrize(("earlier", "later"), list(itertools.pairwise(STAGES)))
def test_the_stages_run_in_this_order(dag: DAG, earlier: str, later: str) -> None:
    """In particular nothing points at an image before it has passed, and nothing is recorded before it serves."""
    assert later in downstream(dag, earlier)


def test_promotion_needs_the_probe_and_not_the_teardown(dag: DAG) -> None:
    acquire_lease, promote_ami = dag.get_task("acquire_lease"), dag.get_task("promote_ami")

    assert acquire_lease.upstream_task_ids == {"test_image.probe"}
    assert {"acquire_lease"} <= promote_ami.upstream_task_ids <= {"acquire_lease", "bake"}
    assert {acquire_lease.trigger_rule, promote_ami.trigger_rule} == {"all_success"}


def test_the_temporary_instance_is_terminated_however_the_probe_ends(dag: DAG) -> None:
    launch, terminate = dag.get_task("test_image.launch"), dag.get_task("test_image.terminate")

    assert launch.is_setup
    assert terminate.is_teardown
    assert {"test_image.launch", "test_image.probe"} <= terminate.upstream_task_ids
    assert terminate.trigger_rule == "all_done_setup_success"


def test_no_task_that_decides_the_run_hides_a_failure_upstream(dag: DAG) -> None:
    """A leaf with a lenient trigger rule would make a failed run look successful; a teardown is no such leaf."""
    work = [task for task in dag.tasks if not task.is_teardown]
    leaves = [task for task in work if all(dag.get_task(after).is_teardown for after in task.downstream_task_ids)]

    assert sorted(task.task_id for task in leaves) == ["record_release", "roll_back"]
    assert [task.task_id for task in work if task.trigger_rule != "all_success"] == ["roll_back"]


def test_the_lease_is_released_however_the_run_ends_and_decides_nothing(dag: DAG) -> None:
    """A teardown without a setup runs even if nothing before it did, and does not decide the run's state."""
    finalize = dag.get_task("finalize")

    assert finalize.is_teardown
    assert not finalize.on_failure_fail_dagrun
    assert finalize.upstream_task_ids == {"record_release", "roll_back"}
    assert [task.task_id for task in dag.tasks if task.is_setup] == ["test_image.launch"]


@pytest.mark.parametrize("version", ["1.2.3", "0.0.1", "10.20.30"])
def test_a_version_of_the_pattern_is_accepted(dag: DAG, version: str) -> None:
    assert params(dag, version=version)["version"] == version


@pytest.mark.parametrize("version", ["1.2", "v1.2.3", "latest", "", "1.2.3; rm -rf /"])
def test_another_version_is_refused_before_anything_runs(dag: DAG, version: str) -> None:
    with pytest.raises(ParamValidationError):
        params(dag, version=version)


@pytest.mark.parametrize("conf", [{}, {"version": "1.2.3", "ami_id": "i-1"}], ids=["no version", "no image id"])
def test_a_run_without_a_version_or_with_a_bad_image_id_is_refused(dag: DAG, conf: dict[str, str]) -> None:
    with pytest.raises(ParamValidationError):
        params(dag, **conf)


@pytest.mark.parametrize("ami_id", ["", "ami-0123456789abcdef0"])
def test_an_image_is_given_by_its_id_or_not_at_all(dag: DAG, ami_id: str) -> None:
    assert params(dag, version="1.2.3", ami_id=ami_id)["ami_id"] == ami_id


def test_every_parameter_is_described(dag: DAG) -> None:
    assert [name for name in dag.params if not dag.params.get_param(name).description] == []
    assert set(dag.params) == {"version", "commit", "build_id", "force_bake", "ami_id", "replaces", "requested_by"}


@pytest.fixture
def broken(broken_shop: None, load_dag_file: Load) -> ModuleType:
    """Return the DAG file, run with one good service file and one with a typo."""
    return load_dag_file("deploy")


def test_a_broken_service_file_leaves_the_other_services_alone(broken: ModuleType) -> None:
    assert sorted(broken.deploy_webapp.task_ids) == sorted([*STAGES, *BESIDES])


def test_a_broken_service_file_is_a_dag_that_says_what_is_wrong(broken: ModuleType) -> None:
    dag = broken.deploy_shop

    assert TAG_INVALID in dag.tags
    assert dag.fileloc == broken.deploy_webapp.fileloc
    assert "shop.yaml: fleet.mini_size: Extra inputs are not permitted" in dag.doc_md
    (task,) = dag.tasks
    with pytest.raises(ConfigError, match=r"fleet\.mini_size"):
        task.python_callable()


def test_the_dag_file_needs_no_variable_of_an_environment(load_dag_file: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """The DAG processor must not need what only a worker has."""
    monkeypatch.delenv("REBAKE_WORKER_CIDR")
    monkeypatch.setenv("REBAKE_ENVIRONMENT", "an-environment-without-a-file")

    assert load_dag_file("deploy").deploy_webapp.dag_id == "deploy_webapp"


def test_the_form_asks_for_nothing_but_the_version(dag: DAG) -> None:
    """Airflow's form takes a parameter of type string for required, whatever its default is."""
    required = [name for name, param in dag.params.items() if dag.params.get_param(name).schema["type"] == "string"]

    assert required == ["version"]


def test_what_removes_the_probe_is_tried_longer_than_anything_else(dag: DAG) -> None:
    """Three cuts of the connection, each when one of its tries ran, left a security group behind."""
    terminate = dag.get_task("test_image.terminate")

    assert terminate.retries > max(task.retries for task in dag.tasks if task is not terminate)
    assert terminate.retry_exponential_backoff > 1
