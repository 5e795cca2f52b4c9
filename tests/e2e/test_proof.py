"""A case of `make prove`, with a load that leaves the processor to the tests beside it."""

from pathlib import Path

import pytest

from prove import measure
from prove.cases import CASES
from prove.scene import Scene
from stack.follow import RunOutcome
from stack.load import Load
from stack.up import Stack

pytestmark = [pytest.mark.engine, pytest.mark.e2e]


def test_an_alarm_in_the_middle_of_a_rollout_turns_it_round_without_a_loss(
    stack: Stack, second: tuple[RunOutcome, Load], tmp_path: Path
) -> None:
    (case,) = [case for case in CASES if case.name == "alarm"]
    result = measure.run(case, Scene(stack, tmp_path, rate=30), tmp_path)

    assert result.green, [check for check in result.findings.checks if not check.ok]
