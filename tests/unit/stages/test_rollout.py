"""A rollout: adopt a refresh, find nothing to do, or start one; and refuse what would roll out something else."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import structlog
from botocore.stub import Stubber
from structlog.testing import capture_logs

from rebake import config
from rebake.exceptions import RolloutFailedError
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.instance import InstanceHook
from rebake.release.results import RefreshResult
from rebake.rollout.refresh import Version
from rebake.stages.rollout import Rollout
from tests.support.aws import CONNECTION
from tests.support.fleet import AMI, GROUP, NEW, OLD, TEMPLATE, answer_group, expect_start, group, instance, refresh
from tests.support.task import REQUESTED_AT, message

Begin = Callable[..., RefreshResult]


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Return a function that begins a rollout of AMI; the template's version holds that image, or another."""

    def run(holds: str = AMI, version: str = "2") -> RefreshResult:
        monkeypatch.setattr(InstanceHook, "template_image", lambda *_: holds)
        return Rollout(
            AutoScalingHook(**CONNECTION),
            InstanceHook(**CONNECTION),
            config.load_service("webapp"),
            GROUP,
            Version(TEMPLATE, version),
            AMI,
            by_image=False,
            requested_at=REQUESTED_AT,
            log=structlog.get_logger(),
        ).begin()

    return run


def test_a_mixed_fleet_is_refreshed_although_the_group_points_at_the_version(
    autoscaling: Stubber, begin: Begin
) -> None:
    """As a cancelled refresh leaves it: what differs must never be skipped."""
    answer_group(autoscaling, group("2", instance("i-1", "1"), instance("i-3", "2")), refresh("Cancelled", version="1"))
    expect_start(autoscaling)

    assert begin().refresh_id == "r-new"


@pytest.mark.parametrize(
    ("winner", "returned"), [("2", "r-race"), ("9", None)], ids=["to the same version", "to another version"]
)
def test_a_refresh_that_someone_started_a_moment_ago_is_checked(
    autoscaling: Stubber, begin: Begin, winner: str, returned: str | None
) -> None:
    answer_group(autoscaling, OLD)
    autoscaling.add_client_error("start_instance_refresh", "InstanceRefreshInProgress")
    autoscaling.add_response(
        "describe_instance_refreshes", {"InstanceRefreshes": [refresh("Pending", refresh_id="r-race", version=winner)]}
    )

    if returned:
        assert begin().refresh_id == returned
    else:
        with pytest.raises(RolloutFailedError, match="r-race"):
            begin()


def test_a_template_version_with_another_image_is_not_rolled_out(autoscaling: Stubber, begin: Begin) -> None:
    with pytest.raises(RolloutFailedError, match=f"holds image ami-0ther, not {AMI}"):
        begin(holds="ami-0ther")


@pytest.mark.parametrize("version", ["$Latest", "$Default", ""])
def test_a_version_that_aws_cannot_roll_back_from_is_refused(autoscaling: Stubber, begin: Begin, version: str) -> None:
    with pytest.raises(RolloutFailedError, match="is not a number"):
        begin(version=version)


def test_a_group_that_does_not_exist_is_named(autoscaling: Stubber, begin: Begin) -> None:
    autoscaling.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": []})

    with pytest.raises(RolloutFailedError, match=f"group {GROUP} does not exist in eu-west-1"):
        begin()


@pytest.mark.parametrize("code", ["Throttling", "ResourceContention", "InternalFailure"])
def test_throttling_is_waited_out_and_nothing_is_started_twice(autoscaling: Stubber, begin: Begin, code: str) -> None:
    """The request that failed may have started the refresh: the repetition finds it."""
    status = 400 if code == "Throttling" else 500
    autoscaling.add_client_error("describe_auto_scaling_groups", code, http_status_code=status)
    answer_group(autoscaling, OLD)
    autoscaling.add_client_error("start_instance_refresh", code, http_status_code=status)
    autoscaling.add_client_error("start_instance_refresh", "InstanceRefreshInProgress")
    autoscaling.add_response(
        "describe_instance_refreshes", {"InstanceRefreshes": [refresh("Pending", refresh_id="r-ours")]}
    )

    assert begin().refresh_id == "r-ours"


def test_a_service_that_lets_its_fleet_dip_or_whose_timeout_is_short_for_the_fleet_is_warned(
    autoscaling: Stubber, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = config.load_service("webapp")
    slow = service.rollout.model_copy(
        update={"min_healthy_percentage": 50, "max_healthy_percentage": 100, "bake_time": 0, "timeout": 20}
    )
    monkeypatch.setattr("rebake.config.load_service", lambda *_: service.model_copy(update={"rollout": slow}))
    large = group("1", *[instance(f"i-{number}", "1") for number in range(200)], desired=200)
    answer_group(autoscaling, large)
    autoscaling.add_response("start_instance_refresh", {"InstanceRefreshId": "r-new"})

    with capture_logs() as logs:
        begin()

    dip, short = [message(entry) for entry in logs if entry["log_level"] == "warning"]
    assert "100 of 200 may be all that serve meanwhile" in dip
    assert short.startswith("rollout.timeout is 20 s, but a rollout to 200 instances takes 24 s at least: 2 batches of")


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
    autoscaling: Stubber, begin: Begin, of: Any, refreshes: list[Any], returned: str
) -> None:
    answer_group(autoscaling, of, *refreshes)

    assert begin().refresh_id == returned
