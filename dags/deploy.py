"""Deploy a service: from a version to a fleet that runs it.

Bakes a version of a service into a machine image, tests the image on a temporary instance, provisions the fleet,
rolls the image out behind the load balancer, and records the release. There is one such DAG for each file in
`config/services/`.

| task | what it does | when it fails |
| --- | --- | --- |
| `bake` | reuses the image with the same fingerprint, or runs Packer | nothing has changed |
| `test_image` | boots a temporary instance, runs the service's checks, terminates it | the image is not promoted |
| `acquire_lease` | waits for a run that already changes this service | nothing has changed |
| `promote_ami` | points `/rebake/<service>/candidate` at the image | the fleet is untouched |
| `terraform_apply` | provisions the fleet, with a new launch template version | running instances are untouched |
| `start_refresh` | starts the instance refresh, or finds it running or not needed | running instances are untouched |
| `wait_for_refresh` | waits, deferred, for a healthy fleet on the new image | AWS rolls back to the previous image |
| `roll_back` | only after a failure: returns to the previous image where AWS did not | the fleet needs a person |
| `record_release` | writes the record, moves `current` and `previous` | the fleet is on the new image: clear the task |
| `finalize` | records a run that did not succeed, releases the lease | clear the task, or others wait for the lease |

`current` moves only at the very end, so a failed run leaves it where it was.

## When a rollout goes wrong

`wait_for_refresh` fails with a reason code and its explanation: the instances, and what the load balancer reports of
them. The code is the first word after the group's name in the error, and `reason` in the task's XCom `failure`.

| reason | what happened | the fleet |
| --- | --- | --- |
| `unhealthy` | new instances were unhealthy for `rollout.unhealthy_deadline` seconds | rolled back at our request |
| `timeout` | the rollout was not over after `rollout.timeout` seconds | rolled back at our request |
| `alarm` | one of `rollout.alarms` went off | rolled back by AWS |
| `rolled_back` | AWS, or a person, rolled the refresh back | on the previous image |
| `rollback_failed`, `failed`, `cancelled` | the refresh ended half-way | mixed, until `roll_back` is done |
| `lost` | AWS no longer knows the refresh or the group | unknown: check it |
| `superseded` | a rollback by hand preempted the run: it is skipped, not failed | as the rollback leaves it |

`roll_back` runs only when `wait_for_refresh` has not succeeded, and the run stays failed. If AWS rolled the refresh
back, `roll_back` finds every instance on the image of the `current` release and does nothing. Otherwise it ends a
refresh that is still active, applies that image with Terraform and rolls it out. It is skipped if nothing was rolled
out, if there is no previous release, and with `rollout.auto_rollback: false`.

## When this DAG runs

By hand: from the form in the UI, `airflow dags trigger`, the API, or `make deploy VERSION=...`; and by
`rebake_on_new_base`, for a service whose file says `on_new_base: deploy`. `version` is required. `ami_id` deploys an
existing image; `force_bake` bakes even if an image with the same fingerprint exists. `replaces` names the release that
must still be the current one when the run acquires the lease; otherwise the run ends as superseded.

## Race conditions

One run of a service at a time (`max_active_runs=1`): a second waits in the queue until the first has ended. From
`acquire_lease` to `finalize` a run holds the service's lease, and no other run changes the service.
`rollback_<service>` preempts a deployment: the deployment ends as *superseded*, with its remaining tasks skipped, and
has not failed. A deployment that was requested before the last rollback is superseded as well; trigger it again if you
still want it. Services do not wait for each other. If someone starts an instance refresh outside of Airflow,
`start_refresh` fails with its id, or adopts it if it goes to the same launch template version. Every task may be
cleared and run again: it finds what the previous try left.
"""

import os

from airflow.sdk import DAG, Asset, Param, TriggerRule

from rebake import config
from rebake.image.channels import service_name
from rebake.operators.acquire_lease import AcquireLeaseOperator
from rebake.operators.bake import BakeOperator
from rebake.operators.finalize import FinalizeOperator
from rebake.operators.promote_ami import PromoteAmiOperator
from rebake.operators.record_release import RecordReleaseOperator
from rebake.operators.roll_back import RollBackOperator
from rebake.operators.start_refresh import StartRefreshOperator
from rebake.operators.terraform_apply import TerraformApplyOperator
from rebake.operators.test_image import test_image_group
from rebake.release.record import asset_uri
from rebake.release.stage import Stage
from rebake.sensors.instance_refresh import InstanceRefreshSensor
from rebake.stages.dag_defaults import DEFAULT_ARGS, TAG_DEPLOY, field_if_any, field_of
from rebake.stages.service_dags import for_each_service

ENVIRONMENT = os.environ.get("REBAKE_ENVIRONMENT") or "local"


def deploy(service: config.Service) -> DAG:
    """Return the DAG that deploys a service."""
    with DAG(
        dag_id=f"deploy_{service.name}",
        description=f"Deploy {service.name}: {service.description}",
        doc_md=__doc__,
        schedule=None,
        max_active_runs=1,
        tags=[TAG_DEPLOY, service.name],
        default_args=DEFAULT_ARGS,
        params={
            "version": Param(
                type="string",
                pattern=service.version_pattern,
                title="Version",
                description=f"Version of {service.name} to deploy; its artifact is {service.artifact}.",
            ),
            # The form takes a string that may not be null for required, even with "" for its default.
            "commit": Param(
                None, type=["null", "string"], title="Commit", description="Commit that the artifact was built from."
            ),
            "build_id": Param(
                None, type=["null", "string"], title="Build", description="Build that made the artifact."
            ),
            "force_bake": Param(
                False,
                type="boolean",
                title="Bake anew",
                description="Bake even if an image with the same fingerprint exists.",
            ),
            "ami_id": Param(
                None,
                type=["null", "string"],
                pattern="^(ami-[0-9a-f]+)?$",
                title="Existing image",
                description="Deploy this image instead of baking one; it must be one of this service.",
            ),
            "replaces": Param(
                None,
                type=["null", "string"],
                title="Replaces",
                description="Deploy only if this release, by its id, is the current one when the rollout begins.",
                section="For other DAGs and programs",
            ),
            "requested_by": Param(
                None,
                type=["null", "string"],
                title="Requested by",
                description="On whose behalf; the release record names it before the user who triggers the run.",
                section="For other DAGs and programs",
            ),
        },
    ) as dag:
        bake = BakeOperator(
            task_id=Stage.BAKE,
            service=service.name,
            version="{{ params.version }}",
            commit="{{ params.commit or '' }}",
            build_id="{{ params.build_id or '' }}",
            force="{{ params.force_bake }}",
            ami_id="{{ params.ami_id or '' }}",
        )
        image, version = field_of(bake, "ami_id"), field_of(bake, "version")
        test_image, _ = test_image_group(ami_id=image, subject=service.name, version=version)
        acquire_lease = AcquireLeaseOperator(
            task_id=Stage.ACQUIRE_LEASE, service=service.name, replaces="{{ params.replaces or '' }}"
        )
        promote_ami = PromoteAmiOperator(
            task_id=Stage.PROMOTE_AMI, ami_id=image, name=service_name(service.name), service=service.name
        )
        terraform_apply = TerraformApplyOperator(
            task_id=Stage.TERRAFORM_APPLY, service=service.name, ami_id=image, version=version
        )
        launch_template_version = field_of(terraform_apply, "launch_template_version")
        launch_template_id = field_of(terraform_apply, "launch_template_id")
        group_name = field_of(terraform_apply, "auto_scaling_group_name")
        start_refresh = StartRefreshOperator(
            task_id=Stage.START_REFRESH,
            service=service.name,
            auto_scaling_group_name=group_name,
            launch_template_id=launch_template_id,
            launch_template_version=launch_template_version,
            ami_id=image,
        )
        wait_for_refresh = InstanceRefreshSensor(
            task_id=Stage.WAIT_FOR_REFRESH,
            service=service.name,
            auto_scaling_group_name=group_name,
            refresh_id=field_of(start_refresh, "refresh_id"),
            launch_template_version=launch_template_version,
        )
        record_release = RecordReleaseOperator(
            task_id=Stage.RECORD_RELEASE,
            service=service.name,
            outlets=[Asset(asset_uri(ENVIRONMENT, service.name))],
        )
        roll_back = RollBackOperator(
            task_id=Stage.ROLL_BACK,
            service=service.name,
            ami_id=field_if_any(bake, "ami_id"),
            auto_scaling_group_name=field_if_any(terraform_apply, "auto_scaling_group_name"),
            trigger_rule=TriggerRule.ONE_FAILED,
        )

        finalize = FinalizeOperator(task_id=Stage.FINALIZE, service=service.name).as_teardown()

        # The arrow that matters: nothing may point at the image, and no fleet may run it, before it has passed.
        bake >> test_image >> acquire_lease >> promote_ami >> terraform_apply
        terraform_apply >> start_refresh >> wait_for_refresh >> record_release
        # Both are leaves: when roll_back runs, record_release is upstream_failed, and so the run stays failed.
        wait_for_refresh >> roll_back
        [record_release, roll_back] >> finalize
    return dag


for dag in for_each_service("deploy", deploy, __doc__):
    globals()[dag.dag_id] = dag
