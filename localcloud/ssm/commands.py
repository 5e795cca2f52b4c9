"""A command and its invocations: a script that runs as root in one or several instances."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.core.utils import utcnow

from localcloud.exceptions import EngineError

if TYPE_CHECKING:
    from localcloud.engine import Engine

DOCUMENT = "AWS-RunShellScript"
PLUGIN = "aws:runShellScript"
STDOUT_LIMIT, STDERR_LIMIT, PLUGIN_OUTPUT_LIMIT = 24_000, 8_000, 2_500
"""Characters that GetCommandInvocation, and per plugin ListCommandInvocations, return of what was written."""
FINAL_STATES = ("Success", "Failed", "TimedOut", "Cancelled")
KILLED = 137
"""Exit code of a script that `timeout` cut off."""

# The agent writes the script to a file and runs that with sh, so a first line `#!` is honoured.
WRAPPER = """
set -eu
script=$(mktemp /run/ssm-XXXXXX)
trap 'rm -f "$script" "$4"' EXIT
printf '%s\\n' "$1" >"$script"
chmod 0700 "$script"
[ -z "$3" ] || cd "$3"
code=0
# A process group of its own, which a cancellation kills.
timeout --signal=KILL "$2" sh -c "$script" &
echo $! >"$4"
wait $! || code=$?
exit "$code"
"""
CANCEL = 'kill -KILL "-$(cat "$1")"'


@dataclass
class Invocation:
    """The command on one instance."""

    command: Command
    instance_id: str
    status: str = "Pending"
    status_details: str = "Pending"
    exit_code: int = -1
    stdout: str = ""
    stderr: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    cancelled: bool = False

    def run(self, engine: Engine) -> None:
        """Run the script to its end and keep its result."""
        self.started = utcnow()
        self.status = self.status_details = "InProgress"
        begin = time.monotonic()
        seconds = self.command.execution_seconds
        script, directory = self.command.script, self.command.directory
        argv = ["sh", "-c", WRAPPER, "ssm", script, str(seconds), directory, self._group]
        try:
            completed = engine.run(self.instance_id, argv)
        except EngineError as error:
            self.stderr = str(error)
            outcome = ("Failed", "Undeliverable")
        else:
            self.stdout = completed.stdout.decode(errors="replace")
            self.stderr = completed.stderr.decode(errors="replace")
            self.exit_code = completed.exit_code
            if self.cancelled:
                outcome = ("Cancelled", "Cancelled")
            elif completed.exit_code == 0:
                outcome = ("Success", "Success")
            elif completed.exit_code == KILLED and time.monotonic() - begin >= seconds:
                outcome = ("TimedOut", "ExecutionTimedOut")
            else:
                outcome = ("Failed", "Failed")
        self.ended = utcnow()
        # Last: pollers read the rest once the status is final.
        self.status_details, self.status = outcome[1], outcome[0]

    def cancel(self, engine: Engine) -> None:
        """Kill the script, unless it has ended."""
        if self.status not in FINAL_STATES:
            self.cancelled = True
            with contextlib.suppress(EngineError):
                engine.run(self.instance_id, ["sh", "-c", CANCEL, "ssm", self._group])

    @property
    def _group(self) -> str:
        """The file in the instance that has the id of the script's process group."""
        return f"/run/ssm-{self.command.command_id}.group"

    def _described(self) -> dict[str, Any]:
        return {
            "CommandId": self.command.command_id,
            "InstanceId": self.instance_id,
            "Comment": self.command.comment,
            "DocumentName": self.command.document_name,
            "DocumentVersion": "$DEFAULT",
            "Status": self.status,
            "StatusDetails": self.status_details,
        }

    def details(self) -> dict[str, Any]:
        """Return the answer of GetCommandInvocation."""
        elapsed = (self.ended - self.started) if self.ended and self.started else timedelta()
        return {
            **self._described(),
            "PluginName": PLUGIN,
            "ResponseCode": self.exit_code,
            "ExecutionStartDateTime": _iso(self.started),
            "ExecutionElapsedTime": f"PT{elapsed.total_seconds():.3f}S",
            "ExecutionEndDateTime": _iso(self.ended),
            "StandardOutputContent": self.stdout[:STDOUT_LIMIT],
            "StandardOutputUrl": "",
            "StandardErrorContent": self.stderr[:STDERR_LIMIT],
            "StandardErrorUrl": "",
        }

    def summary(self, *, plugins: bool) -> dict[str, Any]:
        """Return the invocation's entry in ListCommandInvocations; its plugin's output only when requested."""
        entry: dict[str, Any] = {
            **self._described(),
            "InstanceName": "",
            "RequestedDateTime": self.command.requested,
            "CommandPlugins": [],
        }
        if plugins:
            entry["CommandPlugins"].append(
                {
                    "Name": PLUGIN,
                    "Status": self.status,
                    "StatusDetails": self.status_details,
                    "ResponseCode": self.exit_code,
                    "ResponseStartDateTime": self.started,
                    "ResponseFinishDateTime": self.ended,
                    "Output": (self.stdout + self.stderr)[:PLUGIN_OUTPUT_LIMIT],
                }
            )
        return entry


@dataclass
class Command:
    """A command as SendCommand received it."""

    document_name: str
    instance_ids: Sequence[str]
    parameters: dict[str, list[str]]
    comment: str = ""
    timeout_seconds: int = 3600
    targets: Sequence[dict[str, Any]] = ()
    execution_seconds: int = 3600
    visible_at: float = 0
    command_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    requested: datetime = field(default_factory=utcnow)
    invocations: list[Invocation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.invocations = [Invocation(self, instance_id) for instance_id in self.instance_ids]

    @property
    def script(self) -> str:
        """The lines to run."""
        return "\n".join(self.parameters["commands"])

    @property
    def directory(self) -> str:
        """The working directory, "" for the default."""
        return "".join(self.parameters.get("workingDirectory", [])[:1])

    @property
    def status(self) -> str:
        """The worst of the invocations' statuses, as the console shows it."""
        statuses = [invocation.status for invocation in self.invocations]
        for status in ("InProgress", "Pending", "Cancelled", "TimedOut", "Failed"):
            if status in statuses:
                return status
        return "Success"

    def response_object(self) -> dict[str, Any]:
        """Return the command as SendCommand and ListCommands show it."""
        statuses = [invocation.status for invocation in self.invocations]
        return {
            "CommandId": self.command_id,
            "Comment": self.comment,
            "DocumentName": self.document_name,
            "DocumentVersion": "$DEFAULT",
            "ExpiresAfter": self.requested + timedelta(seconds=self.timeout_seconds),
            "InstanceIds": list(self.instance_ids),
            "Targets": list(self.targets),
            "Parameters": self.parameters,
            "RequestedDateTime": self.requested,
            "Status": self.status,
            "StatusDetails": self.status,
            "TargetCount": len(statuses),
            "CompletedCount": sum(status in FINAL_STATES for status in statuses),
            "ErrorCount": sum(status in ("Failed", "TimedOut") for status in statuses),
            "DeliveryTimedOutCount": 0,
            "TimeoutSeconds": self.timeout_seconds,
        }


def _iso(moment: datetime | None) -> str:
    return f"{moment.isoformat(timespec='milliseconds')}Z" if moment else ""
