"""Revoke an image: nothing deploys it or rolls back to it any more.

Marks an image, and every image that was baked on it, with the reason. It stops no instance: services that run such an
image are named, each with its nearest safe release. [docs/revocation.md](../docs/revocation.md) has the rules.

| task | what it does | when it fails |
| --- | --- | --- |
| `revoke_image` | writes the marks, or lifts them with `undo`; says who runs a revoked image | clear the task |

## When this DAG runs

By hand only: from the form in the UI, `airflow dags trigger`, the API, or `make revoke AMI=... REASON=...`.

## Race conditions

One run at a time (`max_active_runs=1`). Bakes and deployments go on meanwhile: they ask again before they promote an
image and before they start a refresh, and ask the image's base too, so an image that is baked on a base while that is
revoked is refused before it is marked. An instance refresh that has begun goes on. The task may be cleared and run
again: it derives anew what is to be marked.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

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
            description="Why; whoever is refused the image reads it. Not needed to take a revocation back.",
        ),
        "undo": Param(False, type="boolean", title="Undo", description="Take the revocation back."),
    },
) as dag:
    RevokeImageOperator(
        task_id="revoke_image",
        ami="{{ params.ami }}",
        reason="{{ params.reason or '' }}",
        undo="{{ params.undo }}",
    )
