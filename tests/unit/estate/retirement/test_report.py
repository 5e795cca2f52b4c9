"""The report of a run of retire_images: what its title and summary count, and in which table an image is."""

from typing import Any

import pytest

from rebake import tags
from rebake.estate.report import Report
from rebake.estate.retirement import retire
from rebake.estate.retirement.protection import Snapshot
from rebake.estate.retirement.report import RetireOutcome, of_image, of_snapshot, of_version, report
from tests.unit.estate.estate_support import NOW, POLICY, SITUATION, ago, estate, fleet, image

FOREIGN = image("ami-foreign", tags={tags.ENVIRONMENT: "production"})
STRANGERS = image("ami-stranger", tags={tags.KIND: None, tags.ENVIRONMENT: None})
PLAN = retire.plan(
    estate(image(), image("ami-young", days=1), FOREIGN, STRANGERS, fleets=(fleet(), fleet(service="gone"))),
    SITUATION,
    POLICY,
)
(DUE,) = PLAN.due
SNAPSHOT = Snapshot("snap-1", {"Name": "left", tags.SERVICE: "webapp"}, ago(1))


def _report(outcome: RetireOutcome = RetireOutcome.DONE, **changes: Any) -> Report:
    options: dict[str, Any] = {
        "region": "eu-west-1",
        "dry_run": False,
        "images": [of_image(DUE, outcome)],
        "versions": [of_version("webapp-local", "lt-1", 3, "webapp", outcome, "nothing uses it")],
        "snapshots": [of_snapshot(SNAPSHOT, outcome, "its image is gone")],
        "blind_spots": (),
    }
    return report(PLAN, SITUATION, **{**options, **changes})


def _rows(found: Report, title: str) -> list[tuple[Any, ...]]:
    (table,) = [one for one in found.tables if one.title.startswith(title)]
    return list(table.rows)


@pytest.mark.parametrize(
    ("outcome", "changes", "title"),
    [
        (RetireOutcome.DONE, {}, "delete snapshot 1, delete version 1, deprecate 1"),
        (RetireOutcome.DRY, {"dry_run": True}, "Dry run: would delete snapshot 1, delete version 1, deprecate 1"),
        (RetireOutcome.KEPT, {"dry_run": True}, "nothing is due"),
        (RetireOutcome.FAILED, {}, "nothing is due; 3 failed"),
        (
            RetireOutcome.DONE,
            {"blind_spots": ("no group",)},
            "Stopped: what is in use could not be seen whole; blind spots: 1",
        ),
    ],
    ids=["done", "a dry run", "all kept", "all refused", "a blind spot"],
)
def test_the_title_says_what_was_done(outcome: RetireOutcome, changes: dict[str, Any], title: str) -> None:
    assert _report(outcome, **changes).title == title


def test_the_summary_counts_images_by_whose_they_are_and_changes_by_what_became_of_them() -> None:
    waiting = [of_image(DUE, RetireOutcome.DONE), of_image(DUE, RetireOutcome.WAITS), of_image(DUE, RetireOutcome.LEFT)]

    summary = _report(images=waiting).summary

    assert {"images of this environment": 2, "images of others": 2, "kept by the policy": 1}.items() <= summary.items()
    assert {"due": 3, "deprecate": 1, "disable": 0, "deregister": 0}.items() <= summary.items()
    assert {"left, in use": 1, "waiting for the next run": 1, "failed": 0}.items() <= summary.items()
    assert {"launch template versions": 1, "snapshots without an image": 1}.items() <= summary.items()


def test_every_image_that_has_our_tags_is_in_a_table_with_the_reason() -> None:
    found = _report()

    assert _rows(found, "Images that end") == [
        ("ami-old", "webapp", "deprecate", "done", "rebake-webapp-ami-old", DUE.reason)
    ]
    assert [row[0] for row in _rows(found, "Images that stay")] == ["ami-young"]
    assert [row[0] for row in _rows(found, "Images of ours that are not understood")] == ["ami-foreign"]
    assert found.at == NOW


def test_versions_snapshots_and_fleets_without_a_service_file_have_tables_of_their_own() -> None:
    found = _report(blind_spots=("no group",))

    assert _rows(found, "Launch template versions")[0][:2] == ("lt-1:3", "webapp")
    assert _rows(found, "Snapshots without an image")[0][4] == "left"
    assert _rows(found, "Fleets without a service file") == [("webapp-local", "gone", 0)]
    assert _rows(found, "Blind spots") == [("no group",)]


def test_a_reason_that_is_given_stands_in_the_place_of_the_plans() -> None:
    assert of_image(DUE, RetireOutcome.KEPT, "it is shared").why == "it is shared"
    assert of_image(DUE, RetireOutcome.KEPT).why == DUE.reason
