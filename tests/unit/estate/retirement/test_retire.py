"""Which step each image takes. What is never touched is in test_protection.py."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from rebake import tags
from rebake.config.policy import Retirement
from rebake.estate.inventory import Image
from rebake.estate.retirement import retire
from rebake.estate.retirement.retire import Decision, Step
from tests.unit.estate.estate_support import NOW, POLICY, SITUATION, ago, estate, fleet, image, released


def decisions(*images: Image, policy: Retirement = POLICY) -> dict[str, Decision]:
    return {one.image.id: one for one in retire.plan(estate(*images), SITUATION, policy).decisions}


def step(one: Image, policy: Retirement = POLICY) -> Step:
    return decisions(one, policy=policy)[one.id].step


@pytest.mark.parametrize(
    ("days", "state", "announced", "expected"),
    [
        pytest.param(29.9, "available", None, Step.KEEP, id="too young to deprecate"),
        pytest.param(30.1, "available", None, Step.DEPRECATE, id="old enough to deprecate"),
        pytest.param(400, "available", None, Step.DEPRECATE, id="however old, announced first"),
        pytest.param(59.9, "available", 29.9, Step.KEEP, id="too young to disable"),
        pytest.param(60.1, "available", 30.1, Step.DISABLE, id="old enough to disable"),
        pytest.param(400, "available", 29.9, Step.KEEP, id="however old, disabled 30 days after the announcement"),
        pytest.param(400, "available", 30.1, Step.DISABLE, id="disabled 30 days after the announcement"),
        pytest.param(400, "available", 300, Step.DISABLE, id="however old, never deregistered before it is disabled"),
        pytest.param(89.9, "disabled", 59.9, Step.KEEP, id="too young to deregister"),
        pytest.param(90.1, "disabled", 60.1, Step.DEREGISTER, id="old enough to deregister"),
        pytest.param(400, "disabled", 59.9, Step.KEEP, id="however old, deregistered 60 days after the announcement"),
        pytest.param(400, "disabled", None, Step.DEPRECATE, id="disabled by hand, and never announced"),
    ],
)
def test_an_image_goes_one_step_at_a_time_by_its_age_and_by_when_it_was_announced(
    days: float, state: str, announced: float | None, expected: Step
) -> None:
    deprecated_at = ago(announced) if announced else None

    assert step(image(days=days, state=state, deprecated_at=deprecated_at)) is expected


def test_an_image_whose_deprecation_lies_ahead_is_left_to_whoever_set_it() -> None:
    ahead = image(deprecated_at=NOW + timedelta(days=100))

    assert step(ahead) is Step.KEEP
    assert step(replace(ahead, state="disabled")) is Step.KEEP


def test_ages_of_nothing_take_a_step_with_each_run() -> None:
    """As in an environment for demonstrations: EC2 takes a deprecation only for some minutes ahead."""
    at_once = Retirement(deprecate_after_days=0, disable_after_days=0, deregister_after_days=0, dry_run=False)
    announced = image(deprecated_at=NOW + retire.NOTICE)

    assert step(announced, at_once) is Step.DISABLE
    assert step(replace(announced, state="disabled"), at_once) is Step.DEREGISTER


def test_the_reason_says_when_the_next_step_comes() -> None:
    kept = decisions(image(days=45, deprecated_at=ago(15)))["ami-old"]

    assert kept.reason == "45.0 days old, deprecated since 2026-05-17: disable from 2026-06-16 04:30 UTC"


def test_the_newest_released_images_of_a_service_stay_however_old() -> None:
    images = [released(f"ami-{days}", days) for days in (500, 510, 520, 530, 540, 550, 560)]

    found = decisions(*images)

    assert {ami_id for ami_id, one in found.items() if one.step is Step.KEEP} == {
        "ami-500", "ami-510", "ami-520", "ami-530", "ami-540",
    }  # fmt: skip
    assert found["ami-500"].reason == "one of the newest 5 released images of webapp"


def test_each_service_and_each_base_family_is_counted_for_itself() -> None:
    images = [
        released(f"ami-{service}-{days}", days, tags={
            tags.SERVICE: service,
            tags.RELEASE: f"{service}-{ago(days):%Y%m%dT%H%M%S}-1.0.0",
        })
        for service in ("webapp", "static-site")
        for days in (500, 510, 520, 530, 540)
    ]  # fmt: skip

    assert {one.step for one in decisions(*images).values()} == {Step.KEEP}


def test_images_that_were_never_released_take_no_place_and_age_like_others() -> None:
    probed = [image(f"ami-failed-{number}", days=100 + number) for number in range(10)]
    images = [*probed, *(released(f"ami-{days}", days) for days in (500, 510, 520))]

    found = decisions(*images)

    assert {found[one.id].step for one in probed} == {Step.DEPRECATE}
    assert {found[f"ami-{days}"].step for days in (500, 510, 520)} == {Step.KEEP}


def test_a_base_counts_as_released_when_it_was_promoted() -> None:
    bases = [
        image(f"ami-{days}", days, tags={tags.KIND: tags.KIND_BASE_IMAGE, tags.SERVICE: "debian-12"})
        for days in (500, 510, 520, 530, 540, 550)
    ]
    promoted = {one.id: one.created_at for one in bases}

    plan = retire.plan(estate(*bases), replace(SITUATION, promoted=promoted), POLICY)

    assert [one.image.id for one in plan.due] == ["ami-550"]


def test_the_age_counts_from_when_newer_releases_pushed_an_image_out() -> None:
    # The sixth newest is pushed out by the newest, 20 days ago: too short a time to be deprecated.
    images = [released(f"ami-{days}", days) for days in (20, 510, 520, 530, 540, 550)]

    found = decisions(*images)["ami-550"]

    assert found.step is Step.KEEP
    assert found.since == ago(20)


def test_a_revoked_image_takes_no_place_among_the_newest() -> None:
    revoked = released("ami-490", 490, tags={tags.REVOKED: "leaks keys"})
    images = [revoked, *(released(f"ami-{days}", days) for days in (500, 510, 520, 530, 540))]

    assert [one.image.id for one in retire.plan(estate(*images), SITUATION, POLICY).due] == ["ami-490"]


def test_the_age_of_a_revoked_image_counts_from_the_revocation() -> None:
    revoked = released("ami-490", 490, tags={tags.REVOKED: "leaks keys", tags.REVOKED_AT: ago(10).isoformat()})

    assert step(revoked) is Step.KEEP


def test_what_is_due_comes_oldest_first() -> None:
    plan = retire.plan(estate(image("b", 100), image("a", 300), image("c", 200)), SITUATION, POLICY)

    assert [one.image.id for one in plan.due] == ["a", "c", "b"]


def test_a_fleet_whose_service_file_was_removed_is_reported() -> None:
    gone = fleet(service="old", group_name="old-local", tags={**fleet().tags, tags.SERVICE: "old"})

    plan = retire.plan(estate(fleets=(fleet(), gone)), SITUATION, POLICY)

    assert [one.group_name for one in plan.undeclared] == ["old-local"]


def test_ten_thousand_images_are_planned_in_moments() -> None:
    images = [released(f"ami-{number}", 100 + number / 24) for number in range(10_000)]
    began = datetime.now(NOW.tzinfo)

    plan = retire.plan(estate(*images), SITUATION, POLICY)

    assert len(plan.due) == 10_000 - POLICY.keep
    assert datetime.now(NOW.tzinfo) - began < timedelta(seconds=20)
