"""The stages that scan: which fleets are planned, in which lanes, and what one broken fleet does to the others."""

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rebake.estate.drift.drift import View
from rebake.exceptions import ToolFailedError, ToolKilledError
from rebake.operators.scan_drift import PlanFleetsOperator, ScanEstateOperator
from rebake.release import lease
from rebake.stages.fleet import FleetTerraform
from tests.support.aws import BUCKET
from tests.support.releases import acquire_lease
from tests.unit.estate.drift.drift_support import ESTATE, GOOD, GROUPS, OTHER, instance, with_instance

FLEET = {"service": "webapp", "auto_scaling_group_name": "webapp-local", "ami_id": GOOD, "version": "1.0.0"}
DEPLOYMENT = "deploy_webapp/manual__1"
DIFFERENT = {"actions": ["update"], "before": {"deregistration_delay": 60}, "after": {"deregistration_delay": 5}}
PLAN = {
    "resource_changes": [{"address": "aws_lb_target_group.fleet", "type": "aws_lb_target_group", "change": DIFFERENT}]
}


pytestmark = pytest.mark.usefixtures("s3")


def _scan(monkeypatch: pytest.MonkeyPatch, estate: Any) -> tuple[list[Any], dict[str, Any]]:
    monkeypatch.setattr(ScanEstateOperator, "_view", lambda _self, _families: View(estate, GROUPS, {}))
    found: dict[str, Any] = {}
    context: Any = {"ti": SimpleNamespace(xcom_push=lambda key, value: found.update({key: value}))}
    return ScanEstateOperator(task_id="scan_estate").execute(context), found["scanned"]


def test_a_fleet_that_is_as_declared_is_handed_on_to_be_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes, found = _scan(monkeypatch, ESTATE)

    assert lanes == [[FLEET]]
    assert found["groups"] == {"webapp": "webapp-local"}


def test_a_fleet_that_a_deployment_is_changing_is_reported_as_rolling(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    acquire_lease(s3, DEPLOYMENT)

    lanes, found = _scan(monkeypatch, with_instance(instance(1, ami_id=OTHER)))

    assert lanes == []
    assert [one for one in found["findings"] if one["kind"] == "image"] == []
    assert all("deploy_webapp/manual__1" in one["why"] for one in found["unseen"])


def test_a_service_file_that_is_wrong_stops_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, project: Path
) -> None:
    for kind in ("environments", "services"):
        (tmp_path / kind).mkdir()
    for name in ("environments/local.yaml", "services/webapp.yaml"):
        (tmp_path / name).write_text((project / "config" / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "services/shop.yaml").write_text("name: shop\n", encoding="utf-8")
    monkeypatch.setenv("REBAKE_CONFIG", str(tmp_path))

    lanes, found = _scan(monkeypatch, ESTATE)

    assert lanes == [[FLEET]]
    assert {(one["check"], one["service"]) for one in found["findings"]} == {
        ("service-file", "shop"),
        ("no-fleet", "shop"),
    }


class PretendedTool:
    """Plans what it was found to, a fleet after the other."""

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
    found = _plan(monkeypatch, PretendedTool(PLAN), FLEET)

    assert [one["attribute"] for one in found["findings"]] == ["deregistration_delay"]
    assert found["unseen"] == []


@pytest.mark.parametrize("failure", [ToolFailedError, ToolKilledError])
def test_a_fleet_whose_plan_fails_is_a_finding_and_the_next_is_planned(
    monkeypatch: pytest.MonkeyPatch, failure: type[Exception]
) -> None:
    found = _plan(monkeypatch, PretendedTool(failure("Error: no valid credential"), PLAN), FLEET, FLEET)

    assert [one["check"] for one in found["findings"]] == ["plan-failed", "attribute"]
    assert "no valid credential" in found["findings"][0]["found"]


def test_a_fleet_whose_lease_a_run_holds_is_not_planned(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    acquire_lease(s3, DEPLOYMENT)

    found = _plan(monkeypatch, PretendedTool(), FLEET)

    assert found["findings"] == []
    assert [one["service"] for one in found["unseen"]] == ["webapp"]


def test_what_a_deployment_changed_while_terraform_planned_is_no_drift(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deploy() -> None:
        acquire_lease(s3, DEPLOYMENT)
        lease.release(s3, BUCKET, "webapp", DEPLOYMENT)

    found = _plan(monkeypatch, PretendedTool(PLAN, meanwhile=deploy), FLEET)

    assert found["findings"] == []
    assert "held the lease until" in found["unseen"][0]["why"]
