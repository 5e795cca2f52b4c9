"""Run Command runs in the instance, and reports truly what came of it."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.server_support import Server, wait_until

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def instance_id(server: Server) -> str:
    """A running instance, tagged `role` = `probe`."""
    specification = {"ResourceType": "instance", "Tags": [{"Key": "role", "Value": "probe"}]}
    return str(server.launch_running(TagSpecifications=[specification])["InstanceId"])


def test_a_command_returns_its_output_apart_and_its_true_exit_code(server: Server, instance_id: str) -> None:
    seen = server.command(instance_id, "id -un", "echo oops >&2", "exit 42")

    assert (seen["Status"], seen["ResponseCode"]) == ("Failed", 42)
    assert (seen["StandardOutputContent"], seen["StandardErrorContent"]) == ("root\n", "oops\n")


def test_a_command_that_succeeds_is_a_success(server: Server, instance_id: str) -> None:
    seen = server.command(instance_id, "pwd", workingDirectory=["/usr/share"])

    assert (seen["Status"], seen["StatusDetails"], seen["ResponseCode"]) == ("Success", "Success", 0)
    assert seen["StandardOutputContent"] == "/usr/share\n"


def test_a_shebang_is_honoured(server: Server, instance_id: str) -> None:
    seen = server.command(instance_id, "#!/usr/bin/python3", "print(6 * 7)")

    assert seen["StandardOutputContent"] == "42\n"


def test_a_command_past_its_execution_timeout_is_timed_out(server: Server, instance_id: str) -> None:
    seen = server.command(instance_id, "echo begun", "sleep 60", executionTimeout=["1"])

    assert (seen["Status"], seen["StatusDetails"]) == ("TimedOut", "ExecutionTimedOut")
    assert seen["StandardOutputContent"] == "begun\n"


def test_a_command_is_in_progress_while_it_runs(server: Server, instance_id: str) -> None:
    ssm = server.client("ssm")
    command_id = ssm.send_command(
        DocumentName="AWS-RunShellScript",
        InstanceIds=[instance_id],
        Parameters={"commands": ["while [ ! -e /run/go-on ]; do sleep 0.05; done"]},
    )["Command"]["CommandId"]

    def status() -> str:
        found = ssm.list_command_invocations(CommandId=command_id)["CommandInvocations"]
        return str(found[0]["Status"]) if found else ""

    wait_until(lambda: status() == "InProgress", "in progress")
    server.command(instance_id, "touch /run/go-on")
    wait_until(lambda: status() == "Success", "success")


def test_long_output_is_cut_where_aws_cuts_it(server: Server, instance_id: str) -> None:
    """24,000 characters of standard output, 8,000 of standard error."""
    seen = server.command(instance_id, "yes | head -c 50000", "yes | head -c 50000 >&2")

    assert len(seen["StandardOutputContent"]) == 24_000
    assert len(seen["StandardErrorContent"]) == 8_000


def test_targets_choose_instances_by_tag(server: Server, instance_id: str) -> None:
    ssm = server.client("ssm")
    other = server.launch_running()["InstanceId"]
    command_id = ssm.send_command(
        DocumentName="AWS-RunShellScript",
        Targets=[{"Key": "tag:role", "Values": ["probe"]}],
        Parameters={"commands": ["hostname"]},
    )["Command"]["CommandId"]

    def invocations() -> list[dict[str, Any]]:
        return list(ssm.list_command_invocations(CommandId=command_id, Details=True)["CommandInvocations"])

    wait_until(lambda: [invocation["Status"] for invocation in invocations()] == ["Success"], "success")

    assert [invocation["InstanceId"] for invocation in invocations()] == [instance_id]
    assert other != instance_id
    assert invocations()[0]["CommandPlugins"][0]["ResponseCode"] == 0


def test_running_instances_are_online_and_others_take_no_commands(server: Server, instance_id: str) -> None:
    """An instance that is not up is not a managed one, and sending to it is AWS's InvalidInstanceId."""
    ssm = server.client("ssm")
    stopped = server.launch_running()["InstanceId"]
    server.client("ec2").stop_instances(InstanceIds=[stopped])
    server.wait_for_state(stopped, "stopped")

    filters = [{"Key": "InstanceIds", "Values": [instance_id, stopped]}]
    described = ssm.describe_instance_information(Filters=filters)["InstanceInformationList"]
    with pytest.raises(ClientError) as refused:
        server.command(stopped, "true")

    assert [(entry["InstanceId"], entry["PingStatus"]) for entry in described] == [(instance_id, "Online")]
    assert refused.value.response["Error"]["Code"] == "InvalidInstanceId"


@pytest.mark.parametrize(
    ("document", "parameters", "code"),
    [
        pytest.param("AWS-RunPowerShellScript", {"commands": ["dir"]}, "InvalidDocument", id="another document"),
        pytest.param("AWS-RunShellScript", {}, "InvalidParameters", id="no commands"),
        pytest.param(
            "AWS-RunShellScript",
            {"commands": ["true"], "executionTimeout": ["soon"]},
            "InvalidParameters",
            id="timeout that is no number",
        ),
    ],
)
def test_a_command_that_cannot_run_is_refused(
    server: Server, instance_id: str, document: str, parameters: dict[str, list[str]], code: str
) -> None:
    with pytest.raises(ClientError) as refused:
        server.client("ssm").send_command(DocumentName=document, InstanceIds=[instance_id], Parameters=parameters)

    assert refused.value.response["Error"]["Code"] == code


def test_an_invocation_that_is_not_there_has_awss_error(server: Server, instance_id: str) -> None:
    ssm = server.client("ssm")
    command_id = ssm.send_command(
        DocumentName="AWS-RunShellScript", InstanceIds=[instance_id], Parameters={"commands": ["true"]}
    )["Command"]["CommandId"]

    with pytest.raises(ssm.exceptions.InvocationDoesNotExist):
        ssm.get_command_invocation(CommandId="00000000-0000-0000-0000-000000000000", InstanceId=instance_id)
    with pytest.raises(ssm.exceptions.InvocationDoesNotExist):
        ssm.get_command_invocation(CommandId=command_id, InstanceId="i-0123456789abcdef0")


def test_a_command_that_is_cancelled_ends_at_once(server: Server, instance_id: str) -> None:
    ssm = server.client("ssm")
    command_id = ssm.send_command(
        DocumentName="AWS-RunShellScript",
        InstanceIds=[instance_id],
        Parameters={"commands": ["touch /run/begun", "sleep 600"]},
    )["Command"]["CommandId"]

    def status() -> str:
        found = ssm.list_command_invocations(CommandId=command_id)["CommandInvocations"]
        return str(found[0]["Status"]) if found else ""

    wait_until(lambda: server.command(instance_id, "test -e /run/begun")["Status"] == "Success", "begun")
    ssm.cancel_command(CommandId=command_id)

    wait_until(lambda: status() == "Cancelled", "cancelled")
    assert server.command(instance_id, "pgrep -x sleep")["ResponseCode"] == 1
