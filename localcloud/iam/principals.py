"""Who signs a request: the root of an account, a user, or a role's session; and the policies that they have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.core.utils import utcnow
from moto.iam.models import IAMBackend, Role, User, iam_backends
from moto.sts.utils import random_session_token

if TYPE_CHECKING:
    from moto.iam.models import AccessKey

PARTITION = "aws"
ALLOW_ALL = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'


@dataclass(frozen=True)
class RootKey:
    """A key of an account's root, given on the command line."""

    access_key: str
    secret_key: str
    account: str


@dataclass(frozen=True)
class Session:
    """What temporary credentials are for. It hangs on moto's access key, and goes when that goes."""

    token: str
    issued: datetime
    expires: datetime
    role_arn: str = ""
    """Of the role; "" for a session of a user, whom the access key names, or of the root."""
    name: str = ""
    policies: tuple[str, ...] = ()
    policy_arns: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: frozenset[str] = frozenset()
    """Keys of tags that sessions begun from this one inherit."""
    source_identity: str = ""
    instance: str = ""
    """The ARN of the instance whose profile it is from."""


@dataclass(frozen=True)
class Principal:
    """A signer of requests.

    Args:
        kind: `Account` (its root), `User` or `AssumedRole`: AWS's `aws:PrincipalType`.
        forms: The names by which policies of resources know it.
        identity: The documents of its own policies, and of its groups'.
        boundary: The document of its permissions boundary.
        limits: The documents of its session's policies; none, when the session has none.
    """

    kind: str
    account: str
    arn: str
    user_id: str
    name: str = ""
    forms: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)
    identity: tuple[str, ...] = ()
    boundary: str | None = None
    limits: tuple[str, ...] = ()
    session: Session | None = None

    @property
    def role_arn(self) -> str:
        """The ARN of the role, or "" of somebody else."""
        return self.session.role_arn if self.session else ""


ACCOUNT_FORM = "arn:aws:iam::{}:root"


def iam_of(account: str) -> IAMBackend:
    """Return moto's IAM of an account."""
    backend: IAMBackend = iam_backends[account][PARTITION]
    return backend


def _every_iam() -> list[IAMBackend]:
    backends: Any = iam_backends.iter_backends()
    return [iam for _, _, iam in backends]


def find_key(access_key: str) -> tuple[str, AccessKey] | None:
    """Return the account and moto's record of an access key that users made or sessions got."""
    for iam in _every_iam():
        if found := iam.access_keys.get(access_key):
            return iam.account_id, found
    return None


def root(account: str) -> Principal:
    """Return an account's root: it may do all that no policy denies."""
    arn = ACCOUNT_FORM.format(account)
    return Principal("Account", account, arn, account, forms=frozenset({"*", arn}), identity=(ALLOW_ALL,))


def principal_of(account: str, key: AccessKey) -> Principal | None:
    """Return the user or the session whose key it is; None when the user or the role was deleted."""
    iam = iam_of(account)
    session: Session | None = getattr(key, "session", None)
    if session and session.role_arn:
        role = find_role(session.role_arn)
        return None if role is None else _assumed(account, iam, role, session)
    if key.user_name in iam.users:
        return _user(account, iam, iam.users[key.user_name], session)
    return root(account) if session and not key.user_name else None


def find_role(arn: str) -> Role | None:
    """Return the role of that ARN, in whatever account."""
    for iam in _every_iam():
        if f":{iam.account_id}:" in arn:
            return next((role for role in iam.roles.values() if role.arn == arn), None)
    return None


def _user(account: str, iam: IAMBackend, user: User, session: Session | None) -> Principal:
    holders: list[Any] = [user, *(group for group in iam.groups.values() if user in group.users)]
    return Principal(
        kind="User",
        account=account,
        arn=user.arn,
        user_id=user.id,
        name=user.name,
        forms=frozenset({"*", user.arn, ACCOUNT_FORM.format(account)}),
        tags=tag_values(user.tags or []),
        identity=_documents(holders),
        boundary=_boundary(iam, getattr(user, "permissions_boundary_arn", None)),
        session=session,
    )


def _assumed(account: str, iam: IAMBackend, role: Role, session: Session) -> Principal:
    arn = f"arn:aws:sts::{account}:assumed-role/{role.name}/{session.name}"
    return Principal(
        kind="AssumedRole",
        account=account,
        arn=arn,
        user_id=f"{role.id}:{session.name}",
        forms=frozenset({"*", arn, role.arn, ACCOUNT_FORM.format(account)}),
        tags={**tag_values(role.tags), **session.tags},
        identity=_documents([role]),
        boundary=_boundary(iam, role.permissions_boundary_arn),
        limits=(*session.policies, *(_managed(iam, arn) for arn in session.policy_arns)),
        session=session,
    )


def tag_values(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return tags as a dictionary, from whichever way AWS's protocols spell them."""
    return {str(tag.get("Key", tag.get("key"))): str(tag.get("Value", tag.get("value", ""))) for tag in tags}


def _documents(holders: Iterable[Any]) -> tuple[str, ...]:
    found: list[str] = []
    for holder in holders:
        found += holder.policies.values()
        found += [_default_version(policy) for policy in holder.managed_policies.values()]
    return tuple(found)


def _boundary(iam: IAMBackend, arn: str | None) -> str | None:
    return _managed(iam, arn) if arn else None


def _managed(iam: IAMBackend, arn: str) -> str:
    """Return a managed policy's document; of one that does not exist, one that allows nothing."""
    policy = iam.managed_policies.get(arn)
    return _default_version(policy) if policy else '{"Statement": []}'


def _default_version(policy: Any) -> str:
    return next(
        (version.document for version in policy.versions if version.version_id == policy.default_version_id), "{}"
    )


def begin_session(key: AccessKey, seconds: int, **about: Any) -> Session:
    """Make a session of an access key, for that long."""
    now = utcnow()
    token = about.pop("token", "") or random_session_token()
    session = Session(token=token, issued=now, expires=now + timedelta(seconds=seconds), **about)
    key.session = session  # type: ignore[attr-defined] # it goes when moto's key goes
    return session
