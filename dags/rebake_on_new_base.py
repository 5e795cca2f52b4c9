"""Rebake on a new base: from a promoted base image to services that run on it.

Does for each dependent of the base family what its file says in `on_new_base`: `deploy` rolls its current version out
on the new base, `bake` bakes and tests the image, which the next deployment of the same version reuses, `ignore` does
nothing.

| task | what it does | when it fails |
| --- | --- | --- |
| `find_dependents` | reads the services' files | nothing has changed |
| `choose_version` | waits for a run that changes the service; takes its current version | the others go on |
| `bake` | reuses the image with the same fingerprint, or runs Packer, in the pool `rebake_bakes` | the others go on |
| `test_image` | boots a temporary instance, runs the service's checks, terminates it | the image is not deployed |
| `deploy` | starts `deploy_<service>` and waits, deferred; skipped for `on_new_base: bake` | as that DAG says |
| `report` | writes `reports/rebake/<time>.json` and `.html` | the run fails |

All tasks but the first and the last form a group, mapped over the services. A service that fails does not stop the
others, and makes the run fail. A service is skipped, with the reason in the report, if it was never released or is on
the newest base. The report and the log of `find_dependents` name a service whose file is invalid.

The deployment tests the image again, like every deployment. This DAG tests it first, so that a base which does not suit
a service starts no deployment of it.

The pool's slots are `policy.concurrent_bakes` of the environment. Airflow's processes create the pool when they start,
wherever the plugin is installed. If somebody deletes it meanwhile, `bake` stays *scheduled* and the scheduler's log
names the pool: restart the scheduler.

## When this DAG runs

When `rebuild_base_image` has promoted a base, by the event of the asset `rebake://bases/<family>`; and by hand for the
family that `base` names, or for all of them. Airflow creates it paused. While it is paused Airflow keeps no events for
it: run it by hand afterwards. Records of the releases that it makes say `new base <image>` in `requested_by`.

## Race conditions

One run at a time (`max_active_runs=1`); events that arrive meanwhile start one more. The newest base wins: every bake
reads which base is the current one, whichever event started the run, and skips a service that is already on it.

The run waits for a deployment or rollback that holds the service's lease; the release that this one ends with is what
is rebaked. The deployment that `deploy` starts replaces that release and no other. So it cannot undo a release that
came in between: it ends as superseded, and if the service is still on an old base, `deploy` fails and says so. Every
task may be cleared and run again. `deploy` finds the deployment that it has started: clear that deployment's failed
task first.
"""

from datetime import timedelta
from typing import Final

from airflow.sdk import DAG, Asset, AssetAny, Param, task_group

from rebake import config
from rebake.estate.tasks import EstateTask
from rebake.image.recipe import base_asset_uri
from rebake.operators.bake import BakeOperator
from rebake.operators.choose_version import ChooseVersionOperator
from rebake.operators.deploy_dependent import DeployDependentOperator
from rebake.operators.find_dependents import FindDependentsOperator
from rebake.operators.report_rebakes import ReportRebakesOperator
from rebake.operators.test_image import test_image_group
from rebake.release.stage import Stage
from rebake.stages.dag_defaults import BAKE_POOL, DEFAULT_ARGS, TAG_ESTATE, field_of

GROUP: Final = "rebake"

LONGEST: Final = timedelta(days=5)
"""A rollout may take two days, and so may the rollout that it waits for."""


@task_group(group_id=GROUP)
def rebake(service: str) -> None:
    """Bring one service to the newest base."""
    # Names the mapped group in the UI, which would show a number only.
    shown = {"map_index_template": "{{ task.service }}"}
    choose_version = ChooseVersionOperator(task_id=EstateTask.CHOOSE_VERSION, service=service, **shown)
    version, commit, build_id = (field_of(choose_version, field) for field in ("version", "commit", "build_id"))
    bake = BakeOperator(
        task_id=Stage.BAKE, service=service, version=version, commit=commit, build_id=build_id, pool=BAKE_POOL, **shown
    )
    test_image, _ = test_image_group(ami_id=field_of(bake, "ami_id"), subject=service, version=version)
    deploy = DeployDependentOperator(
        task_id=EstateTask.DEPLOY,
        service=service,
        version=version,
        commit=commit,
        build_id=build_id,
        replaces=field_of(choose_version, "release_id"),
        base_ami=field_of(choose_version, "base_ami"),
        **shown,
    )
    # This order must hold: no deployment begins with an image that has not passed its checks.
    choose_version >> bake >> test_image >> deploy


with DAG(
    dag_id="rebake_on_new_base",
    description="Rebake the services whose base image was replaced, and deploy those whose file says so",
    doc_md=__doc__,
    # Any of them: a list would wait for all.
    schedule=AssetAny(*(Asset(base_asset_uri(family)) for family in config.base_names())),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    dagrun_timeout=LONGEST,
    tags=[TAG_ESTATE],
    default_args=DEFAULT_ARGS,
    params={
        "base": Param(
            "",
            type="string",
            enum=["", *config.base_names()],
            title="Base family",
            description="By hand: whose dependents to rebake; if empty, those of all families.",
        ),
    },
) as dag:
    find_dependents = FindDependentsOperator(task_id=EstateTask.FIND_DEPENDENTS, base="{{ params.base }}")
    report = ReportRebakesOperator(task_id="report", group=GROUP)
    # A teardown runs however the services ended and hides no failure; but a missing report is a failure itself.
    rebake.expand(service=find_dependents.output) >> report.as_teardown(on_failure_fail_dagrun=True)
