"""moto's admin endpoints: the reset resets, and the others refuse."""

import json
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.server_support import Server, wait_until

OTHER_REGION = "us-west-2"


def test_a_reset_drops_everything_and_the_cloud_works_on(records: Server) -> None:
    ec2, elb, s3 = records.client("ec2"), records.client("elbv2"), records.client("s3")
    there = records.client("ec2", region=OTHER_REGION)
    seed = records.seed_image()
    instance = records.launch()
    ec2.create_image(InstanceId=instance, Name="mine")
    there.create_security_group(GroupName="theirs", Description="there")
    s3.create_bucket(Bucket="left", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]][:2]
    balancer = elb.create_load_balancer(Name="web", Subnets=subnets)["LoadBalancers"][0]
    elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=8098,
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}],
    )  # fmt: skip
    with urllib.request.urlopen(f"http://{balancer['DNSName']}:8098/", timeout=5) as answer:
        assert answer.status == 200

    records.empty()

    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://{balancer['DNSName']}:8098/", timeout=5)
    assert ec2.describe_instances()["Reservations"] == []
    assert ec2.describe_images(Owners=["self"])["Images"] == []
    assert s3.list_buckets()["Buckets"] == []
    assert {group["GroupName"] for group in there.describe_security_groups()["SecurityGroups"]} == {"default"}
    assert elb.describe_load_balancers()["LoadBalancers"] == []
    assert records.seed_image() == seed
    records.launch_running()


@pytest.mark.engine
def test_a_reset_removes_machines_and_their_images(server: Server) -> None:
    instance = server.launch_running()["InstanceId"]
    ec2 = server.client("ec2")
    image = ec2.create_image(InstanceId=instance, Name="mine", NoReboot=True)["ImageId"]
    wait_until(lambda: ec2.describe_images(ImageIds=[image])["Images"][0]["State"] == "available", "the image", 60)
    booting = server.launch()
    assert server.containers()

    server.empty()

    assert [name for name in server.containers() if not name.endswith("-network")] == []
    assert server.images() == []
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        ec2.describe_instances(InstanceIds=[booting])
    server.launch_running()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "reset-auth"), ("GET", "data.json"), ("GET", ""), ("POST", "config"), ("POST", "seed"),
        ("POST", "state-manager/set-transition"), ("POST", "recorder/start-recording"), ("GET", "reset"),
    ],
)  # fmt: skip
def test_other_endpoints_of_moto_are_refused_with_a_reason(records: Server, method: str, path: str) -> None:
    request = urllib.request.Request(f"{records.url}/moto-api/{path}", method=method, data=b"{}")

    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request, timeout=10)

    assert refusal.value.code == 404
    assert "POST /moto-api/reset only" in json.load(refusal.value)["error"]
