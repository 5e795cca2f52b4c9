"""The stage retire_images against moto; what it does with images, step by step, is in tests/localcloud."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rebake import tags
from rebake.estate.report import RETIRE_IMAGES
from rebake.exceptions import ConfigError, EstateError
from rebake.hooks.reports import ReportsHook
from rebake.operators import retire_images
from rebake.operators.retire_images import RetireImagesOperator
from tests.support.aws import BUCKET, CONNECTION, tag_list
from tests.support.releases import put_record, record
from tests.support.task import context

IMAGE = {
    tags.KIND: tags.KIND_APP_IMAGE,
    tags.SERVICE: "webapp",
    tags.ENVIRONMENT: "local",
    tags.FINGERPRINT: "f" * 64,
}


@pytest.fixture
def old(ec2: Any, s3: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a finished image that was made 31 days ago by the pipeline's clock, and that nothing uses."""
    monkeypatch.setattr(retire_images, "_now", lambda: datetime.now(UTC) + timedelta(days=31))
    return _image(ec2, "old")


def _image(ec2: Any, name: str) -> str:
    (instance,) = ec2.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1)["Instances"]
    ami_id: str = ec2.create_image(InstanceId=instance["InstanceId"], Name=name)["ImageId"]
    ec2.create_tags(Resources=[ami_id, *_snapshots(ec2, ami_id)], Tags=tag_list(IMAGE))
    return ami_id


def _snapshots(ec2: Any, ami_id: str) -> list[str]:
    (image,) = ec2.describe_images(ImageIds=[ami_id])["Images"]
    return [disk["Ebs"]["SnapshotId"] for disk in image["BlockDeviceMappings"]]


def _run(dry: str) -> dict[str, Any]:
    RetireImagesOperator(task_id="retire_images", dry=dry).execute(context())
    return _report()


def _report() -> dict[str, Any]:
    found = ReportsHook(**CONNECTION).latest(BUCKET, RETIRE_IMAGES)
    assert found is not None
    return found


def _outcomes(report: dict[str, Any], title: str) -> list[tuple[str, str]]:
    (rows,) = [table["rows"] for table in report["tables"] if table["title"] == title]
    return [(row[0], row[3]) for row in rows]


def test_the_environments_policy_decides_whether_it_is_a_dry_run_unless_the_run_does(old: str) -> None:
    report = _run(dry="")

    assert report["title"] == "Dry run: would deprecate 1"
    assert _outcomes(report, "Images that end") == [(old, "dry run")]


def test_a_value_that_is_neither_true_nor_false_is_refused() -> None:
    with pytest.raises(ConfigError, match="dry_run is 'perhaps'"):
        _run(dry="perhaps")


def test_the_image_of_a_release_in_progress_is_not_due(s3: Any, old: str) -> None:
    put_record(s3, record(1, "in_progress", ami_id=old))

    assert _outcomes(_run(dry="true"), "Images that end") == []


def test_a_snapshot_whose_image_is_gone_is_deleted_and_those_of_images_are_not(ec2: Any, old: str) -> None:
    gone = _image(ec2, "gone")
    (orphan,) = _snapshots(ec2, gone)
    ec2.deregister_image(ImageId=gone)

    report = _run(dry="true")
    assert _outcomes(report, "Snapshots without an image") == [(orphan, "dry run")]
    ec2.modify_image_attribute(ImageId=old, LaunchPermission={"Add": [{"UserId": "210987654321"}]})
    report = _run(dry="false")

    assert _outcomes(report, "Snapshots without an image") == [(orphan, "done")]
    assert _outcomes(report, "Images that end") == [(old, "kept")]
    mine = ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": f"tag:{tags.KIND}", "Values": ["*"]}])
    assert [one["SnapshotId"] for one in mine["Snapshots"]] == _snapshots(ec2, old)


def test_a_service_that_runs_and_has_no_fleet_stops_it_before_any_change(ec2: Any, ssm: Any, old: str) -> None:
    ssm.put_parameter(Name="/rebake/pages/current", Value=old, Type="String")
    gone = _image(ec2, "gone")
    (orphan,) = _snapshots(ec2, gone)
    ec2.deregister_image(ImageId=gone)

    with pytest.raises(EstateError, match=r"stopped, because .*no Auto Scaling group of service pages"):
        _run(dry="false")

    assert ec2.describe_snapshots(SnapshotIds=[orphan])["Snapshots"]
    assert _report()["title"].startswith("Stopped: what is in use could not be seen whole")
