"""The stage stop_refresh of a rollback: what it takes over, leaves alone and ends."""

from typing import Any

import pytest

from rebake.exceptions import RolloutFailedError
from rebake.operators.stop_refresh import StopRefreshOperator
from rebake.release.lease import RunKind
from rebake.triggers.instance_refresh import InstanceRefreshTrigger
from tests.support.aws import object_keys, read_json
from tests.support.fleet import GROUP, group, instance, refresh
from tests.support.releases import acquire_lease, lease_now, run_context
from tests.support.task import RUN_TAG, deferral


def _operator(image: str) -> StopRefreshOperator:
    return StopRefreshOperator(task_id="stop_refresh", service="webapp", auto_scaling_group_name=GROUP, ami_id=image)


def test_the_lease_is_taken_from_a_deployment_also_when_no_refresh_is_active(rollout: Any) -> None:
    acquire_lease(rollout.s3, "deploy_webapp/x")

    assert _operator(rollout.images["1"]).execute(run_context({}, {})) == ""

    now = lease_now(rollout.s3)
    assert (now.holder, now.kind) == (RUN_TAG, RunKind.ROLLBACK)


def test_a_refresh_that_goes_to_the_image_already_goes_on(rollout: Any) -> None:
    """As after a retry: the stage start_refresh adopts it."""
    rollout.refreshes = [refresh("InProgress", version="1")]

    assert _operator(rollout.images["1"]).execute(run_context({}, {})) == ""


def test_the_run_goes_on_when_the_refresh_has_ended_whichever_way(rollout: Any) -> None:
    rollout.refreshes = [refresh("RollbackFailed", version="3")]
    event = {"ok": False, "message": "RollbackFailed: 40 % complete", "progress": []}

    assert _operator(rollout.images["2"]).refresh_ended(run_context({}, {}), event, {"refresh_id": "r-1"}) == "r-1"


def test_a_refresh_that_does_not_end_is_an_error(rollout: Any) -> None:
    rollout.refreshes = [refresh("Cancelling", version="3")]
    event = {"ok": False, "message": "still not over at the deadline", "progress": []}

    with pytest.raises(RolloutFailedError, match="instance refresh r-1 of webapp-local does not end: it is Cancelling"):
        _operator(rollout.images["2"]).refresh_ended(run_context({}, {}), event, {"refresh_id": "r-1"})


def test_the_record_of_the_rollback_begins(rollout: Any) -> None:
    _operator(rollout.images["1"]).execute(run_context({}, {}))

    (key,) = [key for key in object_keys(rollout.s3, "releases/") if key.endswith(".progress.json")]
    assert read_json(rollout.s3, key)["kind"] == "rollback"


@pytest.mark.parametrize("status", ["InProgress", "RollbackInProgress", "Cancelling"])
def test_a_refresh_to_another_image_is_waited_for_until_it_has_ended(rollout: Any, status: str) -> None:
    rollout.refreshes = [refresh(status, version="3")]

    deferred = deferral(_operator(rollout.images["2"]).execute, run_context({}, {}))

    assert isinstance(deferred.trigger, InstanceRefreshTrigger)
    assert (deferred.method_name, deferred.trigger.refresh_id) == ("refresh_ended", "r-1")
    assert deferred.trigger.cause == "superseded"


@pytest.mark.parametrize(
    ("image", "version", "roll_back"),
    [
        pytest.param("2", "2", True, id="AWS's own rollback leads to the image"),
        pytest.param("1", "2", False, id="it leads elsewhere"),
        pytest.param("2", "$Latest", False, id="the group has no numbered version"),
    ],
)
def test_mid_refresh_awss_own_rollback_is_used_where_it_leads_to_the_image(
    rollout: Any, image: str, version: str, roll_back: bool
) -> None:
    rollout.refreshes = [refresh("InProgress", version="3")]
    rollout.fleet = group(version, instance("i-2", "2"))

    trigger = deferral(_operator(rollout.images[image]).execute, run_context({}, {})).trigger

    assert isinstance(trigger, InstanceRefreshTrigger)
    assert trigger.roll_back is roll_back
