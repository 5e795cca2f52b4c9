"""What policies mean: operators, patterns, and who has to consent."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from localcloud.iam import conditions, policies
from localcloud.iam.conditions import UnknownKeyError
from localcloud.iam.evaluation import Guard, Request, refusal
from localcloud.iam.principals import ALLOW_ALL, Principal, root

ACCOUNT = "123456789012"
OTHER = "210987654321"
KEYS = {
    "aws:username": ("alice",),
    "aws:PrincipalTag/team": ("web",),
    "aws:TagKeys": ("team", "cost"),
    "aws:CurrentTime": ("2026-06-01T12:00:00Z",),
    "aws:SourceIp": ("10.1.2.3",),
    "aws:SecureTransport": ("false",),
    "s3:max-keys": ("10",),
    "aws:SourceArn": (f"arn:aws:s3:::bucket/{'a' * 3}",),
    "wild": ("a*c",),
}


class Values:
    """Condition keys of a test; `unknown:` starts those of which nothing is known."""

    def __init__(self, values: Mapping[str, Sequence[str]] = KEYS) -> None:
        self._values = {key.lower(): value for key, value in values.items()}

    def values(self, key: str) -> Sequence[str] | None:
        """Return the values of a key."""
        if key.startswith("unknown:"):
            raise UnknownKeyError(key)
        return self._values.get(key.lower())


def holds(operator: str, key: str, *wanted: str) -> bool | None:
    """Return whether a condition of one key holds."""
    (test,) = conditions.read({operator: {key: list(wanted)}})
    return test.holds(Values(), variables=True)


@pytest.mark.parametrize(
    ("operator", "key", "wanted", "expected"),
    [
        ("StringEquals", "aws:username", ["bob", "alice"], True),
        ("StringEquals", "AWS:UserName", ["alice"], True),
        ("StringEquals", "aws:username", ["Alice"], False),
        ("StringEqualsIgnoreCase", "aws:username", ["Alice"], True),
        ("StringNotEquals", "aws:username", ["bob", "alice"], False),
        ("StringNotEquals", "aws:none", ["bob"], True),
        ("StringEquals", "aws:none", ["bob"], False),
        ("StringEqualsIfExists", "aws:none", ["bob"], True),
        ("StringEqualsIfExists", "aws:username", ["bob"], False),
        ("StringLike", "aws:username", ["a*", "b"], True),
        ("StringLike", "aws:username", ["alic?"], True),
        ("StringLike", "aws:username", ["ali"], False),
        ("StringNotLike", "aws:username", ["a*"], False),
        ("StringEquals", "aws:username", ["a*"], False),
        ("StringLike", "aws:PrincipalTag/team", ["${aws:PrincipalTag/team}"], True),
        ("StringEquals", "aws:username", ["${aws:none}"], False),
        ("StringNotEquals", "aws:username", ["${aws:none}"], None),
        ("StringEquals", "aws:username", ["${aws:none, 'alice'}"], True),
        ("StringLike", "aws:username", ["${*}lice"], False),
        ("StringLike", "wild", ["a${*}c"], True),
        ("StringLike", "aws:username", ["${wild}"], False),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["team", "cost", "more"], True),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["team"], False),
        ("ForAllValues:StringEquals", "aws:none", ["team"], True),
        ("ForAnyValue:StringEquals", "aws:TagKeys", ["team"], True),
        ("ForAnyValue:StringEquals", "aws:TagKeys", ["other"], False),
        ("ForAnyValue:StringEquals", "aws:none", ["team"], False),
        ("ForAnyValue:StringNotEquals", "aws:TagKeys", ["team"], True),
        ("ForAllValues:StringNotEquals", "aws:TagKeys", ["team"], False),
        ("ForAllValues:StringLike", "aws:TagKeys", ["t*", "c*"], True),
        ("NumericEquals", "s3:max-keys", ["10.0"], True),
        ("NumericNotEquals", "s3:max-keys", ["10"], False),
        ("NumericLessThan", "s3:max-keys", ["10"], False),
        ("NumericLessThanEquals", "s3:max-keys", ["10"], True),
        ("NumericGreaterThan", "s3:max-keys", ["9"], True),
        ("NumericLessThan", "aws:username", ["9"], None),
        ("DateGreaterThan", "aws:CurrentTime", ["2026-06-01T11:59:59Z"], True),
        ("DateLessThan", "aws:CurrentTime", ["2026-06-01"], False),
        ("DateLessThanEquals", "aws:CurrentTime", ["1780315200"], True),
        ("DateEquals", "aws:CurrentTime", ["2026-06-01T12:00:00Z"], True),
        ("Bool", "aws:SecureTransport", ["false"], True),
        ("Bool", "aws:SecureTransport", ["true"], False),
        ("BoolIfExists", "aws:MultiFactorAuthPresent", ["true"], True),
        ("Null", "aws:none", ["true"], True),
        ("Null", "aws:username", ["true"], False),
        ("Null", "aws:username", ["false"], True),
        ("IpAddress", "aws:SourceIp", ["10.0.0.0/8"], True),
        ("NotIpAddress", "aws:SourceIp", ["10.0.0.0/8"], False),
        ("IpAddress", "aws:SourceIp", ["10.1.2.3"], True),
        ("IpAddress", "aws:SourceIp", ["nonsense"], None),
        ("ArnLike", "aws:SourceArn", ["arn:aws:s3:::bucket/*"], True),
        ("ArnEquals", "aws:SourceArn", ["arn:aws:s3:::*"], True),
        ("ArnNotLike", "aws:SourceArn", ["arn:aws:sns:*:*:*"], True),
        ("ArnLike", "aws:SourceArn", ["arn:aws:s*:bucket/aaa"], False),
        ("StringResembles", "aws:username", ["alice"], None),
        ("ForSomeValues:StringEquals", "aws:username", ["alice"], None),
        ("StringEquals", "unknown:key", ["alice"], None),
        ("StringEqualsIfExists", "unknown:key", ["alice"], None),
        ("Null", "unknown:key", ["true"], None),
    ],
)
def test_operators(operator: str, key: str, wanted: list[str], expected: bool | None) -> None:
    """None is what cannot be evaluated."""
    assert holds(operator, key, *wanted) is expected


@pytest.mark.parametrize(
    ("pattern", "arn", "expected"),
    [
        ("arn:aws:ec2:*:*:instance/*", "arn:aws:ec2:eu-west-1:1:instance/i-1", True),
        ("arn:aws:ec2:eu-west-1::image/ami-1", "arn:aws:ec2:eu-west-1::image/ami-1", True),
        ("arn:aws:ec2:*", "arn:aws:ec2:eu-west-1:1:instance/i-1", True),
        ("arn:aws:ec2:*:instance/i-1", "arn:aws:ec2:eu-west-1:1:instance/i-1", False),
        ("arn:aws:s3:::bucket/${aws:username}/*", "arn:aws:s3:::bucket/alice/x/y", True),
        ("arn:aws:s3:::bucket/${aws:username}/*", "arn:aws:s3:::bucket/bob/x", False),
        ("arn:aws:s3:::bucket/${wild}", "arn:aws:s3:::bucket/abc", False),
        ("arn:aws:s3:::bucket/${aws:none}", "arn:aws:s3:::bucket/", False),
        ("arn:aws:s3:::b?cket", "arn:aws:s3:::bucket", True),
        ("*", "*", True),
        ("arn:aws:ec2:*:*:instance/*", "*", False),
        (
            "arn:aws:autoscaling:eu-west-1:1:autoScalingGroup:*:autoScalingGroupName/web",
            "arn:aws:autoscaling:eu-west-1:1:autoScalingGroup:*:autoScalingGroupName/web",
            True,
        ),
    ],
)
def test_resources(pattern: str, arn: str, *, expected: bool) -> None:
    (statement,) = policies.parse(document(statement_for("x:Do", pattern)))

    assert statement.applies("x:Do", arn, Values()) is expected


def statement_for(action: Any = "x:Do", resource: Any = "*", effect: str = "Allow", **more: Any) -> dict[str, Any]:
    """Return a statement."""
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def document(*statements: dict[str, Any], version: str = "2012-10-17") -> str:
    """Return a policy document."""
    return json.dumps({"Version": version, "Statement": list(statements)})


def someone(*identity: str, **more: Any) -> Principal:
    """Return a user with those policies."""
    arn = f"arn:aws:iam::{ACCOUNT}:user/alice"
    forms = frozenset({"*", arn, f"arn:aws:iam::{ACCOUNT}:root"})
    return Principal("User", ACCOUNT, arn, "AIDA", "alice", forms, identity=identity, **more)


def session(*identity: str, **more: Any) -> Principal:
    """Return a session of a role with those policies."""
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/build/s"
    forms = frozenset({"*", arn, f"arn:aws:iam::{ACCOUNT}:role/build", f"arn:aws:iam::{ACCOUNT}:root"})
    return Principal("AssumedRole", ACCOUNT, arn, "AROA:s", forms=forms, identity=identity, **more)


DO = Request("x:Do", "arn:aws:x:r:1:thing/a", Values())
ALLOWS = document(statement_for())
DENIES = document(statement_for(effect="Deny"))
OTHERS = document(statement_for("x:Other"))
IDENTITY = "because no identity-based policy allows the x:Do action"


def of_resource(principal: Any, effect: str = "Allow") -> str:
    """Return the policy of a resource."""
    return document({"Effect": effect, "Principal": principal, "Action": "x:Do", "Resource": "*"})


@pytest.mark.parametrize(
    ("principal", "reason"),
    [
        pytest.param(someone(), IDENTITY, id="nothing"),
        pytest.param(someone(ALLOWS), None, id="allowed"),
        pytest.param(someone(OTHERS, ALLOWS), None, id="by one of several"),
        pytest.param(someone(ALLOWS, DENIES), "with an explicit deny in an identity-based policy", id="denied"),
        pytest.param(someone(ALLOWS, boundary=ALLOW_ALL), None, id="within the boundary"),
        pytest.param(
            someone(ALLOWS, boundary=OTHERS), "because no permissions boundary allows the x:Do action", id="beyond"
        ),
        pytest.param(someone(boundary=ALLOW_ALL), IDENTITY, id="a boundary allows nothing"),
        pytest.param(
            someone(ALLOWS, boundary=DENIES), "with an explicit deny in a permissions boundary", id="boundary denies"
        ),
        pytest.param(session(ALLOWS, limits=(OTHERS, ALLOWS)), None, id="one of several session policies"),
        pytest.param(
            session(ALLOWS, limits=(OTHERS,)), "because no session policy allows the x:Do action", id="session policy"
        ),
        pytest.param(session(limits=(ALLOWS,)), IDENTITY, id="a session policy allows nothing"),
        pytest.param(root(ACCOUNT), None, id="root"),
    ],
)
def test_policies_of_identities(principal: Principal, reason: str | None) -> None:
    assert refusal(principal, DO) == reason


USER = f"arn:aws:iam::{ACCOUNT}:user/alice"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/build"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/build/s"


@pytest.mark.parametrize(
    ("principal", "policy", "owner", "allowed"),
    [
        pytest.param(someone(), {"AWS": USER}, ACCOUNT, True, id="the user is named"),
        pytest.param(someone(boundary=OTHERS), {"AWS": USER}, ACCOUNT, True, id="a boundary does not limit that"),
        pytest.param(someone(), {"AWS": ACCOUNT}, ACCOUNT, False, id="the account is named"),
        pytest.param(someone(ALLOWS), {"AWS": ACCOUNT}, ACCOUNT, True, id="the account, and an own policy"),
        pytest.param(someone(), "*", ACCOUNT, True, id="everybody"),
        pytest.param(someone(), {"Service": "ec2.amazonaws.com"}, ACCOUNT, False, id="a service"),
        pytest.param(session(), {"AWS": ROLE}, ACCOUNT, True, id="the role is named"),
        pytest.param(session(limits=(OTHERS,)), {"AWS": ROLE}, ACCOUNT, False, id="but its session is limited"),
        pytest.param(session(limits=(OTHERS,)), {"AWS": SESSION}, ACCOUNT, True, id="the session is named"),
        pytest.param(someone(), {"AWS": USER}, OTHER, False, id="another account's, without an own policy"),
        pytest.param(someone(ALLOWS), {"AWS": USER}, OTHER, True, id="another account's, with both"),
        pytest.param(someone(ALLOWS), {"AWS": OTHER}, OTHER, False, id="another account's, which trusts itself"),
        pytest.param(someone(ALLOWS, boundary=OTHERS), {"AWS": USER}, OTHER, False, id="across accounts it is limited"),
    ],
)
def test_policies_of_resources(principal: Principal, policy: Any, owner: str, *, allowed: bool) -> None:
    found = refusal(principal, DO, Guard(of_resource(policy), owner))

    assert (found is None) is allowed


def test_a_resource_policy_denies_everybody_it_names() -> None:
    guard = Guard(of_resource({"AWS": USER}, "Deny"), ACCOUNT)

    assert refusal(someone(ALLOWS), DO, guard) == "with an explicit deny in a resource-based policy"
    assert refusal(session(ALLOWS), DO, guard) is None


def test_not_principal_denies_all_others() -> None:
    statement = {"Effect": "Deny", "NotPrincipal": {"AWS": USER}, "Action": "x:Do", "Resource": "*"}
    guard = Guard(document(statement), ACCOUNT)

    assert refusal(someone(ALLOWS), DO, guard) is None
    assert refusal(session(ALLOWS), DO, guard) == "with an explicit deny in a resource-based policy"


def test_a_trust_policy_has_to_consent_also_within_the_account() -> None:
    reason = "because no role trust policy allows the x:Do action"
    for policy in ("", of_resource({"Service": "ec2.amazonaws.com"})):
        guard = Guard(policy, ACCOUNT, "role trust policy", decides=True)
        assert refusal(someone(ALLOWS), DO, guard) == reason


UNKNOWN = {"Condition": {"StringEquals": {"unknown:key": "a"}}}


@pytest.mark.parametrize(
    ("documents", "reason"),
    [
        pytest.param([document(statement_for(**UNKNOWN))], IDENTITY, id="an Allow that is unknown does not apply"),
        pytest.param(
            [ALLOWS, document(statement_for(effect="Deny", **UNKNOWN))],
            "with an explicit deny in an identity-based policy",
            id="a Deny that is unknown does",
        ),
        pytest.param(
            [
                ALLOWS,
                document(
                    statement_for(
                        effect="Deny",
                        Condition={"StringEquals": {"unknown:key": "a"}, "Bool": {"aws:SecureTransport": "true"}},
                    )
                ),
            ],
            None,
            id="unless another of its conditions does not hold",
        ),
        pytest.param([document(statement_for(resource="arn:aws:x:r:1:${unknown:key}"))], IDENTITY, id="a variable"),
        pytest.param(
            [ALLOWS, '{"Statement": [{"Effect": "Perhaps"}]}'],
            "with an explicit deny in an identity-based policy",
            id="a document that cannot be read",
        ),
        pytest.param(
            [ALLOWS, document({**statement_for(), "NotAction": "y:*"})],
            "with an explicit deny in an identity-based policy",
            id="contradictory elements",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_refused(documents: list[str], reason: str | None) -> None:
    assert refusal(someone(*documents), DO) == reason


def test_policies_of_the_first_version_have_no_variables() -> None:
    literal = statement_for(resource="arn:aws:x:r:1:${aws:username}")
    own = Request("x:Do", "arn:aws:x:r:1:alice", Values())

    assert refusal(someone(document(literal)), own) is None
    assert refusal(someone(document(literal, version="2008-10-17")), own) is not None


@pytest.mark.parametrize(
    ("elements", "action", "applies"),
    [
        ({"Action": "X:d*"}, "x:Do", True),
        ({"Action": ["y:*", "x:D?"]}, "x:Do", True),
        ({"Action": "x:D"}, "x:Do", False),
        ({"NotAction": ["y:*"]}, "x:Do", True),
        ({"NotAction": ["x:*"]}, "x:Do", False),
    ],
)
def test_actions(elements: dict[str, Any], action: str, *, applies: bool) -> None:
    (statement,) = policies.parse(document({"Effect": "Allow", "Resource": "*", **elements}))

    assert statement.applies(action, "arn:aws:x:r:1:a", Values()) is applies
