"""Retire images: deprecate, then disable, then deregister what nothing needs any more.

Goes through the images of the environment that it runs in, and through the launch template versions of its fleets.
What is in use or needed is never touched, [docs/retirement.md](../docs/retirement.md) has every rule.

| task | what it does | when it fails |
| --- | --- | --- |
| `retire_images` | looks, decides, looks again before each change, changes, reports | read the report; clear the task |

An image goes one step a run: *deprecated* at 30 days, *disabled* at 60, *deregistered* with its snapshots at 90, or at
the ages in `policy.retirement` of the environment's file. The newest released images of each service and base stay.

It is a dry run until `policy.retirement.dry_run` is `false`. Each run writes a report, which `make report
KIND=retire-images` prints, on what it did or would do and why each image stays.

The task fails before it has changed anything when what is in use cannot be seen whole: a service that is known to run
has no fleet, or a fleet has instances or template versions that EC2 does not tell of. It fails at its end when AWS
refused a change; the others are done.

## When this DAG runs

Every day at 04:30 UTC, and by hand. It is paused when Airflow sees it for the first time, and unpausing it does not run
the day that has begun: its first run by itself is the next one.

## Race conditions

One run at a time (`max_active_runs=1`). Deployments and bakes go on meanwhile: images are looked at again, 25 at a
time, immediately before they are changed, together with what uses them, and one that began to be used stays. Bakes do
not reuse a deprecated image, so a deployment that has just found its image keeps it. An image that is given by hand for
a deployment, and is disabled while that deployment tests it, lets the deployment fail; what was running runs on.
The task may be cleared and run again: what was done is not due any more.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from airflow.sdk import DAG, CronTriggerTimetable, Param

from rebake.operators.retire_images import RetireImagesOperator
from rebake.stages.dag_defaults import DEFAULT_ARGS, TAG_ESTATE, TAG_IMAGE

DAILY: Final = CronTriggerTimetable(
    "30 4 * * *",
    timezone="UTC",
    # Together with no start_date, this keeps a fresh install from running the day that has begun.
    run_immediately=timedelta(minutes=10),
)

with DAG(
    dag_id="retire_images",
    description="Retire the images that nothing needs any more, every day",
    doc_md=__doc__,
    schedule=DAILY,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    tags=[TAG_ESTATE, TAG_IMAGE],
    default_args=DEFAULT_ARGS,
    params={
        "dry_run": Param(
            None,
            type=["null", "boolean"],
            title="Dry run",
            description="Report what would be done and change nothing; empty for what the environment's policy says.",
        ),
    },
) as dag:
    RetireImagesOperator(task_id="retire_images", dry="{{ '' if params.dry_run is none else params.dry_run }}")
