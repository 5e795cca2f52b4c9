"""Checks of an image on a temporary instance: what is requested, how long, and the report of the answers.

Each check is repeated until it passes or the deadline is over. All run at the same time, so that one that hangs
hides no other's answer. The functions know neither Airflow nor boto3: `ask` is given.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp

from rebake.config import Probe
from rebake.image.probe_report import CheckOutcome, ProbeReport

EXCERPT: Final = 400
"""Characters of a body or of an output that a report keeps."""
HTTP_TIMEOUT: Final = 10.0
"""Seconds for one HTTP request."""


@dataclass(frozen=True)
class Check:
    """One check of the instance: an HTTP request, or a command that must exit 0."""

    name: str
    path: str = ""
    status: int = 200
    contains: str | None = None
    command: str = ""
    keeps_output: bool = False
    """Whether a command's whole output is handed on."""


@dataclass(frozen=True)
class Answer:
    """What one attempt at a check brought."""

    ok: bool
    text: str
    output: str = ""


def checks_of(probe: Probe, version: str) -> list[Check]:
    """Return the checks that `probe` lists, with `{version}` replaced in the expected texts.

    A probe without any check still proves something: that the instance boots and runs a command.
    """
    http = [
        Check(
            name=f"GET {check.path}",
            path=check.path,
            status=check.status,
            contains=check.contains.replace("{version}", version) if check.contains else None,
        )
        for check in probe.http
    ]
    commands = [Check(name=command, command=command) for command in probe.commands]
    return http + commands or [Check(name="runs a command", command="true")]


def excerpt(text: str) -> str:
    """Return `text` without surrounding space, cut to what a report keeps."""
    text = text.strip()
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT]}... ({len(text)} characters)"


async def ask_http(session: aiohttp.ClientSession, base_url: str, check: Check) -> Answer:
    """Send the check's request once; a connection that fails is an answer too."""
    try:
        timeout = aiohttp.ClientTimeout(total=HTTP_TIMEOUT)
        async with session.get(f"{base_url}{check.path}", timeout=timeout, allow_redirects=False) as response:
            body = (await response.read()).decode("utf-8", "replace")
            status = response.status
    except (aiohttp.ClientError, OSError) as error:
        cause = getattr(error, "os_error", error)  # aiohttp's own text also names TLS settings
        return Answer(ok=False, text=f"no answer: {type(cause).__name__}: {cause}".rstrip(": "))
    if status != check.status:
        return Answer(ok=False, text=f"HTTP {status}, wanted {check.status}; body: {excerpt(body)}")
    if check.contains is not None and check.contains not in body:
        return Answer(ok=False, text=f"HTTP {status}, but {check.contains!r} is not in the body: {excerpt(body)}")
    return Answer(ok=True, text=f"HTTP {status}")


async def run_checks(
    checks: Sequence[Check],
    ask: Callable[[Check], Awaitable[Answer]],
    *,
    deadline: float,
    poll_seconds: float,
    on_attempt: Callable[[CheckOutcome], None],
) -> list[CheckOutcome]:
    """Ask every check until it passes or the deadline is over.

    Args:
        checks: what to ask.
        ask: sends one check once.
        deadline: seconds since the epoch at which a check that has not passed is given up.
        poll_seconds: seconds between two attempts at one check.
        on_attempt: called after each attempt with another answer than the one before.

    Returns:
        The outcomes, in the order of `checks`.
    """
    return list(await asyncio.gather(*(_pursue(check, ask, deadline, poll_seconds, on_attempt) for check in checks)))


async def _pursue(
    check: Check,
    ask: Callable[[Check], Awaitable[Answer]],
    deadline: float,
    poll_seconds: float,
    on_attempt: Callable[[CheckOutcome], None],
) -> CheckOutcome:
    outcome = CheckOutcome(name=check.name)
    start = time.monotonic()
    while True:
        outcome.attempts += 1
        try:
            # The deadline also ends an attempt that hangs, such as a command that never returns.
            answer = await asyncio.wait_for(ask(check), timeout=max(deadline - time.time(), 0.001))
        except TimeoutError:
            # The answer of the attempt before is worth more than that the last one was cut short.
            has_answer = outcome.attempts > 1
            answer = Answer(ok=False, text=outcome.answer if has_answer else "no answer before the deadline")
        outcome.ok, outcome.seconds = answer.ok, round(time.monotonic() - start, 2)
        changed, outcome.answer = outcome.answer != answer.text, answer.text
        if changed:
            on_attempt(outcome)
        if answer.ok or time.time() + poll_seconds >= deadline:
            return outcome
        await asyncio.sleep(poll_seconds)


def explain(report: ProbeReport) -> str:
    """Return one paragraph that names the instance and each failed check with its last answer."""
    failed = [outcome for outcome in report.checks if not outcome.ok]
    answers = "; ".join(f"{one.name}: {one.answer} ({one.attempts} attempts in {one.seconds:g} s)" for one in failed)
    return f"{len(failed)} of {len(report.checks)} checks failed on {report.instance_id} ({report.address}): {answers}"
