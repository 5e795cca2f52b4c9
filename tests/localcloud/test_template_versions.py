"""Versions of launch templates: deleted each for itself, and their numbers never used again."""

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.server_support import Server


@pytest.fixture
def template(records: Server) -> Iterator[str]:
    """A launch template with four versions, the first of which is the default."""
    ec2 = records.client("ec2")
    data = {"ImageId": records.seed_image(), "InstanceType": "t3.micro"}
    made: str = ec2.create_launch_template(LaunchTemplateName="versions", LaunchTemplateData=data)["LaunchTemplate"][
        "LaunchTemplateId"
    ]
    for _ in range(3):
        ec2.create_launch_template_version(LaunchTemplateId=made, LaunchTemplateData=data)
    yield made
    ec2.delete_launch_template(LaunchTemplateId=made)


def numbers(records: Server, template: str) -> list[int]:
    """Return the numbers of a template's versions."""
    versions = records.client("ec2").describe_launch_template_versions(LaunchTemplateId=template)
    return [version["VersionNumber"] for version in versions["LaunchTemplateVersions"]]


def test_undeletable_versions_are_reported_beside_the_deleted_ones(records: Server, template: str) -> None:
    """The request succeeds, so a caller has to read the answer."""
    answer = records.client("ec2").delete_launch_template_versions(
        LaunchTemplateId=template, Versions=["1", "2", "3", "9"]
    )

    deleted = [each["VersionNumber"] for each in answer["SuccessfullyDeletedLaunchTemplateVersions"]]
    kept = {
        each["VersionNumber"]: each["ResponseError"]["Code"]
        for each in answer["UnsuccessfullyDeletedLaunchTemplateVersions"]
    }
    assert deleted == [2, 3]
    assert kept == {1: "unexpectedError", 9: "launchTemplateVersionDoesNotExist"}
    assert numbers(records, template) == [1, 4]


def test_the_number_of_a_deleted_version_is_never_used_again(records: Server, template: str) -> None:
    """A number in a release record means one image for ever."""
    ec2 = records.client("ec2")
    ec2.delete_launch_template_versions(LaunchTemplateId=template, Versions=["3", "4"])

    ec2.create_launch_template_version(
        LaunchTemplateId=template, LaunchTemplateData={"ImageId": records.seed_image(), "InstanceType": "t3.nano"}
    )

    assert numbers(records, template) == [1, 2, 5]
    described = ec2.describe_launch_templates(LaunchTemplateIds=[template])["LaunchTemplates"][0]
    assert (described["DefaultVersionNumber"], described["LatestVersionNumber"]) == (1, 5)
    newest = {"LaunchTemplateId": template, "Version": "5"}
    launched = ec2.run_instances(LaunchTemplate=newest, MinCount=1, MaxCount=1)["Instances"][0]
    assert launched["InstanceType"] == "t3.nano"


def test_a_deleted_version_is_not_found(records: Server, template: str) -> None:
    ec2 = records.client("ec2")
    ec2.delete_launch_template_versions(LaunchTemplateId=template, Versions=["2"])

    with pytest.raises(ClientError, match=r"InvalidLaunchTemplateId\.VersionNotFound"):
        ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=["2"])
    with pytest.raises(ClientError, match=r"InvalidLaunchTemplateId\.VersionNotFound"):
        ec2.run_instances(LaunchTemplate={"LaunchTemplateId": template, "Version": "2"}, MinCount=1, MaxCount=1)


def test_a_template_shows_the_tags_it_has_now(records: Server, template: str) -> None:
    """Otherwise Terraform changes them again and again."""
    ec2 = records.client("ec2")
    ec2.create_tags(Resources=[template], Tags=[{"Key": "rebake:kind", "Value": "fleet"}])

    described = ec2.describe_launch_templates(LaunchTemplateIds=[template])["LaunchTemplates"][0]

    assert described["Tags"] == [{"Key": "rebake:kind", "Value": "fleet"}]
