"""What changed since the last scan, and its report."""

import json
from datetime import UTC, datetime
from typing import Any

from rebake.estate.drift import report as drift_report
from rebake.estate.drift.finding import Change, Finding, FindingKind, Unseen
from rebake.estate.drift.report import FINDINGS, KEPT, build, known
from rebake.estate.report import Report

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
DELAY = Finding(
    FindingKind.INFRASTRUCTURE, "attribute", "webapp", "aws_lb_target_group.fleet", "deregistration_delay", "60", "5"
)
SSH = Finding(FindingKind.POSTURE, "port-22", "webapp", "sg-1", "tcp 22 from 0.0.0.0/0", repairable=True)
OTHERS = Finding(FindingKind.INFRASTRUCTURE, "attribute", "pages", "aws_lb.fleet", "internal")
ROLLING = Unseen("webapp", FindingKind.INFRASTRUCTURE, "rolling")


def _written(findings: list[Finding], unseen: list[Unseen], before: Any = None, **repairs: str) -> dict[str, Any]:
    change = Change.since(known(before), findings, unseen)
    report = build(findings, unseen, change, repairs, environment="local", region="eu-west-1", at=AT)
    loaded: dict[str, Any] = json.loads(report.to_json())
    return loaded


def test_the_first_scan_finds_everything_new() -> None:
    change = Change.since((), [DELAY, SSH], [])

    assert set(change.new) == {DELAY.id, SSH.id}
    assert change


def test_a_drift_that_is_gone_is_a_change_as_well() -> None:
    change = Change.since([DELAY.id, SSH.id], [SSH], [])

    assert (change.new, change.fixed) == ((), (DELAY.id,))


def test_the_same_drift_again_is_no_change_whatever_its_value_has_become() -> None:
    later = Finding(**{**DELAY.__dict__, "found": "90"})

    assert not Change.since([DELAY.id], [later], [])


def test_what_could_not_be_scanned_still_stands_and_is_neither_fixed_nor_new_again() -> None:
    rolling = Change.since([DELAY.id, OTHERS.id], [OTHERS], [ROLLING])
    after = Change.since(rolling.known, [DELAY, OTHERS], [])

    assert not rolling
    assert not after


def test_a_part_covers_its_own_service_and_kind_only() -> None:
    change = Change.since([DELAY.id, OTHERS.id, SSH.id], [], [ROLLING])

    assert set(change.fixed) == {OTHERS.id, SSH.id}


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


def test_a_finding_comes_back_from_its_plain_form_as_it_was() -> None:
    assert [Finding.load(json.loads(json.dumps(one.dump()))) for one in (DELAY, SSH)] == [DELAY, SSH]


def test_a_person_is_asked_about_every_finding_that_would_be_repaired() -> None:
    asked = drift_report.question([DELAY, SSH])

    assert DELAY.id in asked
    assert SSH.id in asked
    assert drift_report.question([]) == ""


def test_an_estate_without_drift_is_reported_as_such() -> None:
    assert _written([], [])["title"] == "No drift in local"
