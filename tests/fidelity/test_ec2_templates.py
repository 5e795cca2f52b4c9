"""Facts of EC2: launch templates."""

import base64
from typing import Any

import pytest

from tests.fidelity.refusals import refused
from tests.fidelity.sources import EC2_ERRORS, EC2_IDEMPOTENCY, ec2, ec2_guide
from tests.localcloud.server_support import SEED_PARAMETER, Server, wait_until

SERVICE = "EC2"
BY_PARAMETER = ec2_guide("create-launch-template")


def new_template(cloud: Server, name: str, data: dict[str, Any], **arguments: Any) -> str:
    """Make a launch template and return its id."""
    made = cloud.client("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data, **arguments)
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


def new_version(cloud: Server, template: str, data: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    """Make a version of a launch template and return it."""
    made = cloud.client("ec2").create_launch_template_version(
        LaunchTemplateId=template, LaunchTemplateData=data, **arguments
    )
    return dict(made["LaunchTemplateVersion"])


def launch(cloud: Server, template: str, version: str = "$Latest", **arguments: Any) -> dict[str, Any]:
    """Launch one instance of a template's version and describe it."""
    reference = {"LaunchTemplateId": template, "Version": version}
    made = cloud.client("ec2").run_instances(LaunchTemplate=reference, MinCount=1, MaxCount=1, **arguments)
    return cloud.instance(made["Instances"][0]["InstanceId"])


def put_image(cloud: Server, name: str, image: str) -> None:
    """Set a parameter for images, and wait until Systems Manager has checked the value."""
    ssm = cloud.client("ssm")
    ssm.put_parameter(Name=name, Value=image, Type="String", DataType="aws:ec2:image", Overwrite=True)

    def is_set() -> bool:
        return [each["Value"] for each in ssm.get_parameters(Names=[name])["Parameters"]] == [image]

    wait_until(is_set, f"{name} is {image}")


@pytest.mark.fact("A template's name has 3 to 128 letters, digits and ()./_-", EC2_ERRORS)
@pytest.mark.parametrize("name", ["x" * 129, "with space", "with:colon"])
def test_malformed_names_are_refused(cloud: Server, name: str) -> None:
    """A name that is too short does not leave boto3."""
    with refused("InvalidLaunchTemplateName.MalformedException"):
        new_template(cloud, name, {"InstanceType": "t3.micro"})


@pytest.mark.fact("A template's name is used once", EC2_ERRORS)
def test_a_name_is_used_once(cloud: Server) -> None:
    new_template(cloud, "facts-once", {"InstanceType": "t3.micro"})
    with refused("InvalidLaunchTemplateName.AlreadyExistsException"):
        new_template(cloud, "facts-once", {"InstanceType": "t3.nano"})


@pytest.mark.fact("CreateLaunchTemplate and its versions heed client tokens", EC2_IDEMPOTENCY)
def test_client_tokens(cloud: Server) -> None:
    data = {"InstanceType": "t3.micro"}
    template = new_template(cloud, "facts-token", data, ClientToken="template-once")
    version = new_version(cloud, template, data, ClientToken="version-once")

    assert new_template(cloud, "facts-token", data, ClientToken="template-once") == template
    again = new_version(cloud, template, data, ClientToken="version-once")
    assert again["VersionNumber"] == version["VersionNumber"] == 2
    with refused("IdempotentParameterMismatch"):
        new_version(cloud, template, {"InstanceType": "t3.nano"}, ClientToken="version-once")


@pytest.mark.fact("A version inherits what it does not set from its SourceVersion", ec2("CreateLaunchTemplateVersion"))
@pytest.mark.fact("A version without SourceVersion has only its own parameters", ec2("CreateLaunchTemplateVersion"))
def test_a_version_made_from_another(cloud: Server) -> None:
    group = cloud.client("ec2").describe_security_groups()["SecurityGroups"][0]["GroupId"]
    user_data = base64.b64encode(b"#!/bin/sh\n").decode()
    data = {
        "ImageId": cloud.seed_image(),
        "InstanceType": "t3.micro",
        "SecurityGroupIds": [group],
        "UserData": user_data,
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "from", "Value": "the source"}]}],
    }
    template = new_template(cloud, "facts-source", data)

    derived = new_version(cloud, template, {"InstanceType": "t3.nano"}, SourceVersion="1")["LaunchTemplateData"]
    instance = launch(cloud, template)
    bare = new_version(cloud, template, {"InstanceType": "t3.nano"})["LaunchTemplateData"]

    assert derived == {**data, "InstanceType": "t3.nano"}
    assert (instance["InstanceType"], instance["ImageId"]) == ("t3.nano", cloud.seed_image())
    assert {"Key": "from", "Value": "the source"} in instance["Tags"]
    assert bare == {"InstanceType": "t3.nano"}


@pytest.mark.fact("A SourceVersion that does not exist is refused", EC2_ERRORS)
@pytest.mark.fact("A launch of a version that does not exist is refused", EC2_ERRORS)
@pytest.mark.fact("The default version may only be one that exists", EC2_ERRORS)
@pytest.mark.parametrize("version", ["9", "latest"])
def test_unknown_versions_are_refused(cloud: Server, version: str) -> None:
    client = cloud.client("ec2")
    template = new_template(cloud, f"facts-unknown-{version}", {"InstanceType": "t3.micro"})
    code = "InvalidLaunchTemplateId.VersionNotFound"

    with refused(code):
        new_version(cloud, template, {"InstanceType": "t3.nano"}, SourceVersion=version)
    with refused(code):
        launch(cloud, template, version)
    with refused(code):
        client.describe_launch_template_versions(LaunchTemplateId=template, Versions=[version])
    with refused(code):
        client.modify_launch_template(LaunchTemplateId=template, DefaultVersion=version)


@pytest.mark.fact("An image may be a parameter, looked up at each launch", BY_PARAMETER)
@pytest.mark.fact("ResolveAlias shows the image that the parameter names now", ec2("DescribeLaunchTemplateVersions"))
def test_an_image_by_parameter(cloud: Server) -> None:
    client = cloud.client("ec2")
    image = client.create_image(InstanceId=cloud.launch(), Name="facts-by-parameter")["ImageId"]
    put_image(cloud, "/facts/image", cloud.seed_image())
    template = new_template(
        cloud, "facts-parameter", {"ImageId": "resolve:ssm:/facts/image", "InstanceType": "t3.micro"}
    )

    def shown(**arguments: Any) -> str:
        found = client.describe_launch_template_versions(LaunchTemplateId=template, **arguments)
        return str(found["LaunchTemplateVersions"][0]["LaunchTemplateData"]["ImageId"])

    assert launch(cloud, template)["ImageId"] == cloud.seed_image()
    put_image(cloud, "/facts/image", image)
    assert launch(cloud, template)["ImageId"] == image
    assert (shown(), shown(ResolveAlias=True)) == ("resolve:ssm:/facts/image", image)
    fixed = launch(cloud, template, ImageId="resolve:ssm:/facts/image:1")
    assert fixed["ImageId"] == cloud.seed_image()


@pytest.mark.fact("A template cannot name a parameter that does not exist", BY_PARAMETER)
@pytest.mark.fact("A template cannot name a parameter of another data type", BY_PARAMETER)
def test_a_template_with_a_bad_parameter_is_refused(cloud: Server) -> None:
    cloud.client("ssm").put_parameter(Name="/facts/plain", Value=cloud.seed_image(), Type="String")
    template = new_template(cloud, "facts-good", {"ImageId": f"resolve:ssm:{SEED_PARAMETER}"})
    for name in ("/facts/no-such-parameter", "/facts/plain"):
        with refused("SsmInvalidParameter"):
            new_template(cloud, "facts-bad", {"ImageId": f"resolve:ssm:{name}"})
        with refused("SsmInvalidParameter"):
            new_version(cloud, template, {"ImageId": f"resolve:ssm:{name}"})


@pytest.mark.fact("User data of a template is limited to 16,384 bytes before it is encoded", ec2_guide("user-data"))
def test_too_much_user_data_is_refused(cloud: Server) -> None:
    user_data = base64.b64encode(b"#" * 16_385).decode()
    with refused("InvalidUserData.Malformed", text="User data is limited to 16384 bytes"):
        new_template(cloud, "facts-user-data", {"UserData": user_data})


@pytest.mark.fact("Tags of a template's launches are checked when it is made", ec2("CreateLaunchTemplate"))
def test_tags_of_launches_are_checked(cloud: Server) -> None:
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "aws:mine", "Value": "x"}]}]
    with refused("InvalidParameterValue", text="reserved for internal use"):
        new_template(cloud, "facts-tags", {"TagSpecifications": tags})
    with refused("InvalidParameterValue", text="not a valid taggable resource type"):
        new_template(cloud, "facts-tags", {"TagSpecifications": [{**tags[0], "ResourceType": "image"}]})


@pytest.mark.fact("A launch gets every parameter of its template", ec2_guide("ec2-launch-templates"))
@pytest.mark.fact("Parameters of the launch override those of its template", ec2_guide("ec2-launch-templates"))
def test_a_launch_gets_every_parameter(cloud: Server) -> None:
    client = cloud.client("ec2")
    cloud.client("iam").create_instance_profile(InstanceProfileName="facts-of-templates")
    subnet = client.describe_subnets()["Subnets"][-1]["SubnetId"]
    data = {
        "ImageId": cloud.seed_image(),
        "InstanceType": "t3.micro",
        "IamInstanceProfile": {"Name": "facts-of-templates"},
        "NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": subnet, "DeleteOnTermination": True}],
        "Monitoring": {"Enabled": True},
        "DisableApiTermination": True,
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20}}],
    }
    template = new_template(cloud, "facts-everything", data)

    instance = launch(cloud, template)
    other = launch(cloud, template, InstanceType="t3.nano", DisableApiTermination=False)

    (device,) = instance["BlockDeviceMappings"]
    volume = client.describe_volumes(VolumeIds=[device["Ebs"]["VolumeId"]])["Volumes"][0]
    assert instance["IamInstanceProfile"]["Arn"].endswith("/facts-of-templates")
    assert (instance["SubnetId"], instance["Monitoring"]["State"], volume["Size"]) == (subnet, "enabled", 20)
    with refused("OperationNotPermitted"):
        client.terminate_instances(InstanceIds=[instance["InstanceId"]])
    assert other["InstanceType"] == "t3.nano"
    client.terminate_instances(InstanceIds=[other["InstanceId"]])


@pytest.mark.fact(
    "The default version cannot be deleted, and its number is not used again", ec2("DeleteLaunchTemplateVersions")
)
def test_the_default_version_stays(cloud: Server) -> None:
    client = cloud.client("ec2")
    template = new_template(cloud, "facts-default", {"InstanceType": "t3.micro"})
    new_version(cloud, template, {"InstanceType": "t3.nano"})

    answer = client.delete_launch_template_versions(LaunchTemplateId=template, Versions=["1", "2"])

    assert [each["VersionNumber"] for each in answer["SuccessfullyDeletedLaunchTemplateVersions"]] == [2]
    assert [each["VersionNumber"] for each in answer["UnsuccessfullyDeletedLaunchTemplateVersions"]] == [1]
    assert new_version(cloud, template, {"InstanceType": "t3.nano"})["VersionNumber"] == 3
