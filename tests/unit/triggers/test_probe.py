"""The trigger that runs an image's checks against its temporary instance."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import pytest
from aiohttp import test_utils, web
from airflow.providers.amazon.aws.hooks.ssm import SsmHook

from rebake.hooks.instance import InstanceHook
from rebake.image.probe import Check
from rebake.triggers.probe import ProbeTrigger
from tests.support.aws import CONNECTION, AsyncScript
from tests.support.task import run_trigger

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


def _probe_over_http(
    answers: Iterator[tuple[int, str]], check: Check, seconds: float = 30, least: float = 0, poll_seconds: float = 0.01
) -> dict[str, Any]:
    async def answer(_: web.BaseRequest) -> web.Response:
        status, text = next(answers)
        return web.Response(status=status, text=text)

    async def run() -> Any:
        async with test_utils.RawTestServer(answer) as server:
            options: dict[str, Any] = {"seconds": seconds, "least": least, "poll_seconds": poll_seconds}
            trigger = _trigger(check, port=server.port or 0, kind=_BlindTrigger, **options)
            (event,) = [event async for event in trigger.run()]
            return event.payload

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
    ("answer", "quoted"),
    [
        ((500, "Traceback: boom"), "HTTP 500, wanted 200; body: Traceback: boom"),
        ((200, '{"version": "9.9.9"}'), "'\"1.2.3\"' is not in the body"),
    ],
)
def test_an_application_that_answers_wrongly_is_quoted(
    clients: Callable[..., None], answer: tuple[int, str], quoted: str
) -> None:
    clients([_instances(**RUNNING)])
    check = Check("GET /version", path="/version", contains='"1.2.3"')

    # The next look would come after the deadline, so there is one, however slow the machine.
    event = _probe_over_http(iter([answer]), check, poll_seconds=60)

    assert not event["ok"]
    assert quoted in event["message"]


def test_a_triggerer_that_was_away_past_the_deadline_does_not_make_the_image_bad(clients: Callable[..., None]) -> None:
    clients([_instances(**RUNNING)])

    event = _probe_over_http(iter([(503, "starting"), (200, "ok")]), Check("GET /", path="/"), seconds=-60, least=30)

    assert event["ok"]


def test_an_application_that_does_not_listen_is_said_not_to_answer(clients: Callable[..., None]) -> None:
    clients([_instances(**RUNNING)])
    trigger = _trigger(Check("GET /", path="/"), port=1, seconds=0.1, poll_seconds=0.05, kind=_BlindTrigger)

    assert "no answer" in run_trigger(trigger)["report"]["checks"][0]["answer"]


SENT = ("send_command", {"Command": {"CommandId": "11111111-2222-3333-4444-555555555555"}})


def _invocation(status: str, code: int = -1, stdout: str = "", stderr: str = "") -> tuple[str, Any]:
    output = {"StandardOutputContent": stdout, "StandardErrorContent": stderr}
    return "get_command_invocation", {"Status": status, "ResponseCode": code, **output}


def _probe_by_command(clients: Callable[..., None], *ssm: tuple[str, Any], seconds: float = 30) -> dict[str, Any]:
    clients([_instances(**RUNNING)], list(ssm))
    check = Check("self-test", command="/opt/webapp/bin/healthcheck --self-test")
    return run_trigger(_trigger(check, seconds=seconds, kind=_BlindTrigger))


def test_a_command_is_retried_until_it_passes_with_exit_code_0(clients: Callable[..., None]) -> None:
    event = _probe_by_command(
        clients,
        ("send_command", "InvalidInstanceId"),  # the agent has not registered yet
        ("send_command", "ThrottlingException"),
        SENT,
        ("get_command_invocation", "InvocationDoesNotExist"),
        _invocation("InProgress"),
        _invocation("Success", 0),
    )

    assert event["ok"]
    assert event["report"]["checks"][0]["attempts"] == 3


@pytest.mark.parametrize(
    ("invocation", "quoted"),
    [
        (_invocation("Failed", 3, "checking", "no database"), "Failed, exit 3; stderr: no database; stdout: checking"),
        (_invocation("Success", 1), "Success, exit 1"),
    ],
)
def test_a_command_that_fails_is_reported_with_its_exit_code_and_output(
    clients: Callable[..., None], invocation: tuple[str, Any], quoted: str
) -> None:
    event = _probe_by_command(clients, SENT, invocation, seconds=0.0001)

    assert not event["ok"]
    assert quoted in event["message"]


@pytest.mark.parametrize(
    ("before", "state", "reason"),
    [
        ([{"State": {"Name": "pending"}}], "terminated", {"StateReason": {"Message": "Client.InvalidSnapshot"}}),
        ([RUNNING, RUNNING], "shutting-down", {"StateTransitionReason": "Client.InvalidSnapshot"}),
    ],
    ids=["before it ran", "while it is checked"],
)
def test_an_instance_that_ends_ends_the_probe(
    clients: Callable[..., None], before: list[dict[str, Any]], state: str, reason: dict[str, Any]
) -> None:
    clients([*(_instances(**one) for one in before), _instances(State={"Name": state}, **reason)])

    event = run_trigger(_trigger(Check("GET /", path="/"), port=1))

    assert not event["ok"]
    assert event["message"] == f"temporary instance i-1 is {state} before its checks passed: Client.InvalidSnapshot"


def test_an_instance_that_never_runs_is_reported_with_its_state(clients: Callable[..., None]) -> None:
    clients([("describe_instances", "InvalidInstanceID.NotFound"), _instances(State={"Name": "pending"})])

    # Two looks fit before the deadline.
    event = run_trigger(_trigger(Check("GET /", path="/"), seconds=1.5, poll_seconds=0.8, least=1.5))

    assert event["message"] == "temporary instance i-1 did not run before the deadline: its state is pending"
