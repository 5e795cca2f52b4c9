"""Rebuild a base image: from the vendor's newest image to the base that applications are baked on.

Bakes the hardened base image of a family on the newest image that its vendor publishes, boots it, checks the family's
assertions, records the image's content, and points `/rebake/bases/<family>/current` at it. The next application bake
uses it; running fleets are untouched. There is one family for each file in `config/bases/`.

| task | what it does | when it fails |
| --- | --- | --- |
| `families` | in a run for all families: lists them | no family's run is started |
| `rebuild_each` | in a run for all families: starts a run of this DAG for each | the others start nevertheless |
| `bake` | reuses the image with the same fingerprint, or runs Packer | nothing has changed |
| `test_image` | boots a temporary instance, checks the family's assertions, terminates it | the image is not \
promoted; the error names every assertion that failed, with what was expected and what was found |
| `record_base` | writes the bill of materials, the difference from the previous base, and the base's record | the \
image is not promoted |
| `promote_ami` | points `/rebake/bases/<family>/current` at the image | the previous base stays in use |

The last task emits an event of the asset `rebake://bases/<family>` with the AMI id, the previous one and the record's
key, for DAGs that wait for a base.

## When this DAG runs

At 03:00 UTC on the 1st of January, April, July and October, for all families: that run starts one for each, so that the
failure of one family stops no other. By hand for the family that `base` names, or for all. The quarterly runs always
bake, because the fingerprint does not cover the package updates that they are for. A run by hand reuses an image of the
same inputs unless `force_bake` is set.

Airflow creates it paused; unpausing does not run the quarter that has begun. (After a pause of more than a quarter,
unpausing runs the last missed quarter, as for every cron schedule of Airflow.)

## Race conditions

One run at a time (`max_active_runs=1`): others wait in the queue, including those that a quarterly run starts. A
deployment that bakes meanwhile uses the base that `current` named when its bake began; no deployment sees half of a
change, because the pointer is one parameter. Every task may be cleared and run again: it finds what the previous try
left, and a family's run is started only once.
"""

from datetime import timedelta
from typing import Any, Final

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Asset, AssetAlias, CronTriggerTimetable, Param, task
from airflow.sdk.exceptions import AirflowSkipException

from rebake import config
from rebake.estate.tasks import EstateTask
from rebake.image.channels import CURRENT, base_name
from rebake.image.recipe import base_asset_uri
from rebake.operators.assert_base import AssertBaseOperator, LaunchBaseProbeOperator
from rebake.operators.bake import BakeBaseOperator
from rebake.operators.promote_ami import PromoteAmiOperator
from rebake.operators.record_base import RecordBaseOperator
from rebake.operators.test_image import test_image_group
from rebake.release.stage import Stage
from rebake.stages.dag_defaults import DEFAULT_ARGS, TAG_IMAGE, field_of
from rebake.stages.rendered import as_bool

DAG_ID: Final = "rebuild_base_image"
ALL: Final = "*"
"""Value of `base` for every family; none can have this name."""

QUARTERLY: Final = CronTriggerTimetable(
    "0 3 1 1,4,7,10 *",
    timezone="UTC",
    # Together with no start_date, this keeps a fresh install from running the quarter that has begun. A tick still
    # runs when Airflow parses this file up to so long after it.
    run_immediately=timedelta(minutes=10),
)

REBUILT_BASES: Final = AssetAlias("rebake-bases")
"""Stands for the assets of all families: which one a run rebuilds is known only while it runs."""


def emit_rebuilt_base(context: Any, result: Any) -> None:
    """Emit the event of the base that this run has promoted, and of no other."""
    uri = base_asset_uri(context["params"]["base"])
    recorded = context["ti"].xcom_pull(task_ids=EstateTask.RECORD_BASE)
    extra = {
        "ami_id": context["ti"].xcom_pull(task_ids=Stage.BAKE)["ami_id"],
        "previous_ami_id": recorded["previous_ami"],
        "parameter_version": result,
        "record": recorded["record"],
    }
    context["outlet_events"][REBUILT_BASES].add(Asset(uri), extra=extra)


def skip_unless_one_family(context: Any) -> None:
    """Leave the bake, and all that follows it, to the runs of the families."""
    if context["params"]["base"] == ALL:
        raise AirflowSkipException("each family has a run of its own: see rebuild_each")


with DAG(
    dag_id=DAG_ID,
    description="Rebuild the base images, every quarter and by hand",
    doc_md=__doc__,
    schedule=QUARTERLY,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    tags=[TAG_IMAGE],
    default_args=DEFAULT_ARGS,
    params={
        "base": Param(
            ALL,
            type="string",
            enum=[ALL, *config.base_names()],
            title="Base family",
            description="Which base image to rebuild: a file of config/bases/, or * for all of them.",
        ),
        "force_bake": Param(
            False,
            type="boolean",
            title="Bake anew",
            description="Bake even if an image with the same fingerprint exists.",
        ),
    },
) as dag:
    family = "{{ params.base }}"
    force = "{{ params.force_bake or dag_run.run_type == 'scheduled' }}"

    @task
    def families(base: str, force_bake: str, requested_in: str) -> list[dict[str, Any]]:
        """Return what to start for each family; nothing in the run of one family."""
        if base != ALL:
            return []
        return [
            {
                "trigger_run_id": f"{name}__{requested_in}",
                "conf": {"base": name, "force_bake": as_bool(force_bake, "force_bake")},
            }
            for name in config.base_names()
        ]

    TriggerDagRunOperator.partial(
        task_id="rebuild_each", trigger_dag_id=DAG_ID, skip_when_already_exists=True
    ).expand_kwargs(families(family, force, "{{ run_id }}"))

    bake = BakeBaseOperator(task_id=Stage.BAKE, base=family, force=force, pre_execute=skip_unless_one_family)
    ami_id = field_of(bake, "ami_id")
    test_image, report = test_image_group(
        ami_id=ami_id, subject=family, launch_operator=LaunchBaseProbeOperator, probe_operator=AssertBaseOperator
    )
    record_base = RecordBaseOperator(task_id=EstateTask.RECORD_BASE, ami_id=ami_id, base=family, report=report)
    promote_ami = PromoteAmiOperator(
        task_id=Stage.PROMOTE_AMI,
        ami_id=ami_id,
        name=base_name(family),
        channel=CURRENT,
        outlets=[REBUILT_BASES],
        post_execute=emit_rebuilt_base,
    )

    # This order must hold: no application may be baked on a base that has not passed its checks.
    bake >> test_image >> record_base >> promote_ami
