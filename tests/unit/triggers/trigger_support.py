"""What the tests of the wait for a refresh share: fleets, scripted answers, and the triggers under test."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from rebake.hooks.autoscaling import AlarmsHook, AutoScalingHook, TargetHealthHook
from rebake.hooks.instance import InstanceHook
from rebake.hooks.lease import LeaseHook
from rebake.triggers.fleet_health import FleetHealthTrigger
from rebake.triggers.instance_refresh import InstanceRefreshTrigger
from tests.support.aws import CONNECTION, AsyncScript
from tests.support.fleet import GROUP, group, instance, targets
from tests.support.task import RUN_TAG

Script = Callable[..., tuple[AsyncScript, AsyncScript]]

HEALTHY = group("2", instance("i-1", "2"), instance("i-2", "2"))
MIXED = group("1", instance("i-1", "2"), instance("i-2", "1"))


def group_is(of: Any) -> tuple[str, Any]:
    return "describe_auto_scaling_groups", {"AutoScalingGroups": [of] if of else []}


def refresh_is(*records: Any) -> tuple[str, Any]:
    return "describe_instance_refreshes", {"InstanceRefreshes": list(records)}


def health_is(**states: str) -> tuple[str, Any]:
    return "describe_target_health", targets(**states)


def set_script(
    monkeypatch: pytest.MonkeyPatch,
    autoscaling: list[tuple[str, Any]],
    elbv2: list[tuple[str, Any]] | None = None,
    **others: list[tuple[str, Any]],
) -> tuple[AsyncScript, AsyncScript]:
    """Set what AWS's services answer; those that are not named must not be asked."""
    hooks = {
        "autoscaling": (AutoScalingHook, autoscaling),
        "elbv2": (TargetHealthHook, elbv2 or []),
        "ec2": (InstanceHook, others.get("ec2", [])),
        "cloudwatch": (AlarmsHook, others.get("cloudwatch", [])),
        "s3": (LeaseHook, others.get("s3", [])),
    }
    scripts = []
    for service, (hook, steps) in hooks.items():
        scripts.append(AsyncScript(service, *steps))
        monkeypatch.setattr(hook, "get_async_conn", scripts[-1].get_async_conn)
    return scripts[0], scripts[1]


def refresh_trigger(seconds: float = 30, **more: Any) -> InstanceRefreshTrigger:
    return InstanceRefreshTrigger(
        **{
            "auto_scaling_group_name": GROUP,
            "refresh_id": "r-1",
            "service": "",
            "holder": RUN_TAG,
            "bucket": "rebake-local",
            "unhealthy_deadline": 60,
            "roll_back": True,
            "deadline": time.time() + seconds,
            "poll_seconds": 0.001,
            **CONNECTION,
            **more,
        }
    )


def health_trigger(seconds: float = 30, launch_template_version: str = "2") -> FleetHealthTrigger:
    return FleetHealthTrigger(
        auto_scaling_group_name=GROUP,
        launch_template_version=launch_template_version,
        status="Successful",
        deadline=time.time() + seconds,
        poll_seconds=0.001,
        **CONNECTION,
    )
