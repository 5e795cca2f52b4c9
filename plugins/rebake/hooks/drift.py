"""Everything that `detect_drift` asks AWS for, in one function: its calls grow with pages, groups and base families."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rebake.estate.drift.drift import View
from rebake.estate.outdated import promotions
from rebake.hooks.estate import EstateHook
from rebake.hooks.exposure import ExposureHook
from rebake.hooks.registry import RegistryHook


def view(connection: dict[str, Any], families: Collection[str]) -> View:
    """Return what there is.

    EC2: those of `EstateHook.read`, and DescribeSecurityGroups; Systems Manager: GetParameterHistory.

    Args:
        connection: `aws_conn_id` and `region_name`.
        families: base families whose promotions are looked up.
    """
    ssm = RegistryHook(**connection).ssm
    return View(
        estate=EstateHook(**connection).read(),
        groups=ExposureHook(**connection).groups(),
        promotions={family: promotions(ssm, family) for family in sorted(families)},
    )
