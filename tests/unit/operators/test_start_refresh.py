"""The stage start_refresh: adopt, find nothing to do, or start; and refuse what would roll out something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
from botocore.stub import Stubber
from structlog.testing import capture_logs

from rebake.config import load_service
from rebake.exceptions import RolloutFailedError, SupersededError
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.instance import InstanceHook
from rebake.hooks.lease import LeaseHook
from rebake.hooks.revocation import RevocationHook
from rebake.operators.start_refresh import StartRefreshOperator
from rebake.rollout.refresh import preferences
from tests.support.aws import CONNECTION, stubbed
from tests.support.fleet import AMI, GROUP, TEMPLATE, group, instance, refresh
from tests.support.task import REQUESTED_AT, context, told

OLD = group("1", instance("i-1", "1"), instance("i-2", "1"))
NEW = group("2", instance("i-3", "2"), instance("i-4", "2"))

Operator = Callable[..., StartRefreshOperator]


@pytest.fixture
def autoscaling(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """Give the script that Auto Scaling answers from."""
    with stubbed("autoscaling") as (client, stubber):
        monkeypatch.setattr(AutoScalingHook, "conn", client)
        yield stubber


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> Operator:
    """Return a function that builds the operator; the template's version holds the image AMI, or another."""

    def build(holds: str = AMI, version: str = "2") -> StartRefreshOperator:
        monkeypatch.setattr(InstanceHook, "template_image", lambda *_: holds)
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


def _answer(stubber: Stubber, of: Any, *refreshes: Any) -> None:
    stubber.add_response(
        "describe_auto_scaling_groups", {"AutoScalingGroups": [of]}, {"AutoScalingGroupNames": [GROUP]}
    )
    stubber.add_response(
        "describe_instance_refreshes", {"InstanceRefreshes": list(refreshes)}, {"AutoScalingGroupName": GROUP}
    )


def _expect_start(stubber: Stubber, version: str = "2") -> None:
    stubber.add_response(
        "start_instance_refresh",
        {"InstanceRefreshId": "r-new"},
        {
            "AutoScalingGroupName": GROUP,
            "Strategy": "Rolling",
            "DesiredConfiguration": {"LaunchTemplate": {"LaunchTemplateId": TEMPLATE, "Version": version}},
            "Preferences": preferences(load_service("webapp").rollout),
        },
    )


def test_a_refresh_is_started_to_the_numbered_version_with_whole_preferences(
    autoscaling: Stubber, operator: Operator
) -> None:
    _answer(autoscaling, OLD, refresh("Successful", version="1"))
    _expect_start(autoscaling)

    assert operator().execute(context()) == "r-new"


def test_the_instances_that_are_replaced_are_kept_for_the_record(autoscaling: Stubber, operator: Operator) -> None:
    _answer(autoscaling, group("1", instance("i-2", "1"), instance("i-1", "1"), instance("i-3", "2")))
    _expect_start(autoscaling)
    task = context()

    operator().execute(task)

    assert task["ti"].pushed == {"instances_before": ["i-1", "i-2"], "version_at_the_end": "2"}


def test_a_mixed_fleet_is_refreshed_although_the_group_points_at_the_version(
    autoscaling: Stubber, operator: Operator
) -> None:
    """As a cancelled refresh leaves it: what differs must never be skipped."""
    _answer(autoscaling, group("2", instance("i-1", "1"), instance("i-3", "2")), refresh("Cancelled", version="1"))
    _expect_start(autoscaling)

    assert operator().execute(context()) == "r-new"


def test_an_active_refresh_to_the_same_version_is_adopted(autoscaling: Stubber, operator: Operator) -> None:
    _answer(autoscaling, OLD, refresh("InProgress", refresh_id="r-same"))

    assert operator().execute(context()) == "r-same"


@pytest.mark.parametrize("status", ["Cancelling", "RollbackInProgress"])
def test_a_refresh_that_is_ending_already_is_waited_for(autoscaling: Stubber, operator: Operator, status: str) -> None:
    """As when a deployment has just cancelled its own, because a rollback acquired the lease."""
    _answer(autoscaling, OLD, refresh(status, version="7"))

    with pytest.raises(TaskDeferred) as deferred:
        operator().execute(context())

    assert deferred.value.trigger.serialize()[1]["refresh_id"] == "r-1"
    assert deferred.value.method_name == "refresh_ended"


def test_after_the_end_of_what_was_in_the_way_the_refresh_is_started(autoscaling: Stubber, operator: Operator) -> None:
    _answer(autoscaling, OLD, refresh("Cancelled", version="7"))
    _expect_start(autoscaling)

    assert (
        operator().refresh_ended(context(), {"message": "Cancelled", "progress": []}, {"refresh_id": "r-1"}) == "r-new"
    )


def test_a_refresh_that_does_not_end_is_waited_for_once(autoscaling: Stubber, operator: Operator) -> None:
    _answer(autoscaling, OLD, refresh("Cancelling", version="7"))

    with pytest.raises(RolloutFailedError, match=r"r-1 .* is Cancelling"):
        operator().refresh_ended(context(), {"message": "still Cancelling", "progress": []}, {"refresh_id": "r-1"})


def test_an_active_refresh_to_another_version_is_an_error_that_names_it(
    autoscaling: Stubber, operator: Operator
) -> None:
    _answer(autoscaling, OLD, refresh("InProgress", refresh_id="r-other", version="9"))

    with pytest.raises(RolloutFailedError, match="r-other to version 9 is InProgress"):
        operator().execute(context())


@pytest.mark.parametrize("of", [NEW, group("2")], ids=["all instances run it", "just created, nothing launched yet"])
def test_nothing_is_started_for_a_fleet_that_runs_the_version(
    autoscaling: Stubber, operator: Operator, of: Any
) -> None:
    _answer(autoscaling, of)

    assert operator().execute(context()) == ""


def test_a_refresh_that_an_earlier_try_started_and_that_has_ended_is_returned(
    autoscaling: Stubber, operator: Operator
) -> None:
    _answer(autoscaling, NEW, refresh("Successful", refresh_id="r-mine", StartTime=REQUESTED_AT + timedelta(minutes=3)))

    assert operator().execute(context()) == "r-mine"


def test_a_refresh_of_an_earlier_run_is_not_claimed(autoscaling: Stubber, operator: Operator) -> None:
    _answer(autoscaling, NEW, refresh("Successful", refresh_id="r-past", StartTime=REQUESTED_AT - timedelta(minutes=3)))

    assert operator().execute(context()) == ""


@pytest.mark.parametrize(
    ("winner", "returned"), [("2", "r-race"), ("9", None)], ids=["to the same version", "to another version"]
)
def test_a_refresh_that_someone_started_a_moment_ago_is_looked_at(
    autoscaling: Stubber, operator: Operator, winner: str, returned: str | None
) -> None:
    _answer(autoscaling, OLD)
    autoscaling.add_client_error("start_instance_refresh", "InstanceRefreshInProgress")
    autoscaling.add_response(
        "describe_instance_refreshes",
        {"InstanceRefreshes": [refresh("Pending", refresh_id="r-race", version=winner)]},
    )

    if returned:
        assert operator().execute(context()) == returned
    else:
        with pytest.raises(RolloutFailedError, match="r-race"):
            operator().execute(context())


def test_a_template_version_with_another_image_is_not_rolled_out(autoscaling: Stubber, operator: Operator) -> None:
    with pytest.raises(RolloutFailedError, match=f"holds image ami-0ther, not {AMI}"):
        operator(holds="ami-0ther").execute(context())


@pytest.mark.parametrize("version", ["$Latest", "$Default", ""])
def test_a_version_that_aws_cannot_roll_back_from_is_refused(
    autoscaling: Stubber, operator: Operator, version: str
) -> None:
    with pytest.raises(RolloutFailedError, match="is not a number"):
        operator(version=version).execute(context())


def test_a_group_that_does_not_exist_is_named(autoscaling: Stubber, operator: Operator) -> None:
    autoscaling.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": []})

    with pytest.raises(RolloutFailedError, match=f"group {GROUP} does not exist in eu-west-1"):
        operator().execute(context())


def test_all_pages_of_refreshes_are_read(autoscaling: Stubber) -> None:
    """boto3 has no paginator here, so this is ours to get right."""
    autoscaling.add_response(
        "describe_instance_refreshes", {"InstanceRefreshes": [refresh("Failed")], "NextToken": "more"}
    )
    autoscaling.add_response(
        "describe_instance_refreshes",
        {"InstanceRefreshes": [refresh("InProgress", refresh_id="r-2")]},
        {"AutoScalingGroupName": GROUP, "NextToken": "more"},
    )

    assert [one["InstanceRefreshId"] for one in AutoScalingHook(**CONNECTION).refreshes(GROUP)] == ["r-1", "r-2"]


def _images(monkeypatch: pytest.MonkeyPatch, of_template: dict[str, str], of_instance: dict[str, str]) -> None:
    """Set which image each template version holds, and which each instance runs."""
    monkeypatch.setattr(InstanceHook, "template_image", lambda _self, _template, number: of_template[number])
    monkeypatch.setattr(
        InstanceHook, "images", lambda _self, ids: {name: image for name, image in of_instance.items() if name in ids}
    )


def _by_image(operator: Operator, version: str) -> StartRefreshOperator:
    made = operator(version=version)
    made.by_image = True
    return made


def test_by_image_nothing_is_started_for_instances_that_run_it_by_another_version(
    autoscaling: Stubber, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when AWS rolled back and Terraform then made version 3 with the same image as version 1."""
    task = context()
    wanted = _by_image(operator, "3")
    _images(monkeypatch, {"1": AMI, "3": AMI}, {"i-1": AMI, "i-2": AMI})
    _answer(autoscaling, group("1", instance("i-1", "1"), instance("i-2", "3")))

    # i-2 runs version 3, by image it is right all the same.
    assert wanted.execute(task) == ""
    assert task["ti"].pushed == {"instances_before": [], "version_at_the_end": ""}


def test_by_image_a_mixed_fleet_goes_to_the_version_that_the_group_has(
    autoscaling: Stubber, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that SkipMatching keeps the instances that are right."""
    task = context()
    wanted = _by_image(operator, "3")
    _images(monkeypatch, {"1": AMI, "3": AMI}, {"i-1": AMI, "i-2": "ami-bad"})
    _answer(autoscaling, group("1", instance("i-1", "1"), instance("i-2", "2")))
    _expect_start(autoscaling, version="1")

    assert wanted.execute(task) == "r-new"
    assert task["ti"].pushed == {"instances_before": ["i-2"], "version_at_the_end": "1"}


def test_by_image_a_fleet_on_another_image_goes_to_the_version_that_terraform_made(
    autoscaling: Stubber, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = _by_image(operator, "3")
    _images(monkeypatch, {"2": "ami-bad", "3": AMI}, {"i-1": "ami-bad"})
    _answer(autoscaling, group("2", instance("i-1", "2")))
    _expect_start(autoscaling, version="3")

    assert wanted.execute(context()) == "r-new"


def test_by_image_right_instances_of_a_group_that_would_launch_others_are_not_enough(
    autoscaling: Stubber, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = _by_image(operator, "3")
    _images(monkeypatch, {"2": "ami-bad", "3": AMI}, {"i-1": AMI})
    _answer(autoscaling, group("2", instance("i-1", "1")))
    _expect_start(autoscaling, version="3")

    assert wanted.execute(context()) == "r-new"


@pytest.mark.parametrize("code", ["Throttling", "ResourceContention", "InternalFailure"])
def test_throttling_is_waited_out_and_nothing_is_started_twice(
    autoscaling: Stubber, operator: Operator, code: str
) -> None:
    """The request that failed may have started the refresh: the repetition finds it."""
    status = 400 if code == "Throttling" else 500
    autoscaling.add_client_error("describe_auto_scaling_groups", code, http_status_code=status)
    _answer(autoscaling, OLD)
    autoscaling.add_client_error("start_instance_refresh", code, http_status_code=status)
    autoscaling.add_client_error("start_instance_refresh", "InstanceRefreshInProgress")
    autoscaling.add_response(
        "describe_instance_refreshes", {"InstanceRefreshes": [refresh("Pending", refresh_id="r-ours")]}
    )

    assert operator().execute(context()) == "r-ours"


def test_a_run_whose_turn_was_taken_starts_nothing_and_is_skipped(
    autoscaling: Stubber, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(*_: Any) -> None:
        raise SupersededError("superseded by rollback_webapp/manual", by="rollback_webapp/manual")

    made = operator()
    monkeypatch.setattr(LeaseHook, "check", taken)

    with pytest.raises(AirflowSkipException, match="rollback_webapp/manual"):
        made.execute(context())


def test_a_service_that_lets_its_fleet_dip_or_whose_timeout_is_short_for_the_fleet_is_told_so(
    autoscaling: Stubber, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = load_service("webapp")
    slow = service.rollout.model_copy(
        update={"min_healthy_percentage": 50, "max_healthy_percentage": 100, "bake_time": 0, "timeout": 25}
    )
    monkeypatch.setattr("rebake.config.load_service", lambda *_: service.model_copy(update={"rollout": slow}))
    large = group("1", *[instance(f"i-{number}", "1") for number in range(200)], desired=200)
    _answer(autoscaling, large)
    autoscaling.add_response("start_instance_refresh", {"InstanceRefreshId": "r-new"})

    with capture_logs() as logs:
        operator().execute(context())

    dip, short = [told(entry) for entry in logs if entry["log_level"] == "warning"]
    assert "100 of 200 may be all that serve meanwhile" in dip
    assert short.startswith("rollout.timeout is 25 s, but a rollout to 200 instances takes 30 s at least: 2 batches of")


def _take_the_turn_after_the_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []

    def check(*_: Any) -> None:
        looks.append("look")
        if len(looks) > 1:
            raise SupersededError("superseded by rollback_webapp/manual", by="rollback_webapp/manual")

    monkeypatch.setattr(LeaseHook, "check", check)


def test_a_rollback_that_took_the_turn_while_the_refresh_was_started_is_let_through(
    autoscaling: Stubber, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It acquired the lease, found no refresh and went on: so it is the deployment that has to notice."""
    made = operator()
    _take_the_turn_after_the_first_look(monkeypatch)
    _answer(autoscaling, OLD)
    _expect_start(autoscaling)
    started = {"InstanceRefreshes": [refresh("Pending", refresh_id="r-new")]}
    autoscaling.add_response("describe_instance_refreshes", started, {"AutoScalingGroupName": GROUP})
    autoscaling.add_response("cancel_instance_refresh", {"InstanceRefreshId": "r-new"}, {"AutoScalingGroupName": GROUP})

    with pytest.raises(AirflowSkipException, match="rollback_webapp/manual"):
        made.execute(context())


def test_the_refresh_of_the_rollback_itself_is_not_cancelled_by_a_deployment_that_comes_late(
    autoscaling: Stubber, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = operator()
    _take_the_turn_after_the_first_look(monkeypatch)
    _answer(autoscaling, OLD)
    _expect_start(autoscaling)
    others = {"InstanceRefreshes": [refresh("InProgress", refresh_id="r-2", version="3"), refresh("Cancelled")]}
    autoscaling.add_response("describe_instance_refreshes", others, {"AutoScalingGroupName": GROUP})

    with pytest.raises(AirflowSkipException, match="rollback_webapp/manual"):
        made.execute(context())
