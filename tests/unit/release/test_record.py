"""Records of releases: their order, ids and schema."""

from __future__ import annotations

from typing import Any

import pytest

from rebake.release import record as release
from tests.support.task import REQUESTED_AT, RUN_TAG


def test_records_are_read_newest_first_and_one_in_progress_until_there_is_a_final_one() -> None:
    folder = "releases/webapp/"
    keys = [f"{folder}a-1.json", f"{folder}a-1.progress.json", f"{folder}a-2.progress.json", f"{folder}a-3.json"]

    assert release.latest_first(keys) == [f"{folder}a-3.json", f"{folder}a-2.progress.json", f"{folder}a-1.json"]


def test_the_record_that_a_cleared_run_leaves_comes_before_that_of_its_failure() -> None:
    failed, cleared = (f"releases/webapp/webapp-20261123T183012-1.0.0{ending}.json" for ending in ("", "-2"))

    assert release.latest_first([failed, cleared]) == [cleared, failed]


OUTCOMES = {
    "in_progress": {},
    "failed": {"finished_at": "2026-11-23T18:40:00+00:00", "reason": "artifact", "explanation": "no such file"},
    "superseded": {
        "finished_at": "2026-11-23T18:40:00+00:00",
        "reason": "superseded",
        "explanation": "by another",
        "superseded_by": "rollback_webapp/x",
    },
}
BLANK = {
    **release.blank(),
    "release_id": "webapp-20261123T183012-1.2.3",
    "service": "webapp",
    "environment": "local",
    "requested_at": "2026-11-23T18:30:12+00:00",
    "requested_by": "ada",
    "dag_run": RUN_TAG,
}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_a_run_did_not_come_to_may_be_empty_unless_it_succeeded(outcome: str) -> None:
    release.validate({**BLANK, **OUTCOMES[outcome], "outcome": outcome})


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"outcome": "successful", "finished_at": "2026-11-23T18:40:00+00:00"}, "ami_id: None is not of type 'string'"),
        ({"outcome": "failed", "finished_at": None}, "finished_at: None is not of type 'string'"),
        ({"outcome": "failed", "reason": ""}, "reason: "),
        ({"outcome": "superseded", "superseded_by": None}, "superseded_by: None is not of type 'string'"),
        ({"kind": "redeploy"}, "kind: 'redeploy' is not one of"),
        ({"outcome": "failed", "channels": dict.fromkeys(("candidate", "current", "previous"))}, "channels: "),
    ],
)
def test_a_record_that_contradicts_itself_is_not_written(more: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        release.validate({**BLANK, **more})


def test_release_ids_sort_by_time_and_are_the_same_for_every_try() -> None:
    names = release.release_ids("webapp", "1.2.3", REQUESTED_AT)

    assert [next(names), next(names), next(names)] == [
        "webapp-20261123T183012-1.2.3",
        "webapp-20261123T183012-1.2.3-2",
        "webapp-20261123T183012-1.2.3-3",
    ]


def test_a_record_that_breaks_the_schema_names_the_field() -> None:
    with pytest.raises(ValueError, match=r"release record x.*ami_id: 'latest' does not match"):
        release.validate({"release_id": "x", "ami_id": "latest"})


def test_the_schema_lets_no_field_be_left_out_or_added() -> None:
    schema = release.schema()

    assert set(schema["required"]) == set(schema["properties"])
    assert schema["additionalProperties"] is False
