"""Fixtures of several files of unit tests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
import tenacity
from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
from moto import mock_aws

from tests.support.aws import BUCKET, REGION
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
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Return a function that sets what AWS's services answer to a trigger."""
    return partial(set_script, monkeypatch)
