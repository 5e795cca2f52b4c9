"""Fixtures of several files of unit tests."""

import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
import tenacity
from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
from botocore.stub import Stubber
from moto import mock_aws

from examples.webapp.build import build as build_artifact
from rebake import tags
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.registry import RegistryHook
from rebake.tools import packer as packer_tool
from tests.support.aws import BUCKET, CONNECTION, REGION, stubbed
from tests.unit.stages.bake_support import Cloud, PretendedPacker
from tests.unit.triggers.trigger_support import Script, set_script

# A hook names its caller in the user agent, and reads the source of each frame of the stack for that: 80 ms a client.
AwsGenericHook._get_caller = lambda *_: "Unknown"


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses between retries, in seconds: nothing sleeps."""
    seconds: list[float] = []
    monkeypatch.setattr(tenacity.nap, "time", SimpleNamespace(sleep=seconds.append))
    return seconds


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give an empty AWS account, and Airflow a connection to it."""
    connection = '{"conn_type": "aws", "login": "AKID", "password": "not-a-secret"}'
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection)
    with mock_aws():
        yield


@pytest.fixture
def ec2(account: None) -> Any:
    """Return a client of EC2 in the account."""
    return boto3.client("ec2", region_name=REGION)


@pytest.fixture
def ssm(account: None) -> Any:
    """Return a client of SSM in the account."""
    return boto3.client("ssm", region_name=REGION)


@pytest.fixture
def s3(account: None) -> Any:
    """Return a client of S3 in the account, which has the environment's bucket."""
    client = boto3.client("s3", region_name=REGION)
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return client


@pytest.fixture
def registry(account: None) -> RegistryHook:
    """Return a registry with nothing in it."""
    return RegistryHook(**CONNECTION)


@pytest.fixture
def autoscaling(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """Give the script that Auto Scaling answers from."""
    with stubbed("autoscaling") as (client, stubber):
        monkeypatch.setattr(AutoScalingHook, "conn", client)
        yield stubber


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Return a function that sets what AWS's services answer to a trigger."""
    return partial(set_script, monkeypatch)


@pytest.fixture
def home(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the project's configuration and templates, with an artifact of version 1.2.3."""
    for name in ("config", "packer"):
        shutil.copytree(project / name, tmp_path / name)
    for name in ("debian-12", "amazon-linux-2023"):  # moto lets nobody write below /aws, as AWS does
        path = tmp_path / f"config/bases/{name}.yaml"
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"/aws/service/\S+", f"/vendor/{name}", text), encoding="utf-8")
    build_artifact("1.2.3", tmp_path / "build")
    monkeypatch.setenv("REBAKE_HOME", str(tmp_path))
    monkeypatch.setenv("REBAKE_WORK", str(tmp_path / "work"))
    return tmp_path


@pytest.fixture
def cloud(account: None) -> Cloud:
    made = Cloud()
    vendors = made.image("debian-12-amd64", {})
    made.point("/vendor/debian-12", vendors)
    base = made.image("rebake-debian-12", {tags.KIND: tags.KIND_BASE_IMAGE, tags.SERVICE: "debian-12"})
    made.point("/rebake/bases/debian-12/current", base)
    return made


@pytest.fixture
def packer(home: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> PretendedPacker:
    pretended = PretendedPacker(cloud)
    monkeypatch.setattr(packer_tool, "Packer", pretended)
    return pretended
