"""What holds for every operator and sensor of the pipeline, whoever wrote it."""

import builtins
import importlib
import inspect
import io
import os
import pkgutil
import re
import socket
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.sensors.base_aws import AwsBaseSensor
from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger

import rebake.hooks
import rebake.operators
import rebake.sensors
import rebake.triggers
from rebake.operators.repair_drift import ApproveRepairsOperator
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.tooling import RunningTool
from rebake.triggers.base import DeadlineTrigger
from tests.support.aws import CONNECTION


def _classes(base: type[Any], *packages: ModuleType) -> list[type[Any]]:
    """Return the public classes of the packages that are a `base`, by name."""
    found: set[type[Any]] = set()
    for package in packages:
        for module in pkgutil.iter_modules(package.__path__):
            loaded = importlib.import_module(f"{package.__name__}.{module.name}")
            found |= {
                item
                for item in vars(loaded).values()
                if inspect.isclass(item)
                and issubclass(item, base)
                and item.__module__ == loaded.__name__
                and not item.__name__.startswith("_")
                and not inspect.isabstract(item)
            }
    return sorted(found, key=lambda item: item.__name__)


OPERATORS = _classes(BaseOperator, rebake.operators, rebake.sensors)
STAGES = [one for one in OPERATORS if issubclass(one, (AwsBaseOperator, AwsBaseSensor))]


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


def _required(item: type[Any]) -> dict[str, Any]:
    """Return a value for every argument that a class of ours requires."""
    values: dict[Any, Any] = {list[dict[str, Any]]: [], list[str]: ["i-1"], float: 60.0, bool: True, int: 1}
    found = inspect.signature(item).parameters.values()
    ours = [one for one in found if one.default is one.empty and one.kind is one.KEYWORD_ONLY]
    connection = {"deadline": 1.0, "poll_seconds": 1.0, **CONNECTION} if issubclass(item, DeadlineTrigger) else {}
    task = {"task_id": "stage"} if issubclass(item, BaseOperator) else {}
    if item is ApproveRepairsOperator:
        task["subject"] = "Repair?"
    return {**{one.name: values.get(one.annotation, "x") for one in ours}, **connection, **task}


@pytest.mark.parametrize(
    "item",
    [*OPERATORS, *_classes(BaseTrigger, rebake.triggers), *_classes(AwsBaseHook, rebake.hooks)],
    ids=lambda item: item.__name__,
)
def test_the_constructor_reads_nothing(item: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """DAG files are parsed all the time, and where neither the environment nor AWS is known."""
    arguments = _required(item)
    read: list[str] = []

    class Environment(dict[str, str]):
        def __getitem__(self, name: str) -> str:
            read.append(name)
            return super().__getitem__(name)

        def get(self, name: str, default: Any = None) -> Any:
            read.append(name)
            return super().get(name, default)

    def refuse(*arguments: Any, **_options: Any) -> Any:
        read.append(str(arguments[:1]))
        raise AssertionError(arguments)

    item(**arguments)  # Airflow itself reads its settings, the first time
    monkeypatch.setattr(os, "environ", Environment(os.environ))
    for module, name in ((builtins, "open"), (io, "open"), (socket, "socket"), (boto3.session, "Session")):
        monkeypatch.setattr(module, name, refuse)
    item(**arguments)

    assert [name for name in read if not name.lstrip("_").startswith("AIRFLOW_") or "_CONN_" in name] == []


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
def test_at_most_two_classes_of_ours_are_above_an_operator(operator: type[Any]) -> None:
    """More than that, and nobody sees which of them does what."""
    above = [item.__name__ for item in operator.__mro__[1:] if item.__module__.startswith("rebake.")]

    assert len(above) <= 2, above


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
def test_a_kill_of_the_task_goes_to_the_tool_that_it_runs(operator: type[Any]) -> None:
    """A Packer or Terraform that went on would work for a task that Airflow runs again."""
    tools = [name for name in ("fleet", "tool") if hasattr(operator, name)]
    made = operator(**_required(operator))
    stopped: list[str] = []
    for name in tools:
        tool = getattr(made, name)
        assert isinstance(tool, RunningTool)
        tool._runner = SimpleNamespace(stop=lambda: stopped.append("stop"))  # type: ignore[assignment]
    made.on_kill()

    assert stopped == ["stop"] * len(tools)


def test_every_argument_is_templated(stage: type[Any]) -> None:
    assert set(_arguments(stage)) <= set(stage.template_fields)


def test_every_templated_field_is_there(stage: type[Any]) -> None:
    made = stage(task_id="stage", **_arguments(stage))

    assert [name for name in stage.template_fields if not hasattr(made, name)] == []


def test_every_stage_takes_its_connection_from_the_environment(stage: type[Any]) -> None:
    assert issubclass(stage, EnvironmentConnection)


def test_no_bare_airflow_exception_is_raised(project: Path) -> None:
    """It says nothing that a caller, or the retry policy, could tell apart."""
    sources = [*(project / "plugins").rglob("*.py"), *(project / "dags").rglob("*.py")]

    assert [str(path) for path in sources if re.search(r"raise AirflowException\b", path.read_text("utf-8"))] == []
