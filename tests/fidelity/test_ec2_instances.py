"""Facts of EC2: launching, describing and terminating instances."""

import base64
from typing import Any

import pytest

from tests.fidelity.cases import case
from tests.fidelity.refusals import refused
from tests.fidelity.sources import EC2_ERRORS, EC2_IDEMPOTENCY, ec2, ec2_guide, report
from tests.localcloud.server_support import SEED_PARAMETER, Server

SERVICE = "EC2"
UNKNOWN = "0123456789abcdef0"
UNKNOWN_GROUP = "RunInstances refuses an unknown security group, by id and by name"


def launch(cloud: Server, **arguments: Any) -> list[dict[str, Any]]:
    """Launch instances of the seed image, one unless the arguments say otherwise, and return them."""
    request = {"ImageId": cloud.seed_image(), "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, **arguments}
    return list(cloud.client("ec2").run_instances(**request)["Instances"])


def subnet_id(cloud: Server) -> str:
    """Return the default subnet of the first zone."""
    return str(cloud.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"])


@pytest.mark.fact("DescribeInstanceStatus names each instance", ec2("InstanceStatus"))
def test_instance_status_names_the_instance(cloud: Server) -> None:
    instance = cloud.launch_running()["InstanceId"]

    (status,) = cloud.client("ec2").describe_instance_status(InstanceIds=[instance])["InstanceStatuses"]

    assert status["InstanceId"] == instance


@pytest.mark.fact(
    "DescribeInstanceStatus returns running instances, others with IncludeAllInstances",
    ec2("DescribeInstanceStatus"),
)
def test_instance_status_leaves_out_stopped_instances(cloud: Server) -> None:
    client = cloud.client("ec2")
    instance = cloud.launch()
    client.stop_instances(InstanceIds=[instance])
    cloud.wait_for_state(instance, "stopped")

    running = client.describe_instance_status(InstanceIds=[instance])["InstanceStatuses"]
    every = client.describe_instance_status(InstanceIds=[instance], IncludeAllInstances=True)["InstanceStatuses"]

    assert running == []
    assert every[0]["InstanceState"]["Name"] == "stopped"


@pytest.mark.fact("RunInstances launches MaxCount instances where there is capacity", ec2("RunInstances"))
def test_max_count_instances_are_launched(cloud: Server) -> None:
    assert len(launch(cloud, MinCount=1, MaxCount=3)) == 3


@pytest.mark.fact("MinCount may not be above MaxCount", ec2("RunInstances"))
@pytest.mark.fact("MinCount and MaxCount are at least 1", ec2("RunInstances"))
def test_impossible_counts_are_refused(cloud: Server) -> None:
    with refused("InvalidParameterValue"):
        launch(cloud, MinCount=2, MaxCount=1)
    with refused("InvalidParameterValue", text="Maximum instance count must be greater than zero"):
        launch(cloud, MinCount=1, MaxCount=0)


@pytest.mark.fact("User data is limited to 16,384 bytes before it is encoded", ec2_guide("user-data"))
def test_too_much_user_data_is_refused(cloud: Server) -> None:
    launch(cloud, UserData="#" * 16_384)
    with refused("InvalidParameterValue", text="User data is limited to 16384 bytes"):
        launch(cloud, UserData="#" * 16_385)


@pytest.mark.fact("RunInstances refuses an instance type that does not exist", ec2("RunInstances"))
def test_unknown_instance_types_are_refused(cloud: Server) -> None:
    with refused("InvalidParameterValue", text="t9.huge"):
        launch(cloud, InstanceType="t9.huge")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        case("RunInstances refuses an unknown key pair", EC2_ERRORS, {"KeyName": "none"}, "InvalidKeyPair.NotFound"),
        case(
            "RunInstances refuses an unknown subnet",
            EC2_ERRORS,
            {"SubnetId": f"subnet-{UNKNOWN}"},
            "InvalidSubnetID.NotFound",
        ),
        case(UNKNOWN_GROUP, EC2_ERRORS, {"SecurityGroupIds": [f"sg-{UNKNOWN}"]}, "InvalidGroup.NotFound"),
        case(UNKNOWN_GROUP, EC2_ERRORS, {"SecurityGroups": ["no-such-group"]}, "InvalidGroup.NotFound"),
        case(
            "RunInstances refuses an unknown image", EC2_ERRORS, {"ImageId": f"ami-{UNKNOWN}"}, "InvalidAMIID.NotFound"
        ),
        case(
            "RunInstances refuses an unknown network interface",
            EC2_ERRORS,
            {"NetworkInterfaces": [{"DeviceIndex": 0, "NetworkInterfaceId": f"eni-{UNKNOWN}"}]},
            "InvalidNetworkInterfaceID.NotFound",
        ),
    ],
)
def test_a_launch_with_something_unknown_is_refused(cloud: Server, arguments: dict[str, Any], code: str) -> None:
    with refused(code):
        launch(cloud, **arguments)


@pytest.mark.fact("A refused launch leaves nothing behind", ec2("RunInstances"))
def test_a_refused_launch_makes_no_interface(cloud: Server) -> None:
    client = cloud.client("ec2")
    before = len(client.describe_network_interfaces()["NetworkInterfaces"])

    with refused("InvalidGroup.NotFound"):
        launch(cloud, SecurityGroupIds=[f"sg-{UNKNOWN}"])

    assert len(client.describe_network_interfaces()["NetworkInterfaces"]) == before


@pytest.mark.fact("RunInstances again with the same client token returns the same instances", EC2_IDEMPOTENCY)
@pytest.mark.fact("A client token with other parameters is refused", EC2_IDEMPOTENCY)
def test_a_client_token_launches_once(cloud: Server) -> None:
    first = launch(cloud, ClientToken="launch-once")
    again = launch(cloud, ClientToken="launch-once")

    assert [each["InstanceId"] for each in again] == [each["InstanceId"] for each in first]
    with refused("IdempotentParameterMismatch"):
        launch(cloud, ClientToken="launch-once", InstanceType="t3.nano")


@pytest.mark.fact("A client token whose instances are terminated is refused", EC2_ERRORS)
def test_a_client_token_of_terminated_instances_is_refused(cloud: Server) -> None:
    (instance,) = launch(cloud, ClientToken="launch-and-end")
    cloud.client("ec2").terminate_instances(InstanceIds=[instance["InstanceId"]])
    cloud.wait_for_state(instance["InstanceId"], "terminated")

    with refused("IdempotentInstanceTerminated"):
        launch(cloud, ClientToken="launch-and-end")


@pytest.mark.fact("CreateVolume again with the same client token returns the same volume", EC2_IDEMPOTENCY)
def test_a_client_token_makes_one_volume(cloud: Server) -> None:
    client = cloud.client("ec2")
    request = {"AvailabilityZone": "eu-west-1a", "Size": 8, "ClientToken": "volume-once"}

    assert client.create_volume(**request)["VolumeId"] == client.create_volume(**request)["VolumeId"]
    with refused("IdempotentParameterMismatch"):
        client.create_volume(**{**request, "Size": 9})


@pytest.mark.fact(
    "An instance with termination protection is not terminated", ec2_guide("Using_ChangingDisableAPITermination")
)
@pytest.mark.fact("Termination protection is an attribute that can be changed", ec2("ModifyInstanceAttribute"))
@pytest.mark.fact("Other instances in the zone of a protected one are not terminated either", ec2("TerminateInstances"))
def test_termination_protection(cloud: Server) -> None:
    client = cloud.client("ec2")
    (protected,) = launch(cloud, DisableApiTermination=True)
    neighbour = cloud.launch()
    protected_id = protected["InstanceId"]

    with refused("OperationNotPermitted", text="disableApiTermination"):
        client.terminate_instances(InstanceIds=[neighbour, protected_id])
    assert cloud.instance(neighbour)["State"]["Name"] in {"pending", "running"}
    attribute = client.describe_instance_attribute(InstanceId=protected_id, Attribute="disableApiTermination")
    assert attribute["DisableApiTermination"] == {"Value": True}

    client.modify_instance_attribute(InstanceId=protected_id, Attribute="disableApiTermination", Value="false")
    client.terminate_instances(InstanceIds=[neighbour, protected_id])
    cloud.wait_for_state(protected_id, "terminated")


@pytest.mark.fact("Terminating twice is no error", ec2("TerminateInstances"))
def test_terminating_twice_is_no_error(cloud: Server) -> None:
    client = cloud.client("ec2")
    instance = cloud.launch()
    client.terminate_instances(InstanceIds=[instance])
    cloud.wait_for_state(instance, "terminated")

    (again,) = client.terminate_instances(InstanceIds=[instance])["TerminatingInstances"]

    assert again["PreviousState"]["Name"] == "terminated"


@pytest.mark.fact("User data and type are changed only while the instance is stopped", ec2("ModifyInstanceAttribute"))
def test_the_type_of_a_running_instance_cannot_be_changed(cloud: Server) -> None:
    client = cloud.client("ec2")
    instance = cloud.launch_running()["InstanceId"]
    with refused("IncorrectInstanceState"):
        client.modify_instance_attribute(InstanceId=instance, InstanceType={"Value": "t3.nano"})
    client.stop_instances(InstanceIds=[instance])
    cloud.wait_for_state(instance, "stopped")

    client.modify_instance_attribute(InstanceId=instance, InstanceType={"Value": "t3.nano"})

    assert cloud.instance(instance)["InstanceType"] == "t3.nano"


@pytest.mark.fact("The shutdown behaviour can be changed, and the groups stay", ec2("ModifyInstanceAttribute"))
def test_the_shutdown_behavior_can_be_changed(cloud: Server) -> None:
    client = cloud.client("ec2")
    instance = cloud.launch()
    groups = cloud.instance(instance)["SecurityGroups"]

    client.modify_instance_attribute(InstanceId=instance, InstanceInitiatedShutdownBehavior={"Value": "terminate"})

    attribute = client.describe_instance_attribute(InstanceId=instance, Attribute="instanceInitiatedShutdownBehavior")
    assert attribute["InstanceInitiatedShutdownBehavior"] == {"Value": "terminate"}
    assert cloud.instance(instance)["SecurityGroups"] == groups


@pytest.mark.fact(
    "An interface that exists before the launch stays, available, after termination", ec2_guide("using-eni")
)
@pytest.mark.fact("An attached interface cannot be deleted", ec2("DeleteNetworkInterface"))
@pytest.mark.fact("An attached interface cannot be given to a second instance", EC2_ERRORS)
def test_an_interface_outlives_its_instance(cloud: Server) -> None:
    client = cloud.client("ec2")
    interface = client.create_network_interface(SubnetId=subnet_id(cloud))["NetworkInterface"]["NetworkInterfaceId"]
    given = [{"DeviceIndex": 0, "NetworkInterfaceId": interface}]
    (instance,) = launch(cloud, NetworkInterfaces=given)
    cloud.wait_for_state(instance["InstanceId"], "running")

    with refused("InvalidParameterValue", text="currently in use"):
        client.delete_network_interface(NetworkInterfaceId=interface)
    with refused("InvalidNetworkInterface.InUse"):
        launch(cloud, NetworkInterfaces=given)
    client.terminate_instances(InstanceIds=[instance["InstanceId"]])
    ended = cloud.wait_for_state(instance["InstanceId"], "terminated")

    (left,) = client.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
    assert left["Status"] == "available"
    assert "Attachment" not in left
    assert ended["NetworkInterfaces"] == []
    client.delete_network_interface(NetworkInterfaceId=interface)


@pytest.mark.parametrize(
    "given",
    [
        case("A new interface goes with its instance otherwise", ec2_guide("using-eni"), {}),
        case(
            "A new interface with DeleteOnTermination=False stays, available",
            ec2("InstanceNetworkInterfaceSpecification"),
            {"DeleteOnTermination": False},
        ),
    ],
)
def test_a_new_interface_stays_if_requested(cloud: Server, given: dict[str, bool]) -> None:
    client = cloud.client("ec2")
    (instance,) = launch(cloud, NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet_id(cloud), **given}])
    interface = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    client.terminate_instances(InstanceIds=[instance["InstanceId"]])
    cloud.wait_for_state(instance["InstanceId"], "terminated")

    found = client.describe_network_interfaces(Filters=[{"Name": "network-interface-id", "Values": [interface]}])

    assert [each["Status"] for each in found["NetworkInterfaces"]] == (["available"] if given else [])


@pytest.mark.fact("The root volume is at the image's root device, made from its snapshot", ec2("RunInstances"))
@pytest.mark.fact("The root volume goes with its instance unless the launch sets otherwise", ec2("EbsBlockDevice"))
@pytest.mark.parametrize("kept", [False, True], ids=["by default", "kept"])
def test_the_root_volume_stays_if_requested(cloud: Server, kept: bool) -> None:
    client = cloud.client("ec2")
    image = client.describe_images(ImageIds=[cloud.seed_image()])["Images"][0]
    root = image["RootDeviceName"]
    mappings = [{"DeviceName": root, "Ebs": {"DeleteOnTermination": False}}] if kept else []
    (instance,) = launch(cloud, BlockDeviceMappings=mappings)
    (device,) = cloud.instance(instance["InstanceId"])["BlockDeviceMappings"]
    volume = client.describe_volumes(VolumeIds=[device["Ebs"]["VolumeId"]])["Volumes"][0]
    client.terminate_instances(InstanceIds=[instance["InstanceId"]])
    cloud.wait_for_state(instance["InstanceId"], "terminated")

    left = client.describe_volumes(Filters=[{"Name": "volume-id", "Values": [volume["VolumeId"]]}])["Volumes"]

    assert device["DeviceName"] == root
    assert volume["SnapshotId"] == image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert [each["State"] for each in left] == (["available"] if kept else [])


@pytest.mark.fact("A volume may not be smaller than its snapshot", ec2("EbsBlockDevice"))
def test_a_root_volume_below_the_snapshots_size_is_refused(cloud: Server) -> None:
    root = cloud.client("ec2").describe_images(ImageIds=[cloud.seed_image()])["Images"][0]["RootDeviceName"]
    with refused("InvalidBlockDeviceMapping"):
        launch(cloud, BlockDeviceMappings=[{"DeviceName": root, "Ebs": {"VolumeSize": 1}}])


@pytest.mark.fact(
    "RunInstances looks an image up that is named by a parameter",
    ec2_guide("using-systems-manager-parameter-to-find-AMI"),
)
@pytest.mark.fact(
    "A parameter that does not exist, or is not for images, names no image",
    ec2_guide("using-systems-manager-parameter-to-find-AMI"),
)
def test_an_image_by_parameter(cloud: Server) -> None:
    cloud.client("ssm").put_parameter(Name="/facts/text", Value=cloud.seed_image(), Type="String")
    (instance,) = launch(cloud, ImageId=f"resolve:ssm:{SEED_PARAMETER}")

    assert instance["ImageId"] == cloud.seed_image()
    for name in ("/facts/no-such", "/facts/text"):
        with refused("SsmInvalidParameter"):
            launch(cloud, ImageId=f"resolve:ssm:{name}")


@pytest.mark.fact("DescribeInstances is refused when one of several ids is unknown", EC2_ERRORS)
def test_one_unknown_instance_among_others_is_refused(cloud: Server) -> None:
    known = cloud.launch()
    with refused("InvalidInstanceID.NotFound", text=f"i-{UNKNOWN}"):
        cloud.client("ec2").describe_instances(InstanceIds=[known, f"i-{UNKNOWN}"])


@pytest.mark.fact("DescribeInstances returns an instance once that is named twice", ec2("DescribeInstances"))
def test_an_instance_named_twice_is_described_once(cloud: Server) -> None:
    known = cloud.launch()
    found = cloud.client("ec2").describe_instances(InstanceIds=[known, known])["Reservations"]

    assert [each["InstanceId"] for reservation in found for each in reservation["Instances"]] == [known]


@pytest.mark.fact("A terminated instance can be neither started nor stopped", EC2_ERRORS)
def test_a_terminated_instance_cannot_be_started(cloud: Server) -> None:
    client = cloud.client("ec2")
    instance = cloud.launch()
    client.terminate_instances(InstanceIds=[instance])
    cloud.wait_for_state(instance, "terminated")

    with refused("IncorrectInstanceState"):
        client.start_instances(InstanceIds=[instance])
    with refused("IncorrectInstanceState"):
        client.stop_instances(InstanceIds=[instance])


@pytest.mark.fact("Every instance of a launch gets the instance profile", ec2("RunInstances"))
def test_every_instance_has_the_profile(cloud: Server) -> None:
    cloud.client("iam").create_instance_profile(InstanceProfileName="facts-of-launches")

    launched = launch(cloud, MinCount=2, MaxCount=2, IamInstanceProfile={"Name": "facts-of-launches"})

    for each in launched:
        assert cloud.instance(each["InstanceId"])["IamInstanceProfile"]["Arn"].endswith("/facts-of-launches")


@pytest.mark.parametrize(
    ("profile", "text"),
    [
        pytest.param(
            {"Name": "none"},
            "Value (none) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
            marks=pytest.mark.fact("A launch with an instance profile that does not exist is refused, by its name",
                                   report("hashicorp/terraform-provider-aws", 27516))),
        pytest.param(
            {"Arn": "arn:aws:iam::123456789012:instance-profile/none"},
            "for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN",
            marks=pytest.mark.fact("A launch with an instance profile that does not exist is refused, by its ARN",
                                   report("hashicorp/terraform-provider-aws", 29866))),
    ],
)  # fmt: skip
def test_a_launch_with_an_unknown_profile_is_refused(cloud: Server, profile: dict[str, str], text: str) -> None:
    client = cloud.client("ec2")
    data = {"ImageId": cloud.seed_image(), "InstanceType": "t3.micro", "IamInstanceProfile": profile}
    (kind,) = profile
    created = client.create_launch_template(LaunchTemplateName=f"unknown-profile-{kind}", LaunchTemplateData=data)
    template = {"LaunchTemplateId": created["LaunchTemplate"]["LaunchTemplateId"]}
    before = len(client.describe_instances()["Reservations"])

    with refused("InvalidParameterValue", text=text):
        launch(cloud, IamInstanceProfile=profile)
    with refused("InvalidParameterValue", text=text):
        client.run_instances(LaunchTemplate=template, MinCount=1, MaxCount=1)
    with refused("InvalidParameterValue", text=text):
        client.associate_iam_instance_profile(InstanceId=cloud.launch(), IamInstanceProfile=profile)
    assert len(client.describe_instances()["Reservations"]) == before + 1  # that without a profile


@pytest.mark.fact("An instance profile is named by its name or by its ARN, not by both", report("aws/aws-cli", 8058))
def test_a_profile_is_named_once(cloud: Server) -> None:
    profile = cloud.client("iam").create_instance_profile(InstanceProfileName="named-twice")["InstanceProfile"]

    with refused("InvalidParameterCombination", text="'iamInstanceProfile.name' may not be used in combination with"):
        launch(cloud, IamInstanceProfile={"Name": "named-twice", "Arn": profile["Arn"]})


@pytest.mark.fact("User data is returned as it was given, encoded", ec2("DescribeInstanceAttribute"))
def test_user_data_is_returned_encoded(cloud: Server) -> None:
    (instance,) = launch(cloud, UserData="#!/bin/sh\n")

    found = cloud.client("ec2").describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")

    assert base64.b64decode(found["UserData"]["Value"]) == b"#!/bin/sh\n"
