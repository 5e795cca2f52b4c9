from dataclasses import replace
from typing import Any

import pytest

from rebake import tags
from rebake.estate.inventory import Instance, TemplateUse
from rebake.estate.retirement.pruning import prunings
from tests.unit.estate.estate_support import estate, fleet, instance, template

TEN = template(*(f"ami-{number}" for number in range(1, 11)), default=2)
"""Ten versions, of which the second is the default."""


def pruned(**changes: Any) -> tuple[int, ...]:
    found = estate(**{"templates": (TEN,), "fleets": (fleet("4"),), **changes})
    return next((one.numbers for one in prunings(found, "local", 3)), ())


def _instance(state: str) -> Instance:
    return instance("ami-3", state, launch_template_id="lt-webapp", launch_template_version="3")


def test_versions_that_nothing_uses_go_and_the_newest_and_the_default_stay() -> None:
    assert pruned() == (1, 3, 5, 6, 7)


def test_the_latest_version_is_never_pruned() -> None:
    found = estate(templates=(template("ami-1", "ami-2", default=1),), fleets=())

    assert [one.numbers for one in prunings(found, "local", 1)] == [()]


VERSION_6 = (TemplateUse("lt-webapp", "6"),)
IN_USE = {
    "a group's": ({"fleets": (fleet("5"),)}, {5}),
    "a group's default": ({"fleets": (fleet("$Default"),)}, {2}),
    "somebody else's group's": ({"fleets": (fleet("4"), fleet("6", group_name="theirs", service="", tags={}))}, {6}),
    "a mixed instances policy's": ({"fleets": (fleet("4", other_templates=VERSION_6),)}, {6}),
    "an active refresh's": ({"fleets": (fleet("4", refreshes_active=VERSION_6),)}, {4, 6}),
    "an instance's": ({"instances": (_instance("running"),)}, {3}),
    "a stopped instance's": ({"instances": (_instance("stopped"),)}, {3}),
}


@pytest.mark.parametrize(("changes", "versions"), IN_USE.values(), ids=IN_USE)
def test_a_version_in_use_is_never_pruned(changes: dict[str, Any], versions: set[int]) -> None:
    assert not versions & set(pruned(**changes))


def test_nothing_is_pruned_while_the_version_of_an_instance_is_unknown() -> None:
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
