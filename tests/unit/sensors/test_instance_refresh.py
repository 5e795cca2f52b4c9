"""The stage wait_for_refresh: what it defers to."""

import time

import pytest

from rebake.sensors.instance_refresh import NOT_NEEDED, InstanceRefreshSensor
from rebake.triggers.fleet_health import FleetHealthTrigger
from rebake.triggers.instance_refresh import InstanceRefreshTrigger
from tests.support.fleet import GROUP
from tests.support.task import context, deferral


def _sensor(refresh_id: str = "r-1") -> InstanceRefreshSensor:
    return InstanceRefreshSensor(
        task_id="wait_for_refresh",
        service="webapp",
        auto_scaling_group_name=GROUP,
        refresh_id=refresh_id,
        launch_template_version="2",
    )


def test_the_sensor_defers_with_the_services_own_deadline() -> None:
    deferred = deferral(_sensor().execute, context())

    trigger = deferred.trigger
    assert isinstance(trigger, InstanceRefreshTrigger)
    assert trigger.deadline == pytest.approx(time.time() + 900, abs=30)  # rollout.timeout of the local environment
    assert deferred.method_name == "refresh_complete"
    assert deferred.timeout is not None
    assert deferred.timeout.total_seconds() > 900


def test_without_a_refresh_the_sensor_only_waits_for_health() -> None:
    deferred = deferral(_sensor(refresh_id="").execute, context())

    assert isinstance(deferred.trigger, FleetHealthTrigger)
    assert deferred.trigger.status == NOT_NEEDED
