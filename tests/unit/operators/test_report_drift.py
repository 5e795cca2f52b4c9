"""What a scan comes to: one report, the change since the last one, and the repairs that policy wants."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from rebake.config import load_environment
from rebake.config.policy import Drift, Policy, Remedies
from rebake.estate.drift.finding import Finding, FindingKind
from rebake.exceptions import RolloutFailedError
from rebake.operators.report_drift import ReportDriftOperator, ReportRepairsOperator
from tests.support.aws import BUCKET

AT = datetime(2026, 11, 23, 12, 23, tzinfo=UTC)
DELAY = Finding(FindingKind.INFRASTRUCTURE, "attribute", "webapp", "aws_lb.fleet", "idle_timeout", repairable=True)
SSH = Finding(FindingKind.POSTURE, "port-22", "webapp", "sg-1", "tcp 22 from 0.0.0.0/0", repairable=True)
OLD = Finding(FindingKind.POSTURE, "old-instance", "webapp", "i-1")
REPAIRS = {"auto": "at_once.repair_drift", "approve": "after_approval.repair_drift"}


pytestmark = pytest.mark.usefixtures("s3")


def _context(at: datetime, report: dict[tuple[str, str], Any]) -> Any:
    def pull(*, task_ids: Any, key: str = "return_value") -> Any:
        if isinstance(task_ids, str):
            return report.get((task_ids, key))
        return [one for task_id in task_ids for one in report.get((task_id, key), [])]

    return {"ti": SimpleNamespace(xcom_pull=pull), "dag_run": SimpleNamespace(start_date=at)}


def _report(*findings: Finding, at: datetime = AT, **remedies: Any) -> dict[str, Any]:
    """Return the result of a scan whose infrastructure a plan has found, and the rest the AWS API."""
    parts: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for one in findings:
        parts[one.kind is FindingKind.INFRASTRUCTURE].append(asdict(one))
    report = {
        ("scan_estate", "scanned"): {"findings": parts[False], "unseen": [], "groups": {"webapp": "webapp-local"}},
        ("plan_fleets", "return_value"): [{"findings": parts[True], "unseen": []}],
    }
    operator = ReportDriftOperator(task_id="report_drift")
    policy = Policy(drift=Drift(remediate=Remedies(**remedies)))
    operator.environment = load_environment("local").model_copy(update={"policy": policy})
    return operator.execute(_context(at, report))


def _repair(report: dict[str, Any], outcomes: dict[str, list[dict[str, str]]], approved: Any = None) -> dict[str, str]:
    pulled: dict[tuple[str, str], Any] = {(REPAIRS[how], "outcome"): came for how, came in outcomes.items()}
    pulled |= {("report_drift", "return_value"): report, ("approved", "return_value"): approved}
    operator = ReportRepairsOperator(task_id="report_repairs", repair_tasks=REPAIRS)
    return operator.execute(_context(AT, pulled))


def test_without_a_policy_nothing_is_repaired() -> None:
    report = _report(DELAY, SSH)

    assert (report["auto"], report["approve"], report["question"]) == ([], [], "")


def test_each_kind_is_repaired_as_policy_says_and_only_what_is_repairable() -> None:
    report = _report(DELAY, SSH, OLD, infrastructure="approve", posture="auto")

    assert [part["findings"] for part in report["auto"]] == [[asdict(SSH)]]
    assert [part["findings"] for part in report["approve"]] == [[asdict(DELAY)]]
    assert DELAY.id in report["question"]
    assert SSH.id not in report["question"]


def test_a_change_is_reported_once_as_plain_lists() -> None:
    first, again = _report(SSH), _report(SSH, at=AT + timedelta(hours=1))
    after = _report(at=AT + timedelta(hours=2))

    assert first["changed"] == {"new": [SSH.id], "fixed": []}
    assert again["changed"] is None
    assert after["changed"] == {"new": [], "fixed": [SSH.id]}


def test_a_second_try_writes_the_same_report_and_reports_the_same_change(s3: Any) -> None:
    first, second = _report(SSH), _report(SSH)

    assert first == second
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 2


def test_what_came_of_a_repair_is_written_into_the_report_of_the_scan(s3: Any) -> None:
    report = _report(SSH, posture="auto")

    came = _repair(report, {"auto": [{"service": "webapp", "outcome": "repaired"}]})
    report = json.loads(s3.get_object(Bucket=BUCKET, Key=report["report"])["Body"].read())

    assert came == {"webapp": "repaired"}
    assert "repaired" in report["tables"][0]["rows"][0]


def test_a_repair_that_reports_nothing_has_failed_and_fails_the_run() -> None:
    report = _report(SSH, posture="auto")

    with pytest.raises(RolloutFailedError, match="webapp"):
        _repair(report, {})


def test_what_nobody_approved_is_reported_as_such_and_is_no_failure() -> None:
    report = _report(DELAY, infrastructure="approve")

    assert _repair(report, {}) == {"webapp": "not approved"}
