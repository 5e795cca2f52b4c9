"""The trigger that runs an image's checks against its temporary instance."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import pytest
from aiohttp import web
from airflow.providers.amazon.aws.hooks.ssm import SsmHook

from rebake.hooks.instance import InstanceHook
from rebake.image.probe import Check
from rebake.triggers.probe import ProbeTrigger
from tests.support.aws import CONNECTION, AsyncScript

RUNNING = {"State": {"Name": "running"}, "InstanceId": "i-1", "PrivateIpAddress": "127.0.0.1"}


def _instances(**of: Any) -> tuple[str, Any]:
    return "describe_instances", {"Reservations": [{"Instances": [of]}]}


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets what EC2 and Systems Manager answer."""

    def set_answers(ec2: list[tuple[str, Any]], ssm: list[tuple[str, Any]] | None = None) -> None:
        monkeypatch.setattr(InstanceHook, "get_async_conn", AsyncScript("ec2", *ec2).get_async_conn)
        monkeypatch.setattr(SsmHook, "get_async_conn", AsyncScript("ssm", *(ssm or [])).get_async_conn)

    return set_answers


class _BlindTrigger(ProbeTrigger):
    """Looks at the instance only until it runs, so that a script of answers need not count the looks."""

    async def _watch(self, ec2: Any) -> str:
        await asyncio.Event().wait()
        return ""


def _trigger(
    *checks: Check,
    port: int = 0,
    seconds: float = 30,
    poll_seconds: float = 0.001,
    kind: type[ProbeTrigger] = ProbeTrigger,
    least: float = 0,
) -> ProbeTrigger:
    return kind(
        instance_id="i-1",
        port=port,
        checks=[asdict(check) for check in checks],
        deadline=time.time() + seconds,
        poll_seconds=poll_seconds,
        least=least,
        **CONNECTION,
    )


@asynccontextmanager
async def _application(handler: Callable[[web.Request], Any]) -> AsyncIterator[int]:
    """Serve HTTP on a free port of loopback."""
    application = web.Application()
    application.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _probe_over_http(
    answers: Iterator[tuple[int, str]], check: Check, seconds: float = 30, least: float = 0, poll_seconds: float = 0.01
) -> dict[str, Any]:
    async def answer(_: web.Request) -> web.Response:
        status, text = next(answers)
        return web.Response(status=status, text=text)

    async def run() -> Any:
        async with _application(answer) as port:
            options: dict[str, Any] = {"seconds": seconds, "least": least, "poll_seconds": poll_seconds}
            trigger = _trigger(check, port=port, kind=_BlindTrigger, **options)
            return await _first(trigger)

    payload: dict[str, Any] = asyncio.run(run())
    return payload


def test_http_checks_are_retried_until_the_application_answers(clients: Callable[..., None]) -> None:
    clients([_instances(State={"Name": "pending"}), _instances(**RUNNING)])
    check = Check("GET /version", path="/version", contains='"1.2.3"')

    event = _probe_over_http(iter([(503, "starting"), (200, '{"version": "1.2.3"}')]), check)

    assert event["ok"]
    (outcome,) = event["report"]["checks"]
    assert (outcome["attempts"], outcome["answer"]) == (2, "HTTP 200")
    assert event["report"]["address"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((500, "Traceback: boom"), "HTTP 500, wanted 200; body: Traceback: boom"),
        ((200, '{"version": "9.9.9"}'), "'\"1.2.3\"' is not in the body"),
    ],
)
def test_an_application_that_answers_wrongly_is_quoted(
    clients: Callable[..., None], answer: tuple[int, str], told: str
) -> None:
    clients([_instances(**RUNNING)])
    check = Check("GET /version", path="/version", contains='"1.2.3"')

    # The next look would come after the deadline, so there is one, however slow the machine.
    event = _probe_over_http(iter([answer]), check, poll_seconds=60)

    assert not event["ok"]
    assert told in event["message"]


def test_a_triggerer_that_was_away_past_the_deadline_does_not_make_the_image_bad(clients: Callable[..., None]) -> None:
    clients([_instances(**RUNNING)])

    event = _probe_over_http(iter([(503, "starting"), (200, "ok")]), Check("GET /", path="/"), seconds=-60, least=30)

    assert event["ok"]


def test_an_application_that_does_not_listen_is_said_not_to_answer(clients: Callable[..., None]) -> None:
    clients([_instances(**RUNNING)])
    trigger = _trigger(Check("GET /", path="/"), port=1, seconds=0.1, poll_seconds=0.05, kind=_BlindTrigger)

    event = asyncio.run(_first(trigger))

    assert "no answer" in event["report"]["checks"][0]["answer"]


async def _first(trigger: ProbeTrigger) -> dict[str, Any]:
    (event,) = [event async for event in trigger.run()]
    payload: dict[str, Any] = event.payload
    return payload


SENT = ("send_command", {"Command": {"CommandId": "11111111-2222-3333-4444-555555555555"}})


def _invocation(status: str, code: int = -1, stdout: str = "", stderr: str = "") -> tuple[str, Any]:
    said = {"StandardOutputContent": stdout, "StandardErrorContent": stderr}
    return "get_command_invocation", {"Status": status, "ResponseCode": code, **said}


def _probe_by_command(clients: Callable[..., None], *ssm: tuple[str, Any], seconds: float = 30) -> dict[str, Any]:
    clients([_instances(**RUNNING)], list(ssm))
    trigger = _trigger(
        Check("self-test", command="/opt/webapp/bin/healthcheck --self-test"), seconds=seconds, kind=_BlindTrigger
    )
    return asyncio.run(_first(trigger))


def test_a_command_passes_with_exit_code_0(clients: Callable[..., None]) -> None:
    event = _probe_by_command(
        clients,
        ("send_command", "InvalidInstanceId"),  # the agent has not registered yet
        SENT,
        ("get_command_invocation", "InvocationDoesNotExist"),
        _invocation("InProgress"),
        _invocation("Success", 0),
    )

    assert event["ok"]
    assert event["report"]["checks"][0]["attempts"] == 2


def test_a_command_that_fails_is_reported_with_its_exit_code_and_output(clients: Callable[..., None]) -> None:
    event = _probe_by_command(clients, SENT, _invocation("Failed", 3, "checking", "no database"), seconds=0.0001)

    assert not event["ok"]
    assert "Failed, exit 3; stderr: no database; stdout: checking" in event["message"]


def test_success_with_another_exit_code_is_no_success(clients: Callable[..., None]) -> None:
    assert not _probe_by_command(clients, SENT, _invocation("Success", 1), seconds=0.0001)["ok"]


def test_throttling_is_an_answer_to_ask_again_after(clients: Callable[..., None]) -> None:
    event = _probe_by_command(clients, ("send_command", "ThrottlingException"), SENT, _invocation("Success", 0))

    assert event["ok"]


def test_an_instance_that_ends_is_not_waited_for(clients: Callable[..., None]) -> None:
    gone = {"State": {"Name": "terminated"}, "StateReason": {"Message": "Client.InvalidSnapshot.NotFound"}}
    clients([_instances(State={"Name": "pending"}), _instances(**gone)])

    event = asyncio.run(_first(_trigger(Check("GET /", path="/"))))

    assert event["message"] == (
        "temporary instance i-1 is terminated before its checks passed: Client.InvalidSnapshot.NotFound"
    )


def test_an_instance_that_ends_while_it_is_checked_breaks_the_checks_off(clients: Callable[..., None]) -> None:
    gone = {"State": {"Name": "shutting-down"}, "StateTransitionReason": "Server.SpotInstanceTermination"}
    clients([_instances(**RUNNING), _instances(**RUNNING), _instances(**gone)])

    event = asyncio.run(_first(_trigger(Check("GET /", path="/"), port=1)))

    assert not event["ok"]
    assert "shutting-down before its checks passed: Server.SpotInstanceTermination" in event["message"]


def test_an_instance_that_never_runs_is_reported_with_its_state(clients: Callable[..., None]) -> None:
    clients([("describe_instances", "InvalidInstanceID.NotFound"), _instances(State={"Name": "pending"})])

    # Two looks fit before the deadline.
    event = asyncio.run(_first(_trigger(Check("GET /", path="/"), seconds=1.5, poll_seconds=0.8, least=1.5)))

    assert event["message"] == "temporary instance i-1 did not run before the deadline: its state is pending"
