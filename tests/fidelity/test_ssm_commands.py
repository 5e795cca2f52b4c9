"""Facts of Systems Manager: Run Command, and the instances that take commands."""

from typing import Any

import pytest

from tests.fidelity.refusals import refused
from tests.fidelity.sources import report, ssm, ssm_guide
from tests.localcloud.server_support import Server, wait_until

SERVICE = "Systems Manager"
SCRIPT = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]}}
UNKNOWN_COMMAND = "00000000-0000-0000-0000-000000000000"
DELAY = "[aws-cli, issue 3546](https://github.com/aws/aws-cli/issues/3546)"


@pytest.fixture(scope="module")
def manager(cloud: Server) -> Any:
    """A client of Systems Manager."""
    return cloud.client("ssm")


@pytest.fixture(scope="module")
def instance(cloud: Server) -> str:
    """A running instance, tagged `role` = `commanded`."""
    specification = {"ResourceType": "instance", "Tags": [{"Key": "role", "Value": "commanded"}]}
    return str(cloud.launch_running(TagSpecifications=[specification])["InstanceId"])


def send(manager: Any, **arguments: Any) -> str:
    return str(manager.send_command(**SCRIPT, **arguments)["Command"]["CommandId"])


def sent(manager: Any, **arguments: Any) -> str:
    """Send a command, wait until AWS knows it, and return its id."""
    command = send(manager, **arguments)
    wait_until(lambda: bool(invocations(manager, CommandId=command)), "the command's invocation")
    return command


def invocations(manager: Any, **arguments: Any) -> list[dict[str, Any]]:
    pages = manager.get_paginator("list_command_invocations").paginate(**arguments)
    return [each for page in pages for each in page["CommandInvocations"]]


@pytest.mark.fact("An invocation is not found just after SendCommand: InvocationDoesNotExist, an empty list", DELAY)
def test_an_invocation_is_found_later(manager: Any, instance: str) -> None:
    def is_not_there_at_first(command: str) -> bool:
        try:
            manager.get_command_invocation(CommandId=command, InstanceId=instance)
        except manager.exceptions.InvocationDoesNotExist:
            return not invocations(manager, CommandId=command)
        return False

    # This machine may be busy for longer than it takes.
    command = next(
        each for each in (send(manager, InstanceIds=[instance]) for _ in range(20)) if is_not_there_at_first(each)
    )
    wait_until(lambda: bool(invocations(manager, CommandId=command)), "the command's invocation")

    assert manager.get_command_invocation(CommandId=command, InstanceId=instance)["InstanceId"] == instance


@pytest.mark.fact("GetCommandInvocation of what was not sent to that instance: InvocationDoesNotExist",
                  ssm("GetCommandInvocation"))  # fmt: skip
def test_an_unknown_invocation(manager: Any, instance: str) -> None:
    command = sent(manager, InstanceIds=[instance])

    with refused("InvocationDoesNotExist"):
        manager.get_command_invocation(CommandId=command, InstanceId="i-0123456789abcdef0")
    with refused("InvocationDoesNotExist"):
        manager.get_command_invocation(CommandId=UNKNOWN_COMMAND, InstanceId=instance)


@pytest.mark.fact("SendCommand to an instance that does not run, or is unknown: InvalidInstanceId", ssm("SendCommand"))
def test_an_instance_that_does_not_run(cloud: Server, manager: Any) -> None:
    stopped = cloud.launch_running()["InstanceId"]
    cloud.client("ec2").stop_instances(InstanceIds=[stopped])
    cloud.wait_for_state(stopped, "stopped")

    for wrong in (stopped, "i-0123456789abcdef0"):
        with refused("InvalidInstanceId", 400, "not in a valid state for account"):
            send(manager, InstanceIds=[wrong])


@pytest.mark.fact("SendCommand to one instance twice: DuplicateInstanceId", ssm("SendCommand"))
def test_an_instance_twice(manager: Any, instance: str) -> None:
    with refused("DuplicateInstanceId"):
        send(manager, InstanceIds=[instance, instance])


@pytest.mark.fact("SendCommand takes 50 instance ids at most: ValidationException", ssm("SendCommand"))
@pytest.mark.fact("SendCommand's TimeoutSeconds is 30 to 2,592,000: ValidationException", ssm("SendCommand"))
@pytest.mark.fact("SendCommand's comment has 100 characters at most: ValidationException", ssm("SendCommand"))
def test_bounds(manager: Any, instance: str) -> None:
    for wrong in (
        {"InstanceIds": [f"i-{number:017x}" for number in range(51)]},
        {"InstanceIds": [instance], "TimeoutSeconds": 2_592_001},
        {"InstanceIds": [instance], "Comment": "x" * 101},
    ):
        with refused("ValidationException"):
            send(manager, **wrong)


@pytest.mark.fact("SendCommand of an unknown document: InvalidDocument", ssm("SendCommand"))
@pytest.mark.fact("SendCommand without a parameter that the document needs: InvalidParameters", ssm("SendCommand"))
def test_documents(manager: Any, instance: str) -> None:
    with refused("InvalidDocument"):
        manager.send_command(DocumentName="Unknown-Document", InstanceIds=[instance])
    with refused("InvalidParameters"):
        manager.send_command(DocumentName="AWS-RunShellScript", InstanceIds=[instance])


@pytest.mark.fact("Targets choose instances by tags", ssm("Target"))
def test_targets(cloud: Server, manager: Any, instance: str) -> None:
    cloud.launch_running()

    command = sent(manager, Targets=[{"Key": "tag:role", "Values": ["commanded"]}])

    assert [each["InstanceId"] for each in invocations(manager, CommandId=command)] == [instance]


@pytest.mark.fact("Targets choose instances of a resource group", ssm("Target"),
                  wrong="they are refused, with InvalidParameters")  # fmt: skip
def test_targets_of_a_resource_group(manager: Any) -> None:
    send(manager, Targets=[{"Key": "resource-groups:Name", "Values": ["group"]}])


@pytest.mark.fact("Targets that Run Command does not have are refused: InvalidParameters", report("aws/aws-cli", 2670))
def test_unknown_targets(manager: Any) -> None:
    for key in ("Colour", "PingStatus"):
        with refused("InvalidParameters", text=key):
            send(manager, Targets=[{"Key": key, "Values": ["any"]}])


@pytest.mark.fact("ListCommandInvocations returns pages, newest command first", ssm("ListCommandInvocations"))
def test_pages_of_invocations(manager: Any, instance: str) -> None:
    commands = [sent(manager, InstanceIds=[instance]) for _ in range(3)]

    first = manager.list_command_invocations(InstanceId=instance, MaxResults=2)
    rest = manager.list_command_invocations(InstanceId=instance, NextToken=first["NextToken"])

    found = [each["CommandId"] for each in (*first["CommandInvocations"], *rest["CommandInvocations"])]
    assert (len(first["CommandInvocations"]), found[:3]) == (2, commands[::-1])


@pytest.mark.fact("ListCommandInvocations has output only with Details", ssm("ListCommandInvocations"))
def test_details_of_invocations(manager: Any, instance: str) -> None:
    command = sent(manager, InstanceIds=[instance])

    (plain,) = invocations(manager, CommandId=command)
    (detailed,) = invocations(manager, CommandId=command, Details=True)

    assert plain["CommandPlugins"] == []
    assert [each["Name"] for each in detailed["CommandPlugins"]] == ["aws:runShellScript"]


@pytest.mark.fact("CancelCommand of an unknown command: InvalidCommandId", ssm("CancelCommand"))
@pytest.mark.fact("CancelCommand of a command that has ended changes nothing", ssm_guide("cancel-run-command"))
def test_cancelling(manager: Any, instance: str) -> None:
    with refused("InvalidCommandId"):
        manager.cancel_command(CommandId=UNKNOWN_COMMAND)
    command = sent(manager, InstanceIds=[instance])
    before = manager.get_command_invocation(CommandId=command, InstanceId=instance)["Status"]

    manager.cancel_command(CommandId=command)

    assert manager.get_command_invocation(CommandId=command, InstanceId=instance)["Status"] == before


@pytest.mark.fact("DescribeInstanceInformation lists running instances, by id, tag, status and source",
                  ssm("DescribeInstanceInformation"))  # fmt: skip
@pytest.mark.fact("DescribeInstanceInformation refuses unknown filters: InvalidFilterKey",
                  ssm("DescribeInstanceInformation"))  # fmt: skip
def test_managed_instances(manager: Any, instance: str) -> None:
    def found(**filters: str) -> list[str]:
        wanted = [{"Key": key.replace("_", ":"), "Values": [value]} for key, value in filters.items()]
        return [
            each["InstanceId"]
            for each in manager.describe_instance_information(Filters=wanted)["InstanceInformationList"]
        ]

    assert found(InstanceIds=instance) == [instance]
    assert found(tag_role="commanded") == [instance]
    assert found(tag_role="commanded", PingStatus="ConnectionLost") == []
    assert found(SourceIds=instance, SourceTypes="AWS::EC2::Instance") == [instance]
    assert found(SourceIds=instance, SourceTypes="AWS::IoT::Thing") == []
    with refused("InvalidFilterKey"):
        found(Colour="blue")
