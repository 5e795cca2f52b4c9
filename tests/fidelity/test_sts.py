"""Facts of STS and of signatures: who somebody is, and whose role they may have."""

import re
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.fidelity.people import ACCOUNT, Person, of_session, other_account, policy, role, trust, unique, user
from tests.fidelity.refusals import refused
from tests.fidelity.sources import DOCS, iam, iam_guide, s3_guide, sts
from tests.localcloud.server_support import OTHER_ACCOUNT, REGION, Server, signed_headers

SERVICE = "IAM and STS"
EC2_ERRORS = f"[API, error codes]({DOCS}/AWSEC2/latest/APIReference/errors-overview.html)"
S3_ERRORS = f"[API, error responses]({DOCS}/AmazonS3/latest/API/ErrorResponses.html)"
COMMON_ERRORS = f"[API, common errors]({DOCS}/STS/latest/APIReference/CommonErrors.html)"
SIGNING = iam_guide("reference_sigv-troubleshooting")
TRUST = iam_guide("reference_policies_elements_principal")
SESSIONS = f"[user guide, session policies]({DOCS}/IAM/latest/UserGuide/access_policies.html#policies_session)"
TAGS = iam_guide("id_session-tags")
CROSS = iam_guide("reference_policies_evaluation-logic-cross-account")
LISTS = {"Action": "ec2:DescribeVpcs"}
ASSUMES = {"Action": "sts:AssumeRole"}


@pytest.mark.parametrize(
    ("service", "call", "code", "status"),
    [
        pytest.param(
            "ec2",
            "describe_vpcs",
            "AuthFailure",
            401,
            marks=pytest.mark.fact("EC2 answers AuthFailure to an access key that it does not know", EC2_ERRORS),
        ),
        pytest.param(
            "s3",
            "list_buckets",
            "InvalidAccessKeyId",
            403,
            marks=pytest.mark.fact("S3 answers InvalidAccessKeyId to an access key that it does not know", S3_ERRORS),
        ),
        pytest.param(
            "sts",
            "get_caller_identity",
            "InvalidClientTokenId",
            403,
            marks=pytest.mark.fact("STS answers InvalidClientTokenId to an unknown access key", COMMON_ERRORS),
        ),
        pytest.param("autoscaling", "describe_auto_scaling_groups", "InvalidClientTokenId", 403, id="autoscaling"),
        pytest.param("ssm", "describe_parameters", "UnrecognizedClientException", 400, id="ssm"),
        pytest.param("cloudwatch", "describe_alarms", "InvalidClientTokenId", 403, id="cloudwatch"),
    ],
)
def test_unknown_key(enforcing: Server, service: str, call: str, code: str, status: int) -> None:
    with refused(code, status):
        getattr(enforcing.client(service, "AKIAUNKNOWN"), call)()


@pytest.mark.parametrize(
    ("service", "call", "code", "status"),
    [
        pytest.param("ec2", "describe_vpcs", "AuthFailure", 401, id="ec2"),
        pytest.param("s3", "list_buckets", "SignatureDoesNotMatch", 403, id="s3"),
        pytest.param(
            "sts",
            "get_caller_identity",
            "SignatureDoesNotMatch",
            403,
            marks=pytest.mark.fact("A signature with another secret key does not match", SIGNING),
        ),
        pytest.param("ssm", "describe_parameters", "InvalidSignatureException", 400, id="ssm"),
    ],
)
def test_wrong_secret(enforcing: Server, service: str, call: str, code: str, status: int) -> None:
    with refused(code, status):
        getattr(enforcing.client(service, secret="wrong"), call)()


def raw(url: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
    """Send a request as it is, and return status and error code."""
    request = urllib.request.Request(url, data=body or None, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        with error:
            found = re.search(r"<Code>(\w+)</Code>", error.read().decode())
            return error.code, found[1] if found else ""


def signed(
    cloud: Server, service: str, path: str, body: bytes = b"", ago: float = 0, instead: bytes | None = None
) -> tuple[int, str]:
    """Send a request that the root signed some seconds ago, with another body than the signed one if given."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    headers = signed_headers(f"{cloud.url}{path}", service, "POST" if body else "GET", body, form, ago)
    return raw(f"{cloud.url}{path}", body if instead is None else instead, **headers)


IDENTITY = b"Action=GetCallerIdentity&Version=2011-06-15"
VPCS = b"Action=DescribeVpcs&Version=2016-11-15"


@pytest.mark.fact("A request without a signature lacks an authentication token", COMMON_ERRORS)
def test_unsigned(enforcing: Server) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    assert raw(f"{enforcing.url}/", IDENTITY, **form) == (403, "MissingAuthenticationToken")
    assert raw(f"{enforcing.url}/some-bucket/key") == (403, "AccessDenied")


@pytest.mark.fact("A signature is valid for 15 minutes: S3 answers RequestTimeTooSkewed", S3_ERRORS)
def test_old_signature_of_s3(enforcing: Server) -> None:
    assert signed(enforcing, "s3", "/", ago=14 * 60) == (200, "")
    assert signed(enforcing, "s3", "/", ago=16 * 60) == (403, "RequestTimeTooSkewed")
    assert signed(enforcing, "s3", "/", ago=-16 * 60) == (403, "RequestTimeTooSkewed")


@pytest.mark.fact("EC2 answers RequestExpired to a signature older than 15 minutes", EC2_ERRORS)
def test_old_signature_of_ec2(enforcing: Server) -> None:
    assert signed(enforcing, "ec2", "/", VPCS) == (200, "")
    assert signed(enforcing, "ec2", "/", VPCS, ago=16 * 60) == (400, "RequestExpired")


@pytest.mark.fact("A signature is of the body too", SIGNING)
def test_changed_body(enforcing: Server) -> None:
    changed = IDENTITY.replace(b"GetCallerIdentity", b"GetSessionToken")

    assert signed(enforcing, "sts", "/", IDENTITY) == (200, "")
    assert signed(enforcing, "sts", "/", IDENTITY, instead=changed) == (403, "SignatureDoesNotMatch")


def presigned(cloud: Server, person: Any, seconds: int, version: str = "s3v4") -> str:
    """Return a presigned URL of an object of a new bucket."""
    s3, name = cloud.client("s3"), unique("bucket")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=name, Key="a key", Body=b"content")
    client: Any = boto3.client
    signer = client(
        "s3",
        region_name=REGION,
        endpoint_url=cloud.url,
        aws_access_key_id=person.key,
        aws_secret_access_key=person.secret,
        aws_session_token=person.token,
        config=Config(signature_version=version, s3={"addressing_style": "path"}),
    )
    return str(signer.generate_presigned_url("get_object", {"Bucket": name, "Key": "a key"}, ExpiresIn=seconds))


@pytest.mark.fact("A presigned URL works in its signer's name until it expires", s3_guide("using-presigned-url"))
def test_presigned_url(enforcing: Server) -> None:
    allowed, nobody = user(enforcing, {"Action": "s3:GetObject"}), user(enforcing)

    assert raw(presigned(enforcing, allowed, 60)) == (200, "")
    assert raw(presigned(enforcing, nobody, 60)) == (403, "AccessDenied")
    short = presigned(enforcing, allowed, 1)
    assert raw(short.replace("Signature=", "Signature=0")) == (403, "SignatureDoesNotMatch")
    time.sleep(2.1)
    assert raw(short) == (403, "AccessDenied")


@pytest.mark.fact("Signature version 2 is not supported", S3_ERRORS)
def test_old_method(enforcing: Server) -> None:
    url = presigned(enforcing, user(enforcing, {"Action": "s3:*"}), 60, version="s3")

    assert raw(url) == (400, "InvalidRequest")


# Identities


@pytest.mark.fact(
    "GetCallerIdentity needs no permission, and names users, sessions and roots", sts("GetCallerIdentity")
)
def test_caller_identity(enforcing: Server) -> None:
    person = user(enforcing, ASSUMES)
    session = person.assumes(role(enforcing, trust({"AWS": ACCOUNT})), RoleSessionName="build")

    assert person.client("sts").get_caller_identity()["Arn"] == person.arn
    assert enforcing.client("sts").get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    found = session.client("sts").get_caller_identity()
    assert found["Arn"] == session.arn
    assert found["Arn"].startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/")
    assert found["UserId"].startswith("AROA")
    assert found["UserId"].endswith(":build")


@pytest.mark.fact("The root of an account may not assume roles", iam_guide("id_roles_use"))
def test_root_assumes_nothing(enforcing: Server) -> None:
    arn = role(enforcing, trust({"AWS": "*"}))

    with refused("AccessDenied", 403, "Roles may not be assumed by root accounts."):
        enforcing.client("sts").assume_role(RoleArn=arn, RoleSessionName="root")


@pytest.mark.fact("A session has the permissions of its role, and not those of who assumed it", sts("AssumeRole"))
def test_role_permissions(enforcing: Server) -> None:
    person = user(enforcing, ASSUMES, {"Action": "s3:*"})
    session = person.assumes(role(enforcing, trust({"AWS": ACCOUNT}), LISTS))

    session.client("ec2").describe_vpcs()
    with refused("AccessDenied", 403, f"User: {session.arn} is not authorized to perform: s3:ListAllMyBuckets"):
        session.client("s3").list_buckets()


@pytest.mark.fact("A role that trusts nobody else cannot be assumed, whatever one's policies", TRUST)
def test_trust_is_needed(enforcing: Server) -> None:
    person = user(enforcing, {"Action": "*"})

    for principal in ({"Service": "ec2.amazonaws.com"}, {"AWS": user(enforcing).arn}):
        with refused("AccessDenied", 403, "sts:AssumeRole"):
            person.assumes(role(enforcing, trust(principal)))
    with refused("AccessDenied", 403, "sts:AssumeRole"):
        person.assumes(f"arn:aws:iam::{ACCOUNT}:role/none")


@pytest.mark.fact("A role that trusts the account leaves it to the policies of the account's users", TRUST)
def test_trust_of_the_account(enforcing: Server) -> None:
    arn = role(enforcing, trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}))

    user(enforcing, ASSUMES).assumes(arn)
    with refused("AccessDenied", 403):
        user(enforcing).assumes(arn)


@pytest.mark.fact("A user whom the role's trust policy names needs no policy of their own", CROSS)
def test_trust_of_a_user(enforcing: Server) -> None:
    person = user(enforcing)

    person.assumes(role(enforcing, trust({"AWS": person.arn})))


@pytest.mark.fact("A trust policy can require an external id", iam_guide("id_roles_common-scenarios_third-party"))
def test_external_id(enforcing: Server) -> None:
    condition = {"StringEquals": {"sts:ExternalId": "secret"}}
    arn = role(enforcing, trust({"AWS": ACCOUNT}, Condition=condition))
    person = user(enforcing, ASSUMES)

    person.assumes(arn, ExternalId="secret")
    for options in ({}, {"ExternalId": "other"}):
        with refused("AccessDenied", 403):
            person.assumes(arn, **options)


@pytest.mark.fact("Another account's role has to trust, and one's own policies have to allow", CROSS)
def test_other_accounts_role(enforcing: Server) -> None:
    iam_there, name = other_account(enforcing, "iam"), unique("role")
    document = trust({"AWS": ACCOUNT})
    arn = iam_there.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam_there.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy(LISTS))

    session = user(enforcing, ASSUMES).assumes(arn)
    assert session.client("sts").get_caller_identity()["Account"] == OTHER_ACCOUNT
    assert session.client("ec2").describe_vpcs()["Vpcs"][0]["OwnerId"] == OTHER_ACCOUNT
    with refused("AccessDenied", 403):
        user(enforcing).assumes(arn)


# Sessions


@pytest.mark.fact("A session policy limits the session to what both it and the role's policies allow", SESSIONS)
def test_session_policy(enforcing: Server) -> None:
    arn = role(enforcing, trust({"AWS": ACCOUNT}), LISTS, {"Action": "s3:*"})
    person = user(enforcing, ASSUMES)
    session = person.assumes(arn, Policy=policy({"Action": ["s3:*", "ssm:*"]}))

    session.client("s3").list_buckets()
    with refused("UnauthorizedOperation", 403, "because no session policy allows the ec2:DescribeVpcs action"):
        session.client("ec2").describe_vpcs()
    with refused("AccessDeniedException", 400, "because no identity-based policy allows"):
        session.client("ssm").describe_parameters()
    managed = person.assumes(arn, PolicyArns=[{"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}])
    managed.client("s3").list_buckets()
    with refused("UnauthorizedOperation", 403):
        managed.client("ec2").describe_vpcs()


@pytest.mark.fact("A role's permissions boundary limits its sessions", iam_guide("access_policies_boundaries"))
def test_boundary_of_a_role(enforcing: Server) -> None:
    root = enforcing.client("iam")
    limit = root.create_policy(PolicyName=unique("limit"), PolicyDocument=policy({"Action": "s3:*"}))["Policy"]["Arn"]
    arn = role(enforcing, trust({"AWS": ACCOUNT}), {"Action": "*"}, PermissionsBoundary=limit)
    session = user(enforcing, ASSUMES).assumes(arn)

    session.client("s3").list_buckets()
    with refused("UnauthorizedOperation", 403, "because no permissions boundary allows"):
        session.client("ec2").describe_vpcs()


@pytest.mark.fact("Session tags need sts:TagSession on both sides, and are aws:PrincipalTag", TAGS)
def test_session_tags(enforcing: Server) -> None:
    by_tag = {**LISTS, "Condition": {"StringEquals": {"aws:PrincipalTag/team": "web"}}}
    both = ["sts:AssumeRole", "sts:TagSession"]
    arn = role(enforcing, trust({"AWS": ACCOUNT}, both), by_tag)
    given = {"Tags": [{"Key": "team", "Value": "web"}]}
    person = user(enforcing, {"Action": both})

    person.assumes(arn, **given).client("ec2").describe_vpcs()
    with refused("UnauthorizedOperation", 403):
        person.assumes(arn).client("ec2").describe_vpcs()
    with refused("AccessDenied", 403, "sts:TagSession"):
        person.assumes(role(enforcing, trust({"AWS": ACCOUNT})), **given)


@pytest.mark.fact("A session lasts at most the role's MaxSessionDuration, and a chained one an hour", sts("AssumeRole"))
def test_durations(enforcing: Server) -> None:
    arn = role(enforcing, trust({"AWS": ACCOUNT}), ASSUMES, MaxSessionDuration=7200)
    person = user(enforcing, ASSUMES)

    session = person.assumes(arn, DurationSeconds=7200)
    with refused("ValidationError", 400, "MaxSessionDuration"):
        person.assumes(arn, DurationSeconds=7201)
    with refused("ValidationError", 400, "role chaining"):
        session.assumes(arn, DurationSeconds=7200)
    session.assumes(arn)


@pytest.mark.parametrize(
    ("service", "call", "code", "status"),
    [
        pytest.param("ec2", "describe_vpcs", "AuthFailure", 401, id="ec2"),
        pytest.param("s3", "list_buckets", "InvalidToken", 400, id="s3"),
        pytest.param(
            "sts",
            "get_caller_identity",
            "InvalidClientTokenId",
            403,
            marks=pytest.mark.fact("Temporary keys need their session token", iam_guide("id_credentials_temp")),
        ),
    ],
)
def test_wrong_token(enforcing: Server, service: str, call: str, code: str, status: int) -> None:
    session = user(enforcing, ASSUMES).assumes(role(enforcing, trust({"AWS": ACCOUNT})))

    with refused(code, status):
        getattr(enforcing.client(service, session.key, REGION, "other", session.secret), call)()


@pytest.mark.fact("GetSessionToken gives a user's permissions, without those for IAM", sts("GetSessionToken"))
def test_session_token(enforcing: Server) -> None:
    person = user(enforcing, LISTS, {"Action": "iam:*"})
    session = of_session(enforcing, person.client("sts").get_session_token()["Credentials"])

    assert session.client("sts").get_caller_identity()["Arn"] == person.arn
    session.client("ec2").describe_vpcs()
    with refused("InvalidClientTokenId", 403):
        session.client("iam").list_users()


@pytest.mark.fact("Sessions of a deleted role are over", iam("DeleteRole"))
def test_deleted_role(enforcing: Server) -> None:
    arn = role(enforcing, trust({"AWS": ACCOUNT}))
    session = user(enforcing, ASSUMES).assumes(arn)

    enforcing.client("iam").delete_role(RoleName=arn.rpartition("/")[2])

    with refused("InvalidClientTokenId", 403):
        session.client("sts").get_caller_identity()


@pytest.mark.fact("A changed policy counts for the sessions that there are", iam_guide("id_roles_use_revoke-sessions"))
def test_revoked_sessions(enforcing: Server) -> None:
    arn = role(enforcing, trust({"AWS": ACCOUNT}), LISTS)
    session: Person = user(enforcing, ASSUMES).assumes(arn)
    session.client("ec2").describe_vpcs()
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    older = {"Effect": "Deny", "Action": "*", "Condition": {"DateLessThan": {"aws:TokenIssueTime": tomorrow}}}

    enforcing.client("iam").put_role_policy(
        RoleName=arn.rpartition("/")[2], PolicyName="AWSRevokeOlderSessions", PolicyDocument=policy(older)
    )

    with refused("UnauthorizedOperation", 403, "with an explicit deny"):
        session.client("ec2").describe_vpcs()
