"""The stage start_refresh: adopt, find nothing to do, or start; and refuse what would roll out something else."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from botocore.stub import Stubber
from structlog.testing import capture_logs

from rebake.config import load_service
from rebake.exceptions import RolloutFailedError
from rebake.hooks.instance import InstanceHook
from rebake.hooks.lease import LeaseHook
from rebake.hooks.revocation import RevocationHook
from rebake.operators.start_refresh import StartRefreshOperator
from rebake.rollout.refresh import preferences
from tests.support.fleet import AMI, GROUP, TEMPLATE, group, instance, refresh
from tests.support.task import REQUESTED_AT, context, deferral, message

OLD = group("1", instance("i-1", "1"), instance("i-2", "1"))
NEW = group("2", instance("i-3", "2"), instance("i-4", "2"))

Operator = Callable[..., StartRefreshOperator]


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


def test_a_refresh_is_started_to_the_numbered_version_and_the_old_instances_are_returned(
    autoscaling: Stubber, operator: Operator
) -> None:
    of = group("1", instance("i-2", "1"), instance("i-1", "1"), instance("i-3", "2"))
    _answer(autoscaling, of, refresh("Successful", version="1"))
    _expect_start(autoscaling)
    assert operator().execute(context()) == {
        "refresh_id": "r-new",
        "launch_template_version": "2",
        "instances_before": ["i-1", "i-2"],
    }


def test_a_mixed_fleet_is_refreshed_although_the_group_points_at_the_version(
    autoscaling: Stubber, operator: Operator
) -> None:
    """As a cancelled refresh leaves it: what differs must never be skipped."""
    _answer(autoscaling, group("2", instance("i-1", "1"), instance("i-3", "2")), refresh("Cancelled", version="1"))
    _expect_start(autoscaling)

    assert operator().execute(context())["refresh_id"] == "r-new"


@pytest.mark.parametrize("status", ["Cancelling", "RollbackInProgress"])
def test_a_refresh_that_is_ending_already_is_waited_for(autoscaling: Stubber, operator: Operator, status: str) -> None:
    """As when a deployment has just cancelled its own, because a rollback acquired the lease."""
    _answer(autoscaling, OLD, refresh(status, version="7"))

    deferred = deferral(operator().execute, context())

    assert deferred.trigger.serialize()[1]["refresh_id"] == "r-1"
    assert deferred.method_name == "refresh_ended"


def test_after_the_end_of_what_was_in_the_way_the_refresh_is_started(autoscaling: Stubber, operator: Operator) -> None:
    _answer(autoscaling, OLD, refresh("Cancelled", version="7"))
    _expect_start(autoscaling)

    event = {"message": "Cancelled", "progress": []}

    assert operator().refresh_ended(context(), event, {"refresh_id": "r-1"})["refresh_id"] == "r-new"


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


@pytest.mark.parametrize(
    ("winner", "returned"), [("2", "r-race"), ("9", None)], ids=["to the same version", "to another version"]
)
def test_a_refresh_that_someone_started_a_moment_ago_is_checked(
    autoscaling: Stubber, operator: Operator, winner: str, returned: str | None
) -> None:
    _answer(autoscaling, OLD)
    autoscaling.add_client_error("start_instance_refresh", "InstanceRefreshInProgress")
    autoscaling.add_response(
        "describe_instance_refreshes",
        {"InstanceRefreshes": [refresh("Pending", refresh_id="r-race", version=winner)]},
    )

    if returned:
        assert operator().execute(context())["refresh_id"] == returned
    else:
        with pytest.raises(RolloutFailedError, match="r-race"):
            operator().execute(context())


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ({"holds": "ami-0ther"}, f"holds image ami-0ther, not {AMI}"),
        ({"version": "$Latest"}, "is not a number"),
        ({"version": "$Default"}, "is not a number"),
        ({"version": ""}, "is not a number"),
    ],
)
def test_a_version_with_another_image_or_that_aws_cannot_roll_back_from_is_refused(
    autoscaling: Stubber, operator: Operator, version: dict[str, str], why: str
) -> None:
    with pytest.raises(RolloutFailedError, match=why):
        operator(**version).execute(context())


def test_a_group_that_does_not_exist_is_named(autoscaling: Stubber, operator: Operator) -> None:
    autoscaling.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": []})

    with pytest.raises(RolloutFailedError, match=f"group {GROUP} does not exist in eu-west-1"):
        operator().execute(context())


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

    assert operator().execute(context())["refresh_id"] == "r-ours"


def test_a_run_whose_lease_was_taken_starts_nothing_and_is_skipped(
    autoscaling: Stubber, operator: Operator, take_lease: Callable[..., None]
) -> None:
    made = operator()
    take_lease()

    with pytest.raises(AirflowSkipException, match="rollback_webapp/manual"):
        made.execute(context())


def test_a_service_that_lets_its_fleet_dip_or_whose_timeout_is_short_for_the_fleet_is_warned(
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

    dip, short = [message(entry) for entry in logs if entry["log_level"] == "warning"]
    assert "100 of 200 may be all that serve meanwhile" in dip
    assert short.startswith("rollout.timeout is 25 s, but a rollout to 200 instances takes 30 s at least: 2 batches of")


@pytest.mark.parametrize(
    ("refreshes", "cancelled"),
    [
        pytest.param([refresh("Pending", refresh_id="r-new")], True, id="its own is cancelled"),
        pytest.param(
            [refresh("InProgress", refresh_id="r-2", version="3"), refresh("Cancelled")], False, id="the other's is not"
        ),
    ],
)
def test_a_rollback_that_took_the_lease_while_the_refresh_was_started_is_let_through(
    autoscaling: Stubber,
    operator: Operator,
    take_lease: Callable[..., None],
    refreshes: list[dict[str, Any]],
    cancelled: bool,
) -> None:
    """It acquired the lease, found no refresh and went on: so it is the deployment that has to notice."""
    made = operator()
    take_lease(after_checks=1)
    _answer(autoscaling, OLD)
    _expect_start(autoscaling)
    of_group = {"AutoScalingGroupName": GROUP}
    autoscaling.add_response("describe_instance_refreshes", {"InstanceRefreshes": refreshes}, of_group)
    if cancelled:
        autoscaling.add_response("cancel_instance_refresh", {"InstanceRefreshId": "r-new"}, of_group)

    with pytest.raises(AirflowSkipException, match="rollback_webapp/manual"):
        made.execute(context())


MINUTES = timedelta(minutes=3)
MINE = refresh("Successful", refresh_id="r-mine", StartTime=REQUESTED_AT + MINUTES)
EARLIER = refresh("Successful", refresh_id="r-past", StartTime=REQUESTED_AT - MINUTES)


@pytest.mark.parametrize(
    ("of", "refreshes", "returned"),
    [
        pytest.param(OLD, [refresh("InProgress", refresh_id="r-same")], "r-same", id="an active one is adopted"),
        pytest.param(NEW, [], "", id="all instances run it"),
        pytest.param(group("2"), [], "", id="just created, nothing launched yet"),
        pytest.param(NEW, [MINE], "r-mine", id="an earlier try of this run started it, and it has ended"),
        pytest.param(NEW, [EARLIER], "", id="one of an earlier run is not claimed"),
    ],
)
def test_nothing_is_started_where_a_refresh_is_not_needed_or_there_already(
    autoscaling: Stubber, operator: Operator, of: Any, refreshes: list[Any], returned: str
) -> None:
    _answer(autoscaling, of, *refreshes)

    assert operator().execute(context())["refresh_id"] == returned


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
    _answer(autoscaling, of)
    if version:
        _expect_start(autoscaling, version)

    assert made.execute(context()) == {
        "refresh_id": "r-new" if version else "",
        "launch_template_version": version,
        "instances_before": before,
    }
