"""An embedded cloud with one fleet, the pipeline's clock, and a run of retire_images: for the tests of retirement."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rebake import tags
from rebake.estate.report import RETIRE_IMAGES
from rebake.hooks.reports import ReportsHook
from rebake.operators import retire_images
from rebake.operators.retire_images import RetireImagesOperator
from tests.localcloud.server_support import Server, wait_until

CONNECTION = {"aws_conn_id": "aws_default", "region_name": "eu-west-1"}
BUCKET = "rebake-local"
FLEET = {tags.KIND: tags.KIND_FLEET, tags.SERVICE: "webapp", tags.ENVIRONMENT: "local"}


def _as_list(labels: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as AWS takes them."""
    return [{"Key": key, "Value": value} for key, value in labels.items()]


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
        made = _as_list(every)
        ami_id: str = self.ec2.create_image(
            InstanceId=instance_id,
            Name=name,
            TagSpecifications=[{"ResourceType": kind, "Tags": made} for kind in ("image", "snapshot")],
        )["ImageId"]
        self.ec2.terminate_instances(InstanceIds=[instance_id])
        return ami_id

    def template(self, name: str, *ami_ids: str) -> str:
        template_id: str = self.ec2.create_launch_template(
            LaunchTemplateName=name,
            LaunchTemplateData={"ImageId": ami_ids[0], "InstanceType": "t3.micro"},
            TagSpecifications=[{"ResourceType": "launch-template", "Tags": _as_list(FLEET)}],
        )["LaunchTemplate"]["LaunchTemplateId"]
        for ami_id in ami_ids[1:]:
            self.version(template_id, ami_id)
        return template_id

    def version(self, template_id: str, ami_id: str) -> None:
        self.ec2.create_launch_template_version(
            LaunchTemplateId=template_id, LaunchTemplateData={"ImageId": ami_id, "InstanceType": "t3.micro"}
        )

    def fleet(self, name: str, template_id: str, version: str = "1", size: int = 1) -> None:
        subnet_id = self.ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        self.scaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=3,
            DesiredCapacity=size,
            VPCZoneIdentifier=subnet_id,
            LaunchTemplate={"LaunchTemplateId": template_id, "Version": version},
            Tags=[{**tag, "PropagateAtLaunch": False} for tag in _as_list(FLEET)],
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
        for group in self.scaling.describe_auto_scaling_groups()["AutoScalingGroups"]:
            self.scaling.delete_auto_scaling_group(AutoScalingGroupName=group["AutoScalingGroupName"], ForceDelete=True)
        # A group is there until its instances have ended, and holds its name that long.
        wait_until(lambda: not self.scaling.describe_auto_scaling_groups()["AutoScalingGroups"], "the groups are gone")
        for image in self.ec2.describe_images(Owners=["self"], IncludeDisabled=True)["Images"]:
            self.ec2.deregister_image(ImageId=image["ImageId"], DeleteAssociatedSnapshots=True)
        for snapshot_id in self.snapshots():
            self.ec2.delete_snapshot(SnapshotId=snapshot_id)
        for template in self.ec2.describe_launch_templates()["LaunchTemplates"]:
            self.ec2.delete_launch_template(LaunchTemplateId=template["LaunchTemplateId"])
        for parameter in self.ssm.get_parameters_by_path(Path="/rebake", Recursive=True)["Parameters"]:
            self.ssm.delete_parameter(Name=parameter["Name"])
        for one in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            self.s3.delete_object(Bucket=BUCKET, Key=one["Key"])
        self.s3.delete_bucket(Bucket=BUCKET)
