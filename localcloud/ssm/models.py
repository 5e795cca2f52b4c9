"""moto's Systems Manager backend, with Run Command carried out in the instances."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from moto.core.utils import utcnow
from moto.ssm.models import Parameter, SimpleSystemManagerBackend

from localcloud.ec2.models import seed_image_id
from localcloud.ssm.commands import DOCUMENT, PLUGIN, Command, Invocation
from localcloud.ssm.exceptions import (
    InvalidCommandIdError,
    InvalidDocumentError,
    InvalidInstanceIdError,
    InvalidParametersError,
    InvocationDoesNotExistError,
)

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

SEED_PARAMETER = "/aws/service/debian/release/12/latest/amd64"
"""Where Debian publishes the id of its newest AMI."""
DELIVERY_SECONDS = EXECUTION_SECONDS = 3600
MAX_EXECUTION_SECONDS = 172_800


class LocalSSMBackend(SimpleSystemManagerBackend):
    """Systems Manager of one account and region."""

    cloud: ClassVar[Cloud]
    _commands: list[Command]  # type: ignore[assignment] # ours, with the same interface

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._publish(SEED_PARAMETER, seed_image_id(region_name))

    def send_command(  # type: ignore[override] # moto's response passes everything by keyword
        self,
        *,
        document_name: str,
        instance_ids: Sequence[str],
        targets: Sequence[dict[str, Any]],
        parameters: dict[str, list[str]],
        comment: str = "",
        timeout_seconds: int | None = None,
        **_unused: Any,
    ) -> Command:
        """Begin to run a script on instances, named by id or by the targets' tags.

        Raises:
            InvalidDocumentError: the document is not AWS-RunShellScript.
            InvalidParametersError: there are no commands, or the execution timeout is no number of seconds.
            InvalidInstanceIdError: an instance named by id does not run.
        """
        if document_name.rpartition("/")[2] != DOCUMENT:
            raise InvalidDocumentError(document_name)
        if not parameters.get("commands"):
            raise InvalidParametersError(f"{DOCUMENT} needs the parameter commands, a list of lines.")
        chosen = list(dict.fromkeys(instance_ids))
        down = [instance_id for instance_id in chosen if not self.cloud.is_running(instance_id)]
        if down:
            raise InvalidInstanceIdError(down, self.account_id)
        for instance_id in self._targeted(targets):
            if instance_id not in chosen:
                chosen.append(instance_id)
        command = Command(
            document_name=DOCUMENT,
            instance_ids=chosen,
            parameters=parameters,
            comment=comment,
            timeout_seconds=timeout_seconds or DELIVERY_SECONDS,
            targets=targets,
            execution_seconds=_execution_seconds(parameters),
        )
        self._commands.append(command)
        for invocation in command.invocations:
            threading.Thread(
                target=invocation.run, args=(self.cloud.engine,), name=f"ssm-{invocation.instance_id}", daemon=True
            ).start()
        return command

    def get_command_by_id(self, command_id: str) -> Command:  # type: ignore[override] # as above
        """Return the command.

        Raises:
            InvalidCommandIdError: there is none of that id.
        """
        for command in self._commands:
            if command.command_id == command_id:
                return command
        raise InvalidCommandIdError

    def get_command_invocation(self, command_id: str, instance_id: str, plugin_name: str | None) -> dict[str, Any]:
        """Return the command's result so far on that instance.

        Raises:
            InvalidCommandIdError: there is no such command.
            InvocationDoesNotExistError: it was not sent to that instance.
        """
        for invocation in self.get_command_by_id(command_id).invocations:
            if invocation.instance_id == instance_id and plugin_name in (None, PLUGIN):
                return invocation.details()
        raise InvocationDoesNotExistError

    def list_command_invocations(
        self, command_id: str | None, instance_id: str | None, filters: Sequence[dict[str, str]]
    ) -> list[Invocation]:
        """Return the invocations of one command or of all, newest command first."""
        commands = [self.get_command_by_id(command_id)] if command_id else self._commands[::-1]
        statuses = {item["value"] for item in filters if item["key"] == "Status"}
        return [
            invocation
            for command in commands
            for invocation in command.invocations
            if instance_id in (None, invocation.instance_id) and (not statuses or invocation.status in statuses)
        ]

    def describe_instance_information(self, filters: dict[str, Sequence[str]]) -> list[dict[str, Any]]:
        """Return the instances that take commands: those that run.

        Args:
            filters: Accepted values by key: `InstanceIds`, `PingStatus` or `tag:NAME`; others accept all.
        """
        described = []
        for instance in self.cloud.backend("ec2", self.account_id, self.region_name).all_running_instances():
            tags = {f"tag:{tag['key']}": tag["value"] for tag in instance.get_tags()}
            actual = {**tags, "InstanceIds": instance.id, "PingStatus": "Online"}
            unknown = {key for key in filters if key not in actual and not key.startswith("tag:")}
            if all(actual.get(key) in values for key, values in filters.items() if key not in unknown):
                described.append(
                    {
                        "InstanceId": instance.id,
                        "PingStatus": "Online",
                        "LastPingDateTime": utcnow(),
                        "AgentVersion": "3.0.0.0",
                        "IsLatestVersion": True,
                        "PlatformType": "Linux",
                        "PlatformName": "Debian GNU/Linux",
                        "PlatformVersion": "12",
                        "ResourceType": "EC2Instance",
                        "IPAddress": instance.private_ip,
                        "ComputerName": instance.private_dns_name,
                    }
                )
        return described

    def _publish(self, name: str, image_id: str) -> None:
        """Set a public parameter, one of those under /aws that only AWS may write, to an image's id."""
        self._parameters[name].append(
            Parameter(  # type: ignore[abstract] # as moto itself makes them
                account_id=self.account_id,
                name=name,
                value=image_id,
                parameter_type="String",
                description=None,
                allowed_pattern=None,
                keyid=None,
                last_modified_date=utcnow(),
                version=1,
                data_type="aws:ec2:image",
                tier="Standard",
            )
        )

    def _targeted(self, targets: Sequence[dict[str, Any]]) -> list[str]:
        """Ids of the running instances that match every target."""
        if not targets:
            return []
        filters = {target["Key"]: target["Values"] for target in targets}
        return [entry["InstanceId"] for entry in self.describe_instance_information(filters)]


def _execution_seconds(parameters: dict[str, list[str]]) -> int:
    text = "".join(parameters.get("executionTimeout", [])[:1]) or str(EXECUTION_SECONDS)
    if not text.isdecimal() or not 1 <= int(text) <= MAX_EXECUTION_SECONDS:
        raise InvalidParametersError(
            f"executionTimeout is {text!r}: it is a number of seconds from 1 to {MAX_EXECUTION_SECONDS}."
        )
    return int(text)
