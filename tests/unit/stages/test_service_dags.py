"""The DAG processor reads every service file; a task's process reads the one that it needs."""

from pathlib import Path

import pytest
from airflow.sdk import DAG, get_parsing_context

from rebake import config
from rebake.exceptions import ConfigError
from rebake.stages.dag_defaults import TAG_INVALID
from rebake.stages.service_dags import for_each_service


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Path) -> list[str]:
    """Provide three services, of which the file of `shop` is wrong; return the names whose files are read."""
    good = (project / "config/services/webapp.yaml").read_text()
    (tmp_path / "services").mkdir()
    for name in ("pages", "shop", "webapp"):
        text = good.replace("name: webapp", f"name: {name}")
        wrong = text.replace("min_size", "mini_size") if name == "shop" else text
        (tmp_path / f"services/{name}.yaml").write_text(wrong)
    monkeypatch.setenv("REBAKE_CONFIG", str(tmp_path))
    read, names = config.read_service, []

    def note(name: str) -> config.Service:
        names.append(name)
        return read(name)

    monkeypatch.setattr(config, "read_service", note)
    return names


def _made(verb: str = "deploy") -> list[DAG]:
    return list(for_each_service(verb, lambda service: DAG(f"{verb}_{service.name}", schedule=None), "the manual"))


def test_the_dag_processor_gets_the_dag_of_every_service(read: list[str]) -> None:
    assert [dag.dag_id for dag in _made()] == ["deploy_pages", "deploy_shop", "deploy_webapp"]
    assert read == ["pages", "shop", "webapp"]


def _run_a_task_of(dag_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what Airflow sets while a task's process parses the DAG file."""
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", dag_id)
    assert get_parsing_context().dag_id == dag_id


def test_a_task_gets_its_own_dag_and_reads_no_other_services_file(
    read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _run_a_task_of("deploy_webapp", monkeypatch)

    assert [dag.dag_id for dag in _made()] == ["deploy_webapp"]
    assert read == ["webapp"]


@pytest.mark.parametrize("dag_id", ["rollback_webapp", "detect_drift", "deploy_webapp2"])
def test_for_a_task_of_another_file_nothing_is_built(
    read: list[str], monkeypatch: pytest.MonkeyPatch, dag_id: str
) -> None:
    _run_a_task_of(dag_id, monkeypatch)

    assert _made() == []
    assert read == []


def test_a_task_of_a_service_whose_file_is_wrong_gets_the_dag_that_says_so(
    read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _run_a_task_of("deploy_shop", monkeypatch)
    (dag,) = _made()

    assert TAG_INVALID in dag.tags
    with pytest.raises(ConfigError, match=r"shop\.yaml: fleet\.mini_size"):
        dag.tasks[0].python_callable()
