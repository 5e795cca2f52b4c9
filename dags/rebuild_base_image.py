"""Rebuild a base image: from the vendor's newest image to the base that applications are baked on.

Bakes the hardened base image of a family on the newest image that its vendor publishes, tests it on a temporary
instance, and points `/rebake/bases/<family>/current` at it. The next bake of an application is laid on it; running
fleets are untouched. There is one family for each file in `config/bases/`.

| task | what it does | when it fails |
| --- | --- | --- |
| `bake` | reuses the image with the same fingerprint, or runs Packer | nothing has changed |
| `test_image` | boots a temporary instance, runs the family's checks on it, removes it | the image is not promoted |
| `promote_ami` | points `/rebake/bases/<family>/current` at the image | the base before stays in use |

The last task emits an event of the asset `rebake://bases/<family>` with the AMI id, for DAGs that wait for a base.

## When this DAG runs

At 03:00 UTC on the 1st of January, April, July and October, for the family `debian-12`, and by hand for the family
that `base` names. The quarterly run always bakes: what it is for, the packages' updates, is not in the fingerprint.
A run by hand reuses an image of the same inputs unless `force_bake` is set.

It is paused when Airflow sees it for the first time, and unpausing it does not run the quarter that has begun: its
first run by itself is the next one. (After a pause of more than a quarter, unpausing runs the one quarter that was
missed last, as for every cron schedule of Airflow.)

## Race conditions

One run at a time (`max_active_runs=1`): a second waits in the queue. A deployment that bakes meanwhile is laid on
the base that `current` named when its bake began; no deployment sees half of a change, because the pointer is one
parameter. Every task may be cleared and run again: it finds what the try before has left.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from airflow.sdk import DAG, Asset, AssetAlias, CronTriggerTimetable, Param

from rebake import config
from rebake.dag_defaults import DEFAULT_ARGS, TAG_IMAGE
from rebake.hooks.registry import CURRENT
from rebake.operators.bake import BakeBaseOperator
from rebake.operators.promote_ami import PromoteAmiOperator
from rebake.operators.test_image import test_image_group
from rebake.recipe import base_asset_uri, base_name

DEFAULT_BASE: Final = "debian-12"

QUARTERLY: Final = CronTriggerTimetable(
    "0 3 1 1,4,7,10 *",
    timezone="UTC",
    # Together with no start_date, this keeps a fresh install from running the quarter that has begun. Its first
    # quarter counts for so long after the tick, because the tick and Airflow's next look at this file may cross.
    run_immediately=timedelta(minutes=10),
)

REBUILT_BASES: Final = AssetAlias("rebake-bases")
"""Stands for the assets of all families: which one a run rebuilds is known only while it runs."""


def emit_rebuilt_base(context: Any, result: Any) -> None:
    """Emit the event of the base that this run has promoted, and of no other."""
    uri = base_asset_uri(context["params"]["base"])
    ami_id = context["ti"].xcom_pull(task_ids="bake")
    extra = {"ami_id": ami_id, "parameter_version": result}
    context["outlet_events"][REBUILT_BASES].add(Asset(uri), extra=extra)


with DAG(
    dag_id="rebuild_base_image",
    description="Rebuild the base image of a family, every quarter and by hand",
    doc_md=__doc__,
    schedule=QUARTERLY,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    tags=[TAG_IMAGE],
    default_args=DEFAULT_ARGS,
    params={
        "base": Param(
            DEFAULT_BASE,
            type="string",
            enum=config.base_names(),
            title="Base family",
            description="Which base image to rebuild: a file of config/bases/.",
        ),
        "force_bake": Param(
            False,
            type="boolean",
            title="Bake anew",
            description="Bake although an image with the same fingerprint exists.",
        ),
    },
) as dag:
    family = "{{ params.base }}"
    bake = BakeBaseOperator(
        task_id="bake",
        base=family,
        force="{{ params.force_bake or dag_run.run_type == 'scheduled' }}",
    )
    ami_id: Any = bake.output
    test_image, _ = test_image_group(ami_id=ami_id, base=family)
    promote_ami = PromoteAmiOperator(
        task_id="promote_ami",
        ami_id=ami_id,
        name=base_name(family),
        channel=CURRENT,
        outlets=[REBUILT_BASES],
        post_execute=emit_rebuilt_base,
    )

    # The arrow that matters: no application may be baked on a base that has not passed its checks.
    bake >> test_image >> promote_ami
