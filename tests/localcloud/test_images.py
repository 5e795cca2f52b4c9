"""Images keep an instance's disk, and what is launched from them runs it."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.engine import list_images
from tests.localcloud.server_support import Server, wait_until

pytestmark = pytest.mark.engine


def create_image(server: Server, instance_id: str, name: str, **arguments: Any) -> str:
    """Begin to make an image and return its id."""
    return str(server.client("ec2").create_image(InstanceId=instance_id, Name=name, **arguments)["ImageId"])


def describe_image(server: Server, image_id: str) -> dict[str, Any]:
    """Describe one image."""
    return dict(server.client("ec2").describe_images(ImageIds=[image_id])["Images"][0])


def wait_for_image(server: Server, image_id: str) -> dict[str, Any]:
    """Wait until the image is available, and describe it."""
    wait_until(lambda: describe_image(server, image_id)["State"] == "available", f"{image_id} available")
    return describe_image(server, image_id)


def test_the_seed_image_is_published_as_debians_own(server: Server) -> None:
    """A pipeline finds its first image as on AWS: by Debian's public parameter, its account and name."""
    image = describe_image(server, server.seed_image())
    found = server.client("ec2").describe_images(
        Owners=["136693071363"], Filters=[{"Name": "name", "Values": ["debian-12-amd64-*"]}]
    )["Images"]

    assert [other["ImageId"] for other in found] == [image["ImageId"]]
    assert (image["State"], image["RootDeviceType"], image["Architecture"]) == ("available", "ebs", "x86_64")


def test_an_image_of_a_stopped_instance_holds_its_disk(server: Server) -> None:
    """The way Packer does it: stop, image, terminate, and launch the image."""
    ec2 = server.client("ec2")
    source = server.launch_running()["InstanceId"]
    server.command(source, "echo baked >/opt/marker")
    ec2.stop_instances(InstanceIds=[source])
    server.wait_for_state(source, "stopped")
    image = wait_for_image(server, create_image(server, source, "stopped-source"))
    ec2.terminate_instances(InstanceIds=[source])

    copy = server.launch_running(ImageId=image["ImageId"])["InstanceId"]

    assert server.command(copy, "cat /opt/marker")["StandardOutputContent"] == "baked\n"


def test_an_image_of_an_image_holds_both_layers(server: Server) -> None:
    layers = server.seed_image()
    for layer in ("base", "app"):
        source = server.launch_running(ImageId=layers)["InstanceId"]
        server.command(source, f"echo {layer} >>/opt/layers")
        layers = wait_for_image(server, create_image(server, source, f"layer-{layer}", NoReboot=True))["ImageId"]

    last = server.launch_running(ImageId=layers)["InstanceId"]

    assert server.command(last, "cat /opt/layers")["StandardOutputContent"].split() == ["base", "app"]


def test_each_instance_of_an_image_has_host_keys_of_its_own(server: Server) -> None:
    """A baked image must not carry its builder's identity into every instance."""
    source = server.launch_running()["InstanceId"]
    image_id = wait_for_image(server, create_image(server, source, "identity", NoReboot=True))["ImageId"]
    copies = [server.launch(ImageId=image_id) for _ in range(2)]

    keys = set()
    for instance_id in [source, *copies]:
        server.wait_for_state(instance_id, "running")
        keys.add(server.command(instance_id, "cat /etc/ssh/ssh_host_ed25519_key.pub")["StandardOutputContent"])

    assert len(keys) == 3


@pytest.mark.parametrize("no_reboot", [False, True], ids=["reboot", "no reboot"])
def test_a_running_instance_is_rebooted_for_its_image_unless_no_reboot_is_set(server: Server, no_reboot: bool) -> None:
    """AWS shuts the instance down so that its disk is at rest; either way it runs afterwards."""
    source = server.launch_running()["InstanceId"]
    before = server.command(source, "cat /proc/sys/kernel/random/uuid >/run/this-boot; cat /run/this-boot")
    assert before["Status"] == "Success", before

    wait_for_image(server, create_image(server, source, f"running-{no_reboot}", NoReboot=no_reboot))

    assert server.instance(source)["State"]["Name"] == "running"
    after = server.command(source, "cat /run/this-boot")
    assert (after["StandardOutputContent"] == before["StandardOutputContent"]) == no_reboot


def test_tags_go_to_the_image_and_its_snapshots(server: Server) -> None:
    source = server.launch_running()["InstanceId"]
    specifications = [
        {"ResourceType": "image", "Tags": [{"Key": "rebake:kind", "Value": "app-image"}]},
        {"ResourceType": "snapshot", "Tags": [{"Key": "rebake:fingerprint", "Value": "abc"}]},
    ]
    image = wait_for_image(
        server, create_image(server, source, "tagged", TagSpecifications=specifications, NoReboot=True)
    )

    snapshot_id = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    snapshot = server.client("ec2").describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]

    assert image["Tags"] == [{"Key": "rebake:kind", "Value": "app-image"}]
    assert snapshot["Tags"] == [{"Key": "rebake:fingerprint", "Value": "abc"}]
    assert snapshot["State"] == "completed"


def test_an_image_registered_to_require_imds_v2_reports_it(server: Server) -> None:
    """There is no way back from v2.0, and there is no other value, as at AWS."""
    ec2 = server.client("ec2")
    source = server.launch_running()["InstanceId"]
    image_id = wait_for_image(server, create_image(server, source, "imds", NoReboot=True))["ImageId"]
    assert "ImdsSupport" not in describe_image(server, image_id)

    ec2.modify_image_attribute(ImageId=image_id, ImdsSupport={"Value": "v2.0"})

    assert describe_image(server, image_id)["ImdsSupport"] == "v2.0"
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        ec2.modify_image_attribute(ImageId=image_id, Attribute="imdsSupport", Value="v1.0")


def test_deregistering_frees_the_snapshot_and_deleting_that_removes_the_engines_image(server: Server) -> None:
    """The snapshot cannot go before the image, as at AWS, and nothing is left after both went."""
    ec2 = server.client("ec2")
    source = server.launch_running()["InstanceId"]
    image = wait_for_image(server, create_image(server, source, "short-lived", NoReboot=True))
    snapshot_id = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    reference = f"localhost/rebake-{server.name}:{image['ImageId']}"
    assert reference in server.images()

    with pytest.raises(ClientError, match=r"InvalidSnapshot\.InUse"):
        ec2.delete_snapshot(SnapshotId=snapshot_id)
    ec2.deregister_image(ImageId=image["ImageId"])
    assert reference in server.images()
    ec2.delete_snapshot(SnapshotId=snapshot_id)

    wait_until(lambda: reference not in server.images(), f"{reference} removed")


def test_a_snapshot_of_a_running_instance_boots_once_registered(server: Server) -> None:
    """It outlives the instance, and the image by which the instance was launched."""
    ec2 = server.client("ec2")
    source = server.launch_running()
    server.command(source["InstanceId"], "echo kept >/opt/marker; sync")
    volume = source["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig={"Delay": 1})
    ec2.terminate_instances(InstanceIds=[source["InstanceId"]])

    registered = ec2.register_image(
        Name="registered", Architecture="x86_64", RootDeviceName="/dev/xvda",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}],
    )["ImageId"]  # fmt: skip

    copy = server.launch_running(ImageId=registered)["InstanceId"]
    assert server.command(copy, "cat /opt/marker")["StandardOutputContent"] == "kept\n"


def test_an_image_in_use_is_removed_with_its_last_instance(server: Server) -> None:
    ec2 = server.client("ec2")
    source = server.launch_running()["InstanceId"]
    image_id = wait_for_image(server, create_image(server, source, "in-use", NoReboot=True))["ImageId"]
    user = server.launch_running(ImageId=image_id)["InstanceId"]
    reference = f"localhost/rebake-{server.name}:{image_id}"

    ec2.deregister_image(ImageId=image_id, DeleteAssociatedSnapshots=True)
    still_works = server.command(user, "true")["Status"]
    ec2.terminate_instances(InstanceIds=[user])
    server.wait_for_state(user, "terminated")

    assert still_works == "Success"
    wait_until(lambda: reference not in server.images(), f"{reference} removed")


def test_a_base_image_can_go_before_the_image_made_from_it(server: Server, engine: Any) -> None:
    """Retiring an old base leaves the applications on it alone, and nothing is left once both are gone."""
    ec2 = server.client("ec2")
    label = {"label": [f"rebake.localcloud={server.name}"]}
    before = {image["Id"] for image in list_images(engine, label)}
    source = server.launch_running()["InstanceId"]
    base = wait_for_image(server, create_image(server, source, "old-base", NoReboot=True))["ImageId"]
    builder = server.launch_running(ImageId=base)["InstanceId"]
    app = wait_for_image(server, create_image(server, builder, "app-on-old-base", NoReboot=True))["ImageId"]
    ec2.terminate_instances(InstanceIds=[source, builder])
    server.wait_for_state(builder, "terminated")

    ec2.deregister_image(ImageId=base, DeleteAssociatedSnapshots=True)
    user = server.launch_running(ImageId=app)["InstanceId"]
    ec2.terminate_instances(InstanceIds=[user])
    server.wait_for_state(user, "terminated")
    ec2.deregister_image(ImageId=app, DeleteAssociatedSnapshots=True)

    wait_until(lambda: {image["Id"] for image in list_images(engine, label)} <= before, "both images removed")


def test_a_second_image_of_the_same_name_is_refused(server: Server) -> None:
    source = server.launch_running()["InstanceId"]
    first = create_image(server, source, "unique", NoReboot=True)

    with pytest.raises(ClientError, match=rf"InvalidAMIName\.Duplicate.*{first}"):
        create_image(server, source, "unique", NoReboot=True)


def test_a_pending_image_cannot_be_launched(server: Server) -> None:
    source = server.launch_running()["InstanceId"]
    image_id = create_image(server, source, "not-yet")  # which takes as long as a reboot

    with pytest.raises(ClientError, match=r"InvalidAMIID\.Unavailable"):
        server.launch(ImageId=image_id)

    wait_for_image(server, image_id)


def test_an_image_that_cannot_boot_ends_terminated_with_the_reason(server: Server) -> None:
    source = server.launch_running()["InstanceId"]
    server.command(source, "ln -sf /bin/false /sbin/init")
    image_id = wait_for_image(server, create_image(server, source, "broken-init", NoReboot=True))["ImageId"]

    gone = server.wait_for_state(server.launch(ImageId=image_id), "terminated")

    assert gone["StateReason"]["Code"] == "Server.InternalError"
    assert "exited while it booted" in gone["StateReason"]["Message"]
