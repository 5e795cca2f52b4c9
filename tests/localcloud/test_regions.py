"""Regions and accounts beside each other, each with instances, groups and load balancers of its own."""

from typing import Any

import pytest

from tests.localcloud.server_support import OTHER_ACCOUNT, REGION, Server, wait_until

OTHER_REGION = "us-west-2"


def fleet(clients: dict[str, Any]) -> dict[str, Any]:
    """Create a group of two behind a load balancer and wait until both are healthy targets."""
    ec2, elb, asg = clients["ec2"], clients["elbv2"], clients["autoscaling"]
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]][:2]
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    (image,) = ec2.describe_images(Owners=["136693071363"])["Images"]
    group = elb.create_target_group(Name="web", Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0]
    balancer = elb.create_load_balancer(Name="web", Subnets=subnets)["LoadBalancers"][0]
    elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=8099,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}],
    )  # fmt: skip
    ec2.create_launch_template(
        LaunchTemplateName="web", LaunchTemplateData={"ImageId": image["ImageId"], "InstanceType": "t3.micro"}
    )
    asg.create_auto_scaling_group(
        AutoScalingGroupName="web", MinSize=2, MaxSize=2, VPCZoneIdentifier=",".join(subnets),
        LaunchTemplate={"LaunchTemplateName": "web", "Version": "$Latest"}, TargetGroupARNs=[group["TargetGroupArn"]],
    )  # fmt: skip

    def healthy() -> list[Any]:
        described = elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
        return [each["Target"]["Id"] for each in described if each["TargetHealth"]["State"] == "healthy"]

    wait_until(lambda: len(healthy()) == 2, "two healthy targets")
    return {"image": image["ImageId"], "group": group["TargetGroupArn"], "instances": set(healthy())}


@pytest.fixture
def places(records: Server) -> dict[str, dict[str, Any]]:
    """Clients of three places: the usual one, another region, and another account."""
    services = ("ec2", "elbv2", "autoscaling", "ssm")
    return {
        "home": {service: records.client(service) for service in services},
        "region": {service: records.client(service, region=OTHER_REGION) for service in services},
        "account": {service: records.client_of(OTHER_ACCOUNT, service) for service in services},
    }


def test_each_region_and_account_runs_a_fleet_of_its_own(places: dict[str, dict[str, Any]]) -> None:
    fleets = {name: fleet(clients) for name, clients in places.items()}

    for name, clients in places.items():
        reservations = clients["ec2"].describe_instances()["Reservations"]
        seen = {instance["InstanceId"] for each in reservations for instance in each["Instances"]}
        assert seen == fleets[name]["instances"]
    assert f":{REGION}:123456789012:" in fleets["home"]["group"]
    assert f":{OTHER_REGION}:123456789012:" in fleets["region"]["group"]
    assert f":{REGION}:{OTHER_ACCOUNT}:" in fleets["account"]["group"]


def test_a_terminated_instance_is_replaced_in_every_region(places: dict[str, dict[str, Any]]) -> None:
    there = places["region"]
    before = fleet(there)["instances"]

    there["ec2"].terminate_instances(InstanceIds=[min(before)])

    def members() -> set[str]:
        (group,) = there["autoscaling"].describe_auto_scaling_groups()["AutoScalingGroups"]
        return {each["InstanceId"] for each in group["Instances"] if each["LifecycleState"] == "InService"}

    wait_until(lambda: len(members()) == 2 and min(before) not in members(), "the instance replaced")


def test_the_seed_image_is_one_for_all_accounts_of_a_region(places: dict[str, dict[str, Any]]) -> None:
    seeds = {
        name: clients["ssm"].get_parameter(Name="/aws/service/debian/release/12/latest/amd64")["Parameter"]["Value"]
        for name, clients in places.items()
    }

    assert seeds["home"] == seeds["account"] != seeds["region"]
    for name, clients in places.items():
        assert clients["ec2"].describe_images(ImageIds=[seeds[name]])["Images"][0]["OwnerId"] == "136693071363"
