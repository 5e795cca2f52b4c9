"""The three-way view by image id: registry, launch template, instances."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rebake import tags
from rebake.config.policy import Policy
from rebake.estate.drift.drift import Services
from rebake.estate.drift.finding import FindingKind
from rebake.estate.inventory import Channel, TemplateUse, TemplateVersion
from rebake.estate.outdated import Promotion
from tests.unit.estate.drift.drift_support import (
    BASE,
    CURRENT,
    ESTATE,
    FLEET,
    GOOD,
    NOW,
    OTHER,
    TEMPLATE,
    VERSION,
    image,
    instance,
    only,
    scan,
    with_instance,
)

ROLLING = replace(FLEET, refreshes_active=(TemplateUse("lt-1", "2"),))


def test_a_fleet_that_is_as_declared_shows_nothing_and_can_be_planned() -> None:
    seen = scan()

    assert seen.findings == seen.unseen == ()
    assert [(one.service, one.ami_id, one.version) for one in seen.deployed] == [("webapp", GOOD, "1.0.0")]


def test_an_instance_of_another_image_is_found_by_its_id() -> None:
    found = only(scan(with_instance(instance(1, ami_id=OTHER))))

    assert (found.kind, found.check, found.resource) == (FindingKind.IMAGE, "instance-image", "i-1")
    assert (found.found, found.declared, found.repairable) == (OTHER, GOOD, True)


def test_an_instance_on_standby_is_reported_and_left_to_who_parked_it() -> None:
    assert not only(scan(with_instance(instance(1, ami_id=OTHER, lifecycle="Standby")))).repairable


NEWER = replace(TEMPLATE, versions=(VERSION, TemplateVersion(2, OTHER, is_default=False, created=NOW)))


def test_a_group_that_launches_another_image_is_found() -> None:
    estate = replace(ESTATE, templates=(NEWER,), fleets=(replace(FLEET, launch_template_version="2"),))
    found = {one.check: one for one in scan(estate).findings}

    assert set(found) == {"group-template", "latest-template"}
    assert found["group-template"].found == f"version 2: {OTHER}"


def test_a_fleet_that_is_being_refreshed_is_rolling_and_not_drift() -> None:
    estate = replace(with_instance(instance(1, ami_id=OTHER)), fleets=(ROLLING,))
    seen = scan(estate)

    assert seen.findings == seen.deployed == ()
    assert {(one.service, one.kind) for one in seen.unseen} == {
        ("webapp", FindingKind.IMAGE),
        ("webapp", FindingKind.INFRASTRUCTURE),
    }


def test_a_fleet_whose_lease_a_run_holds_is_rolling_and_the_run_is_named() -> None:
    seen = scan(with_instance(instance(1, ami_id=OTHER)), busy={"webapp": "deploy_webapp/manual__1 holds the lease"})

    assert seen.findings == ()
    assert all("deploy_webapp/manual__1" in one.why for one in seen.unseen)


def test_a_current_image_that_is_gone_is_found_and_nothing_is_rolled_to_it() -> None:
    seen = scan(replace(with_instance(instance(1, ami_id=OTHER)), images=()))

    assert {one.check: one.repairable for one in seen.findings} == {"current-image": False, "instance-image": False}
    assert seen.deployed == ()


def test_a_disabled_current_image_is_found() -> None:
    assert only(scan(replace(ESTATE, images=(image(state="disabled"),)))).found == "disabled"


def test_a_revoked_image_is_found_and_the_fleet_is_not_returned_to_it() -> None:
    revoked = image(labels={tags.REVOKED: "CVE-2026-1", tags.REVOKED_AT: "2026-11-22T00:00:00Z"})
    seen = scan(replace(with_instance(instance(1, ami_id=OTHER)), images=(revoked,)))
    found = {one.check: one for one in seen.findings}

    assert "CVE-2026-1" in found["revoked"].found
    assert not found["instance-image"].repairable


@pytest.mark.parametrize(("grace", "checks"), [(0, {"outdated-base"}), (30, set())])
def test_a_base_is_outdated_when_a_newer_one_is_older_than_policy_allows(grace: float, checks: set[str]) -> None:
    promotions = (Promotion(BASE, NOW - timedelta(days=90)), Promotion("ami-000000bb", NOW - timedelta(days=9)))
    seen = scan(promotions={"debian-12": promotions}, policy=Policy(outdated_after_days=grace))

    assert {one.check for one in seen.findings} == checks


def test_a_fleet_whose_service_file_was_removed_is_reported_and_never_repaired() -> None:
    seen = scan(services=Services({}, {}))
    found = only(seen)

    assert (found.check, found.service, found.repairable) == ("no-service-file", "webapp", False)
    assert seen.deployed == ()


def test_nothing_of_a_fleet_without_a_service_file_is_repairable() -> None:
    estate = with_instance(instance(1, ami_id=OTHER))

    assert {one.repairable for one in scan(estate, services=Services({}, {})).findings} == {False}


@pytest.mark.parametrize(("channels", "note"), [((CURRENT,), "its fleet is gone"), ((), "never deployed")])
def test_a_service_file_without_a_fleet_is_reported(channels: tuple[Channel, ...], note: str) -> None:
    found = only(scan(replace(ESTATE, fleets=(), instances=(), channels=channels), groups=()))

    assert found.check == "no-fleet"
    assert note in found.note


def test_a_service_file_that_cannot_be_read_is_a_finding_and_its_fleet_is_still_scanned() -> None:
    estate = with_instance(instance(1, ami_id=OTHER))
    seen = scan(estate, services=Services({}, {"webapp": "fleet.port: must be a number"}))

    assert {one.check for one in seen.findings} == {"service-file", "instance-image"}


PUBLIC = with_instance(instance(1, public_ip="203.0.113.7"))
ELSEWHERE = replace(FLEET, tags={**FLEET.tags, tags.ENVIRONMENT: "production"})
ONE_FINDING = {
    "a newer launch template version that the group does not use": ({"templates": (NEWER,)}, "latest-template"),
    "the group launches $Latest": (
        {"fleets": (replace(FLEET, launch_template_version="$Latest"),)},
        "template-not-numbered",
    ),
    "the group launches $Default": (
        {"fleets": (replace(FLEET, launch_template_version="$Default"),)},
        "template-not-numbered",
    ),
    "the posture of a rolling fleet": ({"fleets": (ROLLING,), "instances": PUBLIC.instances}, "public-address"),
    "no release": ({"channels": ()}, "no-release"),
    "the fleet is another environment's": ({"fleets": (ELSEWHERE,), "instances": ()}, "no-fleet"),
}


@pytest.mark.parametrize(("changes", "check"), ONE_FINDING.values(), ids=ONE_FINDING)
def test_one_difference_is_one_finding(changes: dict[str, Any], check: str) -> None:
    assert only(scan(replace(ESTATE, **changes))).check == check
