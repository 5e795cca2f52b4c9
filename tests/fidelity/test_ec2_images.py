"""Facts of EC2: images and snapshots."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fidelity.refusals import refused
from tests.fidelity.sources import EC2_ERRORS, EC2_IDEMPOTENCY, ec2, ec2_guide
from tests.localcloud.server_support import REGION, Server, wait_until

SERVICE = "EC2"
OTHER = "210987654321"
ELSEWHERE = "us-east-1"


def new_image(cloud: Server, name: str, **arguments: Any) -> str:
    """Make an image and return its id; here it is available at once."""
    return str(cloud.client("ec2").create_image(InstanceId=cloud.launch(), Name=name, **arguments)["ImageId"])


def begin_copy(cloud: Server, source: str, name: str, region: str = REGION, **arguments: Any) -> str:
    """Begin to copy an image into a region and return the copy's id."""
    request = {"SourceImageId": source, "SourceRegion": REGION, "Name": name, **arguments}
    return str(cloud.client("ec2", region=region).copy_image(**request)["ImageId"])


def describe(cloud: Server, image_id: str, region: str = REGION) -> dict[str, Any]:
    """Describe one image."""
    return dict(cloud.client("ec2", region=region).describe_images(ImageIds=[image_id])["Images"][0])


def wait_for_image(cloud: Server, image_id: str, region: str = REGION) -> dict[str, Any]:
    """Wait until the image is available, and describe it."""
    wait_until(lambda: describe(cloud, image_id, region)["State"] == "available", f"{image_id} available")
    return describe(cloud, image_id, region)


def root_snapshot(image: dict[str, Any]) -> str:
    """Return the snapshot of the image's root volume."""
    return str(image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"])


@pytest.mark.fact("An image's name has 3 to 128 letters, digits and some other characters", ec2("CreateImage"))
@pytest.mark.parametrize("name", ["x" * 129, "with:colon", "with*asterisk"])
def test_malformed_names_are_refused(cloud: Server, name: str) -> None:
    source = cloud.launch()
    with refused("InvalidAMIName.Malformed"):
        cloud.client("ec2").create_image(InstanceId=source, Name=name)
    with refused("InvalidAMIName.Malformed"):
        begin_copy(cloud, cloud.seed_image(), name)


@pytest.mark.fact("A name is taken as long as its image is registered", EC2_ERRORS)
def test_a_name_is_taken_until_its_image_is_deregistered(cloud: Server) -> None:
    first = new_image(cloud, "facts-taken")
    with refused("InvalidAMIName.Duplicate", text=first):
        new_image(cloud, "facts-taken")
    cloud.client("ec2").deregister_image(ImageId=first)

    new_image(cloud, "facts-taken")


@pytest.mark.fact("A copy is pending at first", ec2_guide("CopyingAMIs"))
@pytest.mark.fact("A pending image cannot be launched", EC2_ERRORS)
@pytest.mark.fact("A pending image cannot be shared", EC2_ERRORS)
@pytest.mark.fact("A copy's snapshot is the copy's own", ec2_guide("CopyingAMIs"))
def test_a_copy_is_pending_at_first(cloud: Server) -> None:
    client = cloud.client("ec2")
    copy = begin_copy(cloud, cloud.seed_image(), "facts-pending")

    assert describe(cloud, copy)["State"] == "pending"
    with refused("InvalidAMIID.Unavailable"):
        cloud.launch(ImageId=copy)
    with refused("InvalidAMIID.Unavailable"):
        client.modify_image_attribute(ImageId=copy, LaunchPermission={"Add": [{"UserId": OTHER}]})

    copied = wait_for_image(cloud, copy)
    cloud.launch(ImageId=copy)
    assert root_snapshot(copied) != root_snapshot(describe(cloud, cloud.seed_image()))


@pytest.mark.fact("An image can be copied into another region and launched there", ec2_guide("CopyingAMIs"))
@pytest.mark.fact("An image exists in its region only", EC2_ERRORS)
def test_a_copy_into_another_region(cloud: Server) -> None:
    source = new_image(cloud, "facts-abroad")
    there = cloud.client("ec2", region=ELSEWHERE)
    with refused("InvalidAMIID.NotFound"):
        there.run_instances(ImageId=source, InstanceType="t3.micro", MinCount=1, MaxCount=1)

    copied = wait_for_image(cloud, begin_copy(cloud, source, "facts-abroad", ELSEWHERE), ELSEWHERE)

    assert (copied["SourceImageId"], copied["SourceImageRegion"]) == (source, REGION)
    launched = there.run_instances(ImageId=copied["ImageId"], InstanceType="t3.micro", MinCount=1, MaxCount=1)
    assert launched["Instances"][0]["ImageId"] == copied["ImageId"]


@pytest.mark.fact("CopyImage of an unknown image is refused", EC2_ERRORS)
@pytest.mark.fact("CopyImage from a region that does not exist is refused", EC2_ERRORS)
def test_copies_of_nothing_are_refused(cloud: Server) -> None:
    with refused("InvalidAMIID.NotFound"):
        begin_copy(cloud, "ami-0123456789abcdef0", "facts-of-nothing")
    with refused("InvalidRegion"):
        begin_copy(cloud, cloud.seed_image(), "facts-of-nowhere", SourceRegion="eu-nowhere-1")


@pytest.mark.fact("CopyImage again with the same client token returns the same image", EC2_IDEMPOTENCY)
def test_a_client_token_copies_once(cloud: Server) -> None:
    request = {"name": "facts-copied-once", "ClientToken": "copy-once"}

    assert begin_copy(cloud, cloud.seed_image(), **request) == begin_copy(cloud, cloud.seed_image(), **request)
    with refused("IdempotentParameterMismatch"):
        begin_copy(cloud, cloud.seed_image(), "facts-copied-twice", ClientToken="copy-once")


@pytest.mark.fact("A copy can be encrypted, and its volumes are then", ec2_guide("AMIEncryption"))
@pytest.mark.fact("A copy of an encrypted image is encrypted", ec2("CopyImage"))
def test_an_encrypted_copy(cloud: Server) -> None:
    client = cloud.client("ec2")
    encrypted = wait_for_image(cloud, begin_copy(cloud, cloud.seed_image(), "facts-encrypted", Encrypted=True))
    again = wait_for_image(cloud, begin_copy(cloud, encrypted["ImageId"], "facts-encrypted-again"))

    instance = cloud.instance(cloud.launch(ImageId=encrypted["ImageId"]))

    volume_id = instance["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    assert client.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]["Encrypted"] is True
    for image in (encrypted, again):
        assert image["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
        snapshot = client.describe_snapshots(SnapshotIds=[root_snapshot(image)])["Snapshots"][0]
        assert (snapshot["Encrypted"], "KmsKeyId" in snapshot) == (True, True)


@pytest.mark.fact("An image registered from a snapshot can be launched", ec2_guide("creating-an-ami-ebs"))
@pytest.mark.fact("A snapshot that several images use goes after the last of them", EC2_ERRORS)
def test_an_image_registered_from_a_snapshot(cloud: Server) -> None:
    client = cloud.client("ec2")
    made = describe(cloud, new_image(cloud, "facts-made"))
    snapshot = root_snapshot(made)
    registered = client.register_image(
        Name="facts-registered", Architecture="x86_64", VirtualizationType="hvm", RootDeviceName="/dev/xvda",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}],
    )["ImageId"]  # fmt: skip

    assert root_snapshot(describe(cloud, registered)) == snapshot
    assert describe(cloud, registered)["Architecture"] == "x86_64"
    cloud.launch(ImageId=registered)
    for image in (made["ImageId"], registered):
        with refused("InvalidSnapshot.InUse"):
            client.delete_snapshot(SnapshotId=snapshot)
        client.deregister_image(ImageId=image)
    client.delete_snapshot(SnapshotId=snapshot)


@pytest.mark.fact("A snapshot of a root volume can be registered as an image", ec2_guide("creating-an-ami-ebs"))
def test_an_image_of_a_snapshot_of_a_volume(cloud: Server) -> None:
    client = cloud.client("ec2")
    volume = cloud.instance(cloud.launch())["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    snapshot = client.create_snapshot(VolumeId=volume)["SnapshotId"]
    client.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot])

    registered = client.register_image(
        Name="facts-of-a-volume", Architecture="x86_64", RootDeviceName="/dev/xvda",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}],
    )["ImageId"]  # fmt: skip

    cloud.launch(ImageId=registered)


@pytest.mark.fact("RegisterImage of an unknown snapshot is refused", EC2_ERRORS)
def test_registering_an_unknown_snapshot_is_refused(cloud: Server) -> None:
    with refused("InvalidSnapshot.NotFound"):
        cloud.client("ec2").register_image(
            Name="facts-unknown-snapshot", RootDeviceName="/dev/xvda",
            BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": "snap-0123456789abcdef0"}}],
        )  # fmt: skip


@pytest.mark.fact("A deregistered image is unavailable, and cannot be deregistered again", EC2_ERRORS)
@pytest.mark.fact("Deregistering leaves the instances of the image alone", ec2_guide("deregister-ami"))
def test_deregistering_twice_is_refused(cloud: Server) -> None:
    client = cloud.client("ec2")
    image = new_image(cloud, "facts-deregistered")
    user = cloud.launch(ImageId=image)
    client.deregister_image(ImageId=image)

    with refused("InvalidAMIID.Unavailable"):
        client.deregister_image(ImageId=image)
    assert client.describe_images(ImageIds=[image])["Images"] == []
    assert cloud.instance(user)["ImageId"] == image


@pytest.mark.fact("DescribeImages is refused when one of several ids is unknown", EC2_ERRORS)
@pytest.mark.fact("DescribeImages applies filters to images named by id", ec2("DescribeImages"))
def test_images_by_id(cloud: Server) -> None:
    client = cloud.client("ec2")
    seed = cloud.seed_image()
    with refused("InvalidAMIID.NotFound", text="ami-0123456789abcdef0"):
        client.describe_images(ImageIds=[seed, "ami-0123456789abcdef0"])

    assert client.describe_images(ImageIds=[seed], Filters=[{"Name": "state", "Values": ["failed"]}])["Images"] == []


@pytest.mark.fact("New accounts block public sharing of images", ec2_guide("block-public-access-to-amis"))
@pytest.mark.fact("A public image is possible once the block is off", ec2("DisableImageBlockPublicAccess"))
def test_images_are_not_shared_with_all_by_default(cloud: Server) -> None:
    client = cloud.client("ec2")
    image = new_image(cloud, "facts-public")
    everybody = {"Add": [{"Group": "all"}]}

    assert client.get_image_block_public_access_state()["ImageBlockPublicAccessState"] == "block-new-sharing"
    with refused("OperationNotPermitted", text="DisableImageBlockPublicAccess"):
        client.modify_image_attribute(ImageId=image, LaunchPermission=everybody)
    assert describe(cloud, image)["Public"] is False

    client.disable_image_block_public_access()
    client.modify_image_attribute(ImageId=image, LaunchPermission=everybody)
    assert describe(cloud, image)["Public"] is True
    client.enable_image_block_public_access(ImageBlockPublicAccessState="block-new-sharing")


@pytest.mark.fact(
    "An image is shared with accounts, organizations and their units, several at once", ec2("ModifyImageAttribute")
)
@pytest.mark.fact("ResetImageAttribute ends all sharing", ec2("ResetImageAttribute"))
def test_an_image_is_shared_with_several_at_once(cloud: Server) -> None:
    client = cloud.client("ec2")
    image = new_image(cloud, "facts-shared")
    arns = [f"arn:aws:organizations::123456789012:organization/o-{letter}" for letter in "ab"]
    unit = "arn:aws:organizations::123456789012:ou/o-a/ou-a-b"
    client.modify_image_attribute(
        ImageId=image, Attribute="launchPermission", OperationType="add", UserIds=[OTHER, "111122223333"],
        OrganizationArns=arns, OrganizationalUnitArns=[unit],
    )  # fmt: skip

    def shared() -> list[dict[str, str]]:
        found = client.describe_image_attribute(ImageId=image, Attribute="launchPermission")
        return list(found["LaunchPermissions"])

    assert len(shared()) == 5
    assert {"OrganizationArn": arns[1]} in shared()
    assert {"OrganizationalUnitArn": unit} in shared()
    client.modify_image_attribute(ImageId=image, LaunchPermission={"Remove": [{"OrganizationArn": arns[0]}]})
    assert len(shared()) == 4
    client.reset_image_attribute(ImageId=image, Attribute="launchPermission")
    assert shared() == []


@pytest.mark.fact("An image cannot be shared with what is no account", EC2_ERRORS)
def test_sharing_with_a_malformed_account_is_refused(cloud: Server) -> None:
    image = new_image(cloud, "facts-no-account")
    with refused("InvalidAMIAttributeItemValue"):
        cloud.client("ec2").modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": "1234"}]})


@pytest.mark.fact("The description of an image can be changed", ec2("ModifyImageAttribute"))
def test_the_description_can_be_changed(cloud: Server) -> None:
    image = new_image(cloud, "facts-described", Description="before")

    cloud.client("ec2").modify_image_attribute(ImageId=image, Description={"Value": "after"})

    assert describe(cloud, image)["Description"] == "after"


@pytest.mark.fact("An image of a terminated instance cannot be made", EC2_ERRORS)
def test_a_terminated_instance_has_no_image(cloud: Server) -> None:
    client = cloud.client("ec2")
    instance = cloud.launch()
    client.terminate_instances(InstanceIds=[instance])
    cloud.wait_for_state(instance, "terminated")

    with refused("IncorrectInstanceState"):
        client.create_image(InstanceId=instance, Name="facts-of-the-dead")


@pytest.mark.fact("The root volume of an image is deleted with its instances", ec2("EbsBlockDevice"))
def test_the_root_of_an_image_goes_with_its_instances(cloud: Server) -> None:
    assert describe(cloud, new_image(cloud, "facts-root"))["BlockDeviceMappings"][0]["Ebs"]["DeleteOnTermination"]


@pytest.mark.fact("An account launches an image that is shared with it", ec2_guide("sharingamis-explicit"))
@pytest.mark.fact(
    "ExecutableUsers=self lists what is shared with the account, and nothing public", ec2("DescribeImages")
)
@pytest.mark.fact("A shared image comes without its owner's tags", ec2_guide("sharingamis-explicit"))
@pytest.mark.fact("Copying a shared image takes a permission for its snapshot, too", ec2_guide("CopyingAMIs"))
@pytest.mark.fact("CopyImageTags copies the account's own tags of a shared image", ec2("CopyImage"))
def test_another_account_uses_a_shared_image(cloud: Server) -> None:
    client, other = cloud.client("ec2"), cloud.client_of(OTHER, "ec2")
    tags = [{"ResourceType": "image", "Tags": [{"Key": "kind", "Value": "app-image"}]}]
    image = new_image(cloud, "facts-shared-with-one", TagSpecifications=tags)
    request = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    copy = {"SourceImageId": image, "SourceRegion": REGION, "Name": "facts-of-theirs"}
    with refused("InvalidAMIID.NotFound"):
        other.run_instances(**request)

    client.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": OTHER}]})

    assert other.run_instances(**request)["Instances"][0]["ImageId"] == image
    (seen,) = other.describe_images(ExecutableUsers=["self"])["Images"]
    assert (seen["ImageId"], seen["OwnerId"], seen.get("Tags", [])) == (image, "123456789012", [])
    assert image not in [each["ImageId"] for each in other.describe_images(Owners=["self"])["Images"]]
    with refused("InvalidRequest", text="permission to access the storage of this ami"):
        other.copy_image(**copy)
    snapshot = root_snapshot(describe(cloud, image))
    client.modify_snapshot_attribute(SnapshotId=snapshot, OperationType="add", UserIds=[OTHER])
    other.create_tags(Resources=[image], Tags=[{"Key": "ours", "Value": "1"}])
    copied = other.copy_image(**copy, CopyImageTags=True)["ImageId"]
    assert other.describe_images(ImageIds=[copied])["Images"][0]["Tags"] == [{"Key": "ours", "Value": "1"}]


@pytest.mark.fact("A protected image cannot be deregistered", ec2("EnableImageDeregistrationProtection"))
def test_a_protected_image_stays(cloud: Server) -> None:
    """AWS does not document the error's code."""
    client = cloud.client("ec2")
    image = new_image(cloud, "facts-protected")
    client.enable_image_deregistration_protection(ImageId=image)

    assert describe(cloud, image)["DeregistrationProtection"] == "enabled-without-cooldown"
    with pytest.raises(ClientError):
        client.deregister_image(ImageId=image)
    client.disable_image_deregistration_protection(ImageId=image)
    client.deregister_image(ImageId=image)
