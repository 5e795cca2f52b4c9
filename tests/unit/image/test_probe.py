"""Checks of a temporary instance: asked until they pass, and reported in full when they do not."""

import asyncio
import time
from typing import Any

import pytest

from rebake.config import HttpCheck, Probe
from rebake.image.probe import Answer, Check, checks_of, excerpt, explain, run_checks
from rebake.image.probe_report import CheckOutcome, ProbeReport


def test_checks_are_taken_from_the_service_with_the_version_filled_in() -> None:
    probe = Probe(http=(HttpCheck(path="/version", contains='"{version}"'),), commands=("true",))

    assert checks_of(probe, "1.2.3") == [
        Check("GET /version", path="/version", contains='"1.2.3"'),
        Check("true", command="true"),
    ]


def test_an_image_without_checks_must_still_run_a_command() -> None:
    assert [check.command for check in checks_of(Probe(http=()), "")] == ["true"]


def test_a_long_body_is_cut() -> None:
    assert excerpt("x" * 1000).endswith("... (1000 characters)")


def test_a_check_that_hangs_does_not_outlive_the_deadline_nor_hide_the_others() -> None:
    async def ask(check: Check) -> Answer:
        if check.name == "hangs":
            await asyncio.Event().wait()
        return Answer(True, "yes")

    hangs, passes = asyncio.run(
        run_checks(
            [Check("hangs"), Check("passes")],
            ask,
            deadline=time.time() + 0.05,
            poll_seconds=0.001,
            on_attempt=lambda _: None,
        )
    )

    assert (hangs.ok, hangs.answer) == (False, "no answer before the deadline")
    assert passes.ok


def test_the_explanation_names_each_failed_check_with_its_last_answer() -> None:
    report = ProbeReport(
        instance_id="i-1",
        address="10.0.0.1",
        checks=[
            CheckOutcome(name="GET /", ok=True, attempts=1, seconds=0.1, answer="HTTP 200"),
            CheckOutcome(name="self-test", attempts=4, seconds=9, answer="exit 1"),
        ],
    )

    assert explain(report) == "1 of 2 checks failed on i-1 (10.0.0.1): self-test: exit 1 (4 attempts in 9 s)"


@pytest.mark.parametrize(
    ("answers", "seconds", "expected"),
    [
        pytest.param("no no yes", 30, (True, 3, "yes"), id="until it passes"),
        pytest.param("no", 0.0005, (False, 1, "no"), id="at least once, and not after the deadline"),
    ],
)
def test_a_check_is_asked_until_it_passes_or_the_deadline(answers: str, seconds: float, expected: tuple[Any]) -> None:
    left = answers.split()

    async def ask(_: Check) -> Answer:
        answer = left.pop(0)
        return Answer(answer == "yes", answer)

    attempts: list[CheckOutcome] = []
    (outcome,) = asyncio.run(
        run_checks(
            [Check("check")], ask, deadline=time.time() + seconds, poll_seconds=0.001, on_attempt=attempts.append
        )
    )

    assert (outcome.ok, outcome.attempts, outcome.answer) == expected
