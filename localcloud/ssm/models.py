"""moto's Systems Manager backend, with Run Command carried out in the instances."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from moto.core.utils import utcnow

from localcloud.adoption import AdoptedBackend
from localcloud.ec2.models import seed_image_id
from localcloud.ssm import exceptions
from localcloud.ssm.commands import DOCUMENT, PLUGIN, Command, Invocation
from localcloud.ssm.parameters import ParameterStore

SEED_PARAMETER = "/aws/service/debian/release/12/latest/amd64"
"""Where Debian publishes the id of its newest AMI."""
PROPAGATION_SECONDS = 0.2
"""For how long a command that was sent is not found yet; AWS promises no time."""
DELIVERY_SECONDS = EXECUTION_SECONDS = 3600
MAX_EXECUTION_SECONDS = 172_800


FILTERS = ("InstanceIds", "AgentVersion", "PingStatus", "PlatformTypes", "ActivationIds", "IamRole", "ResourceType",
           "AssociationStatus", "SourceIds", "SourceTypes")  # fmt: skip
MANAGED = {
    "AgentVersion": "3.0.0.0",
    "IsLatestVersion": True,
    "PingStatus": "Online",
    "PlatformType": "Linux",
    "PlatformName": "Debian GNU/Linux",
    "PlatformVersion": "12",
    "ResourceType": "EC2Instance",
    "SourceType": "AWS::EC2::Instance",
}
"""What is known of every managed instance."""
TARGETS = ("InstanceIds", "tag-key")
"""What chooses a command's instances, beside tags; AWS has resource groups, too."""


class LocalSSMBackend(AdoptedBackend, ParameterStore):
    """Systems Manager of one account and region."""

    _commands: list[Command]  # type: ignore[assignment] # ours, with the same interface

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.publish(SEED_PARAMETER, seed_image_id(region_name))

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
        """Begin to run a script on instances, named by id or by the targets' tags."""
        if document_name.rpartition("/")[2] != DOCUMENT:
            raise exceptions.invalid_document(document_name)
        if not parameters.get("commands"):
            raise exceptions.invalid_parameters(f"{DOCUMENT} needs the parameter commands, a list of lines.")
        chosen = list(instance_ids)
        if len(set(chosen)) < len(chosen):
            raise exceptions.duplicate_instance_id()
        down = [instance_id for instance_id in chosen if not self.cloud.is_running(instance_id)]
        if down:
            raise exceptions.invalid_instance_id(", ".join(down), self.account_id)
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
            visible_at=self.cloud.clock() + PROPAGATION_SECONDS,
        )
        self._commands.append(command)
        for invocation in command.invocations:
            threading.Thread(
                target=invocation.run, args=(self.cloud.engine,), name=f"ssm-{invocation.instance_id}", daemon=True
            ).start()
        return command

    def get_command_by_id(self, command_id: str) -> Command:  # type: ignore[override] # as above
        """Return the command."""
        for command in self._commands:
            if command.command_id == command_id:
                return command
        raise exceptions.invalid_command_id()

    def get_command_invocation(self, command_id: str, instance_id: str, plugin_name: str | None) -> dict[str, Any]:
        """Return the command's result so far on that instance."""
        for invocation in self._invocations():
            if (invocation.command.command_id, invocation.instance_id) == (command_id, instance_id):
                if plugin_name not in (None, PLUGIN):
                    raise exceptions.invalid_plugin_name()
                return invocation.details()
        raise exceptions.invocation_does_not_exist()

    def list_command_invocations(
        self, command_id: str | None, instance_id: str | None, filters: Sequence[dict[str, str]]
    ) -> list[Invocation]:
        """Return the invocations of one command or of all, newest command first."""
        statuses = {item["value"] for item in filters if item["key"] == "Status"}
        return [
            invocation
            for invocation in self._invocations()
            if command_id in (None, invocation.command.command_id)
            and instance_id in (None, invocation.instance_id)
            and (not statuses or invocation.status in statuses)
        ]

    def cancel_command(self, command_id: str, instance_ids: Sequence[str]) -> None:
        """End a command where it still runs, on all its instances or on some."""
        for invocation in self.get_command_by_id(command_id).invocations:
            if not instance_ids or invocation.instance_id in instance_ids:
                self.cloud.in_background(
                    f"cancel-{invocation.instance_id}", partial(invocation.cancel, self.cloud.engine)
                )

    def _invocations(self) -> Iterator[Invocation]:
        """Yield every invocation that AWS would know of by now, those of the newest command first."""
        now = self.cloud.clock()
        return (one for command in self._commands[::-1] if command.visible_at <= now for one in command.invocations)

    def describe_instance_information(self, filters: dict[str, Sequence[str]]) -> list[dict[str, Any]]:
        """Return the instances that take commands, those that run; filters are accepted values by key."""
        for key in filters:
            if key not in (*FILTERS, "tag-key") and not key.startswith("tag:"):
                raise exceptions.invalid_filter_key(key)
        described = []
        for instance in self.cloud.backend("ec2", self.account_id, self.region_name).all_running_instances():
            entry = {
                **MANAGED,
                "InstanceId": instance.id,
                "LastPingDateTime": utcnow(),
                "SourceId": instance.id,
                "IPAddress": instance.private_ip,
                "ComputerName": instance.private_dns_name,
            }
            tags = instance.get_tags()
            actual = {
                **{f"tag:{tag['key']}": {tag["value"]} for tag in tags},
                "tag-key": {tag["key"] for tag in tags},
                **{key: {entry.get(key, entry.get(key[:-1]))} for key in FILTERS},  # most are plural
            }
            if all(not actual.get(key, set()).isdisjoint(values) for key, values in filters.items()):
                described.append(entry)
        return described

    def _targeted(self, targets: Sequence[dict[str, Any]]) -> list[str]:
        """Ids of the running instances that match every target."""
        if not targets:
            return []
        for target in targets:
            if target["Key"] not in TARGETS and not target["Key"].startswith("tag:"):
                raise exceptions.invalid_parameters(f"The embedded cloud does not emulate the target {target['Key']}.")
        filters = {target["Key"]: target["Values"] for target in targets}
        return [entry["InstanceId"] for entry in self.describe_instance_information(filters)]


def _execution_seconds(parameters: dict[str, list[str]]) -> int:
    text = "".join(parameters.get("executionTimeout", [])[:1]) or str(EXECUTION_SECONDS)
    if not text.isdecimal() or not 1 <= int(text) <= MAX_EXECUTION_SECONDS:
        raise exceptions.invalid_parameters(
            f"executionTimeout is {text!r}: it is a number of seconds from 1 to {MAX_EXECUTION_SECONDS}."
        )
    return int(text)
