"""Release records: their names and order, what a valid one holds, and the schema that is published."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from rebake.release import record as release
from rebake.release.lease import RunKind
from rebake.release.record import ReleaseOutcome, ReleaseRecord, ReleaseRun
from rebake.release.results import Results
from rebake.release.stage import Stage
from tests.support.releases import RESULTS, ending, record
from tests.support.task import REQUESTED_AT

RUN = ReleaseRun("webapp", "local", RunKind.DEPLOY, "1.2.3", REQUESTED_AT, "ada", "deploy_webapp/manual__1")


def test_records_are_read_newest_first_and_one_in_progress_until_there_is_a_final_one() -> None:
    folder = "releases/webapp/"
    keys = [f"{folder}a-1.json", f"{folder}a-1.progress.json", f"{folder}a-2.progress.json", f"{folder}a-3.json"]

    assert release.latest_first(keys) == [f"{folder}a-3.json", f"{folder}a-2.progress.json", f"{folder}a-1.json"]


def test_the_second_record_of_a_run_that_was_cleared_comes_before_that_of_its_failure() -> None:
    failed, cleared = (f"releases/webapp/webapp-20261123T183012-1.0.0{ending}.json" for ending in ("", "-2"))

    assert release.latest_first([failed, cleared]) == [cleared, failed]


def test_release_ids_sort_by_time_and_are_the_same_for_every_try() -> None:
    names = release.release_ids("webapp", "1.2.3", REQUESTED_AT)

    assert [next(names), next(names), next(names)] == [
        "webapp-20261123T183012-1.2.3",
        "webapp-20261123T183012-1.2.3-2",
        "webapp-20261123T183012-1.2.3-3",
    ]


def test_the_record_of_a_run_that_has_only_begun_holds_the_request() -> None:
    begun = release.build(RUN, Results())

    assert begun.release_id == "webapp-20261123T183012-1.2.3"
    assert (begun.outcome, begun.requested_at) == (ReleaseOutcome.IN_PROGRESS, REQUESTED_AT.replace(microsecond=0))
    assert (begun.ami_id, begun.launch_template, begun.refresh) == (None, None, None)


def test_the_record_of_a_rollback_that_left_instances_alone_has_the_version_that_they_run() -> None:
    started = {"refresh_id": "r-1", "launch_template_version": "1", "instances_before": []}
    results = Results(applied=RESULTS[Stage.TERRAFORM_APPLY], started=started)

    assert release.build(RUN, results).launch_template == release.LaunchTemplate(
        id=RESULTS[Stage.TERRAFORM_APPLY]["launch_template_id"], version="1"
    )


BLANK: Mapping[str, Any] = {
    "release_id": "webapp-20261123T183012-1.2.3",
    "kind": "deploy",
    "service": "webapp",
    "environment": "local",
    "version": "1.2.3",
    "requested_at": "2026-11-23T18:30:12Z",
    "requested_by": "ada",
    "dag_run": "deploy_webapp/manual__1",
}


NOON = "2026-11-24T12:00:00Z"
NOWHERE = dict.fromkeys(("candidate", "current", "previous"))


def _load(**fields: Any) -> ReleaseRecord:
    return ReleaseRecord.model_validate_json(json.dumps({**BLANK, **fields}))


@pytest.mark.parametrize("outcome", sorted(set(ReleaseOutcome) - {ReleaseOutcome.SUCCESSFUL}))
def test_what_a_run_did_not_reach_may_be_empty_unless_it_succeeded(outcome: ReleaseOutcome) -> None:
    assert _load(**ending(outcome), outcome=outcome).outcome is outcome


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"outcome": "successful", "finished_at": NOON}, "is successful: ami_id must be set, test_re"),
        ({**ending("failed"), "outcome": "failed", "finished_at": None}, "is failed: finished_at must be set"),
        ({**ending("failed"), "outcome": "failed", "reason": ""}, "is failed: reason must be set"),
        ({**ending("superseded"), "outcome": "superseded", "superseded_by": None}, "superseded_by must be set"),
        ({**ending("failed"), "outcome": "failed", "superseded_by": "x"}, "superseded_by must not be set"),
        ({"finished_at": NOON}, "is in_progress: finished_at must not be set"),
        ({**ending("failed"), "outcome": "failed", "channels": NOWHERE}, "channels must not be set"),
        ({"kind": "redeploy"}, "kind\n"),
        ({"ami_id": "latest"}, "ami_id\n"),
        ({"reused": "no"}, "reused\n"),
        ({"told": "x"}, "told\n"),
    ],
)
def test_a_record_that_breaks_the_schema_or_contradicts_itself_names_the_field(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _load(**fields)


def test_a_successful_rollback_names_the_release_that_it_restores() -> None:
    with pytest.raises(ValueError, match="restores must be set"):
        record(kind="rollback")
