"""The estate as it is read: on moto, and by recorded answers where moto has no such field."""

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from rebake import tags
from rebake.estate.inventory import Channel, TemplateUse
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.estate import EstateHook, _fleet
from rebake.hooks.image import ImageHook
from tests.support.aws import CONNECTION, REGION

ACCOUNT = "123456789012"
VENDORS_IMAGE = "ami-0123456789abcdef0"


@pytest.fixture(autouse=True)
def cloud(account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # moto has no instance refreshes; what is read of them has tests of its own below.
    monkeypatch.setattr(AutoScalingHook, "active_refresh", lambda _self, _name: None)


def read() -> Any:
    return EstateHook(**CONNECTION).read()


def launch(ec2: Any, ami_id: str = VENDORS_IMAGE) -> str:
    return str(ec2.run_instances(ImageId=ami_id, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"])


def template(ec2: Any, name: str, *ami_ids: str, **labels: str) -> str:
    """Make a launch template with one version for each image, and return its id."""
    named = [{"Key": getattr(tags, key), "Value": value} for key, value in labels.items()]
    specification = [{"ResourceType": "launch-template", "Tags": named}]
    template_id: str = ec2.create_launch_template(
        LaunchTemplateName=name,
        LaunchTemplateData={"ImageId": ami_ids[0]},
        **({"TagSpecifications": specification} if labels else {}),
    )["LaunchTemplate"]["LaunchTemplateId"]
    for ami_id in ami_ids[1:]:
        ec2.create_launch_template_version(LaunchTemplateId=template_id, LaunchTemplateData={"ImageId": ami_id})
    return template_id


def group(name: str, template_id: str, version: str, **labels: str) -> None:
    boto3.client("autoscaling", region_name=REGION).create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=2,
        DesiredCapacity=1,
        AvailabilityZones=["eu-west-1a"],
        LaunchTemplate={"LaunchTemplateId": template_id, "Version": version},
        Tags=[
            {"Key": getattr(tags, key), "Value": value, "PropagateAtLaunch": False, "ResourceId": name,
             "ResourceType": "auto-scaling-group"}
            for key, value in labels.items()
        ],
    )  # fmt: skip


def test_an_empty_account_is_an_empty_estate() -> None:
    estate = read()

    assert (estate.images, estate.instances, estate.templates, estate.fleets, estate.channels) == ((), (), (), (), ())


def test_an_image_is_read_with_its_owner_its_snapshots_when_it_was_made_and_whether_it_is_public(ec2: Any) -> None:
    ami_id = ec2.create_image(InstanceId=launch(ec2), Name="rebake-webapp")["ImageId"]

    image = read().images_by_id[ami_id]

    assert image.owner == ACCOUNT
    assert len(image.snapshots) == 1
    assert abs((datetime.now(UTC) - image.created_at).total_seconds()) < 60
    assert not image.public
    assert not image.copied_from
    ec2.modify_image_attribute(ImageId=ami_id, LaunchPermission={"Add": [{"Group": "all"}]})
    assert read().images_by_id[ami_id].public


@pytest.mark.parametrize(
    ("answer", "copied_from"),
    [
        pytest.param({"SourceImageId": "ami-source"}, "ami-source", id="copied"),
        pytest.param({"SourceImageId": "ami-source", "SourceInstanceId": "i-1"}, "", id="baked"),
    ],
)
def test_a_copy_is_distinguished_from_an_image_that_was_baked(answer: dict[str, str], copied_from: str) -> None:
    hook = ImageHook(**CONNECTION)
    image = {"ImageId": "ami-1", "DeprecationTime": "2026-02-01T00:00:00.000Z"}
    image |= {"DeregistrationProtection": "enabled-with-cooldown", **answer}
    request = {
        "Owners": ["self"],
        "IncludeDeprecated": True,
        "IncludeDisabled": True,
        "Filters": [],
        "MaxResults": 1000,
    }
    with Stubber(hook.ec2) as stub:
        stub.add_response("describe_images", {"Images": [image]}, request)
        (found,) = hook.own()

    assert found.copied_from == copied_from
    assert found.deprecated_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert found.locked


def test_instances_are_read_in_every_state_but_terminated(ec2: Any) -> None:
    running, stopped, terminated = (launch(ec2) for _ in range(3))
    ec2.stop_instances(InstanceIds=[stopped])
    ec2.terminate_instances(InstanceIds=[terminated])

    assert {one.id: one.state for one in read().instances} == {running: "running", stopped: "stopped"}


def test_more_instances_than_one_page_are_all_read(ec2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rebake.hooks.estate._INSTANCES_PAGE", 5)
    launched = {launch(ec2) for _ in range(12)}

    assert {one.id for one in read().instances} == launched


def test_a_template_of_ours_has_all_versions_and_another_the_newest_and_the_default(ec2: Any) -> None:
    ours = template(ec2, "webapp-local", "ami-1", "ami-2", "ami-3", KIND=tags.KIND_FLEET)
    other = template(ec2, "other", "ami-4", "ami-5", "ami-6")

    found = read().templates_by_id

    assert [version.ami_id for version in found[ours].versions] == ["ami-3", "ami-2", "ami-1"]
    assert [version.ami_id for version in found[other].versions] == ["ami-6", "ami-4"]
    assert (found[ours].latest.number, found[ours].default.number) == (3, 1)


def test_a_fleet_leads_to_the_image_that_it_launches(ec2: Any) -> None:
    template_id = template(ec2, "webapp-local", "ami-1", "ami-2", KIND=tags.KIND_FLEET)
    group("webapp-local", template_id, "2", KIND=tags.KIND_FLEET, SERVICE="webapp", ENVIRONMENT="local")

    estate = read()

    (fleet,) = estate.our_fleets
    assert (fleet.service, fleet.environment, fleet.desired) == ("webapp", "local", 1)
    assert [estate.template_image(use) for use in fleet.templates] == ["ami-2"]
    assert [estate.instances_by_id[one].lifecycle for one in fleet.instance_ids] == ["InService"]
    assert [one.launch_template_id for one in estate.instances] == [template_id]


def test_a_group_that_is_not_ours_is_read_and_belongs_to_no_service(ec2: Any) -> None:
    group("other", template(ec2, "other", "ami-1"), "$Latest")

    estate = read()

    assert [(fleet.group_name, fleet.service) for fleet in estate.fleets] == [("other", "")]
    assert estate.our_fleets == ()
    assert [estate.template_image(use) for use in estate.fleets[0].templates] == ["ami-1"]


def test_channels_of_services_and_bases_are_read_and_nothing_else(ssm: Any) -> None:
    for name in ("/rebake/webapp/current", "/rebake/bases/debian-12/current", "/rebake/webapp/note", "/other/current"):
        ssm.put_parameter(Name=name, Value="ami-1", Type="String")

    assert set(read().channels) == {
        Channel("/rebake/webapp", "current", "ami-1"),
        Channel("/rebake/bases/debian-12", "current", "ami-1"),
    }


def test_more_channels_than_one_page_are_all_read(ssm: Any) -> None:
    for number in range(25):
        ssm.put_parameter(Name=f"/rebake/service-{number}/current", Value=f"ami-{number}", Type="String")

    assert len(read().channels) == 25


def test_what_a_mixed_instances_policy_and_an_active_refresh_name_is_part_of_a_fleet() -> None:
    def specification(version: str) -> dict[str, Any]:
        return {"LaunchTemplateSpecification": {"LaunchTemplateId": "lt-1", "Version": version}}

    overrides = [{"InstanceType": "t3.small"}, {"InstanceType": "t4g.small", **specification("2")}]
    mixed = {"LaunchTemplate": {**specification("1"), "Overrides": overrides}}
    refreshed_to = {"LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "3"}}

    fleet = _fleet(
        {"AutoScalingGroupName": "webapp-local", "DesiredCapacity": 1, "MixedInstancesPolicy": mixed},
        {"Status": "InProgress", "DesiredConfiguration": refreshed_to},
    )

    assert fleet.templates == tuple(TemplateUse("lt-1", version) for version in ("1", "2", "3"))
