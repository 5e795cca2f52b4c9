"""The whole of retire_images against the embedded cloud's API: what is changed, and what is left when something is odd.

Days pass by moving the pipeline's clock; the cloud's stands still.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rebake import config, tags
from rebake.estate.report import RETIRE_IMAGES
from rebake.exceptions import ConfigError, EstateError
from rebake.hooks.estate import EstateHook
from rebake.hooks.reports import ReportsHook
from rebake.hooks.retirement import RetirementHook
from rebake.operators import retire_images
from rebake.operators.retire_images import RetireImagesOperator
from tests.localcloud.conftest import Server

CONNECTION = {"aws_conn_id": "aws_default", "region_name": "eu-west-1"}
BUCKET = "rebake-local"


class Cloud:
    """An embedded cloud with the fleet of webapp, and a clock for the pipeline."""

    def __init__(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = server
        self.ec2, self.ssm, self.s3 = server.client("ec2"), server.client("ssm"), server.client("s3")
        self.scaling = server.client("autoscaling")
        self.monkeypatch = monkeypatch
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        self.running = self.image("runs", release="webapp-20260101T000000-1.0.0")
        self.template_id = self.template("webapp-local", self.running)
        self.fleet("webapp-local", self.template_id)
        self.point("/rebake/webapp/current", self.running)

    def image(self, name: str, *, release: str = "", **labels: str) -> str:
        """Make an image as a finished bake leaves it, with tagged snapshots; a label left empty is no tag."""
        usual = {"kind": tags.KIND_APP_IMAGE, "service": "webapp", "environment": "local", "fingerprint": "f" * 64}
        every = {f"rebake:{key.replace('_', '-')}": value for key, value in {**usual, **labels}.items() if value}
        every |= {tags.RELEASE: release} if release else {}
        instance_id = self.server.launch()
        made = [{"Key": key, "Value": value} for key, value in every.items()]
        ami_id: str = self.ec2.create_image(
            InstanceId=instance_id,
            Name=name,
            TagSpecifications=[{"ResourceType": kind, "Tags": made} for kind in ("image", "snapshot")],
        )["ImageId"]
        self.ec2.terminate_instances(InstanceIds=[instance_id])
        return ami_id

    def template(self, name: str, *ami_ids: str) -> str:
        labels = {tags.KIND: tags.KIND_FLEET, tags.SERVICE: "webapp", tags.ENVIRONMENT: "local"}
        template_id: str = self.ec2.create_launch_template(
            LaunchTemplateName=name,
            LaunchTemplateData={"ImageId": ami_ids[0], "InstanceType": "t3.micro"},
            TagSpecifications=[
                {
                    "ResourceType": "launch-template",
                    "Tags": [{"Key": key, "Value": value} for key, value in labels.items()],
                }
            ],
        )["LaunchTemplate"]["LaunchTemplateId"]
        for ami_id in ami_ids[1:]:
            self.version(template_id, ami_id)
        return template_id

    def version(self, template_id: str, ami_id: str) -> None:
        self.ec2.create_launch_template_version(
            LaunchTemplateId=template_id, LaunchTemplateData={"ImageId": ami_id, "InstanceType": "t3.micro"}
        )

    def fleet(self, name: str, template_id: str, version: str = "1", size: int = 1) -> None:
        labels = {tags.KIND: tags.KIND_FLEET, tags.SERVICE: "webapp", tags.ENVIRONMENT: "local"}
        subnet_id = self.ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        self.scaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=3,
            DesiredCapacity=size,
            VPCZoneIdentifier=subnet_id,
            LaunchTemplate={"LaunchTemplateId": template_id, "Version": version},
            Tags=[{"Key": key, "Value": value, "PropagateAtLaunch": False} for key, value in labels.items()],
        )

    def point(self, name: str, ami_id: str) -> None:
        self.ssm.put_parameter(Name=name, Value=ami_id, Type="String", Overwrite=True)

    def after(self, days: float) -> None:
        """Let so many days have passed, for the pipeline."""
        self.monkeypatch.setattr(retire_images, "_now", lambda: datetime.now(UTC) + timedelta(days=days))

    def run(self, **options: Any) -> dict[str, Any]:
        """Run the task and return its report."""
        RetireImagesOperator(task_id="retire_images", **{"dry": "false", **options}).execute({})
        return self.report()

    def report(self) -> dict[str, Any]:
        found = ReportsHook(**CONNECTION).latest(BUCKET, RETIRE_IMAGES)
        assert found is not None
        return found

    def state(self, ami_id: str) -> str:
        found = self.ec2.describe_images(
            IncludeDisabled=True, IncludeDeprecated=True, Filters=[{"Name": "image-id", "Values": [ami_id]}]
        )["Images"]
        if not found:
            return "gone"
        return f"{found[0]['State']}{', deprecated' if found[0].get('DeprecationTime') else ''}"

    def snapshots(self) -> set[str]:
        found = self.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
        return {one["SnapshotId"] for one in found if any(tag["Key"] == tags.KIND for tag in one.get("Tags", []))}

    def clean(self) -> None:
        for image in self.ec2.describe_images(Owners=["self"], IncludeDisabled=True)["Images"]:
            self.ec2.deregister_image(ImageId=image["ImageId"])
        for snapshot_id in self.snapshots():
            self.ec2.delete_snapshot(SnapshotId=snapshot_id)
        for group in self.scaling.describe_auto_scaling_groups()["AutoScalingGroups"]:
            self.scaling.delete_auto_scaling_group(AutoScalingGroupName=group["AutoScalingGroupName"], ForceDelete=True)
        for template in self.ec2.describe_launch_templates()["LaunchTemplates"]:
            self.ec2.delete_launch_template(LaunchTemplateId=template["LaunchTemplateId"])
        for parameter in self.ssm.get_parameters_by_path(Path="/rebake", Recursive=True)["Parameters"]:
            self.ssm.delete_parameter(Name=parameter["Name"])
        for one in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            self.s3.delete_object(Bucket=BUCKET, Key=one["Key"])
        self.s3.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def cloud(records: Server, monkeypatch: pytest.MonkeyPatch, project: Path, tmp_path: Path) -> Iterator[Cloud]:
    # The environment `local` with the policy that holds where nothing is said.
    shutil.copytree(project / "config", tmp_path / "config")
    file = tmp_path / "config" / "environments" / "local.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "policy": {}}))
    monkeypatch.setenv("REBAKE_CONFIG", str(tmp_path / "config"))
    connection = {
        "conn_type": "aws",
        "login": "AKIATEST",
        "password": "any",
        "extra": {"region_name": "eu-west-1", "endpoint_url": records.url},
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    made = Cloud(records, monkeypatch)
    yield made
    made.clean()


def rows(report: dict[str, Any], title: str = "Images that end") -> list[tuple[str, str]]:
    """Return what became of each thing of a table: its id and the outcome."""
    (table,) = [table for table in report["tables"] if table["title"] == title]
    return [(row[0], row[3]) for row in table["rows"]]


def whys(report: dict[str, Any], title: str = "Images that end") -> dict[str, str]:
    (table,) = [table for table in report["tables"] if table["title"] == title]
    return {row[0]: row[-1] for row in table["rows"]}


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


def test_a_dry_run_changes_nothing_and_says_what_it_would_do(cloud: Cloud) -> None:
    old = cloud.image("old")
    cloud.after(31)

    report = cloud.run(dry="true")

    assert cloud.state(old) == "available"
    assert rows(report) == [(old, "dry run")]
    assert report["summary"]["dry run"] is True
    assert report["title"] == "Dry run: would deprecate 1"


def test_it_is_a_dry_run_unless_the_environment_says_otherwise(cloud: Cloud) -> None:
    old = cloud.image("old")
    cloud.after(31)

    report = cloud.run(dry="")

    assert config.load_environment().policy.retirement.dry_run
    assert (cloud.state(old), report["summary"]["dry run"]) == ("available", True)


def test_a_word_that_is_neither_true_nor_false_is_refused(cloud: Cloud) -> None:
    with pytest.raises(ConfigError, match="dry_run is 'perhaps'"):
        cloud.run(dry="perhaps")


def test_an_image_that_is_shared_with_an_account_is_never_touched(cloud: Cloud) -> None:
    old = cloud.image("old")
    cloud.ec2.modify_image_attribute(ImageId=old, LaunchPermission={"Add": [{"UserId": "210987654321"}]})
    cloud.after(31)

    report = cloud.run()

    assert cloud.state(old) == "available"
    assert whys(report)[old] == "it is shared with 210987654321"


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

    assert "shared with 210987654321" in whys(cloud.run())[old]
    assert cloud.state(old) == "available"


def test_an_image_that_begins_to_be_used_after_the_first_look_is_never_touched(
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
    assert "runs it (running)" in whys(report)[old]


@pytest.mark.parametrize("begin", ["channel", "template", "tag", "record"])
def test_whatever_begins_to_need_an_image_after_the_first_look_keeps_it(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, begin: str
) -> None:
    old = cloud.image("old")
    read = EstateHook.read
    record = {"ami_id": old, "release_id": "webapp-20260601T000000-2.0.0"}
    begins = {
        "channel": lambda: cloud.point("/rebake/webapp/candidate", old),
        "template": lambda: cloud.version(cloud.template_id, old),
        "tag": lambda: cloud.ec2.create_tags(Resources=[old], Tags=[{"Key": tags.COPIED_TO, "Value": "us-east-1"}]),
        "record": lambda: cloud.s3.put_object(
            Bucket=BUCKET, Key=f"releases/webapp/{record['release_id']}.progress.json", Body=json.dumps(record)
        ),
    }
    done: list[str] = []

    def read_and_begin(hook: EstateHook) -> Any:
        found = read(hook)
        done.append(begin)
        return found

    look_again = EstateHook.look_again

    def begin_and_look_again(hook: EstateHook, *args: Any) -> Any:
        begins[begin]()
        return look_again(hook, *args)

    monkeypatch.setattr(EstateHook, "read", read_and_begin)
    monkeypatch.setattr(EstateHook, "look_again", begin_and_look_again)
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
    look_again = EstateHook.look_again

    def blind(hook: EstateHook, *args: Any) -> Any:
        from dataclasses import replace

        return replace(look_again(hook, *args), fleets=())

    monkeypatch.setattr(EstateHook, "look_again", blind)
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


def test_a_snapshot_that_is_in_use_is_told_of_and_tried_again_by_the_next_run(
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


def test_what_aws_refuses_is_told_of_at_the_end_and_the_rest_is_done(
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


def test_a_thousand_images_are_all_seen(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rebake.hooks.image.PAGE", 50)
    instance_id = cloud.server.launch()
    labels = {
        tags.KIND: tags.KIND_APP_IMAGE,
        tags.SERVICE: "webapp",
        tags.ENVIRONMENT: "local",
        tags.FINGERPRINT: "f" * 64,
    }
    specification = [{"ResourceType": "image", "Tags": [{"Key": key, "Value": value} for key, value in labels.items()]}]
    for number in range(1000):
        cloud.ec2.create_image(InstanceId=instance_id, Name=f"old-{number}", TagSpecifications=specification)
    cloud.after(31)

    report = cloud.run()

    assert report["summary"]["images of this environment"] == 1001
    assert (report["summary"]["deprecate"], report["summary"]["waiting for the next run"]) == (100, 900)
