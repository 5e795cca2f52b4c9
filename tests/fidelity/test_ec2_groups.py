"""Facts of EC2: security groups."""

from typing import Any

import pytest

from tests.fidelity.refusals import refused
from tests.fidelity.sources import EC2_ERRORS, ec2, ec2_guide
from tests.localcloud.server_support import Server

SERVICE = "EC2"
SSH = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}


def vpc_id(cloud: Server) -> str:
    """Return the default VPC."""
    return str(cloud.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"])


def new_group(cloud: Server, name: str, **arguments: Any) -> str:
    """Make a security group and return its id."""
    made = cloud.client("ec2").create_security_group(GroupName=name, Description=name, VpcId=vpc_id(cloud), **arguments)
    return str(made["GroupId"])


def from_range(cidr: str, **rest: Any) -> dict[str, Any]:
    """Return a rule for SSH from that range."""
    return {**SSH, "IpRanges": [{"CidrIp": cidr, **rest}]}


@pytest.mark.fact("A rule that exists is refused", EC2_ERRORS)
@pytest.mark.fact("A rule is the same whatever its description", ec2("AuthorizeSecurityGroupIngress"))
def test_a_duplicate_rule_is_refused(cloud: Server) -> None:
    client = cloud.client("ec2")
    group = new_group(cloud, "facts-duplicate")
    client.authorize_security_group_ingress(GroupId=group, IpPermissions=[from_range("10.0.0.0/8")])

    for rule in (from_range("10.0.0.0/8"), from_range("10.0.0.0/8", Description="again")):
        with refused("InvalidPermission.Duplicate", text="already exists"):
            client.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])


@pytest.mark.fact("A request with one bad rule adds none", ec2("AuthorizeSecurityGroupIngress"))
def test_a_bad_rule_keeps_the_others_out(cloud: Server) -> None:
    client = cloud.client("ec2")
    group = new_group(cloud, "facts-all-or-none")
    client.authorize_security_group_ingress(GroupId=group, IpPermissions=[from_range("10.0.0.0/8")])
    new = {**from_range("192.0.2.0/24"), "FromPort": 80, "ToPort": 80}

    with refused("InvalidPermission.Duplicate"):
        client.authorize_security_group_ingress(GroupId=group, IpPermissions=[new, from_range("10.0.0.0/8")])

    (described,) = client.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert [rule["FromPort"] for rule in described["IpPermissions"]] == [22]


@pytest.mark.fact("A rule that does not exist cannot be revoked", EC2_ERRORS)
def test_an_unknown_rule_cannot_be_revoked(cloud: Server) -> None:
    group = new_group(cloud, "facts-revoke")
    with refused("InvalidPermission.NotFound"):
        cloud.client("ec2").revoke_security_group_ingress(GroupId=group, IpPermissions=[from_range("10.0.0.0/8")])


@pytest.mark.fact("A rule cannot name a group that does not exist", EC2_ERRORS)
def test_a_rule_for_an_unknown_group_is_refused(cloud: Server) -> None:
    group = new_group(cloud, "facts-pair")
    pair = {**SSH, "UserIdGroupPairs": [{"GroupId": "sg-0123456789abcdef0"}]}
    with refused("InvalidGroup.NotFound"):
        cloud.client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[pair])


@pytest.mark.fact("A group in use by an interface cannot be deleted", EC2_ERRORS)
@pytest.mark.fact("A group that another group's rule names cannot be deleted", EC2_ERRORS)
def test_a_group_in_use_cannot_be_deleted(cloud: Server) -> None:
    client = cloud.client("ec2")
    used, named, naming = (new_group(cloud, f"facts-{each}") for each in ("used", "named", "naming"))
    cloud.launch(SecurityGroupIds=[used])
    pair = {**SSH, "UserIdGroupPairs": [{"GroupId": named}]}
    client.authorize_security_group_ingress(GroupId=naming, IpPermissions=[pair])

    for group in (used, named):
        with refused("DependencyViolation", text="has a dependent object"):
            client.delete_security_group(GroupId=group)

    client.revoke_security_group_ingress(GroupId=naming, IpPermissions=[pair])
    client.delete_security_group(GroupId=named)


@pytest.mark.fact("The default group cannot be deleted", EC2_ERRORS)
@pytest.mark.fact("No other group may be called default", EC2_ERRORS)
def test_the_default_group_stays(cloud: Server) -> None:
    client = cloud.client("ec2")
    default = client.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]
    with refused("CannotDelete"):
        client.delete_security_group(GroupId=default)
    with refused("InvalidGroup.Reserved"):
        new_group(cloud, "default")


@pytest.mark.fact("A VPC has one group of a name", EC2_ERRORS)
def test_a_name_is_used_once(cloud: Server) -> None:
    new_group(cloud, "facts-once")
    with refused("InvalidGroup.Duplicate"):
        new_group(cloud, "facts-once")


@pytest.mark.fact("A new group lets everything out and nothing in", ec2_guide("ec2-security-groups"))
def test_a_new_group_allows_outbound_traffic(cloud: Server) -> None:
    group = new_group(cloud, "facts-new")

    (described,) = cloud.client("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"]

    assert described["IpPermissions"] == []
    assert [rule["IpProtocol"] for rule in described["IpPermissionsEgress"]] == ["-1"]
    assert described["IpPermissionsEgress"][0]["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}]


@pytest.mark.fact("The groups of an instance can be replaced, also on its interface", ec2("ModifyInstanceAttribute"))
def test_the_groups_of_an_instance_can_be_replaced(cloud: Server) -> None:
    client = cloud.client("ec2")
    before, after = new_group(cloud, "facts-before"), new_group(cloud, "facts-after")
    instance = cloud.launch(SecurityGroupIds=[before])

    client.modify_instance_attribute(InstanceId=instance, Groups=[after])

    described = cloud.instance(instance)
    assert [group["GroupId"] for group in described["SecurityGroups"]] == [after]
    assert [group["GroupId"] for group in described["NetworkInterfaces"][0]["Groups"]] == [after]
    client.delete_security_group(GroupId=before)


@pytest.mark.fact("An address range that is none is refused", EC2_ERRORS)
def test_a_malformed_range_is_refused(cloud: Server) -> None:
    group = new_group(cloud, "facts-range")
    with refused("InvalidParameterValue"):
        cloud.client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[from_range("everywhere")])
