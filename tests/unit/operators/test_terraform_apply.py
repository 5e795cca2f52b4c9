"""The stage terraform_apply; `tests/unit/stages/test_fleet.py` has what it shares with other stages."""

from typing import Any

import pytest

from rebake.operators.terraform_apply import TerraformApplyOperator
from rebake.release.results import ApplyResult
from rebake.release.stage import Stage
from rebake.stages.fleet import FleetTerraform
from tests.support.releases import RESULTS
from tests.support.task import context


def test_the_outputs_of_the_fleet_are_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    applied: list[Any] = []

    def apply(_self: Any, _context: Any, service: str, **variables: str) -> ApplyResult:
        applied.append((service, variables))
        return ApplyResult(**RESULTS[Stage.TERRAFORM_APPLY])

    monkeypatch.setattr(FleetTerraform, "apply", apply)
    operator = TerraformApplyOperator(task_id="terraform_apply", service="webapp", ami_id="ami-1", version="1.2.3")

    assert operator.execute(context()) == RESULTS[Stage.TERRAFORM_APPLY]
    assert applied == [("webapp", {"ami_id": "ami-1", "version": "1.2.3"})]
