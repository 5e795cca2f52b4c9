"""Instances are machines: they boot, take a key pair and user data, stop, start and go without a trace."""

import base64
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.server_support import Server, wait_until

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def key_pair(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The private key of the key pair `testers`."""
    material = server.client("ec2").create_key_pair(KeyName="testers", KeyType="rsa")["KeyMaterial"]
    path = tmp_path_factory.mktemp("keys") / "testers.pem"
    path.write_text(material)
    path.chmod(0o600)
    yield path
    server.client("ec2").delete_key_pair(KeyName="testers")


def ssh(address: str, key: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command over SSH as the image's user."""
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "LogLevel=ERROR"]
    flags = [flag for option in options for flag in ("-o", option)]
    return subprocess.run(
        ["/usr/bin/ssh", *flags, "-i", str(key), f"admin@{address}", command],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_an_instance_is_pending_until_it_answers_ssh_with_its_key_pair(server: Server, key_pair: Path) -> None:
    """RunInstances returns at once; running means that one can log in, without waiting any further."""
    server.open_default_group()
    instance_id = server.launch(KeyName="testers")
    assert server.instance(instance_id)["State"]["Name"] == "pending"

    running = server.wait_for_state(instance_id, "running")
    answer = ssh(running["PrivateIpAddress"], key_pair, "sudo -n id -un && hostname")

    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.split() == ["root", f"ip-{running['PrivateIpAddress'].replace('.', '-')}"]


def test_the_private_address_is_known_from_the_first_answer_on(server: Server) -> None:
    ec2 = server.client("ec2")
    launched = ec2.run_instances(ImageId=server.seed_image(), InstanceType="t3.micro", MinCount=1, MaxCount=1)
    instance = launched["Instances"][0]

    running = server.wait_for_state(instance["InstanceId"], "running")

    assert running["PrivateIpAddress"] == instance["PrivateIpAddress"]
    interface = running["NetworkInterfaces"][0]
    assert interface["PrivateIpAddress"] == instance["PrivateIpAddress"]


def test_user_data_runs_once_as_root(server: Server) -> None:
    """A script that begins with #! runs at first boot and not at the next."""
    script = "#!/bin/sh\nid -un >>/root/user-data-ran\n"
    instance_id = server.launch_running(UserData=script)["InstanceId"]
    server.command(instance_id, "systemctl is-system-running --wait")
    server.client("ec2").stop_instances(InstanceIds=[instance_id])
    server.wait_for_state(instance_id, "stopped")
    server.client("ec2").start_instances(InstanceIds=[instance_id])
    server.wait_for_state(instance_id, "running")

    seen = server.command(instance_id, "systemctl is-system-running --wait", "cat /root/user-data-ran")

    assert seen["StandardOutputContent"].split() == ["running", "root"]


def test_any_user_of_an_instance_can_read_its_id(server: Server) -> None:
    """Programs find it where cloud-init writes it, for there is no metadata service; user data stays root's own."""
    instance_id = server.launch_running(UserData="#!/bin/sh\ntrue\n")["InstanceId"]

    seen = server.command(
        instance_id,
        "runuser -u nobody -- cat /var/lib/cloud/data/instance-id",
        "runuser -u nobody -- cat /var/lib/localcloud/seed/user-data || echo refused",
    )

    assert seen["StandardOutputContent"].split() == [instance_id, "refused"]


def test_stopping_and_starting_keeps_disk_and_address(server: Server) -> None:
    ec2 = server.client("ec2")
    instance = server.launch_running()
    instance_id = instance["InstanceId"]
    server.command(instance_id, "echo kept >/root/note")

    ec2.stop_instances(InstanceIds=[instance_id])
    stopped = server.wait_for_state(instance_id, "stopped")
    ec2.start_instances(InstanceIds=[instance_id])
    again = server.wait_for_state(instance_id, "running")

    assert stopped["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert again["PrivateIpAddress"] == instance["PrivateIpAddress"]
    assert server.command(instance_id, "cat /root/note")["StandardOutputContent"] == "kept\n"


@pytest.mark.parametrize(("behavior", "state"), [("stop", "stopped"), ("terminate", "terminated")])
def test_powering_off_from_inside_follows_the_shutdown_behavior(server: Server, behavior: str, state: str) -> None:
    instance_id = server.launch_running(InstanceInitiatedShutdownBehavior=behavior)["InstanceId"]
    server.client("ssm").send_command(
        DocumentName="AWS-RunShellScript", InstanceIds=[instance_id], Parameters={"commands": ["systemctl poweroff"]}
    )

    down = server.wait_for_state(instance_id, state)

    assert down["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"


def test_rebooting_from_inside_comes_back_as_the_same_machine(server: Server) -> None:
    instance_id = server.launch_running()["InstanceId"]
    before = server.command(instance_id, "stat -c %Y /proc/1")["StandardOutputContent"]
    server.client("ssm").send_command(
        DocumentName="AWS-RunShellScript", InstanceIds=[instance_id], Parameters={"commands": ["systemctl reboot"]}
    )

    def booted_again() -> bool:
        assert server.instance(instance_id)["State"]["Name"] == "running"
        seen = server.command(instance_id, "stat -c %Y /proc/1")
        return bool(seen["Status"] == "Success" and seen["StandardOutputContent"] != before)

    wait_until(booted_again, "the machine booted again")


def test_terminating_leaves_no_container_volume_or_interface(server: Server) -> None:
    """Terminating again is no error."""
    ec2 = server.client("ec2")
    mapping = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8}}
    instance = server.launch_running(BlockDeviceMappings=[mapping])
    instance_id = instance["InstanceId"]
    volume_id = instance["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    interface_id = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]

    begin = time.monotonic()
    ec2.terminate_instances(InstanceIds=[instance_id])
    gone = server.wait_for_state(instance_id, "terminated")
    ec2.terminate_instances(InstanceIds=[instance_id])

    assert time.monotonic() - begin < 10
    assert gone["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert not [name for name in server.containers() if instance_id in name]
    assert volume_id not in [volume["VolumeId"] for volume in ec2.describe_volumes()["Volumes"]]
    interfaces = ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert interface_id not in [interface["NetworkInterfaceId"] for interface in interfaces]


def test_terminating_a_pending_instance_cuts_its_boot_short(server: Server) -> None:
    """A pipeline that gives up does not have to wait for the boot first."""
    instance_id = server.launch()

    server.client("ec2").terminate_instances(InstanceIds=[instance_id])
    server.wait_for_state(instance_id, "terminated", seconds=10)

    assert not [name for name in server.containers() if instance_id in name]


def test_a_security_group_can_go_once_its_instance_is_terminated(server: Server) -> None:
    """While an interface uses the group AWS refuses; the temporary group of a builder must go afterwards."""
    ec2 = server.client("ec2")
    group_id = ec2.create_security_group(GroupName="temporary", Description="for a builder")["GroupId"]
    instance_id = server.launch_running(SecurityGroupIds=[group_id])["InstanceId"]

    with pytest.raises(ClientError, match="DependencyViolation"):
        ec2.delete_security_group(GroupId=group_id)
    ec2.terminate_instances(InstanceIds=[instance_id])
    server.wait_for_state(instance_id, "terminated")

    ec2.delete_security_group(GroupId=group_id)


def test_a_launch_template_gives_image_user_data_tags_and_shutdown_behavior(server: Server) -> None:
    ec2 = server.client("ec2")
    data: dict[str, Any] = {
        "ImageId": server.seed_image(),
        "InstanceType": "t3.small",
        "UserData": base64.b64encode(b"#!/bin/sh\ntouch /root/from-template\n").decode(),
        "InstanceInitiatedShutdownBehavior": "terminate",
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "rebake:kind", "Value": "fleet"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "rebake:kind", "Value": "fleet"}]},
        ],
    }
    ec2.create_launch_template(LaunchTemplateName="fleet", LaunchTemplateData=data)
    launched = ec2.run_instances(LaunchTemplate={"LaunchTemplateName": "fleet"}, MinCount=1, MaxCount=1)
    instance = server.wait_for_state(launched["Instances"][0]["InstanceId"], "running")

    volume = ec2.describe_volumes(VolumeIds=[instance["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]])["Volumes"][0]
    ran = server.command(instance["InstanceId"], "systemctl is-system-running --wait; test -e /root/from-template")
    ec2.delete_launch_template(LaunchTemplateName="fleet")

    assert instance["InstanceType"] == "t3.small"
    assert {"Key": "rebake:kind", "Value": "fleet"} in instance["Tags"]
    assert volume["Tags"] == [{"Key": "rebake:kind", "Value": "fleet"}]
    assert ran["Status"] == "Success"


def test_a_client_token_launches_once(server: Server) -> None:
    first, second = (server.launch(ClientToken="once-only") for _ in range(2))

    assert first == second


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param({"ImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound", id="unknown image"),
        pytest.param({"KeyName": "nobody"}, "InvalidKeyPair.NotFound", id="unknown key pair"),
    ],
)
def test_a_launch_that_aws_refuses_is_refused(server: Server, arguments: dict[str, str], code: str) -> None:
    with pytest.raises(ClientError) as refused:
        server.launch(**arguments)

    assert refused.value.response["Error"]["Code"] == code


def test_the_console_output_is_the_machines_journal(server: Server) -> None:
    instance_id = server.launch_running()["InstanceId"]

    output = server.client("ec2").get_console_output(InstanceId=instance_id)["Output"]

    assert "OpenBSD Secure Shell server" in output


def test_three_instances_start_together(server: Server) -> None:
    launched = server.client("ec2").run_instances(
        ImageId=server.seed_image(), InstanceType="t3.micro", MinCount=3, MaxCount=3
    )
    ids = [instance["InstanceId"] for instance in launched["Instances"]]

    addresses = {server.wait_for_state(instance_id, "running")["PrivateIpAddress"] for instance_id in ids}

    assert len(addresses) == 3
