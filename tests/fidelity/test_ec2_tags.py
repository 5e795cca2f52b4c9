"""Facts of EC2: tags."""

from typing import Any

import pytest

from tests.fidelity.cases import case
from tests.fidelity.refusals import refused
from tests.fidelity.sources import EC2_ERRORS, ec2, ec2_guide
from tests.localcloud.server_support import Server

SERVICE = "EC2"
RULES = ec2_guide("Using_Tags")


@pytest.fixture(scope="module")
def volume(cloud: Server) -> str:
    """A volume without tags."""
    return str(cloud.client("ec2").create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"])


def tags(**values: str) -> list[dict[str, str]]:
    """Return tags as the API takes them."""
    return [{"Key": key, "Value": value} for key, value in values.items()]


@pytest.mark.parametrize(
    ("bad", "code", "text"),
    [
        case(
            "Tag keys that begin with aws: are not set",
            RULES,
            [{"Key": "aws:mine", "Value": "x"}],
            "InvalidParameterValue",
            "reserved for internal use",
        ),
        case(
            "A tag key has at most 128 characters",
            RULES,
            [{"Key": "k" * 129, "Value": "x"}],
            "InvalidParameterValue",
            "maximum length of 128",
        ),
        case(
            "A tag value has at most 256 characters",
            RULES,
            [{"Key": "key", "Value": "v" * 257}],
            "InvalidParameterValue",
            "maximum length of 256",
        ),
        case(
            "A tag key may not be named twice",
            RULES,
            [{"Key": "key", "Value": "1"}, {"Key": "key", "Value": "2"}],
            "InvalidParameterValue",
            "Duplicate tag key",
        ),
        case("A tag key may not be empty", EC2_ERRORS, [{"Key": "", "Value": "x"}], "InvalidTagKey.Malformed", ""),
    ],
)
def test_malformed_tags_are_refused(
    cloud: Server, volume: str, bad: list[dict[str, str]], code: str, text: str
) -> None:
    """In a request of their own, and where something is created."""
    client = cloud.client("ec2")
    with refused(code, text=text):
        client.create_tags(Resources=[volume], Tags=bad)
    with refused(code, text=text):
        client.create_volume(
            AvailabilityZone="eu-west-1a", Size=1, TagSpecifications=[{"ResourceType": "volume", "Tags": bad}]
        )


@pytest.mark.fact("Tags of AWS cannot be removed", RULES)
def test_tags_of_aws_cannot_be_removed(cloud: Server, volume: str) -> None:
    with refused("InvalidParameterValue", text="reserved for internal use"):
        cloud.client("ec2").delete_tags(Resources=[volume], Tags=[{"Key": "aws:autoscaling:groupName"}])


@pytest.mark.fact("A resource has at most 50 tags", RULES)
@pytest.mark.fact("A tag that is there already can be set again beside 49 others", RULES)
def test_a_resource_has_at_most_fifty_tags(cloud: Server) -> None:
    client = cloud.client("ec2")
    tagged = client.create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"]
    client.create_tags(Resources=[tagged], Tags=tags(**{f"key-{number}": "x" for number in range(50)}))

    client.create_tags(Resources=[tagged], Tags=[{"Key": "key-7", "Value": "y"}])
    with refused("TagLimitExceeded"):
        client.create_tags(Resources=[tagged], Tags=[{"Key": "one-more", "Value": "x"}])

    with refused("TagLimitExceeded"):
        client.create_volume(
            AvailabilityZone="eu-west-1a",
            Size=1,
            TagSpecifications=[
                {"ResourceType": "volume", "Tags": tags(**{f"key-{number}": "x" for number in range(51)})}
            ],
        )


@pytest.mark.fact("Tags that AWS sets do not count", RULES)
def test_tags_of_aws_do_not_count(cloud: Server) -> None:
    """An instance of a template has two."""
    client = cloud.client("ec2")
    data = {"ImageId": cloud.seed_image(), "InstanceType": "t3.micro"}
    client.create_launch_template(LaunchTemplateName="facts-of-tags", LaunchTemplateData=data)
    instance = client.run_instances(LaunchTemplate={"LaunchTemplateName": "facts-of-tags"}, MinCount=1, MaxCount=1)
    instance_id = instance["Instances"][0]["InstanceId"]

    client.create_tags(Resources=[instance_id], Tags=tags(**{f"key-{number}": "x" for number in range(50)}))

    assert len(cloud.instance(instance_id)["Tags"]) == 52


@pytest.mark.fact("A type of resource that the action does not create cannot be tagged by it", ec2("TagSpecification"))
def test_other_types_cannot_be_tagged(cloud: Server) -> None:
    client = cloud.client("ec2")
    specifications = [{"ResourceType": "instance", "Tags": tags(Name="x")}]
    data = {"InstanceType": "t3.micro"}

    with refused("InvalidParameterValue", text="is not a valid taggable resource type for this operation"):
        client.create_launch_template(
            LaunchTemplateName="wrongly-tagged", LaunchTemplateData=data, TagSpecifications=specifications
        )
    with refused("InvalidParameterValue", text="is not a valid taggable resource type for this operation"):
        client.create_volume(AvailabilityZone="eu-west-1a", Size=1, TagSpecifications=specifications)


@pytest.mark.fact(
    "CreateTags of a resource that does not exist is refused, and tags none of the others", ec2("CreateTags")
)
@pytest.mark.parametrize(
    ("unknown", "code"),
    [
        ("i-0123456789abcdef0", "InvalidInstanceID.NotFound"),
        ("eni-0123456789abcdef0", "InvalidNetworkInterfaceID.NotFound"),
        ("ami-0123456789abcdef0", "InvalidAMIID.NotFound"),
        ("snap-0123456789abcdef0", "InvalidSnapshot.NotFound"),
        ("no-id", "InvalidID"),
    ],
)
def test_tagging_something_unknown_is_refused(cloud: Server, volume: str, unknown: str, code: str) -> None:
    client = cloud.client("ec2")
    with refused(code):
        client.create_tags(Resources=[volume, unknown], Tags=tags(half="done"))

    assert client.describe_tags(Filters=[{"Name": "key", "Values": ["half"]}])["Tags"] == []


@pytest.mark.fact("DeleteTags without tags removes all but those of AWS", ec2("DeleteTags"))
@pytest.mark.fact("DeleteTags with a value removes only a tag of that value", ec2("DeleteTags"))
def test_removing_tags(cloud: Server) -> None:
    client = cloud.client("ec2")
    request: dict[str, Any] = {"AvailabilityZone": "eu-west-1a", "Size": 1}
    specification = {"ResourceType": "volume", "Tags": tags(one="1", two="2", three="3")}
    tagged = client.create_volume(**request, TagSpecifications=[specification])["VolumeId"]

    def keys() -> set[str]:
        found = client.describe_tags(Filters=[{"Name": "resource-id", "Values": [tagged]}])["Tags"]
        return {tag["Key"] for tag in found}

    client.delete_tags(Resources=[tagged], Tags=[{"Key": "one", "Value": "other"}, {"Key": "two"}])
    assert keys() == {"one", "three"}
    client.delete_tags(Resources=[tagged])
    assert keys() == set()
