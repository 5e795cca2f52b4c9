"""Which release a rollback returns to, by default and by name, and what it says when there is none."""

from __future__ import annotations

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


def _default(*records: Any, images: str = "", deployment: str = "") -> str:
    """Return the id of the release chosen; the fleet runs the images of these versions, by default the newest's."""
    newest_first = list(reversed(records))
    good = rollback.successful(newest_first)
    runs = [f"ami-{version}" for version in images.split()] or [good[0].ami_id or ""]
    chosen, _ = rollback.default("webapp", newest_first, runs, deployment)
    return chosen.release_id


A, B, C = _one(1, "1"), _one(2, "2"), _one(3, "3")


def test_after_a_success_it_is_the_release_before() -> None:
    assert _default(A, B, C) == "r2"


def test_runs_that_did_not_succeed_do_not_count() -> None:
    assert _default(A, B, _one(3, "3", "failed"), _one(4, "4", "superseded"), _one(5, "5", "in_progress")) == "r1"


def test_rolling_back_twice_goes_back_two_releases() -> None:
    assert _default(A, B, C, _one(4, "2", restores=2)) == "r1"


def test_after_a_rollback_and_a_new_release_it_is_what_the_rollback_returned_to() -> None:
    assert _default(A, B, C, _one(4, "1", restores=1), _one(5, "5")) == "r1"


def test_a_rollback_of_a_rollback_of_a_rollback_is_followed_to_the_deployment() -> None:
    assert _default(A, B, C, _one(4, "2", restores=2), _one(5, "1", restores=1), _one(6, "6")) == "r1"


def test_a_release_of_the_same_image_is_no_release_before() -> None:
    """The same version deployed twice has one image."""
    assert _default(A, B, _one(3, "2")) == "r1"


def test_while_a_deployment_has_the_turn_it_is_the_current_release() -> None:
    assert _default(A, B, deployment="deploy_webapp/x") == "r2"


def test_where_the_fleet_is_mixed_it_is_the_current_release() -> None:
    assert _default(A, B, images="2 3") == "r2"
    assert _default(A, B, images="3") == "r2"


def test_the_reason_of_the_choice_is_told() -> None:
    _, deploying = rollback.default("webapp", [B, A], ["ami-2"], "deploy_webapp/x")
    _, mixed = rollback.default("webapp", [B, A], ["ami-2", "ami-3"], "")
    _, plain = rollback.default("webapp", [B, A], ["ami-2"], "")

    assert deploying == "deploy_webapp/x is replacing the current release"
    assert mixed == "the fleet runs ami-3 besides the current release"
    assert plain == "the one before r2"


def test_a_service_without_a_release_has_none_to_return_to() -> None:
    with pytest.raises(ConfigError, match="webapp has no release to roll back to: none has ever succeeded"):
        rollback.default("webapp", [_one(1, "1", "failed")], [], "")


def test_the_first_release_has_none_before_it() -> None:
    with pytest.raises(ConfigError, match="webapp has no release before r1, its current one"):
        _default(A)


@pytest.mark.parametrize("wanted", ["r1", "1", "ami-1"])
def test_a_release_is_named_by_its_id_its_version_or_its_image(wanted: str) -> None:
    assert rollback.named("webapp", [C, B, A], wanted).release_id == "r1"


def test_of_several_with_the_same_version_the_newest_counts() -> None:
    again = _one(4, "1", ami_id="ami-1b")

    assert rollback.named("webapp", [again, C, B, A], "1").ami_id == "ami-1b"


def test_a_rollback_that_is_named_means_the_release_that_it_returned_to() -> None:
    assert rollback.named("webapp", [_one(4, "1", restores=1), C, B, A], "r4").release_id == "r1"


def test_a_run_that_did_not_succeed_is_refused_with_its_reason() -> None:
    bad = _one(4, "4", "rolled_back", reason="unhealthy")

    with pytest.raises(
        ConfigError, match=r"release r4 of webapp is rolled_back: unhealthy; .* There are: r3 \(ami-3\)"
    ):
        rollback.named("webapp", [bad, C, B, A], "4")


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"webapp has no release '9', neither by id .* There are: r2 \(ami-2\), r1"):
        rollback.named("webapp", [B, A], "9")


def test_records_that_restore_each_other_do_not_hang() -> None:
    one, other = _one(1, "1", restores=2), _one(2, "1", restores=1)

    assert rollback.origin([other, one], one).release_id in {"r1", "r2"}
