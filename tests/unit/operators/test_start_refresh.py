"""The stage start_refresh: adopt, find nothing to do, or start; and refuse what would roll out something else."""

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from botocore.stub import Stubber

from rebake.exceptions import RolloutFailedError, SupersededError
from rebake.hooks.instance import InstanceHook
from rebake.hooks.lease import LeaseHook
from rebake.hooks.revocation import RevocationHook
from rebake.operators.start_refresh import StartRefreshOperator
from tests.support.fleet import AMI, GROUP, OLD, TEMPLATE, answer_group, expect_start, group, instance, refresh
from tests.support.task import context, deferral

Operator = Callable[..., StartRefreshOperator]


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> Operator:
    """Return a function that builds the operator; the template's version holds the image AMI."""

    def build(version: str = "2") -> StartRefreshOperator:
        monkeypatch.setattr(InstanceHook, "template_image", lambda *_: AMI)
        monkeypatch.setattr(LeaseHook, "check", lambda *_: None)
        monkeypatch.setattr(RevocationHook, "mark_of", lambda *_: None)
        return StartRefreshOperator(
            task_id="start_refresh",
            service="webapp",
            auto_scaling_group_name=GROUP,
            launch_template_id=TEMPLATE,
            launch_template_version=version,
            ami_id=AMI,
        )

    return build


def test_a_refresh_is_started_to_the_numbered_version_and_the_old_instances_are_returned(
    autoscaling: Stubber, operator: Operator
) -> None:
    of = group("1", instance("i-2", "1"), instance("i-1", "1"), instance("i-3", "2"))
    answer_group(autoscaling, of, refresh("Successful", version="1"))
    expect_start(autoscaling)
    assert operator().execute(context()) == {
        "refresh_id": "r-new",
        "launch_template_version": "2",
        "instances_before": ["i-1", "i-2"],
    }


@pytest.mark.parametrize("status", ["Cancelling", "RollbackInProgress"])
def test_a_refresh_that_is_ending_already_is_waited_for(autoscaling: Stubber, operator: Operator, status: str) -> None:
    """As when a deployment has just cancelled its own, because a rollback acquired the lease."""
    answer_group(autoscaling, OLD, refresh(status, version="7"))

    deferred = deferral(operator().execute, context())

    assert deferred.trigger.serialize()[1]["refresh_id"] == "r-1"
    assert deferred.method_name == "refresh_ended"


def test_after_the_end_of_what_was_in_the_way_the_refresh_is_started(autoscaling: Stubber, operator: Operator) -> None:
    answer_group(autoscaling, OLD, refresh("Cancelled", version="7"))
    expect_start(autoscaling)

    event = {"message": "Cancelled", "progress": []}

    assert operator().refresh_ended(context(), event, {"refresh_id": "r-1"})["refresh_id"] == "r-new"


def test_a_refresh_that_does_not_end_is_waited_for_once(autoscaling: Stubber, operator: Operator) -> None:
    answer_group(autoscaling, OLD, refresh("Cancelling", version="7"))

    with pytest.raises(RolloutFailedError, match=r"r-1 .* is Cancelling"):
        operator().refresh_ended(context(), {"message": "still Cancelling", "progress": []}, {"refresh_id": "r-1"})


def test_an_active_refresh_to_another_version_is_an_error_that_names_it(
    autoscaling: Stubber, operator: Operator
) -> None:
    answer_group(autoscaling, OLD, refresh("InProgress", refresh_id="r-other", version="9"))

    with pytest.raises(RolloutFailedError, match="r-other to version 9 is InProgress"):
        operator().execute(context())


def test_a_run_whose_lease_was_taken_starts_nothing_and_is_skipped(
    autoscaling: Stubber, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(*_: Any) -> None:
        raise SupersededError("superseded by rollback_webapp/manual", by="rollback_webapp/manual")

    made = operator()
    monkeypatch.setattr(LeaseHook, "check", taken)

    with pytest.raises(AirflowSkipException, match="rollback_webapp/manual"):
        made.execute(context())


def _take_the_lease_after_the_first_check(monkeypatch: pytest.MonkeyPatch) -> None:
    checks: list[str] = []

    def check(*_: Any) -> None:
        checks.append("check")
        if len(checks) > 1:
            raise SupersededError("superseded by rollback_webapp/manual", by="rollback_webapp/manual")

    monkeypatch.setattr(LeaseHook, "check", check)


def test_a_rollback_that_took_the_lease_while_the_refresh_was_started_is_let_through(
    autoscaling: Stubber, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It acquired the lease, found no refresh and went on: so it is the deployment that has to notice."""
    made = operator()
    _take_the_lease_after_the_first_check(monkeypatch)
    answer_group(autoscaling, OLD)
    expect_start(autoscaling)
    started = {"InstanceRefreshes": [refresh("Pending", refresh_id="r-new")]}
    autoscaling.add_response("describe_instance_refreshes", started, {"AutoScalingGroupName": GROUP})
    autoscaling.add_response("cancel_instance_refresh", {"InstanceRefreshId": "r-new"}, {"AutoScalingGroupName": GROUP})

    with pytest.raises(AirflowSkipException, match="rollback_webapp/manual"):
        made.execute(context())


def test_the_refresh_of_the_rollback_itself_is_not_cancelled_by_a_deployment_that_comes_late(
    autoscaling: Stubber, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = operator()
    _take_the_lease_after_the_first_check(monkeypatch)
    answer_group(autoscaling, OLD)
    expect_start(autoscaling)
    others = {"InstanceRefreshes": [refresh("InProgress", refresh_id="r-2", version="3"), refresh("Cancelled")]}
    autoscaling.add_response("describe_instance_refreshes", others, {"AutoScalingGroupName": GROUP})

    with pytest.raises(AirflowSkipException, match="rollback_webapp/manual"):
        made.execute(context())


@pytest.mark.parametrize(
    ("templates", "instances", "of", "version", "before"),
    [
        # As when AWS rolled back and Terraform then made version 3 with the same image as version 1.
        pytest.param("13", "12", group("1", instance("i-1", "1"), instance("i-2", "3")), "", [], id="nothing to do"),
        # So that SkipMatching keeps the instances that are right.
        pytest.param("13", "1", group("1", instance("i-1", "1"), instance("i-2", "2")), "1", ["i-2"], id="its own"),
        pytest.param("3", "", group("2", instance("i-1", "2")), "3", ["i-1"], id="the one of Terraform"),
        pytest.param("3", "1", group("2", instance("i-1", "1")), "3", ["i-1"], id="the group would launch others"),
    ],
)
def test_by_image_a_fleet_goes_to_a_version_that_keeps_the_instances_that_are_right(
    autoscaling: Stubber,
    operator: Operator,
    monkeypatch: pytest.MonkeyPatch,
    templates: str,
    instances: str,
    of: Any,
    version: str,
    before: list[str],
) -> None:
    """`templates` are the versions that hold the image, `instances` the numbers of the instances that run it."""
    made = operator(version="3")
    made.by_image = True
    right = {f"i-{number}" for number in instances}
    held = {number: AMI if number in templates else "ami-bad" for number in "123"}
    monkeypatch.setattr(InstanceHook, "template_image", lambda _self, _template, number: held[number])
    monkeypatch.setattr(
        InstanceHook, "images", lambda _self, ids: {one: AMI if one in right else "ami-bad" for one in ids}
    )
    answer_group(autoscaling, of)
    if version:
        expect_start(autoscaling, version)

    assert made.execute(context()) == {
        "refresh_id": "r-new" if version else "",
        "launch_template_version": version,
        "instances_before": before,
    }
