"""What the facts about the estate amount to: template versions by name, what a fleet launches, channels."""

from dataclasses import replace

import pytest

from rebake import tags
from rebake.estate.inventory import DEFAULT, LATEST, Channel, Template, TemplateUse
from tests.unit.estate.estate_support import ago, estate, fleet, image, template

TEMPLATE = template("ami-1", "ami-2", "ami-3", default=2)


@pytest.mark.parametrize(
    ("named", "ami_id"), [("1", "ami-1"), (LATEST, "ami-3"), (DEFAULT, "ami-2"), ("", "ami-2"), ("9", "")]
)
def test_a_template_version_is_found_by_its_number_or_by_what_aws_calls_it(named: str, ami_id: str) -> None:
    found = estate(templates=(TEMPLATE,))

    assert found.template_image(TemplateUse(TEMPLATE.id, named)) == ami_id


def test_a_template_that_is_not_known_has_no_image_and_one_without_versions_no_latest() -> None:
    assert estate().template_image(TemplateUse("lt-unknown", "1")) == ""
    assert Template("lt-1", "empty", {}, ()).version(LATEST) is None


def test_a_fleet_launches_its_own_version_others_of_its_policy_and_what_a_refresh_goes_to() -> None:
    own, other, coming = (TemplateUse("lt-webapp", number) for number in ("1", "2", "3"))

    assert fleet(other_templates=(other,), refreshes_active=(coming,)).templates == (own, other, coming)
    assert fleet(template_id="", other_templates=(other,)).templates == (other,)


def test_our_fleets_are_those_with_our_tag_whatever_their_environment() -> None:
    elsewhere = fleet(tags={tags.KIND: tags.KIND_FLEET, tags.ENVIRONMENT: "production"})
    found = estate(fleets=(fleet(), elsewhere, fleet(tags={})))

    assert [one.environment for one in found.our_fleets] == ["local", "production"]


def test_a_channel_belongs_to_a_service_or_to_a_base_family() -> None:
    service, family = Channel("/rebake/webapp", "current", "ami-1"), Channel("/rebake/bases/debian-12", "current", "a")

    assert (service.service, service.family) == ("webapp", "")
    assert (family.service, family.family) == ("", "debian-12")


def test_a_channel_that_was_never_set_points_at_no_image() -> None:
    assert estate().channel("/rebake/webapp", "current") == "ami-runs"
    assert estate().channel("/rebake/webapp", "previous") is None


def test_an_image_is_finished_once_it_has_the_tag_of_an_image() -> None:
    assert image().is_finished
    assert not image(tags={tags.KIND: tags.KIND_BUILDER}).is_finished


def test_when_an_image_was_made_is_an_error_where_aws_did_not_record_it() -> None:
    assert image(days=2).created_at == ago(2)
    with pytest.raises(ValueError, match="isoformat"):
        _ = replace(image(), created="").created_at
