"""Every trigger survives the way to the triggerer and back."""

import importlib
import inspect
import json
import pkgutil
from dataclasses import asdict

import pytest
from airflow.triggers.base import BaseTrigger

import rebake.triggers
from rebake.image.probe import Check
from rebake.triggers.fleet_health import FleetHealthTrigger
from rebake.triggers.instance_refresh import InstanceRefreshTrigger
from rebake.triggers.lease import LeaseTrigger
from rebake.triggers.probe import InstancesTerminatedTrigger, ProbeTrigger
from tests.support.aws import CONNECTION
from tests.support.fleet import GROUP
from tests.support.task import RUN_TAG

WAIT = {"deadline": 1_800_000_000.5, "poll_seconds": 0.5, **CONNECTION}

TRIGGERS: list[BaseTrigger] = [
    ProbeTrigger(
        instance_id="i-1",
        port=8080,
        checks=[asdict(Check("GET /", path="/", contains="x")), asdict(Check("true", command="true"))],
        least=30,
        **WAIT,
    ),
    InstancesTerminatedTrigger(instance_ids=["i-1"], waiter_delay=0.5, waiter_max_attempts=3, region_name="eu-west-1"),
    InstanceRefreshTrigger(
        auto_scaling_group_name=GROUP,
        refresh_id="r-1",
        service="webapp",
        holder=RUN_TAG,
        bucket="rebake-local",
        unhealthy_deadline=60,
        roll_back=True,
        cause="unhealthy",
        because="i-1 is unhealthy",
        **WAIT,
    ),
    LeaseTrigger(bucket="rebake-local", service="webapp", token=3, **WAIT),
    FleetHealthTrigger(auto_scaling_group_name=GROUP, launch_template_version="2", status="Successful", **WAIT),
]


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: type(trigger).__name__)
def test_a_trigger_that_is_built_anew_from_json_is_the_same(trigger: BaseTrigger) -> None:
    path, arguments = trigger.serialize()
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))

    assert type(again) is type(trigger)
    assert again.serialize() == (path, arguments)


def test_every_trigger_is_in_the_list_above() -> None:
    modules = [
        importlib.import_module(f"rebake.triggers.{module.name}")
        for module in pkgutil.iter_modules(rebake.triggers.__path__)
    ]
    classes = {
        item
        for module in modules
        for item in vars(module).values()
        if inspect.isclass(item)
        and issubclass(item, BaseTrigger)
        and item.__module__.startswith("rebake.")
        and not item.__name__.startswith("_")
        and not inspect.isabstract(item)
    }

    assert {type(trigger) for trigger in TRIGGERS} == classes
