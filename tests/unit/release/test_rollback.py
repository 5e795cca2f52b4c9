"""Which release a rollback returns to, by default and by name, and what it says when there is none."""

from typing import Any

import pytest

from rebake.exceptions import ConfigError
from rebake.release import rollback
from tests.support.releases import record


def _one(number: int, version: str, outcome: str = "successful", restores: int | None = None, **more: Any) -> Any:
    """Return the record of the service's release of that number; its image is named after its version."""
    kind, restored = ("rollback", f"r{restores}") if restores else ("deploy", None)
    fields = {"version": version, "ami_id": f"ami-{version}", "kind": kind, "restores": restored, **more}
    return record(number, outcome, **fields).model_copy(update={"release_id": f"r{number}"})


A, B, C = _one(1, "1"), _one(2, "2"), _one(3, "3")
UNSUCCESSFUL = _one(3, "3", "failed"), _one(4, "4", "superseded"), _one(5, "5", "in_progress")


@pytest.mark.parametrize(
    ("records", "chosen"),
    [
        pytest.param([A, B, C], "r2", id="the one before"),
        pytest.param([A, B, *UNSUCCESSFUL], "r1", id="runs that did not succeed do not count"),
        pytest.param([A, B, C, _one(4, "2", restores=2)], "r1", id="rolling back twice goes back two"),
        pytest.param([A, B, C, _one(4, "1", restores=1), _one(5, "5")], "r1", id="what a rollback restored"),
        pytest.param(
            [A, B, C, _one(4, "2", restores=2), _one(5, "1", restores=1), _one(6, "6")], "r1", id="a chain of rollbacks"
        ),
        pytest.param([A, B, _one(3, "2")], "r1", id="one of the same image is not the one before"),
    ],
)
def test_after_a_success_it_is_the_release_before(records: list[Any], chosen: str) -> None:
    newest_first = list(reversed(records))
    runs = [rollback.successful(newest_first)[0].ami_id or ""]

    assert rollback.default("webapp", newest_first, runs, "")[0].release_id == chosen


@pytest.mark.parametrize(
    ("images", "deployment", "chosen", "reason"),
    [
        (["ami-2"], "deploy_webapp/x", "r2", "deploy_webapp/x is replacing the current release"),
        (["ami-2", "ami-3"], "", "r2", "the fleet runs ami-3 besides the current release"),
        (["ami-3"], "", "r2", "the fleet runs ami-3 besides the current release"),
        (["ami-2"], "", "r1", "the one before r2"),
    ],
)
def test_a_fleet_that_is_being_changed_or_mixed_returns_to_the_current_release(
    images: list[str], deployment: str, chosen: str, reason: str
) -> None:
    found, why = rollback.default("webapp", [B, A], images, deployment)

    assert (found.release_id, why) == (chosen, reason)


def test_the_first_release_has_none_before_it() -> None:
    with pytest.raises(ConfigError, match="webapp has no release before r1, its current one"):
        rollback.default("webapp", [A], ["ami-1"], "")


AGAIN = _one(4, "1", ami_id="ami-1b")


@pytest.mark.parametrize(
    ("newest", "wanted", "chosen"),
    [
        *([C, wanted, "r1"] for wanted in ("r1", "1", "ami-1")),
        pytest.param(AGAIN, "1", "r4", id="the newest of a version"),
        pytest.param(_one(4, "1", restores=1), "r4", "r1", id="a rollback stands for what it restored"),
    ],
)
def test_a_release_is_named_by_its_id_its_version_or_its_image(newest: Any, wanted: str, chosen: str) -> None:
    assert rollback.named("webapp", [newest, C, B, A], wanted, list).release_id == chosen


def test_a_service_without_a_release_has_none_to_return_to() -> None:
    with pytest.raises(ConfigError, match="webapp has no release to roll back to: none has ever succeeded"):
        rollback.default("webapp", [_one(1, "1", "failed")], [], "")


def test_a_run_that_did_not_succeed_is_refused_with_its_reason() -> None:
    bad = _one(4, "4", "rolled_back", reason="unhealthy")

    with pytest.raises(
        ConfigError, match=r"release r4 of webapp is rolled_back: unhealthy; .* There are: r3 \(ami-3\)"
    ):
        rollback.named("webapp", [bad, C, B, A], "4", lambda: {"ami-1", "ami-2", "ami-3"})


@pytest.mark.parametrize(
    ("images", "choice"),
    [
        (["ami-1", "ami-2"], r"There are: r2 \(ami-2\), r1 \(ami-1\)$"),
        (["ami-1"], r"There are: r1 \(ami-1\) \(1 omitted: image gone or revoked\)$"),
        ([], r"There are: none \(2 omitted: image gone or revoked\)$"),
    ],
)
def test_an_unknown_name_is_refused_with_the_releases_whose_image_can_be_launched(
    images: list[str], choice: str
) -> None:
    with pytest.raises(ConfigError, match=rf"webapp has no release '9', neither by id .* {choice}"):
        rollback.named("webapp", [B, A], "9", lambda: images)


def test_records_that_restore_each_other_do_not_hang() -> None:
    one, other = _one(1, "1", restores=2), _one(2, "1", restores=1)

    assert rollback.origin([other, one], one).release_id in {"r1", "r2"}
