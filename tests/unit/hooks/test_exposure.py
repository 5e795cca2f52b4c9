"""Security groups as they are read, and the two repairs."""

from typing import Any

import pytest
from botocore.stub import Stubber

from rebake.estate.drift.posture import Opening, SecurityGroup
from rebake.hooks.exposure import ExposureHook
from tests.support.aws import CONNECTION

RULES = [
    {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "0.0.0.0/0"}, {"CidrIp": "10.0.0.0/8"}],
    },
    {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
]


@pytest.fixture
def hook(account: None) -> ExposureHook:
    return ExposureHook(**CONNECTION)


@pytest.fixture
def group_id(ec2: Any) -> str:
    made: str = ec2.create_security_group(GroupName="webapp-local-instance", Description="instances")["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=RULES)
    return made


def _group(hook: ExposureHook, group_id: str) -> SecurityGroup:
    return next(group for group in hook.groups() if group.id == group_id)


def test_each_source_of_a_rule_is_an_opening_of_its_own(hook: ExposureHook, group_id: str) -> None:
    assert set(_group(hook, group_id).openings) == {
        Opening("tcp", 22, 22, "0.0.0.0/0"),
        Opening("tcp", 22, 22, "10.0.0.0/8"),
        Opening("tcp", 443, 443, "::/0"),
    }


@pytest.mark.parametrize(
    "opening", [Opening("tcp", 22, 22, "0.0.0.0/0"), Opening("tcp", 443, 443, "::/0")], ids=["ipv4", "ipv6"]
)
def test_closing_an_opening_leaves_the_others(hook: ExposureHook, group_id: str, opening: Opening) -> None:
    before = set(_group(hook, group_id).openings)

    hook.close(group_id, opening)
    hook.close(group_id, opening)  # closed already: no error

    assert set(_group(hook, group_id).openings) == before - {opening}


@pytest.mark.parametrize(
    ("opening", "permission"),
    [
        (Opening("-1", -1, -1, "sg-1"), {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-1"}]}),
        (
            Opening("tcp", 22, 23, "pl-1"),
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 23, "PrefixListIds": [{"PrefixListId": "pl-1"}]},
        ),
    ],
)
def test_groups_and_prefix_lists_are_closed_by_their_own_fields(
    hook: ExposureHook, opening: Opening, permission: dict[str, Any]
) -> None:
    with Stubber(hook.ec2) as stub:
        stub.add_response("revoke_security_group_ingress", {}, {"GroupId": "sg-9", "IpPermissions": [permission]})

        hook.close("sg-9", opening)

        stub.assert_no_pending_responses()


def test_metadata_tokens_are_required_of_one_instance_unless_it_is_gone(hook: ExposureHook) -> None:
    with Stubber(hook.ec2) as stub:
        request = {"InstanceId": "i-0123456789abcdef0", "HttpTokens": "required"}
        stub.add_response("modify_instance_metadata_options", {}, request)
        stub.add_client_error("modify_instance_metadata_options", "InvalidInstanceID.NotFound")

        hook.require_tokens("i-0123456789abcdef0")
        hook.require_tokens("i-0123456789abcdef0")

        stub.assert_no_pending_responses()
