"""Groups of a running embedded cloud, as the facts of Auto Scaling need them."""

from typing import Any

from tests.localcloud.server_support import Server, wait_until

ZONES = ["eu-west-1a", "eu-west-1b"]


class Fleet:
    """The clients, a launch template of the seed image, and short ways to groups.

    Args:
        cloud: The embedded cloud.
        name: Of the template; unique in the test file.
    """

    def __init__(self, cloud: Server, name: str) -> None:
        self.cloud = cloud
        self.asg, self.ec2, self.elb = (cloud.client(each) for each in ("autoscaling", "ec2", "elbv2"))
        data = {"ImageId": cloud.seed_image(), "InstanceType": "t3.micro"}
        created = self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
        self.template = {"LaunchTemplateId": created["LaunchTemplate"]["LaunchTemplateId"]}

    def create(self, name: str, desired: int = 0, **options: Any) -> None:
        """Create a group of 0 to 4 instances in two zones, and wait until it has as many as desired."""
        settings = {"MinSize": 0, "MaxSize": 4, "AvailabilityZones": ZONES, "LaunchTemplate": self.template}
        request = {name: value for name, value in (settings | options).items() if value is not None}
        self.asg.create_auto_scaling_group(AutoScalingGroupName=name, DesiredCapacity=desired, **request)
        self.wait_for(name, desired)

    def template_with_profile(self, profile: str) -> dict[str, str]:
        """Create a launch template that names an instance profile, and is called as that, and refer to it."""
        data = {
            "ImageId": self.cloud.seed_image(),
            "InstanceType": "t3.micro",
            "IamInstanceProfile": {"Name": profile},
        }
        self.ec2.create_launch_template(LaunchTemplateName=profile, LaunchTemplateData=data)
        return {"LaunchTemplateName": profile}

    def group(self, name: str) -> dict[str, Any]:
        """Describe a group."""
        (found,) = self.asg.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return dict(found)

    def instances(self, name: str) -> list[str]:
        """Return the ids of a group's instances that are in service."""
        return [each["InstanceId"] for each in self.group(name)["Instances"] if each["LifecycleState"] == "InService"]

    def wait_for(self, name: str, count: int) -> None:
        """Wait until a group has as many instances, all of them in service."""
        wait_until(
            lambda: len(self.instances(name)) == len(self.group(name)["Instances"]) == count, f"{count} in {name}"
        )
