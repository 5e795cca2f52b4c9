"""The report of a scan for drift, and what the next scan reads from it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

from rebake.estate.drift.finding import Change, Finding, FindingKind, Unseen
from rebake.estate.report import DRIFT, Report, Table

FINDINGS: Final = "Findings"
CHANGED: Final = "Changed since the last scan"
KEPT: Final = "Known from before, and not scanned this time"
UNSEEN: Final = "Not scanned"
_COLUMNS: Final = ("id", "service", "kind", "found", "declared", "repair", "note")
_REPAIR: Final = _COLUMNS.index("repair")

NEW: Final = "new"
FIXED: Final = "fixed"


def asset_uri(environment: str) -> str:
    """Return the name and URI of the asset that a change of the findings updates."""
    return f"rebake://{environment}/drift"


def known(report: Mapping[str, Any] | None) -> set[str]:
    """Return the ids of the findings that stood when a report was written; `report` is what `to_json` wrote."""
    tables = {table["title"]: table["rows"] for table in report["tables"]} if report else {}
    return {row[0] for title in (FINDINGS, KEPT) for row in tables.get(title, [])}


def build(
    findings: Sequence[Finding],
    unseen: Sequence[Unseen],
    change: Change,
    repairs: Mapping[str, str],
    *,
    environment: str,
    region: str,
    at: datetime,
) -> Report:
    """Return the report of one scan.

    Args:
        findings: all of them.
        unseen: what could not be scanned.
        change: from the scan before.
        repairs: what is done about each finding, by its id.
        environment: the environment's name.
        region: its region.
        at: when the scan began, UTC.
    """
    ordered = sorted(findings, key=lambda one: one.id)
    seen = {one.id for one in ordered}
    by_kind = {str(kind): sum(one.kind is kind for one in ordered) for kind in FindingKind}
    changed = [(NEW, one) for one in change.new] + [(FIXED, one) for one in change.fixed]
    return Report(
        kind=DRIFT,
        environment=environment,
        region=region,
        at=at,
        title=f"{len(ordered)} findings in {environment}" if ordered else f"No drift in {environment}",
        summary={**by_kind, NEW: len(change.new), FIXED: len(change.fixed), "not scanned": len(unseen)},
        tables=(
            Table(FINDINGS, _COLUMNS, tuple(_row(one, repairs.get(one.id, "")) for one in ordered)),
            Table(CHANGED, ("change", "id"), tuple(changed)),
            Table(KEPT, ("id",), tuple((one,) for one in change.known if one not in seen)),
            Table(UNSEEN, ("service", "kind", "why"), tuple((one.service, str(one.kind), one.why) for one in unseen)),
        ),
    )


def change_in(report: Mapping[str, Any]) -> Change:
    """Return the change that a report holds: for a task that runs again after it has written its report."""
    rows = next(table["rows"] for table in report["tables"] if table["title"] == CHANGED)
    new, fixed = (tuple(one for what, one in rows if what == wanted) for wanted in (NEW, FIXED))
    return Change(new=new, fixed=fixed, known=tuple(sorted(known(report))))


def repaired(report: Report, outcomes: Mapping[str, str]) -> Report:
    """Return the report with what came of the repairs, by the ids of the findings."""

    def with_outcome(row: tuple[Any, ...]) -> tuple[Any, ...]:
        outcome = outcomes.get(row[0], row[_REPAIR])
        return (*row[:_REPAIR], outcome, *row[_REPAIR + 1 :])

    tables = (
        replace(table, rows=tuple(map(with_outcome, table.rows))) if table.title == FINDINGS else table
        for table in report.tables
    )
    return replace(report, tables=tuple(tables))


def question(findings: Iterable[Finding]) -> str:
    """Return what a person is to approve, in Markdown: all repairs, because all are then done."""
    lines = [f"* `{one.id}`: found `{one.found}`, declared `{one.declared}` {one.note}".rstrip() for one in findings]
    return "\n".join(["Approve to repair all of these, and nothing else:", "", *lines]) if lines else ""


def _row(finding: Finding, repair: str) -> tuple[Any, ...]:
    cells = {**asdict(finding), "id": finding.id, "kind": str(finding.kind), "repair": repair}
    return tuple(cells[column] for column in _COLUMNS)
