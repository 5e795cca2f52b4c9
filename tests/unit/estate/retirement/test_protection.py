"""What is never touched, however old and however many: one sentence each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rebake import tags
from rebake.estate.inventory import Channel, Estate, Image, TemplateUse
from rebake.estate.retirement import retire
from rebake.estate.retirement.protection import Situation, Snapshot, blind_spots, orphans
from rebake.estate.retirement.retire import Step
from rebake.image.channels import CHANNELS
from tests.unit.estate.estate_support import (
    NOW,
    POLICY,
    SITUATION,
    ago,
    estate,
    fleet,
    image,
    instance,
    released,
    template,
)

OLD = image("ami-old", days=400, state="disabled", deprecated_at=ago(300))
"""The next step of this one is to be deregistered, if nothing keeps it."""


def decision(found: Estate, situation: Situation = SITUATION) -> retire.Decision:
    return next(one for one in retire.plan(found, situation, POLICY).decisions if one.image.id == "ami-old")


def kept(found: Estate, situation: Situation = SITUATION) -> str:
    """Return why the image stays; fail if it does not."""
    one = decision(found, situation)
    assert one.step is Step.KEEP
    return one.reason


def test_the_image_of_these_tests_is_deregistered_when_nothing_keeps_it() -> None:
    assert decision(estate(OLD)).step is Step.DEREGISTER


def test_an_image_of_a_running_instance_is_never_touched() -> None:
    assert kept(estate(OLD, instances=(instance("ami-old"),))) == "instance i-ami-old runs it (running)"


def test_an_image_of_a_stopped_instance_is_never_touched() -> None:
    assert "(stopped)" in kept(estate(OLD, instances=(instance("ami-old", "stopped"),)))


@pytest.mark.parametrize("state", ["pending", "stopping", "shutting-down"])
def test_an_image_of_an_instance_that_is_on_its_way_is_never_touched(state: str) -> None:
    assert f"({state})" in kept(estate(OLD, instances=(instance("ami-old", state),)))


def test_an_image_of_a_standby_instance_is_never_touched() -> None:
    parked = instance("ami-old", group_name="webapp-local", lifecycle="Standby")

    assert "group webapp-local runs it (running, Standby)" in kept(estate(OLD, instances=(parked,)))


def test_an_image_of_an_instance_that_somebody_else_launched_is_never_touched() -> None:
    assert "runs it" in kept(estate(OLD, instances=(instance("ami-old", tags={"Name": "an experiment"}),)))


def test_an_image_that_a_group_launches_is_never_touched() -> None:
    found = estate(OLD, templates=(template("ami-1", "ami-old", "ami-3"),), fleets=(fleet("2"),))

    assert kept(found) == "group webapp-local launches it"


def test_an_image_of_a_group_that_is_not_ours_is_never_touched() -> None:
    theirs = fleet(group_name="theirs", service="", tags={}, template_id="lt-theirs", template_version="$Latest")

    found = estate(OLD, fleets=(fleet(), theirs), templates=(template("ami-runs"), _theirs("ami-old")))

    assert kept(found) == "group theirs launches it"


def test_an_image_that_a_mixed_instances_policy_names_is_never_touched() -> None:
    mixed = fleet("1", other_templates=(TemplateUse("lt-webapp", "2"),))

    assert "launches it" in kept(estate(OLD, templates=(template("ami-1", "ami-old", "ami-3"),), fleets=(mixed,)))


def test_an_image_that_an_active_refresh_goes_to_is_never_touched() -> None:
    refreshed = fleet("1", refreshes_active=(TemplateUse("lt-webapp", "2"),))

    assert "launches it" in kept(estate(OLD, templates=(template("ami-1", "ami-old", "ami-3"),), fleets=(refreshed,)))


def test_an_image_of_the_default_version_of_any_template_is_never_touched() -> None:
    found = estate(OLD, templates=(template("ami-runs"), _theirs("ami-1", "ami-old", "ami-3", default=2)))

    assert kept(found) == "$Default (version 2) of launch template lt-theirs names it"


def test_an_image_of_the_latest_version_of_any_template_is_never_touched() -> None:
    found = estate(OLD, templates=(template("ami-runs"), _theirs("ami-1", "ami-old")))

    assert kept(found) == "$Latest (version 2) of launch template lt-theirs names it"


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("name", ["/rebake/webapp", "/rebake/bases/debian-12"])
def test_an_image_that_a_channel_points_at_is_never_touched(name: str, channel: str) -> None:
    found = estate(OLD, channels=(Channel(name, channel, "ami-old"),))

    assert kept(found) == f"{name}/{channel} points at it"


def test_an_image_within_the_rollback_window_is_never_touched_however_many_there_are() -> None:
    newer = [released(f"ami-{number}", number / 24) for number in range(1, 20)]
    found = estate(released("ami-old", 29, state="disabled", deprecated_at=ago(300)), *newer)

    assert "within the rollback window of 30 days" in kept(found)


def test_the_newest_released_images_are_never_touched_however_old() -> None:
    assert "newest 5 released" in kept(estate(released("ami-old", 900, deprecated_at=ago(300), state="disabled")))


def test_an_image_that_is_public_is_never_touched() -> None:
    assert kept(estate(replace(OLD, public=True))) == "it is public"


def test_an_image_that_is_tagged_as_copied_elsewhere_is_never_touched() -> None:
    assert kept(estate(_labelled(**{tags.COPIED_TO: "us-east-1"}))) == "it was copied to us-east-1"


def test_an_image_that_another_image_is_a_copy_of_is_never_touched() -> None:
    assert kept(estate(OLD, image("ami-copy", copied_from="ami-old"))) == "ami-copy is a copy of it"


def test_an_image_that_is_protected_against_deregistration_is_never_touched() -> None:
    assert "protected against deregistration" in kept(estate(replace(OLD, locked=True)))


def test_an_image_that_rebake_did_not_make_is_never_touched() -> None:
    assert "Rebake did not make it" in kept(estate(_labelled(**{tags.KIND: None})))


def test_an_image_of_another_account_is_never_touched() -> None:
    assert kept(estate(replace(OLD, owner="210987654321"))) == "it belongs to account 210987654321"


def test_an_image_whose_owner_is_not_known_is_never_touched() -> None:
    assert kept(estate(replace(OLD, owner=""))) == "it belongs to account (unknown)"


def test_an_image_of_another_environment_is_never_touched() -> None:
    reason = kept(estate(_labelled(**{tags.ENVIRONMENT: "production"})))

    assert reason == "it belongs to the environment production"


@pytest.mark.parametrize("missing", [tags.ENVIRONMENT, tags.SERVICE, tags.FINGERPRINT])
def test_an_image_whose_tags_are_incomplete_is_never_touched(missing: str) -> None:
    assert kept(estate(_labelled(**{missing: None}))) == f"its tags are incomplete: no {missing}"


def test_an_image_whose_bake_was_not_finished_is_left_to_the_reaper() -> None:
    assert "not finished" in kept(estate(_labelled(**{tags.KIND: tags.KIND_BUILDER})))


def test_an_image_whose_release_does_not_tell_its_time_is_never_touched() -> None:
    assert "not understood" in kept(estate(_labelled(**{tags.RELEASE: "by hand"})))


def test_a_revoked_image_that_is_in_use_is_never_touched() -> None:
    found = estate(_labelled(**{tags.REVOKED: "leaks keys"}), instances=(instance("ami-old"),))

    assert "runs it" in kept(found)


def test_an_image_that_a_release_in_progress_holds_is_never_touched() -> None:
    reason = kept(estate(OLD), replace(SITUATION, held={"ami-old": "webapp-20260601T042900-2.0.0"}))

    assert reason == "release webapp-20260601T042900-2.0.0 is in progress with it"


def test_an_image_younger_than_an_hour_is_never_touched() -> None:
    policy = POLICY.model_copy(update={"deprecate_after_days": 0, "rollback_window_days": 0})
    young = image(days=0.5 / 24)

    (one,) = retire.plan(estate(young), SITUATION, policy).decisions

    assert (one.step, one.reason) == (Step.KEEP, "it was made 30 minutes ago")


def test_an_image_from_the_future_is_kept_and_told_of() -> None:
    assert "made in the future" in kept(estate(image("ami-old", days=-1)))


@pytest.mark.parametrize("created", ["", "yesterday"])
def test_an_image_that_does_not_tell_when_it_was_made_is_never_touched(created: str) -> None:
    assert "is not understood" in kept(estate(replace(OLD, created=created)))


@pytest.mark.parametrize("state", ["pending", "failed", "error", "transient", "invalid", ""])
def test_an_image_in_a_state_that_is_not_expected_is_never_touched(state: str) -> None:
    assert "its state is" in kept(estate(replace(OLD, state=state)))


def test_the_base_of_a_kept_image_is_not_kept_for_that() -> None:
    """What runs needs nothing of its base, and where it came from is in its record and its tags."""
    base = _labelled(**{tags.KIND: tags.KIND_BASE_IMAGE, tags.SERVICE: "debian-12"})
    runs = image("ami-runs", tags={tags.BASE_AMI: "ami-old"})

    assert decision(estate(base, runs)).step is Step.DEREGISTER


@pytest.mark.parametrize(
    ("found", "gap"),
    [
        pytest.param(estate(fleets=()), "no Auto Scaling group of service webapp was found", id="a channel says so"),
        pytest.param(
            estate(released("ami-1", 10), fleets=(), channels=()),
            "no Auto Scaling group of service webapp was found",
            id="a released image says so",
        ),
        pytest.param(
            estate(fleets=(fleet(instance_ids=("i-1", "i-2")),), instances=(instance("ami-1", id="i-1"),)),
            "group webapp-local has instances that EC2 did not list: i-2",
            id="an instance is missing",
        ),
        pytest.param(
            estate(templates=()),
            "group webapp-local launches version 1 of lt-webapp, which EC2 did not list",
            id="a template is missing",
        ),
        pytest.param(
            estate(fleets=(fleet("7"),)),
            "group webapp-local launches version 7 of lt-webapp, which EC2 did not list",
            id="a template version is missing",
        ),
    ],
)
def test_it_stops_when_the_answer_about_what_is_in_use_is_smaller_than_what_is_known(found: Estate, gap: str) -> None:
    (only,) = blind_spots(found, SITUATION)

    assert gap in only


def test_a_fleet_that_was_taken_down_on_purpose_is_not_missed() -> None:
    assert blind_spots(estate(fleets=()), replace(SITUATION, without_fleet=frozenset({"webapp"}))) == []


def test_a_new_account_without_a_fleet_has_no_gap() -> None:
    assert blind_spots(estate(fleets=(), templates=(), channels=()), SITUATION) == []


def test_a_base_without_a_fleet_is_no_gap() -> None:
    channels = (Channel("/rebake/bases/debian-12", "current", "ami-1"),)

    assert blind_spots(estate(channels=channels, fleets=(), templates=()), SITUATION) == []


@pytest.mark.parametrize(
    ("changes", "goes"),
    [
        pytest.param({}, True, id="an orphan"),
        pytest.param({"id": "snap-ami-old"}, False, id="of an image that is there"),
        pytest.param({"started": NOW - timedelta(minutes=59)}, False, id="younger than an hour"),
        pytest.param({"tags": {tags.ENVIRONMENT: "production"}}, False, id="of another environment"),
        pytest.param({"tags": {}}, False, id="of an unknown environment"),
    ],
)
def test_only_an_old_snapshot_of_ours_whose_image_is_gone_goes(changes: dict[str, Any], goes: bool) -> None:
    usual = {"id": "snap-left", "tags": {tags.ENVIRONMENT: "local"}, "started": ago(1)}
    snapshot = Snapshot(**{**usual, **changes})

    assert list(orphans([snapshot], estate(OLD), SITUATION)) == ([snapshot] if goes else [])


def _labelled(**labels: str | None) -> Image:
    return image("ami-old", days=400, state="disabled", deprecated_at=ago(300), tags=labels)


def _theirs(*ami_ids: str, default: int = 1) -> Any:
    return template(*ami_ids, default=default, template_id="lt-theirs", ours=False)
