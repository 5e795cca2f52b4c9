"""An account to bake in, a pretended Packer, and runs that bake: for the tests of the bake stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import boto3

from rebake import tags
from rebake.operators.bake import BakeBaseOperator, BakeOperator
from tests.support.aws import tag_list

VENDORS_IMAGE = "ami-0123456789abcdef0"


class Cloud:
    """The account that a test bakes in, with clients to look at it."""

    def __init__(self) -> None:
        self.ec2: Any = boto3.client("ec2", region_name="eu-west-1")
        self.ssm: Any = boto3.client("ssm", region_name="eu-west-1")
        self.s3: Any = boto3.client("s3", region_name="eu-west-1")

    def image(self, name: str, tagged: Mapping[str, str]) -> str:
        instance = self.ec2.run_instances(ImageId=VENDORS_IMAGE, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        made: str = self.ec2.create_image(InstanceId=instance, Name=name)["ImageId"]
        self.ec2.terminate_instances(InstanceIds=[instance])
        if tagged:
            self.ec2.create_tags(Resources=[made], Tags=tag_list(tagged))
        return made

    def images(self) -> set[str]:
        return {image["ImageId"] for image in self.ec2.describe_images(Owners=["self"])["Images"]}

    def point(self, parameter: str, value: str) -> None:
        self.ssm.put_parameter(Name=parameter, Value=value, Type="String", Overwrite=True)


class PretendedPacker:
    """Makes an image in the pretended cloud; `behaviour` may do something else instead."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.built: list[dict[str, Any]] = []
        self.environment: dict[str, str] = {}
        self.on_line: Callable[[str], None] = lambda _line: None
        self.behaviour: Callable[[Mapping[str, Any]], str] = self.make

    def __call__(self, _place: Any, **options: Any) -> PretendedPacker:
        self.environment = options["environment"]
        self.on_line = options["on_line"]
        return self

    def build(self, template: str, variables: Mapping[str, Any]) -> str:
        self.built.append({"template": template, **variables})
        return self.behaviour(variables)

    def make(self, variables: Mapping[str, Any]) -> str:
        return self.cloud.image(variables["ami_name"], variables["image_tags"])


class Run:
    """One Airflow run of a DAG; its tasks share what they have noted."""

    def __init__(self, run_id: str = "manual__1") -> None:
        self.run_id = run_id
        self.result: dict[str, Any] = {}
        self.noted: dict[str, Any] = {}

    def execute(self, operator: Any) -> str:
        """Return the id of the image; all of the result is in `result`."""
        ti = SimpleNamespace(dag_id="deploy_webapp", run_id=self.run_id, task_id="bake")
        store = SimpleNamespace(get=self.noted.get, set=lambda key, value: self.noted.update({key: value}))
        self.result = operator.execute({"ti": ti, "task_state_store": store})
        return str(self.result["ami_id"])


def app(**options: Any) -> BakeOperator:
    chosen = {"task_id": "bake", "service": "webapp", "version": "1.2.3", "commit": "abc", "build_id": "7"} | options
    return BakeOperator(**chosen)


def base(**options: Any) -> BakeBaseOperator:
    return BakeBaseOperator(**({"task_id": "bake", "base": "debian-12"} | options))


def revoke(cloud: Cloud, image: str) -> None:
    said = {tags.REVOKED: "CVE-2026-1", tags.REVOKED_AT: "2026-03-01T12:00:00Z"}
    cloud.ec2.create_tags(Resources=[image], Tags=tag_list(said))
    if "rebake-local" not in {bucket["Name"] for bucket in cloud.s3.list_buckets()["Buckets"]}:
        cloud.s3.create_bucket(Bucket="rebake-local", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
