"""Temporary credentials: of instance profiles, of roles that are assumed, and of users."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.iam.models import AccessKey
from moto.iam.responses import IamResponse
from moto.sts.exceptions import STSClientError
from moto.sts.models import sts_backends
from moto.sts.responses import TokenResponse

from localcloud.iam.evaluation import Request, consents
from localcloud.iam.policies import UNREADABLE, parse
from localcloud.iam.principals import PARTITION, Principal, Session, begin_session, find_role, iam_of, tag_values
from localcloud.requestlog import scope_of

if TYPE_CHECKING:
    from moto.ec2.models.instances import Instance

    from localcloud.iam.authentication import Authenticator

EC2 = "ec2.amazonaws.com"
INSTANCE_SECONDS = 6 * 3600
RENEWED_BEFORE = timedelta(minutes=10)  # AWS has new ones at least five minutes before the old ones expire
HOUR = 3600
_of_instances: WeakKeyDictionary[Any, tuple[AccessKey, Session]] = WeakKeyDictionary()
_moto_assume: Callable[[Any], ActionResult] = TokenResponse.assume_role
_moto_create_user: Callable[[Any], ActionResult] = IamResponse.create_user


class _NoKeys:
    """The condition keys of a service that assumes a role: none."""

    def values(self, _: str) -> None:
        return None


def credentials_of(instance: Instance) -> dict[str, str]:
    """Return what the instance metadata service gives: temporary credentials of the role in the instance's profile.

    Without a profile or a role in it, it gives none. They are the same until they are about to expire.
    """
    role = role_of(instance)
    if role is None:
        return {}
    if not consents(role.assume_role_policy_document, _assumption_of(role), {EC2}):
        return {"Code": "AssumeRoleUnauthorizedAccess", "Message": f"EC2 cannot assume the role {role.name}."}
    known = _of_instances.get(instance)
    if known is None or known[1].role_arn != role.arn or known[1].expires - utcnow() < RENEWED_BEFORE:
        region, account = instance.ec2_backend.region_name, instance.owner_id
        sts = sts_backends[account][PARTITION]
        key = sts.assume_role(region, instance.id, role.arn, "", INSTANCE_SECONDS, "").access_key
        session = begin_session(
            key,
            INSTANCE_SECONDS,
            role_arn=role.arn,
            name=instance.id,
            instance=f"arn:{PARTITION}:ec2:{region}:{account}:instance/{instance.id}",
        )
        known = _of_instances[instance] = (key, session)
    key, session = known
    stamp = "%Y-%m-%dT%H:%M:%SZ"
    return {
        "Code": "Success",
        "LastUpdated": session.issued.strftime(stamp),
        "Type": "AWS-HMAC",
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": key.secret_access_key,
        "Token": session.token,
        "Expiration": session.expires.strftime(stamp),
    }


def role_of(instance: Instance) -> Any:
    """Return the role in an instance's profile, or None."""
    associations = instance.ec2_backend.iam_instance_profile_associations
    association = associations.get(instance.id)
    profile = association.iam_instance_profile if association else None
    return profile.roles[0] if profile and profile.roles else None


def _assumption_of(role: Any) -> Request:
    return Request("sts:AssumeRole", role.arn, _NoKeys())


def install(authenticator: Authenticator) -> None:
    """Have moto's STS make sessions that are known when they sign, and its IAM keep the boundaries of users."""

    def caller_of(response: Any) -> Principal:
        # moto reads only keys of twenty characters.
        headers, query = response.headers, urlsplit(response.uri).query
        signed = scope_of({"HTTP_AUTHORIZATION": headers.get("Authorization", ""), "QUERY_STRING": query})
        caller = authenticator.owner(signed.access_key)
        if caller is None:
            raise STSClientError("InvalidClientTokenId", "The security token included in the request is invalid.")
        return caller

    def assume_role(self: Any) -> ActionResult:
        """AssumeRole: moto's, with session policies, tags and the limits of durations."""
        caller = caller_of(self)
        seconds = self._get_int_param("DurationSeconds", HOUR)
        _check_duration(caller, self._get_param("RoleArn"), seconds)
        policy = self._get_param("Policy")
        if policy and UNREADABLE in parse(policy):
            raise STSClientError("MalformedPolicyDocument", "The policy is not in the valid JSON format.")
        answer = _moto_assume(self)
        result: Any = answer.result
        assumed = result["Credentials"]
        before = caller.session
        inherited = {key: value for key, value in before.tags.items() if key in before.transitive} if before else {}
        begin_session(
            assumed.access_key,
            seconds,
            token=assumed.session_token,
            role_arn=self._get_param("RoleArn"),
            name=assumed.session_name,
            policies=(policy,) if policy else (),
            policy_arns=tuple(one["arn"] for one in self._get_param("PolicyArns") or []),
            tags={**tag_values(self._get_param("Tags") or []), **inherited},
            transitive=frozenset([*(self._get_param("TransitiveTagKeys") or []), *inherited]),
            source_identity=self._get_param("SourceIdentity") or (before.source_identity if before else ""),
        )
        return answer

    def get_session_token(self: Any) -> ActionResult:
        """GetSessionToken: moto gives everybody the same, which are nobody's."""
        caller = caller_of(self)
        if caller.session:
            raise STSClientError("AccessDenied", "Cannot call GetSessionToken with session credentials")
        key = iam_of(caller.account).create_temp_access_key()
        key.user_name = caller.name or None
        session = begin_session(key, self._get_int_param("DurationSeconds", 12 * HOUR))
        credentials = {
            "AccessKeyId": key.access_key_id,
            "SecretAccessKey": key.secret_access_key,
            "SessionToken": session.token,
            "Expiration": session.expires,
        }
        return ActionResult({"Credentials": credentials})

    def get_caller_identity(self: Any) -> ActionResult:
        """GetCallerIdentity, also of a root and of an instance."""
        caller = caller_of(self)
        return ActionResult({"UserId": caller.user_id, "Account": caller.account, "Arn": caller.arn})

    answers: Any = TokenResponse
    for answer in (assume_role, get_session_token, get_caller_identity):
        setattr(answers, answer.__name__, answer)
    users: Any = IamResponse
    for answer in (create_user, put_user_permissions_boundary, delete_user_permissions_boundary):
        setattr(users, answer.__name__, answer)


def _check_duration(caller: Principal, arn: str, seconds: int) -> None:
    role = find_role(arn)
    if caller.role_arn and seconds > HOUR:
        limit = "1 hour session limit for roles assumed by role chaining."
        raise STSClientError("ValidationError", f"The requested DurationSeconds exceeds the {limit}")
    if role and seconds > int(role.max_session_duration or HOUR):
        limit = "MaxSessionDuration set for this role."
        raise STSClientError("ValidationError", f"The requested DurationSeconds exceeds the {limit}")


def create_user(self: Any) -> ActionResult:
    """CreateUser: moto's, with the permissions boundary."""
    answer = _moto_create_user(self)
    result: Any = answer.result
    _set_boundary(result["User"], self._get_param("PermissionsBoundary"))
    return answer


def put_user_permissions_boundary(self: Any) -> ActionResult:
    """PutUserPermissionsBoundary, which moto lacks."""
    _set_boundary(self.backend.get_user(self._get_param("UserName")), self._get_param("PermissionsBoundary"))
    return ActionResult({})


def delete_user_permissions_boundary(self: Any) -> ActionResult:
    """DeleteUserPermissionsBoundary, which moto lacks."""
    _set_boundary(self.backend.get_user(self._get_param("UserName")), None)
    return ActionResult({})


def _set_boundary(user: Any, arn: str | None) -> None:
    user.permissions_boundary_arn = arn
    described = {"PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": arn}
    user.permissions_boundary = described if arn else None
