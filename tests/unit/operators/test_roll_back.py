"""The stage roll_back: what it finds after a rollout that failed, and what it does about each."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from botocore.stub import Stubber
from structlog.testing import capture_logs

from rebake import config
from rebake.estate.revocation import Mark
from rebake.exceptions import RolloutFailedError
from rebake.hooks.image import ImageHook
from rebake.hooks.instance import InstanceHook
from rebake.hooks.lease import LeaseHook
from rebake.hooks.registry import Pointer, RegistryHook
from rebake.hooks.revocation import RevocationHook
from rebake.operators.roll_back import RollBackOperator
from rebake.release.results import ApplyResult
from rebake.release.stage import Stage
from rebake.stages.fleet import FleetTerraform
from rebake.stages.waiting import STILL_THERE
from rebake.triggers.fleet_health import FleetHealthTrigger
from rebake.triggers.instance_refresh import InstanceRefreshTrigger
from tests.support.fleet import AMI, GROUP, NEW, OLD, group, instance, refresh
from tests.support.releases import RESULTS
from tests.support.task import context, deferral, message

BAD = "ami-0bad0bad0bad0bad0"
IMAGES = {"1": AMI, "2": BAD, "3": AMI}
"""Version 1 was before, 2 is the deployment that failed, 3 is what Terraform makes of the image before."""

MIXED = group("1", instance("i-1", "1"), instance("i-3", "2"))


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Return the list of what Terraform was applied with."""
    noted: list[dict[str, str]] = []

    def apply(_self: Any, _context: Any, service: str, **variables: str) -> ApplyResult:
        noted.append({"service": service, **variables})
        return ApplyResult(**{**RESULTS[Stage.TERRAFORM_APPLY], "launch_template_version": "3"})

    monkeypatch.setattr(FleetTerraform, "apply", apply)
    return noted


Operator = Callable[..., RollBackOperator]


@pytest.fixture
def operator(account: None, monkeypatch: pytest.MonkeyPatch, applied: list[dict[str, str]]) -> Operator:
    """Return a function that builds the operator; `current` names the image AMI of version 1.2.3, or another."""
    monkeypatch.setattr(InstanceHook, "template_image", lambda _self, _template, number: IMAGES[number])
    monkeypatch.setattr(
        InstanceHook, "images", lambda _self, ids: {name: BAD if name in {"i-3", "i-4"} else AMI for name in ids}
    )
    monkeypatch.setattr(LeaseHook, "check", lambda *_: None)
    monkeypatch.setattr(RevocationHook, "mark_of", lambda *_: None)
    image = SimpleNamespace(tags={"rebake:version": "1.2.3"})
    monkeypatch.setattr(ImageHook, "available", lambda *_: image)

    def build(current: str | None = AMI, failed: str = BAD, group_name: str = GROUP) -> RollBackOperator:
        pointer = Pointer(current, 4) if current else None
        monkeypatch.setattr(
            RegistryHook, "read", lambda _self, _name, channel: pointer if channel == "current" else None
        )
        return RollBackOperator(
            task_id="roll_back", service="webapp", ami_id=failed, auto_scaling_group_name=group_name
        )

    return build


def _refreshes(stubber: Stubber, *records: Any) -> None:
    stubber.add_response(
        "describe_instance_refreshes", {"InstanceRefreshes": list(records)}, {"AutoScalingGroupName": GROUP}
    )


def _group(stubber: Stubber, of: Any) -> None:
    stubber.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": [of]})


def _rollout(stubber: Stubber, of: Any, last: Any) -> None:
    """Expect that the group and its refreshes are read twice: by roll_back, and before a refresh is started."""
    _refreshes(stubber, last)
    _group(stubber, of)
    _group(stubber, of)
    _refreshes(stubber, last)


def test_nothing_is_done_where_aws_has_rolled_back(
    autoscaling: Stubber, operator: Operator, applied: list[dict[str, str]]
) -> None:
    """The fleet is only looked at until the load balancer says that it is well."""
    _refreshes(autoscaling, refresh("RollbackSuccessful"))
    _group(autoscaling, OLD)

    deferred = deferral(operator().execute, context())

    assert isinstance(deferred.trigger, FleetHealthTrigger)
    assert deferred.trigger.status == STILL_THERE
    assert applied == []


@pytest.mark.parametrize(
    ("of", "version", "last"),
    [
        pytest.param(MIXED, "1", "Failed", id="mixed: back to the version that the group has"),
        pytest.param(MIXED, "1", "RollbackFailed", id="mixed because the rollback failed"),
        pytest.param(NEW, "3", "Successful", id="rolled out and ill afterwards: a new version"),
    ],
)
def test_the_image_before_is_applied_and_rolled_out_where_aws_has_not_rolled_back(
    autoscaling: Stubber, operator: Operator, applied: list[dict[str, str]], of: Any, version: str, last: str
) -> None:
    _rollout(autoscaling, of, refresh(last))
    autoscaling.add_response("start_instance_refresh", {"InstanceRefreshId": "r-back"})

    deferred = deferral(operator().execute, context())

    assert applied == [{"service": "webapp", "ami_id": AMI, "version": "1.2.3"}]
    assert isinstance(deferred.trigger, InstanceRefreshTrigger)
    assert deferred.trigger.refresh_id == "r-back"
    assert deferred.trigger.cause is None
    assert deferred.kwargs == {
        "wait": {"refresh_id": "r-back", "launch_template_version": version, "status": STILL_THERE}
    }
    assert deferred.method_name == "refresh_complete"


def test_a_rollback_to_a_revoked_image_goes_on_and_logs_an_error(
    autoscaling: Stubber, operator: Operator, applied: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fleet half on an image that does not serve is worse."""
    made = operator()
    monkeypatch.setattr(RevocationHook, "mark_of", lambda *_: Mark("CVE-2026-1", "2026-03-01T12:00:00Z", AMI))
    _rollout(autoscaling, MIXED, refresh("Failed"))
    autoscaling.add_response("start_instance_refresh", {"InstanceRefreshId": "r-back"})

    with capture_logs() as logs:
        deferral(made.execute, context())

    assert [call["ami_id"] for call in applied] == [AMI]
    (loud,) = [message(entry) for entry in logs if entry["log_level"] == "error"]
    assert f"webapp runs {AMI}, which is revoked since 2026-03-01T12:00:00Z: CVE-2026-1" in loud


@pytest.mark.parametrize("status", ["InProgress", "Baking", "RollbackInProgress", "Cancelling"])
def test_a_refresh_to_the_image_that_failed_is_ended_first(
    autoscaling: Stubber, operator: Operator, applied: list[dict[str, str]], status: str
) -> None:
    """Terraform cannot change a group while a refresh with a desired configuration is active."""
    _refreshes(autoscaling, refresh(status, version="2"))

    deferred = deferral(operator().execute, context())

    assert isinstance(deferred.trigger, InstanceRefreshTrigger)
    assert deferred.trigger.cause == "failed"
    assert deferred.method_name == "refresh_ended"
    assert applied == []


def test_when_that_has_ended_by_a_rollback_nothing_is_left_to_do(
    autoscaling: Stubber, operator: Operator, applied: list[dict[str, str]]
) -> None:
    _group(autoscaling, OLD)
    event = {"ok": False, "reason": "failed", "status": "RollbackSuccessful", "message": "", "progress": []}

    deferred = deferral(operator().refresh_ended, context(), event, wait={"refresh_id": "r-1"})

    assert isinstance(deferred.trigger, FleetHealthTrigger)
    assert applied == []


def test_a_retry_adopts_the_refresh_that_its_first_try_started(
    autoscaling: Stubber, operator: Operator, applied: list[dict[str, str]]
) -> None:
    _rollout(autoscaling, NEW, refresh("InProgress", refresh_id="r-back", version="3"))

    deferred = deferral(operator().execute, context())

    assert deferred.kwargs is not None
    assert deferred.kwargs["wait"]["refresh_id"] == "r-back"
    assert len(applied) == 1


def test_a_refresh_of_somebody_else_is_left_alone_and_named(
    autoscaling: Stubber, operator: Operator, applied: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = operator()
    monkeypatch.setattr(InstanceHook, "template_image", lambda *_: "ami-0the0the0the0the0")
    _refreshes(autoscaling, refresh("InProgress", refresh_id="r-theirs", version="9"))

    with pytest.raises(RolloutFailedError, match="r-theirs of webapp-local to ami-0the0the0the0the0 is InProgress"):
        made.execute(context())
    assert applied == []


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param({"group_name": ""}, "nothing was provisioned", id="a stage before failed"),
        pytest.param({"current": None}, "no release before this one", id="first release"),
        pytest.param({"current": BAD}, "is the image of webapp's current release", id="the same image again"),
    ],
)
def test_it_is_skipped_where_there_is_nothing_to_return_to(
    operator: Operator, applied: list[dict[str, str]], arguments: dict[str, Any], why: str
) -> None:
    with pytest.raises(AirflowSkipException, match=why):
        operator(**arguments).execute(context())
    assert applied == []


def test_a_service_that_wants_no_rollback_gets_none(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, applied: list[dict[str, str]]
) -> None:
    service = config.load_service("webapp")
    rollout = service.rollout.model_copy(update={"auto_rollback": False})
    monkeypatch.setattr(config, "load_service", lambda *_: service.model_copy(update={"rollout": rollout}))

    with pytest.raises(AirflowSkipException, match=r"webapp\.yaml says auto_rollback: false"):
        operator().execute(context())
    assert applied == []


def test_a_run_whose_lease_was_taken_leaves_the_fleet_to_the_other(
    operator: Operator, take_lease: Callable[..., None], applied: list[dict[str, str]]
) -> None:
    made = operator()
    take_lease()

    with pytest.raises(AirflowSkipException, match="rollback_webapp/manual"):
        made.execute(context())
    assert applied == []


def test_a_rollback_that_fails_too_is_an_error_with_its_reason(operator: Operator) -> None:
    event = {"ok": False, "reason": "unhealthy", "message": "i-5 is unhealthy", "ending": False, "progress": []}
    event |= {"status": "RollbackSuccessful", "fleet": {}}
    wait = {"refresh_id": "r-back", "launch_template_version": "3", "status": STILL_THERE}

    with pytest.raises(RolloutFailedError, match="unhealthy: instance refresh r-back: i-5 is unhealthy"):
        operator().refresh_complete(context(), event, wait=wait)
