"""What holds for every DAG of the project."""

import re
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG

from rebake import config
from rebake.release.stage import Stage
from rebake.stages.dag_defaults import DEFAULT_ARGS, TAGS

HEADINGS = ("## When this DAG runs", "## Race conditions")

EXPECTED = {
    "deploy.py": {f"deploy_{name}" for name in config.service_names()},
    "detect_drift.py": {"detect_drift"},
    "reap_orphans.py": {"reap_orphans"},
    "rebake_on_new_base.py": {"rebake_on_new_base"},
    "rebuild_base_image.py": {"rebuild_base_image"},
    "retire_images.py": {"retire_images"},
    "revoke_image.py": {"revoke_image"},
    "rollback.py": {f"rollback_{name}" for name in config.service_names()},
}
"""A new DAG file fails these tests until it is listed with its DAGs."""


@pytest.fixture(scope="session")
def bag(project: Path) -> DagBag:
    """Return all DAGs, as the DAG processor reads them."""
    return DagBag(dag_folder=project / "dags", bundle_path=project / "dags")


@pytest.fixture(params=sorted(set().union(*EXPECTED.values())))
def dag(bag: DagBag, request: pytest.FixtureRequest) -> DAG:
    """Return each DAG in turn."""
    return bag.dags[request.param]


def test_every_file_is_imported_without_an_error(bag: DagBag) -> None:
    assert bag.import_errors == {}


def test_every_file_is_listed_with_the_dags_that_it_makes(bag: DagBag, project: Path) -> None:
    made: dict[str, set[str]] = {path.name: set() for path in (project / "dags").glob("*.py")}
    for dag_id, dag in bag.dags.items():
        made[Path(dag.fileloc).name].add(dag_id)

    assert made == EXPECTED


def test_every_dag_says_when_it_runs_and_what_it_must_not_meet(dag: DAG) -> None:
    assert [heading for heading in HEADINGS if heading not in (dag.doc_md or "")] == []


def test_every_dag_has_a_tag_of_the_vocabulary(dag: DAG) -> None:
    names = {*config.service_names(), *config.base_names()}

    assert dag.tags & TAGS
    assert dag.tags <= TAGS | names


def test_every_task_has_the_shared_defaults(dag: DAG) -> None:
    assert {name: dag.default_args.get(name) for name in DEFAULT_ARGS} == DEFAULT_ARGS


def test_every_dag_runs_once_at_a_time_and_catches_nothing_up(dag: DAG) -> None:
    assert dag.max_active_runs == 1
    assert not dag.catchup


def test_the_stages_are_the_tasks_of_deployments_and_rollbacks(bag: DagBag) -> None:
    assert {*bag.dags["deploy_webapp"].task_ids, *bag.dags["rollback_webapp"].task_ids} == set(Stage)


def test_a_template_takes_results_only_of_tasks_that_ran_before(dag: DAG) -> None:
    """Such a template makes no arrow, so the arrows of the DAG have to say the same."""
    for task in dag.tasks:
        texts = [text for name in task.template_fields if isinstance(text := getattr(task, name, None), str)]
        pulled = {name for text in texts for name in re.findall(r"xcom_pull\(task_ids='([^']+)'", text)}
        assert pulled <= task.get_flat_relative_ids(upstream=True), task.task_id
