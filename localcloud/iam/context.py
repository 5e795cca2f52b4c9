"""The condition keys of a request.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from localcloud.iam import table
from localcloud.iam.conditions import UnknownKeyError
from localcloud.iam.principals import Principal

if TYPE_CHECKING:
    from localcloud.call import Call

Values = tuple[str, ...]

# Keys of all services that no request has here: there are no organizations, VPC endpoints, federated identities,
# second factors or services that call for somebody.
_NEVER = frozenset(
    f"aws:{name.lower()}"
    for name in (
        *("CalledVia", "CalledViaFirst", "CalledViaLast", "FederatedProvider", "MultiFactorAuthAge"),
        *("PrincipalOrgID", "PrincipalOrgPaths", "PrincipalServiceName", "PrincipalServiceNamesList"),
        *("ResourceOrgID", "ResourceOrgPaths", "SourceAccount", "SourceArn", "SourceOrgID", "SourceOrgPaths"),
        *("SourceVpc", "SourceVpcArn", "SourceVpce", "VpcSourceIp", "Ec2InstanceSourceVpc"),
        *("Ec2InstanceSourcePrivateIPv4", "ChatbotSourceArn", "VpceAccount", "VpceOrgID", "VpceOrgPaths"),
    )
)
_TAG_FAMILIES = ("aws:requesttag/", "aws:resourcetag/", "aws:principaltag/")
RESOURCE_TAG = "aws:resourcetag/"


@dataclass(frozen=True)
class Need:
    """A permission that a request needs: an action on a resource.

    Args:
        action: Such as `ec2:RunInstances`.
        resource: An ARN, or `*`.
        declared: The condition keys that AWS sends with it.
        values: Condition keys of this action and resource, in lower case; no values of a key that is not there.
        tags: The resource's tags; None when they are not known.
        account: Whose the resource is.
    """

    action: str
    resource: str
    declared: frozenset[str] = frozenset()
    values: Mapping[str, Values] = field(default_factory=dict)
    tags: Mapping[str, str] | None = field(default_factory=dict)
    account: str = ""


class Keys:
    """The condition keys of one permission that a request needs: a `conditions.Context`."""

    def __init__(self, need: Need, common: Mapping[str, Values]) -> None:
        self._need = need
        self._common = common

    def values(self, key: str) -> Sequence[str] | None:
        """Return the values of a key, or None of one that the request does not have.

        Raises:
            UnknownKeyError: AWS would send it, or it is nobody's; and nothing is known of it here.
        """
        name = key.lower()
        kind = table.family(name)
        if name in self._common:
            return self._common[name] or None
        if name == "aws:resourceaccount":
            return (self._need.account,) if self._need.account else None
        if kind in self._need.declared:
            if name in self._need.values:
                return self._need.values[name] or None
            if kind.endswith("resourcetag/"):
                return self._tag(key.partition("/")[2])
            if kind in {"aws:requesttag/", "aws:tagkeys"}:
                return None
            raise UnknownKeyError(key)
        if kind in _TAG_FAMILIES or name in _NEVER or name == "aws:tagkeys" or table.is_key(name):
            return None  # AWS does not send it with this action and resource
        raise UnknownKeyError(key)

    def _tag(self, name: str) -> Values | None:
        if self._need.tags is None:
            raise UnknownKeyError(name)
        found = next((value for tag, value in self._need.tags.items() if tag.lower() == name.lower()), None)
        return None if found is None else (found,)


def common_keys(call: Call, principal: Principal) -> dict[str, Values]:
    """Return the condition keys that every request has, or could have; no values of one that is not there."""
    environ, now = call.environ, datetime.now(UTC)
    session = principal.session
    keys: dict[str, Values] = {
        "aws:currenttime": (now.strftime("%Y-%m-%dT%H:%M:%SZ"),),
        "aws:epochtime": (str(int(now.timestamp())),),
        "aws:multifactorauthpresent": ("false",) if session else (),
        "aws:principalaccount": (principal.account,),
        "aws:principalarn": _one(principal.role_arn or principal.arn),
        "aws:principalisawsservice": ("false",),
        "aws:principaltype": (principal.kind,),
        "aws:referer": _one(environ.get("HTTP_REFERER", "")),
        "aws:requestedregion": _one("us-east-1" if call.service == "iam" else call.scope.region),
        "aws:securetransport": ("true" if environ.get("wsgi.url_scheme") == "https" else "false",),
        "aws:sourceidentity": _one(session.source_identity if session else ""),
        "aws:sourceip": _one(environ.get("REMOTE_ADDR", "")),
        "aws:tokenissuetime": (session.issued.strftime("%Y-%m-%dT%H:%M:%SZ"),) if session else (),
        "aws:useragent": _one(environ.get("HTTP_USER_AGENT", "")),
        "aws:userid": _one(principal.user_id),
        "aws:username": _one(principal.name),
        "aws:viaawsservice": ("false",),
        "ec2:sourceinstancearn": _one(session.instance if session else ""),
    }
    keys |= {f"aws:principaltag/{tag.lower()}": (value,) for tag, value in principal.tags.items()}
    return keys


def _one(value: str) -> Values:
    return (value,) if value else ()
