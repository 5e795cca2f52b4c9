"""Revoke an image: nothing deploys it or rolls back to it any more.

Tags an image, and every image that was baked on it, with the reason. It terminates no instance: it names the services
that run such an image, each with its nearest safe release. [docs/revocation.md](../docs/revocation.md) has the rules.

| task | what it does | when it fails |
| --- | --- | --- |
| `revoke_image` | writes the tags, or removes them with `undo`; names the services concerned | clear the task |

## When this DAG runs

By hand only: from the form in the UI, `airflow dags trigger`, the API, or `make revoke AMI=... REASON=...`.

## Race conditions

One run at a time (`max_active_runs=1`). Bakes and deployments continue meanwhile: they check the image and its base
again before they promote the image and before they start a refresh. So an image that is baked on a base while that is
revoked is refused even before it has a tag of its own. An instance refresh that has begun continues. The task may be
cleared and run again: it computes anew which images to tag.
"""

from airflow.sdk import DAG, Param

from rebake.estate.tasks import EstateTask
from rebake.operators.revoke_image import RevokeImageOperator
from rebake.stages.dag_defaults import DEFAULT_ARGS, TAG_ESTATE, TAG_IMAGE

with DAG(
    dag_id="revoke_image",
    description="Keep an image, and all that was baked on it, from being released",
    doc_md=__doc__,
    schedule=None,
    max_active_runs=1,
    tags=[TAG_ESTATE, TAG_IMAGE],
    default_args=DEFAULT_ARGS,
    params={
        "ami": Param(type="string", pattern=r"^ami-[0-9a-f]{8,17}$", title="Image", description="Id of the image."),
        "reason": Param(
            None,
            type=["null", "string"],
            maxLength=256,
            title="Reason",
            description="Every refusal of the image shows it. Not needed to undo a revocation.",
        ),
        "undo": Param(False, type="boolean", title="Undo", description="Undo the revocation."),
    },
) as dag:
    RevokeImageOperator(
        task_id=EstateTask.REVOKE_IMAGE,
        ami="{{ params.ami }}",
        reason="{{ params.reason or '' }}",
        undo="{{ params.undo }}",
    )
