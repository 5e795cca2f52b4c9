"""The stages that look: which fleets are planned, in which lanes, and what one broken fleet does to the others."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rebake.estate.drift.drift import View
from rebake.exceptions import ToolFailedError
from rebake.operators.scan_drift import PlanFleetsOperator, ScanEstateOperator
from rebake.release import lease
from rebake.release.lease import LeaseRequest, RunKind
from rebake.stages.fleet import FleetTerraform
from tests.support.aws import BUCKET
from tests.unit.estate.drift.drift_support import ESTATE, GOOD, GROUPS, OTHER, instance, with_instance

FLEET = {"service": "webapp", "auto_scaling_group_name": "webapp-local", "ami_id": GOOD, "version": "1.0.0"}
DIFFERENT = {"actions": ["update"], "before": {"deregistration_delay": 60}, "after": {"deregistration_delay": 5}}
PLAN = {
    "resource_changes": [
        {"address": "aws_lb_target_group.fleet", "type": "aws_lb_target_group", "change": DIFFERENT},
    ]
}


pytestmark = pytest.mark.usefixtures("s3")


def _deployment(s3: Any) -> LeaseRequest:
    claim = LeaseRequest("deploy_webapp/manual__1", RunKind.DEPLOY, datetime.now(UTC), timedelta(hours=1))
    assert lease.acquire(s3, BUCKET, "webapp", claim)
    return claim


def _look(monkeypatch: pytest.MonkeyPatch, estate: Any) -> tuple[list[Any], dict[str, Any]]:
    monkeypatch.setattr(ScanEstateOperator, "_view", lambda _self, _families: View(estate, GROUPS, {}))
    told: dict[str, Any] = {}
    context: Any = {"ti": SimpleNamespace(xcom_push=lambda key, value: told.update({key: value}))}
    return ScanEstateOperator(task_id="scan_estate").execute(context), told


def test_a_fleet_that_is_as_declared_is_handed_on_to_be_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes, told = _look(monkeypatch, ESTATE)

    assert lanes == [[FLEET]]
    assert told["groups"] == {"webapp": "webapp-local"}


def test_a_fleet_that_a_deployment_is_changing_is_told_as_rolling(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _deployment(s3)

    lanes, told = _look(monkeypatch, with_instance(instance(1, ami_id=OTHER)))

    assert lanes == []
    assert [one for one in told["findings"] if one["kind"] == "image"] == []
    assert all("deploy_webapp/manual__1" in one["why"] for one in told["unseen"])


def test_a_service_file_that_is_wrong_stops_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, project: Path
) -> None:
    for kind in ("environments", "services"):
        (tmp_path / kind).mkdir()
    for name in ("environments/local.yaml", "services/webapp.yaml"):
        (tmp_path / name).write_text((project / "config" / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "services/shop.yaml").write_text("name: shop\n", encoding="utf-8")
    monkeypatch.setenv("REBAKE_CONFIG", str(tmp_path))

    lanes, told = _look(monkeypatch, ESTATE)

    assert lanes == [[FLEET]]
    assert {(one["check"], one["service"]) for one in told["findings"]} == {
        ("service-file", "shop"),
        ("no-fleet", "shop"),
    }


class PretendedTool:
    """Plans what it was told to, a fleet after the other."""

    def __init__(self, *answers: Any, meanwhile: Any = None) -> None:
        self.runner = self
        self.answers = list(answers)
        self.meanwhile = meanwhile

    def files(self, service: Any, **_options: Any) -> tuple[Any, ...]:
        return (service,)

    def plan(self, _service: Any) -> Any:
        answer = self.answers.pop(0)
        if self.meanwhile:
            self.meanwhile()
        if isinstance(answer, Exception):
            raise answer
        return answer


def _plan(monkeypatch: pytest.MonkeyPatch, tool: PretendedTool, *fleets: dict[str, str]) -> dict[str, Any]:
    monkeypatch.setattr(FleetTerraform, "open", lambda _self, _context: contextlib.nullcontext(tool))
    context: Any = {}
    return PlanFleetsOperator(task_id="plan_fleets", fleets=list(fleets)).execute(context)


def test_what_a_plan_would_change_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    told = _plan(monkeypatch, PretendedTool(PLAN), FLEET)

    assert [one["attribute"] for one in told["findings"]] == ["deregistration_delay"]
    assert told["unseen"] == []


def test_a_fleet_whose_plan_fails_is_a_finding_and_the_next_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    told = _plan(monkeypatch, PretendedTool(ToolFailedError("Error: no valid credential"), PLAN), FLEET, FLEET)

    assert [one["check"] for one in told["findings"]] == ["plan-failed", "attribute"]
    assert "no valid credential" in told["findings"][0]["found"]


def test_a_fleet_whose_turn_a_run_has_is_not_planned(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _deployment(s3)

    told = _plan(monkeypatch, PretendedTool(), FLEET)

    assert told["findings"] == []
    assert [one["service"] for one in told["unseen"]] == ["webapp"]


def test_what_a_deployment_changed_while_terraform_looked_is_no_drift(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def deploy() -> None:
        lease.release(s3, BUCKET, "webapp", _deployment(s3).run)

    told = _plan(monkeypatch, PretendedTool(PLAN, meanwhile=deploy), FLEET)

    assert told["findings"] == []
    assert "held the lease until" in told["unseen"][0]["why"]
