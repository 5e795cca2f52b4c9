"""A revoked image is refused by a real deployment and a real rollback, and released again after an undo."""

from collections.abc import Iterator

import pytest

from stack import follow, revoke
from stack.api import error_of
from stack.follow import RunOutcome
from stack.load import Load
from stack.up import Stack
from tests.e2e.support import webapp

pytestmark = [pytest.mark.engine, pytest.mark.e2e]

REASON = 'CVE-2026-1: it\'s "bad"'


@pytest.fixture
def revoked(stack: Stack, second: tuple[RunOutcome, Load]) -> Iterator[str]:
    """Return the image that webapp runs, revoked while the test runs."""
    image: str = webapp(stack)["current"]
    assert revoke.run(stack, image, REASON, undo=False)
    yield image
    assert revoke.run(stack, image, "", undo=True)
    assert image not in revoke.marks(stack)


def _refusal(stack: Stack, dag_id: str, conf: dict[str, str], stage: str) -> str:
    outcome = follow.run(stack.api, dag_id, conf)
    (failed,) = [task for task in stack.api.tasks(outcome.dag_id, outcome.run_id) if task.state == "failed"]
    assert (outcome.state, failed.name) == ("failed", stage)
    return error_of(stack.api.log(outcome.dag_id, outcome.run_id, failed))


def test_a_revoked_image_is_neither_deployed_nor_rolled_back_to(stack: Stack, revoked: str) -> None:
    service = webapp(stack)
    (version,) = service["versions"]

    for said in (
        _refusal(stack, "deploy_webapp", {"version": version, "ami_id": revoked}, "bake"),
        _refusal(stack, "rollback_webapp", {"release": revoked}, "choose_release"),
    ):
        assert f"{revoked} is revoked since" in said
        assert REASON in said
        assert "The nearest safe release of webapp is" in said
    assert any(REASON in note for note in service["revoked"])
    assert webapp(stack)["current"] == revoked
