"""The stages of `detect_drift` that report: the findings, and in the end what came of the repairs."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context

from rebake.estate.drift import report as drift_report
from rebake.estate.drift.finding import Change, Finding
from rebake.estate.drift.report import known
from rebake.estate.drift.results import Repair, RepairOutcome, ReportedDrift, ScanResult
from rebake.estate.report import DRIFT, Report
from rebake.estate.tasks import EstateTask
from rebake.exceptions import RolloutFailedError
from rebake.hooks.reports import ReportsHook
from rebake.operators.scan_drift import SCANNED
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.tooling import reachable

AUTO: Final = "auto"
APPROVE: Final = "approve"
OUTCOME: Final = "outcome"
"""XCom key of a repair's `RepairOutcome`: one that is skipped has no return value."""

_PLANNED: Final = {AUTO: "under way", APPROVE: "waits for approval"}
_NO_OUTCOME: Final = "failed: see the log of its task"
_NOT_APPROVED: Final = "not approved"


class ReportDriftOperator(EnvironmentConnection, AwsBaseOperator[ReportsHook]):
    """Write the report of a scan, and return what is to be done about it, a `ReportedDrift`."""

    aws_hook_class = ReportsHook

    def execute(self, context: Context) -> dict[str, Any]:
        """Return what follows."""
        ti: Any = context["ti"]
        scan = ScanResult.model_validate(ti.xcom_pull(task_ids=EstateTask.SCAN_ESTATE, key=SCANNED))
        planned = [ScanResult.model_validate(one) for one in ti.xcom_pull(task_ids=[EstateTask.PLAN_FLEETS]) if one]
        findings = [one for part in (scan, *planned) for one in part.findings]
        unseen = [one for part in (scan, *planned) for one in part.unseen]
        repairs = self._repairs(findings, scan.groups)
        at = (context["dag_run"].start_date or datetime.now(UTC)).replace(microsecond=0)
        bucket = self.environment.bucket
        with reachable(self.hook):
            before = self.hook.latest(bucket, DRIFT)
            if before and datetime.fromisoformat(before["at"]) == at:
                change = drift_report.change_in(before)
            else:
                change = Change.since(known(before), findings, unseen)
            report = drift_report.build(
                findings,
                unseen,
                change,
                {one.id: _PLANNED[how] for how, parts in repairs.items() for part in parts for one in part.findings},
                environment=self.environment.name,
                region=self.environment.region,
                at=at,
            )
            key = self.hook.write(bucket, report)
        self.log.info("%s\ns3://%s/%s", report.to_text(), bucket, key)
        return ReportedDrift(
            report=key,
            changed={"new": change.new, "fixed": change.fixed} if change else None,
            auto=repairs[AUTO],
            approve=repairs[APPROVE],
            question=drift_report.question(one for part in repairs[APPROVE] for one in part.findings),
        ).model_dump(mode="json")

    def _repairs(self, findings: Iterable[Finding], groups: Mapping[str, str]) -> dict[str, tuple[Repair, ...]]:
        """Return the repairs a service, by how policy wants them done."""
        remedies = self.environment.policy.drift.remediate.model_dump()
        repairs: dict[str, dict[str, list[Finding]]] = {AUTO: {}, APPROVE: {}}
        for finding in findings:
            how = remedies[finding.kind]
            if finding.repairable and how in repairs and finding.service in groups:
                repairs[how].setdefault(finding.service, []).append(finding)
        return {
            how: tuple(
                Repair(service=service, auto_scaling_group_name=groups[service], findings=tuple(found))
                for service, found in sorted(parts.items())
            )
            for how, parts in repairs.items()
        }


class ReportRepairsOperator(EnvironmentConnection, AwsBaseOperator[ReportsHook]):
    """Write into the report of this run what came of its repairs; return it by service, or fail where one failed.

    Args:
        repair_tasks: tasks that repair, by how policy wants it done.
    """

    aws_hook_class = ReportsHook
    template_fields: Sequence[str] = aws_template_fields("repair_tasks")

    def __init__(self, *, repair_tasks: dict[str, str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.repair_tasks = repair_tasks

    def execute(self, context: Context) -> dict[str, str]:
        """Return what came of each service's repair; nothing where none was wanted.

        Raises:
            RolloutFailedError: a repair failed.
        """
        ti: Any = context["ti"]
        reported = ti.xcom_pull(task_ids=EstateTask.REPORT_DRIFT)
        wanted = ReportedDrift.model_validate(reported) if reported else None
        repairs = {AUTO: wanted.auto, APPROVE: wanted.approve} if wanted else {}
        outcomes: dict[str, str] = {}
        by_service: dict[str, str] = {}
        for how, task_id in self.repair_tasks.items():
            pushed = [RepairOutcome.model_validate(one) for one in ti.xcom_pull(task_ids=[task_id], key=OUTCOME) if one]
            came = {one.service: one.outcome for one in pushed}
            # Without an approval, not one of the repairs has begun.
            is_rejected = how == APPROVE and not ti.xcom_pull(task_ids=EstateTask.APPROVED)
            otherwise = _NOT_APPROVED if is_rejected else _NO_OUTCOME
            for part in repairs.get(how, ()):
                outcome = by_service[part.service] = came.get(part.service, otherwise)
                outcomes |= {one.id: outcome for one in part.findings}
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
