"""Reap orphans: remove what killed bakes and tests left behind.

Bakes and tests clean up after themselves, and a retry cleans up after a killed try. This DAG removes what no retry
comes back to: builders and probes, their volumes, key pairs and security groups, unfinished images, snapshots of
builders. It removes only what is ours, older than `policy.orphans.older_than_minutes` and unused;
[docs/orphans.md](../docs/orphans.md) has every rule.

| task | what it does | when it fails |
| --- | --- | --- |
| `reap_orphans` | terminates instances, waits for that deferred, removes the rest, reports | clear the task |

Each run writes a report, which `make report KIND=orphans` prints. It reports old locks on Terraform's states too, and
never removes them. If AWS refuses a removal, the task removes the rest and then fails.

## When this DAG runs

At 41 minutes past every hour, and by hand. Airflow creates it paused; unpausing does not run the hour that has begun.

## Race conditions

One run at a time (`max_active_runs=1`). Bakes and tests continue meanwhile: what is younger than the policy's age, or
in use by an instance, stays, and every resource is read again immediately before it is removed. A bake that takes
longer than that age loses its builder: set the age above the longest bake. The task may be cleared and run again.
"""

from datetime import timedelta
from typing import Final

from airflow.sdk import DAG, CronTriggerTimetable

from rebake.operators.reap_orphans import ReapOrphansOperator
from rebake.stages.dag_defaults import DEFAULT_ARGS, TAG_ESTATE

HOURLY: Final = CronTriggerTimetable(
    "41 * * * *",
    timezone="UTC",
    # Together with no start_date, this keeps a fresh install from running the hour that has begun.
    run_immediately=timedelta(minutes=1),
)

with DAG(
    dag_id="reap_orphans",
    description="Remove what killed bakes and tests left behind, every hour",
    doc_md=__doc__,
    schedule=HOURLY,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    tags=[TAG_ESTATE],
    default_args=DEFAULT_ARGS,
) as dag:
    ReapOrphansOperator(task_id="reap_orphans")
