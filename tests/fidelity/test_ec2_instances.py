"""Facts of EC2: instances."""

import pytest

from tests.fidelity.sources import ec2
from tests.localcloud.server_support import Server

SERVICE = "EC2"


@pytest.mark.fact("DescribeInstanceStatus names each instance", ec2("InstanceStatus"), wrong="InstanceId is missing")
def test_instance_status_names_the_instance(cloud: Server) -> None:
    instance = cloud.launch_running()["InstanceId"]

    (status,) = cloud.client("ec2").describe_instance_status(InstanceIds=[instance])["InstanceStatuses"]

    assert status["InstanceId"] == instance
