from typing import Any

import pytest

from rebake.config import Network
from rebake.exceptions import ConfigError
from rebake.hooks.network import NetworkHook


@pytest.fixture
def hook(ec2: Any) -> NetworkHook:
    return NetworkHook(aws_conn_id=None, region_name="eu-west-1")


def test_a_network_that_is_given_is_taken_as_it_is(hook: NetworkHook) -> None:
    given = Network(vpc_id="vpc-1", subnet_ids=("subnet-b", "subnet-a"))

    assert hook.resolve(given) == given


def test_without_one_the_default_vpc_and_its_default_subnets_are_taken_by_zone(ec2: Any, hook: NetworkHook) -> None:
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    extra = ec2.create_subnet(VpcId=vpc, CidrBlock="172.31.128.0/24", AvailabilityZone="eu-west-1a")["Subnet"]

    network = hook.resolve(Network())

    subnets = ec2.describe_subnets(SubnetIds=list(network.subnet_ids))["Subnets"]
    zones = {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in subnets}
    assert network.vpc_id == vpc
    assert [zones[subnet] for subnet in network.subnet_ids] == ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
    assert extra["SubnetId"] not in network.subnet_ids


def test_an_account_without_a_default_vpc_has_to_name_a_network(ec2: Any, hook: NetworkHook) -> None:
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    with pytest.raises(ConfigError, match=r"has no default subnet: give network\.vpc_id and network\.subnet_ids"):
        hook.resolve(Network())

    ec2.delete_vpc(VpcId=ec2.describe_vpcs()["Vpcs"][0]["VpcId"])
    with pytest.raises(ConfigError, match=r"no default VPC in eu-west-1: give network\.vpc_id and network\.subnet_ids"):
        hook.resolve(Network())
