"""A running embedded cloud as a test sees it, and how to start one."""

import contextlib
import ipaddress
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import docker
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from localcloud.engine import list_images

ROOT = Path(__file__).resolve().parents[2]
ENGINE = os.environ.get("REBAKE_ENGINE", "")
OS_IMAGE = os.environ.get("REBAKE_OS_IMAGE", "")
REGION = "eu-west-1"
ENFORCED = bool(os.environ.get("ENFORCE"))
"""Whether the clouds of the tests check signatures and evaluate policies: `make test ENFORCE=1`."""
SECRET = "any"
OTHER_ACCOUNT = "210987654321"
OTHER_ROOT = "AKIAOTHER"
ROOT_KEYS = ("AKIATEST", "AKIAREADER", "AKIAWRITER", "testing:testing", f"{OTHER_ROOT}:{SECRET}:{OTHER_ACCOUNT}")
"""The keys that tests sign with: all of roots."""
ENFORCING = (
    "--enforce-iam",
    *(part for key in ROOT_KEYS for part in ("--root-key", key if ":" in key else f"{key}:{SECRET}")),
)
SEED_PARAMETER = "/aws/service/debian/release/12/latest/amd64"


@cache  # making one takes longer than most of the requests that it sends
def _client(service: str, url: str, principal: str, region: str, token: str | None, secret: str) -> Any:
    client: Any = boto3.client  # the stubs know each service by its literal name
    return client(
        service,
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=principal,
        aws_secret_access_key=secret,
        aws_session_token=token,
        # boto3 presigns addresses of S3 by version 2 otherwise, which no bucket made since 2020 accepts.
        config=Config(retries={"total_max_attempts": 1}, signature_version="s3v4" if service == "s3" else None),
    )


@dataclass(frozen=True)
class Server:
    """A running embedded cloud, as a test sees it."""

    name: str
    url: str
    process: subprocess.Popen[str]
    engine: docker.APIClient | None = None
    """None where instances are records only."""

    def client(
        self,
        service: str,
        principal: str = "AKIATEST",
        region: str = REGION,
        token: str | None = None,
        secret: str = SECRET,
    ) -> Any:
        """Return a boto3 client of the service, signing with that access key id."""
        return _client(service, self.url, principal, region, token, secret)

    def client_of(self, account_id: str, service: str, region: str = REGION) -> Any:
        """Return a boto3 client of the service in another account: by a role there that is assumed, or as its root."""
        if ENFORCED:
            return self.client(service, OTHER_ROOT, region)
        role = f"arn:aws:iam::{account_id}:role/tests"
        keys = self.client("sts").assume_role(RoleArn=role, RoleSessionName="tests")["Credentials"]
        return self.client(service, keys["AccessKeyId"], region, keys["SessionToken"])

    def admin(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Query an admin endpoint and return its answer."""
        return admin(self.url, path, method, body)

    def seed_image(self) -> str:
        """Return the id of the AMI to begin with, looked up where Debian publishes it."""
        return str(self.client("ssm").get_parameter(Name=SEED_PARAMETER)["Parameter"]["Value"])

    def launch(self, **arguments: Any) -> str:
        """Launch one instance of the seed image, unless the arguments name another, and return its id at once."""
        request = {"ImageId": self.seed_image(), "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, **arguments}
        return str(self.client("ec2").run_instances(**request)["Instances"][0]["InstanceId"])

    def open_default_group(self) -> None:
        """Let this machine into the default security group, which admits only its own members otherwise."""
        gateway = ipaddress.ip_network(self.admin("health")["network_cidr"])[1]
        ranges = [{"CidrIp": "127.0.0.0/8"}, {"CidrIp": f"{gateway}/32"}]
        self.client("ec2").authorize_security_group_ingress(
            GroupName="default", IpPermissions=[{"IpProtocol": "-1", "IpRanges": ranges}]
        )

    def instance(self, instance_id: str) -> dict[str, Any]:
        """Describe one instance."""
        reservations = self.client("ec2").describe_instances(InstanceIds=[instance_id])["Reservations"]
        return dict(reservations[0]["Instances"][0])

    def wait_for_state(self, instance_id: str, state: str, seconds: float = 30) -> dict[str, Any]:
        """Wait for the instance to be in that state, and describe it."""
        wait_until(lambda: self.instance(instance_id)["State"]["Name"] == state, f"{instance_id} {state}", seconds)
        return self.instance(instance_id)

    def launch_running(self, **arguments: Any) -> dict[str, Any]:
        """Launch one instance, wait until it runs, and describe it."""
        return self.wait_for_state(self.launch(**arguments), "running")

    def command(self, instance_id: str, *lines: str, **parameters: list[str]) -> dict[str, Any]:
        """Run a script on the instance through Systems Manager, wait for its end, and return the invocation."""
        ssm = self.client("ssm")
        command_id = ssm.send_command(
            DocumentName="AWS-RunShellScript",
            InstanceIds=[instance_id],
            Parameters={"commands": list(lines), **parameters},
        )["Command"]["CommandId"]

        def invocation() -> dict[str, Any]:
            try:
                return dict(ssm.get_command_invocation(CommandId=command_id, InstanceId=instance_id))
            except ssm.exceptions.InvocationDoesNotExist:  # it was sent a moment ago
                return {"Status": "Pending"}

        wait_until(lambda: invocation()["Status"] not in ("Pending", "InProgress"), f"command {command_id} over", 60)
        return invocation()

    def containers(self) -> list[str]:
        """Return the names of the engine's containers that belong to this cloud, running or not."""
        assert self.engine is not None
        found = self.engine.containers(all=True, filters={"label": [f"rebake.localcloud={self.name}"]})
        return sorted(container["Names"][0].lstrip("/") for container in found)

    def images(self) -> list[str]:
        """Return the references of the engine's images that this cloud made."""
        assert self.engine is not None
        found = list_images(self.engine, {"label": [f"rebake.localcloud={self.name}"]})
        return sorted(tag for image in found for tag in image["RepoTags"] or [] if f"rebake-{self.name}:" in tag)

    def empty(self) -> None:
        """Drop everything that tests left, in every account and region."""
        with urllib.request.urlopen(f"{self.url}/moto-api/reset", data=b"", timeout=60) as answer:
            assert json.load(answer) == {"status": "ok"}


def signed_headers(
    url: str, service: str, method: str, body: bytes, headers: dict[str, str], ago: float = 0
) -> dict[str, str]:
    """Return the headers of a request that a root signed some seconds ago."""
    signer: Any = (S3SigV4Auth if service == "s3" else SigV4Auth)(Credentials("AKIATEST", SECRET), service, REGION)
    request: Any = AWSRequest(method, url, data=body, headers=headers)
    request.context["timestamp"] = (datetime.now(UTC) - timedelta(seconds=ago)).strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(request)  # the only way to sign at another time
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    signer._inject_signature_to_request(request, signature)  # as above
    return dict(request.headers.items())


def admin(url: str, path: str, method: str = "GET", body: Any = None) -> Any:
    """Query an admin endpoint of the cloud at that address and return its answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/_localcloud/{path}", method=method, data=data)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or "null")


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Return as soon as the condition holds; fail the test when it does not within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what}")
        time.sleep(0.05)


@contextlib.contextmanager
def started(name: str, *options: str, containers: bool = True) -> Iterator[subprocess.Popen[str]]:
    """Run `python -m localcloud` under that name, on a free port; it is terminated afterwards, and waited for."""
    machines = ["--engine", ENGINE, "--os-image", OS_IMAGE] if containers else ["--metadata-only"]
    command = [sys.executable, "-m", "localcloud", *machines, "--port", "0", *(ENFORCING if ENFORCED else ())]
    with subprocess.Popen([*command, "--name", name, *options], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


@contextlib.contextmanager
def serving_records(kind: str, *options: str) -> Iterator[Server]:
    """Run a cloud whose instances are records, named after what it is for and this process."""
    name = f"{kind}-{os.getpid()}"
    with started(name, *options, containers=False) as process:
        yield Server(name=name, url=ready_url(process), process=process)


def ready_url(process: subprocess.Popen[str]) -> str:
    """Return the API's address from the line that reports that the server is ready."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("localcloud ready on http://"):
        pytest.fail(f"the embedded cloud did not start (exit status {process.wait(60)}): see its standard error above")
    return line.split()[-1]
