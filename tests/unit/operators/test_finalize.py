"""The stage finalize: a final record for every run that did not succeed, and the lease is released."""

from types import SimpleNamespace
from typing import Any

import pytest

from rebake.hooks.autoscaling import AutoScalingHook
from rebake.operators.finalize import FinalizeOperator
from rebake.release import record as release
from rebake.release.record import ReleaseOutcome
from rebake.release.stage import Stage
from tests.support.aws import object_keys, read_json
from tests.support.fleet import group, instance, refresh
from tests.support.releases import RESULTS, acquire_lease, lease_now, run_context
from tests.support.task import RUN_TAG

STAGES = (
    "bake",
    "test_image.launch",
    "test_image.probe",
    "acquire_lease",
    "promote_ami",
    "terraform_apply",
    "start_refresh",
    "wait_for_refresh",
    "roll_back",
    "record_release",
)
NAME = "webapp-20261123T183012-1.2.3"
RETURNED = {stage: result for stage, result in RESULTS.items() if stage != Stage.WAIT_FOR_REFRESH}


@pytest.fixture
def s3(s3: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give an S3 client with the bucket, the run's lease in it, and a group whose refresh was rolled back."""
    fleet = group("1", instance("i-2", "1"), instance("i-1", "1"), instance("i-3", "2", "Terminating"))
    monkeypatch.setattr(AutoScalingHook, "group", lambda *_: fleet)
    monkeypatch.setattr(AutoScalingHook, "refreshes", lambda *_: [refresh("RollbackSuccessful")])
    acquire_lease(s3, RUN_TAG)
    return s3


def _finalize(failures: dict[str, dict[str, Any]] | None = None, **states: str) -> str:
    """Finalize a run whose tasks have these states; those that are not named succeeded."""
    named = {name.replace("__", "."): state for name, state in states.items()}
    task = run_context(RETURNED, dict.fromkeys(STAGES, "success") | named, failures)
    task["dag"] = SimpleNamespace(
        topological_sort=lambda: [SimpleNamespace(task_id=stage, is_teardown=False) for stage in STAGES]
    )
    task["params"] = {"version": "1.2.3"}
    return FinalizeOperator(task_id="finalize", service="webapp").execute(task)


NOTHING_AFTER_BAKE = {"bake": "failed"} | {stage.replace(".", "__"): "upstream_failed" for stage in STAGES[1:]}


def _records(s3: Any) -> dict[str, dict[str, Any]]:
    return {key: read_json(s3, key) for key in object_keys(s3, "releases/")}


def _record(s3: Any) -> dict[str, Any]:
    return _records(s3)[release.key("webapp", NAME)]


def test_a_run_that_succeeded_has_its_record_already(s3: Any) -> None:
    assert _finalize(roll_back="skipped") == ReleaseOutcome.SUCCESSFUL

    assert _records(s3) == {}
    assert lease_now(s3).released_at is not None


def test_a_run_that_found_another_release_than_it_was_to_replace_is_superseded_by_that(s3: Any) -> None:
    message = "webapp-2 is the current release"
    failure = {"reason": "superseded", "message": message, "superseded_by": "deploy_webapp/manual__2"}
    after = STAGES[STAGES.index("acquire_lease") :]

    assert _finalize({"acquire_lease": failure}, **dict.fromkeys(after, "skipped")) == ReleaseOutcome.SUPERSEDED

    found = _record(s3)
    assert (found["superseded_by"], found["explanation"]) == ("deploy_webapp/manual__2", message)
    assert lease_now(s3).released_at is not None


def test_a_rollout_that_aws_rolled_back_is_recorded_with_its_reason_and_the_fleet(s3: Any) -> None:
    failures = {"wait_for_refresh": {"reason": "unhealthy", "message": "i-3 is unhealthy for 300 s"}}

    assert (
        _finalize(failures, wait_for_refresh="failed", record_release="upstream_failed") == ReleaseOutcome.ROLLED_BACK
    )

    record = _record(s3)
    assert (record["stage"], record["reason"]) == ("wait_for_refresh", "unhealthy")
    assert record["explanation"] == "i-3 is unhealthy for 300 s"
    assert record["refresh"] == {"id": "r-1", "status": "RollbackSuccessful"}
    assert record["instances"] == {"before": ["i-1", "i-2"], "after": ["i-1", "i-2"]}
    assert record["channels"] is None
    assert record["commit"] == "0a1b2c3"
    assert lease_now(s3).released_at is not None


def test_a_run_that_failed_before_anything_was_made_says_where_and_why(s3: Any) -> None:
    failures = {"bake": {"reason": "artifact", "message": "no such file: build/webapp-1.2.3.tar.gz"}}

    assert _finalize(failures, **NOTHING_AFTER_BAKE) == ReleaseOutcome.FAILED

    record = _record(s3)
    assert (record["version"], record["ami_id"], record["launch_template"]) == ("1.2.3", None, None)
    assert (record["stage"], record["reason"]) == ("bake", "artifact")


def test_a_worker_that_was_lost_leaves_a_record_all_the_same(s3: Any) -> None:
    _finalize(terraform_apply="failed", start_refresh="upstream_failed", record_release="upstream_failed")

    record = _record(s3)
    assert (record["stage"], record["reason"]) == ("terraform_apply", "unknown")
    assert "the worker left no reason" in record["explanation"]
    assert record["refresh"] is None


def test_a_superseded_run_names_the_run_that_took_over_and_does_not_release_its_lease(s3: Any) -> None:
    acquire_lease(s3, "rollback_webapp/x", 5)

    outcome = _finalize(wait_for_refresh="skipped", roll_back="skipped", record_release="skipped")

    record = _record(s3)
    assert outcome == record["outcome"] == ReleaseOutcome.SUPERSEDED
    assert (record["superseded_by"], record["stage"]) == ("rollback_webapp/x", "wait_for_refresh")
    assert lease_now(s3).released_at is None


def test_a_run_that_somebody_stopped_is_no_success(s3: Any) -> None:
    assert (
        _finalize(start_refresh="skipped", wait_for_refresh="skipped", record_release="skipped")
        == ReleaseOutcome.FAILED
    )

    assert _record(s3)["reason"] == "stopped"


def test_a_retry_finds_its_own_record(s3: Any) -> None:
    _finalize(**NOTHING_AFTER_BAKE)
    written = _records(s3)

    _finalize(**NOTHING_AFTER_BAKE)

    assert _records(s3) == written


def test_a_final_record_is_not_overwritten_by_what_the_run_came_to_when_it_was_cleared(s3: Any) -> None:
    _finalize(**NOTHING_AFTER_BAKE)

    _finalize(wait_for_refresh="failed", record_release="upstream_failed")

    assert [record["outcome"] for record in _records(s3).values()] == [
        ReleaseOutcome.ROLLED_BACK,
        ReleaseOutcome.FAILED,
    ]


def test_not_knowing_the_fleet_does_not_lose_the_record(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> Any:
        raise ConnectionResetError("gone")

    monkeypatch.setattr(AutoScalingHook, "refreshes", away)

    assert (
        _finalize(wait_for_refresh="failed", roll_back="failed", record_release="upstream_failed")
        == ReleaseOutcome.FAILED
    )
    assert _record(s3)["refresh"] == {"id": "r-1", "status": ""}


@pytest.mark.parametrize(
    ("roll_back", "outcome"),
    [
        pytest.param("failed", ReleaseOutcome.FAILED, id="the fleet is still mixed"),
        pytest.param("success", ReleaseOutcome.ROLLED_BACK, id="the pipeline rolled it back itself"),
    ],
)
def test_where_aws_did_not_roll_back_the_stage_roll_back_decides(
    s3: Any, monkeypatch: pytest.MonkeyPatch, roll_back: str, outcome: ReleaseOutcome
) -> None:
    monkeypatch.setattr(AutoScalingHook, "refreshes", lambda *_: [refresh("Failed")])
    states = {"wait_for_refresh": "failed", "record_release": "upstream_failed", "roll_back": roll_back}

    assert _finalize({"wait_for_refresh": {"reason": "failed", "message": "AWS gave up"}}, **states) == outcome
