"""Facts of EC2: ids that are malformed or unknown, and dry runs."""

from typing import Any

import pytest

from tests.fidelity.refusals import refused
from tests.fidelity.sources import EC2_ERRORS, ec2
from tests.localcloud.server_support import Server

SERVICE = "EC2"
UNKNOWN = "0123456789abcdef0"
NAMED = [
    ("describe_instances", {"InstanceIds": ["i-{}"]}, "InvalidInstanceID"),
    ("terminate_instances", {"InstanceIds": ["i-{}"]}, "InvalidInstanceID"),
    ("describe_instance_status", {"InstanceIds": ["i-{}"]}, "InvalidInstanceID"),
    ("create_image", {"InstanceId": "i-{}", "Name": "of-nothing"}, "InvalidInstanceID"),
    ("describe_images", {"ImageIds": ["ami-{}"]}, "InvalidAMIID"),
    ("deregister_image", {"ImageId": "ami-{}"}, "InvalidAMIID"),
    ("describe_image_attribute", {"ImageId": "ami-{}", "Attribute": "launchPermission"}, "InvalidAMIID"),
    ("describe_volumes", {"VolumeIds": ["vol-{}"]}, "InvalidVolume"),
    ("delete_snapshot", {"SnapshotId": "snap-{}"}, "InvalidSnapshot"),
    ("describe_snapshots", {"SnapshotIds": ["snap-{}"]}, "InvalidSnapshot"),
    ("describe_subnets", {"SubnetIds": ["subnet-{}"]}, "InvalidSubnetID"),
    ("delete_security_group", {"GroupId": "sg-{}"}, "InvalidGroup"),
    ("describe_launch_template_versions", {"LaunchTemplateId": "lt-{}"}, "InvalidLaunchTemplateId"),
    ("describe_launch_templates", {"LaunchTemplateIds": ["lt-{}"]}, "InvalidLaunchTemplateId"),
    ("delete_launch_template", {"LaunchTemplateId": "lt-{}"}, "InvalidLaunchTemplateId"),
    ("modify_launch_template", {"LaunchTemplateId": "lt-{}", "DefaultVersion": "1"}, "InvalidLaunchTemplateId"),
    ("describe_network_interfaces", {"NetworkInterfaceIds": ["eni-{}"]}, "InvalidNetworkInterfaceID"),
]
"""Calls, with a place for the id's digits; and how the codes of their errors begin."""
MALFORMED = {
    "InvalidVolume": "InvalidVolumeID",
    "InvalidSnapshot": "InvalidSnapshotID",
    "InvalidGroup": "InvalidGroupId",
    "InvalidNetworkInterfaceID": "InvalidNetworkInterfaceId",
}
"""How they begin for malformed ids, where that differs."""


def call(cloud: Server, action: str, parameters: dict[str, Any], digits: str) -> None:
    """Make one of the calls with an id of those digits."""
    filled = {
        name: [each.format(digits) for each in value] if isinstance(value, list) else value.format(digits)
        for name, value in parameters.items()
    }
    getattr(cloud.client("ec2"), action)(**filled)


@pytest.mark.parametrize(
    ("action", "parameters", "code"),
    [
        pytest.param(*each, id=each[0], marks=pytest.mark.fact(f"{title} of an unknown id is refused", EC2_ERRORS))
        for each in NAMED
        for title in ["".join(word.title() for word in each[0].split("_"))]
    ],
)
def test_an_unknown_id_is_not_found(cloud: Server, action: str, parameters: dict[str, Any], code: str) -> None:
    with refused(f"{code}.NotFound"):
        call(cloud, action, parameters, UNKNOWN)


@pytest.mark.fact("An id that is no id is malformed, which is another error than not found", EC2_ERRORS)
@pytest.mark.parametrize("digits", ["1", "xyz", "0123456789abcdef01"])
def test_a_malformed_id_is_refused_as_such(cloud: Server, digits: str) -> None:
    for action, parameters, code in NAMED:
        with refused(f"{MALFORMED.get(code, code)}.Malformed"):
            call(cloud, action, parameters, digits)


@pytest.mark.fact("A launch template that is named is not found by another error than one by id", EC2_ERRORS)
@pytest.mark.parametrize("action", ["delete_launch_template", "describe_launch_template_versions"])
def test_an_unknown_template_name_is_not_found(cloud: Server, action: str) -> None:
    with refused("InvalidLaunchTemplateName.NotFoundException"):
        getattr(cloud.client("ec2"), action)(LaunchTemplateName="no-such-template")


@pytest.mark.fact("A dry run that would succeed is answered with DryRunOperation", ec2("RunInstances"))
@pytest.mark.fact("A dry run changes nothing", ec2("RunInstances"))
def test_a_dry_run_changes_nothing(cloud: Server) -> None:
    client = cloud.client("ec2")
    instance = cloud.launch_running()["InstanceId"]
    before = len(client.describe_instances()["Reservations"])

    for attempt in (
        lambda: client.run_instances(ImageId=cloud.seed_image(), MinCount=1, MaxCount=1, DryRun=True),
        lambda: client.terminate_instances(InstanceIds=[instance], DryRun=True),
        lambda: client.describe_instance_status(DryRun=True),
    ):
        with refused("DryRunOperation", 412, "Request would have succeeded, but DryRun flag is set."):
            attempt()

    assert len(client.describe_instances()["Reservations"]) == before
    assert cloud.instance(instance)["State"]["Name"] == "running"


@pytest.mark.fact("A dry run of a malformed request is refused as the request is", ec2("RunInstances"))
def test_a_dry_run_of_a_malformed_request_is_refused(cloud: Server) -> None:
    with refused("InvalidAMIID.Malformed"):
        cloud.client("ec2").run_instances(ImageId="ami-1", MinCount=1, MaxCount=1, DryRun=True)
