"""Retire images: deprecate, then disable, then deregister what nothing needs any more.

Covers the images of its environment, and the launch template versions of its fleets. It never touches what is in use or
needed; [docs/retirement.md](../docs/retirement.md) has every rule.

| task | what it does | when it fails |
| --- | --- | --- |
| `retire_images` | scans, decides, scans again before each change, changes, reports | read the report; clear the task |

An image advances one step a run: *deprecated* at 30 days, *disabled* at 60, *deregistered* with its snapshots at 90, or
at the ages in `policy.retirement` of the environment's file. The newest released images of each service and base stay.

It is a dry run until `policy.retirement.dry_run` is `false`. Each run writes a report on what it did or would do, and
why each image stays; `make report KIND=retire-images` prints it.

The task fails before it changes anything if it cannot see everything that is in use: a service that is known to run has
no fleet, or a fleet has instances or launch template versions that EC2 does not list. If AWS refuses a change,
the task makes the others and then fails.

## When this DAG runs

Every day at 04:30 UTC, and by hand. Airflow creates it paused; unpausing does not run the day that has begun.

## Race conditions

One run at a time (`max_active_runs=1`). Deployments and bakes continue meanwhile: immediately before a change, 25
images at a time, the task reads the images and what uses them again, and an image that something began to use stays.
Bakes do not reuse a deprecated image, so a deployment that has just found its image keeps it. A deployment that names
its image by hand fails if that image is disabled while the deployment tests it; the fleet keeps running. The task may
be cleared and run again: a step that is done is no longer due.
"""

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
            description="Report what would be done and change nothing; if empty, the environment's policy decides.",
        ),
    },
) as dag:
    RetireImagesOperator(task_id="retire_images", dry="{{ '' if params.dry_run is none else params.dry_run }}")
