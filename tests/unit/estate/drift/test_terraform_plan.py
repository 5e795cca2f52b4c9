"""What a plan of Terraform is read as; the plans in `plans/` are what Terraform itself printed."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from rebake.estate.drift import terraform_plan
from rebake.estate.drift.finding import Finding

PLANS = Path(__file__).with_name("plans")


def _plan(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((PLANS / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def _change(before: Any, after: Any, **more: Any) -> dict[str, Any]:
    return {"before": before, "after": after, "after_unknown": {}, **more}


def _attributes(found: list[Finding]) -> set[str]:
    return {one.attribute for one in found}


def test_an_attribute_that_was_changed_by_hand_is_reported_with_both_values() -> None:
    (found,) = terraform_plan.findings("webapp", _plan("deregistration-delay"))

    assert (found.resource, found.attribute) == ("aws_lb_target_group.fleet", "deregistration_delay")
    assert (found.found, found.declared) == ("60", "5")
    assert found.note == terraform_plan.BY_HAND
    assert found.repairable


def test_what_terraform_refreshes_without_planning_to_change_it_is_no_finding() -> None:
    """The role is in resource_drift: an attachment of its own shows there, and a tag map that was none."""
    changed = {one["address"] for one in _plan("deregistration-delay")["resource_drift"]}

    assert "aws_iam_role.instance" in changed
    assert {one.resource for one in terraform_plan.findings("webapp", _plan("deregistration-delay"))} == {
        "aws_lb_target_group.fleet"
    }


def test_a_template_version_made_by_hand_is_reported_attribute_by_attribute() -> None:
    found = {one.attribute: one for one in terraform_plan.findings("webapp", _plan("template-by-hand"))}

    tokens = found["metadata_options[0].http_tokens"]
    assert (tokens.found, tokens.declared) == ("optional", "required")


def test_the_image_of_a_template_is_left_to_the_view_by_image_id() -> None:
    assert not {"image_id", "tag_specifications"} & _attributes(
        terraform_plan.findings("webapp", _plan("template-by-hand"))
    )


def test_what_aws_decides_is_no_difference() -> None:
    assert "latest_version" not in _attributes(terraform_plan.findings("webapp", _plan("template-by-hand")))


def test_a_plan_that_changes_nothing_finds_nothing() -> None:
    assert terraform_plan.findings("webapp", {}) == []


def test_a_declaration_that_was_not_applied_yet_is_distinguished_from_a_change_by_hand() -> None:
    edited = _plan("deregistration-delay") | {"resource_drift": []}

    assert [one.note for one in terraform_plan.findings("webapp", edited)] == [terraform_plan.NOT_APPLIED]


@pytest.mark.parametrize(
    ("actions", "check", "repairable"), [(["create"], "missing-resource", True), (["delete"], "extra-resource", False)]
)
def test_a_resource_that_is_gone_can_be_made_again_and_none_is_removed(
    actions: list[str], check: str, repairable: bool
) -> None:
    changed = _plan("deregistration-delay")
    changed["resource_changes"][-1]["change"]["actions"] = actions
    found = [one for one in terraform_plan.findings("webapp", changed) if one.check == check]

    assert [one.repairable for one in found] == [repairable]


def test_nothing_is_repaired_by_a_plan_that_replaces_something() -> None:
    changed = _plan("deregistration-delay")
    replaced = copy.deepcopy(changed["resource_changes"][-1])
    replaced["address"] = "aws_lb.fleet"
    replaced["change"]["actions"] = ["delete", "create"]
    changed["resource_changes"].append(replaced)
    found = terraform_plan.findings("webapp", changed)

    assert {one.repairable for one in found} == {False}
    assert any("would replace" in one.note for one in found if one.resource == "aws_lb.fleet")


@pytest.mark.parametrize(
    ("change", "attribute"),
    [
        (_change({"password": "a"}, {"password": "b"}, before_sensitive={"password": True}), "password"),
        (_change({"password": "a"}, {"password": "b"}, after_sensitive={"password": True}), "password"),
        (_change({"env": ["a"]}, {"env": ["a", "b"]}, after_sensitive={"env": [False, True]}), "env"),
        (
            _change({"auth": [{"user": "x"}]}, {"auth": [{"user": "y"}]}, before_sensitive={"auth": True}),
            "auth[0].user",
        ),
    ],
    ids=["before", "after", "a list with something sensitive in it", "everything in a block"],
)
def test_what_is_sensitive_is_masked_on_both_sides(change: dict[str, Any], attribute: str) -> None:
    assert list(terraform_plan.differences(change)) == [(attribute, terraform_plan.MASK, terraform_plan.MASK)]


@pytest.mark.parametrize(("before", "after"), [(None, ""), (None, []), ("", {}), ([], None)])
def test_empty_and_none_are_the_same(before: Any, after: Any) -> None:
    assert list(terraform_plan.differences(_change({"tags": before}, {"tags": after}))) == []


def test_zero_and_false_are_values() -> None:
    change = _change({"delay": 0, "internal": False}, {"delay": None, "internal": True})

    assert list(terraform_plan.differences(change)) == [("delay", "0", "nothing"), ("internal", "false", "true")]


def test_a_long_value_is_cut() -> None:
    ((_, found, _),) = terraform_plan.differences(_change({"user_data": "x" * 5000}, {"user_data": "y"}))

    assert len(found) == terraform_plan.LONGEST
