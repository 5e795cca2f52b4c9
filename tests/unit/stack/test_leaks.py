"""Whatever a killed run may leave is found, and a fleet with its images is not taken for it."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rebake import tags
from rebake.config import load_environment
from stack.layout import Layout
from stack.leaks import leaks
from stack.processes import Process
from stack.settings import ENVIRONMENT, REGION

VENDORS_IMAGE = "ami-12c6146b"


@pytest.fixture
def stack(tmp_path: Path, ec2: Any, s3: Any) -> Any:
    """Return a stack with a bucket, of which nothing runs."""
    return SimpleNamespace(layout=Layout(tmp_path), cloud=SimpleNamespace(client={"ec2": ec2, "s3": s3}.__getitem__))


def _launch(stack: Any, **labels: str) -> str:
    tagged = [{"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in labels.items()]}]
    ec2 = stack.cloud.client("ec2")
    launched = ec2.run_instances(ImageId=VENDORS_IMAGE, MinCount=1, MaxCount=1, TagSpecifications=tagged)
    instance_id: str = launched["Instances"][0]["InstanceId"]
    return instance_id


def test_a_fleet_and_the_image_that_it_runs_are_no_leak(stack: Any) -> None:
    ec2 = stack.cloud.client("ec2")
    instance_id = _launch(stack, **{tags.KIND: tags.KIND_FLEET})
    image = ec2.create_image(InstanceId=instance_id, Name="finished")["ImageId"]
    ec2.create_tags(Resources=[image], Tags=[{"Key": tags.FINGERPRINT, "Value": "abc"}])

    assert leaks(stack) == []


def test_what_a_bake_or_a_probe_left_in_ec2_is_named(stack: Any) -> None:
    ec2 = stack.cloud.client("ec2")
    builder = _launch(stack, **{tags.KIND: tags.KIND_BUILDER})
    ec2.create_key_pair(KeyName="packer_1")
    ec2.create_security_group(GroupName="packer_2", Description="temporary")
    ec2.create_security_group(GroupName="rebake-probe-3", Description="temporary")
    volume = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1)["VolumeId"]
    image = ec2.create_image(InstanceId=builder, Name="unfinished")["ImageId"]

    assert leaks(stack) == [
        f"instance {builder}",
        "key pair packer_1",
        "security group packer_2",
        "security group rebake-probe-3",
        f"volume {volume}",
        f"unfinished image {image} (unfinished)",
    ]


def test_a_lock_of_a_state_and_a_workspace_are_named(stack: Any) -> None:
    bucket = load_environment(ENVIRONMENT).bucket
    stack.cloud.client("s3").put_object(Bucket=bucket, Key="terraform/webapp.tfstate.tflock", Body=b"{}")
    (stack.layout.state / "work" / "deploy-webapp-1").mkdir(parents=True)

    assert leaks(stack) == ["state lock terraform/webapp.tfstate.tflock", "workspace deploy-webapp-1"]


def test_a_tool_that_still_runs_is_named(stack: Any, tmp_path: Path) -> None:
    tool = tmp_path / "packer"
    tool.write_text("#!/bin/sh\nsleep 60\n")
    tool.chmod(0o755)
    process = Process(stack.layout, "tool")
    process.start([str(tool), "build"], os.environ)
    pid = process.pid
    try:
        (found,) = leaks(stack)
    finally:
        process.kill()

    assert found.startswith(f"process {pid} (")
    assert "packer" in found
