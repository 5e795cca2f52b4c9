"""Enforced policies, as far as only a cloud in this process can be asked: instances' credentials, ends of sessions."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.moto_api._internal.models import moto_api_backend

from localcloud.__main__ import parse
from localcloud.cloud import ACCOUNT_ID, Cloud
from localcloud.iam import Enforcement, RootKey
from localcloud.iam.authentication import Authenticator
from localcloud.iam.principals import begin_session, iam_of
from localcloud.iam.sessions import credentials_of
from tests.localcloud.fault_support import Api, running_api
from tests.localcloud.server_support import REGION

ROOT = ("AKIAROOT", "secret")
EC2_TRUST = {"Service": "ec2.amazonaws.com"}


def enforcement(cloud: Cloud) -> Enforcement:
    """Return a gate that knows a root's key."""
    return Enforcement(cloud, Authenticator([RootKey(*ROOT, ACCOUNT_ID)]))


@pytest.fixture
def api() -> Iterator[Api]:
    """The API with policies enforced, in this process."""
    with running_api(enforcement) as api:
        moto_api_backend.reset()
        yield api
        moto_api_backend.reset()


def client(api: Api, service: str, key: str = ROOT[0], secret: str = ROOT[1], token: str | None = None) -> Any:
    """Return a client that signs with a key."""
    make: Any = boto3.client
    return make(
        service,
        region_name=REGION,
        endpoint_url=api.url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )


def refusal(call: Any, **arguments: Any) -> tuple[str, str]:
    """Return the code and the message with which a call is refused."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    return str(error["Code"]), str(error["Message"])


def document(**statement: Any) -> str:
    """Return a policy of one statement."""
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def instance_with_profile(api: Api, principal: Any = EC2_TRUST, **statement: Any) -> Any:
    """Launch an instance with a profile whose role trusts somebody, and has a policy of one statement."""
    iam, ec2 = client(api, "iam"), client(api, "ec2")
    trust = document(Action="sts:AssumeRole", Principal=principal)
    iam.create_role(RoleName="web", AssumeRolePolicyDocument=trust)
    if statement:
        iam.put_role_policy(RoleName="web", PolicyName="own", PolicyDocument=document(**statement))
    iam.create_instance_profile(InstanceProfileName="web")
    iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
    launched = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, IamInstanceProfile={"Name": "web"})
    return api.cloud.instance(launched["Instances"][0]["InstanceId"])


def of_instance(api: Api, instance: Any, service: str) -> Any:
    """Return a client with the credentials that the instance has."""
    keys = credentials_of(instance)
    return client(api, service, keys["AccessKeyId"], keys["SecretAccessKey"], keys["Token"])


def test_an_instance_has_the_permissions_of_its_profiles_role(api: Api) -> None:
    instance = instance_with_profile(api, Action="ec2:Describe*", Resource="*")

    of_instance(api, instance, "ec2").describe_vpcs()
    code, message = refusal(of_instance(api, instance, "s3").list_buckets)

    assert code == "AccessDenied"
    assert f"User: arn:aws:sts::{ACCOUNT_ID}:assumed-role/web/{instance.id} is not authorized" in message


@pytest.mark.parametrize("key", ["ec2:SourceInstanceArn", "aws:userid"])
def test_policies_can_name_the_instance(api: Api, key: str) -> None:
    instance = instance_with_profile(
        api, Action="ec2:DescribeVpcs", Resource="*", Condition={"StringLike": {key: ["*:i-*", "arn:*:instance/i-*"]}}
    )

    of_instance(api, instance, "ec2").describe_vpcs()


def test_an_instances_credentials_stay_the_same_until_they_are_about_to_expire(api: Api) -> None:
    instance = instance_with_profile(api)

    first, second = credentials_of(instance), credentials_of(instance)

    assert first == second
    assert set(first) > {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}
    assert first["AccessKeyId"].startswith("ASIA")


def test_an_instance_whose_role_does_not_trust_ec2_has_no_credentials(api: Api) -> None:
    assert credentials_of(instance_with_profile(api, {"AWS": ACCOUNT_ID}))["Code"] == "AssumeRoleUnauthorizedAccess"


def test_an_instance_without_a_profile_has_no_credentials(api: Api) -> None:
    launched = client(api, "ec2").run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)

    assert credentials_of(api.cloud.instance(launched["Instances"][0]["InstanceId"])) == {}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("ec2", "describe_vpcs", "RequestExpired"),
        ("s3", "list_buckets", "ExpiredToken"),
        ("sts", "get_caller_identity", "ExpiredToken"),
        ("ssm", "describe_parameters", "ExpiredTokenException"),
    ],
)
def test_a_session_ends(api: Api, service: str, call: str, code: str) -> None:
    instance = instance_with_profile(api)
    keys = credentials_of(instance)
    key = iam_of(ACCOUNT_ID).access_keys[keys["AccessKeyId"]]
    begin_session(key, -1, token=keys["Token"], role_arn=f"arn:aws:iam::{ACCOUNT_ID}:role/web")

    late = client(api, service, keys["AccessKeyId"], keys["SecretAccessKey"], keys["Token"])

    assert refusal(getattr(late, call))[0] == code


def test_a_request_whose_resource_is_not_known_is_refused(api: Api) -> None:
    """Whoever may do everything may not do what cannot be evaluated; and the request log has the reason."""
    everything = of_instance(api, instance_with_profile(api, Action="*", Resource="*"), "ec2")

    code, _ = refusal(everything.delete_volume)

    assert code == "UnauthorizedOperation"
    assert "cannot evaluate ec2:DeleteVolume" in api.admin("GET", "requests")[-1]["missing"]


def test_a_client_cannot_choose_another_account(api: Api) -> None:
    """Moto takes the account from a header, which here is the signer's."""
    ec2 = client(api, "ec2")
    ec2.meta.events.register(
        "before-sign.ec2", lambda request, **_: request.headers.add_header("x-moto-account-id", "210987654321")
    )

    assert {vpc["OwnerId"] for vpc in ec2.describe_vpcs()["Vpcs"]} == {ACCOUNT_ID}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--enforce-iam"], id="without a key"),
        pytest.param(["--root-key", "ID:SECRET"], id="a key alone"),
        pytest.param(["--enforce-iam", "--root-key", "ID"], id="without a secret"),
        pytest.param(["--enforce-iam", "--root-key", "ID:SECRET:1"], id="no account"),
    ],
)
def test_a_command_line_that_is_half_of_it_is_refused(options: list[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--name", "a", "--port", "0", "--metadata-only", *options])


def test_root_keys_may_be_of_several_accounts() -> None:
    keys = ["--root-key", "A:b", "--root-key", "C:d:210987654321"]

    settings = parse(["--name", "a", "--port", "0", "--metadata-only", "--enforce-iam", *keys])

    assert settings.root_keys == [("A", "b", ""), ("C", "d", "210987654321")]
