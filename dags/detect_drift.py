"""Detect drift: where the estate is not as it was declared, every hour.

Looks at every fleet of the environment and region, and compares it with the service files, the registry and
Terraform's state. What is found is in one report a run, in the environment's bucket and in the log of `report_drift`.
Every kind of finding is described in `docs/drift.md`. Nothing is changed unless policy says so.

| task | what it does | when it fails |
| --- | --- | --- |
| `scan_estate` | compares registry, launch templates and instances by image id; looks at their posture | no report |
| `plan_fleets` | plans each fleet with Terraform, in lanes; a fleet whose plan fails is a finding | no report |
| `report_drift` | writes the report; emits an event if the findings changed; sorts the repairs | clear the task |
| `repairs_at_once`, `at_once` | repairs what policy wants repaired at once, a service each | clear the task |
| `approve` | shows the rest to a person, and waits for the answer; no answer is a no | nothing is repaired |
| `approved`, `after_approval` | repairs what was approved, a service each | clear the task |
| `report_repairs` | writes into the report what came of it | the report says `under way` |

`policy.drift.remediate` in the environment's file says for `infrastructure`, `image` and `posture` each what follows:
`report` (nothing), `approve` (a repair once a person has approved it, in *Required actions* of the run) or `auto`.

Emits an event of the asset `rebake://<environment>/drift`, with the ids of the findings that are new and that are
gone, and only when there are any.

## When this DAG runs

At 23 minutes past every hour, and by hand. It is paused when Airflow sees it for the first time, and unpausing it does
not run the hour that has begun.

## Race conditions

One run at a time (`max_active_runs=1`); an approval that nobody answers ends before the next hour's run.
A look takes no lease and locks no state, so it makes no deployment wait. A fleet that a run is changing, or whose
instance refresh is active, is told as *rolling*: its images and its infrastructure are not judged this time, and what
was known of them stands. A repair acquires the service's lease like a deployment, but only where nobody has it, and it
supersedes nobody: a deployment that bakes meanwhile waits and goes on; a rollback acquires the lease from it. What is
applied is the plan that was shown: where it would change anything else by then, the repair is skipped.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any, Final

from airflow.sdk import DAG, Asset, AssetAlias, CronTriggerTimetable, TriggerRule, task, task_group

from rebake.estate.drift.report import asset_uri
from rebake.operators.repair_drift import ApproveRepairsOperator, ReleaseLeaseOperator, RepairDriftOperator
from rebake.operators.report_drift import (
    APPROVE,
    AUTO,
    CHANGED,
    PLAN,
    QUESTION,
    SCAN,
    ReportDriftOperator,
    ReportRepairsOperator,
)
from rebake.operators.scan_drift import PlanFleetsOperator, ScanEstateOperator
from rebake.stages.dag_defaults import DEFAULT_ARGS, TAG_ESTATE

ENVIRONMENT = os.environ.get("REBAKE_ENVIRONMENT") or "local"

HOURLY: Final = CronTriggerTimetable(
    "23 * * * *",
    timezone="UTC",
    # Together with no start_date, this keeps a fresh install from running the hour that has begun.
    run_immediately=timedelta(minutes=1),
)

DRIFT: Final = AssetAlias("rebake-drift")
"""Stands for the environment's asset: an outlet of its own would emit an event after every look."""


def emit_change(context: Any, result: Any) -> None:
    """Emit an event if the findings differ from those of the look before."""
    if result[CHANGED]:
        extra = {**result[CHANGED], "report": result["report"]}
        context["outlet_events"][DRIFT].add(Asset(asset_uri(ENVIRONMENT)), extra=extra)


@task
def repairs_at_once(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the repairs that need no approval, a service each."""
    repairs: list[dict[str, Any]] = told[AUTO]
    return repairs


# However the repairs at once ended. A rejection skips this task; its own look at the answer is for all else.
@task(trigger_rule=TriggerRule.ALL_DONE)
def approved(told: Any, answer: Any) -> list[dict[str, Any]]:
    """Return the repairs that were approved, a service each."""
    is_approved = bool(answer) and answer["chosen_options"] == [ApproveRepairsOperator.APPROVE]
    repairs: list[dict[str, Any]] = told[APPROVE] if is_approved else []
    return repairs


def repair(group_id: str, repairs: Any) -> tuple[Any, str]:
    """Return a group that repairs, a service each, and the id of its task that tells what came of it."""

    @task_group(group_id=group_id)
    def a_service(service: str, auto_scaling_group_name: str, findings: list[dict[str, Any]]) -> None:
        repair_drift = RepairDriftOperator(
            task_id="repair_drift",
            service=service,
            auto_scaling_group_name=auto_scaling_group_name,
            findings=findings,
        )
        # Others wait for the lease, so it is given back however the repair ends.
        repair_drift >> ReleaseLeaseOperator(task_id="release_lease", service=service).as_teardown()

    return a_service.expand_kwargs(repairs), f"{group_id}.repair_drift"


with DAG(
    dag_id="detect_drift",
    description="Find what is not as it was declared, every hour",
    doc_md=__doc__,
    schedule=HOURLY,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    tags=[TAG_ESTATE],
    default_args=DEFAULT_ARGS,
) as dag:
    scan_estate = ScanEstateOperator(task_id=SCAN)
    plan_fleets = PlanFleetsOperator.partial(task_id=PLAN).expand(fleets=scan_estate.output)
    report_drift = ReportDriftOperator(
        task_id="report_drift",
        # With no fleet to plan, plan_fleets is skipped, and there is a report all the same.
        trigger_rule=TriggerRule.NONE_FAILED,
        outlets=[DRIFT],
        post_execute=emit_change,
    )
    told: Any = report_drift.output
    approve = ApproveRepairsOperator(
        task_id="approve",
        subject=f"Repair the drift in {ENVIRONMENT}?",
        body=f"{{{{ ti.xcom_pull(task_ids='report_drift')['{QUESTION}'] }}}}",
    )
    at_once, at_once_task = repair("at_once", repairs_at_once(told))
    after_approval = approved(told, approve.output)
    once_approved, once_approved_task = repair("after_approval", after_approval)
    report_repairs = ReportRepairsOperator(
        task_id="report_repairs",
        report_task="report_drift",
        repair_tasks={AUTO: at_once_task, APPROVE: once_approved_task},
    ).as_teardown(on_failure_fail_dagrun=True)

    # The arrow that matters: nothing is repaired before it is reported.
    scan_estate >> plan_fleets >> report_drift >> approve
    # One repair of a service at a time: both hold the lease in the name of this run.
    at_once >> after_approval
    [at_once, once_approved] >> report_repairs
