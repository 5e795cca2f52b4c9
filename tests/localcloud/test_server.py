"""The process: its admin endpoints, its request log, how it starts, refuses to start, and ends."""

import json
import os
import signal
import subprocess
import sys
import time
from urllib.error import HTTPError

import docker
import pytest

from tests.localcloud.server_support import ENGINE, OS_IMAGE, ROOT, Server, ready_url, started

pytestmark = pytest.mark.engine


def refusal(*options: str) -> subprocess.CompletedProcess[str]:
    """Start a server that should not start, and return how it ended."""
    defaults = {"--port": "0", "--engine": ENGINE, "--os-image": OS_IMAGE, "--name": f"no-{os.getpid()}"}
    given = dict(zip(options[::2], options[1::2], strict=True))
    arguments = [part for pair in {**defaults, **given}.items() for part in pair]
    return subprocess.run(
        [sys.executable, "-m", "localcloud", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_health_names_the_network_of_the_instances(server: Server) -> None:
    """The pipeline limits its temporary security groups to that network."""
    health = server.admin("health")
    address = server.instance(server.launch())["PrivateIpAddress"]

    assert (health["status"], health["name"], health["region"]) == ("ok", server.name, "eu-west-1")
    assert health["network_cidr"].rpartition(".")[0] == address.rpartition(".")[0]


def test_the_request_log_names_the_principal_of_each_request(server: Server) -> None:
    """AWS's names of service and action whatever the protocol, the access key id, and the status of refusals too."""
    server.client("ec2", "AKIAREADER").describe_images(Owners=["self"])
    server.client("ssm", "AKIAREADER").get_parameters_by_path(Path="/rebake")
    s3 = server.client("s3", "AKIAWRITER")
    s3.create_bucket(Bucket="logged", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="logged", Key="a/b", Body=b"c")
    s3.get_bucket_versioning(Bucket="logged")
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="logged", Key="none")

    entries = server.admin("requests")[-6:]

    assert [(entry["service"], entry["action"], entry["principal"], entry["status"]) for entry in entries] == [
        ("ec2", "DescribeImages", "AKIAREADER", 200),
        ("ssm", "GetParametersByPath", "AKIAREADER", 200),
        ("s3", "CreateBucket", "AKIAWRITER", 200),
        ("s3", "PutObject", "AKIAWRITER", 200),
        ("s3", "GetBucketVersioning", "AKIAWRITER", 200),
        ("s3", "GetObject", "AKIAWRITER", 404),
    ]


def test_the_request_log_can_be_read_from_a_moment_on_and_cleared(server: Server) -> None:
    server.client("ec2").describe_vpcs()
    last = server.admin("requests")[-1]["time"]
    server.client("ec2").describe_subnets()

    later = [entry["action"] for entry in server.admin(f"requests?since={last}")]
    server.admin("requests", method="DELETE")

    assert later == ["DescribeSubnets"]
    assert server.admin("requests") == []


def test_awss_managed_policies_can_be_attached(server: Server) -> None:
    """The fleet's instance profile carries the one that Systems Manager needs."""
    iam = server.client("iam")
    policy = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    iam.create_role(RoleName="fleet", AssumeRolePolicyDocument="{}")

    iam.attach_role_policy(RoleName="fleet", PolicyArn=policy)

    attached = iam.list_attached_role_policies(RoleName="fleet")["AttachedPolicies"]
    assert [entry["PolicyArn"] for entry in attached] == [policy]


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        pytest.param("requests?since=yesterday", 400, "'yesterday' is not a number of seconds", id="bad moment"),
        pytest.param("nothing", 404, "there are GET health", id="unknown endpoint"),
    ],
)
def test_a_wrong_admin_request_is_answered_with_the_right_ones(
    server: Server, path: str, status: int, message: str
) -> None:
    with pytest.raises(HTTPError) as refused:
        server.admin(path)

    with refused.value as answer:
        assert answer.code == status
        assert message in json.loads(answer.read())["error"]


def test_ending_removes_everything_it_made(engine: docker.APIClient) -> None:
    """SIGTERM with a running instance and an image: exit status 0, and no container, image or network is left."""
    name = f"end-{os.getpid()}"
    with started(name) as process:
        server = Server(name=name, url=ready_url(process), process=process, engine=engine)
        source = server.launch_running()["InstanceId"]
        server.client("ec2").create_image(InstanceId=source, Name="left-behind", NoReboot=True)
        server.launch()
        process.send_signal(signal.SIGTERM)

        assert process.wait(30) == 0
    assert (server.containers(), server.images()) == ([], [])
    assert engine.networks(names=[f"rebake-{name}"]) == []


def test_starting_removes_what_a_killed_run_left_and_leaves_other_clouds_alone(
    server: Server, engine: docker.APIClient
) -> None:
    """After SIGKILL nobody cleaned up; the next start of the same name does, and only for that name."""
    bystander = server.launch_running()["InstanceId"]
    name = f"kill-{os.getpid()}"
    with started(name) as process:
        killed = Server(name=name, url=ready_url(process), process=process, engine=engine)
        left = killed.launch_running()["InstanceId"]
        process.kill()
        process.wait(10)
    assert any(left in container for container in killed.containers())

    with started(name) as process:
        ready_url(process)
        assert killed.containers() in ([], [f"rebake-{name}-network"])  # that is of the new run
    assert server.instance(bystander)["State"]["Name"] == "running"
    assert [container for container in server.containers() if bystander in container]


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        pytest.param(
            ("--os-image", "localhost/no-such:image"),
            1,
            "has no image 'localhost/no-such:image': build it with `make setup`, or name another with --os-image",
            id="unknown OS image",
        ),
        pytest.param(
            ("--engine", "unix:///no/such.sock"),
            1,
            "no container engine answers at unix:///no/such.sock: start it",
            id="engine down",
        ),
        pytest.param(("--network", "no-such-network"), 1, "no network 'no-such-network'", id="unknown network"),
        pytest.param(("--name", "Not A Name"), 2, "'Not A Name' is not 1 to 32 lower-case letters", id="bad name"),
        pytest.param(("--network-cidr", "10.0.0.0/33"), 2, "'10.0.0.0/33' is not an IPv4 network", id="bad network"),
        pytest.param(("--bind", "192.0.2.77"), 1, "cannot listen on 192.0.2.77:0", id="address not ours"),
    ],
)
def test_a_start_that_cannot_succeed_reports_why_on_one_line(
    engine: docker.APIClient, options: tuple[str, ...], status: int, message: str
) -> None:
    ended = refusal(*options)

    assert ended.returncode == status
    assert message in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_a_second_cloud_of_the_same_name_is_refused(server: Server) -> None:
    """It would take the first one's containers for orphans."""
    ended = refusal("--name", server.name)

    assert ended.returncode == 1
    assert f"named '{server.name}' is already running" in ended.stderr


def test_requests_are_answered_while_instances_boot(server: Server) -> None:
    server.client("ec2").run_instances(ImageId=server.seed_image(), InstanceType="t3.micro", MinCount=2, MaxCount=2)
    ec2, slowest = server.client("ec2"), 0.0
    for _ in range(20):
        begin = time.monotonic()
        ec2.describe_instances()
        slowest = max(slowest, time.monotonic() - begin)

    assert slowest < 2
