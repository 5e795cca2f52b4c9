"""The report of a scan for drift."""

import json
from datetime import UTC, datetime
from typing import Any

from rebake.estate.drift import report as drift_report
from rebake.estate.drift.finding import Change, Finding, Unseen
from rebake.estate.drift.report import FINDINGS, KEPT, build, known
from rebake.estate.report import Report
from tests.unit.estate.drift.drift_support import DELAY, ROLLING, SSH

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)


def _written(findings: list[Finding], unseen: list[Unseen], before: Any = None, **repairs: str) -> dict[str, Any]:
    change = Change.since(known(before), findings, unseen)
    report = build(findings, unseen, change, repairs, environment="local", region="eu-west-1", at=AT)
    loaded: dict[str, Any] = json.loads(report.to_json())
    return loaded


def test_the_next_scan_knows_from_the_report_what_this_one_knew() -> None:
    first = _written([DELAY, SSH], [])
    second = _written([SSH], [ROLLING], first)

    assert known(first) == known(second) == {DELAY.id, SSH.id}
    assert [table["rows"] for table in second["tables"] if table["title"] == KEPT] == [[[DELAY.id]]]


def test_a_task_that_is_run_again_reports_the_same_change() -> None:
    written = _written([DELAY], [], _written([SSH], []))

    assert drift_report.change_in(written) == Change(new=(DELAY.id,), fixed=(SSH.id,), known=(DELAY.id,))


def test_a_repair_is_written_beside_the_finding_that_it_repaired() -> None:
    report = Report.load(_written([DELAY, SSH], [], None, **{SSH.id: "under way"}))
    after = drift_report.repaired(report, {SSH.id: "repaired"})
    (table,) = [one for one in after.tables if one.title == FINDINGS]

    assert {row[0]: row[table.columns.index("repair")] for row in table.rows} == {DELAY.id: "", SSH.id: "repaired"}


def test_a_person_is_asked_about_every_finding_that_would_be_repaired() -> None:
    asked = drift_report.question([DELAY, SSH])

    assert DELAY.id in asked
    assert SSH.id in asked
    assert drift_report.question([]) == ""


def test_an_estate_without_drift_is_reported_as_such() -> None:
    assert _written([], [])["title"] == "No drift in local"
