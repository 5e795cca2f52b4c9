"""The stages choose_release and stop_refresh of a rollback: what they choose, refuse, take over and end."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from rebake import tags
from rebake.exceptions import ConfigError, ImageError, RolloutFailedError
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.instance import InstanceHook
from rebake.operators.choose_release import ChooseReleaseOperator
from rebake.operators.stop_refresh import StopRefreshOperator
from rebake.release import lease
from rebake.release import record as release
from rebake.release.lease import LeaseRequest, RunKind
from tests.support.aws import BUCKET
from tests.support.fleet import GROUP, group, instance, refresh
from tests.support.task import REQUESTED_AT, RUN_TAG, context

DEPLOYMENT = "deploy_webapp/x"


@pytest.fixture
def cloud(s3: Any, ec2: Any, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return a cloud with two releases, a fleet that runs the second, and images by template version."""
    made = SimpleNamespace(s3=s3, ec2=ec2, refreshes=[], fleet=group("2", instance("i-2", "2")))
    made.images = {number: _image(ec2, number) for number in ("1", "2", "3")}
    for number in ("1", "2"):
        record = _record(number, made.images[number])
        key = release.key("webapp", record["release_id"])
        s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(record).encode())
    monkeypatch.setattr(AutoScalingHook, "group", lambda *_: made.fleet)
    monkeypatch.setattr(AutoScalingHook, "refreshes", lambda *_: made.refreshes)
    monkeypatch.setattr(InstanceHook, "template_image", lambda _self, _id, number: made.images[number])
    monkeypatch.setattr(
        InstanceHook,
        "images",
        lambda _self, ids: {
            one["InstanceId"]: made.images[one["LaunchTemplate"]["Version"]]
            for one in made.fleet["Instances"]
            if one["InstanceId"] in ids
        },
    )
    return made


def _image(ec2: Any, number: str) -> str:
    image: str = ec2.register_image(Name=f"webapp-{number}")["ImageId"]
    labels = {tags.KIND: tags.KIND_APP_IMAGE, tags.SERVICE: "webapp"}
    ec2.create_tags(Resources=[image], Tags=[{"Key": key, "Value": value} for key, value in labels.items()])
    return image


def _record(number: str, image: str) -> dict[str, Any]:
    return {
        **release.blank(),
        "release_id": f"webapp-20261123T18300{number}-{number}.0.0",
        "service": "webapp",
        "version": f"{number}.0.0",
        "commit": f"c{number}",
        "ami_id": image,
        "outcome": "successful",
        "auto_scaling_group_name": GROUP,
    }


def _context() -> Any:
    task = context()
    task["ti"].get_task_states = lambda **_: {}
    return task


def _choose(wanted: str = "") -> tuple[str, dict[str, Any]]:
    task = _context()
    ami_id = ChooseReleaseOperator(task_id="choose_release", service="webapp", release=wanted).execute(task)
    return ami_id, task["ti"].pushed


def test_the_release_before_is_chosen_and_what_its_record_says_is_handed_on(cloud: SimpleNamespace) -> None:
    ami_id, pushed = _choose()

    assert ami_id == cloud.images["1"]
    assert (pushed["version"], pushed["commit"], pushed["restores"]) == ("1.0.0", "c1", "webapp-20261123T183001-1.0.0")
    assert pushed["auto_scaling_group_name"] == GROUP
    assert pushed["reused"] is True


def test_while_a_deployment_has_the_turn_the_current_release_is_chosen(cloud: SimpleNamespace) -> None:
    lease.acquire(
        cloud.s3, BUCKET, "webapp", LeaseRequest(DEPLOYMENT, RunKind.DEPLOY, REQUESTED_AT, timedelta(hours=1))
    )

    assert _choose()[0] == cloud.images["2"]


def test_a_mixed_fleet_returns_to_the_current_release(cloud: SimpleNamespace) -> None:
    cloud.fleet = group("2", instance("i-2", "2"), instance("i-3", "3"))

    assert _choose()[0] == cloud.images["2"]


def test_a_release_that_is_named_is_chosen(cloud: SimpleNamespace) -> None:
    assert _choose("2.0.0")[0] == cloud.images["2"]
    assert _choose(cloud.images["1"])[0] == cloud.images["1"]


def test_an_image_that_was_deregistered_is_named_with_the_way_out(cloud: SimpleNamespace) -> None:
    cloud.ec2.deregister_image(ImageId=cloud.images["1"])

    with pytest.raises(
        ImageError, match=r"release webapp-20261123T183001-1\.0\.0 cannot be returned to: .* does not exist"
    ) as told:
        _choose()
    assert "deploy 1.0.0 anew" in str(told.value)
    assert "webapp-20261123T183002-2.0.0" in str(told.value)


def test_an_unknown_release_is_refused_before_the_turn_is_taken(cloud: SimpleNamespace) -> None:
    with pytest.raises(ConfigError, match=r"webapp has no release '9\.9\.9'"):
        _choose("9.9.9")

    assert lease.read(cloud.s3, BUCKET, "webapp") is None


def _operator(image: str) -> StopRefreshOperator:
    return StopRefreshOperator(task_id="stop_refresh", service="webapp", auto_scaling_group_name=GROUP, ami_id=image)


def _deferred(cloud: SimpleNamespace, image: str) -> Any:
    with pytest.raises(TaskDeferred) as deferred:
        _operator(image).execute(_context())
    assert deferred.value.method_name == "refresh_ended"
    return deferred.value.trigger


def test_the_turn_is_taken_from_a_deployment_also_when_no_refresh_is_active(cloud: SimpleNamespace) -> None:
    lease.acquire(
        cloud.s3, BUCKET, "webapp", LeaseRequest(DEPLOYMENT, RunKind.DEPLOY, REQUESTED_AT, timedelta(hours=1))
    )

    assert _operator(cloud.images["1"]).execute(_context()) == ""

    now = lease.read(cloud.s3, BUCKET, "webapp")
    assert now is not None
    assert (now.holder, now.kind) == (RUN_TAG, RunKind.ROLLBACK)


def test_mid_refresh_awss_own_rollback_is_used_where_it_leads_to_the_image(cloud: SimpleNamespace) -> None:
    cloud.refreshes = [refresh("InProgress", version="3")]

    trigger = _deferred(cloud, cloud.images["2"])

    assert (trigger.refresh_id, trigger.roll_back, trigger.cause) == ("r-1", True, "superseded")


def test_mid_refresh_it_is_cancelled_where_awss_rollback_leads_elsewhere(cloud: SimpleNamespace) -> None:
    cloud.refreshes = [refresh("InProgress", version="3")]

    assert _deferred(cloud, cloud.images["1"]).roll_back is False


def test_where_the_group_has_no_numbered_version_the_refresh_is_cancelled(cloud: SimpleNamespace) -> None:
    cloud.refreshes = [refresh("InProgress", version="3")]
    cloud.fleet = group("$Latest", instance("i-2", "2"))

    assert _deferred(cloud, cloud.images["2"]).roll_back is False


@pytest.mark.parametrize("status", ["RollbackInProgress", "Cancelling"])
def test_a_refresh_that_already_ends_is_waited_for(cloud: SimpleNamespace, status: str) -> None:
    cloud.refreshes = [refresh(status, version="3")]

    assert _deferred(cloud, cloud.images["2"]).refresh_id == "r-1"


def test_a_refresh_that_goes_to_the_image_already_goes_on(cloud: SimpleNamespace) -> None:
    """As after a retry: the stage start_refresh adopts it."""
    cloud.refreshes = [refresh("InProgress", version="1")]

    assert _operator(cloud.images["1"]).execute(_context()) == ""


def test_the_run_goes_on_when_the_refresh_has_ended_whichever_way(cloud: SimpleNamespace) -> None:
    cloud.refreshes = [refresh("RollbackFailed", version="3")]
    event = {"ok": False, "message": "RollbackFailed: 40 % complete", "progress": []}

    assert _operator(cloud.images["2"]).refresh_ended(_context(), event, {"refresh_id": "r-1"}) == "r-1"


def test_a_refresh_that_does_not_end_is_an_error(cloud: SimpleNamespace) -> None:
    cloud.refreshes = [refresh("Cancelling", version="3")]
    event = {"ok": False, "message": "still not over at the deadline", "progress": []}

    with pytest.raises(RolloutFailedError, match="instance refresh r-1 of webapp-local does not end: it is Cancelling"):
        _operator(cloud.images["2"]).refresh_ended(_context(), event, {"refresh_id": "r-1"})


def test_the_record_of_the_rollback_begins(cloud: SimpleNamespace) -> None:
    _operator(cloud.images["1"]).execute(_context())

    keys = [found["Key"] for found in cloud.s3.list_objects_v2(Bucket=BUCKET, Prefix="releases/")["Contents"]]
    (key,) = [key for key in keys if key.endswith(".progress.json")]
    assert json.loads(cloud.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())["kind"] == "rollback"
