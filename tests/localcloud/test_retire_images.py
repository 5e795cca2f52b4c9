"""The whole of retire_images against the embedded cloud's API: what is changed, and what is left when something is odd.

Days pass by moving the pipeline's clock; the cloud's stands still.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from rebake import config, tags
from rebake.exceptions import ConfigError, EstateError
from rebake.hooks.estate import EstateHook
from rebake.hooks.retirement import RetirementHook
from tests.localcloud.retirement_support import Cloud
from tests.localcloud.server_support import Server
from tests.support.releases import put_record, record


@pytest.fixture
def cloud(records: Server, monkeypatch: pytest.MonkeyPatch, project: Path, tmp_path: Path) -> Iterator[Cloud]:
    # The environment `local` with the default policy.
    shutil.copytree(project / "config", tmp_path / "config")
    file = tmp_path / "config" / "environments" / "local.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "policy": {}}))
    monkeypatch.setenv("REBAKE_CONFIG", str(tmp_path / "config"))
    extra = {"region_name": "eu-west-1", "endpoint_url": records.url}
    connection = {"conn_type": "aws", "login": "AKIATEST", "password": "any", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    made = Cloud(records, monkeypatch)
    yield made
    made.clean()


def table(report: dict[str, Any], title: str) -> list[list[str]]:
    (found,) = [table["rows"] for table in report["tables"] if table["title"] == title]
    rows: list[list[str]] = found
    return rows


def rows(report: dict[str, Any], title: str = "Images that end") -> list[tuple[str, str]]:
    """Return the id and the outcome of each row of a table."""
    return [(row[0], row[3]) for row in table(report, title)]


def reason(report: dict[str, Any], ami_id: str) -> str:
    return {row[0]: row[-1] for row in table(report, "Images that end")}[ami_id]


def test_an_image_that_nothing_needs_ends_step_by_step_with_its_snapshots(cloud: Cloud) -> None:
    old = cloud.image("old")
    states = {}

    for days in (29, 31, 32, 62, 63, 92):
        cloud.after(days)
        cloud.run()
        states[days] = cloud.state(old)

    assert states == {
        29: "available",
        31: "available, deprecated",
        32: "available, deprecated",
        62: "disabled, deprecated",
        63: "disabled, deprecated",
        92: "gone",
    }
    assert cloud.state(cloud.running) == "available"
    assert len(cloud.snapshots()) == 1


def test_a_dry_run_changes_nothing_and_reports_what_it_would_do(cloud: Cloud) -> None:
    old = cloud.image("old")
    cloud.after(31)

    report = cloud.run(dry="true")

    assert cloud.state(old) == "available"
    assert rows(report) == [(old, "dry run")]
    assert report["summary"]["dry run"] is True
    assert report["title"] == "Dry run: would deprecate 1"


def test_it_is_a_dry_run_unless_the_environment_sets_otherwise(cloud: Cloud) -> None:
    old = cloud.image("old")
    cloud.after(31)

    report = cloud.run(dry="")

    assert config.load_environment().policy.retirement.dry_run
    assert (cloud.state(old), report["summary"]["dry run"]) == ("available", True)


def test_a_value_that_is_neither_true_nor_false_is_refused(cloud: Cloud) -> None:
    with pytest.raises(ConfigError, match="dry_run is 'perhaps'"):
        cloud.run(dry="perhaps")


def test_an_image_that_is_shared_with_an_account_is_never_touched(cloud: Cloud) -> None:
    old = cloud.image("old")
    cloud.ec2.modify_image_attribute(ImageId=old, LaunchPermission={"Add": [{"UserId": "210987654321"}]})
    cloud.after(31)

    report = cloud.run()

    assert cloud.state(old) == "available"
    assert reason(report, old) == "it is shared with 210987654321"


def test_an_image_whose_snapshot_is_shared_is_never_touched(cloud: Cloud) -> None:
    old = cloud.image("old")
    (snapshot,) = cloud.ec2.describe_images(ImageIds=[old])["Images"][0]["BlockDeviceMappings"]
    cloud.ec2.modify_snapshot_attribute(
        SnapshotId=snapshot["Ebs"]["SnapshotId"],
        Attribute="createVolumePermission",
        OperationType="add",
        UserIds=["210987654321"],
    )
    cloud.after(31)

    assert "shared with 210987654321" in reason(cloud.run(), old)
    assert cloud.state(old) == "available"


def test_an_image_that_begins_to_be_used_after_the_first_scan_is_never_touched(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = cloud.image("old")
    read = EstateHook.read

    def read_and_launch(hook: EstateHook) -> Any:
        found = read(hook)
        cloud.server.launch(ImageId=old)
        return found

    monkeypatch.setattr(EstateHook, "read", read_and_launch)
    cloud.after(31)

    report = cloud.run()

    assert cloud.state(old) == "available"
    assert rows(report) == [(old, "kept")]
    assert "runs it (running)" in reason(report, old)


@pytest.mark.parametrize("begin", ["channel", "template", "tag", "record"])
def test_whatever_begins_to_need_an_image_after_the_first_scan_keeps_it(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, begin: str
) -> None:
    old = cloud.image("old")
    going_on = record(1, "in_progress", ami_id=old)
    begins = {
        "channel": lambda: cloud.point("/rebake/webapp/candidate", old),
        "template": lambda: cloud.version(cloud.template_id, old),
        "tag": lambda: cloud.ec2.create_tags(Resources=[old], Tags=[{"Key": tags.COPIED_TO, "Value": "us-east-1"}]),
        "record": lambda: put_record(cloud.s3, going_on),
    }
    rescan = EstateHook.rescan

    def begin_and_rescan(hook: EstateHook, *args: Any) -> Any:
        begins[begin]()
        return rescan(hook, *args)

    monkeypatch.setattr(EstateHook, "rescan", begin_and_rescan)
    cloud.after(31)

    report = cloud.run()

    assert cloud.state(old) == "available"
    assert rows(report) == [(old, "kept")]


def test_it_stops_before_any_change_and_names_the_fleet_that_is_missing(cloud: Cloud) -> None:
    old = cloud.image("old")
    cloud.point("/rebake/static-site/current", cloud.running)
    cloud.after(31)

    with pytest.raises(EstateError, match="no Auto Scaling group of service static-site was found"):
        cloud.run()

    assert cloud.state(old) == "available"
    assert cloud.report()["title"].startswith("Stopped: what is in use could not be seen whole")


def test_it_stops_in_the_middle_when_a_fleet_is_not_seen_any_more(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = cloud.image("old")
    rescan = EstateHook.rescan

    def blind(hook: EstateHook, *args: Any) -> Any:
        return replace(rescan(hook, *args), fleets=())

    monkeypatch.setattr(EstateHook, "rescan", blind)
    cloud.after(31)

    with pytest.raises(EstateError, match="group webapp-local was seen at first"):
        cloud.run()

    assert cloud.state(old) == "available"


def test_template_versions_that_nothing_uses_are_pruned_and_those_in_use_are_not(cloud: Cloud) -> None:
    for _ in range(14):
        cloud.version(cloud.template_id, cloud.running)

    cloud.run()

    left = cloud.ec2.describe_launch_template_versions(LaunchTemplateId=cloud.template_id)["LaunchTemplateVersions"]
    assert sorted(one["VersionNumber"] for one in left) == [1, *range(6, 16)]


def test_a_snapshot_that_a_broken_deregistration_left_is_removed_by_the_next_run(cloud: Cloud) -> None:
    old = cloud.image("old")
    cloud.ec2.deregister_image(ImageId=old)
    assert len(cloud.snapshots()) == 2
    cloud.after(1)

    report = cloud.run()

    assert len(cloud.snapshots()) == 1
    assert [outcome for _, outcome in rows(report, "Snapshots without an image")] == ["done"]


def test_a_snapshot_that_is_in_use_is_reported_and_tried_again_by_the_next_run(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = cloud.image("old")
    for days in (31, 62):
        cloud.after(days)
        cloud.run()
    with monkeypatch.context() as patch:
        patch.setattr(RetirementHook, "delete_snapshot", lambda *_: False)
        cloud.after(92)
        report = cloud.run()

    assert cloud.state(old) == "gone"
    assert (rows(report), len(cloud.snapshots())) == ([(old, "left")], 2)
    cloud.run()
    assert len(cloud.snapshots()) == 1


def test_what_aws_refuses_is_reported_at_the_end_and_the_rest_is_done(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused, other = cloud.image("refused"), cloud.image("other")
    deprecate = RetirementHook.deprecate

    def refuse(hook: RetirementHook, image: Any, now: datetime) -> datetime:
        if image.id == refused:
            hook.ec2.enable_image_deprecation(ImageId="ami-00000000000000000", DeprecateAt=now)
        return deprecate(hook, image, now)

    monkeypatch.setattr(RetirementHook, "deprecate", refuse)
    cloud.after(31)

    with pytest.raises(EstateError, match=f"AWS refused 1 changes, the first: {refused}"):
        cloud.run()

    assert dict(rows(cloud.report())) == {refused: "failed", other: "done"}
    assert cloud.state(other) == "available, deprecated"


def test_every_image_of_many_pages_is_seen(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rebake.hooks.image.PAGE", 20)
    instance_id = cloud.server.launch()
    labels = {
        tags.KIND: tags.KIND_APP_IMAGE,
        tags.SERVICE: "webapp",
        tags.ENVIRONMENT: "local",
        tags.FINGERPRINT: "f" * 64,
    }
    specification = [{"ResourceType": "image", "Tags": [{"Key": key, "Value": value} for key, value in labels.items()]}]
    for number in range(130):
        cloud.ec2.create_image(InstanceId=instance_id, Name=f"old-{number}", TagSpecifications=specification)
    cloud.after(31)

    report = cloud.run()

    assert report["summary"]["images of this environment"] == 131
    assert (report["summary"]["deprecate"], report["summary"]["waiting for the next run"]) == (100, 30)
