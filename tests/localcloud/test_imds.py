"""The instance metadata service, as instances see it."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.localcloud.server_support import REGION, Server

pytestmark = pytest.mark.engine

BASE = "http://169.254.169.254"
TOKEN = f"$(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' {BASE}/latest/api/token)"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


class Guest:
    """An instance that asks the service.

    Args:
        server: The cloud.
        arguments: Of RunInstances.
    """

    def __init__(self, server: Server, **arguments: Any) -> None:
        self.server = server
        self.description = server.launch_running(**arguments)
        self.id: str = self.description["InstanceId"]

    def run(self, *lines: str) -> str:
        """Run a script and return what it prints."""
        done = self.server.command(self.id, *lines)
        assert done["Status"] == "Success", done
        return str(done["StandardOutputContent"]).rstrip("\n")

    def documents(self, *paths: str) -> list[str]:
        """Return the documents at these paths below `meta-data/`, read with one token."""
        marker = "=====\n"
        lines = [f"t={TOKEN}"]
        for path in paths:
            lines += [f'curl -sf -H "X-aws-ec2-metadata-token: $t" {BASE}/latest/{path}', f"printf '\\n{marker}'"]
        return [text.removesuffix("\n") for text in (self.run(*lines) + "\n").split(marker)[:-1]]

    def status(self, path: str, *options: str) -> str:
        """Return the HTTP status of a request, 000 when there is no answer."""
        return self.run(f"curl -s -m 2 -o /dev/null -w '%{{http_code}}' {' '.join(options)} {BASE}{path} || true")


@pytest.fixture(scope="module")
def profile(server: Server) -> str:
    """An instance profile with a role."""
    iam = server.client("iam")
    iam.create_role(RoleName="guest", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.create_instance_profile(InstanceProfileName="guests")
    iam.add_role_to_instance_profile(InstanceProfileName="guests", RoleName="guest")
    return "guests"


@pytest.fixture(scope="module")
def guest(server: Server, profile: str) -> Iterator[Guest]:
    """An instance with all that the service tells about."""
    return Guest(
        server,
        UserData="#!/bin/sh\ntrue\n",
        IamInstanceProfile={"Name": profile},
        MetadataOptions={"InstanceMetadataTags": "enabled"},
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "a guest"}]}],
    )


def test_an_instance_finds_what_the_api_reports_of_it(guest: Guest) -> None:
    """Every document agrees with DescribeInstances."""
    instance = guest.description
    paths = {
        "instance-id": instance["InstanceId"],
        "ami-id": instance["ImageId"],
        "instance-type": instance["InstanceType"],
        "local-ipv4": instance["PrivateIpAddress"],
        "public-ipv4": instance["PublicIpAddress"],
        "local-hostname": instance["PrivateDnsName"],
        "placement/availability-zone": instance["Placement"]["AvailabilityZone"],
        "placement/region": REGION,
        "security-groups": "default",
        "tags/instance/": "Name",
        "tags/instance/Name": "a guest",
        "iam/security-credentials/": "guest",
        f"network/interfaces/macs/{instance['NetworkInterfaces'][0]['MacAddress']}/subnet-id": instance["SubnetId"],
    }

    found = guest.documents(*(f"meta-data/{path}" for path in paths))

    assert dict(zip(paths, found, strict=True)) == paths


def test_credentials_of_the_profile_are_those_of_its_role(guest: Guest) -> None:
    """What the service gives signs requests as the role."""
    info, text = map(json.loads, guest.documents("meta-data/iam/info", "meta-data/iam/security-credentials/guest"))

    keys = guest.server.client("sts", text["AccessKeyId"], token=text["Token"], secret=text["SecretAccessKey"])
    assert keys.get_caller_identity()["Arn"].endswith(f":assumed-role/guest/{guest.id}")
    assert info["InstanceProfileArn"].endswith(":instance-profile/guests")
    assert (text["Code"], text["Type"]) == ("Success", "AWS-HMAC")


def test_user_data_and_identity_document(guest: Guest) -> None:
    """User data is as it was given; the document has what SDKs look for."""
    user_data, document = guest.documents("user-data", "dynamic/instance-identity/document")

    assert user_data == "#!/bin/sh\ntrue\n"
    identity = json.loads(document)
    assert (identity["instanceId"], identity["region"]) == (guest.id, REGION)
    assert identity["accountId"] == guest.server.admin("health")["account_id"]


def test_tokens_are_optional_unless_the_instance_requires_them(guest: Guest) -> None:
    """IMDSv1 is answered until HttpTokens is `required`; a wrong token never is."""
    path, ec2 = "/latest/meta-data/instance-id", guest.server.client("ec2")
    assert guest.status(path) == "200"
    assert guest.status(path, "-H 'X-aws-ec2-metadata-token: wrong'") == "401"

    ec2.modify_instance_metadata_options(InstanceId=guest.id, HttpTokens="required")
    assert guest.status(path) == "401"
    assert guest.documents("meta-data/instance-id") == [guest.id]

    ec2.modify_instance_metadata_options(InstanceId=guest.id, HttpTokens="optional")


def test_a_token_needs_a_time_and_no_proxy(guest: Guest) -> None:
    """A request for a token without seconds, with too many, or through a proxy gets none."""
    path, seconds = "/latest/api/token", "-H 'X-aws-ec2-metadata-token-ttl-seconds: {}'"

    assert guest.status(path, "-X PUT") == "400"
    assert guest.status(path, "-X PUT", seconds.format(21601)) == "400"
    assert guest.status(path, "-X PUT", seconds.format(60), "-H 'X-Forwarded-For: 192.0.2.1'") == "403"


def test_unknown_documents_and_a_disabled_endpoint(guest: Guest) -> None:
    """What does not exist is 404; with HttpEndpoint disabled everything is 403."""
    assert guest.status("/latest/meta-data/no-such-thing") == "404"

    ec2 = guest.server.client("ec2")
    ec2.modify_instance_metadata_options(InstanceId=guest.id, HttpEndpoint="disabled")
    assert guest.status("/latest/meta-data/") == "403"
    ec2.modify_instance_metadata_options(InstanceId=guest.id, HttpEndpoint="enabled")


def test_a_token_goes_no_further_than_the_hop_limit(guest: Guest) -> None:
    """A socket that drops what has fewer hops left stands for somebody further away."""
    script = f"""python3 - <<'END'
import socket
service = socket.create_connection(("{BASE.removeprefix("http://")}", 80), 2)
service.setsockopt(socket.IPPROTO_IP, 21, 2)  # IP_MINTTL
service.sendall(b"PUT /latest/api/token HTTP/1.1\\r\\nHost: x\\r\\nX-aws-ec2-metadata-token-ttl-seconds: 9\\r\\n\\r\\n")
try:
    print(service.recv(999).split()[1].decode())
except TimeoutError:
    print("nothing")
END"""
    ec2 = guest.server.client("ec2")
    answers = []
    for hops in (1, 2):
        ec2.modify_instance_metadata_options(InstanceId=guest.id, HttpPutResponseHopLimit=hops)
        answers.append(guest.run(script))

    assert answers == ["nothing", "200"]


def test_an_instance_without_a_profile_has_no_credentials(server: Server) -> None:
    """Nor has it tags, unless its options allow them."""
    guest = Guest(server)

    assert guest.status("/latest/meta-data/iam/info") == "404"
    assert guest.status("/latest/meta-data/tags/instance/") == "404"


def test_the_api_does_not_answer_as_the_service(server: Server) -> None:
    """Nobody outside an instance gets metadata, which would be invented."""
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(f"{server.url}/latest/meta-data/", timeout=5)

    refusal.value.close()
    assert refusal.value.code == 404
