"""What holds for every operator and sensor of the pipeline, whoever wrote it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.sensors.base_aws import AwsBaseSensor

import rebake.operators
import rebake.sensors
from rebake.operators.promote_ami import PromoteAmiOperator
from rebake.stages.connection import EnvironmentConnection


def _stages() -> list[type[Any]]:
    found: set[type[Any]] = set()
    for package in (rebake.operators, rebake.sensors):
        for module in pkgutil.iter_modules(package.__path__):
            loaded = importlib.import_module(f"{package.__name__}.{module.name}")
            found |= {
                item
                for item in vars(loaded).values()
                if inspect.isclass(item)
                and issubclass(item, (AwsBaseOperator, AwsBaseSensor))
                and item.__module__ == loaded.__name__
                and not item.__name__.startswith("_")
            }
    return sorted(found, key=lambda stage: stage.__name__)


STAGES = _stages()


def _arguments(stage: type[Any]) -> dict[str, str]:
    """Return a template for every argument that the stage requires, or offers."""
    names = {
        name
        for base in stage.__mro__
        # Airflow gives an operator without a constructor a wrapped copy of the one that it inherits.
        if getattr(vars(base).get("__init__"), "__module__", "").startswith("rebake.")
        for name, parameter in inspect.signature(vars(base)["__init__"]).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    return {name: f"{{{{ {name} }}}}" for name in names}


@pytest.fixture(params=STAGES, ids=lambda stage: stage.__name__)
def stage(request: pytest.FixtureRequest) -> type[Any]:
    """Return each stage in turn."""
    found: type[Any] = request.param
    return found


def test_the_stages_are_found() -> None:
    names = {stage.__name__ for stage in STAGES}

    assert {"BakeOperator", "LaunchProbeOperator", "InstanceRefreshSensor", "RecordReleaseOperator"} <= names


def test_the_constructor_only_assigns(stage: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A value may still be a template there, and a DAG is parsed where no environment is known."""
    monkeypatch.setenv("REBAKE_CONFIG", "/nowhere")
    arguments = _arguments(stage)
    made = stage(task_id="stage", **arguments)

    assert {name: getattr(made, name) for name in arguments} == arguments


def test_every_argument_is_templated(stage: type[Any]) -> None:
    assert set(_arguments(stage)) <= set(stage.template_fields)


def test_every_templated_field_is_there(stage: type[Any]) -> None:
    made = stage(task_id="stage", **_arguments(stage))

    assert [name for name in stage.template_fields if not hasattr(made, name)] == []


def test_every_stage_takes_its_connection_from_the_environment(stage: type[Any]) -> None:
    assert issubclass(stage, EnvironmentConnection)


def test_the_environment_says_which_account_and_region() -> None:
    made = PromoteAmiOperator(task_id="stage", ami_id="ami-1", name="/rebake/webapp", region_name="us-east-1")

    assert made.hook.aws_conn_id == "aws_default"
    assert made.hook._region_name == "eu-west-1"


def test_no_bare_airflow_exception_is_raised(project: Path) -> None:
    """It says nothing that a caller, or the retry policy, could tell apart."""
    sources = [*(project / "plugins").rglob("*.py"), *(project / "dags").rglob("*.py")]

    assert [str(path) for path in sources if re.search(r"raise AirflowException\b", path.read_text("utf-8"))] == []
