"""An embedded cloud without machines that begins with a large estate: `python -m benchmarks.estate_cloud IMAGES`.

For every 10,000 images there are 300 services, 3,000 instances and 10 base families. Images are made in process, which
is a hundred times quicker than asking for each; groups, and with them the instances, by the API.
"""

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3

from benchmarks.estate_sizes import BUCKET, ENVIRONMENT, REGION, Size
from localcloud.cloud import Cloud
from localcloud.ec2.images import LocalAmi
from localcloud.server import Settings, serve
from rebake import tags
from rebake.image.channels import CANDIDATE, CURRENT, PREVIOUS, base_name, parameter_name, service_name

KEY = "fill"
SHARE_RELEASED = 0.7
VERSIONS = 20
"""Launch template versions of a fleet: one for each of its newest images."""
YEARS_BACK = 2


@dataclass(frozen=True)
class Made:
    """Images of one service or family, oldest first, and those of them that were released."""

    name: str
    images: list[LocalAmi]
    released: list[LocalAmi]


def fill(size: Size, cloud: Cloud) -> None:
    """Make images, channels and launch templates."""
    chance = random.Random(size.images)  # noqa: S311 # the same estate each time
    bases = [_make(cloud, chance, tags.KIND_BASE_IMAGE, name, size.images_of_a_base) for name in size.families]
    for base in bases:
        cloud.backend("ssm").publish(parameter_name(base_name(base.name), CURRENT), base.images[-1].id)
    for service in size.services:
        base = chance.choice(bases)
        made = _make(cloud, chance, tags.KIND_APP_IMAGE, service, size.images_of_a_service, base.images[-1].id)
        for channel, place in ((PREVIOUS, -2), (CURRENT, -1), (CANDIDATE, -1)):
            cloud.backend("ssm").publish(parameter_name(service_name(service), channel), made.released[place].id)
        _make_template(cloud, made)


def _make(cloud: Cloud, chance: random.Random, kind: str, name: str, count: int, base_ami: str = "") -> Made:
    images, released = [], []
    for number, created in enumerate(_moments(count)):
        release = f"{name}-{created:%Y%m%dT%H%M%S}-{chance.randbytes(4).hex()}"
        is_released = chance.random() < SHARE_RELEASED or number >= count - 2
        labels = {
            tags.KIND: kind,
            tags.SERVICE: name,
            tags.ENVIRONMENT: ENVIRONMENT,
            tags.VERSION: f"1.{number}.0",
            tags.COMMIT: chance.randbytes(20).hex(),
            tags.BUILD_ID: str(number),
            tags.TEMPLATE_VERSION: "1.0.0",
            tags.FINGERPRINT: chance.randbytes(32).hex(),
            tags.BASE_AMI: base_ami or next(iter(cloud.backend("ec2").amis)),
            tags.DAG_RUN: f"deploy_{name}/manual__{created:%Y-%m-%dT%H:%M:%S}",
        }
        if is_released and kind == tags.KIND_APP_IMAGE:
            labels[tags.RELEASE] = release
        images.append(_image(cloud, f"{name}-{number}", created, labels))
        if is_released:
            released.append(images[-1])
    return Made(name, images, released)


def _image(cloud: Cloud, name: str, created: datetime, labels: dict[str, str]) -> LocalAmi:
    # moto reads its settings when it is imported, and the server makes them.
    from moto.ec2.utils import random_ami_id

    from localcloud.ec2.images import ROOT_DEVICE, LocalAmi

    image = LocalAmi(
        *(cloud.backend("ec2"), random_ami_id()), name=name, creation_date=created, tags=labels,
        architecture="x86_64", virtualization_type="hvm", root_device_type="ebs", root_device_name=ROOT_DEVICE,
    )  # fmt: skip
    cloud.backend("ec2").disks[image.ebs_snapshot.id] = cloud.engine.reference(image.id)
    image.ebs_snapshot.start_time = created
    image.ebs_snapshot.add_tags(labels)
    cloud.backend("ec2").amis[image.id] = image
    return image


def _moments(count: int) -> Iterator[datetime]:
    """Yield when images were made: evenly over the years, the newest a day ago; UTC without a zone, as moto has it."""
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    for number in range(count, 0, -1):
        yield now - timedelta(days=1 + (365 * YEARS_BACK - 1) * (number - 1) / count)


def _make_template(cloud: Cloud, made: Made) -> None:
    name = f"{made.name}-{ENVIRONMENT}"
    labels = {tags.KIND: tags.KIND_FLEET, tags.SERVICE: made.name, tags.ENVIRONMENT: ENVIRONMENT}
    template = None
    for image in made.released[-VERSIONS:]:
        on_instances = [{"Key": key, "Value": value} for key, value in {**labels, tags.AMI: image.id}.items()]
        data: dict[str, Any] = {
            "ImageId": image.id,
            "InstanceType": "t3.micro",
            "MetadataOptions": {"HttpTokens": "required"},
            "TagSpecifications": [{"ResourceType": "instance", "Tags": on_instances}],
        }
        if template is None:
            template = cloud.backend("ec2").create_launch_template(name, "", data, {"launch-template": labels})
        else:
            template.create_version(data, "")
        template.latest_version().create_time = image.creation_date


def client(service: str, url: str) -> Any:
    """Return a boto3 client of the cloud at that address."""
    make: Any = boto3.client  # the stubs know each service by its literal name
    return make(service, region_name=REGION, endpoint_url=url, aws_access_key_id=KEY, aws_secret_access_key=KEY)


def make_groups(size: Size, url: str) -> None:
    """Make each service's Auto Scaling group, and the bucket; the instances follow by themselves."""
    client("s3", url).create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    ec2, scaling = client("ec2", url), client("autoscaling", url)
    subnets = ",".join(subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"])
    pages = ec2.get_paginator("describe_launch_templates").paginate()
    for template in (template for page in pages for template in page["LaunchTemplates"]):
        name = template["LaunchTemplateName"]
        labels = {tag["Key"]: tag["Value"] for tag in template["Tags"]}
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=name, MinSize=1, MaxSize=20, DesiredCapacity=size.instances_of_a_service,
            LaunchTemplate={
                "LaunchTemplateId": template["LaunchTemplateId"], "Version": str(template["LatestVersionNumber"]),
            },
            VPCZoneIdentifier=subnets,
            Tags=[
                {"ResourceId": name, "ResourceType": "auto-scaling-group", "Key": key, "Value": value,
                 "PropagateAtLaunch": False}
                for key, value in labels.items()
            ],
        )  # fmt: skip


def main() -> None:
    """Run the cloud until a signal ends it."""
    size = Size(int(sys.argv[1]))
    settings = Settings(name=f"bench-{size.images}", port=0, metadata_only=True, region=REGION)
    serve(settings, lambda url: print(url, flush=True), partial(fill, size))


if __name__ == "__main__":
    main()
