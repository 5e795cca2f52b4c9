"""Waiting for a temporary instance, and for it to pass its checks, without a worker slot."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
from airflow.providers.amazon.aws.hooks.ssm import SsmHook
from airflow.providers.amazon.aws.triggers.base import AwsBaseWaiterTrigger
from airflow.triggers.base import TriggerEvent
from botocore.exceptions import ClientError

from rebake.aws_errors import error_code, is_transient
from rebake.hooks.instance import GONE_STATES, InstanceHook
from rebake.image.probe import Answer, Check, ask_http, excerpt, explain, run_checks
from rebake.image.probe_report import CheckOutcome, ProbeReport
from rebake.triggers.base import DeadlineTrigger

_COMMAND_ENDS: Final = ("Success", "Failed", "TimedOut", "Cancelled", "Undeliverable", "Terminated")
_NOT_REGISTERED: Final = "InvalidInstanceId"
_NOT_THERE_YET: Final = "InvocationDoesNotExist"


class ProbeTrigger(DeadlineTrigger):
    """Waits until the instance runs, runs every check on it, and yields one event with the report.

    The event is `{"ok": bool, "message": str, "report": {...}, "outputs": {check: text}}`, the outputs being those of
    the commands that keep them. It is not ok when a check did not pass before the deadline, or as soon as the
    instance is gone.

    Args:
        instance_id: the temporary instance.
        port: where the application listens, for HTTP checks.
        checks: the checks as plain data, see `rebake.image.probe.Check`.
        least: seconds that the checks have, however late they begin: a triggerer that was down until the deadline
            proves nothing about the image.
    """

    def __init__(
        self, *, instance_id: str, port: int, checks: list[dict[str, Any]], least: float, **kwargs: Any
    ) -> None:
        fields = {"instance_id": instance_id, "port": port, "checks": checks, "least": least}
        super().__init__(fields=fields, **kwargs)
        self.instance_id = instance_id
        self.port = port
        self.checks = [Check(**check) for check in checks]
        self.least = least
        self._outputs: dict[str, str] = {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event."""
        start = time.monotonic()
        report = ProbeReport(
            instance_id=self.instance_id, checks=[CheckOutcome(name=check.name) for check in self.checks]
        )
        async with (
            await InstanceHook(**self.connection).get_async_conn() as ec2,
            await SsmHook(**self.connection).get_async_conn() as ssm,
            aiohttp.ClientSession() as session,
        ):
            self.deadline = max(self.deadline, time.time() + self.least)
            ended = await self._wait_for_address(ec2, report)
            if not ended:
                ended = await self._check(ec2, ssm, session, report)
        report.seconds = round(time.monotonic() - start, 2)
        message = ended or ("all checks passed" if report.ok else explain(report))
        yield TriggerEvent(
            {
                "ok": not ended and report.ok,
                "message": message,
                "report": report.model_dump(mode="json"),
                "outputs": self._outputs,
            }
        )

    async def _wait_for_address(self, ec2: Any, report: ProbeReport) -> str:
        """Fill in the instance's address when it runs; return why it never will, or nothing."""
        state = "unknown"
        while True:
            described = await self._describe(ec2)
            if described is not None:
                state = described.get("State", {}).get("Name", "unknown")
                report.address = described.get("PrivateIpAddress", "")
                if state in GONE_STATES:
                    return self._gone(described)
                if state == "running" and report.address:
                    self.log.info("%s runs at %s", self.instance_id, report.address)
                    return ""
            if self.is_over:
                return f"temporary instance {self.instance_id} did not run before the deadline: its state is {state}"
            await asyncio.sleep(self.poll_seconds)

    async def _check(self, ec2: Any, ssm: Any, session: aiohttp.ClientSession, report: ProbeReport) -> str:
        """Fill in the outcomes; return why the checks were broken off, or nothing."""
        base_url = f"http://{report.address}:{self.port}"

        async def ask(check: Check) -> Answer:
            answer = await (self._ask_command(ssm, check) if check.command else ask_http(session, base_url, check))
            if check.keeps_output:
                self._outputs[check.name] = answer.output
            return answer

        def log(outcome: CheckOutcome) -> None:
            self.log.info("%s: %s (attempt %d)", outcome.name, outcome.answer, outcome.attempts)

        checks = asyncio.ensure_future(
            run_checks(self.checks, ask, deadline=self.deadline, poll_seconds=self.poll_seconds, on_attempt=log)
        )
        watch = asyncio.ensure_future(self._watch(ec2))
        try:
            await asyncio.wait((checks, watch), return_when=asyncio.FIRST_COMPLETED)
            if not checks.done():
                return watch.result()
            report.checks = checks.result()
            return ""
        finally:
            for task in (checks, watch):
                task.cancel()
            await asyncio.gather(checks, watch, return_exceptions=True)

    async def _watch(self, ec2: Any) -> str:
        """Return as soon as the instance is gone, because its checks can no longer pass."""
        while True:
            described = await self._describe(ec2)
            if described is not None and described.get("State", {}).get("Name") in GONE_STATES:
                return self._gone(described)
            await asyncio.sleep(self.poll_seconds)

    def _gone(self, described: dict[str, Any]) -> str:
        why = (
            described.get("StateReason", {}).get("Message")
            or described.get("StateTransitionReason")
            or "no reason given"
        )
        return f"temporary instance {self.instance_id} is {described['State']['Name']} before its checks passed: {why}"

    async def _describe(self, ec2: Any) -> dict[str, Any] | None:
        try:
            answer = await ec2.describe_instances(InstanceIds=[self.instance_id])
        except Exception as error:
            # An instance that was launched a moment ago may be unknown to the server that answers.
            if is_transient(error) or error_code(error) == "InvalidInstanceID.NotFound":
                self.log.info("%s is not described yet: %s", self.instance_id, error)
                return None
            raise
        found = [instance for group in answer["Reservations"] for instance in group["Instances"]]
        return found[0] if found else None

    async def _ask_command(self, ssm: Any, check: Check) -> Answer:
        """Run the check's command once (Systems Manager, SendCommand) and wait for its end."""
        seconds = str(max(int(self.deadline - time.time()), 1))
        try:
            sent = await ssm.send_command(
                InstanceIds=[self.instance_id],
                DocumentName="AWS-RunShellScript",
                Parameters={"commands": [check.command], "executionTimeout": [seconds]},
                Comment="Rebake: check of an image",
            )
            invocation = await self._ended(ssm, sent["Command"]["CommandId"])
        except Exception as error:
            if error_code(error) == _NOT_REGISTERED:
                return Answer(ok=False, text="not registered with Systems Manager yet")
            if is_transient(error):
                return Answer(ok=False, text=f"Systems Manager does not answer: {error}")
            raise
        status, code = invocation["Status"], invocation.get("ResponseCode", -1)
        if status == "Success" and code == 0:
            return Answer(ok=True, text="exit 0", output=invocation.get("StandardOutputContent", ""))
        streams = {
            name: excerpt(invocation.get(f"Standard{name}Content", "")) or "(empty)" for name in ("Error", "Output")
        }
        text = f"{status}, exit {code}; stderr: {streams['Error']}; stdout: {streams['Output']}"
        return Answer(ok=False, text=text)

    async def _ended(self, ssm: Any, command_id: str) -> dict[str, Any]:
        while True:
            try:
                invocation: dict[str, Any] = await ssm.get_command_invocation(
                    CommandId=command_id, InstanceId=self.instance_id
                )
                if invocation["Status"] in _COMMAND_ENDS:
                    return invocation
            except ClientError as error:
                if error_code(error) != _NOT_THERE_YET:
                    raise
            await asyncio.sleep(min(self.poll_seconds, 2))


class InstancesTerminatedTrigger(AwsBaseWaiterTrigger):
    """Waits until instances are terminated.

    Give the deferral a timeout: the provider's waiters do not count errors against their attempts.

    Args:
        instance_ids: the instances.
        waiter_delay: seconds between two polls.
        waiter_max_attempts: polls.
    """

    aws_hook_class: type[AwsGenericHook[Any]] = InstanceHook

    def __init__(
        self, *, instance_ids: list[str], waiter_delay: float, waiter_max_attempts: int, **kwargs: Any
    ) -> None:
        super().__init__(
            serialized_fields={"instance_ids": instance_ids},
            waiter_name="instances_terminated",
            waiter_args={"InstanceIds": instance_ids},
            failure_message="Instances were not terminated",
            status_message="Instances are",
            status_queries=["Reservations[].Instances[].[InstanceId, State.Name]"],
            return_value=instance_ids,
            waiter_delay=waiter_delay,  # type: ignore[arg-type]  # typed int there, only ever slept
            waiter_max_attempts=waiter_max_attempts,
            **kwargs,
        )
