"""Security groups and metadata options: what instances let in, and the two repairs that cannot harm them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from rebake import tags
from rebake.aws_errors import error_code, retry_transient
from rebake.estate.drift.posture import ALL_PROTOCOLS, Opening, SecurityGroup
from rebake.hooks.ec2 import Ec2ClientHook
from rebake.hooks.limits import PAGE

_SOURCES: Final = (
    ("IpRanges", "CidrIp"),
    ("Ipv6Ranges", "CidrIpv6"),
    ("PrefixListIds", "PrefixListId"),
    ("UserIdGroupPairs", "GroupId"),
)
"""Where a rule's sources are, and what names each."""


class ExposureHook(Ec2ClientHook):
    """Thick wrapper around `boto3.client("ec2")` for security groups and the instance metadata service."""

    @retry_transient
    def groups(self) -> tuple[SecurityGroup, ...]:
        """Return all security groups of the account and region (DescribeSecurityGroups)."""
        pages = self.ec2.get_paginator("describe_security_groups").paginate(PaginationConfig={"PageSize": PAGE})
        return tuple(_group(dict(group)) for page in pages for group in page["SecurityGroups"])

    @retry_transient
    def close(self, group_id: str, opening: Opening) -> None:
        """Remove one source from an ingress rule (RevokeSecurityGroupIngress); one that is gone already is no error."""
        try:
            self.ec2.revoke_security_group_ingress(GroupId=group_id, IpPermissions=[_permission(opening)])  # type: ignore[list-item]
        except ClientError as error:
            if error_code(error) not in {"InvalidPermission.NotFound", "InvalidGroup.NotFound"}:
                raise

    @retry_transient
    def require_tokens(self, instance_id: str) -> None:
        """Make an instance's metadata service answer only IMDSv2 (ModifyInstanceMetadataOptions)."""
        try:
            self.ec2.modify_instance_metadata_options(InstanceId=instance_id, HttpTokens="required")
        except ClientError as error:
            if error_code(error) != "InvalidInstanceID.NotFound":
                raise


def _group(group: Mapping[str, Any]) -> SecurityGroup:
    return SecurityGroup(
        id=group["GroupId"],
        name=group["GroupName"],
        tags=tags.read(group),
        openings=tuple(opening for rule in group["IpPermissions"] for opening in _openings(rule)),
    )


def _openings(rule: Mapping[str, Any]) -> Iterator[Opening]:
    for where, name in _SOURCES:
        for source in rule.get(where, []):
            yield Opening(rule["IpProtocol"], rule.get("FromPort", -1), rule.get("ToPort", -1), source[name])


def _permission(opening: Opening) -> dict[str, Any]:
    """Return the IpPermission that names one opening and nothing else."""
    source = opening.source
    kind = 3 if source.startswith("sg-") else 2 if source.startswith("pl-") else 1 if ":" in source else 0
    where, name = _SOURCES[kind]
    ports = {} if opening.protocol == ALL_PROTOCOLS else {"FromPort": opening.from_port, "ToPort": opening.to_port}
    return {"IpProtocol": opening.protocol, **ports, where: [{name: source}]}
