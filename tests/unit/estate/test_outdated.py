"""Which base a release is baked on, and for how long there has been a newer one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from rebake.estate.outdated import Promotion, Standing, promotions, standing

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def _ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


BASES = (Promotion("ami-0a", _ago(days=180)), Promotion("ami-0b", _ago(days=91)), Promotion("ami-0c", _ago(days=1)))


def _standing(base_ami: str, bases: tuple[Promotion, ...] = BASES, grace_days: float = 0) -> Standing:
    found = standing("debian-12", base_ami, bases, now=NOW, grace_days=grace_days)
    assert found is not None
    return found


def test_a_release_on_the_newest_base_is_not_outdated() -> None:
    found = _standing("ami-0c")

    assert (found.outdated, found.replaced_at, found.days) == (False, None, 0)
    assert found.text == "the newest of debian-12"


@pytest.mark.parametrize(("base_ami", "days"), [("ami-0b", 1), ("ami-0a", 91)])
def test_a_release_is_outdated_since_the_base_after_its_own_and_not_since_the_newest(base_ami: str, days: int) -> None:
    found = _standing(base_ami)

    assert (found.outdated, found.days, found.newest) == (True, days, "ami-0c")


def test_a_base_that_came_back_counts_from_when_it_was_replaced_last() -> None:
    bases = (*BASES, Promotion("ami-0b", _ago(hours=5)), Promotion("ami-0c", _ago(hours=3)))

    assert _standing("ami-0b", bases).replaced_at == _ago(hours=3)
    assert _standing("ami-0c", bases).outdated is False


def test_a_base_that_the_history_has_forgotten_is_older_than_all_that_it_remembers() -> None:
    assert _standing("ami-0f").replaced_at == BASES[0].at


@pytest.mark.parametrize(("grace_days", "outdated"), [(0, True), (1, True), (1.5, False), (30, False)])
def test_a_release_may_stay_on_an_old_base_for_the_grace_of_the_policy(grace_days: float, outdated: bool) -> None:
    assert _standing("ami-0b", grace_days=grace_days).outdated is outdated


def test_a_clock_that_is_behind_makes_no_negative_age() -> None:
    ahead = (BASES[1], Promotion("ami-0c", NOW + timedelta(minutes=5)))

    assert _standing("ami-0b", ahead).days == 0


@pytest.mark.parametrize(("base_ami", "bases"), [("", BASES), ("ami-0a", ())])
def test_without_a_base_or_a_promotion_there_is_no_standing(base_ami: str, bases: tuple[Promotion, ...]) -> None:
    assert standing("debian-12", base_ami, bases, now=NOW, grace_days=0) is None


@pytest.mark.parametrize(
    ("age", "shown"),
    [
        (timedelta(minutes=3), "outdated for 3 minutes: debian-12 is at ami-0c"),
        (timedelta(hours=26), "outdated for 26 hours: debian-12 is at ami-0c"),
        (timedelta(days=12.4), "outdated for 12 days: debian-12 is at ami-0c"),
    ],
)
def test_the_age_is_given_in_a_unit_that_fits(age: timedelta, shown: str) -> None:
    assert _standing("ami-0b", (BASES[1], Promotion("ami-0c", NOW - age))).text == shown


def test_within_the_grace_the_newer_base_is_named_without_the_word_outdated() -> None:
    assert _standing("ami-0b", grace_days=7).text == "replaced 24 hours ago: debian-12 is at ami-0c"


def test_programs_get_the_same_as_plain_data() -> None:
    assert _standing("ami-0b").facts == {
        "family": "debian-12",
        "base_ami": "ami-0b",
        "newest": "ami-0c",
        "replaced_at": "2026-11-22T12:00:00+00:00",
        "days": 1.0,
        "outdated": True,
    }


def test_the_promotions_are_the_history_of_the_familys_parameter(ssm: Any) -> None:
    for ami_id in ("ami-0a", "ami-0b"):
        ssm.put_parameter(Name="/rebake/bases/debian-12/current", Value=ami_id, Type="String", Overwrite=True)

    found = promotions(ssm, "debian-12")

    assert [one.ami_id for one in found] == ["ami-0a", "ami-0b"]
    assert all(abs(datetime.now(UTC) - one.at) < timedelta(minutes=1) for one in found)


def test_a_family_that_never_had_a_base_has_no_promotions(ssm: Any) -> None:
    assert promotions(ssm, "debian-12") == ()


def test_every_page_of_the_history_is_read() -> None:
    client = boto3.client("ssm", region_name="eu-west-1")
    name = "/rebake/bases/debian-12/current"
    with Stubber(client) as stubber:
        for number, token in ((1, {"NextToken": "more"}), (2, {})):
            version = {"Value": f"ami-0{number}", "Version": number, "LastModifiedDate": NOW}
            asked = {"Name": name} | ({"NextToken": "more"} if number == 2 else {})
            stubber.add_response("get_parameter_history", {"Parameters": [version], **token}, asked)

        assert [one.ami_id for one in promotions(client, "debian-12")] == ["ami-01", "ami-02"]
