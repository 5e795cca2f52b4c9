"""Detect drift: where the estate differs from what is declared, every hour.

Compares every fleet of the environment and region with the service files, the registry and Terraform's state. Each run
writes its findings to one report, in the environment's bucket and in the log of `report_drift`.
[docs/drift.md](../docs/drift.md) describes every kind of finding. It changes nothing unless policy says so.

| task | what it does | when it fails |
| --- | --- | --- |
| `scan_estate` | compares registry, launch templates and instances by image id; checks their posture | no report |
| `plan_fleets` | plans each fleet with Terraform, some in parallel; a plan that fails is a finding | no report |
| `report_drift` | writes the report; emits an event if the findings changed; sorts the repairs | clear the task |
| `repairs_at_once`, `at_once` | makes the repairs that policy allows at once, one service each | clear the task |
| `approve` | shows the other repairs to a person, and waits; no answer counts as a rejection | nothing is repaired |
| `approved`, `after_approval` | makes the approved repairs, one service each | clear the task |
| `report_repairs` | adds the results of the repairs to the report | the report says `under way` |

`policy.drift.remediate` in the environment's file says what follows a finding, for `infrastructure`, `image` and
`posture` each: `report` (nothing), `approve` (a repair once a person approves it under *Required actions* of the run)
or `auto`.

Emits an event of the asset `rebake://<environment>/drift` if there are new or fixed findings, with their ids.

## When this DAG runs

At 23 minutes past every hour, and by hand. Airflow creates it paused; unpausing does not run the hour that has begun.

## Race conditions

One run at a time (`max_active_runs=1`); an approval that nobody answers ends before the next hour's run.
A scan takes no lease and locks no state, so no deployment waits for it. A fleet that a run is changing, or whose
instance refresh is active, is reported as *rolling*: the run does not judge its images and infrastructure, and earlier
findings stand. A repair acquires the service's lease only if no run holds it, and supersedes no run: a deployment that
is still baking waits and then continues; a rollback preempts the repair. A repair applies the plan that was shown; if
Terraform would change anything else by then, the repair is skipped.
"""

import os
from datetime import timedelta
from typing import Any, Final

from airflow.sdk import DAG, Asset, AssetAlias, CronTriggerTimetable, TriggerRule, task, task_group

from rebake.estate.drift.report import asset_uri
from rebake.estate.tasks import EstateTask
from rebake.operators.repair_drift import ApproveRepairsOperator, ReleaseLeaseOperator, RepairDriftOperator
from rebake.operators.report_drift import APPROVE, AUTO, ReportDriftOperator, ReportRepairsOperator
from rebake.operators.scan_drift import PlanFleetsOperator, ScanEstateOperator
from rebake.stages.dag_defaults import DEFAULT_ARGS, TAG_ESTATE, field_of

ENVIRONMENT = os.environ.get("REBAKE_ENVIRONMENT") or "local"

HOURLY: Final = CronTriggerTimetable(
    "23 * * * *",
    timezone="UTC",
    # Together with no start_date, this keeps a fresh install from running the hour that has begun.
    run_immediately=timedelta(minutes=1),
)

DRIFT: Final = AssetAlias("rebake-drift")
"""Stands for the environment's asset: an outlet of its own would emit an event after every scan."""


def emit_change(context: Any, result: Any) -> None:
    """Emit an event if the findings differ from those of the previous scan."""
    if result["changed"]:
        extra = {**result["changed"], "report": result["report"]}
        context["outlet_events"][DRIFT].add(Asset(asset_uri(ENVIRONMENT)), extra=extra)


@task
def repairs_at_once(reported: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the repairs that need no approval, a service each."""
    repairs: list[dict[str, Any]] = reported[AUTO]
    return repairs


# Runs however the repairs at once ended. A rejection skips this task; it checks the answer for every other case.
@task(task_id=EstateTask.APPROVED, trigger_rule=TriggerRule.ALL_DONE)
def approved(reported: Any, answer: Any) -> list[dict[str, Any]]:
    """Return the repairs that were approved, a service each."""
    is_approved = bool(answer) and answer["chosen_options"] == [ApproveRepairsOperator.APPROVE]
    repairs: list[dict[str, Any]] = reported[APPROVE] if is_approved else []
    return repairs


def repair(group_id: str, repairs: Any) -> tuple[Any, str]:
    """Return a group that repairs one service each, and the id of its task whose result says how that ended."""

    @task_group(group_id=group_id)
    def a_service(service: str, auto_scaling_group_name: str, findings: list[dict[str, Any]]) -> None:
        repair_drift = RepairDriftOperator(
            task_id=EstateTask.REPAIR_DRIFT,
            service=service,
            auto_scaling_group_name=auto_scaling_group_name,
            findings=findings,
        )
        # Others wait for the lease, so it is released however the repair ends.
        repair_drift >> ReleaseLeaseOperator(task_id="release_lease", service=service).as_teardown()

    return a_service.expand_kwargs(repairs), f"{group_id}.{EstateTask.REPAIR_DRIFT}"


with DAG(
    dag_id="detect_drift",
    description="Find what differs from its declaration, every hour",
    doc_md=__doc__,
    schedule=HOURLY,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    tags=[TAG_ESTATE],
    default_args=DEFAULT_ARGS,
) as dag:
    scan_estate = ScanEstateOperator(task_id=EstateTask.SCAN_ESTATE)
    plan_fleets = PlanFleetsOperator.partial(task_id=EstateTask.PLAN_FLEETS).expand(fleets=scan_estate.output)
    report_drift = ReportDriftOperator(
        task_id=EstateTask.REPORT_DRIFT,
        # Without a fleet to plan, plan_fleets is skipped, and there is a report all the same.
        trigger_rule=TriggerRule.NONE_FAILED,
        outlets=[DRIFT],
        post_execute=emit_change,
    )
    reported: Any = report_drift.output
    approve = ApproveRepairsOperator(
        task_id="approve",
        subject=f"Repair the drift in {ENVIRONMENT}?",
        body=field_of(report_drift, "question"),
    )
    at_once, at_once_task = repair("at_once", repairs_at_once(reported))
    after_approval = approved(reported, approve.output)
    once_approved, once_approved_task = repair("after_approval", after_approval)
    report_repairs = ReportRepairsOperator(
        task_id="report_repairs",
        repair_tasks={AUTO: at_once_task, APPROVE: once_approved_task},
    ).as_teardown(on_failure_fail_dagrun=True)

    # This order must hold: nothing is repaired before it is reported.
    scan_estate >> plan_fleets >> report_drift >> approve
    # One repair of a service at a time: both groups hold the lease in the name of this run.
    at_once >> after_approval
    [at_once, once_approved] >> report_repairs
