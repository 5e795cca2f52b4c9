"""The pipeline's policies allow every request that it made, Packer's and Terraform's included."""

from pathlib import Path

import pytest
import requests

from stack.follow import RunOutcome
from stack.load import Load
from stack.settings import ACCESS_KEY
from stack.up import Stack
from tests import permissions

pytestmark = [pytest.mark.engine, pytest.mark.e2e]


def test_every_request_of_the_pipeline_is_allowed_by_its_policies(
    stack: Stack, second: tuple[RunOutcome, Load], project: Path
) -> None:
    entries = requests.get(f"{stack.settings.cloud_url}/_localcloud/requests", timeout=30).json()
    needed = {permissions.action_of(one["service"], one["action"]) for one in entries if one["principal"] == ACCESS_KEY}

    assert {"autoscaling:DescribeAutoScalingGroups", "ec2:DescribeInstances", "s3:GetObject"} <= needed
    assert permissions.missing(needed, permissions.allowed(project)) == []
