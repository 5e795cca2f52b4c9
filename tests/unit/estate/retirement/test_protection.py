"""What is never touched, however old and however many."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rebake import tags
from rebake.estate.inventory import Channel, Estate, Fleet, Image, Template, TemplateUse
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


def _labelled(**labels: str | None) -> Image:
    return image("ami-old", days=400, state="disabled", deprecated_at=ago(300), tags=labels)


def _tagged(tag: str, value: str | None) -> Estate:
    return estate(_labelled(**{tag: value}))


def _used(state: str = "running", **changes: Any) -> Estate:
    return estate(OLD, instances=(instance("ami-old", state, **changes),))


def _launched(by: Fleet) -> Estate:
    return estate(OLD, templates=(template("ami-1", "ami-old", "ami-3"),), fleets=(by,))


def _named(*templates: Template, **changes: Any) -> Estate:
    return estate(OLD, templates=(template("ami-runs"), *templates), **changes)


def _theirs(*ami_ids: str, default: int = 1) -> Template:
    return template(*ami_ids, default=default, template_id="lt-theirs", ours=False)


THEIR_FLEET = fleet(
    group_name="theirs", service="", tags={}, template_id="lt-theirs", launch_template_version="$Latest"
)
VERSION_2 = (TemplateUse("lt-webapp", "2"),)
RETIRED: dict[str, Any] = {"state": "disabled", "deprecated_at": ago(300)}
RUNS, LAUNCHES = "instance i-ami-old runs it (running)", "group webapp-local launches it"
NEWER = [released(f"ami-{number}", number / 24) for number in range(1, 20)]

NEVER_TOUCHED = {
    "a running instance": (_used(), RUNS),
    "a stopped instance": (_used("stopped"), "instance i-ami-old runs it (stopped)"),
    "a pending instance": (_used("pending"), "instance i-ami-old runs it (pending)"),
    "a stopping instance": (_used("stopping"), "instance i-ami-old runs it (stopping)"),
    "an instance that ends": (_used("shutting-down"), "instance i-ami-old runs it (shutting-down)"),
    "a standby instance": (
        _used(group_name="webapp-local", lifecycle="Standby"),
        "instance i-ami-old of group webapp-local runs it (running, Standby)",
    ),
    "somebody else's instance": (_used(tags={"Name": "an experiment"}), RUNS),
    "revoked, but in use": (estate(_labelled(**{tags.REVOKED: "leaks keys"}), instances=(instance("ami-old"),)), RUNS),
    "a group": (_launched(fleet("2")), LAUNCHES),
    "somebody else's group": (_named(_theirs("ami-old"), fleets=(fleet(), THEIR_FLEET)), "group theirs launches it"),
    "a mixed instances policy": (_launched(fleet("1", other_templates=VERSION_2)), LAUNCHES),
    "an active refresh": (_launched(fleet("1", refreshes_active=VERSION_2)), LAUNCHES),
    "the default version of any template": (
        _named(_theirs("ami-1", "ami-old", "ami-3", default=2)),
        "$Default (version 2) of launch template lt-theirs names it",
    ),
    "the latest version of any template": (
        _named(_theirs("ami-1", "ami-old")),
        "$Latest (version 2) of launch template lt-theirs names it",
    ),
    "within the rollback window, however many there are": (
        estate(released("ami-old", 29, **RETIRED), *NEWER),
        "released on 2026-05-03, within the rollback window of 30 days",
    ),
    "newest, if old": (estate(released("ami-old", 900, **RETIRED)), "one of the newest 5 released images of webapp"),
    "public": (estate(replace(OLD, public=True)), "it is public"),
    "copied elsewhere": (_tagged(tags.COPIED_TO, "us-east-1"), "it was copied to us-east-1"),
    "copied here": (estate(OLD, image("ami-copy", copied_from="ami-old")), "ami-copy is a copy of it"),
    "protected against deregistration": (estate(replace(OLD, locked=True)), "it is protected against deregistration"),
    "not made by Rebake": (_tagged(tags.KIND, None), "Rebake did not make it: it has no tag rebake:kind"),
    "another account's": (estate(replace(OLD, owner="210987654321")), "it belongs to account 210987654321"),
    "of an unknown owner": (estate(replace(OLD, owner="")), "it belongs to account (unknown)"),
    "another environment's": (_tagged(tags.ENVIRONMENT, "production"), "it belongs to the environment production"),
    "without its environment": (_tagged(tags.ENVIRONMENT, None), f"its tags are incomplete: no {tags.ENVIRONMENT}"),
    "without its service": (_tagged(tags.SERVICE, None), f"its tags are incomplete: no {tags.SERVICE}"),
    "without its fingerprint": (_tagged(tags.FINGERPRINT, None), f"its tags are incomplete: no {tags.FINGERPRINT}"),
    "unfinished": (_tagged(tags.KIND, tags.KIND_BUILDER), "its bake was not finished: rebake:kind is 'builder'"),
    "odd release": (_tagged(tags.RELEASE, "by hand"), "its tags are not understood: rebake:release='by hand'"),
    "future": (estate(image("ami-old", days=-1)), "it was made in the future, at 2026-06-02T04:30:00Z: clocks differ"),
    "without a time": (estate(replace(OLD, created="")), "when it was made is not understood: ''"),
    "made at no time": (estate(replace(OLD, created="soon")), "when it was made is not understood: 'soon'"),
}


@pytest.mark.parametrize(("found", "reason"), NEVER_TOUCHED.values(), ids=NEVER_TOUCHED)
def test_an_image_that_may_be_needed_is_never_touched(found: Estate, reason: str) -> None:
    assert kept(found) == reason


@pytest.mark.parametrize("state", ["pending", "failed", "error", "transient", "invalid", ""])
def test_an_image_in_a_state_that_is_not_expected_is_never_touched(state: str) -> None:
    assert kept(estate(replace(OLD, state=state))) == f"its state is {state or '(unknown)'}"


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("name", ["/rebake/webapp", "/rebake/bases/debian-12"])
def test_an_image_that_a_channel_points_at_is_never_touched(name: str, channel: str) -> None:
    found = estate(OLD, channels=(Channel(name, channel, "ami-old"),))

    assert kept(found) == f"{name}/{channel} points at it"


def test_an_image_that_a_release_in_progress_holds_is_never_touched() -> None:
    reason = kept(estate(OLD), replace(SITUATION, held={"ami-old": "webapp-20260601T042900-2.0.0"}))

    assert reason == "release webapp-20260601T042900-2.0.0 is in progress with it"


def test_an_image_younger_than_an_hour_is_never_touched() -> None:
    policy = POLICY.model_copy(update={"deprecate_after_days": 0, "rollback_window_days": 0})
    young = image(days=0.5 / 24)

    (one,) = retire.plan(estate(young), SITUATION, policy).decisions

    assert (one.step, one.reason) == (Step.KEEP, "it was made 30 minutes ago")


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
            id="a launch template version is missing",
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
