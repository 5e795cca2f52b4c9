"""Images that are deprecated, disabled, shared and deregistered, and who may see and launch them then."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.server_support import Server, wait_until

OTHER = "210987654321"


def make_image(records: Server, name: str, **arguments: Any) -> str:
    """Make an image that is available at once and return its id."""
    return str(records.client("ec2").create_image(InstanceId=records.launch(), Name=name, **arguments)["ImageId"])


def describe(records: Server, image_id: str, **arguments: Any) -> dict[str, Any]:
    """Describe one image."""
    return dict(records.client("ec2").describe_images(ImageIds=[image_id], **arguments)["Images"][0])


def listed(records: Server, **arguments: Any) -> set[str]:
    """Return the ids of the account's images that are listed."""
    return {image["ImageId"] for image in records.client("ec2").describe_images(Owners=["self"], **arguments)["Images"]}


def test_a_deprecated_image_has_the_minute_and_is_still_listed_for_its_owner(records: Server) -> None:
    """Owners see what they deprecated whatever they request; and it can be taken back."""
    ec2 = records.client("ec2")
    image_id = make_image(records, "deprecated")
    when = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)

    ec2.enable_image_deprecation(ImageId=image_id, DeprecateAt=when)

    rounded = (when + timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:00.000Z")
    assert describe(records, image_id)["DeprecationTime"] == rounded
    assert image_id in listed(records)
    assert records.instance(records.launch(ImageId=image_id))["State"]["Name"] == "running"
    ec2.disable_image_deprecation(ImageId=image_id)
    assert "DeprecationTime" not in describe(records, image_id)


@pytest.mark.parametrize("days", [-1, 4000], ids=["past", "more than ten years"])
def test_a_deprecation_lies_ahead_and_not_too_far(records: Server, days: int) -> None:
    image_id = make_image(records, f"badly-deprecated-{days}")

    with pytest.raises(ClientError, match="InvalidParameterValue"):
        records.client("ec2").enable_image_deprecation(
            ImageId=image_id, DeprecateAt=datetime.now(UTC) + timedelta(days=days)
        )


def test_a_disabled_image_is_hidden_and_cannot_be_launched(records: Server) -> None:
    ec2 = records.client("ec2")
    image_id = make_image(records, "disabled")

    ec2.disable_image(ImageId=image_id)

    assert image_id not in listed(records)
    assert image_id in listed(records, IncludeDisabled=True)
    assert ec2.describe_images(ImageIds=[image_id])["Images"] == []
    assert describe(records, image_id, IncludeDisabled=True)["State"] == "disabled"
    with pytest.raises(ClientError, match=r"InvalidAMIID\.Unavailable"):
        records.launch(ImageId=image_id)
    ec2.enable_image(ImageId=image_id)
    assert describe(records, image_id)["State"] == "available"


def test_an_instance_outlives_the_disabling_of_its_image(records: Server) -> None:
    ec2 = records.client("ec2")
    image_id = make_image(records, "outlived")
    user = records.launch(ImageId=image_id)

    ec2.disable_image(ImageId=image_id)
    ec2.stop_instances(InstanceIds=[user])
    ec2.start_instances(InstanceIds=[user])

    assert records.instance(user)["State"]["Name"] == "running"


def test_disabling_ends_all_sharing_and_enabling_does_not_bring_it_back(records: Server) -> None:
    ec2 = records.client("ec2")
    image_id = make_image(records, "shared")
    add = {"Add": [{"UserId": OTHER}]}
    ec2.modify_image_attribute(ImageId=image_id, LaunchPermission=add)
    shared = ec2.describe_image_attribute(ImageId=image_id, Attribute="launchPermission")["LaunchPermissions"]

    ec2.disable_image(ImageId=image_id)
    with pytest.raises(ClientError, match=r"InvalidAMIID\.Unavailable"):
        ec2.modify_image_attribute(ImageId=image_id, LaunchPermission=add)
    ec2.enable_image(ImageId=image_id)

    assert shared == [{"UserId": OTHER}]
    assert ec2.describe_image_attribute(ImageId=image_id, Attribute="launchPermission")["LaunchPermissions"] == []


def test_snapshots_of_a_disabled_image_stay_in_use(records: Server) -> None:
    """Only deregistering frees them; it also works on a disabled image."""
    ec2 = records.client("ec2")
    image_id = make_image(records, "disabled-with-snapshot")
    snapshot_id = describe(records, image_id)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    ec2.disable_image(ImageId=image_id)

    with pytest.raises(ClientError, match=r"InvalidSnapshot\.InUse"):
        ec2.delete_snapshot(SnapshotId=snapshot_id)
    ec2.deregister_image(ImageId=image_id)
    ec2.delete_snapshot(SnapshotId=snapshot_id)

    assert image_id not in listed(records, IncludeDisabled=True)


def test_deregistering_deletes_the_snapshots_if_requested(records: Server) -> None:
    ec2 = records.client("ec2")
    image_id = make_image(records, "with-snapshots")
    snapshot_id = describe(records, image_id)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]

    answer = ec2.deregister_image(ImageId=image_id, DeleteAssociatedSnapshots=True)

    assert answer["DeleteSnapshotResults"] == [{"SnapshotId": snapshot_id, "ReturnCode": "success"}]
    with pytest.raises(ClientError, match=r"InvalidSnapshot\.NotFound"):
        ec2.describe_snapshots(SnapshotIds=[snapshot_id])


@pytest.mark.parametrize(("gone", "error"), [("disable", "not available"), ("deregister", "does not exist")])
def test_a_group_reports_that_its_image_is_gone(records: Server, gone: str, error: str) -> None:
    """A group's launches fail when its image goes later, with the reason in the activities."""
    ec2, scaling = records.client("ec2"), records.client("autoscaling")
    image_id = make_image(records, f"gone-{gone}")
    template = ec2.create_launch_template(
        LaunchTemplateName=f"gone-{gone}", LaunchTemplateData={"ImageId": image_id, "InstanceType": "t3.micro"}
    )["LaunchTemplate"]["LaunchTemplateId"]
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=f"gone-{gone}", MinSize=0, MaxSize=1, AvailabilityZones=["eu-west-1a"],
        LaunchTemplate={"LaunchTemplateId": template, "Version": "1"},
    )  # fmt: skip
    getattr(ec2, f"{gone}_image")(ImageId=image_id)
    scaling.set_desired_capacity(AutoScalingGroupName=f"gone-{gone}", DesiredCapacity=1)

    def messages() -> list[str]:
        activities = scaling.describe_scaling_activities(AutoScalingGroupName=f"gone-{gone}")["Activities"]
        return [activity["StatusMessage"] for activity in activities if activity["StatusCode"] == "Failed"]

    wait_until(lambda: bool(messages()), "a failed launch")
    ec2.delete_launch_template(LaunchTemplateId=template)
    assert image_id in messages()[0]
    assert error in messages()[0]


def test_a_copy_names_the_image_it_was_made_from(records: Server) -> None:
    """Lineage does not end at a copy; tags go along when requested."""
    ec2 = records.client("ec2")
    tags = [{"ResourceType": "image", "Tags": [{"Key": "rebake:kind", "Value": "app-image"}]}]
    source = make_image(records, "source-of-a-copy", TagSpecifications=tags)

    copy = ec2.copy_image(SourceImageId=source, SourceRegion="eu-west-1", Name="copy", CopyImageTags=True)["ImageId"]

    wait_until(lambda: describe(records, copy)["State"] == "available", "the copy available")
    described = describe(records, copy)
    assert (described["SourceImageId"], described["SourceImageRegion"]) == (source, "eu-west-1")
    assert described["Tags"] == tags[0]["Tags"]
    assert describe(records, source)["SourceImageId"] == records.seed_image()
    assert records.instance(records.launch(ImageId=copy))["State"]["Name"] == "running"


def test_a_shared_image_is_launched_by_the_other_account(records: Server) -> None:
    """Until its owner ends that; and it is gone for the other account once it is disabled."""
    ec2, other = records.client("ec2"), records.client_of(OTHER, "ec2")
    image_id = make_image(records, "shared-for-launches")
    request = {"ImageId": image_id, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    ec2.modify_image_attribute(ImageId=image_id, LaunchPermission={"Add": [{"UserId": OTHER}]})
    launched = other.run_instances(**request)["Instances"][0]

    ec2.disable_image(ImageId=image_id)

    assert launched["ImageId"] == image_id
    with pytest.raises(ClientError, match=r"InvalidAMIID\.NotFound"):
        other.run_instances(**request)
    assert other.describe_instances(InstanceIds=[launched["InstanceId"]])["Reservations"]


def test_instances_of_an_image_that_demands_imds_v2_demand_it(records: Server) -> None:
    ec2 = records.client("ec2")
    image_id = make_image(records, "imds-v2")
    ec2.modify_image_attribute(ImageId=image_id, Attribute="imdsSupport", Value="v2.0")

    by_image = records.instance(records.launch(ImageId=image_id))["MetadataOptions"]
    by_launch = records.instance(records.launch(ImageId=image_id, MetadataOptions={"HttpTokens": "optional"}))

    assert (by_image["HttpTokens"], by_image["HttpPutResponseHopLimit"]) == ("required", 2)
    assert by_launch["MetadataOptions"]["HttpTokens"] == "optional"
    assert ec2.describe_image_attribute(ImageId=image_id, Attribute="imdsSupport")["ImdsSupport"] == {"Value": "v2.0"}


def test_metadata_options_that_are_not_named_stay(records: Server) -> None:
    ec2 = records.client("ec2")
    instance_id = records.launch(MetadataOptions={"HttpPutResponseHopLimit": 3})

    ec2.modify_instance_metadata_options(InstanceId=instance_id, HttpTokens="required")

    options = records.instance(instance_id)["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 3)


def test_snapshots_are_listed_by_owner_with_their_tags(records: Server) -> None:
    """The seed image's snapshot is Debian's, and none of the account's."""
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "rebake:fingerprint", "Value": "abc"}]}]
    image_id = make_image(records, "snapshot-of-ours", TagSpecifications=tags)
    mine = describe(records, image_id)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    debians = describe(records, records.seed_image())["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]

    found = {
        each["SnapshotId"]: each for each in records.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]
    }

    assert debians not in found
    assert found[mine]["Tags"] == tags[0]["Tags"]


def test_an_image_reports_when_it_was_made(records: Server) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)

    created = datetime.fromisoformat(describe(records, make_image(records, "dated"))["CreationDate"])

    assert before <= created <= datetime.now(UTC)
