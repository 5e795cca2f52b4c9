"""The stages of `detect_drift` that report: the findings, and in the end what came of the repairs."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context

from rebake.estate.drift import report as drift_report
from rebake.estate.drift.finding import Change, Finding, FindingKind, Unseen
from rebake.estate.drift.report import known
from rebake.estate.report import DRIFT, Report
from rebake.exceptions import RolloutFailedError
from rebake.hooks.reports import ReportsHook
from rebake.operators.scan_drift import FINDINGS, GROUPS, UNSEEN
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.tooling import reachable

SCAN: Final = "scan_estate"
PLAN: Final = "plan_fleets"
AUTO: Final = "auto"
APPROVE: Final = "approve"
CHANGED: Final = "changed"
QUESTION: Final = "question"
OUTCOME: Final = "outcome"
"""XCom key of what a repair came to: `service`, `outcome`."""

_PLANNED: Final = {AUTO: "under way", APPROVE: "waits for approval"}
_NO_OUTCOME: Final = "failed: see the log of its task"
_NOT_APPROVED: Final = "not approved"


class ReportDriftOperator(EnvironmentConnection, AwsBaseOperator[ReportsHook]):
    """Write the report of a scan, and return what is to be done about it.

    Returned are `report`, its object key; `changed`, with the ids of `new` and `fixed` findings; `auto` and `approve`,
    the repairs a service that policy wants done at once and after approval; and `question`, what is to be approved.
    """

    aws_hook_class = ReportsHook

    def execute(self, context: Context) -> dict[str, Any]:
        """Return what follows."""
        ti: Any = context["ti"]
        planned: list[dict[str, Any]] = ti.xcom_pull(task_ids=[PLAN])
        findings = [Finding.load(one) for one in _gathered(FINDINGS, ti, planned)]
        unseen = [Unseen(**{**one, "kind": FindingKind(one["kind"])}) for one in _gathered(UNSEEN, ti, planned)]
        repairs = self._repairs(findings, ti.xcom_pull(task_ids=SCAN, key=GROUPS) or {})
        at = (context["dag_run"].start_date or datetime.now(UTC)).replace(microsecond=0)
        bucket = self.environment.bucket
        with reachable(self.hook):
            before = self.hook.latest(bucket, DRIFT)
            is_ours = before is not None and datetime.fromisoformat(before["at"]) == at
            change = (
                drift_report.change_in(before)
                if before is not None and is_ours
                else Change.since(known(before), findings, unseen)
            )
            report = drift_report.build(
                findings,
                unseen,
                change,
                {
                    one["id"]: _PLANNED[how]
                    for how, parts in repairs.items()
                    for part in parts
                    for one in part[FINDINGS]
                },
                environment=self.environment.name,
                region=self.environment.region,
                at=at,
            )
            key = self.hook.write(bucket, report)
        self.log.info("%s\ns3://%s/%s", report.to_text(), bucket, key)
        return {
            "report": key,
            CHANGED: {"new": list(change.new), "fixed": list(change.fixed)} if change else None,
            **repairs,
            QUESTION: drift_report.question(Finding.load(one) for part in repairs[APPROVE] for one in part[FINDINGS]),
        }

    def _repairs(self, findings: Iterable[Finding], groups: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
        """Return the repairs a service, by how policy wants them done."""
        remedies = self.environment.policy.drift.remediate.model_dump()
        repairs: dict[str, dict[str, list[dict[str, Any]]]] = {AUTO: {}, APPROVE: {}}
        for finding in findings:
            how = remedies[finding.kind]
            if finding.repairable and how in repairs and finding.service in groups:
                repairs[how].setdefault(finding.service, []).append(finding.dump())
        return {
            how: [
                {"service": service, "auto_scaling_group_name": groups[service], FINDINGS: found}
                for service, found in sorted(parts.items())
            ]
            for how, parts in repairs.items()
        }


class ReportRepairsOperator(EnvironmentConnection, AwsBaseOperator[ReportsHook]):
    """Write into the report of this run what came of its repairs; return it by service, or fail where one failed.

    Args:
        report_task: task that wrote the report.
        repair_tasks: tasks that repair, by how policy wants it done.
    """

    aws_hook_class = ReportsHook
    template_fields: Sequence[str] = aws_template_fields("report_task", "repair_tasks")

    def __init__(self, *, report_task: str, repair_tasks: dict[str, str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.report_task = report_task
        self.repair_tasks = repair_tasks

    def execute(self, context: Context) -> dict[str, str]:
        """Return what came of each service's repair; nothing where none was wanted.

        Raises:
            RolloutFailedError: a repair failed.
        """
        ti: Any = context["ti"]
        planned = ti.xcom_pull(task_ids=self.report_task) or {}
        outcomes: dict[str, str] = {}
        by_service: dict[str, str] = {}
        for how, task_id in self.repair_tasks.items():
            came = {one["service"]: one[OUTCOME] for one in ti.xcom_pull(task_ids=[task_id], key=OUTCOME) if one}
            # Nobody having approved, not one of the repairs has begun.
            otherwise = _NOT_APPROVED if how == APPROVE and not ti.xcom_pull(task_ids="approved") else _NO_OUTCOME
            for part in planned.get(how, ()):
                outcome = by_service[part["service"]] = came.get(part["service"], otherwise)
                outcomes |= {one["id"]: outcome for one in part[FINDINGS]}
        if outcomes:
            bucket = self.environment.bucket
            with reachable(self.hook):
                latest = self.hook.latest(bucket, DRIFT)
                if latest is not None:
                    report = drift_report.repaired(Report.load(latest), outcomes)
                    self.log.info("%s\ns3://%s/%s", report.to_text(), bucket, self.hook.write(bucket, report))
        failed = [service for service, outcome in by_service.items() if outcome == _NO_OUTCOME]
        if failed:
            raise RolloutFailedError(f"not repaired: {', '.join(failed)}; see the logs of their tasks")
        return by_service


def _gathered(what: str, ti: Any, planned: Iterable[dict[str, Any] | None]) -> list[dict[str, Any]]:
    """Return what all scanning tasks have pushed."""
    found: list[dict[str, Any]] = list(ti.xcom_pull(task_ids=SCAN, key=what) or [])
    return found + [one for part in planned if part for one in part[what]]
