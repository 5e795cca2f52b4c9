from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rebake import tags
from rebake.estate.inventory import TemplateUse
from rebake.estate.retirement.pruning import prunings
from tests.unit.estate.estate_support import estate, fleet, instance, template

TEN = template(*(f"ami-{number}" for number in range(1, 11)), default=2)
"""Ten versions, of which the second is the default."""


def pruned(**changes: Any) -> tuple[int, ...]:
    found = estate(**{"templates": (TEN,), "fleets": (fleet("4"),), **changes})
    return next((one.numbers for one in prunings(found, "local", 3)), ())


def test_versions_that_nothing_uses_go_and_the_newest_stay() -> None:
    assert pruned() == (1, 3, 5, 6, 7)


def test_the_default_version_is_never_pruned() -> None:
    assert 2 not in pruned()


def test_the_latest_version_is_never_pruned() -> None:
    found = estate(templates=(template("ami-1", "ami-2", default=1),), fleets=())

    assert [one.numbers for one in prunings(found, "local", 1)] == [()]


@pytest.mark.parametrize("version", ["5", "$Default"])
def test_the_version_of_a_group_is_never_pruned(version: str) -> None:
    assert {"5": 5, "$Default": 2}[version] not in pruned(fleets=(fleet(version),))


def test_a_version_that_a_group_of_somebody_else_launches_is_never_pruned() -> None:
    theirs = fleet("6", group_name="theirs", service="", tags={})

    assert 6 not in pruned(fleets=(fleet("4"), theirs))


def test_a_version_that_a_mixed_instances_policy_names_is_never_pruned() -> None:
    assert 6 not in pruned(fleets=(fleet("4", other_templates=(TemplateUse("lt-webapp", "6"),)),))


def test_a_version_that_an_active_refresh_goes_to_or_returns_to_is_never_pruned() -> None:
    numbers = pruned(fleets=(fleet("4", refreshes_active=(TemplateUse("lt-webapp", "6"),)),))

    assert not {4, 6} & set(numbers)


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_a_version_of_an_instance_is_never_pruned(state: str) -> None:
    one = instance("ami-3", state, launch_template_id="lt-webapp", launch_template_version="3")

    assert 3 not in pruned(instances=(one,))


def test_nothing_is_pruned_while_an_instance_does_not_tell_its_version() -> None:
    assert pruned(instances=(instance("ami-3", group_name="webapp-local"),)) == ()


def test_an_instance_without_a_template_keeps_nothing() -> None:
    assert pruned(instances=(instance("ami-3"),)) == pruned()


@pytest.mark.parametrize("label", [{tags.KIND: "other"}, {tags.ENVIRONMENT: "production"}])
def test_a_template_that_is_not_of_this_environments_fleets_is_never_pruned(label: dict[str, str]) -> None:
    assert pruned(templates=(replace(TEN, tags={**TEN.tags, **label}),)) == ()


def test_each_version_that_stays_says_why() -> None:
    (one,) = prunings(estate(templates=(TEN,), fleets=(fleet("4"),)), "local", 3)

    assert one.kept == {
        10: "$Latest", 9: "one of the newest 3", 8: "one of the newest 3", 4: "group webapp-local", 2: "$Default",
    }  # fmt: skip
