"""What no fleet may look like: each check, and what it must not mistake for it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rebake import tags
from rebake.config.policy import Drift, Policy
from rebake.estate.drift import posture
from rebake.estate.drift.drift import Services
from rebake.estate.drift.posture import Opening, SecurityGroup
from rebake.estate.inventory import Estate
from tests.unit.estate.drift.drift_support import ESTATE, FLEET_TAGS, GROUPS, NOW, instance, only, scan, with_instance

INSTANCES, BALANCER = GROUPS


def _opened(group: SecurityGroup, *openings: Opening) -> tuple[SecurityGroup, ...]:
    return tuple(replace(one, openings=(*one.openings, *openings)) if one is group else one for one in GROUPS)


@pytest.mark.parametrize(
    "opening",
    [
        Opening("tcp", 22, 22, "0.0.0.0/0"),
        Opening("tcp", 22, 22, "10.0.0.0/8"),
        Opening("tcp", 1, 1024, "sg-other"),
        Opening("-1", -1, -1, "192.0.2.1/32"),
    ],
    ids=["world", "network", "range", "everything"],
)
def test_port_22_is_found_however_it_is_open_and_to_whomever(opening: Opening) -> None:
    found = only(scan(groups=_opened(INSTANCES, opening)))

    assert (found.check, found.resource, found.repairable) == ("port-22", "sg-instance", True)


@pytest.mark.parametrize("source", ["0.0.0.0/0", "::/0"])
def test_a_port_of_an_instance_that_is_open_to_the_world_is_found(source: str) -> None:
    assert only(scan(groups=_opened(INSTANCES, Opening("tcp", 8080, 8080, source)))).check == "open-to-world"


def test_the_listener_may_be_open_to_the_world_and_no_other_port_beside_it() -> None:
    found = only(scan(groups=_opened(BALANCER, Opening("tcp", 8080, 8081, "0.0.0.0/0"))))

    assert (found.check, found.attribute) == ("open-to-world", "tcp 8080-8081 from 0.0.0.0/0")


def test_a_group_of_somebody_else_on_an_instance_of_ours_is_reported_and_not_touched() -> None:
    foreign = SecurityGroup("sg-default", "default", {}, (Opening("-1", -1, -1, "sg-default"),))
    estate = with_instance(instance(1, security_group_ids=("sg-instance", "sg-default")))
    found = only(scan(estate, (*GROUPS, foreign)))

    assert (found.check, found.service, found.repairable) == ("port-22", "webapp", False)


def test_what_is_to_be_closed_is_found_again_by_the_finding_and_nothing_else_is() -> None:
    ssh, web = Opening("tcp", 22, 22, "0.0.0.0/0"), Opening("tcp", 80, 80, "0.0.0.0/0")
    found = [one for one in scan(groups=_opened(INSTANCES, ssh, web)).findings if one.check == "port-22"]

    assert posture.to_close(_opened(INSTANCES, ssh, web)[0], found) == [ssh]


def test_an_instance_that_answers_imdsv1_is_found_and_can_be_repaired() -> None:
    found = only(scan(with_instance(instance(1, http_tokens="optional"))))

    assert (found.check, found.declared, found.repairable) == ("imdsv1", "required", True)


def test_a_public_address_is_found() -> None:
    assert only(scan(with_instance(instance(1, public_ip="203.0.113.7")))).found == "203.0.113.7"


@pytest.mark.parametrize(
    ("age", "checks"),
    [(timedelta(days=90), set()), (timedelta(days=90, seconds=1), {"old-instance"}), (timedelta(days=-1), set())],
    ids=["exactly as old as allowed", "a second older", "a clock that is behind"],
)
def test_an_instance_is_too_old_when_it_is_older_than_policy_allows(age: timedelta, checks: set[str]) -> None:
    seen = scan(with_instance(instance(1, launched=NOW - age)), policy=Policy(drift=Drift(max_instance_age_days=90)))

    assert {one.check for one in seen.findings} == checks


def test_an_instance_with_our_tags_in_no_group_is_found_and_never_ended() -> None:
    found = only(scan(with_instance(instance(9, group_name=None), member=False)))

    assert (found.check, found.resource, found.repairable) == ("undeclared-instance", "i-9", False)


def test_an_instance_in_the_fleets_security_group_is_found_without_any_tag() -> None:
    stranger = instance(9, group_name=None, tags={})
    found = only(scan(with_instance(stranger, member=False)))

    assert (found.check, found.service) == ("undeclared-instance", "webapp")


FOREIGN = SecurityGroup("sg-bastion", "bastion", {}, (Opening("tcp", 22, 22, "0.0.0.0/0"),))


def _beside(**more: Any) -> Estate:
    return with_instance(instance(9, **more), member=False)


def _temporary(kind: str) -> Estate:
    return _beside(group_name=None, tags={tags.KIND: kind}, security_group_ids=("sg-builder",))


IN_ORDER = {
    "UDP 22 is no SSH": (ESTATE, _opened(INSTANCES, Opening("udp", 22, 22, "10.0.0.0/8"))),
    "a group that no fleet uses": (ESTATE, (*GROUPS, FOREIGN)),
    "its group is just launching it": (_beside(), GROUPS),
    "a builder, left to the reaper": (_temporary(tags.KIND_BUILDER), GROUPS),
    "a probe, left to the reaper": (_temporary(tags.KIND_PROBE), GROUPS),
    "another environment's instance": (
        _beside(group_name=None, tags={**FLEET_TAGS, tags.ENVIRONMENT: "production"}, security_group_ids=("sg-x",)),
        GROUPS,
    ),
}


@pytest.mark.parametrize(("estate", "groups"), IN_ORDER.values(), ids=IN_ORDER)
def test_what_is_in_order_is_no_finding(estate: Estate, groups: tuple[SecurityGroup, ...]) -> None:
    assert scan(estate, groups).findings == ()


def test_an_open_port_of_a_fleet_without_a_service_file_is_reported_and_left_to_a_person() -> None:
    groups = _opened(INSTANCES, Opening("tcp", 22, 22, "0.0.0.0/0"))
    found = [one for one in scan(ESTATE, groups, services=Services({}, {})).findings if one.check == "port-22"]

    assert [one.repairable for one in found] == [False]
