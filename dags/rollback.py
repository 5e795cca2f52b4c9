"""Roll a service back: to an earlier release, without a bake.

Returns a service to the image of an earlier release, during a deployment or after it. There is one such DAG for each
file in `config/services/`.

| task | what it does | when it fails |
| --- | --- | --- |
| `choose_release` | finds the release to return to, checks that its image still exists | nothing has changed |
| `stop_refresh` | preempts a deployment's lease, ends its instance refresh | clear the task |
| `terraform_apply` | provisions the fleet with the image of that release | running instances are untouched |
| `start_refresh` | starts the instance refresh, or finds every instance on the image already | as above |
| `wait_for_refresh` | waits, deferred, for a healthy fleet on the image | AWS rolls back to the group's saved version |
| `record_release` | writes the record, moves `current` and `previous` | the fleet is on the image: clear the task |
| `finalize` | records a run that did not succeed, releases the lease | clear the task, or others wait for the lease |

## Which release

`release` is a release id, a version or an image, and means the newest successful release of that name. Without it:

* while a deployment holds the lease, or while part of the fleet is not on the current release, as after a rollout that
  failed half-way: the current release;
* otherwise the one before the current release. Rolling back twice goes back two releases; it never returns to what was
  just rolled back.

If AWS's own rollback of the refresh leads to that image, the run uses it: instances that still run the image stay.
Otherwise it cancels the refresh and replaces the rest of the fleet. Instances that run the *image* stay, whatever
launch template version they were launched from.

## When this DAG runs

By hand only: from the form in the UI, `airflow dags trigger`, the API, or `make rollback`.

## Race conditions

A rollback wins over a deployment: it preempts the lease at once, and the deployment ends as *superseded* before its
next effect; so does a deployment that was requested before the rollback and is still baking. A deployment that is
requested later waits for the rollback. One rollback of a service at a time (`max_active_runs=1`). Services do not wait
for each other. Every task may be cleared and run again; but a run is superseded if another run, requested later, has
held the lease since.
"""

import os

from airflow.sdk import DAG, Asset, Param

from rebake import config
from rebake.operators.choose_release import ChooseReleaseOperator
from rebake.operators.finalize import FinalizeOperator
from rebake.operators.record_release import RecordReleaseOperator
from rebake.operators.start_refresh import StartRefreshOperator
from rebake.operators.stop_refresh import StopRefreshOperator
from rebake.operators.terraform_apply import TerraformApplyOperator
from rebake.release.lease import RunKind
from rebake.release.record import asset_uri
from rebake.release.stage import Stage
from rebake.sensors.instance_refresh import InstanceRefreshSensor
from rebake.stages.dag_defaults import DEFAULT_ARGS, TAG_DEPLOY, field_of
from rebake.stages.service_dags import for_each_service

ENVIRONMENT = os.environ.get("REBAKE_ENVIRONMENT") or "local"


def rollback(service: config.Service) -> DAG:
    """Return the DAG that rolls a service back."""
    with DAG(
        dag_id=f"rollback_{service.name}",
        description=f"Roll back {service.name}: {service.description}",
        doc_md=__doc__,
        schedule=None,
        max_active_runs=1,
        tags=[TAG_DEPLOY, service.name],
        default_args=DEFAULT_ARGS,
        params={
            "release": Param(
                None,
                type=["null", "string"],
                pattern=r"^[A-Za-z0-9._+-]*$",
                title="Release",
                description="Id, version or image of the release to return to; empty for the previous one.",
            ),
        },
    ) as dag:
        choose_release = ChooseReleaseOperator(
            task_id=Stage.CHOOSE_RELEASE, service=service.name, release="{{ params.release or '' }}"
        )
        image = field_of(choose_release, "ami_id")
        stop_refresh = StopRefreshOperator(
            task_id=Stage.STOP_REFRESH,
            service=service.name,
            auto_scaling_group_name=field_of(choose_release, "auto_scaling_group_name"),
            ami_id=image,
        )
        terraform_apply = TerraformApplyOperator(
            task_id=Stage.TERRAFORM_APPLY,
            service=service.name,
            ami_id=image,
            version=field_of(choose_release, "version"),
        )
        group_name = field_of(terraform_apply, "auto_scaling_group_name")
        launch_template_id = field_of(terraform_apply, "launch_template_id")
        start_refresh = StartRefreshOperator(
            task_id=Stage.START_REFRESH,
            service=service.name,
            auto_scaling_group_name=group_name,
            launch_template_id=launch_template_id,
            launch_template_version=field_of(terraform_apply, "launch_template_version"),
            ami_id=image,
            by_image=True,
        )
        wait_for_refresh = InstanceRefreshSensor(
            task_id=Stage.WAIT_FOR_REFRESH,
            service=service.name,
            auto_scaling_group_name=group_name,
            refresh_id=field_of(start_refresh, "refresh_id"),
            launch_template_version=field_of(start_refresh, "launch_template_version"),
        )
        record_release = RecordReleaseOperator(
            task_id=Stage.RECORD_RELEASE,
            service=service.name,
            kind=RunKind.ROLLBACK,
            outlets=[Asset(asset_uri(ENVIRONMENT, service.name))],
        )
        finalize = FinalizeOperator(task_id=Stage.FINALIZE, service=service.name, kind=RunKind.ROLLBACK).as_teardown()

        # The arrow that matters: the lease is ours, and no refresh goes elsewhere, before anything is changed.
        choose_release >> stop_refresh >> terraform_apply
        terraform_apply >> start_refresh >> wait_for_refresh >> record_release >> finalize
    return dag


for dag in for_each_service("rollback", rollback, __doc__):
    globals()[dag.dag_id] = dag
