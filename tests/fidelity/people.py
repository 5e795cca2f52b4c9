"""Users and roles of a cloud that enforces policies, for tests of what these may do."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

from tests.localcloud.server_support import OTHER_ROOT, REGION, Server

ACCOUNT = "123456789012"
TRUSTS_ACCOUNT = {"AWS": ACCOUNT}


@dataclass(frozen=True)
class Person:
    """Somebody with credentials of their own."""

    cloud: Server
    name: str
    arn: str
    key: str
    secret: str
    token: str | None = None

    def client(self, service: str, region: str = REGION) -> Any:
        """Return a boto3 client that signs with their key."""
        return self.cloud.client(service, self.key, region, self.token, self.secret)

    def assumes(self, role: str, **options: Any) -> "Person":
        """Return the session of a role that they assume, by its ARN."""
        name = options.pop("RoleSessionName", "session")
        answer = self.client("sts").assume_role(RoleArn=role, RoleSessionName=name, **options)
        return of_session(self.cloud, answer["Credentials"], answer["AssumedRoleUser"]["Arn"])


def of_session(cloud: Server, credentials: dict[str, Any], arn: str = "") -> Person:
    """Return who temporary credentials are of."""
    keys = (credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])
    return Person(cloud, arn.rpartition("/")[2], arn, *keys)


def policy(*statements: dict[str, Any]) -> str:
    """Return a policy document; a statement allows everything of what it names, unless it says otherwise."""
    complete = [{"Effect": "Allow", "Resource": "*", **statement} for statement in statements]
    for statement in complete:
        if "NotResource" in statement:
            del statement["Resource"]
    return json.dumps({"Version": "2012-10-17", "Statement": complete})


def trust(principal: Any, action: Any = "sts:AssumeRole", **more: Any) -> str:
    """Return a trust policy."""
    statement = {"Effect": "Allow", "Principal": principal, "Action": action, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def unique(prefix: str) -> str:
    """Return a name that no other test has."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def user(cloud: Server, *statements: dict[str, Any], tags: dict[str, str] | None = None, **options: Any) -> Person:
    """Make a user whose only policy has these statements."""
    iam, name = cloud.client("iam"), unique("user")
    given = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
    made = iam.create_user(UserName=name, Tags=given, **options)["User"]
    if statements:
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy(*statements))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Person(cloud, name, made["Arn"], key["AccessKeyId"], key["SecretAccessKey"])


def role(cloud: Server, document: str, *statements: dict[str, Any], **options: Any) -> str:
    """Make a role with that trust policy, whose only policy has these statements, and return its ARN."""
    iam, name = cloud.client("iam"), unique("role")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document, **options)["Role"]["Arn"]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy(*statements))
    return str(arn)


def other_account(cloud: Server, service: str) -> Any:
    """Return a client that is the root of another account."""
    return cloud.client(service, OTHER_ROOT)
