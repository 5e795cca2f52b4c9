"""The stage record_release: one immutable record, then the pointers; a retry ends in the same state."""

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowSkipException

from rebake import tags
from rebake.exceptions import ConfigError
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.registry import RegistryHook
from rebake.image.channels import CANDIDATE, CURRENT, PREVIOUS
from rebake.operators.record_release import RecordReleaseOperator
from rebake.release import lease
from rebake.release import record as release
from rebake.release.stage import Stage
from tests.support.aws import BUCKET, CONNECTION, object_keys, read_json
from tests.support.fleet import GROUP, TEMPLATE, group, instance
from tests.support.releases import IMAGE, RESULTS, TEST_REPORT, acquire_lease, run_context
from tests.support.task import RUN_TAG, context

NAME = "/rebake/webapp"
ASSET = Asset(release.asset_uri("local", "webapp"))


@pytest.fixture
def cloud(s3: Any, ec2: Any, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return a cloud with the bucket, two images, and a group whose instances run the new version."""
    fleet = group("2", instance("i-4", "2"), instance("i-3", "2"), instance("i-1", "1", "Terminating"))
    monkeypatch.setattr(AutoScalingHook, "group", lambda *_: fleet)
    images = [ec2.register_image(Name=name)["ImageId"] for name in ("old", "new")]
    return SimpleNamespace(s3=s3, ec2=ec2, old=images[0], new=images[1], registry=RegistryHook(**CONNECTION))


def _record(
    ami_id: str, task: Any = None, *, results: dict[Stage, dict[str, Any]] | None = None, kind: str = "deploy"
) -> str:
    """Record a run whose stages returned `RESULTS`, with these fields of theirs changed."""
    changed = {Stage.BAKE: {"ami_id": ami_id}, **(results or {})}
    found = {**RESULTS, **{stage: {**RESULTS.get(stage, {}), **fields} for stage, fields in changed.items()}}
    if kind == "rollback":
        del found[Stage.BAKE], found[Stage.PROBE]
    task = task or _context()
    task["ti"] = run_context(found, dict.fromkeys(found, "success"))["ti"]
    return RecordReleaseOperator(task_id="record_release", service="webapp", kind=kind, outlets=[ASSET]).execute(task)


def _context() -> Any:
    task = context()
    task["outlet_events"] = {ASSET: SimpleNamespace(extra={})}
    return task


def test_the_record_leads_from_the_commit_to_the_instances(cloud: SimpleNamespace) -> None:
    release_id = _record(cloud.new)

    record = read_json(cloud.s3, f"releases/webapp/{release_id}.json")
    assert release_id == "webapp-20261123T183012-1.2.3"
    assert record["commit"] == "0a1b2c3"
    assert record["ami_id"] == cloud.new
    assert record["launch_template"] == {"id": TEMPLATE, "version": "2"}
    assert record["refresh"] == {"id": "r-1", "status": "Successful"}
    assert record["instances"] == {"before": ["i-1", "i-2"], "after": ["i-3", "i-4"]}
    assert record["test_report"] == TEST_REPORT
    assert record["requested_by"] == "ada"
    assert record["requested_at"] == "2026-11-23T18:30:12Z"
    assert record["dag_run"] == RUN_TAG
    assert datetime.fromisoformat(record["finished_at"]).tzinfo is not None


def test_the_record_names_where_the_channels_point_afterwards(cloud: SimpleNamespace) -> None:
    cloud.registry.release(NAME, cloud.old, poll_seconds=0)
    cloud.registry.point(NAME, CANDIDATE, cloud.new, poll_seconds=0)

    record = read_json(cloud.s3, release.key("webapp", _record(cloud.new)))

    assert record["channels"] == {"candidate": cloud.new, "current": cloud.new, "previous": cloud.old}
    assert record["channels"] == cloud.registry.channels(NAME)


def test_a_rollback_is_recorded_as_one_and_swaps_the_channels(cloud: SimpleNamespace) -> None:
    cloud.registry.release(NAME, cloud.old, poll_seconds=0)
    cloud.registry.release(NAME, cloud.new, poll_seconds=0)

    chosen = {**IMAGE, "ami_id": cloud.old, "release_id": "webapp-before", "test_report": TEST_REPORT}
    results = {Stage.CHOOSE_RELEASE: {**chosen, "auto_scaling_group_name": GROUP}}
    record = read_json(cloud.s3, release.key("webapp", _record(cloud.old, results=results, kind="rollback")))

    assert (record["kind"], record["restores"]) == ("rollback", "webapp-before")
    assert cloud.registry.channels(NAME) == {"candidate": None, "current": cloud.old, "previous": cloud.new}


def test_a_superseded_run_writes_no_record_and_moves_nothing(cloud: SimpleNamespace) -> None:
    acquire_lease(cloud.s3, "rollback_webapp/x")
    cloud.registry.release(NAME, cloud.old, poll_seconds=0)

    with pytest.raises(AirflowSkipException, match="superseded by rollback_webapp/x"):
        _record(cloud.new)

    assert object_keys(cloud.s3) == [lease.key("webapp")]
    assert cloud.registry.read(NAME, CURRENT).ami_id == cloud.old


def test_the_image_leads_back_to_the_record(cloud: SimpleNamespace) -> None:
    release_id = _record(cloud.new)

    (image,) = cloud.ec2.describe_images(ImageIds=[cloud.new])["Images"]
    assert {"Key": tags.RELEASE, "Value": release_id} in image["Tags"]


def test_a_retry_accepts_the_record_of_the_try_before_and_shifts_nothing_twice(cloud: SimpleNamespace) -> None:
    cloud.registry.release(NAME, cloud.old, poll_seconds=0)
    first = _record(cloud.new)
    written = read_json(cloud.s3, f"releases/webapp/{first}.json")

    assert _record(cloud.new) == first
    assert object_keys(cloud.s3) == [f"releases/webapp/{first}.json"]
    assert read_json(cloud.s3, f"releases/webapp/{first}.json") == written
    assert cloud.registry.read(NAME, PREVIOUS).ami_id == cloud.old


def test_a_record_is_never_overwritten_by_a_run_that_did_something_else(cloud: SimpleNamespace) -> None:
    first = _record(cloud.old)
    newer = {Stage.START_REFRESH: {"launch_template_version": "3"}}

    second = _record(cloud.new, results=newer)

    assert second == f"{first}-2"
    assert read_json(cloud.s3, f"releases/webapp/{first}.json")["ami_id"] == cloud.old
    assert _record(cloud.new, results=newer) == second


def test_a_record_that_cannot_be_written_leaves_current_alone(
    cloud: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.registry.release(NAME, cloud.old, poll_seconds=0)
    cloud.s3.delete_bucket(Bucket=BUCKET)

    with pytest.raises(ConfigError, match="bucket rebake-local does not exist"):
        _record(cloud.new)

    assert cloud.registry.read(NAME, CURRENT).ami_id == cloud.old
    assert cloud.registry.read(NAME, PREVIOUS) is None


def test_a_release_without_a_refresh_is_recorded_as_such(cloud: SimpleNamespace) -> None:
    none = {Stage.START_REFRESH: {"refresh_id": "", "launch_template_version": "", "instances_before": []}}
    record = read_json(cloud.s3, release.key("webapp", _record(cloud.new, results=none)))

    assert record["refresh"] == {"id": None, "status": "Successful"}
    assert record["launch_template"]["version"] == "2"


def test_the_release_is_announced_to_whoever_waits_for_the_asset(cloud: SimpleNamespace) -> None:
    task = _context()

    release_id = _record(cloud.new, task)

    extra = task["outlet_events"][ASSET].extra
    assert extra == {"release": release_id, "ami_id": cloud.new, "version": "1.2.3"}
